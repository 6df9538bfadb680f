//! Log-softmax: (x − max) − log Σ e^(x − max), where the logarithm is log1p of the sum without the maximum.

use super::{MAX_NARROW_WIDTH, exponentials, fill_rows, softmax_of_eight_rows};
use crate::simd::dispatch::dispatch;
use crate::simd::error_free::two_sum;
use crate::simd::f64x8::SimdF64;
use crate::simd::map::{Elementwise, map};

/// Returns the log-softmax of each row of `width` logits, and (max, Σ) as [`softmax_rows`](super::softmax_rows) does.
pub fn log_softmax_rows(x: &[f64], width: usize) -> (Vec<f64>, Vec<(f64, f64)>) {
    fill_rows(x, width, |x, log, sums| log_softmax_of_rows(x, log, width, sums))
}

dispatch! {
    fn log_softmax_of_rows<V>(x: &[f64], log: &mut [f64], width: usize, sums: &mut [(f64, f64)]) {
        if width <= MAX_NARROW_WIDTH {
            let (mut buffer, mut y) = (vec![[0.0; 8]; 2 * width], vec![0.0; 8 * width]);
            for (x, sums) in x.chunks(8 * width).zip(sums.chunks_mut(8)) {
                softmax_of_eight_rows::<V>(x, &mut y[..x.len()], width, &mut buffer, sums);
            }
        } else {
            let (mut y, mut low) = (vec![0.0; width], vec![0.0; width]);
            for (x, max_and_sum) in x.chunks_exact(width).zip(&mut *sums) {
                let (max, _, (sum, sum_low)) = exponentials::<V>(x, &mut y, &mut low);
                *max_and_sum = (max, sum + sum_low);
            }
        }
        let rows = x.chunks_exact(width).zip(log.chunks_exact_mut(width)).zip(sums);
        for ((x, log), &mut (max, sum)) in rows {
            map::<V, _, 1>(&LogSoftmax { max, log_sum: libm::log1p(sum) }, [x], log);
        }
    }
}

/// (x − max) − log_sum, elementwise; rounded once if it is finite.
struct LogSoftmax {
    max: f64,
    log_sum: f64,
}

impl Elementwise<1> for LogSoftmax {
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [x]: [V; 1]) -> V {
        let (high, low) = two_sum(x, V::splat(-self.max));
        let (difference, error) = two_sum(high, V::splat(-self.log_sum));
        difference.select_lt(V::splat(f64::MIN), difference, difference + (low + error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::numeric::{DoubleDouble, Dynamic, DynamicKind, Scalar};
    use crate::ops::ArrayOps;
    use crate::ops::softmax::tests::{every_width_and_spread, ulps};
    use ndarray::ArrayView2;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn logarithms_are_within_two_ulps((width, mut x) in every_width_and_spread()) {
            x.iter_mut().step_by(width).for_each(|x| *x = x.max(-1e300));
            let (log, sums) = log_softmax_rows(&x, width);
            let wide: Vec<Dynamic> = x.iter().map(|&x| Dynamic::from_f64(x)).collect();
            let (real, _) = Dynamic::log_softmax_rows(ArrayView2::from_shape((x.len() / width, width), &wide).unwrap());
            let real = real.mapv(DoubleDouble::from_dynamic);
            for ((&x, &log), &real) in x.iter().zip(&log).zip(&real) {
                // A double-double has no digits to spare of what is below 1e-290.
                let close = log == real.to_f64() || real.to_f64().abs() < 1e-280 || ulps(log, real) < 2.0;
                prop_assert!(close, "{x}: {log} {real:?}");
            }
            prop_assert_eq!(&sums, &crate::ops::softmax::softmax_rows(&x, width).1);
        }
    }

    #[test]
    fn the_errors_of_both_subtractions_are_kept_far_from_the_maximum() {
        for largest in 40..90 {
            let far = (0..40).map(|n| f64::from(n * largest).sin() * 5.0);
            let x: Vec<f64> = far.chain(std::iter::repeat_n(1000.37, largest as usize)).collect();
            let wide: Vec<Dynamic> = x.iter().map(|&x| Dynamic::from_f64(x)).collect();
            let (real, _) = Dynamic::log_softmax_rows(ArrayView2::from_shape((1, x.len()), &wide).unwrap());
            let real = real.mapv(DoubleDouble::from_dynamic);
            for ((x, log), &real) in x.iter().zip(log_softmax_rows(&x, x.len()).0).zip(&real).take(40) {
                assert!(ulps(log, real) < 0.6, "{x}: {log} {real:?}");
            }
        }
    }

    #[test]
    fn a_masked_class_has_minus_infinity_and_a_nan_makes_its_row_nan() {
        for width in [2, 9, 70] {
            let mut x = vec![0.0; 3 * width];
            (x[1], x[width + 1]) = (f64::NEG_INFINITY, f64::NAN);
            let (log, _) = log_softmax_rows(&x, width);
            let of = |classes: usize| -libm::log(classes as f64);
            assert!(log[1] == f64::NEG_INFINITY && (log[0] - of(width - 1)).abs() < 1e-15, "{log:?}");
            assert!(log[width..2 * width].iter().all(|log| log.is_nan()), "{log:?}");
            assert!(log[2 * width..].iter().all(|log| (log - of(width)).abs() < 1e-15), "{log:?}");
        }
    }
}
