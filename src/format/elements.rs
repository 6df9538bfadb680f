//! Elements of binary files and how they lie there, for every format that has them.

use super::{DOUBLE_ROUNDING, rank_error, too_large};
use crate::core::error::{Code, Error};
use crate::parallel::pages;
use ndarray::{ArrayD, ShapeBuilder};
use std::io::{self, Read};

/// The type of an element, with its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Bool,
    I1,
    I2,
    I4,
    I8,
    U1,
    U2,
    U4,
    U8,
    F2,
    /// bfloat16: the upper half of an F4.
    Brain,
    F4,
    F8,
}

impl Element {
    /// Bytes an element takes.
    pub(super) fn size(self) -> usize {
        match self {
            Element::Bool | Element::I1 | Element::U1 => 1,
            Element::I2 | Element::U2 | Element::F2 | Element::Brain => 2,
            Element::I4 | Element::U4 | Element::F4 => 4,
            Element::I8 | Element::U8 | Element::F8 => 8,
        }
    }

    /// Half a unit in the last place at 1, 2⁻ᵖ for p bits of significand; whole numbers are as exact as doubles.
    pub(super) fn rounding(self) -> f64 {
        match self {
            Element::F2 => 2f64.powi(-11),
            Element::Brain => 2f64.powi(-8),
            Element::F4 => 2f64.powi(-24),
            _ => DOUBLE_ROUNDING,
        }
    }

    /// Appends the elements in `bytes` as doubles; `Err` is the position of the first that no double is equal to.
    fn decode(self, bytes: &[u8], big_endian: bool, into: &mut Vec<f64>) -> Result<(), usize> {
        macro_rules! append {
            ($kind:ty, $double:expr) => {{
                let (elements, _) = bytes.as_chunks::<{ size_of::<$kind>() }>();
                match big_endian {
                    true => into.extend(elements.iter().map(|e| $double(<$kind>::from_be_bytes(*e)))),
                    false => into.extend(elements.iter().map(|e| $double(<$kind>::from_le_bytes(*e)))),
                }
            }};
        }
        macro_rules! append_exact {
            ($kind:ty) => {{
                let begin = into.len();
                append!($kind, |whole: $kind| match whole as f64 {
                    double if double as i128 == whole as i128 => double,
                    _ => f64::NAN,
                });
                if let Some(at) = into[begin..].iter().position(|double| double.is_nan()) {
                    return Err(at);
                }
            }};
        }
        match self {
            Element::Bool => into.extend(bytes.iter().map(|&byte| f64::from(u8::from(byte != 0)))),
            Element::I1 => append!(i8, f64::from),
            Element::I2 => append!(i16, f64::from),
            Element::I4 => append!(i32, f64::from),
            Element::I8 => append_exact!(i64),
            Element::U1 => append!(u8, f64::from),
            Element::U2 => append!(u16, f64::from),
            Element::U4 => append!(u32, f64::from),
            Element::U8 => append_exact!(u64),
            Element::F2 => append!(half::f16, f64::from),
            Element::Brain => append!(half::bf16, f64::from),
            Element::F4 => append!(f32, f64::from),
            Element::F8 => append!(f64, f64::from),
        }
        Ok(())
    }
}

/// How an array lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) element: Element,
    pub(super) big_endian: bool,
    /// Whether the first axis is the fastest.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

/// Bytes read at once.
const CHUNK: usize = 1 << 16;

/// Elements that memory is taken for before the first of them is seen.
const UNSEEN: usize = 1 << 17;

impl Layout {
    /// Refuses more than two axes, and any size but `held` bytes.
    pub(super) fn admit(&self, held: u64) -> Result<(), Error> {
        if self.shape.len() > 2 {
            return Err(rank_error(&self.shape));
        }
        let promised = self.shape.iter().try_fold(self.element.size(), |bytes, &side| bytes.checked_mul(side));
        match promised {
            Some(bytes) if bytes as u64 == held => Ok(()),
            Some(bytes) => Err(wrong_size(&bytes.to_string(), held)),
            None => Err(wrong_size("more than 2⁶⁴", held)),
        }
    }

    /// Reads the array, which [`admit`](Self::admit) has seen. Unless the bytes are `certain` to be there, memory is
    /// taken as they come.
    pub(super) fn read(&self, from: &mut dyn Read, certain: bool) -> Result<ArrayD<f64>, Error> {
        let count: usize = self.shape.iter().product();
        let mut values = Vec::new();
        let reserved = if certain { count } else { count.min(UNSEEN) };
        values.try_reserve_exact(reserved).map_err(|_| too_large(8 * count as u64))?;
        pages::advise_huge_pages(values.spare_capacity_mut());
        let mut buffer = [0; CHUNK];
        while values.len() < count {
            let size = CHUNK.min((count - values.len()) * self.element.size());
            values.try_reserve(size / self.element.size()).map_err(|_| too_large(8 * count as u64))?;
            from.read_exact(&mut buffer[..size]).map_err(|error| cut_off(&error))?;
            let begin = values.len();
            let decoded = self.element.decode(&buffer[..size], self.big_endian, &mut values);
            decoded.map_err(|at| self.inexact(begin + at))?;
        }
        self.shaped(values)
    }

    /// The values as an array of C order.
    fn shaped(&self, values: Vec<f64>) -> Result<ArrayD<f64>, Error> {
        let shape = ndarray::IxDyn(&self.shape);
        match ArrayD::from_shape_vec(shape.set_f(self.fortran), values) {
            Ok(array) if array.is_standard_layout() => Ok(array),
            Ok(array) => Ok(array.as_standard_layout().into_owned()),
            Err(_) => Err(wrong_size("more than 2⁶³", 0)),
        }
    }

    fn inexact(&self, at: usize) -> Error {
        let mut index = vec![0; self.shape.len()];
        let mut rest = at;
        let axes: Vec<usize> = if self.fortran { (0..index.len()).collect() } else { (0..index.len()).rev().collect() };
        for axis in axes {
            index[axis] = rest % self.shape[axis];
            rest /= self.shape[axis];
        }
        Error::new(Code::NumberRange, "holds a whole number above 2⁵³ that no double is equal to")
            .at_index(&index)
            .tip("take an offset off it, or store floating-point numbers")
    }
}

fn wrong_size(promised: &str, held: u64) -> Error {
    let message = format!("is damaged: its header promises {promised} bytes of numbers, the file has {held}");
    Error::new(Code::Damaged, message)
}

/// The error of a read that failed: by the machine, or by what the file holds.
pub(super) fn cut_off(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => Error::new(Code::FileUnreadable, format!("cannot be read: {error}")),
        None => Error::new(Code::Damaged, "is cut off or damaged"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn layout(element: Element, shape: &[usize]) -> Layout {
        Layout { element, big_endian: false, fortran: false, shape: shape.to_vec() }
    }

    #[test]
    fn whole_numbers_that_no_double_equals_are_refused_by_index() {
        let fits = (1i64 << 53) + 2;
        let bytes: Vec<u8> = [1, fits, -3, fits + 1].iter().flat_map(|whole| whole.to_le_bytes()).collect();
        let error = layout(Element::I8, &[2, 2]).read(&mut &bytes[..], true).unwrap_err();
        assert_eq!((error.code, &error.at), (Code::NumberRange, &Some(crate::core::error::Place::Index(vec![1, 1]))));
        for extreme in [i64::MAX, i64::MIN + 1] {
            assert!(layout(Element::I8, &[]).read(&mut &extreme.to_le_bytes()[..], true).is_err());
        }
        let least = layout(Element::I8, &[1]).read(&mut &i64::MIN.to_le_bytes()[..], true).unwrap();
        assert_eq!(least[[0]], -(2f64.powi(63)));
        assert!(layout(Element::U8, &[1]).read(&mut &u64::MAX.to_le_bytes()[..], true).is_err());
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        let error = layout(Element::F8, &[usize::MAX, 2]).admit(16).unwrap_err();
        assert_eq!(error.code, Code::Damaged);
        let empty = layout(Element::F8, &[usize::MAX, 0]);
        assert!(empty.admit(0).is_err() || empty.read(&mut &[][..], true).is_err());
    }

    #[test]
    fn brain_floats_are_the_upper_half_of_single_ones() {
        let bytes = [0x80, 0x3f, 0x00, 0xc0];
        let read = layout(Element::Brain, &[2]).read(&mut &bytes[..], true).unwrap();
        assert_eq!(read.as_slice().unwrap(), [1.0, -2.0]);
    }
}
