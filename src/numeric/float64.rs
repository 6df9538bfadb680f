//! f64: the hooks keep the rounding errors that the definition throws away.

use super::{Curve, Scalar, Scale, Target};
use crate::gemm;
use crate::ops::{activations, loss, softmax};
use crate::parallel::fill;
pub(crate) use crate::simd::error_free::two_sum_of as two_sum;
use ndarray::{Array2, ArrayView2, CowArray, Ix2};

impl Scalar for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
    // Not the system's, which round differently on each.
    fn exp(self) -> Self {
        libm::exp(self)
    }
    fn ln(self) -> Self {
        libm::log(self)
    }
    fn ln_1p(self) -> Self {
        libm::log1p(self)
    }
    fn tanh(self) -> Self {
        libm::tanh(self)
    }

    /// e^(hi + lo) = e^hi·(1 + lo) + O(lo²), where hi + lo is x − shift exactly.
    fn exp_shifted(x: f64, shift: f64) -> f64 {
        let (high, low) = two_sum(x, -shift);
        let power = Scalar::exp(high);
        // Far below the smallest subnormal, and for masked logits, low may be NaN; the power is 0 whatever it is.
        if power == 0.0 { power } else { power + power * low }
    }

    fn log_shifted(x: f64, shift: f64, log: f64) -> f64 {
        let (high, low) = two_sum(x, -shift);
        let (difference, error) = two_sum(high, -log);
        if difference.is_finite() { difference + (low + error) } else { difference }
    }

    /// log(s + r) = log s + r/s + O((r/s)²), where s + r is a + b exactly.
    fn ln_sum(a: f64, b: f64) -> f64 {
        let (sum, rest) = two_sum(a, b);
        let log = Scalar::ln(sum);
        if sum > 0.0 && sum.is_finite() { log + rest / sum } else { log }
    }

    /// Neumaier's sum: the error of every addition is kept and added at the end.
    fn sum(terms: impl Iterator<Item = f64>) -> f64 {
        rounded(in_two_parts(terms))
    }

    /// Of 64 rows at a time, whatever the threads, with the errors of all additions.
    fn sum_of_rows<T: Iterator<Item = f64>>(rows: usize, width: usize, terms: impl Fn(usize) -> T + Sync) -> f64 {
        const TOGETHER: usize = 64;
        let parts = fill::map_rows(rows.div_ceil(TOGETHER), TOGETHER * width, |part| {
            let rows = part * TOGETHER..rows.min((part + 1) * TOGETHER);
            in_two_parts(rows.flat_map(&terms))
        });
        let rest: f64 = parts.iter().map(|(_, rest)| rest).sum();
        let (sum, errors) = in_two_parts(parts.into_iter().map(|(sum, _)| sum));
        rounded((sum, rest + errors))
    }

    fn sums_of_rows<T: Iterator<Item = f64>>(rows: usize, width: usize, terms: impl Fn(usize) -> T + Sync) -> Vec<f64> {
        fill::map_rows(rows, width, |n| f64::sum(terms(n)))
    }

    fn has_nan(numbers: &[f64]) -> bool {
        loss::has_nan(numbers)
    }

    fn loss_gradient(y: &[f64], total: f64, t: Target<'_, f64>, scale: Scale<f64>, dx: &mut [f64]) {
        loss::logits_gradient(y, total, t, scale, dx);
    }

    fn loss_slope(y: &[f64], eps: f64, t: Target<'_, f64>, scale: Scale<f64>, dy: &mut [f64]) {
        loss::probabilities_gradient(y, eps, t, scale, dy);
    }

    fn softmax_rows(x: ArrayView2<'_, f64>) -> (Array2<f64>, Vec<(f64, f64)>) {
        let (y, sums) = softmax::softmax_rows(entries(&x.as_standard_layout()), x.ncols());
        let lines = sums.into_iter().map(|(largest, others)| (largest, Scalar::ln_1p(others))).collect();
        (matrix(x.dim(), y), lines)
    }

    fn softmax_gradient(_: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>, dout: ArrayView2<'_, f64>) -> Array2<f64> {
        let (dim, y, dout) = (y.dim(), y.as_standard_layout(), dout.as_standard_layout());
        matrix(dim, softmax::softmax_gradient(entries(&y), entries(&dout), dim.1))
    }

    /// Keeps the largest number of each row, and the sum of the others' powers.
    fn log_softmax_rows(x: ArrayView2<'_, f64>) -> (Array2<f64>, Array2<f64>) {
        let (log, sums) = softmax::log_softmax_rows(entries(&x.as_standard_layout()), x.ncols());
        let kept = sums.iter().flat_map(|&(largest, others)| [largest, others]).collect();
        (matrix(x.dim(), log), matrix((sums.len(), 2), kept))
    }

    fn log_softmax_gradient(
        x: ArrayView2<'_, f64>,
        kept: ArrayView2<'_, f64>,
        dout: ArrayView2<'_, f64>,
    ) -> Array2<f64> {
        let (x, dout) = (x.as_standard_layout(), dout.as_standard_layout());
        let sums: Vec<(f64, f64)> = kept.rows().into_iter().map(|row| (row[0], row[1])).collect();
        matrix(x.dim(), softmax::log_softmax_gradient(entries(&x), &sums, entries(&dout), x.ncols()))
    }

    fn curve<const N: usize>(curve: Curve, of: [&[f64]; N], made: &mut [f64], formula: impl Fn([f64; N]) -> f64) {
        match (curve, &of[..]) {
            (Curve::Sigmoid, [x]) => activations::sigmoid(x, made),
            (Curve::SigmoidGradient, [x, _, dout]) => activations::sigmoid_gradient(x, dout, made),
            (Curve::Tanh, [x]) => activations::tanh(x, made),
            (Curve::TanhGradient, [x, _, dout]) => activations::tanh_gradient(x, dout, made),
            _ => made.iter_mut().enumerate().for_each(|(k, made)| *made = formula(of.map(|numbers| numbers[k]))),
        }
    }

    fn filled(len: usize, step: usize, fill: impl Fn(usize, &mut [f64]) + Sync) -> Vec<f64> {
        fill::fill_chunks(len, step, fill)
    }

    fn matmul(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
        gemm::multiply(a, b)
    }
}

/// Σ terms, and the errors of its additions.
fn in_two_parts(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    terms.fold((0.0, 0.0), |(sum, rest), term| {
        let (sum, error) = two_sum(sum, term);
        (sum, rest + error)
    })
}

fn rounded((sum, rest): (f64, f64)) -> f64 {
    if rest.is_finite() { sum + rest } else { sum }
}

/// Row after row.
fn entries<'a>(matrix: &'a CowArray<'_, f64, Ix2>) -> &'a [f64] {
    matrix.as_slice().unwrap_or_default()
}

fn matrix(dim: (usize, usize), entries: Vec<f64>) -> Array2<f64> {
    match Array2::from_shape_vec(dim, entries) {
        Ok(matrix) => matrix,
        Err(_) => unreachable!("as many numbers as there are places"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_its_definition() {
        /// f64 with every default body.
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        struct Plain(f64);
        macro_rules! operator {
            ($($name:ident $method:ident $sign:tt),*) => {$(
                impl std::ops::$name for Plain {
                    type Output = Plain;
                    fn $method(self, other: Plain) -> Plain { Plain(self.0 $sign other.0) }
                }
            )*};
        }
        operator!(Add add +, Sub sub -, Mul mul *, Div div /);
        impl std::ops::Neg for Plain {
            type Output = Plain;
            fn neg(self) -> Plain {
                Plain(-self.0)
            }
        }
        impl Scalar for Plain {
            fn from_f64(value: f64) -> Self {
                Plain(value)
            }
            fn to_f64(self) -> f64 {
                self.0
            }
            fn exp(self) -> Self {
                Plain(Scalar::exp(self.0))
            }
            fn ln(self) -> Self {
                Plain(Scalar::ln(self.0))
            }
            fn ln_1p(self) -> Self {
                Plain(Scalar::ln_1p(self.0))
            }
        }
        for x in (-4000..4000).map(|n| f64::from(n) / 999.0).chain([1e-300, -1e-9, 40.0, -1000.0, f64::INFINITY]) {
            let (hook, definition) = (<f64 as Scalar>::tanh(x), Plain(x).tanh().0);
            assert!((hook - definition).abs() <= 4.0 * f64::EPSILON * hook.abs(), "{x}: {hook} {definition}");
        }
        assert!(Plain(f64::NAN).tanh().0.is_nan());
    }

    #[test]
    fn a_sum_keeps_what_addition_drops() {
        assert_eq!(f64::sum([1e100, 1.0, -1e100].into_iter()), 1.0);
    }

    #[test]
    fn a_sum_of_rows_is_the_sum_whatever_the_threads() {
        let term = |n: usize, k: usize| [1e100, 1.0, -1e100, 0.1][(n + k) % 4];
        for (rows, width) in [(0, 3), (1, 7), (64, 9), (65, 9), (1000, 100), (70_000, 3)] {
            let terms = |n: usize| (0..width).map(move |k| term(n, k));
            let whole = f64::sum((0..rows).flat_map(terms));
            let alone = crate::parallel::scope::with_thread_limit(1, || f64::sum_of_rows(rows, width, terms));
            assert!((alone - whole).abs() <= 1e-11 * whole.abs(), "{rows} {width}: {alone} {whole}");
            for count in [2, 3] {
                let found = crate::parallel::scope::with_thread_limit(count, || f64::sum_of_rows(rows, width, terms));
                assert_eq!(found.to_bits(), alone.to_bits(), "{rows} {width}");
                let each = crate::parallel::scope::with_thread_limit(count, || f64::sums_of_rows(rows, width, terms));
                assert!(each.into_iter().eq((0..rows).map(|n| f64::sum(terms(n)))));
            }
        }
    }

    #[test]
    fn an_empty_sum_is_plus_zero() {
        assert!(f64::sum(std::iter::empty()).is_sign_positive());
    }

    #[test]
    fn a_sum_over_infinities_is_what_ieee_says() {
        assert_eq!(f64::sum([f64::INFINITY, 1.0].into_iter()), f64::INFINITY);
        assert!(f64::sum([f64::INFINITY, f64::NEG_INFINITY].into_iter()).is_nan());
    }

    #[test]
    fn a_masked_logit_has_power_zero() {
        assert_eq!(f64::exp_shifted(f64::NEG_INFINITY, 3.0), 0.0);
    }

    #[test]
    fn a_difference_that_rounds_keeps_its_error() {
        // 5e-14 − 700 rounds to −700; its power is e^−700·(1 + 5e-14), 225 ulps away.
        let ratio = f64::exp_shifted(5e-14, 700.0) / Scalar::exp(-700.0f64);
        assert!((ratio - 1.0 - 5e-14).abs() < 5e-16, "{ratio}");
    }
}
