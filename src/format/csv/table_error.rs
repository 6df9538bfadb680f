//! Errors of a table; each gets its place when the table is read again.

use super::cell::explain_cell;
use super::first_row::{FirstRow, explain_comment, explain_first_row};
use super::place::locate;
use crate::core::error::Error;
use crate::format::source::Source;
use std::io::{self, BufRead, BufReader, Seek};

/// A reason why a table cannot be read.
pub(super) enum TableError {
    /// A cell that is not a number, in the row that begins at the byte `begin`.
    Cell { begin: u64, cell: usize, row: Vec<String> },
    /// A cell of the first row that is not a number; `next` is the row after it.
    FirstRow { begin: u64, cell: usize, row: Vec<String>, next: Vec<String> },
    /// A row at the byte `begin`.
    Row { begin: u64, error: Error },
    /// An error without a place.
    Other(Error),
}

/// Returns the error, with the place that it has in the source.
pub(super) fn explain(error: TableError, mut source: Source<'_>, separator: u8) -> Error {
    let (error, begin, cell) = match error {
        TableError::Cell { begin, cell, row } => {
            let error = explain_comment(&row, source.label, separator).unwrap_or_else(|| explain_cell(&row[cell]));
            (error, begin, cell)
        }
        TableError::FirstRow { begin, cell, row, next } => {
            let label = source.label;
            // A file that cannot be read again is believed to have every sign, so that no command is advised.
            let signs = find_signs(&mut source).unwrap_or([true; 2]);
            let error = explain_first_row(&FirstRow { row: &row, next: &next, cell, separator, label, signs });
            (error, begin, cell)
        }
        TableError::Row { begin, error } => (error, begin, 0),
        TableError::Other(error) => return error,
    };
    let place = locate(source, begin, cell, separator);
    error.at(place)
}

/// Returns two flags: true if a text has commas, and true if it has points.
fn find_signs(source: &mut Source<'_>) -> io::Result<[bool; 2]> {
    source.rewind()?;
    let (mut text, mut signs) = (BufReader::with_capacity(1 << 16, source), [false; 2]);
    loop {
        let bytes = text.fill_buf()?;
        if bytes.is_empty() {
            return Ok(signs);
        }
        for (is_found, sign) in signs.iter_mut().zip(*b",.") {
            *is_found |= memchr::memchr(sign, bytes).is_some();
        }
        let used = bytes.len();
        text.consume(used);
    }
}
