//! Writer of JSON values: shortest digits that read back to the same double, and strings for numbers that are not finite.
//! Large arrays are formatted in chunks, in parallel, and written in order.

use super::records::Carried;
use crate::core::non_finite::json_name;
use crate::core::tensors::Tensors;
use crate::format::arrays::{ArrayStream, InMemoryArrays};
use crate::parallel::pipeline;
use crate::parallel::progress::Progress;
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Number of values that are formatted as one task.
const CHUNK_VALUES: usize = 1 << 15;

/// Appends a number, or its name in quotes if it is not finite.
///
/// ```
/// let mut text = Vec::new();
/// nnlayer::format::json::push_number(-0.0, &mut text);
/// nnlayer::format::json::push_number(f64::NAN, &mut text);
/// assert_eq!(text, b"-0.0\"NaN\"");
/// ```
#[inline]
pub fn push_number(number: f64, text: &mut Vec<u8>) {
    match json_name(number) {
        None => push_digits(zmij::Buffer::new().format_finite(number).as_bytes(), text),
        Some(name) => [b"\"", name.as_bytes(), b"\""].iter().for_each(|part| text.extend_from_slice(part)),
    }
}

/// Appends the digits of a double, at most 24 bytes. Copying the first and the last 16 bytes, which overlap, is faster than
/// a copy of variable length.
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

/// Appends an array of numbers.
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

/// Writes an object and a line break: the carried keys with their original text, then each array under its name. `pretty`
/// puts each key and each innermost row of an array on a line of its own.
pub fn write_object(
    carried: &[Carried<'_>],
    arrays: &mut dyn ArrayStream,
    pretty: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    write_members(carried, arrays, Layout { pretty, depth: 0 }, out)?;
    out.write_all(b"\n")
}

/// Writes an object that holds an object of arrays for each group, and a line break.
pub fn write_nested_object(groups: &[(&str, Tensors<f64>)], pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let (outer, inner) = (Layout { pretty, depth: 0 }, Layout { pretty, depth: 1 });
    out.write_all(b"{")?;
    for (n, (group, arrays)) in groups.iter().enumerate() {
        outer.write_key(n == 0, group, out)?;
        write_members(&[], &mut InMemoryArrays::from(arrays), inner, out)?;
    }
    writeln!(out, "{}}}", outer.line_break(0))
}

/// Line breaks and indentation of an object.
#[derive(Clone, Copy)]
struct Layout {
    pretty: bool,
    /// Number of objects around this one.
    depth: usize,
}

impl Layout {
    /// Returns the line break before a value `levels` inside the object.
    fn line_break(self, levels: usize) -> String {
        if self.pretty { format!("\n{}", "  ".repeat(self.depth + levels)) } else { String::new() }
    }

    fn write_key(self, is_first: bool, key: &str, out: &mut dyn io::Write) -> io::Result<()> {
        write!(out, "{}{}", if is_first { "" } else { "," }, self.line_break(1))?;
        serde_json::to_writer(&mut *out, key)?;
        out.write_all(if self.pretty { b": " } else { b":" })
    }

    /// Returns the brackets and commas of an array of that shape.
    fn brackets(self, shape: &[usize]) -> Brackets {
        let rank = shape.len();
        if rank < 2 {
            let [open, close] = if rank == 0 { [""; 2] } else { ["[", "]"] }.map(str::to_owned);
            return Brackets { open, between: vec![",".to_owned()], close, sizes: Vec::new() };
        }
        let open = |levels: Range<usize>| levels.map(|level| format!("[{}", self.line_break(level + 1))).collect();
        let close =
            |levels: Range<usize>| levels.rev().map(|level| format!("{}]", self.line_break(level))).collect::<String>();
        let between = |levels: usize| -> String {
            let outer = rank - levels;
            let opened: String = open(outer..rank);
            format!("{},{}{opened}", close(outer..rank), self.line_break(outer))
        };
        Brackets {
            open: open(1..rank),
            between: (0..rank - 1).map(between).collect(),
            close: close(1..rank),
            sizes: shape[1..rank - 1].to_vec(),
        }
    }
}

/// Texts around the innermost rows of an array, or around the numbers of a vector.
struct Brackets {
    open: String,
    /// Texts between two of them, by the number of brackets that are closed.
    between: Vec<String>,
    close: String,
    /// Sizes of the axes between the first and the last.
    sizes: Vec<usize>,
}

impl Brackets {
    /// Returns what is written before one of them that is not the first.
    fn before(&self, row: usize) -> &str {
        let mut size = 1;
        let is_end = |side: &&usize| {
            size *= **side;
            row.is_multiple_of(size)
        };
        &self.between[self.sizes.iter().rev().take_while(is_end).count()]
    }
}

/// Returns the text of an array without entries that brackets cannot tell the shape of, `{"shape":[0,3],"data":[]}`.
fn empty_text(shape: &[usize]) -> Option<String> {
    (shape.contains(&0) && shape.len() > 1).then(|| format!(r#"{{"shape":{shape:?},"data":[]}}"#).replace(' ', ""))
}

fn write_members(
    carried: &[Carried<'_>],
    arrays: &mut dyn ArrayStream,
    layout: Layout,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    out.write_all(b"{")?;
    for (n, Carried { key_text, value_text, .. }) in carried.iter().enumerate() {
        out.write_all(if n == 0 { b"" } else { b"," })?;
        for text in [layout.line_break(1).as_bytes(), key_text, b":", value_text] {
            out.write_all(text)?;
        }
    }
    let mut is_first = carried.is_empty();
    while let Some((name, shape)) = arrays.next_array()? {
        layout.write_key(std::mem::take(&mut is_first), name.as_str(), out)?;
        if let Some(text) = empty_text(&shape) {
            out.write_all(text.as_bytes())?;
            while arrays.next_rows()?.is_some() {}
            continue;
        }
        let brackets = layout.brackets(&shape);
        out.write_all(brackets.open.as_bytes())?;
        let mut is_first = true;
        while let Some(rows) = arrays.next_rows()? {
            write_rows(&rows, &brackets, is_first, out)?;
            is_first &= rows.is_empty();
        }
        out.write_all(brackets.close.as_bytes())?;
    }
    write!(out, "{}}}", layout.line_break(0))
}

/// Writes an array without a line break after it.
pub fn write_value(value: &ArrayD<f64>, out: &mut dyn io::Write) -> io::Result<()> {
    if let Some(text) = empty_text(value.shape()) {
        return out.write_all(text.as_bytes());
    }
    let brackets = Layout { pretty: false, depth: 0 }.brackets(value.shape());
    out.write_all(brackets.open.as_bytes())?;
    write_rows(value, &brackets, true, out)?;
    out.write_all(brackets.close.as_bytes())
}

/// Writes a scalar, the numbers of a vector or the innermost rows of an array, with a comma before each but the first of the array.
/// They are all of the array, or of a part of it along its first axis.
fn write_rows(rows: &ArrayD<f64>, brackets: &Brackets, is_first: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let layout = rows.as_standard_layout();
    let numbers = layout.as_slice().unwrap_or_default();
    let width = if rows.ndim() < 2 { 1 } else { rows.len_of(Axis(rows.ndim() - 1)).max(1) };
    let format_chunk = |first: usize, chunk: &[f64], text: &mut Vec<u8>| {
        let is_first = is_first && first == 0;
        if rows.ndim() < 2 {
            text.extend_from_slice(if is_first { b"" } else { b"," });
            return push_numbers(chunk, text);
        }
        for (n, row) in (first / width..).zip(chunk.chunks(width)) {
            if n > 0 || !is_first {
                text.extend_from_slice(brackets.before(n).as_bytes());
            }
            push_row(row, text);
        }
    };
    let chunk_size = (CHUNK_VALUES / width).max(1) * width;
    let mut chunks = (0..).step_by(chunk_size).zip(numbers.chunks(chunk_size));
    // Buffers of texts that were written are reused.
    let spare = Mutex::new(Vec::new());
    let spare = || spare.lock().unwrap_or_else(PoisonError::into_inner);
    let format_chunk = |(first, chunk): (usize, &[f64])| {
        let mut text: Vec<u8> = spare().pop().unwrap_or_default();
        text.clear();
        format_chunk(first, chunk, &mut text);
        text
    };
    let progress = Progress::new("writing", numbers.len());
    let mut written = Ok(());
    let write_chunk = |text: Vec<u8>| {
        written = out.write_all(&text);
        spare().push(text);
        progress.advance(chunk_size);
        written.is_ok()
    };
    pipeline::run(|| chunks.next(), format_chunk, write_chunk);
    written
}

/// Array as a value that serde serializes: as [`write_value`] writes it.
pub struct Matrix<'a>(pub ArrayViewD<'a, f64>);

impl Serialize for Matrix<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() && self.0.ndim() > 1 {
            let mut map = serializer.serialize_map(Some(2))?;
            map.serialize_entry("shape", self.0.shape())?;
            map.serialize_entry("data", &[0; 0])?;
            return map.end();
        }
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
        match json_name(self.0) {
            None => serializer.serialize_f64(self.0),
            Some(name) => serializer.serialize_str(name),
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

    /// Compares with the text that serde_json writes.
    fn assert_as_serde_json(value: &ArrayD<f64>) {
        let mut text = Vec::new();
        write_value(value, &mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), serde_json::to_string(&Matrix(value.view())).unwrap());
        let (mut plain, mut pretty) = (Vec::new(), Vec::new());
        let names = [Name::Y, Name::DX];
        let entries = || InMemoryArrays::new(names.iter().map(|name| (name.clone(), Cow::Borrowed(value))));
        write_object(&[], &mut entries(), false, &mut plain).unwrap();
        write_object(&[], &mut entries(), true, &mut pretty).unwrap();
        let parsed = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(&plain), parsed(&pretty));
        let lines = pretty.split(|&byte| byte == b'\n').count();
        let axes = value.ndim().saturating_sub(1);
        let rows: Vec<usize> = (0..axes).map(|axis| value.shape()[..=axis].iter().product()).collect();
        let brackets = rows.iter().rev().skip(1).map(|arrays| 2 * arrays).sum::<usize>();
        let expected = rows.last().filter(|_| !value.is_empty()).map_or(0, |rows| rows + brackets + 1);
        assert_eq!(lines, 5 + 2 * expected);
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
            vec![CHUNK_VALUES + 1],
            vec![3, CHUNK_VALUES + 1],
            vec![CHUNK_VALUES / 10, 30],
            vec![2, 3, 4],
            vec![2, 1, 0, 3],
            vec![1, 2, 1, 3, 1],
            vec![700, 7, 30],
        ] {
            let count = shape.iter().product::<usize>();
            let numbers = (0..count).map(|n| [f64::NAN, -0.0, f64::INFINITY, 1.0 / n as f64, -1e300, n as f64][n % 6]);
            let value = ArrayD::from_shape_vec(shape, numbers.collect()).unwrap();
            for threads in [1, 3] {
                crate::parallel::scope::with_thread_limit(threads, || assert_as_serde_json(&value));
            }
        }
        assert_as_serde_json(&Array2::from_shape_fn((3, 2), |(n, k)| (n + 7 * k) as f64).reversed_axes().into_dyn());
    }

    /// An array that is written one element of its first axis at a time.
    struct Slices<'a>(&'a ArrayD<f64>, usize);

    impl ArrayStream for Slices<'_> {
        fn next_array(&mut self) -> io::Result<Option<(Name, Vec<usize>)>> {
            Ok((self.1 == 0).then(|| (Name::Y, self.0.shape().to_vec())))
        }

        fn next_rows(&mut self) -> io::Result<Option<Cow<'_, ArrayD<f64>>>> {
            let row = self.1;
            self.1 += 1;
            let is_row = row < self.0.len_of(Axis(0));
            Ok(is_row.then(|| Cow::Owned(self.0.slice_axis(Axis(0), (row..row + 1).into()).to_owned())))
        }
    }

    #[test]
    fn an_array_is_written_the_same_in_parts() {
        for shape in [&[4][..], &[3, 2], &[3, 2, 2], &[3, 1, 2, 2], &[3, 0, 2], &[0, 2]] {
            let count = shape.iter().product();
            let value = ArrayD::from_shape_vec(shape, (0..count).map(|n| n as f64).collect()).unwrap();
            for pretty in [false, true] {
                let (mut whole, mut parts) = (Vec::new(), Vec::new());
                let arrays = Tensors::new().with(Name::Y, value.clone());
                write_object(&[], &mut InMemoryArrays::from(&arrays), pretty, &mut whole).unwrap();
                write_object(&[], &mut Slices(&value, 0), pretty, &mut parts).unwrap();
                assert_eq!(String::from_utf8(parts), String::from_utf8(whole), "{shape:?}");
            }
        }
    }

    #[test]
    fn a_write_error_is_returned() {
        let value = ArrayD::from_elem(vec![1000, 1000], 0.1);
        let mut small = [0; 100_000];
        let mut out = &mut small[..];
        assert!(write_value(&value, &mut out).is_err());
    }

    proptest! {
        #[test]
        fn every_double_is_written_as_serde_json_writes_it(bits in prop::collection::vec(any::<u64>(), 1..20)) {
            assert_as_serde_json(&ArrayD::from_shape_vec(vec![bits.len()], bits.into_iter().map(f64::from_bits).collect()).unwrap());
        }
    }
}
