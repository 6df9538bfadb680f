//! The JSON reader accepts exactly the documents of RFC 8259, except for the deviations listed in `docs/json.md`.

use crate::support::{fixture, piped};
use nnlayer::format::json::parse;
use serde_json::Value;

struct Case {
    name: String,
    bytes: Vec<u8>,
    /// True if the reader must accept it.
    accepted: bool,
    /// Expected error code, if the fixture states one.
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

/// Returns the case between two texts; `None` if its meaning depends on being a whole document.
fn embedded(case: &Case, before: &str, after: &str) -> Option<Vec<u8>> {
    let only_whole = ["n_empty", "n_blanks", "i_byte_order_mark"].contains(&case.name.as_str())
        || case.name.contains("utf16")
        || case.name.contains("utf32");
    (!only_whole).then(|| [before.as_bytes(), &case.bytes, after.as_bytes()].concat())
}

#[test]
fn valid_documents_are_accepted_and_invalid_ones_rejected() {
    let cases = cases();
    assert!(
        cases.iter().filter(|case| case.accepted).count() > 80
            && cases.iter().filter(|case| !case.accepted).count() > 160
    );
    for case in cases {
        match (parse(&case.bytes, ""), case.accepted) {
            (Ok(_), true) => {}
            (Err(error), false) => {
                if let Some(code) = &case.code {
                    assert_eq!(error.code.as_str(), code, "{}", case.name);
                }
            }
            (Ok(_), false) => panic!("{} is accepted", case.name),
            (Err(error), true) => panic!("{} is rejected: {}", case.name, error.message),
        }
    }
}

#[test]
fn the_verdict_is_the_same_inside_other_values() {
    for case in cases() {
        for (before, after) in [
            ("[", "]"),
            ("[[0,", "],[1,2]]"),
            ("[1,2,", ",3]"),
            ("[[1,2],", ",[3,4]]"),
            ("{\"k\":", "}"),
            ("{\"a\":[1],\"b\":[", "]}"),
        ] {
            let Some(bytes) = embedded(&case, before, after) else { continue };
            assert_eq!(parse(&bytes, "").is_ok(), case.accepted, "{before}{}{after}", case.name);
        }
    }
}

#[test]
fn the_verdict_is_the_same_under_an_unused_key() {
    for case in cases() {
        let Some(bytes) = embedded(&case, "{\"k\":", ",\"x\":[0,0]}") else { continue };
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
fn every_deviation_from_the_standard_is_documented() {
    let page = std::fs::read_to_string(fixture("../docs/json.md")).unwrap();
    for case in cases().iter().filter(|case| case.name.starts_with("i_")) {
        assert!(page.contains(&format!("`{}`", case.name)), "docs/json.md does not name {}", case.name);
    }
}

#[test]
fn errors_suggest_the_json_notation() {
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
        // An array alone may be what NumPy prints.
        let ran = piped(format!("{{\"x\":{text}}}"), &["softmax", "--x", "-"]);
        assert!(ran.refusal().contains(tip), "{text}: {}", ran.stderr);
    }
    let ran = piped("{\"x\":[0.x]}", &["softmax", "--x", "-"]);
    assert!(!ran.refusal().contains("leading zeros"), "{}", ran.stderr);
}
