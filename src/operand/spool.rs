//! What came out of a stream that can be read only once.

use crate::core::error::Error;
use crate::core::signals::ignore_file_size_signal;
use crate::format::{Source, read_error};
use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// From here on it goes to a file: whoever reads it can do so a part at a time, as of any other.
const LARGE: usize = 1 << 22;

/// Bytes that are taken from a stream at a time.
const CHUNK: usize = 1 << 16;

/// All of a stream: in memory, or where it is large in a file without a name, which ends with this program.
pub(super) enum Kept {
    Memory(Vec<u8>),
    File(File, u64),
}

impl Kept {
    /// Reads a stream to its end. Where there is no room for a file, it is kept in memory.
    pub(super) fn of(stream: &mut dyn Read) -> io::Result<Kept> {
        let mut first = Vec::new();
        stream.take(LARGE as u64).read_to_end(&mut first)?;
        if first.len() < LARGE {
            return Ok(Kept::Memory(first));
        }
        match tempfile::tempfile() {
            Ok(file) => moved(first, stream, file),
            Err(_) => rest(first, stream),
        }
    }

    /// It from its beginning. Of a large one there is one reader at a time: they share the place in the file.
    pub(super) fn source<'a>(&'a self, label: &'a str) -> Result<Source<'a>, Error> {
        match self {
            Kept::Memory(bytes) => Ok(Source::bytes(label, bytes)),
            Kept::File(file, len) => {
                let again = || {
                    let mut file = file.try_clone()?;
                    file.rewind()?;
                    Ok(Source::file(label, file, *len))
                };
                again().map_err(|error| read_error(label, &error))
            }
        }
    }
}

/// Moves what was read, and the rest of a stream, to a file.
fn moved(mut chunk: Vec<u8>, stream: &mut dyn Read, mut file: File) -> io::Result<Kept> {
    ignore_file_size_signal();
    let mut len = 0;
    while !chunk.is_empty() {
        if file.write_all(&chunk).is_err() {
            // There is no room for more: what is in the file comes back.
            let mut bytes = Vec::new();
            file.rewind()?;
            file.take(len).read_to_end(&mut bytes)?;
            bytes.append(&mut chunk);
            return rest(bytes, stream);
        }
        len += chunk.len() as u64;
        chunk.clear();
        stream.take(CHUNK as u64).read_to_end(&mut chunk)?;
    }
    Ok(Kept::File(file, len))
}

/// What was read, and the rest of the stream.
fn rest(mut first: Vec<u8>, stream: &mut dyn Read) -> io::Result<Kept> {
    stream.read_to_end(&mut first)?;
    Ok(Kept::Memory(first))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * n % 251) as u8).collect()
    }

    #[test]
    fn what_is_large_is_in_a_file_and_comes_back_as_often_as_it_is_asked_for() {
        for (len, large) in [(0, false), (LARGE - 1, false), (LARGE, true), (LARGE + 3 * CHUNK + 5, true)] {
            let all = text(len);
            let kept = Kept::of(&mut &all[..]).unwrap();
            assert_eq!(matches!(kept, Kept::File(..)), large, "{len}");
            for _ in 0..2 {
                let source = kept.source("standard input").unwrap();
                assert_eq!(source.len, len as u64);
                assert!(source.read_all().unwrap() == all, "{len}");
            }
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn where_a_file_takes_no_more_all_is_kept_in_memory() {
        let (first, later) = (text(100), text(1000));
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let Kept::Memory(bytes) = moved(first.clone(), &mut &later[..], full).unwrap() else { unreachable!() };
        assert!(bytes == [first, later].concat());
    }
}
