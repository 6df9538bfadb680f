//! Names from files and programs never reach a terminal raw: control characters are escaped, and no name begins a line.

use crate::support::{folder, has_program, shell_in};

const KEYS: [&str; 3] = ["a\\u001b[2J", "b\\nPASS: all", "c\\u202etxt"];

/// Returns a document with these keys.
fn document(value: u8) -> String {
    format!("{{{}}}", KEYS.map(|key| format!("\"{key}\":[{value},{value}]")).join(","))
}

/// Refuses text with a control character or a forged line.
#[track_caller]
fn assert_harmless(text: &str) {
    let is_raw = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!text.contains(is_raw) && !text.lines().any(|line| line.starts_with("PASS: all")), "{text:?}");
    assert!(text.contains("a\\u{1b}[2J") && text.contains("b\\nPASS: all"), "{text}");
}

#[test]
fn control_characters_in_keys_are_escaped_in_reports_and_kept_in_documents() {
    let folder = folder();
    std::fs::write(folder.path().join("a.json"), document(1)).unwrap();
    std::fs::write(folder.path().join("b.json"), document(2)).unwrap();
    std::fs::write(folder.path().join("c.json"), "{\"z\":1}").unwrap();
    for command in ["compare a.json b.json", "compare a.json a.json", "compare a.json c.json", "relu --x a.json"] {
        let ran = shell_in(folder.path(), &format!("nnlayer {command}"));
        assert_harmless(&format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr));
    }
    let compared = shell_in(folder.path(), "nnlayer compare a.json a.json --json").json();
    assert_eq!(compared["arrays"][2]["name"], "c\u{202e}txt");
    std::fs::write(folder.path().join("s.json"), "{\"loss\":1,\"l\\u001b.dw\":[1]}").unwrap();
    let summed = shell_in(folder.path(), "nnlayer sum s.json s.json");
    assert!(!summed.text().contains('\u{1b}'), "{:?}", summed.text());
}

#[test]
fn control_characters_in_the_replies_of_a_program_are_escaped() {
    if !has_program("python3") {
        return;
    }
    let folder = folder();
    let reply = r#"{"points":[{"outputs":{"y":p["inputs"]["x"]},"gradients":{"dx":p.get("dout"),KEY:1}} for p in r["points"]]}"#;
    let keys = KEYS.map(|key| format!("\"{key}\"")).join(":1,");
    let program = format!(
        "import json, sys\nfor line in sys.stdin:\n    r = json.loads(line)\n    print(json.dumps({}), flush=True)\n",
        reply.replace("KEY", &keys)
    );
    std::fs::write(folder.path().join("program.py"), program).unwrap();
    for format in ["text", "tap"] {
        let command = format!("nnlayer gradcheck --layer custom --x 1,2 --format {format} -- python3 program.py");
        assert_harmless(shell_in(folder.path(), &command).text());
    }
}
