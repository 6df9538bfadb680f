//! The gradient of softmax, dx = y∘(dout − Σ dout∘y), and that of its logarithm, dx = dout − y·Σ dout.
//!
//! Every sum keeps the errors of its additions. Of the logarithm y is made again from x, as forward made it.

use super::{place, power_of, range};
use crate::parallel::fill;
use crate::simd::dispatch::{Instructions, widest};
use crate::simd::error_free::{Inverse, two_sum, two_sum_of};
use crate::simd::exp::NORMAL;
use crate::simd::f64x8::{Lanes, Numbers, Twice, padded, twos, twos_mut};
use crate::simd::unroll::unrolled;

/// Numbers that are worth a call.
const TOGETHER: usize = 1 << 10;

/// dx of each row of `width` numbers.
pub fn softmax_gradient(y: &[f64], dout: &[f64], width: usize) -> Vec<f64> {
    gradient_by(Instructions::best(), y, dout, width)
}

fn gradient_by(instructions: Instructions, y: &[f64], dout: &[f64], width: usize) -> Vec<f64> {
    let step = step(width);
    fill::fill_chunks(y.len(), step, |n, dx| {
        let (y, dout) = (&y[n * step..][..dx.len()], &dout[n * step..][..dx.len()]);
        some_gradients(instructions, y, dout, width, dx);
    })
}

/// dx of each row of x; `sums` are what [`log_softmax_rows`](super::log_softmax_rows) found.
pub fn log_softmax_gradient(x: &[f64], sums: &[(f64, f64)], dout: &[f64], width: usize) -> Vec<f64> {
    log_gradient_by(Instructions::best(), x, sums, dout, width)
}

fn log_gradient_by(instructions: Instructions, x: &[f64], sums: &[(f64, f64)], dout: &[f64], width: usize) -> Vec<f64> {
    let step = step(width);
    fill::fill_chunks(x.len(), step, |n, dx| {
        let (x, dout) = (&x[n * step..][..dx.len()], &dout[n * step..][..dx.len()]);
        let sums = &sums[n * (step / width)..][..dx.len() / width];
        some_log_gradients(instructions, x, sums, dout, width, dx);
    })
}

/// Some rows.
fn step(width: usize) -> usize {
    width * (TOGETHER / width.max(1)).max(1)
}

widest! {
    fn some_gradients<V>(y: &[f64], dout: &[f64], width: usize, dx: &mut [f64]) {
        let rows = y.chunks_exact(width).zip(dout.chunks_exact(width));
        for ((y, dout), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            row::<V>(y, dout, dx);
        }
    }
}

widest! {
    fn some_log_gradients<V>(x: &[f64], sums: &[(f64, f64)], dout: &[f64], width: usize, dx: &mut [f64]) {
        let rows = x.chunks_exact(width).zip(sums).zip(dout.chunks_exact(width));
        for (((x, sum), dout), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            log_row::<V>(x, *sum, dout, dx);
        }
    }
}

/// A constant off dout changes nothing, since Σ y = 1, and leaves small numbers: that of the largest y.
#[inline(always)]
fn row<V: Lanes>(y: &[f64], dout: &[f64], dx: &mut [f64]) {
    let pivot = dout[place::<V>(y, range::<V>(y).1)];
    products::<V>(y, dout, pivot, 0.0, dx);
    let mean = total::<V>(dx);
    products::<V>(y, dout, pivot, mean, dx);
}

/// y·((dout − pivot) − mean).
#[inline(always)]
fn products<V: Lanes>(y: &[f64], dout: &[f64], pivot: f64, mean: f64, to: &mut [f64]) {
    let (pivot, mean) = (V::all(pivot), V::all(mean));
    let ((y, y_left), (dout, dout_left), (to, to_left)) = (y.as_chunks(), dout.as_chunks(), to.as_chunks_mut());
    for ((y, dout), to) in y.iter().zip(dout).zip(to) {
        (V::load(y) * ((V::load(dout) - pivot) - mean)).store(to);
    }
    if !y_left.is_empty() {
        let mut last = [0.0; 8];
        (V::load(&padded(y_left, 0.0)) * ((V::load(&padded(dout_left, 0.0)) - pivot) - mean)).store(&mut last);
        to_left.copy_from_slice(&last[..to_left.len()]);
    }
}

#[inline(always)]
fn log_row<V: Lanes>(x: &[f64], (most, others): (f64, f64), dout: &[f64], dx: &mut [f64]) {
    let deep = range::<V>(x).0 - most < NORMAL;
    let sum = total::<V>(dout);
    let ((x, x_left), (dout, dout_left), (dx, dx_left)) = (x.as_chunks(), dout.as_chunks(), dx.as_chunks_mut());
    let ((pairs, x), (dout_pairs, dout), (dx_pairs, dx)) = (twos::<V>(x), twos::<V>(dout), twos_mut::<V>(dx));
    let two = Log::<Twice<V>>::of(most, others, sum, deep);
    for ((x, dout), dx) in pairs.iter().zip(dout_pairs).zip(dx_pairs) {
        two.gradient(Twice::load(x), Twice::load(dout)).store(dx);
    }
    let one = Log::<V>::of(most, others, sum, deep);
    for ((x, dout), dx) in x.iter().zip(dout).zip(dx) {
        one.gradient(V::load(x), V::load(dout)).store(dx);
    }
    if !x_left.is_empty() {
        let mut last = [0.0; 8];
        one.gradient(V::load(&padded(x_left, most)), V::load(&padded(dout_left, 0.0))).store(&mut last);
        dx_left.copy_from_slice(&last[..dx_left.len()]);
    }
}

/// What a row's entries have in common.
struct Log<V> {
    shift: V,
    inverse: Inverse<V>,
    /// Σ dout.
    sum: V,
    deep: bool,
}

impl<V: Numbers> Log<V> {
    #[inline(always)]
    fn of(most: f64, others: f64, sum: f64, deep: bool) -> Log<V> {
        let inverse = Inverse::of(V::all(1.0), V::all(others), V::all(0.0));
        Log { shift: V::all(-most), inverse, sum: V::all(sum), deep }
    }

    /// dout − y·Σ dout.
    #[inline(always)]
    fn gradient(&self, x: V, dout: V) -> V {
        let (power, rest) = power_of(x, self.shift, self.deep);
        dout - self.inverse.times(power, rest) * self.sum
    }
}

/// Σ terms, the error of every addition kept: in sixteen sums that run beside each other.
#[inline(always)]
fn total<V: Lanes>(terms: &[f64]) -> f64 {
    let (mut sums, mut rests) = ([V::all(0.0); 2], [V::all(0.0); 2]);
    let (lanes, left) = terms.as_chunks();
    let (pairs, odd) = lanes.as_chunks::<2>();
    for pair in pairs {
        unrolled!(n < 2 => {
            let (sum, error) = two_sum(sums[n], V::load(&pair[n]));
            (sums[n], rests[n]) = (sum, rests[n] + error);
        });
    }
    for last in odd {
        let (sum, error) = two_sum(sums[0], V::load(last));
        (sums[0], rests[0]) = (sum, rests[0] + error);
    }
    let (sum, error) = two_sum(sums[0], sums[1]);
    let (mut high, mut low) = ([0.0; 8], [0.0; 8]);
    sum.store(&mut high);
    (rests[0] + rests[1] + error).store(&mut low);
    let mut whole = (0.0, 0.0);
    let lows = low.iter().chain(std::iter::repeat(&0.0));
    for (&term, &low) in high.iter().chain(left).zip(lows) {
        let (sum, error) = two_sum_of(whole.0, term);
        whole = (sum, whole.1 + (error + low));
    }
    if whole.1.is_finite() { whole.0 + whole.1 } else { whole.0 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::numeric::{DoubleDouble, Scalar};
    use crate::ops::ArrayOps;
    use crate::ops::softmax::tests::every_width_and_spread;
    use crate::ops::softmax::{log_softmax_rows, softmax_rows};
    use crate::parallel::scope;
    use ndarray::ArrayView2;
    use proptest::prelude::*;

    /// Both gradients of rows of x.
    fn both(instructions: Instructions, x: &[f64], dout: &[f64], width: usize) -> [Vec<f64>; 2] {
        let ((y, _), (_, sums)) = (softmax_rows(x, width), log_softmax_rows(x, width));
        [gradient_by(instructions, &y, dout, width), log_gradient_by(instructions, x, &sums, dout, width)]
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
        fn gradients_are_their_definition_but_for_a_few_roundings((width, x, dout) in with_dout()) {
            let wide = |values: &[f64]| values.iter().map(|&value| DoubleDouble::from_f64(value)).collect::<Vec<_>>();
            let (wide_x, wide_dout) = (wide(&x), wide(&dout));
            let matrix = |values| ArrayView2::from_shape((x.len() / width, width), values).unwrap();
            let (wide_x, wide_dout) = (matrix(&wide_x), matrix(&wide_dout));
            let (y, _) = DoubleDouble::softmax_rows(wide_x);
            let real = [
                DoubleDouble::softmax_gradient(wide_x, y.view(), wide_dout),
                DoubleDouble::log_softmax_gradient(wide_x, y.view(), wide_dout),
            ];
            let [gradient, log_gradient] = both(Instructions::best(), &x, &dout, width);
            for (n, y) in y.iter().enumerate() {
                // Of y∘(d − Σ d∘y) with |d| ≤ 10; and of dout − y·Σ dout with |Σ dout| ≤ 5·width.
                let (real, log_real) = (real[0].as_slice().unwrap()[n], real[1].as_slice().unwrap()[n]);
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
        fn instructions_and_neighbours_change_no_bit((width, x, dout) in with_dout()) {
            let found = both(Instructions::best(), &x, &dout, width);
            for instructions in Instructions::all() {
                prop_assert_eq!(&found, &both(instructions, &x, &dout, width), "{:?}", instructions);
            }
            let alone = both(Instructions::best(), &x[..width], &dout[..width], width);
            prop_assert_eq!(alone, found.map(|found| found[..width].to_vec()));
        }

        #[test]
        fn of_a_constant_nothing_is_left((width, x, _) in with_dout(), constant in -1e300..1e300f64) {
            let [gradient, _] = both(Instructions::best(), &x, &vec![constant; x.len()], width);
            prop_assert!(gradient.iter().all(|&dx| dx == 0.0));
        }
    }

    #[test]
    fn what_addition_drops_is_kept_wherever_it_lies() {
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
    fn infinities_and_nan_stay_in_their_row() {
        for width in [3, 70] {
            let x = vec![0.5; 3 * width];
            let mut dout = vec![1.0; 3 * width];
            (dout[width + 1], dout[width + 2]) = (f64::INFINITY, f64::NAN);
            for found in both(Instructions::best(), &x, &dout, width) {
                assert!(found[width..2 * width].iter().all(|dx| dx.is_nan()), "{found:?}");
                assert!(found[..width].iter().chain(&found[2 * width..]).all(|dx| dx.is_finite()), "{found:?}");
            }
        }
    }

    #[test]
    fn rows_are_split_over_threads_without_a_change() {
        let wave = |scale: f64| (0..300_000).map(|n| (f64::from(n) * 0.618).sin() * scale).collect::<Vec<f64>>();
        let run = || both(Instructions::best(), &wave(9.0), &wave(1.0), 1000);
        assert!(scope::with_thread_limit(1, run) == scope::with_thread_limit(3, run));
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(softmax_gradient(&[], &[], 5).is_empty() && log_softmax_gradient(&[], &[], &[], 0).is_empty());
    }
}
