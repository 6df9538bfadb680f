//! Places in a text, found again after a failure, so that the good path stores none.

use super::{Operands, Origin, Reader, stdin};
use crate::core::error::{Error, Fact, Place, shape};
use crate::format::json;
use std::path::Path;

impl Reader<'_> {
    /// Turns an index or pointer of a fault into a place in the text that the operand was read from.
    pub fn place(&self, mut fault: Error, operands: &Operands) -> Error {
        // The message has the shapes; a line for each is worth its place where it says which file to look at.
        let traced = |fact: Fact| match fact {
            Fact::Shape(name, sides) => {
                let label = operands.origin(&name).and_then(Origin::label)?;
                Some(Fact::Text(format!("{name} is {}, from {label}", shape(&sides))))
            }
            text @ Fact::Text(_) => Some(text),
        };
        fault.facts = std::mem::take(&mut fault.facts).into_iter().filter_map(traced).collect();
        let Some(origin) = fault.operand.as_ref().and_then(|name| operands.origin(name)) else { return fault };
        if let Some(label) = origin.label() {
            fault = fault.from(label);
        }
        let Some(Place::Index(at)) = &fault.at else { return fault };
        let steps: String = at.iter().map(|step| format!("/{step}")).collect();
        match origin {
            Origin::File(path, pointer) if is_json(path, pointer) => {
                self.locate_at(fault, path, &format!("{pointer}{steps}"))
            }
            Origin::Stdin(pointer) => self.locate_at(fault, stdin::LABEL, &format!("{pointer}{steps}")),
            _ => fault,
        }
    }

    /// Walks through a file or standard input once more, to find a place in it after a failure.
    pub fn locate(&self, fault: Error, label: &str) -> Error {
        let fault = fault.from(label);
        match &fault.at {
            Some(Place::Pointer(pointer)) => {
                let pointer = pointer.clone();
                self.locate_at(fault, label, &pointer)
            }
            _ => fault,
        }
    }

    fn locate_at(&self, fault: Error, label: &str, pointer: &str) -> Error {
        let text = match label {
            stdin::LABEL => self.stdin.again(),
            path => Some(self.open(path)),
        };
        let place = text.and_then(|text| json::locate_in(&mut text.ok()?, pointer));
        placed(fault, place, pointer)
    }
}

fn is_json(path: &str, pointer: &str) -> bool {
    pointer.starts_with('/')
        || Path::new(path).extension().is_none_or(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The same for a text that is in memory.
pub(super) fn locate(fault: Error, text: &str) -> Error {
    let Some(Place::Pointer(pointer)) = &fault.at else { return fault };
    let pointer = pointer.clone();
    let place = json::locate(text.as_bytes(), &pointer);
    placed(fault, place, &pointer)
}

fn placed(fault: Error, place: Option<(usize, usize)>, pointer: &str) -> Error {
    match place {
        Some((line, column)) => fault.at(Place::Text { line, column, pointer: pointer.to_owned() }),
        None => fault,
    }
}
