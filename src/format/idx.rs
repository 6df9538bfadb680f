//! IDX, the format of the MNIST files `…-images-idx3-ubyte`: a magic number with type and rank, the sizes, then the elements, all
//! big-endian.

use super::arrays::{ArrayStream, LoadedArray, OutputDtype};
use super::elements::{ArrayLayout, ElementType};
use super::errors::{decode_error, refuse_selector};
use super::file_format::Format;
use super::selector::Selector;
use super::source::Source;
use crate::core::error::Error;
use crate::core::name::Name;
use std::io::{self, Read};

/// One array of any rank; read-only.
pub struct Idx;

/// Size of the magic number, and of each axis, in bytes.
const WORD_BYTES: usize = 4;

impl Format for Idx {
    fn name(&self) -> &'static str {
        ".idx"
    }

    fn recognizes(&self, first: &[u8]) -> bool {
        first.first_chunk().is_some_and(|magic| parse_magic(*magic).is_some())
    }

    fn read(&self, mut source: Source<'_>, select: &Selector, _names: &[Name]) -> Result<LoadedArray, Error> {
        refuse_selector(select, self.name())?;
        let mut word = [0; WORD_BYTES];
        let mut read_word = |source: &mut Source<'_>| {
            source.read_exact(&mut word).map_err(|error| decode_error(&error))?;
            Ok(word)
        };
        let magic = read_word(&mut source)?;
        let Some((element, rank)) = parse_magic(magic) else { return Err(invalid_magic(magic)) };
        let axes = (0..rank).map(|_| Ok(u32::from_be_bytes(read_word(&mut source)?) as usize));
        let shape = axes.collect::<Result<Vec<usize>, Error>>()?;
        let layout = ArrayLayout { element, big_endian: true, is_fortran: false, shape };
        layout.check_size(source.len.saturating_sub((WORD_BYTES * (1 + rank)) as u64))?;
        layout.read(&mut source, true)
    }

    fn write(&self, _arrays: &mut dyn ArrayStream, _dtype: OutputDtype, _out: &mut dyn io::Write) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "an IDX file cannot be written"))
    }

    fn can_write(&self) -> bool {
        false
    }
}

/// Returns the type of the elements and the number of axes.
fn parse_magic(magic: [u8; WORD_BYTES]) -> Option<(ElementType, usize)> {
    let [0, 0, code, rank] = magic else { return None };
    let element = match code {
        0x08 => ElementType::U8,
        0x09 => ElementType::I8,
        0x0b => ElementType::I16,
        0x0c => ElementType::I32,
        0x0d => ElementType::F32,
        0x0e => ElementType::F64,
        _ => return None,
    };
    (rank > 0).then_some((element, rank.into()))
}

fn invalid_magic([a, b, c, d]: [u8; WORD_BYTES]) -> Error {
    super::errors::damaged(format!(
        "it begins with the bytes {a:02x} {b:02x} {c:02x} {d:02x}; expected 00 00, a type and a number of axes"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::error::Code;

    fn read(bytes: &[u8]) -> Result<LoadedArray, Error> {
        Idx.read(Source::bytes("t.idx", bytes), &Selector::Default, &[])
    }

    #[test]
    fn every_type_of_element_is_read() {
        for (code, data, expected) in [
            (8, &[255][..], 255.0),
            (9, &[255], -1.0),
            (0x0b, &[0xff, 0xfe], -2.0),
            (0x0c, &[0, 1, 0, 0], 65536.0),
            (0x0d, &[0x3f, 0xc0, 0, 0], 1.5),
            (0x0e, &[0xbf, 0xf0, 0, 0, 0, 0, 0, 0], -1.0),
        ] {
            let bytes = [&[0, 0, code, 2, 0, 0, 0, 1, 0, 0, 0, 1], data].concat();
            assert!(Idx.recognizes(&bytes));
            let found = read(&bytes).unwrap();
            assert_eq!((found.value.shape(), found.value[[0, 0]]), (&[1, 1][..], expected));
            assert_eq!(read(&bytes[..bytes.len() - 1]).unwrap_err().code, Code::Damaged);
        }
    }

    #[test]
    fn a_header_that_no_file_can_have_is_refused() {
        for bytes in [&b"\0\0\x08\x08\xff\xff\xff\xff"[..], b"\0\0\x07\x01\0\0\0\x01\x01", b"\0\0", b"\x01\0\x08\x01"] {
            assert_eq!(read(bytes).unwrap_err().code, Code::Damaged);
        }
        let huge = [&[0, 0, 0x0e, 3][..], &[0xff; 12]].concat();
        assert!(read(&huge).is_err());
        assert!(!Idx.recognizes(b"\0\0\x08\0") && !Idx.recognizes(b"\0\0"));
    }
}
