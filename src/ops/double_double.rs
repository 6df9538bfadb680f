//! Products of matrices in double-double: of small ones by a faster dot product, of large ones by the compensated GEMM.

use super::array_ops::{dot, matrix};
use crate::gemm;
use crate::gemm::compensated;
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::{Array2, ArrayView2};

/// Number of products of elements from which a product of matrices is large.
const LARGE_PRODUCTS: usize = 1 << 21;

/// Returns a·b.
pub(super) fn multiply(a: ArrayView2<'_, DoubleDouble>, b: ArrayView2<'_, DoubleDouble>) -> Array2<DoubleDouble> {
    if a.len().saturating_mul(b.ncols()) >= LARGE_PRODUCTS {
        return multiply_large(a, b);
    }
    let (rows, columns) = (a.as_standard_layout(), b.t().as_standard_layout().into_owned());
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(n, m)| DoubleDouble::dot(rows.row(n), columns.row(m)))
}

/// Returns a·b: products of high parts as sums of two doubles, and those with a low part, which are smaller by 2⁻⁵³, as doubles.
fn multiply_large(a: ArrayView2<'_, DoubleDouble>, b: ArrayView2<'_, DoubleDouble>) -> Array2<DoubleDouble> {
    let (a_high, b_high) = (a.mapv(DoubleDouble::to_f64), b.mapv(DoubleDouble::to_f64));
    let low = |m: ArrayView2<'_, DoubleDouble>| {
        let low = m.mapv(|v| v.high_low().1);
        low.iter().any(|v| *v != 0.0).then_some(low)
    };
    let cross_terms = [
        low(a).map(|a_low| gemm::multiply(a_low.view(), b_high.view())),
        low(b).map(|b_low| gemm::multiply(a_high.view(), b_low.view())),
    ];
    let columns = b.ncols();
    let element = |at: usize, (sum, error, radius): compensated::Bounded| {
        let (n, m) = (at / columns, at % columns);
        // There is no bound for factors that are infinite, NaN or of extreme size.
        if !radius.is_finite() {
            return dot(a.row(n), b.column(m));
        }
        let rest = cross_terms.iter().flatten().fold(error, |rest, cross_term| rest + cross_term[[n, m]]);
        DoubleDouble::from_f64(sum) + DoubleDouble::from_f64(rest)
    };
    matrix((a.nrows(), columns), compensated::multiply(a_high.view(), b_high.t(), element))
}

#[cfg(test)]
mod tests {
    use super::super::array_ops::matmul;
    use super::*;

    #[test]
    fn a_large_product_is_the_definition() {
        let numbers = |shape: (usize, usize), seed: usize| {
            let number = |n: usize| DoubleDouble::from_f64((((n + seed) * 7919) % 1009) as f64 - 500.0);
            Array2::from_shape_fn(shape, |(n, m)| number(n * shape.1 + m) / DoubleDouble::from_f64(7.0))
        };
        let (mut a, b) = (numbers((5, 300), 1), numbers((4, 300), 2));
        a[[3, 7]] = DoubleDouble::from_f64(f64::INFINITY);
        let (found, defined) = (multiply_large(a.view(), b.t()), matmul(a.view(), b.t()));
        for (place, found) in found.indexed_iter() {
            let defined = defined[place];
            assert!(*found == defined || (*found - defined).abs().to_f64() < 1e-22, "{found:?} {defined:?}");
        }
        assert!(found.iter().any(|v| v.to_f64().is_finite()) && !found[[3, 0]].to_f64().is_finite());
    }
}
