//! An operand with a row for each sample.

use crate::core::error::Error;
use crate::format::npy::rows::Rows;
use crate::parallel::pages;
use ndarray::{ArrayD, Axis, Slice};

/// An operand with a row for each sample.
pub(in crate::cli) enum Batch {
    /// In a file, read a block of rows at a time.
    Read(Rows),
    /// In memory, in blocks of rows that are lent to the layer.
    Held { shape: Vec<usize>, height: usize, blocks: Vec<ArrayD<f64>>, lent: Option<usize> },
}

impl Batch {
    /// All rows in one block.
    pub(in crate::cli) fn held(all: ArrayD<f64>) -> Batch {
        let shape = all.shape().to_vec();
        Batch::Held { height: shape.first().copied().unwrap_or(1).max(1), shape, blocks: vec![all], lent: None }
    }

    /// Cuts what is in memory into blocks of so many rows. There is never more than one block of it twice.
    pub(in crate::cli) fn cut(&mut self, rows: usize) {
        let Batch::Held { shape, height, blocks, .. } = self else { return };
        let [all] = &mut blocks[..] else { return };
        if *height <= rows || shape.is_empty() {
            return;
        }
        // Operands are in standard layout.
        let (numbers, _) = std::mem::take(all).into_raw_vec_and_offset();
        (*blocks, *height) = (parts(numbers, shape, rows), rows);
    }

    pub(in crate::cli) fn rank(&self) -> usize {
        self.shape().len()
    }

    pub(in crate::cli) fn len(&self) -> usize {
        self.shape()[0]
    }

    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Batch::Read(rows) => rows.shape(),
            Batch::Held { shape, .. } => shape,
        }
    }

    /// The rows from `begin` on, which are the next; `spent` are those that were given before.
    pub(super) fn next(
        &mut self,
        begin: usize,
        count: usize,
        spent: Option<ArrayD<f64>>,
    ) -> Result<ArrayD<f64>, Error> {
        let Batch::Held { height, blocks, lent, .. } = self else {
            drop(spent);
            return self.copy(begin, count);
        };
        if let Some((lent, spent)) = lent.take().zip(spent) {
            blocks[lent] = spent;
        }
        let n = begin / *height;
        if begin == n * *height && count >= blocks[n].len_of(Axis(0)) {
            *lent = Some(n);
            return Ok(std::mem::take(&mut blocks[n]));
        }
        self.copy(begin, count)
    }

    /// The same, that need not be given back.
    pub(super) fn copy(&mut self, begin: usize, count: usize) -> Result<ArrayD<f64>, Error> {
        match self {
            Batch::Read(rows) => rows.next(count),
            Batch::Held { height, blocks, .. } => {
                let (block, begin) = (&blocks[begin / *height], begin % *height);
                let end = block.len_of(Axis(0)).min(begin + count);
                Ok(block.slice_axis(Axis(0), Slice::from(begin..end)).to_owned())
            }
        }
    }

    pub(super) fn rewind(&mut self) -> Result<(), Error> {
        if let Batch::Read(rows) = self { rows.rewind() } else { Ok(()) }
    }
}

/// The blocks of so many rows of an array of that shape, cut off from its end, so that there is never more than one of them
/// twice.
fn parts(mut numbers: Vec<f64>, shape: &[usize], rows: usize) -> Vec<ArrayD<f64>> {
    let width: usize = shape[1..].iter().product();
    let mut parts: Vec<ArrayD<f64>> = Vec::new();
    for begin in (0..shape[0]).step_by(rows).rev() {
        let tail = if begin == 0 {
            std::mem::take(&mut numbers)
        } else {
            let mut tail = pages::with_capacity(numbers.len() - begin * width);
            tail.extend_from_slice(&numbers[begin * width..]);
            numbers.truncate(begin * width);
            numbers.shrink_to_fit();
            tail
        };
        let shape = [&[rows.min(shape[0] - begin)], &shape[1..]].concat();
        match ArrayD::from_shape_vec(shape, tail) {
            Ok(part) => parts.push(part),
            Err(_) => unreachable!("so many rows of that width"),
        }
    }
    parts.reverse();
    parts
}
