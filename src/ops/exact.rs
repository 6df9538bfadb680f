//! Exact numbers: products of matrices of doubles by the compensated GEMM, which bounds its own error.

use super::array_ops::{ArrayOps, matmul};
use crate::gemm::compensated;
use crate::numeric::exact::{self, Exact};
use ndarray::{Array2, ArrayView2};
use std::ops::Range;

impl ArrayOps for Exact {
    type Extended = Exact;

    fn widen(self) -> Exact {
        self
    }

    fn narrow(wide: Exact) -> Exact {
        wide
    }

    /// Computes one range after the other, each with an expression log of its own, so that only one is in memory; a product of
    /// matrices takes all threads.
    fn for_each_row_chunk(
        rows: usize,
        (rows_at_once, row_multiple): (usize, usize),
        work: impl Fn(Range<usize>) + Sync,
    ) {
        let step = rows_at_once.next_multiple_of(row_multiple).max(row_multiple);
        (0..rows).step_by(step).for_each(|row| exact::with_expressions(|| work(row..rows.min(row + step))));
    }

    fn matmul(a: ArrayView2<'_, Exact>, b: ArrayView2<'_, Exact>) -> Array2<Exact> {
        let (Some(rows), Some(columns)) = (exact::to_doubles(a), exact::to_doubles(b.t())) else { return matmul(a, b) };
        let enclose = |place, sum| exact::enclose_element(&rows, &columns, place, sum);
        let enclosures = compensated::multiply(rows.view(), columns.view(), enclose);
        exact::product(rows, columns, enclosures)
    }
}
