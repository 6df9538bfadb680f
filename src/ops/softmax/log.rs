//! The logarithm of softmax: (x − max) − log Σ e^(x − max), by log1p of the sum without the maximum.

use super::{NARROW, eight_rows, over_rows, powers_of};
use crate::simd::dispatch::{Instructions, widest};
use crate::simd::error_free::two_sum;
use crate::simd::f64x8::{Lanes, padded};

/// The logarithms of each row of `width` numbers, and what [`softmax_rows`](super::softmax_rows) finds of it.
pub fn log_softmax_rows(x: &[f64], width: usize) -> (Vec<f64>, Vec<(f64, f64)>) {
    logs_by(Instructions::best(), x, width)
}

fn logs_by(instructions: Instructions, x: &[f64], width: usize) -> (Vec<f64>, Vec<(f64, f64)>) {
    over_rows(x, width, |x, log, sums| some_logs(instructions, x, log, width, sums))
}

widest! {
    fn some_logs<V>(x: &[f64], log: &mut [f64], width: usize, sums: &mut [(f64, f64)]) {
        if width <= NARROW {
            let (mut room, mut y) = (vec![[0.0; 8]; 2 * width], vec![0.0; 8 * width]);
            for (x, sums) in x.chunks(8 * width).zip(sums.chunks_mut(8)) {
                eight_rows::<V>(x, &mut y[..x.len()], width, &mut room, sums);
            }
        } else {
            let (mut y, mut rest) = (vec![0.0; width], vec![0.0; width]);
            for (x, found) in x.chunks_exact(width).zip(&mut *sums) {
                let (most, _, (sum, low)) = powers_of::<V>(x, &mut y, &mut rest);
                *found = (most, sum + low);
            }
        }
        let rows = x.chunks_exact(width).zip(log.chunks_exact_mut(width)).zip(sums);
        for ((x, log), &mut (most, others)) in rows {
            row_log::<V>(x, most, libm::log1p(others), log);
        }
    }
}

#[inline(always)]
fn row_log<V: Lanes>(x: &[f64], most: f64, log_sum: f64, log: &mut [f64]) {
    let (shift, log_sum) = (V::all(-most), V::all(-log_sum));
    let ((x, x_left), (log, log_left)) = (x.as_chunks(), log.as_chunks_mut());
    for (x, log) in x.iter().zip(log) {
        eight_logs(V::load(x), shift, log_sum).store(log);
    }
    if !x_left.is_empty() {
        let mut last = [0.0; 8];
        eight_logs(V::load(&padded(x_left, most)), shift, log_sum).store(&mut last);
        log_left.copy_from_slice(&last[..log_left.len()]);
    }
}

/// (x + shift) + log_sum, rounded once where it is finite.
#[inline(always)]
fn eight_logs<V: Lanes>(x: V, shift: V, log_sum: V) -> V {
    let (high, low) = two_sum(x, shift);
    let (difference, error) = two_sum(high, log_sum);
    difference.if_below(V::all(f64::MIN), difference, difference + (low + error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::numeric::{DoubleDouble, Scalar};
    use crate::ops::ArrayOps;
    use crate::ops::softmax::tests::{every_width_and_spread, ulps};
    use crate::parallel::scope;
    use ndarray::ArrayView2;
    use proptest::prelude::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| if value.is_nan() { 0 } else { value.to_bits() }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn logarithms_are_within_two_ulps_whatever_the_instructions((width, mut x) in every_width_and_spread()) {
            x.iter_mut().step_by(width).for_each(|x| *x = x.max(-1e300));
            let (log, sums) = log_softmax_rows(&x, width);
            let wide: Vec<DoubleDouble> = x.iter().map(|&x| DoubleDouble::from_f64(x)).collect();
            let (real, _) = DoubleDouble::log_softmax_rows(ArrayView2::from_shape((x.len() / width, width), &wide).unwrap());
            for ((&x, &log), &real) in x.iter().zip(&log).zip(&real) {
                // A double-double has no digits to spare of what is below 1e-290.
                let close = log == real.to_f64() || real.to_f64().abs() < 1e-280 || ulps(log, real) < 2.0;
                prop_assert!(close, "{x}: {log} {real:?}");
            }
            prop_assert_eq!(&sums, &crate::ops::softmax::softmax_rows(&x, width).1);
            for instructions in Instructions::all() {
                let (again, again_sums) = logs_by(instructions, &x, width);
                prop_assert_eq!(bits(&log), bits(&again), "{:?}", instructions);
                prop_assert_eq!(&sums, &again_sums, "{:?}", instructions);
            }
        }
    }

    #[test]
    fn far_from_the_largest_what_both_subtractions_round_is_kept() {
        for largest in 40..90 {
            let far = (0..40).map(|n| f64::from(n * largest).sin() * 5.0);
            let x: Vec<f64> = far.chain(std::iter::repeat_n(1000.37, largest as usize)).collect();
            let wide: Vec<DoubleDouble> = x.iter().map(|&x| DoubleDouble::from_f64(x)).collect();
            let (real, _) = DoubleDouble::log_softmax_rows(ArrayView2::from_shape((1, x.len()), &wide).unwrap());
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

    #[test]
    fn rows_are_split_over_threads_without_a_change() {
        let x: Vec<f64> = (0..300_000).map(|n| (f64::from(n) * 0.618).sin() * 9.0).collect();
        assert!(
            scope::with_thread_limit(1, || log_softmax_rows(&x, 1000))
                == scope::with_thread_limit(3, || log_softmax_rows(&x, 1000))
        );
    }
}
