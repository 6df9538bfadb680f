//! NumPy's `.npy`: magic, version, a Python dict that says type, order and shape, then the elements.

use super::elements::{Layout, cut_off};
use super::{ArrayStream, Format, LoadedArray, OutputDtype, Selector, Source, refuse_selector};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::parallel::progress::Progress;
use ndarray::ArrayD;
use std::io::{self, Read};

mod header;
pub mod rows;

/// One array in NumPy's own format.
pub struct Npy;

/// The first bytes.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Numbers that are written together.
const CHUNK: usize = 1 << 13;

/// A header longer than this describes no plain array.
const LONGEST_HEADER: u64 = 1 << 20;

impl Format for Npy {
    fn name(&self) -> &'static str {
        ".npy"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npy"]
    }

    fn recognizes(&self, first: &[u8]) -> bool {
        first.starts_with(MAGIC)
    }

    fn read(&self, mut source: Source<'_>, select: &Selector, _wanted: &[Name]) -> Result<LoadedArray, Error> {
        let (label, len) = (source.label, source.len);
        refuse_selector(select, self)
            .and_then(|()| read_array(&mut source, len, true))
            .map_err(|error| error.with_origin(label))
    }

    fn has_names(&self) -> bool {
        false
    }

    fn write(&self, arrays: &mut dyn ArrayStream, wide: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
        while let Some((_, shape)) = arrays.next_array()? {
            write_array(&shape, arrays, wide, out)?;
        }
        Ok(())
    }
}

/// Reads one array of `len` bytes with its header. `certain` says that these bytes are known to be there.
pub(super) fn read_array(from: &mut dyn Read, len: u64, certain: bool) -> Result<LoadedArray, Error> {
    let (layout, before) = read_header(from, len)?;
    layout.admit(len - before)?;
    let value = layout.read(from, certain)?;
    match from.read(&mut [0]) {
        Ok(0) => Ok(LoadedArray { value, rounding: layout.element.rounding(), pointer: String::new() }),
        Ok(_) => Err(damaged("is damaged: it goes on after its last number")),
        Err(error) => Err(cut_off(&error)),
    }
}

/// The layout, and the bytes in front of the elements.
fn read_header(from: &mut dyn Read, len: u64) -> Result<(Layout, u64), Error> {
    let begin = take(from, 8)?;
    if begin.len() < 8 || !begin.starts_with(MAGIC) {
        return Err(damaged("is no .npy file: it does not begin as one")
            .tip("give a file of another format its own extension, or write it with numpy.save"));
    }
    let size = match begin[6..] {
        [1, 0] => 2,
        [2 | 3, 0] => 4,
        _ => return Err(damaged(format!("is of .npy version {}.{}; 1 to 3 are known", begin[6], begin[7]))),
    };
    let length = take(from, size)?.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
    let before = 8 + size + length;
    if before > len || length > LONGEST_HEADER {
        return Err(damaged(format!("is damaged: it promises a header of {length} bytes, the file has {len}")));
    }
    let text = take(from, length)?;
    Ok((header::parse(&String::from_utf8_lossy(&text))?, before))
}

/// At most `count` bytes; fewer where the file ends.
fn take(from: &mut dyn Read, count: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    from.take(count).read_to_end(&mut bytes).map_err(|error| cut_off(&error))?;
    Ok(bytes)
}

/// The error of a file that is not what it says.
fn damaged(message: impl Into<String>) -> Error {
    Error::new(Code::Damaged, message)
}

/// Writes the array that is next in version 1 and C order, byte for byte as `numpy.save` does.
pub(super) fn write_array(
    shape: &[usize],
    arrays: &mut dyn ArrayStream,
    wide: OutputDtype,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    out.write_all(&header::text(shape, wide))?;
    while let Some(rows) = arrays.next_rows()? {
        write_numbers(&rows, wide, out)?;
    }
    Ok(())
}

fn write_numbers(value: &ArrayD<f64>, wide: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
    let (layout, mut bytes) = (value.as_standard_layout(), Vec::new());
    let progress = Progress::new("writing", value.len());
    for numbers in layout.as_slice().unwrap_or_default().chunks(CHUNK) {
        match wide {
            OutputDtype::F64 => {
                bytes.resize(8 * numbers.len(), 0);
                bytes.as_chunks_mut().0.iter_mut().zip(numbers).for_each(|(to, from)| *to = from.to_le_bytes());
            }
            OutputDtype::F32 => {
                bytes.resize(4 * numbers.len(), 0);
                bytes
                    .as_chunks_mut()
                    .0
                    .iter_mut()
                    .zip(numbers)
                    .for_each(|(to, from)| *to = (*from as f32).to_le_bytes());
            }
        }
        out.write_all(&bytes)?;
        progress.advance(numbers.len());
    }
    Ok(())
}

/// The bytes that one array takes, header and all.
pub(super) fn written_size(shape: &[usize], wide: OutputDtype) -> u64 {
    let element = if wide == OutputDtype::F64 { 8 } else { 4 };
    header::text(shape, wide).len() as u64 + element * shape.iter().product::<usize>() as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::tensors::Tensors;
    use crate::format::InMemoryArrays;
    use proptest::prelude::*;

    fn file(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        [MAGIC, &[1, 0], &(text.len() as u16).to_le_bytes(), text.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> Result<LoadedArray, Error> {
        Npy.read(Source::bytes("w.npy", bytes), &Selector::Default, &[])
    }

    fn written(value: &ArrayD<f64>, wide: OutputDtype) -> Vec<u8> {
        let mut bytes = Vec::new();
        let arrays = Tensors::new().with(Name::Y, value.clone());
        Npy.write(&mut InMemoryArrays::from(&arrays), wide, &mut bytes).unwrap();
        bytes
    }

    fn numbers(bytes: &[u8]) -> Vec<f64> {
        read(bytes).unwrap().value.into_iter().collect()
    }

    #[test]
    fn every_type_in_both_byte_orders_is_read_as_doubles() {
        macro_rules! check {
            ($($descr:literal: $kind:ty = $values:expr;)*) => {$({
                let values: [$kind; 2] = $values;
                let little: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                let big: Vec<u8> = values.iter().flat_map(|x| x.to_be_bytes()).collect();
                let expected = values.map(|x| x as f64);
                assert_eq!(numbers(&file(concat!("<", $descr), "False", "(2,)", &little)), expected);
                assert_eq!(numbers(&file(concat!(">", $descr), "False", "(2,)", &big)), expected);
            })*};
        }
        check! {
            "i1": i8 = [-128, 127];
            "i2": i16 = [-32768, 513];
            "i4": i32 = [i32::MIN, 66051];
            "i8": i64 = [i64::MIN, 1 << 53];
            "u1": u8 = [1, 255];
            "u2": u16 = [1, 65535];
            "u4": u32 = [1, u32::MAX];
            "u8": u64 = [1, 1 << 63];
            "f4": f32 = [0.1, -1e-45];
            "f8": f64 = [0.1, -5e-324];
        }
        let halves = [1.0009765625, -(2f64.powi(-24))];
        assert_eq!(numbers(&file(">f2", "False", "(2,)", &[0x3c, 0x01, 0x80, 0x01])), halves);
        assert_eq!(numbers(&file("|b1", "False", "(3,)", &[0, 1, 2])), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn the_rounding_is_that_of_the_type() {
        for (descr, size, bits) in [("<f2", 2, 11), ("<f4", 4, 24), ("<f8", 8, 53), ("<i2", 2, 53)] {
            let found = read(&file(descr, "False", "()", &vec![0; size])).unwrap();
            assert_eq!((found.value.ndim(), found.rounding), (0, 2f64.powi(-bits)));
        }
    }

    #[test]
    fn columns_first_becomes_rows_first() {
        let found = read(&file("|u1", "True", "(2, 3)", &[1, 4, 2, 5, 3, 6])).unwrap();
        assert_eq!(found.value, ndarray::arr2(&[[1., 2., 3.], [4., 5., 6.]]).into_dyn());
        assert!(found.value.is_standard_layout());
    }

    #[test]
    fn versions_2_and_3_have_a_longer_length() {
        for version in [2, 3] {
            let mut bytes = file("|u1", "False", "(1,)", &[9]);
            bytes[6] = version;
            bytes.splice(10..10, [0, 0]);
            assert_eq!(numbers(&bytes), [9.0]);
        }
        let mut bytes = file("|u1", "False", "(1,)", &[9]);
        bytes[6] = 4;
        assert_eq!(read(&bytes).unwrap_err().message, "is of .npy version 4.0; 1 to 3 are known");
    }

    #[test]
    fn a_file_of_another_size_than_its_header_says_is_damaged() {
        for (shape, data) in [("(3,)", 23), ("(3,)", 25), ("(3, 0)", 1), ("(1000000000, 1000000000)", 8), ("()", 0)] {
            let error = read(&file("<f8", "False", shape, &vec![0; data])).unwrap_err();
            assert_eq!((error.code, error.origin.as_deref()), (Code::Damaged, Some("w.npy")), "{shape}");
        }
        let error = read(&file("<f8", "False", "(3,)", &[0; 23])).unwrap_err();
        assert_eq!(error.message, "is damaged: its header promises 24 bytes of numbers, the file has 23");
        for bytes in [&b""[..], b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff{}", b"[1, 2, 3, 4, 5, 6]"] {
            assert_eq!(read(bytes).unwrap_err().code, Code::Damaged);
        }
    }

    #[test]
    fn three_axes_and_a_selector_are_refused() {
        assert_eq!(read(&file("|u1", "False", "(1, 2, 1)", &[0; 2])).unwrap_err().code, Code::Rank);
        let bytes = file("|u1", "False", "(1,)", &[0]);
        let error = Npy.read(Source::bytes("w.npy", &bytes), &Selector::parse("w"), &[]).unwrap_err();
        assert_eq!(error.code, Code::KeyMissing);
    }

    #[test]
    fn what_is_written_is_what_numpy_writes() {
        let bytes = written(&ArrayD::zeros(vec![3]), OutputDtype::F32);
        let dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(bytes[10..128], *format!("{dict:117}\n").as_bytes());
        assert_eq!(bytes.len(), 128 + 12);
    }

    proptest! {
        #[test]
        fn doubles_are_read_back_bit_for_bit(bits: Vec<u64>, wide: bool) {
            let width = if wide { 1 } else { bits.len() };
            let values = bits.iter().map(|&bits| f64::from_bits(bits)).collect();
            let array = ArrayD::from_shape_vec(vec![bits.len().checked_div(width).unwrap_or(0), width], values).unwrap();
            let found = read(&written(&array, OutputDtype::F64)).unwrap();
            prop_assert_eq!(found.value.shape(), array.shape());
            prop_assert_eq!(found.value.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), bits);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at: prop::sample::Index, new: u8, cut: prop::sample::Index) {
            let _ = read(&bytes);
            let mut file = written(&ndarray::arr2(&[[1.0, 2.0]]).into_dyn(), OutputDtype::F64);
            let at = at.index(file.len());
            file[at] = new;
            let _ = read(&file);
            file.truncate(cut.index(file.len()));
            let _ = read(&file);
        }
    }
}
