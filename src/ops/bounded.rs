//! Products of matrices of numbers with a bound on their rounding error: of large ones by the GEMM.

use super::array_ops::matmul;
use crate::gemm;
use crate::numeric::{Bounded, Scalar};
use ndarray::{Array2, ArrayView2};

/// Number of products of elements from which a product of matrices is large.
const LARGE_PRODUCTS: usize = 1 << 18;

/// Returns a·b.
pub(super) fn multiply(a: ArrayView2<'_, Bounded>, b: ArrayView2<'_, Bounded>) -> Array2<Bounded> {
    let is_finite = |m: ArrayView2<'_, Bounded>| m.iter().all(|v| v.components().iter().all(|part| part.is_finite()));
    let is_large = a.ncols() > 1 && a.len().saturating_mul(b.ncols()) >= LARGE_PRODUCTS;
    if is_large && is_finite(a) && is_finite(b) { multiply_large(a, b) } else { matmul(a, b) }
}

/// Returns a·b of finite numbers, in sums of several products: each coefficient of the errors is a sum of matrix products.
fn multiply_large(a: ArrayView2<'_, Bounded>, b: ArrayView2<'_, Bounded>) -> Array2<Bounded> {
    let multiply = |left: &dyn Fn(Bounded) -> f64, right: &dyn Fn(Bounded) -> f64| {
        gemm::multiply(a.mapv(left).view(), b.mapv(right).view())
    };
    let magnitude = |v: Bounded| v.to_f64().abs();
    let is_inexact = |v: Bounded| if v.is_exact_factor() { 0.0 } else { 1.0 };
    let inexact_magnitude = |v: Bounded| magnitude(v) * is_inexact(v);
    let mut products = multiply(&Bounded::to_f64, &Bounded::to_f64).mapv(|sum| [sum, sum.abs(), 0.0, 0.0]);
    let mut add = |part: usize, factor: f64, terms: Array2<f64>| {
        products.iter_mut().zip(terms).for_each(|(product, term)| product[part] += factor * term);
    };
    // The products are rounded and may underflow, their sum is rounded as often as there are additions.
    add(1, 1.0, multiply(&inexact_magnitude, &inexact_magnitude));
    add(2, a.ncols() as f64 - 1.0, multiply(&magnitude, &magnitude));
    add(3, 1.0, multiply(&is_inexact, &is_inexact));
    for part in 1..4 {
        let error = |v: Bounded| v.components()[part];
        if a.iter().any(|&v| error(v) != 0.0) {
            add(part, 1.0, multiply(&error, &magnitude));
        }
        if b.iter().any(|&v| error(v) != 0.0) {
            add(part, 1.0, multiply(&magnitude, &error));
        }
    }
    products.mapv(Bounded::from_components)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::FloatType;

    #[test]
    fn a_large_product_has_the_errors_of_the_definition() {
        let number = |n: usize| Bounded::input(((n * 7919) % 41) as f64 / 8.0 - 2.0, FloatType::F64);
        let a = Array2::from_shape_fn((4, 30), |(n, k)| number(n * 30 + k) * number(n + k));
        let b = Array2::from_shape_fn((30, 5), |(k, m)| number(7 + k * 5 + m) / number(3 + m));
        for (found, defined) in multiply_large(a.view(), b.view()).iter().zip(matmul(a.view(), b.view())) {
            for (found, defined) in found.components().into_iter().zip(defined.components()) {
                assert!((found - defined).abs() <= 1e-12 * (1.0 + defined.abs()), "{found} {defined}");
            }
        }
    }
}
