//! Operands as rows, and results computed element by element or row by row.

use crate::ops::{ArrayOps, Formula, Kernel};
use ndarray::{Array2, ArrayD, ArrayView2, IxDyn};
use std::borrow::Cow;

/// Returns the rows of an operand: all leading axes counted as samples. A vector is one row, a scalar one row of one value.
pub(super) fn rows<S>(value: &ArrayD<S>) -> ArrayView2<'_, S> {
    let (samples, width) = match value.shape() {
        [] => (1, 1),
        [leading @ .., width] => (leading.iter().product(), *width),
    };
    let rows = value.view().into_shape_with_order((samples, width));
    rows.unwrap_or_else(|_| unreachable!("operands are in standard layout"))
}

/// Returns rows as an array of that shape: the inverse of [`rows`].
pub(super) fn with_shape<S: ArrayOps>(rows: Array2<S>, shape: &[usize]) -> ArrayD<S> {
    let values = if rows.is_standard_layout() { rows } else { rows.as_standard_layout().into_owned() };
    let array = values.into_shape_with_order(IxDyn(shape));
    array.unwrap_or_else(|_| unreachable!("there is a value for each place"))
}

/// Returns an array in standard layout with another shape of as many entries.
pub(super) fn reshaped<S>(value: ArrayD<S>, shape: &[usize]) -> ArrayD<S> {
    value.into_shape_with_order(IxDyn(shape)).unwrap_or_else(|_| unreachable!("there is an element for each place"))
}

/// Returns a number of rows or classes.
#[allow(clippy::cast_precision_loss)] // fewer than 2⁵³ fit in memory
pub(super) fn count(rows_or_classes: usize) -> f64 {
    rows_or_classes as f64
}

/// Returns an array of rank 0.
pub(super) fn scalar<S>(value: S) -> ArrayD<S> {
    ndarray::arr0(value).into_dyn()
}

/// Returns the shape that two shapes broadcast to as in NumPy, if they do.
pub(super) fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let length = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let lengths = |axis: usize| match (length(a, axis), length(b, axis)) {
        (1, length) | (length, 1) => Some(length),
        (a, b) => (a == b).then_some(a),
    };
    (0..rank).map(lengths).collect()
}

/// Returns the sums over the axes along which an array of that shape was repeated: the gradient of [`broadcast`].
pub(super) fn sum_to_shape<S: ArrayOps>(value: Cow<'_, ArrayD<S>>, shape: &[usize]) -> ArrayD<S> {
    if value.shape() == shape {
        return value.into_owned();
    }
    let added = value.ndim() - shape.len();
    let is_summed = |axis: &usize| *axis < added || (shape[axis - added] == 1 && value.shape()[*axis] != 1);
    let (summed, kept): (Vec<usize>, Vec<usize>) = (0..value.ndim()).partition(is_summed);
    let [count, width] = [&kept, &summed].map(|axes| axes.iter().map(|axis| value.shape()[*axis]).product());
    let sums = if summed.iter().copied().eq(0..summed.len()) {
        // The summed axes are the first ones.
        let rows = value.view().into_shape_with_order((width, count));
        S::column_sums(rows.unwrap_or_else(|_| unreachable!("operands are in standard layout"))).to_vec()
    } else {
        let rows = value.view().permuted_axes([kept, summed].concat());
        let rows = rows.as_standard_layout();
        let rows = rows.as_slice().unwrap_or_default();
        S::sum_each_row(count, width, |n| rows[n * width..][..width].iter().copied())
    };
    ArrayD::from_shape_vec(shape, sums).unwrap_or_else(|_| unreachable!("there is a sum for each place"))
}

/// Returns an operand with that shape, to which it broadcasts as in NumPy, in standard layout.
pub(super) fn broadcast<'a, S: ArrayOps>(value: &'a ArrayD<S>, shape: &[usize]) -> Cow<'a, ArrayD<S>> {
    if value.shape() == shape {
        return Cow::Borrowed(value);
    }
    let repeated = value.broadcast(shape).unwrap_or_else(|| unreachable!("admitted"));
    Cow::Owned(repeated.as_standard_layout().into_owned())
}

/// Returns the elements of an operand, an output or its gradient, row by row.
pub(super) fn elements<S>(value: &ArrayD<S>) -> &[S] {
    value.as_slice().unwrap_or_else(|| unreachable!("operands are in standard layout"))
}

/// Returns `formula` of the elements with the same index of arrays of one shape. `kernel` names the formula if there is a fast
/// kernel for it.
pub(super) fn map<S: ArrayOps, const N: usize>(
    kernel: Option<Kernel>,
    inputs: [&ArrayD<S>; N],
    formula: impl Fn([S; N]) -> S + Sync,
) -> ArrayD<S> {
    map_chunks(inputs, |inputs, out| S::map_elements(kernel, inputs, out, &formula))
}

/// Returns a formula of the elements with the same index of arrays of one shape, accurate in every scalar.
pub(super) fn map_formula<S: ArrayOps, const N: usize>(
    inputs: [&ArrayD<S>; N],
    formula: &impl Formula<N>,
) -> ArrayD<S> {
    map_chunks(inputs, |inputs, out| S::map_formula(inputs, out, formula))
}

/// Returns an array whose chunks `fill` computes from those of arrays of its shape.
fn map_chunks<S: ArrayOps, const N: usize>(
    inputs: [&ArrayD<S>; N],
    fill: impl Fn([&[S]; N], &mut [S]) + Sync,
) -> ArrayD<S> {
    const CHUNK_ELEMENTS: usize = 1024;
    let slices = inputs.map(elements);
    let mapped = S::fill_chunks(slices[0].len(), CHUNK_ELEMENTS, |n, out| {
        fill(slices.map(|slice| &slice[n * CHUNK_ELEMENTS..][..out.len()]), out);
    });
    let array = ArrayD::from_shape_vec(inputs[0].raw_dim(), mapped);
    array.unwrap_or_else(|_| unreachable!("there is an element for each place"))
}
