//! Places in a text, found again after a failure, so that the good path stores none.

use super::{OperandReader, Operands, Origin, stdin};
use crate::core::error::{Error, Fact, Place, format_shape};
use crate::format::json;
use std::path::Path;

impl OperandReader<'_> {
    /// Turns an index or pointer of an error into a place in the text that the operand was read from.
    pub fn locate_in_source(&self, mut error: Error, operands: &Operands) -> Error {
        // The message has the shapes; a line for each is worth its place where it says which file to look at.
        let traced = |fact: Fact| match fact {
            Fact::Shape(name, sides) => {
                let label = operands.origin(&name).and_then(Origin::label)?;
                Some(Fact::Text(format!("{name} is {}, from {label}", format_shape(&sides))))
            }
            text @ Fact::Text(_) => Some(text),
        };
        error.facts = std::mem::take(&mut error.facts).into_iter().filter_map(traced).collect();
        let Some(origin) = error.operand.as_ref().and_then(|name| operands.origin(name)) else { return error };
        if let Some(label) = origin.label() {
            error = error.with_origin(label);
        }
        let Some(Place::Index(at)) = &error.at else { return error };
        let steps: String = at.iter().map(|step| format!("/{step}")).collect();
        match origin {
            Origin::File(path, pointer) if is_json(path, pointer) => {
                self.locate_at(error, path, &format!("{pointer}{steps}"))
            }
            Origin::Stdin(pointer) => self.locate_at(error, stdin::LABEL, &format!("{pointer}{steps}")),
            _ => error,
        }
    }

    /// Walks through a file or standard input once more, to find a place in it after a failure.
    pub fn locate(&self, error: Error, label: &str) -> Error {
        let error = error.with_origin(label);
        match &error.at {
            Some(Place::Pointer(pointer)) => {
                let pointer = pointer.clone();
                self.locate_at(error, label, &pointer)
            }
            _ => error,
        }
    }

    fn locate_at(&self, error: Error, label: &str, pointer: &str) -> Error {
        let text = match label {
            stdin::LABEL => self.stdin.again(),
            path => Some(self.open(path)),
        };
        let place = text.and_then(|text| json::locate_in(&mut text.ok()?, pointer));
        placed(error, place, pointer)
    }
}

fn is_json(path: &str, pointer: &str) -> bool {
    pointer.starts_with('/')
        || Path::new(path).extension().is_none_or(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The same for a text that is in memory.
pub(super) fn locate(error: Error, text: &str) -> Error {
    let Some(Place::Pointer(pointer)) = &error.at else { return error };
    let pointer = pointer.clone();
    let place = json::locate(text.as_bytes(), &pointer);
    placed(error, place, &pointer)
}

fn placed(error: Error, place: Option<(usize, usize)>, pointer: &str) -> Error {
    match place {
        Some((line, column)) => error.at(Place::Text { line, column, pointer: pointer.to_owned() }),
        None => error,
    }
}
