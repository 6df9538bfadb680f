//! Places of cells in a table, found by reading it again.

use crate::core::error::Place;
use crate::format::source::Source;
use ::csv::ByteRecord;
use std::io::{BufRead, BufReader, Seek};

/// Stands for a separator of any number of blanks and tabs.
pub(super) const BLANKS: u8 = b' ';

/// Returns the cells between blanks of a line, up to a comment.
pub(super) fn blank_cells(line: &ByteRecord) -> impl Iterator<Item = &[u8]> {
    let words = line.iter().flat_map(|part| part.split(u8::is_ascii_whitespace));
    let before_comment = words.scan(false, |in_comment, word| {
        let end = word.iter().position(|&byte| byte == b'#');
        let is_after = std::mem::replace(in_comment, *in_comment || end.is_some());
        (!is_after).then(|| &word[..end.unwrap_or(word.len())])
    });
    before_comment.filter(|word| !word.is_empty())
}

/// Returns the line and column of the first character of a cell, in the row that begins at the byte `begin`.
pub(super) fn locate(source: Source<'_>, begin: u64, cell: usize, separator: u8) -> Place {
    let mut scanner =
        Scanner { at: 0, line: 1, column: 1, after: 0, in_row: false, cell: 0, is_quoted: false, is_start: true };
    let mut source = BufReader::with_capacity(1 << 16, source);
    let mut is_found = source.rewind().is_err();
    while !is_found {
        let Ok(bytes) = source.fill_buf() else { break };
        if bytes.is_empty() {
            break;
        }
        let bytes = match scanner.at {
            0 => bytes.strip_prefix(b"\xef\xbb\xbf").inspect(|_| scanner.at = 3).unwrap_or(bytes),
            _ => bytes,
        };
        let target = (begin, cell, separator);
        is_found = bytes.iter().any(|&byte| scanner.advance(byte, target));
        let used = source.buffer().len();
        source.consume(used);
    }
    Place::Text { line: scanner.line, column: scanner.column, pointer: String::new() }
}

/// State of a scan for a cell.
struct Scanner {
    at: u64,
    line: usize,
    column: usize,
    /// The byte before.
    after: u8,
    /// True in the row, after the line ends that may precede it.
    in_row: bool,
    /// Position of the current cell in the row.
    cell: usize,
    is_quoted: bool,
    /// True before the first character of a cell.
    is_start: bool,
}

impl Scanner {
    /// Returns true if the next byte begins the cell `cell` of the row at `begin`, or ends its row; otherwise moves past it.
    fn advance(&mut self, byte: u8, (begin, cell, separator): (u64, usize, u8)) -> bool {
        let is_line_end = matches!(byte, b'\n' | b'\r');
        if self.at >= begin {
            self.in_row |= !is_line_end;
            if self.in_row && self.is_at_cell(byte, cell, separator) {
                return true;
            }
        }
        match byte {
            b'\n' if self.after == b'\r' => {}
            b'\n' | b'\r' => (self.line, self.column) = (self.line + 1, 1),
            // Bytes after the first of a character.
            0x80..=0xbf => {}
            _ => self.column += 1,
        }
        (self.at, self.after) = (self.at + 1, byte);
        false
    }

    fn is_at_cell(&mut self, byte: u8, cell: usize, separator: u8) -> bool {
        let is_blank = matches!(byte, b' ' | b'\t') && byte != separator;
        if separator == BLANKS {
            let is_blank = matches!(byte, b' ' | b'\t');
            self.cell += usize::from(is_blank && !self.is_start);
            self.is_start = is_blank;
            return matches!(byte, b'\n' | b'\r') || (!is_blank && self.cell == cell);
        }
        if self.is_start && self.cell == cell && !is_blank {
            return true;
        }
        match byte {
            b'"' if self.is_start || self.is_quoted || self.after == b'"' => {
                (self.is_quoted, self.is_start) = (!self.is_quoted, false)
            }
            _ if self.is_quoted => {}
            b'\n' | b'\r' => return true,
            _ if byte == separator => (self.cell, self.is_start) = (self.cell + 1, true),
            _ => self.is_start &= is_blank,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_located_after_quotes_comments_and_every_line_end() {
        for (text, begin, cell, separator, line, column) in [
            ("1,\"a,\nb\",3\n", 0, 2, b',', 2, 4),
            ("1,\"a\"\"b\",3\n", 0, 2, b',', 1, 10),
            ("\u{feff}é, 2\n", 0, 1, b',', 1, 4),
            ("1\r2\r\n\n3,\t4", 5, 1, b',', 4, 4),
            ("# c\n  1 \t x # d\n", 4, 1, BLANKS, 2, 7),
            ("1,\n", 0, 1, b',', 1, 3),
            ("1,", 0, 1, b',', 1, 3),
        ] {
            let place = locate(Source::bytes("t", text.as_bytes()), begin, cell, separator);
            assert_eq!(place, Place::Text { line, column, pointer: String::new() }, "{text:?}");
        }
    }
}
