//! NumPy's `.npy`: a header with element type, order and shape, then the elements.

use super::arrays::{ArrayStream, LoadedArray, OutputDtype};
use super::errors::{damaged, decode_error, refuse_selector};
use super::file_format::Format;
use super::selector::Selector;
use super::source::Source;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::parallel::progress::Progress;
use half::{bf16, f16};
use header::{MAGIC, read_header, write_header};
use ndarray::ArrayD;
use std::io::{self, Read};

mod header;
pub mod rows;

/// One array in NumPy's own format.
pub struct Npy;

/// Number of elements converted and written at a time.
const CHUNK_ELEMENTS: usize = 1 << 16;

impl Format for Npy {
    fn name(&self) -> &'static str {
        ".npy"
    }

    fn recognizes(&self, first: &[u8]) -> bool {
        first.starts_with(MAGIC)
    }

    fn read(&self, mut source: Source<'_>, select: &Selector, _names: &[Name]) -> Result<LoadedArray, Error> {
        refuse_selector(select, self.name())?;
        let len = source.len;
        read_array(&mut source, len, true)
    }

    fn write(&self, arrays: &mut dyn ArrayStream, dtype: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
        while let Some((_, shape)) = arrays.next_array()? {
            write_array(&shape, arrays, dtype, out)?;
        }
        Ok(())
    }
}

/// Reads a file of `len` bytes; `is_size_known` tells that these bytes exist and need no decompression.
pub(super) fn read_array(source: &mut dyn Read, len: u64, is_size_known: bool) -> Result<LoadedArray, Error> {
    let (layout, before) = read_header(source, len)?;
    layout.check_size(len - before)?;
    let array = layout.read(source, is_size_known)?;
    match source.read(&mut [0]) {
        Ok(0) => Ok(array),
        Ok(_) => Err(damaged("bytes follow its last element")),
        Err(error) => Err(decode_error(&error)),
    }
}

/// Writes the current array of the stream in version 1 and C order, byte for byte as `numpy.save` does.
pub(super) fn write_array(
    shape: &[usize],
    arrays: &mut dyn ArrayStream,
    dtype: OutputDtype,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    out.write_all(&write_header(shape, dtype))?;
    while let Some(rows) = arrays.next_rows()? {
        write_elements(&rows, dtype, out)?;
    }
    Ok(())
}

/// Writes the elements in C order, each with its least significant byte first.
pub(super) fn write_elements(value: &ArrayD<f64>, dtype: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
    let (layout, mut bytes) = (value.as_standard_layout(), Vec::new());
    let progress = Progress::new("writing", value.len());
    for numbers in layout.as_slice().unwrap_or_default().chunks(CHUNK_ELEMENTS) {
        bytes.resize(dtype.size() * numbers.len(), 0);
        match dtype {
            OutputDtype::F64 => {
                bytes.as_chunks_mut().0.iter_mut().zip(numbers).for_each(|(to, from)| *to = from.to_le_bytes());
            }
            OutputDtype::F32 => {
                let elements = bytes.as_chunks_mut().0;
                elements.iter_mut().zip(numbers).for_each(|(to, from)| *to = (*from as f32).to_le_bytes());
            }
            OutputDtype::F16 => {
                let elements = bytes.as_chunks_mut().0;
                elements.iter_mut().zip(numbers).for_each(|(to, from)| *to = f16::from_f64(*from).to_le_bytes());
            }
            OutputDtype::Bf16 => {
                let elements = bytes.as_chunks_mut().0;
                elements.iter_mut().zip(numbers).for_each(|(to, from)| *to = bf16::from_f64(*from).to_le_bytes());
            }
        }
        out.write_all(&bytes)?;
        progress.advance(numbers.len());
    }
    Ok(())
}

/// Returns the size in bytes of one array with its header.
pub(super) fn file_size(shape: &[usize], dtype: OutputDtype) -> u64 {
    (write_header(shape, dtype).len() + dtype.size() * shape.iter().product::<usize>()) as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::error::Code;
    use crate::core::tensors::Tensors;
    use crate::format::arrays::InMemoryArrays;
    use crate::numeric::FloatType;

    fn file(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        [MAGIC, &[1, 0], &(text.len() as u16).to_le_bytes(), text.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> Result<LoadedArray, Error> {
        Npy.read(Source::bytes("w.npy", bytes), &Selector::Default, &[])
    }

    fn written(value: &ArrayD<f64>, dtype: OutputDtype) -> Vec<u8> {
        let mut bytes = Vec::new();
        let arrays = Tensors::new().with(Name::Y, value.clone());
        Npy.write(&mut InMemoryArrays::from(&arrays), dtype, &mut bytes).unwrap();
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
    fn the_type_is_that_of_the_elements() {
        for (descr, size, element) in [
            ("<f2", 2, FloatType::F16),
            ("<f4", 4, FloatType::F32),
            ("<f8", 8, FloatType::F64),
            ("<i2", 2, FloatType::F64),
        ] {
            let found = read(&file(descr, "False", "()", &vec![0; size])).unwrap();
            assert_eq!((found.value.ndim(), found.element), (0, element));
        }
    }

    #[test]
    fn fortran_order_is_converted_to_c_order() {
        let found = read(&file("|u1", "True", "(2, 3)", &[1, 4, 2, 5, 3, 6])).unwrap();
        assert_eq!(found.value, ndarray::arr2(&[[1., 2., 3.], [4., 5., 6.]]).into_dyn());
        assert!(found.value.is_standard_layout());
    }

    #[test]
    fn versions_2_and_3_have_a_header_length_of_four_bytes() {
        for version in [2, 3] {
            let mut bytes = file("|u1", "False", "(1,)", &[9]);
            bytes[6] = version;
            bytes.splice(10..10, [0, 0]);
            assert_eq!(numbers(&bytes), [9.0]);
        }
        let mut bytes = file("|u1", "False", "(1,)", &[9]);
        bytes[6] = 4;
        assert_eq!(read(&bytes).unwrap_err().message, "has .npy version 4.0; versions 1 to 3 are supported");
    }

    #[test]
    fn a_size_other_than_the_header_declares_is_damaged() {
        for (shape, data) in [("(3,)", 23), ("(3,)", 25), ("(3, 0)", 1), ("(1000000000, 1000000000)", 8), ("()", 0)] {
            let error = read(&file("<f8", "False", shape, &vec![0; data])).unwrap_err();
            assert_eq!(error.code, Code::Damaged, "{shape}");
        }
        let error = read(&file("<f8", "False", "(3,)", &[0; 23])).unwrap_err();
        assert_eq!(error.message, "is damaged: the header declares 24 bytes of data, but the file has 23");
        for bytes in [&b""[..], b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff{}", b"[1, 2, 3, 4, 5, 6]"] {
            assert_eq!(read(bytes).unwrap_err().code, Code::Damaged);
        }
    }

    #[test]
    fn arrays_of_up_to_eight_axes_are_read_in_both_orders() {
        let found = read(&file("|u1", "True", "(2, 1, 3)", &[1, 4, 2, 5, 3, 6])).unwrap().value;
        assert_eq!(found, ndarray::arr3(&[[[1., 2., 3.]], [[4., 5., 6.]]]).into_dyn());
        assert!(found.is_standard_layout());
        assert_eq!(read(&file("|u1", "False", "(1, 1, 1, 1, 1, 1, 1, 2)", &[0; 2])).unwrap().value.ndim(), 8);
        let error = read(&file("|u1", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 2)", &[0; 2])).unwrap_err();
        assert_eq!(error.message, "has 9 axes (1×1×1×1×1×1×1×1×2); at most 8 are supported");
    }

    #[test]
    fn a_selector_is_refused() {
        let bytes = file("|u1", "False", "(1,)", &[0]);
        let error = Npy.read(Source::bytes("w.npy", &bytes), &Selector::parse("w"), &[]).unwrap_err();
        assert_eq!(error.code, Code::KeyMissing);
    }

    #[test]
    fn written_bytes_equal_those_of_numpy() {
        let bytes = written(&ArrayD::zeros(vec![3]), OutputDtype::F32);
        let dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(bytes[10..128], *format!("{dict:117}\n").as_bytes());
        assert_eq!(bytes.len(), 128 + 12);
    }
}
