//! Errors as words or JSON on standard error.

use super::io::Stderr;
use super::status::Status;
use crate::core::error::{Error, Fact, Note, Place, Severity, format_index, format_shape};
use serde_json::{Map, Value, json};

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
const YELLOW: anstyle::Style = anstyle::AnsiColor::Yellow.on_default().bold();
const GREEN: anstyle::Style = anstyle::AnsiColor::Green.on_default();

/// Where messages go, and how.
pub(crate) struct Messages {
    /// Standard error.
    pub(crate) stream: Stderr,
    /// `--error-format json`.
    pub(crate) as_json: bool,
    /// Whether somebody watches standard output.
    pub(crate) watched: bool,
}

impl Messages {
    /// Says why the run ends.
    pub(crate) fn error(&mut self, error: &Error) -> Status {
        self.say("error", RED, error);
        Status::Error
    }

    /// Says what is worth knowing; where `strict`, the first warning is an error.
    pub(crate) fn notes(&mut self, notes: &[Note], strict: bool) -> Result<(), Error> {
        for note in notes {
            if strict && note.severity == Severity::Warning {
                return Err(note.error.clone());
            }
            self.note(note);
        }
        Ok(())
    }

    /// Says what is worth knowing.
    pub(crate) fn note(&mut self, note: &Note) {
        match note.severity {
            Severity::Warning => self.say("warning", YELLOW, &note.error),
            Severity::Info => self.say("note", GREEN, &note.error),
        }
    }

    fn say(&mut self, kind: &str, style: anstyle::Style, error: &Error) {
        let text = if self.as_json {
            format!("{}\n", Value::from(Map::from_iter([(kind.to_owned(), wire(error))])))
        } else {
            words(kind, style, error)
        };
        // Nobody is left to hear that standard error is closed.
        let mut stream = self.stream.borrow_mut();
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }
}

fn words(kind: &str, style: anstyle::Style, error: &Error) -> String {
    let place = place(error);
    let place = if place.is_empty() { place } else { format!("{}: ", place.trim_end_matches(':')) };
    let mut text = format!("{style}{kind}:{style:#} {}\n", one_line(&format!("{place}{}", error.message)));
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

/// `--w w.json:3:5 (/w/1/2)`, `--t [2]`.
fn place(error: &Error) -> String {
    let option = error.operand.as_ref().map(|name| format!("--{name}"));
    let origin = error.origin.as_deref().map(one_line).unwrap_or_default();
    let at = match &error.at {
        Some(Place::Text { line, column, pointer }) => {
            let pointer = if pointer.is_empty() { String::new() } else { format!(" ({})", short(pointer)) };
            format!("{}{line}:{column}{pointer}", if origin.is_empty() { "" } else { ":" })
        }
        Some(Place::Pointer(pointer)) if !pointer.is_empty() => format!(" ({})", short(pointer)),
        Some(Place::Index(at)) if !at.is_empty() => {
            format!("{}{}", if origin.is_empty() { "" } else { " " }, format_index(at))
        }
        _ => String::new(),
    };
    let origin = format!("{origin}{at}");
    let record = error.record.as_ref().map(|(file, line)| format!("{}:{line}:", one_line(file)));
    record.into_iter().chain(option).chain((!origin.is_empty()).then_some(origin)).collect::<Vec<_>>().join(" ")
}

/// A pointer as far as it helps.
fn short(pointer: &str) -> String {
    let shown: String = pointer.chars().take(60).collect();
    if shown.len() < pointer.len() { shown + "…" } else { shown }
}

fn fact_text(fact: &Fact) -> String {
    match fact {
        Fact::Shape(name, sides) => format!("{name} is {}", format_shape(sides)),
        Fact::Text(text) => text.clone(),
    }
}

/// Control characters of a file's name or content must not move the cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

pub(crate) fn wire(error: &Error) -> Value {
    let (line, column, pointer, at) = match &error.at {
        Some(Place::Text { line, column, pointer }) => (Some(line), Some(column), Some(pointer.as_str()), None),
        Some(Place::Pointer(pointer)) => (None, None, Some(pointer.as_str()), None),
        Some(Place::Index(at)) => (None, None, None, Some(at)),
        None => (None, None, None, None),
    };
    // A line belongs to its file: that of a record says nothing of another.
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
