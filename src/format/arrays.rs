//! Arrays on their way out: one after the other, each in blocks of rows, so that whoever computes them needs no room for all.

use crate::core::name::Name;
use crate::core::tensors::Tensors;
use ndarray::ArrayD;
use std::borrow::Cow;
use std::io;

/// Arrays that are made when they are asked for.
pub trait ArrayStream {
    /// Goes on to the next array: its name and its shape.
    fn next_array(&mut self) -> io::Result<Option<(Name, Vec<usize>)>>;

    /// Its next rows, or numbers of a vector, until there are none; a scalar comes once.
    fn next_rows(&mut self) -> io::Result<Option<Cow<'_, ArrayD<f64>>>>;
}

/// Arrays in memory. Those that are owned are dropped once they are written.
pub struct InMemoryArrays<'a> {
    arrays: Box<dyn Iterator<Item = (Name, Cow<'a, ArrayD<f64>>)> + 'a>,
    rows: Option<Cow<'a, ArrayD<f64>>>,
}

impl<'a> InMemoryArrays<'a> {
    /// These arrays, in their order.
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
