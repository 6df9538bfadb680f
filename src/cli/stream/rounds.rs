//! A stream in pieces of whole lines.

use std::io::{self, Read};

/// Bytes that are read and given to a thread at a time.
pub(super) const ROUND: usize = 1 << 18;

/// A stream's lines, so many bytes at a time, and at least one line.
pub(in crate::cli) struct Rounds<'a> {
    source: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// Where what was not handed out yet begins and ends.
    begin: usize,
    end: usize,
    ended: bool,
}

impl<'a> Rounds<'a> {
    pub(in crate::cli) fn new(source: &'a mut dyn Read, size: usize) -> Rounds<'a> {
        Rounds { source, buffer: vec![0; size], begin: 0, end: 0, ended: false }
    }

    /// The next lines: as many as there is room for, or, where `eager`, all that one reading brings.
    pub(in crate::cli) fn next(&mut self, eager: bool) -> io::Result<Option<&[u8]>> {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        Ok(self.find(eager)?.then(|| &self.buffer[..self.begin]))
    }

    /// The next lines, as many as there is room for, to be kept; what comes after them goes to `next`.
    pub(super) fn take(&mut self, next: Option<Vec<u8>>) -> io::Result<Option<Round>> {
        if !self.find(false)? {
            return Ok(None);
        }
        let mut next = next.unwrap_or_default();
        next.resize(ROUND.max(self.end - self.begin), 0);
        next[..self.end - self.begin].copy_from_slice(&self.buffer[self.begin..self.end]);
        let round = Round { buffer: std::mem::replace(&mut self.buffer, next), length: self.begin };
        (self.begin, self.end) = (0, self.end - self.begin);
        Ok(Some(round))
    }

    /// Makes the lines up to `begin` the next ones, where any are left.
    fn find(&mut self, eager: bool) -> io::Result<bool> {
        // Up to here no line ends.
        let mut searched = 0;
        while !self.ended {
            if self.end == self.buffer.len() {
                self.buffer.resize(2 * self.end, 0);
            }
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if eager || self.end == self.buffer.len() {
                if let Some(at) = memchr::memrchr(b'\n', &self.buffer[searched..self.end]) {
                    self.begin = searched + at + 1;
                    return Ok(true);
                }
                searched = self.end;
            }
        }
        self.begin = self.end;
        Ok(self.end > 0)
    }
}

/// Lines, in a buffer that may be used again.
pub(super) struct Round {
    pub(super) buffer: Vec<u8>,
    length: usize,
}

impl Round {
    pub(super) fn text(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}
