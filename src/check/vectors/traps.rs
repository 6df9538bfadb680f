//! Shapes and numbers that programs get wrong.

use crate::check::points::{INEXACT, move_rows};
use crate::numeric::FloatType;
use ndarray::ArrayD;

/// A shape of the first input.
pub(super) struct Shape {
    /// The name of the case.
    pub(super) name: &'static str,
    pub(super) flag: &'static str,
    /// Returns the shape in place of the default one.
    pub(super) change: fn(&[usize]) -> Option<Vec<usize>>,
    /// True if it has no entries.
    pub(super) is_empty: bool,
}

const fn shape(name: &'static str, flag: &'static str, change: fn(&[usize]) -> Option<Vec<usize>>) -> Shape {
    Shape { name, flag, change, is_empty: false }
}

pub(super) const SHAPES: &[Shape] = &[
    shape("odd-17", "odd-sizes", |shape| with_last(shape, 17)),
    shape("odd-33", "odd-sizes", |shape| with_last(shape, 33)),
    shape("one-entry", "one-class", |shape| (!shape.is_empty()).then(|| vec![1; shape.len()])),
    shape("one-column", "one-class", one_column),
    shape("no-batch", "no-batch", |shape| (shape.len() > 1).then(|| shape[1..].to_vec())),
    shape("more-axes", "more-axes", |shape| (shape.len() < 4).then(|| [&[2], shape].concat())),
    Shape {
        is_empty: true,
        ..shape("empty-batch", "empty", |shape| (shape.len() > 1).then(|| [&[0], &shape[1..]].concat()))
    },
];

/// Returns a shape that is small but for the length of its last axis.
fn with_last(shape: &[usize], length: usize) -> Option<Vec<usize>> {
    let leading: &[usize] = match shape.len() {
        0 => return None,
        1 => &[],
        2 => &[2],
        3 => &[1, 2],
        _ => &[1, 2, 3],
    };
    Some([leading, &[length]].concat())
}

fn one_column(shape: &[usize]) -> Option<Vec<usize>> {
    let (_, leading) = shape.split_last()?;
    (!leading.is_empty()).then(|| [leading, &[1]].concat())
}

/// Numbers of the inputs.
pub(super) struct Trap {
    /// The name of the case.
    pub(super) name: &'static str,
    pub(super) flag: &'static str,
    /// True if the upstream gradient is inexact too.
    pub(super) is_inexact: bool,
    /// Changes the numbers of an input, which has entries. Returns false if there is nothing to change.
    pub(super) set: fn(&mut ArrayD<f64>, FloatType) -> bool,
    /// Changes indices.
    pub(super) set_indices: fn(&mut ArrayD<f64>) -> bool,
}

const NO_INDICES: fn(&mut ArrayD<f64>) -> bool = |_| false;

const fn numbers(name: &'static str, flag: &'static str, set: fn(&mut ArrayD<f64>, FloatType) -> bool) -> Trap {
    Trap { name, flag, is_inexact: false, set, set_indices: NO_INDICES }
}

pub(super) const TRAPS: &[Trap] = &[
    Trap {
        is_inexact: true,
        ..numbers("inexact", "inexact", |x, float_type| {
            x.mapv_inplace(|v| float_type.round(v * INEXACT));
            true
        })
    },
    Trap { set_indices: |ids| fill(ids, |first| first), ..numbers("ties", "ties", |x, _| two_values(x)) },
    numbers("all-equal", "ties", |x, _| fill(x, |_| 0.5)),
    numbers("zeros", "signed-zero", |x, _| {
        x.iter_mut().enumerate().for_each(|(n, v)| *v = if n % 2 == 0 { 0.0 } else { -0.0 });
        true
    }),
    numbers("large", "large", |x, float_type| {
        let far = if float_type == FloatType::F64 { 1000.0 } else { 100.0 };
        move_rows(x, float_type, far, 16.0);
        x.ndim() > 0
    }),
    numbers("tiny", "tiny", |x, float_type| {
        x.mapv_inplace(|v| float_type.round(v * float_type.smallest_normal()));
        true
    }),
    numbers("minus-infinity", "infinity", |x, _| {
        let is_row = x.len() > 1;
        x.iter_mut().take(1).for_each(|v| *v = f64::NEG_INFINITY);
        is_row
    }),
    numbers("infinite-row", "infinity", |x, _| {
        let mut rows = x.rows_mut().into_iter();
        rows.next().is_some_and(|mut row| {
            row.fill(f64::NEG_INFINITY);
            rows.next().is_some()
        })
    }),
];

/// Sets the sign of each entry, with one size for each sign.
fn two_values(x: &mut ArrayD<f64>) -> bool {
    x.mapv_inplace(|v| if v > 0.0 { 0.5 } else { -1.0 });
    true
}

/// Sets all entries to one value.
fn fill(x: &mut ArrayD<f64>, value: fn(f64) -> f64) -> bool {
    let Some(first) = x.iter().next().copied() else { return false };
    x.fill(value(first));
    true
}
