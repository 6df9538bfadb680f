//! Double-double: products of matrices by a faster dot product.

use super::array_ops::ArrayOps;
use crate::numeric::DoubleDouble;
use ndarray::{Array2, ArrayView2};

impl ArrayOps for DoubleDouble {
    fn matmul(a: ArrayView2<'_, DoubleDouble>, b: ArrayView2<'_, DoubleDouble>) -> Array2<DoubleDouble> {
        let (rows, columns) = (a.as_standard_layout(), b.t().as_standard_layout().into_owned());
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(n, m)| DoubleDouble::dot(rows.row(n), columns.row(m)))
    }
}
