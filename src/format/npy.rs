//! NumPy's `.npy`: magic, version, a Python dict that says type, order and shape, then the elements.

use super::elements::{Layout, cut_off};
use super::{Format, Found, Selector, Source, Width, refuse_selector};
use crate::bundle::Bundle;
use crate::fault::{Code, Fault};
use crate::name::Name;
use ndarray::ArrayD;
use std::io::{self, Read, Write};

mod header;

/// One array in NumPy's own format.
pub struct Npy;

/// The first bytes.
const MAGIC: &[u8] = b"\x93NUMPY";

/// A header longer than this describes no plain array.
const LONGEST_HEADER: u64 = 1 << 20;

impl Format for Npy {
    fn name(&self) -> &'static str {
        ".npy"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npy"]
    }

    fn begins(&self, first: &[u8]) -> bool {
        first.starts_with(MAGIC)
    }

    fn read(&self, mut source: Source<'_>, select: &Selector, _wanted: &[Name]) -> Result<Found, Fault> {
        let (label, len) = (source.label, source.len);
        refuse_selector(select, self)
            .and_then(|()| read_array(&mut source, len, true))
            .map_err(|fault| fault.from(label))
    }

    fn holds_names(&self) -> bool {
        false
    }

    fn write(&self, values: &Bundle<f64>, wide: Width, out: &mut dyn io::Write) -> io::Result<()> {
        values.iter().try_for_each(|(_, value)| write_array(value, wide, out))
    }
}

/// Reads one array of `len` bytes with its header. `certain` says that these bytes are known to be there.
pub(super) fn read_array(from: &mut dyn Read, len: u64, certain: bool) -> Result<Found, Fault> {
    let (layout, before) = read_header(from, len)?;
    layout.admit(len - before)?;
    let value = layout.read(from, certain)?;
    match from.read(&mut [0]) {
        Ok(0) => Ok(Found { value, rounding: layout.element.rounding(), pointer: String::new() }),
        Ok(_) => Err(damaged("is damaged: it goes on after its last number")),
        Err(error) => Err(cut_off(&error)),
    }
}

/// The layout, and the bytes in front of the elements.
fn read_header(from: &mut dyn Read, len: u64) -> Result<(Layout, u64), Fault> {
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
fn take(from: &mut dyn Read, count: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    from.take(count).read_to_end(&mut bytes).map_err(|error| cut_off(&error))?;
    Ok(bytes)
}

/// The fault of a file that is not what it says.
fn damaged(message: impl Into<String>) -> Fault {
    Fault::new(Code::Damaged, message)
}

/// Writes version 1 in C order, byte for byte as `numpy.save` does.
pub(super) fn write_array(value: &ArrayD<f64>, wide: Width, out: &mut dyn io::Write) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    out.write_all(&header::text(value.shape(), wide))?;
    for &number in value {
        match wide {
            Width::Double => out.write_all(&number.to_le_bytes())?,
            Width::Single => out.write_all(&(number as f32).to_le_bytes())?,
        }
    }
    out.flush()
}

/// The bytes that one array takes, header and all.
pub(super) fn written_size(value: &ArrayD<f64>, wide: Width) -> u64 {
    let element = if wide == Width::Double { 8 } else { 4 };
    header::text(value.shape(), wide).len() as u64 + element * value.len() as u64
}
