//! Element types and array layout of binary formats.

use super::errors::{damaged, decode_error};
use crate::core::alloc::may_fail;
use crate::core::error::{Code, Error};
use crate::core::size::{array_bytes, check_empty_axes, check_rank, memory_error};
use crate::numeric::{E4M3FN, E5M2, FloatType};
use crate::parallel::pages;
use ndarray::{ArrayD, ShapeBuilder};
use std::io::Read;

/// Type of the elements of an array in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ElementType {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    Bf16,
    F32,
    F64,
    E4m3fn,
    E5m2,
}

impl ElementType {
    /// Returns the size of an element in bytes.
    pub(super) fn size(self) -> usize {
        match self {
            ElementType::Bool | ElementType::I8 | ElementType::U8 | ElementType::E4m3fn | ElementType::E5m2 => 1,
            ElementType::I16 | ElementType::U16 | ElementType::F16 | ElementType::Bf16 => 2,
            ElementType::I32 | ElementType::U32 | ElementType::F32 => 4,
            ElementType::I64 | ElementType::U64 | ElementType::F64 => 8,
        }
    }

    /// Returns the floating-point type; integers count as exact doubles.
    pub(super) fn float_type(self) -> FloatType {
        match self {
            ElementType::F16 => FloatType::F16,
            ElementType::Bf16 => FloatType::Bf16,
            ElementType::F32 => FloatType::F32,
            ElementType::E4m3fn => FloatType::E4m3fn,
            ElementType::E5m2 => FloatType::E5m2,
            _ => FloatType::F64,
        }
    }

    /// Appends the elements in `bytes` as doubles. Errors with the position of the first that a double cannot represent.
    fn decode(self, bytes: &[u8], big_endian: bool, values: &mut Vec<f64>) -> Result<(), usize> {
        macro_rules! append {
            ($kind:ty, $double:expr) => {{
                let (elements, _) = bytes.as_chunks::<{ size_of::<$kind>() }>();
                match big_endian {
                    true => values.extend(elements.iter().map(|e| $double(<$kind>::from_be_bytes(*e)))),
                    false => values.extend(elements.iter().map(|e| $double(<$kind>::from_le_bytes(*e)))),
                }
            }};
        }
        macro_rules! append_exact {
            ($kind:ty) => {{
                let begin = values.len();
                append!($kind, |integer: $kind| match integer as f64 {
                    double if double as i128 == integer as i128 => double,
                    _ => f64::NAN,
                });
                if let Some(at) = values[begin..].iter().position(|double| double.is_nan()) {
                    return Err(at);
                }
            }};
        }
        match self {
            ElementType::Bool => values.extend(bytes.iter().map(|&byte| f64::from(u8::from(byte != 0)))),
            ElementType::I8 => append!(i8, f64::from),
            ElementType::I16 => append!(i16, f64::from),
            ElementType::I32 => append!(i32, f64::from),
            ElementType::I64 => append_exact!(i64),
            ElementType::U8 => append!(u8, f64::from),
            ElementType::U16 => append!(u16, f64::from),
            ElementType::U32 => append!(u32, f64::from),
            ElementType::U64 => append_exact!(u64),
            ElementType::F16 => append!(half::f16, f64::from),
            ElementType::Bf16 => append!(half::bf16, f64::from),
            ElementType::F32 => append!(f32, f64::from),
            ElementType::F64 => append!(f64, f64::from),
            ElementType::E4m3fn => values.extend(bytes.iter().map(|&bits| E4M3FN.decode(bits))),
            ElementType::E5m2 => values.extend(bytes.iter().map(|&bits| E5M2.decode(bits))),
        }
        Ok(())
    }
}

/// Layout of an array in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArrayLayout {
    pub(super) element: ElementType,
    pub(super) big_endian: bool,
    /// True if the first axis varies fastest.
    pub(super) is_fortran: bool,
    pub(super) shape: Vec<usize>,
}

/// Number of bytes per read; a multiple of every element's size.
const CHUNK_BYTES: usize = 1 << 16;

/// Largest number of elements allocated before any has been decompressed.
const UNSEEN_ELEMENTS: usize = 1 << 17;

/// The label in an error about the size.
const ARRAY: &str = "the array";

impl ArrayLayout {
    /// Refuses too many axes, huge axes without elements, and a size other than `available` bytes.
    pub(super) fn check_size(&self, available: u64) -> Result<(), Error> {
        check_rank(&self.shape)?;
        check_empty_axes(&self.shape)?;
        let declared = self.shape.iter().try_fold(self.element.size(), |bytes, &side| bytes.checked_mul(side));
        match declared {
            Some(bytes) if bytes as u64 == available => Ok(()),
            Some(bytes) => Err(size_error(&bytes.to_string(), available)),
            None => Err(size_error("more than 2⁶⁴", available)),
        }
    }

    /// Reads the array in C order, after [`check_size`](Self::check_size). Unless `is_size_known` to be right, memory is
    /// allocated as bytes arrive.
    pub(super) fn read(&self, source: &mut dyn Read, is_size_known: bool) -> Result<ArrayD<f64>, Error> {
        let bytes = array_bytes(ARRAY, &self.shape)?;
        let count = bytes / size_of::<f64>();
        let mut values = Vec::new();
        let reserved = if is_size_known { count } else { count.min(UNSEEN_ELEMENTS) };
        let no_memory = |_| memory_error(ARRAY, &self.shape, &bytes.to_string());
        may_fail(|| values.try_reserve_exact(reserved)).map_err(no_memory)?;
        pages::advise_huge_pages(values.spare_capacity_mut());
        let mut buffer = [0; CHUNK_BYTES];
        while values.len() < count {
            let size = CHUNK_BYTES.min((count - values.len()) * self.element.size());
            may_fail(|| values.try_reserve(size / self.element.size())).map_err(no_memory)?;
            source.read_exact(&mut buffer[..size]).map_err(|error| decode_error(&error))?;
            let begin = values.len();
            let decoded = self.element.decode(&buffer[..size], self.big_endian, &mut values);
            decoded.map_err(|at| self.inexact_error(begin + at))?;
        }
        let shape = ndarray::IxDyn(&self.shape);
        match ArrayD::from_shape_vec(shape.set_f(self.is_fortran), values) {
            Ok(array) if array.is_standard_layout() => Ok(array),
            Ok(array) => Ok(array.as_standard_layout().into_owned()),
            Err(_) => Err(size_error("more than 2⁶³", 0)),
        }
    }

    /// Returns the error of the integer at a position of the file that no double represents.
    fn inexact_error(&self, position: usize) -> Error {
        let mut index = vec![0; self.shape.len()];
        let mut rest = position;
        let axes: Vec<usize> =
            if self.is_fortran { (0..index.len()).collect() } else { (0..index.len()).rev().collect() };
        for axis in axes {
            index[axis] = rest % self.shape[axis];
            rest /= self.shape[axis];
        }
        Error::new(Code::NumberRange, "contains an integer beyond 2⁵³ that a double cannot represent")
            .at_index(&index)
            .tip("subtract an offset from it, or store floating-point numbers")
    }
}

/// Returns the error of a header that declares another size than the file has.
pub(super) fn size_error(declared: &str, available: u64) -> Error {
    damaged(format!("the header declares {declared} bytes of data, but the file has {available}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn layout(element: ElementType, shape: &[usize]) -> ArrayLayout {
        ArrayLayout { element, big_endian: false, is_fortran: false, shape: shape.to_vec() }
    }

    #[test]
    fn integers_that_no_double_represents_are_refused_by_index() {
        let fits = (1i64 << 53) + 2;
        let bytes: Vec<u8> = [1, fits, -3, fits + 1].iter().flat_map(|integer| integer.to_le_bytes()).collect();
        let error = layout(ElementType::I64, &[2, 2]).read(&mut &bytes[..], true).unwrap_err();
        assert_eq!((error.code, &error.at), (Code::NumberRange, &Some(crate::core::error::Place::Index(vec![1, 1]))));
        for extreme in [i64::MAX, i64::MIN + 1] {
            assert!(layout(ElementType::I64, &[]).read(&mut &extreme.to_le_bytes()[..], true).is_err());
        }
        let least = layout(ElementType::I64, &[1]).read(&mut &i64::MIN.to_le_bytes()[..], true).unwrap();
        assert_eq!(least[[0]], -(2f64.powi(63)));
        assert!(layout(ElementType::U64, &[1]).read(&mut &u64::MAX.to_le_bytes()[..], true).is_err());
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        let error = layout(ElementType::F64, &[usize::MAX, 2]).check_size(16).unwrap_err();
        assert_eq!(error.code, Code::Damaged);
        let empty = layout(ElementType::F64, &[usize::MAX, 0]);
        assert!(empty.check_size(0).is_err() || empty.read(&mut &[][..], true).is_err());
    }

    #[test]
    fn bfloat16_is_the_upper_half_of_a_single_precision_number() {
        let bytes = [0x80, 0x3f, 0x00, 0xc0];
        let read = layout(ElementType::Bf16, &[2]).read(&mut &bytes[..], true).unwrap();
        assert_eq!(read.as_slice().unwrap(), [1.0, -2.0]);
    }
}
