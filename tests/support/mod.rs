//! Running nnlayer: in this process for many small commands, as a program for pipes.

pub mod cases;
pub mod console;
pub mod memory;
pub mod schemas;

use serde_json::Value;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;

/// Output, messages and exit status of a command.
pub struct RunOutput {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub status: i32,
}

impl RunOutput {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The JSON it printed, having ended well.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{}", self.stderr);
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns standard output of a command that succeeded without a message on standard error.
    #[track_caller]
    pub fn quiet(&self) -> &str {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{}", self.text());
        self.text()
    }

    /// Its refusal: status 2, nothing on standard output.
    #[track_caller]
    pub fn refusal(&self) -> &str {
        self.refusal_of("")
    }

    /// The refusal of a command that is named when there is none.
    #[track_caller]
    pub fn refusal_of(&self, command: &str) -> &str {
        assert_eq!(self.status, 2, "{command}\n{}{}", self.text(), self.stderr);
        assert!(self.stdout.is_empty(), "{command}\n{}", self.text());
        assert!(
            self.stderr.starts_with("error: ") || self.stderr.starts_with("{\"error\":"),
            "{command}\n{}",
            self.stderr
        );
        &self.stderr
    }
}

/// Runs a command in this process, standard input being a terminal.
pub fn nnlayer(args: &[&str]) -> RunOutput {
    run(args, &[], true)
}

/// Runs a command in this process with bytes on standard input.
pub fn piped(stdin: impl AsRef<[u8]>, args: &[&str]) -> RunOutput {
    run(args, stdin.as_ref(), false)
}

fn run(args: &[&str], stdin: &[u8], terminal: bool) -> RunOutput {
    let (mut stdout, stderr) = (Vec::new(), Rc::new(RefCell::new(anstream::StripStream::new(Vec::new()))));
    let io = nnlayer::Io {
        stdin: &mut Cursor::new(stdin),
        stdin_is_terminal: terminal,
        stdout: &mut stdout,
        stdout_is_terminal: false,
        columns: None,
        language: None,
        stderr: stderr.clone(),
        stderr_is_terminal: false,
    };
    let status = nnlayer::run(std::iter::once("nnlayer").chain(args.iter().copied()).map(OsString::from), io).code();
    let stderr = Rc::into_inner(stderr).unwrap().into_inner().into_inner();
    RunOutput { stdout, stderr: String::from_utf8(stderr).unwrap(), status }
}

/// Runs a line of shell with nnlayer on the path, in a folder with the project's files.
pub fn shell(line: &str) -> RunOutput {
    shell_in(project().path(), line)
}

/// Returns a temporary folder with links to the files and folders of the project, which may be read-only.
pub fn project() -> tempfile::TempDir {
    let folder = folder();
    for entry in std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap().map(Result::unwrap) {
        if entry.file_name() != "target" {
            std::os::unix::fs::symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    folder
}

/// Runs a line of shell with nnlayer on the path.
pub fn shell_in(folder: &std::path::Path, line: &str) -> RunOutput {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_nnlayer"));
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("COLUMNS")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().flush().unwrap();
    let output = child.wait_with_output().unwrap();
    RunOutput {
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code().unwrap_or(-1),
    }
}

/// True if a program that a test needs is on this machine. Its absence skips the test and says so, past the capture of
/// the test's output; where `CI` is set it is a failure.
pub fn has_program(name: &str) -> bool {
    let question = if name == "go" { "version" } else { "--version" };
    skip_unless(succeeds(name, &[question]), name)
}

/// A Python that has NumPy: the first on the path, or that of the system, for which its packages are.
pub fn python_with_numpy() -> Option<&'static str> {
    python_with("numpy")
}

/// A Python that has a module: the first on the path, or that of the system.
pub fn python_with(module: &str) -> Option<&'static str> {
    let import = format!("import {module}");
    let found = ["python3", "/usr/bin/python3"].into_iter().find(|python| succeeds(python, &["-c", &import]));
    skip_unless(found.is_some(), &format!("Python's {module}"));
    found
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn skip_unless(is_installed: bool, name: &str) -> bool {
    if !is_installed {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        let _ = writeln!(std::io::stderr(), "skipped what needs {name}, which is not installed");
    }
    is_installed
}

/// The path of a fixture.
pub fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Writes a file, and returns its path.
pub fn file(folder: &std::path::Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A folder that goes away at the end of the test.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The numbers of a JSON value, flat, words for non-finite ones understood.
pub fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        Value::Number(number) => vec![number.as_f64().unwrap()],
        Value::String(word) => vec![match word.as_str() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            other => panic!("{other} is no number"),
        }],
        other => panic!("{other} is no number"),
    }
}

/// The shape of a JSON value.
pub fn shape(value: &Value) -> Vec<usize> {
    match value {
        Value::Array(values) => [vec![values.len()], values.first().map(shape).unwrap_or_default()].concat(),
        _ => vec![],
    }
}

/// Distance in units in the last place; 0 for two NaN, infinite across a sign.
pub fn ulps(a: f64, b: f64) -> u64 {
    if a == b || (a.is_nan() && b.is_nan()) {
        return 0;
    }
    let ordered = |v: f64| {
        let bits = v.to_bits() as i64;
        i128::from(if bits < 0 { i64::MIN - bits } else { bits })
    };
    if a.is_nan() || b.is_nan() { u64::MAX } else { u64::try_from((ordered(a) - ordered(b)).abs()).unwrap_or(u64::MAX) }
}

/// Compares the lines of a page between `<!-- name -->` and `<!-- end of name -->` with those that a test lists. With
/// `UPDATE` set it writes them.
#[track_caller]
pub fn compare_section(page: &str, name: &str, listed: &str) {
    let path = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    let expected = format!("{before}{begin}{listed}{end}{after}");
    if std::env::var_os("UPDATE").is_some() && text != expected {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(text, expected, "{page} does not have the {name} that the test lists");
    }
}
