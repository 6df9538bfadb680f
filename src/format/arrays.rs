//! Arrays that formats read and write.

use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::FloatType;
use ndarray::ArrayD;
use std::borrow::Cow;
use std::io;

/// Unit roundoff of a double, 2⁻⁵³.
pub const DOUBLE_ROUNDING: f64 = f64::EPSILON / 2.0;

/// An array read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedArray {
    /// The values.
    pub value: ArrayD<f64>,
    /// The type in the file; F64 for integers, booleans and decimal numbers.
    pub element: FloatType,
    /// True for booleans, which are ones and zeros.
    pub is_boolean: bool,
    /// The pointer or name of the array in the file; empty for the whole file.
    pub pointer: String,
    /// Warning of the first integer that a double cannot represent, in a binary file.
    pub rounded: Option<Error>,
}

impl LoadedArray {
    /// Returns an array of doubles without a name.
    pub fn unnamed(value: ArrayD<f64>) -> LoadedArray {
        LoadedArray { value, element: FloatType::F64, is_boolean: false, pointer: String::new(), rounded: None }
    }
}

/// Element type of results in binary formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputDtype {
    /// NumPy's `f8`.
    F64,
    /// NumPy's `f4`, for results of `--precision f32`, which are exact in it.
    F32,
    /// NumPy's `f2`, for results of `--precision f16`.
    F16,
    /// The bfloat16 of ml_dtypes, which NumPy writes as two bytes without a type, for results of `--precision bf16`.
    Bf16,
}

impl OutputDtype {
    /// Returns the size of an element in bytes.
    pub(super) fn size(self) -> usize {
        match self {
            OutputDtype::F64 => 8,
            OutputDtype::F32 => 4,
            OutputDtype::F16 | OutputDtype::Bf16 => 2,
        }
    }
}

/// A stream of named arrays, each in chunks of rows, so that results larger than memory can be written.
pub trait ArrayStream {
    /// Advances to the next array and returns its name and shape.
    fn next_array(&mut self) -> io::Result<Option<(Name, Vec<usize>)>>;

    /// Returns the next rows of the array, or the next entries of a vector; a scalar is one chunk.
    fn next_rows(&mut self) -> io::Result<Option<Cow<'_, ArrayD<f64>>>>;
}

/// Arrays in memory as a stream of one chunk each. An owned array is dropped when the next one is requested.
pub struct InMemoryArrays<'a> {
    arrays: Box<dyn Iterator<Item = (Name, Cow<'a, ArrayD<f64>>)> + 'a>,
    rows: Option<Cow<'a, ArrayD<f64>>>,
}

impl<'a> InMemoryArrays<'a> {
    /// Returns a stream of these arrays.
    pub fn new(arrays: impl Iterator<Item = (Name, Cow<'a, ArrayD<f64>>)> + 'a) -> Self {
        InMemoryArrays { arrays: Box::new(arrays), rows: None }
    }
}

impl<'a> From<&'a Tensors<f64>> for InMemoryArrays<'a> {
    fn from(arrays: &'a Tensors<f64>) -> Self {
        InMemoryArrays::new(arrays.iter().map(|(name, value)| (name.clone(), Cow::Borrowed(value))))
    }
}

impl ArrayStream for InMemoryArrays<'_> {
    fn next_array(&mut self) -> io::Result<Option<(Name, Vec<usize>)>> {
        let Some((name, value)) = self.arrays.next() else { return Ok(None) };
        let shape = value.shape().to_vec();
        self.rows = Some(value);
        Ok(Some((name, shape)))
    }

    fn next_rows(&mut self) -> io::Result<Option<Cow<'_, ArrayD<f64>>>> {
        Ok(self.rows.take())
    }
}
