//! Positions of errors in a text. They are looked up only after an error, so that reading need not store any.

use crate::core::error::{Error, Place};
use crate::format::json;

/// Sets the line and column of an error with a JSON pointer into `text`.
pub(super) fn locate_in_text(error: Error, text: &str) -> Error {
    let Some(Place::Pointer(pointer)) = &error.at else { return error };
    let pointer = pointer.clone();
    set_position(error, json::locate(text.as_bytes(), &pointer), &pointer)
}

/// Sets the line and column of an error, if they were found.
pub(super) fn set_position(error: Error, position: Option<(usize, usize)>, pointer: &str) -> Error {
    match position {
        Some((line, column)) => error.at(Place::Text { line, column, pointer: pointer.to_owned() }),
        None => error,
    }
}
