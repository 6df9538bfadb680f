//! Splits a stream into chunks of whole lines.

use std::io::{self, Read};

/// Size of the chunks that threads process, in bytes.
pub(crate) const CHUNK_BYTES: usize = 1 << 18;

/// Reads a stream in chunks of whole lines. A chunk has at least one line, however long that is.
pub(crate) struct LineReader<'a> {
    source: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// Range of the buffer that was read and not yet returned.
    begin: usize,
    end: usize,
    at_end: bool,
}

/// Whole lines in a buffer that can be recycled.
pub(crate) struct LineChunk {
    pub(crate) buffer: Vec<u8>,
    length: usize,
}

impl LineChunk {
    /// Returns the lines.
    pub(crate) fn text(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl<'a> LineReader<'a> {
    /// Creates a reader whose chunks have at most `chunk_bytes` bytes, unless a line is longer.
    pub(crate) fn new(source: &'a mut dyn Read, chunk_bytes: usize) -> LineReader<'a> {
        LineReader { source, buffer: vec![0; chunk_bytes], begin: 0, end: 0, at_end: false }
    }

    /// Returns the next lines: as many as fit the buffer or, if `eager`, those that a single read completes.
    pub(crate) fn next_lines(&mut self, eager: bool) -> io::Result<Option<&[u8]>> {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        Ok(self.fill(eager)?.then(|| &self.buffer[..self.begin]))
    }

    /// Returns the next lines with their buffer, and continues in the buffer `next`.
    pub(crate) fn next_chunk(&mut self, next: Option<Vec<u8>>) -> io::Result<Option<LineChunk>> {
        if !self.fill(false)? {
            return Ok(None);
        }
        let mut next = next.unwrap_or_default();
        next.resize(CHUNK_BYTES.max(self.end - self.begin), 0);
        next[..self.end - self.begin].copy_from_slice(&self.buffer[self.begin..self.end]);
        let chunk = LineChunk { buffer: std::mem::replace(&mut self.buffer, next), length: self.begin };
        (self.begin, self.end) = (0, self.end - self.begin);
        Ok(Some(chunk))
    }

    /// Reads until the buffer has whole lines, and sets `begin` to their end. Returns false at the end of the stream.
    fn fill(&mut self, eager: bool) -> io::Result<bool> {
        let mut searched = 0;
        while !self.at_end {
            if self.end == self.buffer.len() {
                self.buffer.resize(2 * self.end, 0);
            }
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
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
