//! The gradient of softmax, dx = y∘(dout − Σ dout∘y), and that of log-softmax, dx = dout − y·Σ dout.
//!
//! Every sum keeps the errors of its additions. The gradient of log-softmax computes y from x again, as the forward pass did.

use super::{compensated_sum, index_of, min_and_max, shifted_exponential};
use crate::parallel::fill;
use crate::simd::dispatch::dispatch;
use crate::simd::error_free::Reciprocal;
use crate::simd::exp::MIN_NORMAL_ARGUMENT;
use crate::simd::f64x8::{F64x8, SimdF64};
use crate::simd::map::{Elementwise, map};

/// Elements of the rows that are computed by one call.
const CHUNK_ELEMENTS: usize = 1 << 10;

/// Returns the gradient of softmax for each row of `width` elements.
pub fn softmax_gradient(y: &[f64], dout: &[f64], width: usize) -> Vec<f64> {
    let chunk_len = chunk_len(width);
    fill::fill_chunks(y.len(), chunk_len, |n, dx| {
        let (y, dout) = (&y[n * chunk_len..][..dx.len()], &dout[n * chunk_len..][..dx.len()]);
        softmax_gradient_of_rows(y, dout, width, dx);
    })
}

/// Returns the gradient of log-softmax for each row of x; `sums` is what [`log_softmax_rows`](super::log_softmax_rows) returned.
pub fn log_softmax_gradient(x: &[f64], sums: &[(f64, f64)], dout: &[f64], width: usize) -> Vec<f64> {
    let chunk_len = chunk_len(width);
    fill::fill_chunks(x.len(), chunk_len, |n, dx| {
        let (x, dout) = (&x[n * chunk_len..][..dx.len()], &dout[n * chunk_len..][..dx.len()]);
        let sums = &sums[n * (chunk_len / width)..][..dx.len() / width];
        log_softmax_gradient_of_rows(x, sums, dout, width, dx);
    })
}

/// Returns the elements of as many rows as fit [`CHUNK_ELEMENTS`], but at least one.
fn chunk_len(width: usize) -> usize {
    width * (CHUNK_ELEMENTS / width.max(1)).max(1)
}

dispatch! {
    fn softmax_gradient_of_rows<V>(y: &[f64], dout: &[f64], width: usize, dx: &mut [f64]) {
        let rows = y.chunks_exact(width).zip(dout.chunks_exact(width));
        for ((y, dout), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            softmax_gradient_of_row::<V>(y, dout, dx);
        }
    }
}

/// Computes the gradient from dout less its entry at the largest y: since Σ y = 1, a constant changes nothing, and the
/// differences are small where y is large.
#[inline(always)]
fn softmax_gradient_of_row<V: F64x8>(y: &[f64], dout: &[f64], dx: &mut [f64]) {
    let pivot = dout[index_of::<V>(y, min_and_max::<V>(y).1)];
    map::<V, _, 2>(&CenteredProduct { pivot, mean: 0.0 }, [y, dout], dx);
    let mean = rounded_sum::<V>(dx);
    map::<V, _, 2>(&CenteredProduct { pivot, mean }, [y, dout], dx);
}

/// y·((dout − pivot) − mean), elementwise.
struct CenteredProduct {
    pivot: f64,
    mean: f64,
}

impl Elementwise<2> for CenteredProduct {
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [y, dout]: [V; 2]) -> V {
        y * ((dout - V::splat(self.pivot)) - V::splat(self.mean))
    }
}

dispatch! {
    fn log_softmax_gradient_of_rows<V>(x: &[f64], sums: &[(f64, f64)], dout: &[f64], width: usize, dx: &mut [f64]) {
        let rows = x.chunks_exact(width).zip(sums).zip(dout.chunks_exact(width));
        for (((x, &(max, sum)), dout), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            let gradient = LogSoftmaxGradient {
                max,
                reciprocal: Reciprocal::of_sum(1.0, sum, 0.0),
                dout_sum: rounded_sum::<V>(dout),
                may_underflow: min_and_max::<V>(x).0 - max < MIN_NORMAL_ARGUMENT,
            };
            map::<V, _, 2>(&gradient, [x, dout], dx);
        }
    }
}

/// dout − y·Σ dout, elementwise.
struct LogSoftmaxGradient {
    max: f64,
    /// 1/Σ e^(x − max).
    reciprocal: Reciprocal<f64>,
    dout_sum: f64,
    may_underflow: bool,
}

impl Elementwise<2> for LogSoftmaxGradient {
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [x, dout]: [V; 2]) -> V {
        let (upper, rest) = shifted_exponential(x, V::splat(-self.max), self.may_underflow);
        dout - self.reciprocal.splat::<V>().times(upper, rest) * V::splat(self.dout_sum)
    }
}

/// Returns Σ terms, rounded to double.
#[inline(always)]
fn rounded_sum<V: F64x8>(terms: &[f64]) -> f64 {
    let (sum, error) = compensated_sum::<V, false>(terms, &[]);
    if error.is_finite() { sum + error } else { sum }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::numeric::{DoubleDouble, Dynamic, DynamicKind, Scalar};
    use crate::ops::ArrayOps;
    use crate::ops::softmax::tests::every_width_and_spread;
    use crate::ops::softmax::{log_softmax_rows, softmax_rows};
    use ndarray::ArrayView2;
    use proptest::prelude::*;

    /// Returns the gradients of softmax and log-softmax of rows of x.
    fn gradients(x: &[f64], dout: &[f64], width: usize) -> [Vec<f64>; 2] {
        let ((y, _), (_, sums)) = (softmax_rows(x, width), log_softmax_rows(x, width));
        [softmax_gradient(&y, dout, width), log_softmax_gradient(x, &sums, dout, width)]
    }

    fn with_dout() -> impl Strategy<Value = (usize, Vec<f64>, Vec<f64>)> {
        every_width_and_spread().prop_flat_map(|(width, mut x)| {
            x.iter_mut().step_by(width).for_each(|x| *x = x.max(-1e300));
            let dout = prop::collection::vec(-5.0..5.0f64, x.len());
            (Just(width), Just(x), dout)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn gradients_are_within_a_few_roundings_of_their_definition((width, x, dout) in with_dout()) {
            let wide = |values: &[f64]| values.iter().map(|&value| Dynamic::from_f64(value)).collect::<Vec<_>>();
            let (wide_x, wide_dout) = (wide(&x), wide(&dout));
            let matrix = |values| ArrayView2::from_shape((x.len() / width, width), values).unwrap();
            let (wide_x, wide_dout) = (matrix(&wide_x), matrix(&wide_dout));
            let (y, _) = Dynamic::softmax_rows(wide_x);
            let real = [
                Dynamic::softmax_gradient(wide_x, y.view(), wide_dout),
                Dynamic::log_softmax_gradient(wide_x, y.view(), wide_dout),
            ];
            let [gradient, log_gradient] = gradients(&x, &dout, width);
            for (n, y) in y.iter().enumerate() {
                // Of y∘(d − Σ d∘y) with |d| ≤ 10; and of dout − y·Σ dout with |Σ dout| ≤ 5·width.
                let [real, log_real] = [0, 1].map(|k| DoubleDouble::from_dynamic(real[k].as_slice().unwrap()[n]));
                let y = y.to_f64().max(f64::MIN_POSITIVE);
                let off = (DoubleDouble::from_f64(gradient[n]) - real).to_f64().abs();
                prop_assert!(off <= 20.0 * y * 4.0 * f64::EPSILON, "{}: {} {:?}", n, gradient[n], real);
                let off = (DoubleDouble::from_f64(log_gradient[n]) - log_real).to_f64().abs();
                let sum: f64 = dout[n / width * width..][..width].iter().sum();
                let size = dout[n].abs() + y * (sum.abs() + 1e-3);
                prop_assert!(off <= 2.0 * size * f64::EPSILON, "{}: {} {:?}", n, log_gradient[n], log_real);
            }
        }

        #[test]
        fn neighbours_change_no_bit((width, x, dout) in with_dout()) {
            let found = gradients(&x, &dout, width);
            let alone = gradients(&x[..width], &dout[..width], width);
            prop_assert_eq!(alone, found.map(|found| found[..width].to_vec()));
        }

        #[test]
        fn the_gradient_of_a_constant_dout_is_zero((width, x, _) in with_dout(), constant in -1e300..1e300f64) {
            let [gradient, _] = gradients(&x, &vec![constant; x.len()], width);
            prop_assert!(gradient.iter().all(|&dx| dx == 0.0));
        }
    }

    #[test]
    fn the_errors_of_additions_are_kept_at_every_index() {
        for width in [5, 8, 16, 24, 33, 100] {
            let (x, count) = (vec![0.0; width], width as f64);
            let (_, sums) = log_softmax_rows(&x, width);
            for at in 0..width {
                let mut dout = vec![0.0; width];
                for (place, value) in [(0, 1e100), (1, 1.0), (3, -1e100)] {
                    dout[(at + place) % width] = value;
                }
                // Σ dout is 1, so that dx is −1/width where dout is 0.
                let dx = log_softmax_gradient(&x, &sums, &dout, width)[(at + 2) % width];
                assert!((dx + 1.0 / count).abs() < 1e-15, "{width} {at}: {dx}");
            }
        }
    }

    #[test]
    fn infinities_and_nan_stay_in_their_rows() {
        for width in [3, 70] {
            let x = vec![0.5; 3 * width];
            let mut dout = vec![1.0; 3 * width];
            (dout[width + 1], dout[width + 2]) = (f64::INFINITY, f64::NAN);
            for found in gradients(&x, &dout, width) {
                assert!(found[width..2 * width].iter().all(|dx| dx.is_nan()), "{found:?}");
                assert!(found[..width].iter().chain(&found[2 * width..]).all(|dx| dx.is_finite()), "{found:?}");
            }
        }
    }

    #[test]
    fn empty_inputs_give_empty_results() {
        assert!(softmax_gradient(&[], &[], 5).is_empty() && log_softmax_gradient(&[], &[], &[], 0).is_empty());
    }
}
