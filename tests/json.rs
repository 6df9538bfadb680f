//! The JSON reader accepts what RFC 8259 has as JSON and refuses what it has not; `docs/json.md` says where it goes beyond.

use crate::support::{fixture, piped};
use nnlayer::format::json::parse;
use serde_json::Value;

struct Case {
    name: String,
    bytes: Vec<u8>,
    /// True if it must be read; the error code, where that is known.
    accepted: bool,
    code: Option<String>,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(fixture("json/cases.json")).unwrap();
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    let hex =
        |text: &str| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    list.iter()
        .map(|case| {
            let (name, code) = (case["name"].as_str().unwrap().to_owned(), case["code"].as_str().map(str::to_owned));
            Case {
                bytes: case["text"]
                    .as_str()
                    .map_or_else(|| hex(case["bytes"].as_str().unwrap()), |text| text.as_bytes().to_vec()),
                accepted: name.starts_with("y_") || (name.starts_with("i_") && code.is_none()),
                name,
                code,
            }
        })
        .collect()
}

/// The case inside of something, where it may stand there.
fn inside(case: &Case, before: &str, behind: &str) -> Option<Vec<u8>> {
    let alone = ["n_empty", "n_blanks", "i_byte_order_mark"].contains(&case.name.as_str())
        || case.name.contains("utf16")
        || case.name.contains("utf32");
    (!alone).then(|| [before.as_bytes(), &case.bytes, behind.as_bytes()].concat())
}

#[test]
fn what_is_json_is_read_and_what_is_not_is_refused() {
    let cases = cases();
    assert!(
        cases.iter().filter(|case| case.accepted).count() > 80
            && cases.iter().filter(|case| !case.accepted).count() > 160
    );
    for case in cases {
        match (parse(&case.bytes, ""), case.accepted) {
            (Ok(_), true) => {}
            (Err(fault), false) => {
                if let Some(code) = &case.code {
                    assert_eq!(fault.code.as_str(), code, "{}", case.name);
                }
            }
            (Ok(_), false) => panic!("{} is read", case.name),
            (Err(fault), true) => panic!("{} is refused: {}", case.name, fault.message),
        }
    }
}

#[test]
fn it_is_the_same_wherever_it_stands() {
    for case in cases() {
        for (before, behind) in [
            ("[", "]"),
            ("[[0,", "],[1,2]]"),
            ("[1,2,", ",3]"),
            ("[[1,2],", ",[3,4]]"),
            ("{\"k\":", "}"),
            ("{\"a\":[1],\"b\":[", "]}"),
        ] {
            let Some(bytes) = inside(&case, before, behind) else { continue };
            assert_eq!(parse(&bytes, "").is_ok(), case.accepted, "{before}{}{behind}", case.name);
        }
    }
}

#[test]
fn it_is_the_same_where_nobody_looks_at_it() {
    for case in cases() {
        let Some(bytes) = inside(&case, "{\"k\":", ",\"x\":[0,0]}") else { continue };
        let ran = piped(&bytes, &["softmax", "--only", "y", "--json", "--error-format", "json"]);
        assert_eq!(
            (ran.status == 0, ran.status == 2),
            (case.accepted, !case.accepted),
            "{}: {}",
            case.name,
            ran.stderr
        );
        if bytes.contains(&b'\n') {
            continue;
        }
        let ran = piped(&bytes, &["softmax", "--ndjson", "--only", "y", "--error-format", "json"]);
        assert_eq!(
            (ran.status == 0, ran.status == 2),
            (case.accepted, !case.accepted),
            "{}: {}",
            case.name,
            ran.stderr
        );
    }
}

#[test]
fn what_is_read_beyond_the_standard_stands_in_the_table() {
    let page = std::fs::read_to_string(fixture("../docs/json.md")).unwrap();
    for case in cases().iter().filter(|case| case.name.starts_with("i_")) {
        assert!(page.contains(&format!("`{}`", case.name)), "docs/json.md does not name {}", case.name);
    }
}

#[test]
fn other_notations_are_told_what_json_writes() {
    for (text, tip) in [
        ("[nan]", "write \"NaN\""),
        ("[-inf]", "write \"-Infinity\""),
        ("[+inf]", "write \"Infinity\""),
        ("[.5]", "0.5, 1.0"),
        ("[1.]", "0.5, 1.0"),
        ("[007]", "leading zeros"),
        ("[-01]", "leading zeros"),
        ("['a']", "double quotes"),
        ("[True]", "true, false or null"),
    ] {
        let ran = piped(text, &["softmax", "--x", "-"]);
        assert!(ran.refusal().contains(tip), "{text}: {}", ran.stderr);
    }
    let ran = piped("[0.x]", &["softmax", "--x", "-"]);
    assert!(!ran.refusal().contains("leading zeros"), "{}", ran.stderr);
}
