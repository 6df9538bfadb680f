//! f32: the definitions as they stand, in single precision. Functions round what they give as doubles.

use super::Scalar;
use crate::gemm;
use crate::parallel::fill;
use ndarray::{Array2, ArrayView2};

fn by_double(value: f32, function: impl Fn(f64) -> f64) -> f32 {
    f32::from_f64(function(f64::from(value)))
}

impl Scalar for f32 {
    #[allow(clippy::cast_possible_truncation)] // rounding to f32 is what this scalar is for
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn exp(self) -> Self {
        by_double(self, Scalar::exp)
    }
    fn ln(self) -> Self {
        by_double(self, Scalar::ln)
    }
    fn ln_1p(self) -> Self {
        by_double(self, Scalar::ln_1p)
    }
    fn tanh(self) -> Self {
        by_double(self, Scalar::tanh)
    }
    fn filled(len: usize, step: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
        fill::fill_chunks(len, step, fill)
    }
    fn matmul(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
        gemm::multiply(a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::{E, LN_2, LN_10};

    /// What mpmath gives, rounded once.
    #[test]
    fn functions_round_the_real_value() {
        let exp = [(1.0, E), (-3.0, 0.049_787_067), (0.0, 1.0), (-200.0, 0.0), (200.0, f32::INFINITY)];
        assert!(exp.iter().all(|&(x, y)| Scalar::exp(x) == y));
        let ln = [(2.0, LN_2), (10.0, LN_10), (0.3, -1.203_972_8), (0.0, f32::NEG_INFINITY)];
        assert!(ln.iter().all(|&(x, y)| Scalar::ln(x) == y));
        assert!([(1.0, LN_2), (0.0625, 0.060_624_62)].iter().all(|&(x, y)| Scalar::ln_1p(x) == y));
        assert!(
            [(0.5, 0.462_117_17), (1e-20, 1e-20), (-50.0, -1.0)].iter().all(|&(x, y)| <f32 as Scalar>::tanh(x) == y)
        );
    }
}
