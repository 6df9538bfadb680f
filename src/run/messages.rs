//! Errors, warnings and notes on standard error, as text or JSON.

use super::io::Stderr;
use super::status::Status;
use crate::core::error::{Code, Error, Fact, Note, Place, Severity, format_index, format_shape};
use crate::core::printable::is_printable;
use serde_json::{Map, Value, json};

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
const YELLOW: anstyle::Style = anstyle::AnsiColor::Yellow.on_default().bold();
const GREEN: anstyle::Style = anstyle::AnsiColor::Green.on_default();

/// Writer of errors, warnings and notes.
pub(crate) struct Messages {
    /// Standard error.
    pub(crate) stream: Stderr,
    /// True if messages are written as JSON.
    pub(crate) as_json: bool,
    /// True if standard output is a terminal.
    pub(crate) stdout_is_terminal: bool,
}

impl Messages {
    /// Reports the error that ends the run.
    pub(crate) fn error(&mut self, error: &Error) -> Status {
        self.write("error", RED, error);
        Status::Error
    }

    /// Reports warnings and notes; if `strict`, the first warning is returned as an error.
    pub(crate) fn notes(&mut self, notes: &[Note], strict: bool) -> Result<(), Error> {
        for note in notes {
            if strict && note.severity == Severity::Warning {
                return Err(note.error.clone());
            }
            self.note(note);
        }
        Ok(())
    }

    /// Reports a warning or note.
    pub(crate) fn note(&mut self, note: &Note) {
        match note.severity {
            Severity::Warning => self.write("warning", YELLOW, &note.error),
            Severity::Info => self.write("note", GREEN, &note.error),
        }
    }

    /// Returns the error of a failed allocation, in the two parts before and after the number of megabytes.
    pub(crate) fn allocation_error(as_json: bool) -> [String; 2] {
        const PLACE: &str = "COUNT";
        let error =
            Error::new(Code::Memory, format!("the command needs {PLACE} MB of memory, which the system does not have"));
        let text = text("error", RED, &error, as_json);
        let text = anstream::adapter::strip_str(&text).to_string();
        let (before, after) = text.split_once(PLACE).unwrap_or_default();
        [before.to_owned(), after.to_owned()]
    }

    fn write(&mut self, kind: &str, style: anstyle::Style, error: &Error) {
        let text = text(kind, style, error, self.as_json);
        // A failure cannot be reported: standard error is closed.
        let mut stream = self.stream.borrow_mut();
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }
}

/// Returns a message as text, or as a line of JSON.
fn text(kind: &str, style: anstyle::Style, error: &Error, as_json: bool) -> String {
    if as_json {
        format!("{}\n", Value::from(Map::from_iter([(kind.to_owned(), wire(error))])))
    } else {
        render(kind, style, error)
    }
}

fn render(kind: &str, style: anstyle::Style, error: &Error) -> String {
    let mut text = format!("{style}{kind}:{style:#} {}\n", one_line(&sentence(error)));
    for fact in &error.facts {
        text.push_str(&format!("  {}\n", one_line(&fact_text(fact))));
    }
    if let Some(tip) = tip(error) {
        text.push_str(&format!("{GREEN}tip:{GREEN:#} {}\n", one_line(tip)));
    }
    text
}

fn tip(error: &Error) -> Option<&str> {
    error.tip.as_deref().or(error.code.tip())
}

/// Returns the message after its place: `--w w.json:3:5 (/w/1/2): expected 2 rows`, `--t [2]: must be less than 3`. An operand that
/// is missing as a whole has no place: `--x is required`.
fn sentence(error: &Error) -> String {
    let record = error.record.as_ref().map(|(file, line)| format!("{file}:{line}: ")).unwrap_or_default();
    let option = error.operand.as_ref().map(|name| format!("--{name}")).unwrap_or_default();
    if error.code == Code::OperandMissing && error.at.is_none() && !option.is_empty() {
        return format!("{record}{option} {}", error.message);
    }
    let source = source(error);
    let space = if option.is_empty() || source.is_empty() { "" } else { " " };
    match format!("{option}{space}{source}").as_str() {
        "" => format!("{record}{}", error.message),
        place => format!("{record}{place}: {}", error.message),
    }
}

/// Returns the file and the position in it.
fn source(error: &Error) -> String {
    let origin = error.origin.as_deref().unwrap_or_default();
    let separator = |separator: &'static str| if origin.is_empty() { "" } else { separator };
    let position = match &error.at {
        Some(Place::Text { line, column, pointer }) if pointer.is_empty() => {
            format!("{}{line}:{column}", separator(":"))
        }
        Some(Place::Text { line, column, pointer }) => {
            format!("{}{line}:{column} ({})", separator(":"), shorten(pointer))
        }
        Some(Place::Pointer(pointer)) if !pointer.is_empty() => format!("{}({})", separator(" "), shorten(pointer)),
        Some(Place::Index(at)) if !at.is_empty() => format!("{}{}", separator(" "), format_index(at)),
        _ => String::new(),
    };
    format!("{origin}{position}")
}

/// Returns the first 60 characters of a pointer.
fn shorten(pointer: &str) -> String {
    let shown: String = pointer.chars().take(60).collect();
    if shown.len() < pointer.len() { shown + "…" } else { shown }
}

fn fact_text(fact: &Fact) -> String {
    match fact {
        Fact::Shape(name, sides) => format!("{name} is {}", format_shape(sides)),
        Fact::Text(text) => text.clone(),
    }
}

/// Replaces characters that a terminal obeys, so that a file's name or content cannot move the cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_printable(c) { c } else { '\u{fffd}' }).collect()
}

/// Returns an error as a JSON object.
pub(crate) fn wire(error: &Error) -> Value {
    let (line, column, pointer, at) = match &error.at {
        Some(Place::Text { line, column, pointer }) => (Some(line), Some(column), Some(pointer.as_str()), None),
        Some(Place::Pointer(pointer)) => (None, None, Some(pointer.as_str()), None),
        Some(Place::Index(at)) => (None, None, None, Some(at)),
        None => (None, None, None, None),
    };
    // The line of a record is the error's line only if the error is in the record's file.
    let (file, line) = match &error.record {
        Some((file, number)) if error.origin.is_none() => (Some(file), Some(number)),
        _ => (error.origin.as_ref(), line),
    };
    let record = error.record.as_ref().map(|(file, line)| json!({"file": file, "line": line}));
    let facts: Vec<String> = error.facts.iter().map(fact_text).collect();
    json!({
        "code": error.code.as_str(),
        "option": error.operand.as_ref().map(|name| format!("--{name}")),
        "message": error.message,
        "file": file,
        "line": line,
        "column": column,
        "pointer": pointer.filter(|pointer| !pointer.is_empty()),
        "index": at,
        "record": record,
        "facts": facts,
        "tip": tip(error),
    })
}
