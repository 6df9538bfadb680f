//! Text of a document, in memory or read from a stream one window at a time.

use super::lexer::{Lexer, TokenError};
use super::number::JsonNumber;
use crate::core::alloc::may_fail;
use crate::format::source::Source;
use memchr::memrchr;
use std::borrow::Cow;
use std::io::{self, Read};

/// Bytes that are read together.
pub(super) const WINDOW_BYTES: usize = 1 << 20;

/// Bytes around the position of an error that are in the window, for its tip.
pub(super) const CONTEXT_BYTES: usize = 64;

/// Window of a document, and the position of the next token in it.
pub(super) struct Input<'a> {
    text: Cow<'a, [u8]>,
    position: usize,
    /// Bytes of the document before the window.
    dropped: usize,
    /// The text after the window; `None` at the end of the document.
    source: Option<&'a mut dyn Read>,
    window_bytes: usize,
    /// The error that ended reading.
    pub(super) read_error: Option<io::Error>,
}

impl<'a> Input<'a> {
    /// Returns the input for a document in memory, from its byte order mark on.
    pub(super) fn from_bytes(text: &'a [u8]) -> Input<'a> {
        Input::new(Cow::Borrowed(text), None, WINDOW_BYTES)
    }

    /// Returns the input for a document that is read a window at a time.
    pub(super) fn from_source(source: &'a mut Source<'_>) -> Input<'a> {
        let window_bytes = usize::try_from(source.len).unwrap_or(WINDOW_BYTES).clamp(1, WINDOW_BYTES);
        Input::from_reader(source, window_bytes)
    }

    /// Returns the input for a document that is read `window_bytes` at a time.
    pub(super) fn from_reader(source: &'a mut dyn Read, window_bytes: usize) -> Input<'a> {
        let mut input = Input::new(Cow::Owned(Vec::new()), Some(source), window_bytes);
        input.fill(4);
        Input { position: mark_length(&input.text), ..input }
    }

    fn new(text: Cow<'a, [u8]>, source: Option<&'a mut dyn Read>, window_bytes: usize) -> Input<'a> {
        Input { position: mark_length(&text), text, dropped: 0, source, window_bytes, read_error: None }
    }

    /// Returns the part of the window that has not been read.
    pub(super) fn rest(&self) -> &[u8] {
        &self.text[self.position..]
    }

    /// Returns the window and the position in it of an offset in the document.
    pub(super) fn context(&self, offset: usize) -> (&[u8], usize) {
        (&self.text, offset.saturating_sub(self.dropped).min(self.text.len()))
    }

    /// Returns the offset of the next token in the document.
    pub(super) fn offset(&self) -> usize {
        self.dropped + self.position
    }

    /// Skips bytes of the window.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.position += bytes;
    }

    fn lexer(&self) -> Lexer<'_> {
        Lexer::new(&self.text, self.position)
    }

    /// Skips whitespace and returns the next byte.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let mut lexer = self.lexer();
            let next = lexer.peek();
            self.position = lexer.offset;
            if next.is_some() || !self.refill() {
                return next;
            }
        }
    }

    /// Skips whitespace and then `byte`, if it is next.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.position += 1)
    }

    /// Reads a token. One that may continue after the window is read again when more text is there.
    #[inline]
    pub(super) fn token<T>(&mut self, read: impl Fn(&mut Lexer<'_>) -> Result<T, TokenError>) -> Result<T, TokenError> {
        loop {
            let mut lexer = self.lexer();
            let token = read(&mut lexer);
            let offset = lexer.offset;
            let end = token.as_ref().map_or_else(|error| error.end, |_| offset);
            if end < self.text.len() || self.source.is_none() {
                self.position = offset;
                return token.map_err(|error| TokenError { offset: error.offset + self.dropped, ..error });
            }
            self.refill();
        }
    }

    /// Reads a string, without a copy where the document is in memory.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, TokenError> {
        self.peek();
        let Cow::Borrowed(text) = self.text else {
            return self.token(|lexer| lexer.string().map(|string| Cow::Owned(string.into_owned())));
        };
        let mut lexer = Lexer::new(text, self.position);
        let string = lexer.string()?;
        self.position = lexer.offset;
        Ok(string)
    }

    /// Fast path: appends the elements of an array of numbers as far as they and the bytes after them are in the window.
    /// Returns true after the end of the array.
    pub(super) fn elements<T: JsonNumber>(&mut self, values: &mut Vec<T>) -> bool {
        let mut lexer = self.lexer();
        let (position, is_end) = loop {
            let position = lexer.offset;
            lexer.peek();
            let Some(value) = lexer.element() else { break (position, false) };
            match lexer.peek() {
                Some(b',') => values.push(value),
                Some(b']') => {
                    values.push(value);
                    break (lexer.offset + 1, true);
                }
                _ => break (position, false),
            }
            lexer.offset += 1;
        };
        self.position = position;
        is_end
    }

    /// Reads on until `bytes` are in the window after the position, or the document ends.
    pub(super) fn fill(&mut self, bytes: usize) {
        while self.rest().len() < bytes && self.refill() {}
    }

    /// Extends the window; returns false at the end of the document.
    #[cold]
    fn refill(&mut self) -> bool {
        let Some(source) = &mut self.source else { return false };
        let text = self.text.to_mut();
        let dropped = self.position.saturating_sub(CONTEXT_BYTES);
        text.drain(..dropped);
        self.position -= dropped;
        self.dropped += dropped;
        // A token longer than a window doubles it, so that its bytes are read again only a constant number of times.
        let (before, wanted) = (text.len(), self.window_bytes.max(text.len()));
        let read = match may_fail(|| text.try_reserve(wanted)) {
            Ok(()) => source.take(wanted as u64).read_to_end(text),
            Err(_) => Err(io::ErrorKind::OutOfMemory.into()),
        };
        if !matches!(read, Ok(bytes) if bytes == wanted) {
            self.source = None;
            self.read_error = read.err();
        }
        self.text.len() > before
    }

    /// Cuts off text that ends with `]`, a window of it where there is so much.
    pub(super) fn cut_chunk(&mut self) -> Option<Vec<u8>> {
        self.fill(self.window_bytes);
        loop {
            let rest = self.rest();
            let window = &rest[..rest.len().min(self.window_bytes)];
            if let Some(last) = memrchr(b']', window).or_else(|| memrchr(b']', rest)) {
                let chunk = rest[..=last].to_vec();
                self.position += chunk.len();
                return Some(chunk);
            }
            if !self.refill() {
                return None;
            }
        }
    }

    /// Puts back the last bytes that were cut off.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        match &mut self.text {
            Cow::Borrowed(_) => self.position -= bytes.len(),
            Cow::Owned(text) => {
                self.dropped = self.dropped + self.position - bytes.len();
                text.splice(..self.position, bytes.iter().copied());
                self.position = 0;
            }
        }
    }
}

/// Returns the length of the byte order mark that a document may begin with.
fn mark_length(text: &[u8]) -> usize {
    if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}
