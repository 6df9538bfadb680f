//! A copy of a stream that can be read only once, such as a pipe.

use crate::core::error::Error;
use crate::format::{Source, decompressed, read_error};
use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// Largest stream in bytes that is kept in memory; a larger one goes to a file, from which parts can be read.
const MAX_MEMORY_BYTES: usize = 1 << 22;

/// Number of bytes copied at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// The content of a stream: in memory, or in an unnamed temporary file with its length.
pub(super) enum Spool {
    Memory(Vec<u8>),
    File(File, u64),
}

impl Spool {
    /// Reads a stream to its end, decompressed if it is compressed. If no temporary file can be made, the content stays in memory.
    pub(super) fn read(stream: &mut dyn Read) -> io::Result<Spool> {
        let stream = &mut *decompressed(stream)?;
        let mut first = Vec::new();
        stream.take(MAX_MEMORY_BYTES as u64).read_to_end(&mut first)?;
        if first.len() < MAX_MEMORY_BYTES {
            return Ok(Spool::Memory(first));
        }
        match tempfile::tempfile() {
            Ok(file) => copy_to_file(first, stream, file),
            Err(_) => read_rest(first, stream),
        }
    }

    /// Returns a source of the content. Only one source of a file may be in use, since they share its position.
    pub(super) fn source<'a>(&'a self, label: &'a str) -> Result<Source<'a>, Error> {
        match self {
            Spool::Memory(bytes) => Ok(Source::bytes(label, bytes)),
            Spool::File(file, len) => {
                let reopen = || {
                    let mut file = file.try_clone()?;
                    file.rewind()?;
                    Ok(Source::file(label, file, *len))
                };
                reopen().map_err(|error| read_error(label, &error))
            }
        }
    }
}

/// Copies the bytes read so far and the rest of a stream to a file.
fn copy_to_file(mut chunk: Vec<u8>, stream: &mut dyn Read, mut file: File) -> io::Result<Spool> {
    let mut len = 0;
    while !chunk.is_empty() {
        if file.write_all(&chunk).is_err() {
            // The disk is full: read the file back and continue in memory.
            let mut bytes = Vec::new();
            file.rewind()?;
            file.take(len).read_to_end(&mut bytes)?;
            bytes.append(&mut chunk);
            return read_rest(bytes, stream);
        }
        len += chunk.len() as u64;
        chunk.clear();
        stream.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    }
    Ok(Spool::File(file, len))
}

/// Reads the rest of a stream into memory.
fn read_rest(mut first: Vec<u8>, stream: &mut dyn Read) -> io::Result<Spool> {
    stream.read_to_end(&mut first)?;
    Ok(Spool::Memory(first))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * n % 251) as u8).collect()
    }

    #[test]
    fn a_large_stream_is_spooled_to_a_file_and_read_several_times() {
        let lengths = [0, MAX_MEMORY_BYTES - 1, MAX_MEMORY_BYTES, MAX_MEMORY_BYTES + 3 * CHUNK_BYTES + 5];
        for (len, is_large) in lengths.into_iter().zip([false, false, true, true]) {
            let content = text(len);
            let spool = Spool::read(&mut &content[..]).unwrap();
            assert_eq!(matches!(spool, Spool::File(..)), is_large, "{len}");
            for _ in 0..2 {
                let (mut source, mut read) = (spool.source("standard input").unwrap(), Vec::new());
                assert_eq!(source.len, len as u64);
                source.read_to_end(&mut read).unwrap();
                assert!(read == content, "{len}");
            }
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_leaves_the_content_in_memory() {
        let (first, later) = (text(100), text(1000));
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let Spool::Memory(bytes) = copy_to_file(first.clone(), &mut &later[..], full).unwrap() else { unreachable!() };
        assert!(bytes == [first, later].concat());
    }
}
