//! Bytes to read from: a file or a buffer.

use crate::parallel::progress::Progress;
use std::fs::File;
use std::io::{self, Read, Seek};

/// A seekable source of a known number of bytes: an open file, or bytes in memory.
pub struct Source<'a> {
    /// The name in messages: the path, or `standard input`.
    pub label: &'a str,
    /// Number of bytes; readers never allocate more than a multiple of it.
    pub len: u64,
    body: Box<dyn ReadSeek + 'a>,
    progress: Progress,
}

trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

impl<'a> Source<'a> {
    /// Returns a source that reads an open regular file of `len` bytes.
    pub fn file(label: &'a str, file: File, len: u64) -> Source<'a> {
        Source::new(label, len, file)
    }

    /// Returns a source that reads bytes in memory.
    pub fn bytes(label: &'a str, bytes: &'a [u8]) -> Source<'a> {
        Source::new(label, bytes.len() as u64, io::Cursor::new(bytes))
    }

    fn new(label: &'a str, len: u64, body: impl Read + Seek + 'a) -> Source<'a> {
        let progress = Progress::new("reading", usize::try_from(len).unwrap_or(usize::MAX));
        Source { label, len, body: Box::new(body), progress }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.progress.advance(read);
        Ok(read)
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.body.seek(to)
    }
}
