//! Decompression of gzip, around a file of any format.

use super::errors::damaged;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Read};

/// Returns true if a compressed file may begin with these bytes.
pub fn is_gzip(first: &[u8]) -> bool {
    first.starts_with(&[0x1f, 0x8b])
}

/// Returns the content of a stream, which is decompressed if its first bytes are those of gzip. Deflate expands a byte to at most
/// 1032, so the content is at most so many times as long.
pub fn decompressed<'a>(mut stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut first = Vec::new();
    stream.by_ref().take(2).read_to_end(&mut first)?;
    let is_compressed = is_gzip(&first);
    let all = io::Cursor::new(first).chain(stream);
    Ok(match is_compressed {
        true => Box::new(Gunzip { decoder: MultiGzDecoder::new(BufReader::with_capacity(1 << 16, all)), produced: 0 }),
        false => Box::new(all),
    })
}

struct Gunzip<R: Read> {
    decoder: MultiGzDecoder<BufReader<R>>,
    /// Number of decompressed bytes so far.
    produced: u64,
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer).map_err(|error| match error.raw_os_error() {
            Some(_) => error,
            None => {
                let kind = error.kind();
                let found = if kind == io::ErrorKind::UnexpectedEof { "ends" } else { "is invalid" };
                let message = format!("its gzip data {found} after {} bytes of content", self.produced);
                io::Error::new(kind, damaged(message))
            }
        })?;
        self.produced += read as u64;
        Ok(read)
    }
}
