//! Bytes ↔ named arrays. Reading and writing of a format face each other in one file.
//!
//! Nothing that a file says is believed before it was compared with the bytes there are: no reader allocates more than
//! a small multiple of them.

pub(crate) use crate::core::error::sanitize;
use crate::core::error::{Code, Error, edit_distance, join_names};
use crate::core::name::Name;
use crate::parallel::progress::Progress;
use ndarray::ArrayD;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek};

mod arrays;
pub mod csv;
pub mod decimal;
mod elements;
pub mod json;
pub mod npy;
pub mod npz;
pub mod safetensors;

pub use arrays::{ArrayStream, InMemoryArrays};

/// A file format.
pub trait Format: Sync {
    /// What users call it: `.npy`.
    fn name(&self) -> &'static str;
    /// The extensions it goes by, without the point.
    fn extensions(&self) -> &'static [&'static str];
    /// Whether a file may begin so, for files of unknown extension and for streams.
    fn recognizes(&self, first: &[u8]) -> bool;
    /// Reads the selected array; without a selector the one that is named as the operand.
    fn read(&self, source: Source<'_>, select: &Selector, wanted: &[Name]) -> Result<LoadedArray, Error>;
    /// The names of the arrays it holds, for a format that holds names.
    fn names(&self, _source: Source<'_>) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
    /// Reads every array, for a format that holds names, in one pass over its list of them.
    fn read_all_arrays(&self, _source: Source<'_>) -> Result<Vec<LoadedArray>, Error> {
        Ok(Vec::new())
    }
    /// Whether it holds several arrays under their names.
    fn has_names(&self) -> bool;
    /// Writes all arrays, those of formats without names one after the other; `wide` says f8 or f4 where bytes are
    /// numbers, text has all digits of the double either way.
    fn write(&self, arrays: &mut dyn ArrayStream, wide: OutputDtype, out: &mut dyn io::Write) -> io::Result<()>;
    /// Whether it can be written at all.
    fn can_write(&self) -> bool {
        true
    }
}

/// Every format, in the order in which first bytes are tried.
pub const FORMATS: &[&dyn Format] =
    &[&npy::Npy, &npz::Npz, &safetensors::Safetensors, &json::Json, &csv::Csv, &csv::Tsv];

/// The format of that extension, in any case.
pub fn find_by_extension(extension: &str) -> Option<&'static dyn Format> {
    let extension = extension.to_ascii_lowercase();
    FORMATS.iter().copied().find(|format| format.extensions().contains(&extension.as_str()))
}

/// The format whose files may begin so.
pub fn find_by_first_bytes(first: &[u8]) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.recognizes(first))
}

/// How wide numbers are written in binary formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputDtype {
    /// f8: doubles.
    F64,
    /// f4: results of `--precision f32`, exact in it.
    F32,
}

/// Which of a file's arrays is meant: the text behind `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Nothing was said.
    Default,
    /// A JSON pointer, `/layers/0/w`; for archives the array's name behind the first `/`.
    Pointer(String),
}

impl Selector {
    /// Reads the text behind `#`: `#w` is short for `#/w`.
    pub fn parse(text: &str) -> Selector {
        match text {
            "" => Selector::Default,
            pointer if pointer.starts_with('/') => Selector::Pointer(pointer.to_owned()),
            key => Selector::Pointer(format!("/{}", escape(key))),
        }
    }

    /// The array's name in an archive: what is behind the first `/`; `/layers/0/w` is `layers/0/w` there.
    pub fn name(&self) -> Option<String> {
        match self {
            Selector::Default => None,
            Selector::Pointer(pointer) => Some(unescape(pointer.strip_prefix('/').unwrap_or(pointer))),
        }
    }
}

/// A key as a part of a JSON pointer (RFC 6901): `~` is `~0`, `/` is `~1`.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The key that a part of a JSON pointer stands for.
pub fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// An array, and where it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedArray {
    /// The values, rank 0 to 2.
    pub value: ArrayD<f64>,
    /// Half a unit in the last place at 1 of the type that the file holds: 2⁻⁵³ for doubles.
    pub rounding: f64,
    /// The pointer or name that leads to it; empty for the whole file.
    pub pointer: String,
}

/// The rounding of doubles, 2⁻⁵³.
pub const DOUBLE_ROUNDING: f64 = f64::EPSILON / 2.0;

/// Bytes to read from: an open file, or a stream that was read before.
pub struct Source<'a> {
    /// What messages call it: the path, or `standard input`.
    pub label: &'a str,
    /// The number of bytes there are; nothing larger is ever allocated for them.
    pub len: u64,
    body: Body<'a>,
    progress: Progress,
}

enum Body<'a> {
    File(File),
    Bytes(io::Cursor<&'a [u8]>),
}

impl<'a> Source<'a> {
    /// An open regular file of `len` bytes.
    pub fn file(label: &'a str, file: File, len: u64) -> Source<'a> {
        Source { label, len, body: Body::File(file), progress: reading(len) }
    }

    /// Bytes that are in memory.
    pub fn bytes(label: &'a str, bytes: &'a [u8]) -> Source<'a> {
        let len = bytes.len() as u64;
        Source { label, len, body: Body::Bytes(io::Cursor::new(bytes)), progress: reading(len) }
    }

    /// Everything, in memory.
    pub fn read_all(self) -> Result<Cow<'a, [u8]>, Error> {
        match self.body {
            Body::Bytes(bytes) => Ok(bytes.into_inner().into()),
            Body::File(mut file) => {
                let mut bytes = Vec::new();
                if bytes.try_reserve_exact(usize::try_from(self.len).unwrap_or(usize::MAX)).is_err() {
                    return Err(too_large(self.len).with_origin(self.label));
                }
                match file.read_to_end(&mut bytes) {
                    Ok(_) => Ok(bytes.into()),
                    Err(error) => Err(unreadable(self.label, &error)),
                }
            }
        }
    }
}

fn reading(len: u64) -> Progress {
    Progress::new("reading", usize::try_from(len).unwrap_or(usize::MAX))
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.body {
            Body::File(file) => file.read(buffer),
            Body::Bytes(bytes) => bytes.read(buffer),
        }?;
        self.progress.advance(read);
        Ok(read)
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        match &mut self.body {
            Body::File(file) => file.seek(to),
            Body::Bytes(bytes) => bytes.seek(to),
        }
    }
}

/// The error of a file that is there and cannot be read.
pub fn unreadable(label: &str, error: &io::Error) -> Error {
    Error::new(Code::FileUnreadable, format!("cannot be read: {error}")).with_origin(label)
}

/// The error of a file without the array that was asked for: `pointer` is what was, `there` what could have been.
pub fn missing(pointer: &str, there: &[String]) -> Error {
    let error = Error::new(Code::KeyMissing, format!("has no {}", sanitize(pointer)));
    let error = match there.len() {
        0 => error.fact("it is empty"),
        _ => error.fact(format!("it has {}", join_names(there))),
    };
    let wanted = pointer.trim_start_matches('/');
    let near = |key: &String| {
        edit_distance(key.trim_start_matches('/'), wanted).filter(|slips| *slips <= 2 && *slips < wanted.len())
    };
    let nearest = there.iter().take(1000).filter_map(|key| Some((near(key)?, key))).min_by_key(|(slips, _)| *slips);
    match (nearest, there.first()) {
        (Some((_, key)), _) => error.tip(format!("did you mean FILE#{}?", sanitize(key))),
        (None, Some(first)) => error.tip(format!("name the one you mean: FILE#{}", sanitize(first))),
        (None, None) => error.tip("there is nothing to read in it"),
    }
}

/// Which of an archive's arrays is meant: the selected one, else the first of `wanted` that is there.
fn choose(select: &Selector, wanted: &[Name], there: &[String]) -> Result<String, Error> {
    let choices = match select.name() {
        Some(name) => vec![name],
        None => wanted.iter().map(Name::to_string).collect(),
    };
    match choices.iter().find(|choice| there.contains(choice)) {
        Some(choice) => Ok(choice.clone()),
        None => Err(missing(&choices.join(" or "), there)),
    }
}

/// Refuses a selector where there is nothing to select from.
fn refuse_selector(select: &Selector, format: &dyn Format) -> Result<(), Error> {
    match select.name() {
        None => Ok(()),
        Some(name) => {
            let message =
                format!("has no {}: a {} file holds one array without a name", sanitize(&name), format.name());
            Err(Error::new(Code::KeyMissing, message).tip("leave out the # and what follows it"))
        }
    }
}

/// The error of an array with more than two axes.
fn rank_error(shape: &[usize]) -> Error {
    let message =
        format!("has {} axes {}, more than the two of a matrix", shape.len(), crate::core::error::format_shape(shape));
    Error::new(Code::Rank, message)
}

/// The error of an array that does not fit into memory.
fn too_large(bytes: u64) -> Error {
    Error::new(Code::FileUnreadable, format!("is too large for this machine's memory ({bytes} bytes)"))
}

/// Refuses text in UTF-16, which some Windows programs write.
fn refuse_utf16(first: &[u8]) -> Result<(), Error> {
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
        return Err(Error::new(Code::FormatUnknown, "is text in UTF-16").tip("save it as UTF-8"));
    }
    Ok(())
}
