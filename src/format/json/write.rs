//! Arrays as JSON: shortest digits that read back to the same double, words for what is not finite, blocks of rows formatted
//! over threads and written in order.

use crate::core::tensors::Tensors;
use crate::format::{ArrayStream, InMemoryArrays};
use crate::parallel::pipeline;
use crate::parallel::progress::Progress;
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use serde::ser::{Serialize, Serializer};
use std::io;
use std::sync::{Mutex, PoisonError};

/// Numbers that are formatted together.
const BLOCK: usize = 1 << 15;

/// Appends a number, or the word for one that JSON has none for.
///
/// ```
/// let mut text = Vec::new();
/// nnlayer::format::json::push_number(-0.0, &mut text);
/// nnlayer::format::json::push_number(f64::NAN, &mut text);
/// assert_eq!(text, b"-0.0\"NaN\"");
/// ```
#[inline]
pub fn push_number(number: f64, text: &mut Vec<u8>) {
    match number {
        number if number.is_finite() => push_digits(zmij::Buffer::new().format_finite(number).as_bytes(), text),
        f64::INFINITY => text.extend_from_slice(b"\"Infinity\""),
        f64::NEG_INFINITY => text.extend_from_slice(b"\"-Infinity\""),
        _ => text.extend_from_slice(b"\"NaN\""),
    }
}

/// Appends what a double is written with, 24 bytes at most: the first sixteen and the last sixteen of them, which mostly lie
/// over each other, are copied sooner than any number of bytes.
#[inline(always)]
fn push_digits(digits: &[u8], text: &mut Vec<u8>) {
    const HALF: usize = 16;
    let (Some(first), Some(last)) = (digits.first_chunk::<HALF>(), digits.last_chunk::<HALF>()) else {
        return text.extend_from_slice(digits);
    };
    let (mut both, end) = ([0; 2 * HALF], text.len() + digits.len());
    both[..HALF].copy_from_slice(first);
    both[digits.len() - HALF..][..HALF].copy_from_slice(last);
    text.extend_from_slice(&both);
    text.truncate(end);
}

/// Appends numbers in brackets.
pub fn push_row(row: &[f64], text: &mut Vec<u8>) {
    text.push(b'[');
    push_numbers(row, text);
    text.push(b']');
}

fn push_numbers(numbers: &[f64], text: &mut Vec<u8>) {
    text.reserve(25 * numbers.len() + 32);
    for (n, &number) in numbers.iter().enumerate() {
        if n > 0 {
            text.push(b',');
        }
        push_number(number, text);
    }
}

/// One object, on one line or with a line for each row.
pub fn to_line(arrays: &mut dyn ArrayStream, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(b"{")?;
    let mut first = true;
    while let Some((name, shape)) = arrays.next_array()? {
        out.write_all(match (std::mem::take(&mut first), pretty) {
            (true, false) => b"",
            (false, false) => b",",
            (true, true) => b"\n  ",
            (false, true) => b",\n  ",
        })?;
        serde_json::to_writer(&mut *out, name.as_str())?;
        out.write_all(if pretty { b": " } else { b":" })?;
        let around = Around::of(&shape, pretty);
        out.write_all(around.open)?;
        let mut first = true;
        while let Some(rows) = arrays.next_rows()? {
            write_block(&rows, around.between, &mut first, out)?;
        }
        out.write_all(around.close)?;
    }
    out.write_all(if pretty { b"\n}\n" } else { b"}\n" })
}

/// One value, without a line break behind it.
pub fn write_value(value: &ArrayD<f64>, out: &mut dyn io::Write) -> io::Result<()> {
    let around = Around::of(value.shape(), false);
    out.write_all(around.open)?;
    write_block(value, around.between, &mut true, out)?;
    out.write_all(around.close)
}

/// What stands around the rows of a matrix, or the numbers of a vector.
struct Around {
    open: &'static [u8],
    between: &'static [u8],
    close: &'static [u8],
}

impl Around {
    fn of(shape: &[usize], pretty: bool) -> Around {
        match shape {
            [] => Around { open: b"", between: b"", close: b"" },
            [rows, columns] if pretty && rows * columns > 0 => {
                Around { open: b"[\n    ", between: b",\n    ", close: b"\n  ]" }
            }
            _ => Around { open: b"[", between: b",", close: b"]" },
        }
    }
}

/// One object with an object for each of `groups`.
pub fn nested_to_line(groups: &[(&str, Tensors<f64>)], pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(b"{")?;
    for (n, (group, entries)) in groups.iter().enumerate() {
        out.write_all(match (pretty, n) {
            (true, 0) => b"\n  ",
            (true, _) => b",\n  ",
            (false, 0) => b"",
            (false, _) => b",",
        })?;
        serde_json::to_writer(&mut *out, group)?;
        out.write_all(if pretty { b": " } else { b":" })?;
        let mut text = Vec::new();
        to_line(&mut InMemoryArrays::from(entries), pretty, &mut text)?;
        // A name holds no line break: JSON writes it as \n.
        let lines: Vec<&[u8]> = text.trim_ascii_end().split(|&byte| byte == b'\n').collect();
        out.write_all(&lines.join(&b"\n  "[..]))?;
    }
    out.write_all(if pretty { b"\n}\n" } else { b"}\n" })
}

/// A scalar as a number; numbers of a vector, or rows of a matrix, with something `between` them: also before them, unless they
/// are the `first`.
fn write_block(value: &ArrayD<f64>, between: &[u8], first: &mut bool, out: &mut dyn io::Write) -> io::Result<()> {
    let layout = value.as_standard_layout();
    let numbers = layout.as_slice().unwrap_or_default();
    let width = if value.ndim() == 2 { value.len_of(Axis(1)) } else { 1 };
    match value.ndim() {
        0 => {
            let mut text = Vec::new();
            numbers.iter().for_each(|&number| push_number(number, &mut text));
            return out.write_all(&text);
        }
        2 if width == 0 => {
            let rows = vec!["[]"; value.len_of(Axis(0))].join(",");
            out.write_all(if rows.is_empty() || std::mem::take(first) { b"" } else { between })?;
            return out.write_all(rows.as_bytes());
        }
        _ => {}
    }
    let mut blocks = numbers.chunks((BLOCK / width).max(1) * width);
    // Texts that were written, to be filled again.
    let spare = Mutex::new(Vec::new());
    let spare = || spare.lock().unwrap_or_else(PoisonError::into_inner);
    let make = |block: &[f64]| {
        let mut text: Vec<u8> = spare().pop().unwrap_or_default();
        text.clear();
        if value.ndim() == 1 {
            push_numbers(block, &mut text);
            return text;
        }
        for (n, row) in block.chunks(width).enumerate() {
            if n > 0 {
                text.extend_from_slice(between);
            }
            push_row(row, &mut text);
        }
        text
    };
    let progress = Progress::new("writing", numbers.len());
    let mut written = Ok(());
    let take = |text: Vec<u8>| {
        let separated = if std::mem::take(first) { Ok(()) } else { out.write_all(between) };
        written = separated.and_then(|()| out.write_all(&text));
        spare().push(text);
        progress.advance((BLOCK / width).max(1) * width);
        written.is_ok()
    };
    pipeline::run(|| blocks.next(), make, take);
    written
}

/// A matrix as rows, a vector as numbers, a scalar as a number, as a part of what serde writes.
pub struct Matrix<'a>(pub ArrayViewD<'a, f64>);

impl Serialize for Matrix<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.ndim() {
            0 => Number(self.0[IxDyn(&[])]).serialize(serializer),
            1 => serializer.collect_seq(self.0.iter().map(|&number| Number(number))),
            _ => serializer.collect_seq(self.0.axis_iter(Axis(0)).map(Matrix)),
        }
    }
}

struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            _ => serializer.serialize_str("NaN"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::name::Name;
    use ndarray::Array2;
    use proptest::prelude::*;
    use std::borrow::Cow;

    /// What serde_json makes of an array is the definition.
    fn same(value: &ArrayD<f64>) {
        let mut text = Vec::new();
        write_value(value, &mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), serde_json::to_string(&Matrix(value.view())).unwrap());
        let (mut plain, mut pretty) = (Vec::new(), Vec::new());
        let names = [Name::Y, Name::DX];
        let entries = || InMemoryArrays::new(names.iter().map(|name| (name.clone(), Cow::Borrowed(value))));
        to_line(&mut entries(), false, &mut plain).unwrap();
        to_line(&mut entries(), true, &mut pretty).unwrap();
        let parsed = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(&plain), parsed(&pretty));
        let lines = pretty.split(|&byte| byte == b'\n').count();
        assert_eq!(lines, 5 + if value.ndim() == 2 && !value.is_empty() { 2 * (value.len_of(Axis(0)) + 1) } else { 0 });
    }

    #[test]
    fn arrays_of_every_shape_are_written_as_serde_json_writes_them() {
        for shape in [
            vec![],
            vec![0],
            vec![3],
            vec![0, 3],
            vec![3, 0],
            vec![2, 3],
            vec![BLOCK + 1],
            vec![3, BLOCK + 1],
            vec![BLOCK / 10, 30],
        ] {
            let count = shape.iter().product::<usize>();
            let numbers = (0..count).map(|n| [f64::NAN, -0.0, f64::INFINITY, 1.0 / n as f64, -1e300, n as f64][n % 6]);
            let value = ArrayD::from_shape_vec(shape, numbers.collect()).unwrap();
            for threads in [1, 3] {
                crate::parallel::scope::with_thread_limit(threads, || same(&value));
            }
        }
        same(&Array2::from_shape_fn((3, 2), |(n, k)| (n + 7 * k) as f64).reversed_axes().into_dyn());
    }

    #[test]
    fn a_failure_ends_it() {
        let value = ArrayD::from_elem(vec![1000, 1000], 0.1);
        let mut small = [0; 100_000];
        let mut out = &mut small[..];
        assert!(write_value(&value, &mut out).is_err());
    }

    proptest! {
        #[test]
        fn every_double_is_written_as_serde_json_writes_it(bits in prop::collection::vec(any::<u64>(), 1..20)) {
            same(&ArrayD::from_shape_vec(vec![bits.len()], bits.into_iter().map(f64::from_bits).collect()).unwrap());
        }
    }
}
