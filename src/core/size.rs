//! Sizes of arrays, which are checked before anything believes them.

use super::alloc::may_fail;
use super::error::{Code, Error, format_shape};

/// Largest size of an axis of an array without elements. Such an array has no element that takes space in a file, but each of its
/// rows takes time and memory in a computation.
pub const MAX_EMPTY_AXIS: usize = 1 << 20;

/// Largest number of axes of an array.
pub const MAX_RANK: usize = 8;

/// Arrays of fewer bytes are not reserved as a test.
const LARGE_BYTES: usize = 1 << 26;

/// Refuses a shape of more than [`MAX_RANK`] axes.
pub fn check_rank(shape: &[usize]) -> Result<(), Error> {
    if shape.len() <= MAX_RANK {
        return Ok(());
    }
    let message = format!("has {} axes {}; at most {MAX_RANK} are supported", shape.len(), format_shape(shape));
    Err(Error::new(Code::Rank, message).tip("combine axes, or remove those of size 1, with numpy.reshape"))
}

/// Refuses a shape without elements that has a huge axis.
pub fn check_empty_axes(shape: &[usize]) -> Result<(), Error> {
    if !shape.contains(&0) || shape.iter().all(|&side| side <= MAX_EMPTY_AXIS) {
        return Ok(());
    }
    let message = format!(
        "has the shape {} without elements; such an array may have at most {MAX_EMPTY_AXIS} rows and columns",
        format_shape(shape)
    );
    Err(Error::new(Code::Shape, message).tip("write it with fewer rows and columns"))
}

/// Returns the size in bytes of an array of doubles, or the error, which begins with the `label`, that it exceeds every memory.
pub fn array_bytes(label: &str, shape: &[usize]) -> Result<usize, Error> {
    // An array without elements must have strides too, which are products of the other axes.
    let mut nonzero = shape.iter().filter(|side| **side > 0);
    let bytes = nonzero.try_fold(size_of::<f64>(), |bytes, &side| bytes.checked_mul(side));
    match bytes.filter(|bytes| isize::try_from(*bytes).is_ok()) {
        Some(_) if shape.contains(&0) => Ok(0),
        Some(bytes) => Ok(bytes),
        None => Err(memory_error(label, shape, "more than 2⁶³")),
    }
}

/// Refuses an array of doubles, which the error calls by the `label`, that the system has no memory for.
pub fn check_memory(label: &str, shape: &[usize]) -> Result<(), Error> {
    let bytes = array_bytes(label, shape)?;
    if bytes >= LARGE_BYTES && may_fail(|| Vec::<u8>::new().try_reserve_exact(bytes)).is_err() {
        return Err(memory_error(label, shape, &bytes.to_string()));
    }
    Ok(())
}

/// Returns the error that there is no memory of `bytes` for an array of that shape, called by the `label`.
pub fn memory_error(label: &str, shape: &[usize], bytes: &str) -> Error {
    let message = format!("{label} {} needs {bytes} bytes of memory", format_shape(shape));
    Error::new(Code::Memory, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_memory_has_are_refused_without_an_overflow() {
        assert_eq!(array_bytes("array", &[3, 5]), Ok(120));
        assert_eq!(array_bytes("array", &[]), Ok(8));
        assert_eq!(array_bytes("array", &[0, 7]), Ok(0));
        assert!(array_bytes("array", &[usize::MAX >> 4]).is_ok());
        for shape in [
            &[usize::MAX >> 3][..],
            &[1 << 60],
            &[1 << 60, 0],
            &[0, 1 << 60],
            &[1 << 32, 1 << 32],
            &[1 << 32, 0, 1 << 32],
        ] {
            assert!(array_bytes("array", shape).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn an_array_without_elements_has_small_axes() {
        for shape in [&[][..], &[0], &[0, MAX_EMPTY_AXIS], &[MAX_EMPTY_AXIS, 0], &[1 << 60]] {
            assert_eq!(check_empty_axes(shape), Ok(()), "{shape:?}");
        }
        for shape in [[0, MAX_EMPTY_AXIS + 1], [1 << 60, 0]] {
            assert!(check_empty_axes(&shape).is_err(), "{shape:?}");
        }
    }
}
