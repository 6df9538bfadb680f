//! Helpers for arrays of any rank.

use ndarray::ArrayD;

/// Returns the largest finite magnitude of an array; 0 if there is none.
pub(super) fn max_abs(values: &ArrayD<f64>) -> f64 {
    values.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max)
}

/// Returns the index of the entry at a flat position in row-major order.
pub(super) fn unravel_index(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (at, &length) in index.iter_mut().zip(shape).rev() {
        (*at, flat) = (flat % length.max(1), flat / length.max(1));
    }
    index
}

/// Returns the entry at a flat position in row-major order; 0 outside the array.
pub(super) fn flat_entry(values: &ArrayD<f64>, flat: usize) -> f64 {
    values.as_slice().and_then(|values| values.get(flat)).copied().unwrap_or(0.0)
}

/// Returns every pair of axes of an array of that rank.
pub(super) fn axis_pairs(rank: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..rank).flat_map(move |first| (first + 1..rank).map(move |second| [first, second]))
}

/// Returns true if both values are equal or NaN.
pub(super) fn is_same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}
