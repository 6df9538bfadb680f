//! Element types and array layout of binary formats.

use super::arrays::LoadedArray;
use super::errors::{damaged, decode_error};
use crate::core::alloc::may_fail;
use crate::core::error::{Code, Error, sanitize};
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

    /// Appends the elements in `bytes` as doubles. Returns the position of the first integer that a double
    /// cannot represent.
    fn decode(self, bytes: &[u8], big_endian: bool, values: &mut Vec<f64>) -> Option<usize> {
        macro_rules! append {
            ($kind:ty, $double:expr) => {{
                let (elements, _) = bytes.as_chunks::<{ size_of::<$kind>() }>();
                match big_endian {
                    true => values.extend(elements.iter().map(|e| $double(<$kind>::from_be_bytes(*e)))),
                    false => values.extend(elements.iter().map(|e| $double(<$kind>::from_le_bytes(*e)))),
                }
            }};
        }
        macro_rules! append_rounded {
            ($kind:ty) => {{
                let begin = values.len();
                append!($kind, |integer: $kind| integer as f64);
                let integer = |n: usize| {
                    let element = bytes.as_chunks::<{ size_of::<$kind>() }>().0[n];
                    i128::from(if big_endian {
                        <$kind>::from_be_bytes(element)
                    } else {
                        <$kind>::from_le_bytes(element)
                    })
                };
                let is_rounded = |n: &usize| {
                    let double = values[begin + n];
                    may_be_rounded(double) && double as i128 != integer(*n)
                };
                return (0..values.len() - begin).find(is_rounded);
            }};
        }
        match self {
            ElementType::Bool => values.extend(bytes.iter().map(|&byte| f64::from(u8::from(byte != 0)))),
            ElementType::I8 => append!(i8, f64::from),
            ElementType::I16 => append!(i16, f64::from),
            ElementType::I32 => append!(i32, f64::from),
            ElementType::I64 => append_rounded!(i64),
            ElementType::U8 => append!(u8, f64::from),
            ElementType::U16 => append!(u16, f64::from),
            ElementType::U32 => append!(u32, f64::from),
            ElementType::U64 => append_rounded!(u64),
            ElementType::F16 => append!(half::f16, f64::from),
            ElementType::Bf16 => append!(half::bf16, f64::from),
            ElementType::F32 => append!(f32, f64::from),
            ElementType::F64 => append!(f64, f64::from),
            ElementType::E4m3fn => values.extend(bytes.iter().map(|&bits| E4M3FN.decode(bits))),
            ElementType::E5m2 => values.extend(bytes.iter().map(|&bits| E5M2.decode(bits))),
        }
        None
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
    pub(super) fn read(&self, source: &mut dyn Read, is_size_known: bool) -> Result<LoadedArray, Error> {
        let bytes = array_bytes(ARRAY, &self.shape)?;
        let count = bytes / size_of::<f64>();
        let (mut values, mut rounded) = (Vec::new(), None);
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
            let first = self.element.decode(&buffer[..size], self.big_endian, &mut values);
            rounded = rounded.or(first.map(|at| (begin + at, values[begin + at])));
        }
        let shape = ndarray::IxDyn(&self.shape);
        let value = match ArrayD::from_shape_vec(shape.set_f(self.is_fortran), values) {
            Ok(array) if array.is_standard_layout() => array,
            Ok(array) => array.as_standard_layout().into_owned(),
            Err(_) => return Err(size_error("more than 2⁶³", 0)),
        };
        let rounded = rounded.map(|(position, double)| rounded_integer(double).at_index(&self.index(position)));
        let (element, is_boolean) = (self.element.float_type(), self.element == ElementType::Bool);
        Ok(LoadedArray { value, element, is_boolean, pointer: String::new(), rounded })
    }

    /// Returns the index of the element at a position of the file.
    fn index(&self, position: usize) -> Vec<usize> {
        let mut index = vec![0; self.shape.len()];
        let mut rest = position;
        let axes: Vec<usize> =
            if self.is_fortran { (0..index.len()).collect() } else { (0..index.len()).rev().collect() };
        for axis in axes {
            index[axis] = rest % self.shape[axis];
            rest /= self.shape[axis];
        }
        index
    }
}

/// Returns true for a double that an integer may have been rounded to: those below 2⁵³ are exact.
pub(crate) fn may_be_rounded(double: f64) -> bool {
    double.is_finite() && double.abs() >= (1u64 << 53) as f64
}

/// Returns true if the text of a number is an integer that was rounded to this double.
pub(crate) fn is_rounded_integer(text: &[u8], double: f64) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    may_be_rounded(double)
        && digits.iter().all(u8::is_ascii_digit)
        && format!("{:.0}", double.abs()).as_bytes() != &digits[zeros..]
}

/// Returns the warning of an integer that was rounded to a double.
pub(crate) fn rounded_integer(double: f64) -> Error {
    let message = format!("the integer is rounded to the nearest double, {}", sanitize(&format!("{double:.0}")));
    Error::new(Code::NumberRange, message)
        .tip("subtract an offset from the integers, or store them as floating-point numbers")
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
    fn integers_that_no_double_represents_are_rounded_and_named_by_index() {
        let fits = (1i64 << 53) + 2;
        let bytes: Vec<u8> = [1, fits, -3, fits + 1].iter().flat_map(|integer| integer.to_le_bytes()).collect();
        let read = layout(ElementType::I64, &[2, 2]).read(&mut &bytes[..], true).unwrap();
        // Halfway between two doubles, to the even one.
        assert_eq!(read.value[[1, 1]], 9007199254740996.0);
        let warning = read.rounded.unwrap();
        assert_eq!(warning.at, Some(crate::core::error::Place::Index(vec![1, 1])));
        assert_eq!(warning.message, "the integer is rounded to the nearest double, 9007199254740996");
        for (extreme, double) in [(i64::MAX, 2f64.powi(63)), (i64::MIN + 1, -(2f64.powi(63)))] {
            let read = layout(ElementType::I64, &[]).read(&mut &extreme.to_le_bytes()[..], true).unwrap();
            assert!(read.value[[]] == double && read.rounded.is_some());
        }
        let least = layout(ElementType::I64, &[1]).read(&mut &i64::MIN.to_le_bytes()[..], true).unwrap();
        assert_eq!((least.value[[0]], least.rounded), (-(2f64.powi(63)), None));
        let most = layout(ElementType::U64, &[1]).read(&mut &u64::MAX.to_le_bytes()[..], true).unwrap();
        assert!(most.value[[0]] == 2f64.powi(64) && most.rounded.is_some());
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
        assert_eq!(read.value.as_slice().unwrap(), [1.0, -2.0]);
    }
}
