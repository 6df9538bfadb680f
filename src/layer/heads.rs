//! The heads of attention: their sizes, their places in q, k and v, and the mask.

use super::arrays::elements;
use super::masked_rows::MaskedRows;
use crate::core::name::Name;
use crate::ops::ArrayOps;
use ndarray::{ArrayD, ArrayView2, IxDyn, ShapeBuilder};
use std::ops::Range;

/// Queries.
pub(super) const Q: Name = Name::fixed("q");
/// Keys.
pub(super) const K: Name = Name::fixed("k");
/// Values.
pub(super) const V: Name = Name::fixed("v");

/// Tasks into which the work is split at least, if there are rows for them.
const MIN_TASKS: usize = 8;

/// Keys that a query row may attend to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Causal {
    /// All keys.
    No,
    /// Row i attends to keys 0 to i.
    TopLeft,
    /// The last row attends to all keys, and each row before it to one key fewer.
    BottomRight,
}

/// Meaning of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MaskKind {
    /// It is added to the scores.
    Additive,
    /// Keys where it has this value take part.
    Boolean(bool),
}

/// The options of attention.
pub(super) struct Options {
    pub(super) scale: Option<f64>,
    pub(super) softcap: Option<f64>,
    pub(super) causal: Causal,
    pub(super) mask: MaskKind,
    pub(super) masked: MaskedRows,
}

/// The sizes of q, k and v.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Lengths of the leading axes.
    pub(super) lead: Vec<usize>,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    /// L, S, d and e.
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) depth: usize,
    pub(super) value_depth: usize,
    /// True if the heads are parts of a row, false if they are an axis before the rows.
    pub(super) is_joined: bool,
    /// True if there is no axis of heads.
    pub(super) is_single: bool,
}

/// One head of an array: rows of a width at a distance.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) begin: usize,
    width: usize,
    pub(super) stride: usize,
}

impl Part {
    pub(super) fn rows<'a, S>(&self, all: &'a [S], rows: Range<usize>) -> ArrayView2<'a, S> {
        let shape = (rows.len(), self.width).strides((self.stride, 1));
        let begin = (self.begin + rows.start * self.stride).min(all.len());
        ArrayView2::from_shape(shape, &all[begin..]).unwrap_or_else(|_| unreachable!("the array has all rows"))
    }
}

impl Sizes {
    /// Returns the product of the leading axes.
    pub(super) fn batch(&self) -> usize {
        self.lead.iter().product()
    }

    /// Returns an array's shape, given its number of heads, rows and the width of a head.
    pub(super) fn shape(&self, heads: usize, rows: usize, width: usize) -> Vec<usize> {
        match (self.is_joined, self.is_single) {
            (true, _) => [&self.lead[..], &[rows, heads * width]].concat(),
            (false, true) => vec![rows, width],
            (false, false) => [&self.lead[..], &[heads, rows, width]].concat(),
        }
    }

    /// Returns the shape of all scores, to which a mask broadcasts.
    pub(super) fn scores(&self) -> Vec<usize> {
        let heads: &[usize] = if self.is_single { &[] } else { &[self.heads] };
        [&self.lead[..], heads, &[self.queries, self.keys]].concat()
    }

    /// Returns the number of query rows of a task, and the number of tasks for each head of k and v.
    pub(super) fn tasks(&self) -> (usize, usize) {
        let enough = MIN_TASKS.div_ceil((self.batch() * self.kv_heads).max(1));
        let rows = self.queries.div_ceil(enough).next_multiple_of(64).min(self.queries).max(1);
        (rows, self.queries.div_ceil(rows))
    }

    pub(super) fn part(&self, batch: usize, head: usize, heads: usize, rows: usize, width: usize) -> Part {
        if self.is_joined {
            Part { begin: batch * rows * heads * width + head * width, width, stride: heads * width }
        } else {
            Part { begin: (batch * heads + head) * rows * width, width, stride: width }
        }
    }
}

/// Returns the number of keys from the first that a query row may attend to.
pub(super) fn visible(causal: Causal, sizes: &Sizes, row: usize) -> usize {
    match causal {
        Causal::No => sizes.keys,
        Causal::TopLeft => sizes.keys.min(row + 1),
        Causal::BottomRight => (row + 1 + sizes.keys).saturating_sub(sizes.queries).min(sizes.keys),
    }
}

/// A mask, broadcast to all scores.
pub(super) struct Mask<'a, S> {
    pub(super) values: &'a [S],
    /// Lengths and distances of the axes before the rows, and distances of rows and columns.
    lead: Vec<(usize, usize)>,
    row: usize,
    pub(super) column: usize,
    pub(super) kind: MaskKind,
}

impl<'a, S: ArrayOps> Mask<'a, S> {
    /// Returns the mask, if it broadcasts to the scores.
    pub(super) fn new(mask: &'a ArrayD<S>, sizes: &Sizes, kind: MaskKind) -> Option<Mask<'a, S>> {
        let scores = sizes.scores();
        let broadcast = mask.broadcast(IxDyn(&scores))?;
        let strides: Vec<usize> = broadcast.strides().iter().map(|stride| stride.unsigned_abs()).collect();
        let [lead @ .., row, column] = &strides[..] else { return None };
        let lead = scores.iter().copied().zip(lead.iter().copied()).collect();
        Some(Mask { values: elements(mask), lead, row: *row, column: *column, kind })
    }

    /// Returns the index of the first value of a row, counting heads of all batches.
    pub(super) fn begin(&self, mut head: usize, row: usize) -> usize {
        let mut at = row * self.row;
        for (length, stride) in self.lead.iter().rev() {
            at += head % length * stride;
            head /= length;
        }
        at
    }

    /// Returns true if a key takes part.
    pub(super) fn has(&self, value: S) -> bool {
        match self.kind {
            MaskKind::Boolean(takes_part) => (value != S::zero()) == takes_part,
            MaskKind::Additive => value != S::from_f64(f64::NEG_INFINITY),
        }
    }

    /// Returns true if none of the first `keys` keys of a row takes part.
    pub(super) fn is_masked(&self, head: usize, row: usize, keys: usize) -> bool {
        let begin = self.begin(head, row);
        (0..keys).all(|key| !self.has(self.values[begin + key * self.column]))
    }

    /// Returns the heads and rows that differ.
    pub(super) fn distinct(&self, sizes: &Sizes, causal: Causal) -> (usize, usize) {
        let heads: usize = self.lead.iter().map(|(length, _)| length).product();
        let heads = if self.lead.iter().all(|(_, stride)| *stride == 0) { heads.min(1) } else { heads };
        let rows = if self.row == 0 && causal == Causal::No { sizes.queries.min(1) } else { sizes.queries };
        (heads, rows)
    }
}
