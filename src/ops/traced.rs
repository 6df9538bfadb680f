//! Products of matrices of traced numbers: of large ones only the first elements are recorded.

use super::array_ops::dot;
use crate::numeric::traced::recorded_elements;
use crate::numeric::{DoubleDouble, Scalar, Traced};
use ndarray::{Array2, ArrayView2};

/// Returns a·b.
pub(super) fn multiply(a: ArrayView2<'_, Traced>, b: ArrayView2<'_, Traced>) -> Array2<Traced> {
    let recorded = recorded_elements();
    let constant = |n: usize, m: usize| {
        let products = a.row(n).into_iter().zip(b.column(m)).map(|(a, b)| a.value() * b.value());
        Traced::constant(DoubleDouble::sum(products))
    };
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(n, m)| {
        if n * b.ncols() + m < recorded { dot(a.row(n), b.column(m)) } else { constant(n, m) }
    })
}
