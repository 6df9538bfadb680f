//! An operand with a row for each sample.

use crate::core::error::Error;
use crate::format::npy::rows::RowReader;
use crate::parallel::pages;
use ndarray::{ArrayD, Axis, Slice};

/// An operand with a row for each sample.
pub(super) enum RowSource {
    /// In a file, read a chunk at a time.
    File(RowReader),
    /// In memory, in chunks that are lent to the layer.
    Memory { shape: Vec<usize>, chunk_rows: usize, chunks: Vec<ArrayD<f64>>, lent: Option<usize> },
}

impl RowSource {
    /// Holds all rows in one chunk.
    pub(super) fn in_memory(value: ArrayD<f64>) -> RowSource {
        let shape = value.shape().to_vec();
        let chunk_rows = shape.first().copied().unwrap_or(1).max(1);
        RowSource::Memory { chunk_rows, shape, chunks: vec![value], lent: None }
    }

    /// Splits rows that are in memory into chunks. Peak overhead: one chunk.
    pub(super) fn split(&mut self, rows: usize) {
        let RowSource::Memory { shape, chunk_rows, chunks, .. } = self else { return };
        let [all] = &mut chunks[..] else { return };
        if *chunk_rows <= rows || shape.is_empty() {
            return;
        }
        // Operands are in standard layout.
        let (values, _) = std::mem::take(all).into_raw_vec_and_offset();
        (*chunks, *chunk_rows) = (split(values, shape, rows), rows);
    }

    pub(super) fn rank(&self) -> usize {
        self.shape().len()
    }

    /// Returns the number, if the operand is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            RowSource::Memory { shape, chunks, .. } if shape.is_empty() => chunks[0].first().copied(),
            _ => None,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.shape()[0]
    }

    pub(super) fn shape(&self) -> &[usize] {
        match self {
            RowSource::File(rows) => rows.shape(),
            RowSource::Memory { shape, .. } => shape,
        }
    }

    /// Returns up to `count` rows from `begin` on, which must follow those that were returned before; these come back as `recycled`.
    pub(super) fn next(
        &mut self,
        begin: usize,
        count: usize,
        recycled: Option<ArrayD<f64>>,
    ) -> Result<ArrayD<f64>, Error> {
        let RowSource::Memory { chunk_rows, chunks, lent, .. } = self else {
            drop(recycled);
            return self.copy(begin, count);
        };
        if let Some((lent, recycled)) = lent.take().zip(recycled) {
            chunks[lent] = recycled;
        }
        let n = begin / *chunk_rows;
        if begin == n * *chunk_rows && count >= chunks[n].len_of(Axis(0)) {
            *lent = Some(n);
            return Ok(std::mem::take(&mut chunks[n]));
        }
        self.copy(begin, count)
    }

    /// Returns a copy of these rows, which need not come back.
    pub(super) fn copy(&mut self, begin: usize, count: usize) -> Result<ArrayD<f64>, Error> {
        match self {
            RowSource::File(rows) => rows.read_rows(count),
            RowSource::Memory { chunk_rows, chunks, .. } => {
                let (chunk, begin) = (&chunks[begin / *chunk_rows], begin % *chunk_rows);
                let end = chunk.len_of(Axis(0)).min(begin + count);
                Ok(chunk.slice_axis(Axis(0), Slice::from(begin..end)).to_owned())
            }
        }
    }

    /// Takes the warning of an integer in a file that was rounded.
    pub(super) fn take_rounded(&mut self) -> Option<Error> {
        if let RowSource::File(rows) = self { rows.take_rounded() } else { None }
    }

    pub(super) fn rewind(&mut self) -> Result<(), Error> {
        if let RowSource::File(rows) = self { rows.rewind() } else { Ok(()) }
    }
}

/// Splits the values of an array into chunks of rows, from the end, so that at most one chunk is in memory twice.
fn split(mut values: Vec<f64>, shape: &[usize], rows: usize) -> Vec<ArrayD<f64>> {
    let width: usize = shape[1..].iter().product();
    let mut chunks: Vec<ArrayD<f64>> = Vec::new();
    for begin in (0..shape[0]).step_by(rows).rev() {
        let tail = if begin == 0 {
            std::mem::take(&mut values)
        } else {
            let mut tail = pages::with_capacity(values.len() - begin * width);
            tail.extend_from_slice(&values[begin * width..]);
            values.truncate(begin * width);
            values.shrink_to_fit();
            tail
        };
        let shape = [&[rows.min(shape[0] - begin)], &shape[1..]].concat();
        match ArrayD::from_shape_vec(shape, tail) {
            Ok(chunk) => chunks.push(chunk),
            Err(_) => unreachable!("the tail has this many rows of this width"),
        }
    }
    chunks.reverse();
    chunks
}
