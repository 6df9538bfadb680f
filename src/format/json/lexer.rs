//! Lexer of JSON (RFC 8259). Every reader of JSON takes its tokens from here, one by one as its grammar expects them.
//!
//! `NaN`, `Infinity` and `-Infinity`, which Python writes, are numbers too. `docs/json.md` lists what is accepted.

use super::number::{JsonNumber, NON_FINITE, number};
use crate::core::error::Code;
use std::borrow::Cow;
use std::ops::Range;

/// Text in memory, and the position of the next token in it.
pub(super) struct Lexer<'a> {
    pub(super) text: &'a [u8],
    pub(super) offset: usize,
}

/// Error of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenError {
    pub(super) code: Code,
    /// Offset of the error.
    pub(super) offset: usize,
    /// End of the text that the error depends on.
    pub(super) end: usize,
    pub(super) message: &'static str,
}

impl TokenError {
    fn new(range: Range<usize>, message: &'static str) -> TokenError {
        TokenError { code: Code::JsonSyntax, offset: range.start, end: range.end, message }
    }
}

impl<'a> Lexer<'a> {
    #[inline(always)]
    pub(super) fn new(text: &'a [u8], offset: usize) -> Lexer<'a> {
        Lexer { text, offset }
    }

    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.offset..).unwrap_or_default()
    }

    /// Skips whitespace and returns the next byte.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.offset) {
            self.offset += 1;
        }
        self.text.get(self.offset).copied()
    }

    /// Skips whitespace and then `byte`, if it is next.
    #[inline(always)]
    pub(super) fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.offset += 1)
    }

    /// Skips `bytes` if they are next.
    #[inline]
    pub(super) fn eat_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest().starts_with(bytes).then(|| self.offset += bytes.len())
    }

    /// Skips a literal name: true, false or null.
    pub(super) fn name(&mut self, name: &str) -> Result<(), TokenError> {
        self.eat_bytes(name.as_bytes()).ok_or_else(|| {
            let equal = name.bytes().zip(self.rest()).take_while(|(a, b)| a == *b).count();
            Lexer::new(self.text, self.offset + equal).expected_value()
        })
    }

    /// Reads a number.
    #[inline]
    pub(super) fn number(&mut self) -> Result<f64, TokenError> {
        match number(self.rest()) {
            Some((value, length)) => {
                self.offset += length;
                Ok(value)
            }
            None => self.non_finite_or_error(),
        }
    }

    #[cold]
    fn non_finite_or_error(&mut self) -> Result<f64, TokenError> {
        let text = self.rest();
        let [nan, infinity, minus_infinity] = NON_FINITE;
        let (name, value) = match text {
            [b'N', ..] => nan,
            [b'I', ..] => infinity,
            [b'-', b'I', ..] => minus_infinity,
            [b'-' | b'0'..=b'9', ..] => {
                let begin = self.offset;
                return Err(match scan_number(text) {
                    Ok(length) => TokenError { code: Code::NumberRange, ..TokenError::new(begin..begin + length, "") },
                    Err(at) => TokenError::new(begin + at..begin + at + 1, "invalid number"),
                });
            }
            _ => return Err(self.expected_value()),
        };
        self.name(name).map(|()| value)
    }

    /// Reads an element of an array of numbers, where strings may stand for numbers that are not finite, and null for a
    /// missing one.
    #[inline(always)]
    pub(super) fn element<T: JsonNumber>(&mut self) -> Option<T> {
        let text = self.rest();
        match number(text) {
            Some((value, length)) => {
                self.offset += length;
                Some(T::from_token(&text[..length], value))
            }
            None => self.named_element(),
        }
    }

    #[cold]
    #[inline(never)]
    fn named_element<T: JsonNumber>(&mut self) -> Option<T> {
        if let Some(missing) = T::missing()
            && self.eat_bytes(b"null").is_some()
        {
            return Some(missing);
        }
        let (begin, is_quoted) = (self.offset, self.rest().first() == Some(&b'"'));
        self.offset += usize::from(is_quoted);
        let found = NON_FINITE.iter().find(|(name, _)| self.eat_bytes(name.as_bytes()).is_some());
        match found.filter(|_| !is_quoted || self.eat_bytes(b"\"").is_some()) {
            Some((name, value)) => Some(T::from_token(name.as_bytes(), *value)),
            None => {
                self.offset = begin;
                None
            }
        }
    }

    /// Reads a string.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, TokenError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected_value());
        }
        let text = &self.text[self.offset + 1..];
        let end = text.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ').unwrap_or(text.len());
        if text.get(end) == Some(&b'"')
            && let Ok(string) = std::str::from_utf8(&text[..end])
        {
            self.offset += end + 2;
            return Ok(Cow::Borrowed(string));
        }
        self.escaped_string(end).map(Cow::Owned)
    }

    /// Reads a string whose first `plain` bytes need no decoding, or returns its error.
    #[cold]
    fn escaped_string(&mut self, plain: usize) -> Result<String, TokenError> {
        let (begin, mut end) = (self.offset, self.offset + 1 + plain);
        loop {
            match self.text.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(0..b' ') => {
                    return Err(TokenError::new(end..end + 1, "unescaped control character in a string"));
                }
                Some(_) => end += 1,
                None => {
                    let end = self.text.len();
                    return Err(TokenError::new(end..end, "expected `\"` at the end of a string"));
                }
            }
        }
        let token = &self.text[begin..=end];
        self.offset = end + 1;
        if let Err(error) = std::str::from_utf8(token) {
            return Err(TokenError::new(begin + error.valid_up_to()..end, "invalid UTF-8 in a string"));
        }
        let invalid_escape = |error: serde_json::Error| {
            TokenError::new(begin + error.column().saturating_sub(2)..end, "invalid escape in a string")
        };
        serde_json::from_slice(token).map_err(invalid_escape)
    }

    /// Returns the error of a text that is not a value.
    pub(super) fn expected_value(&self) -> TokenError {
        self.expected("expected a value")
    }

    /// Returns an error at the next byte.
    pub(super) fn expected(&self, message: &'static str) -> TokenError {
        let longest_name = "-Infinity".len();
        TokenError::new(self.offset..self.offset + longest_name, message)
    }
}

/// Returns the length of the number that the text begins with, or the position of the byte that makes it invalid.
fn scan_number(text: &[u8]) -> Result<usize, usize> {
    let digits = |begin: usize| match text[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => Err(begin),
        count => Ok(begin + count),
    };
    let begin = usize::from(text.first() == Some(&b'-'));
    let mut end = digits(begin)?;
    if end > begin + 1 && text[begin] == b'0' {
        return Err(begin + 1);
    }
    if text.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        end = digits(end + 1 + usize::from(matches!(text.get(end + 1), Some(b'+' | b'-'))))?;
    }
    Ok(end)
}
