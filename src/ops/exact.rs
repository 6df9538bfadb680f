//! Products of matrices of exact numbers: of doubles by the compensated GEMM, which bounds its own error.

use super::array_ops::matmul;
use crate::gemm::compensated;
use crate::numeric::exact::{self, Exact};
use ndarray::{Array2, ArrayView2};

/// Returns a·b.
pub(super) fn multiply(a: ArrayView2<'_, Exact>, b: ArrayView2<'_, Exact>) -> Array2<Exact> {
    let (Some(rows), Some(columns)) = (exact::to_doubles(a), exact::to_doubles(b.t())) else { return matmul(a, b) };
    let enclose = |place, sum| exact::enclose_element(&rows, &columns, place, sum);
    let enclosures = compensated::multiply(rows.view(), columns.view(), enclose);
    exact::product(rows, columns, enclosures)
}
