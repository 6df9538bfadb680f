//! Errors of a parser, and their place in the text.

use crate::core::error::{Code, Error, Place};
use crate::format::selector::escape;
use memchr::{memchr_iter, memrchr};
use std::io::{self, Read, Write};

/// Error of a document at an offset. The pointer is built on the way out of the value.
#[derive(Debug)]
pub(super) struct ParseError {
    pub(super) code: Code,
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) tip: Option<&'static str>,
    /// Parts of the pointer, the last first.
    path: Vec<String>,
}

/// Result of a parser. The error is boxed, because a result is returned for every value.
pub(super) type Parsed<T> = Result<T, Box<ParseError>>;

impl ParseError {
    pub(super) fn new(code: Code, offset: usize, message: impl Into<String>) -> Box<ParseError> {
        Box::new(ParseError { code, offset, message: message.into(), tip: None, path: Vec::new() })
    }

    /// Prepends a key or index to the pointer.
    pub(super) fn under(mut self: Box<Self>, part: impl ToString) -> Box<ParseError> {
        self.path.push(part.to_string());
        self
    }

    /// Returns the error with its line and column in the text, which is read again from its beginning.
    pub(super) fn locate(self, text: &mut dyn Read) -> Error {
        let (line, column) = line_and_column(text, self.offset).unwrap_or((1, 1));
        let pointer = self.path.iter().rev().map(|part| format!("/{}", escape(part))).collect();
        let error = Error::new(self.code, self.message).at(Place::Text { line, column, pointer });
        match self.tip {
            Some(tip) => error.tip(tip),
            None => error,
        }
    }
}

/// Returns the line and the column, in characters and from 1, of a byte. A byte order mark has no column.
pub(super) fn line_and_column(text: &mut dyn Read, offset: usize) -> io::Result<(usize, usize)> {
    /// Line and column of the end of the text that was written to it.
    struct Position {
        line: usize,
        column: usize,
        is_start: bool,
    }
    impl Write for Position {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let has_mark = std::mem::take(&mut self.is_start) && text.starts_with(b"\xef\xbb\xbf");
            let mut last_line = &text[if has_mark { 3 } else { 0 }..];
            if let Some(at) = memrchr(b'\n', last_line) {
                self.line += memchr_iter(b'\n', last_line).count();
                self.column = 1;
                last_line = &last_line[at + 1..];
            }
            self.column += last_line.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
            Ok(text.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut position = Position { line: 1, column: 1, is_start: true };
    io::copy(&mut text.take(offset as u64), &mut position)?;
    Ok((position.line, position.column))
}

/// Returns a tip for the notation of another language at a position.
pub(super) fn notation_tip(text: &[u8], position: usize) -> Option<&'static str> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let begin = text[..position].iter().rposition(|byte| !is_word(byte)).map_or(0, |at| at + 1);
    let token = &text[begin..];
    let end = token.iter().position(|byte| !is_word(byte) && *byte != b'\'').unwrap_or(token.len()).min(20);
    let token = String::from_utf8_lossy(&token[..end]).to_ascii_lowercase();
    match token.as_str() {
        token if token.starts_with('\'') => Some("use double quotes for strings and keys"),
        token if token.starts_with("nan") || token.starts_with("-nan") => Some("write \"NaN\""),
        token if token.starts_with("inf") || token.starts_with("+inf") => Some("write \"Infinity\""),
        token if token.starts_with("-inf") => Some("write \"-Infinity\""),
        token if token.starts_with(['.', '+']) || token.starts_with("-.") || token.ends_with('.') => {
            Some("write digits on both sides of the decimal point and no plus sign: 0.5, 1.0")
        }
        token if matches!(token.trim_start_matches('-').as_bytes(), [b'0', b'0'..=b'9', ..]) => {
            Some("remove the leading zeros")
        }
        token if token.starts_with("true") || token.starts_with("false") || token.starts_with("none") => {
            Some("write true, false or null")
        }
        _ => None,
    }
}
