//! Dynamic numbers: the definitions, with products of matrices by kind.

use super::array_ops::ArrayOps;
use super::{bounded, double_double, exact, traced};
use crate::numeric::dynamic::{Dynamic, DynamicKind, Kind, kind, with_exact};
use crate::numeric::operations::Op;
use crate::numeric::{Scalar, Traced};
use ndarray::{Array2, ArrayView2};
use std::ops::Range;

impl ArrayOps for Dynamic {
    type Extended = Dynamic;

    fn widen(self) -> Dynamic {
        self
    }

    fn narrow(wide: Dynamic) -> Dynamic {
        wide
    }

    /// Computes one range after the other. Each has an expression log of its own if numbers are exact, so that only one is in
    /// memory; a product of matrices takes all threads.
    fn for_each_row_chunk(
        rows: usize,
        (rows_at_once, row_multiple): (usize, usize),
        work: impl Fn(Range<usize>) + Sync,
    ) {
        let step = rows_at_once.next_multiple_of(row_multiple).max(row_multiple);
        (0..rows).step_by(step).map(|row| row..rows.min(row + step)).for_each(|chunk| match kind() {
            Kind::Exact => with_exact(|| work(chunk)),
            Kind::DoubleDouble | Kind::Bounded | Kind::Traced => work(chunk),
        });
    }

    /// Traced numbers record a single operation.
    fn max_of(elements: impl Iterator<Item = Dynamic>, max: Dynamic) -> Dynamic {
        match max {
            Dynamic::Traced(max) => {
                let elements: Vec<Traced> = elements.map(Traced::from_dynamic).collect();
                Traced::result(Op::Max, &elements, max.value()).into()
            }
            max => max,
        }
    }

    fn matmul(a: ArrayView2<'_, Dynamic>, b: ArrayView2<'_, Dynamic>) -> Array2<Dynamic> {
        match kind() {
            Kind::DoubleDouble => multiply(a, b, double_double::multiply),
            Kind::Exact => multiply(a, b, exact::multiply),
            Kind::Bounded => multiply(a, b, bounded::multiply),
            Kind::Traced => multiply(a, b, traced::multiply),
        }
    }

    /// The textbook's 0 where operations are recorded or their errors bounded.
    fn softmax_pivot(dout_at_max: Dynamic) -> Dynamic {
        match kind() {
            Kind::DoubleDouble | Kind::Exact => dout_at_max,
            Kind::Bounded | Kind::Traced => Dynamic::zero(),
        }
    }
}

/// Returns a·b in numbers of a kind.
fn multiply<K: DynamicKind>(
    a: ArrayView2<'_, Dynamic>,
    b: ArrayView2<'_, Dynamic>,
    multiply: fn(ArrayView2<'_, K>, ArrayView2<'_, K>) -> Array2<K>,
) -> Array2<Dynamic> {
    multiply(a.mapv(K::from_dynamic).view(), b.mapv(K::from_dynamic).view()).mapv(K::into)
}
