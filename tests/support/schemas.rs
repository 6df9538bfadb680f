//! Documents that are validated with their schemas, by Python's `jsonschema`: the crate of that name takes more than a minute to
//! compile.

use super::{nnlayer, python_with};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Names of all schemas.
pub const KINDS: &[&str] = &[
    "result", "error", "tape", "network", "request", "reply", "hello", "vectors", "report", "steps", "epoch", "layers",
];

/// Documents with the schemas that they follow.
#[derive(Default)]
pub struct Documents {
    labels: Vec<String>,
    lines: Vec<Value>,
}

impl Documents {
    /// Adds a document of a kind, such as `tape`, or of a definition in its schema, such as `result#/$defs/relu`.
    pub fn add(&mut self, schema: &str, label: impl Into<String>, document: Value) {
        let (schema, pointer) = schema.split_once('#').unwrap_or((schema, ""));
        self.labels.push(label.into());
        self.lines.push(json!({"schema": schema, "pointer": pointer, "document": document}));
    }

    /// Returns the error of each invalid document, after its label; `None` without Python's `jsonschema`.
    pub fn errors(&self) -> Option<Vec<String>> {
        self.errors_with(&[])
    }

    /// Returns the major and the minor version of Python's `jsonschema`.
    pub fn validator_version() -> Option<(u32, u32)> {
        let version = "import importlib.metadata as m; print(m.version('jsonschema'))";
        let output = Command::new(python_with("jsonschema")?).args(["-c", version]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut numbers = text.split('.').map(|number| number.trim().parse().unwrap());
        Some((numbers.next()?, numbers.next()?))
    }

    /// Requires that the schemas themselves are valid.
    pub fn assert_schemas() {
        Documents::default().errors_with(&["--check-schemas"]);
    }

    fn errors_with(&self, options: &[&str]) -> Option<Vec<String>> {
        let python = python_with("jsonschema")?;
        let text = |kind: &&str| ((*kind).to_owned(), Value::from(nnlayer(&["schema", kind]).quiet()));
        let schemas: Map<String, Value> = KINDS.iter().map(text).collect();
        let mut lines = Value::from(schemas).to_string();
        self.lines.iter().for_each(|line| lines += &format!("\n{line}"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness/validate.py");
        let mut python = Command::new(python);
        let python = python.arg(script).args(options).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        writer.join().unwrap().unwrap();
        let verdicts = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let verdicts: Vec<Value> = verdicts.map(|line| serde_json::from_slice(line).unwrap()).collect();
        assert_eq!(verdicts.len(), self.lines.len(), "{stderr}");
        let failed = self.labels.iter().zip(verdicts).filter(|(_, verdict)| *verdict != json!(true));
        Some(failed.map(|(label, verdict)| format!("{label}: {verdict}")).collect())
    }

    /// Requires every document to be valid.
    #[track_caller]
    pub fn assert_valid(&self) {
        assert!(!self.lines.is_empty());
        if let Some(errors) = self.errors() {
            assert!(errors.is_empty(), "{} invalid documents:\n{}", errors.len(), errors.join("\n"));
        }
    }
}
