//! Bytes to read from: a file or a buffer.

use super::errors::{out_of_memory, read_error};
use crate::core::error::Error;
use crate::parallel::progress::Progress;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek};

/// A seekable source of a known number of bytes: an open file, or bytes in memory.
pub struct Source<'a> {
    /// The name in messages: the path, or `standard input`.
    pub label: &'a str,
    /// Number of bytes; readers never allocate more than a multiple of it.
    pub len: u64,
    body: Body<'a>,
    progress: Progress,
}

enum Body<'a> {
    File(File),
    Bytes(io::Cursor<&'a [u8]>),
}

impl<'a> Source<'a> {
    /// Returns a source that reads an open regular file of `len` bytes.
    pub fn file(label: &'a str, file: File, len: u64) -> Source<'a> {
        Source::new(label, len, Body::File(file))
    }

    /// Returns a source that reads bytes in memory.
    pub fn bytes(label: &'a str, bytes: &'a [u8]) -> Source<'a> {
        Source::new(label, bytes.len() as u64, Body::Bytes(io::Cursor::new(bytes)))
    }

    fn new(label: &'a str, len: u64, body: Body<'a>) -> Source<'a> {
        let progress = Progress::new("reading", usize::try_from(len).unwrap_or(usize::MAX));
        Source { label, len, body, progress }
    }

    /// Reads all bytes into memory; bytes that are there already are borrowed.
    pub fn read_all(self) -> Result<Cow<'a, [u8]>, Error> {
        match self.body {
            Body::Bytes(bytes) => Ok(bytes.into_inner().into()),
            Body::File(mut file) => {
                let mut bytes = Vec::new();
                if bytes.try_reserve_exact(usize::try_from(self.len).unwrap_or(usize::MAX)).is_err() {
                    return Err(out_of_memory(self.len).with_origin(self.label));
                }
                match file.read_to_end(&mut bytes) {
                    Ok(_) => Ok(bytes.into()),
                    Err(error) => Err(read_error(self.label, &error)),
                }
            }
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.body {
            Body::File(file) => file.read(buffer),
            Body::Bytes(bytes) => bytes.read(buffer),
        }?;
        self.progress.advance(read);
        Ok(read)
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        match &mut self.body {
            Body::File(file) => file.seek(to),
            Body::Bytes(bytes) => bytes.seek(to),
        }
    }
}
