//! Softmax of rows. Its logarithm and the gradients of both are in files of their own.
//!
//! Every number is a sum of two doubles up to the last operation: x − max, its exponential, and the sum of the exponentials.
//! docs/accuracy.md states the error bounds.

use crate::parallel::{fill, pages, scope};
use crate::simd::accuracy::{Accuracy, accuracy};
use crate::simd::dispatch::dispatch;
use crate::simd::error_free::{Reciprocal, two_sum};
use crate::simd::exp::{MIN_NORMAL_ARGUMENT, exp, exp_short};
use crate::simd::f64x8::{F64x8, F64x8Pair, SimdF64, load_first, store_first};
use crate::simd::prefetch::prefetch;

mod gradient;
mod lanes;
mod log;

pub use gradient::log_softmax_gradient;
pub use gradient::softmax_gradient;
pub use lanes::softmax_lanes;
pub use log::log_softmax_rows;

/// Rows up to this width are computed eight at a time, each in its own element of the vectors.
const MAX_NARROW_WIDTH: usize = 64;
/// Greatest distance of the logits that are prefetched, in elements: a prefetched row must stay in the cache.
const MAX_PREFETCH_DISTANCE_ELEMENTS: usize = 1 << 14;

/// Returns the softmax of each row of `width` logits, and for each row (max, Σ), the sum of e^(x − max) over all but one maximum.
pub fn softmax_rows(x: &[f64], width: usize) -> (Vec<f64>, Vec<(f64, f64)>) {
    fill_rows(x, width, |x, y, sums| softmax_of_rows(x, y, width, sums))
}

/// Returns an array of the size of x and a pair of each row, which `compute` fills for some rows at a time.
fn fill_rows(
    x: &[f64],
    width: usize,
    compute: impl Fn(&[f64], &mut [f64], &mut [(f64, f64)]) + Sync,
) -> (Vec<f64>, Vec<(f64, f64)>) {
    let mut y = pages::zeros(x.len());
    let rows = x.len() / width.max(1);
    let mut sums = vec![(0.0, 0.0); rows];
    if rows == 0 {
        return (y, sums);
    }
    let part_rows = rows.div_ceil(fill::part_count(x.len()));
    let part_len = part_rows * width;
    let parts = x.chunks(part_len).zip(y.chunks_mut(part_len)).zip(sums.chunks_mut(part_rows)).collect();
    scope::map_parts(parts, |((x, y), sums)| compute(x, y, sums));
    (y, sums)
}

dispatch! {
    fn softmax_of_rows<V>(x: &[f64], y: &mut [f64], width: usize, sums: &mut [(f64, f64)]) {
        let accuracy = accuracy();
        if width <= MAX_NARROW_WIDTH {
            let mut buffer = vec![[0.0; 8]; 2 * width];
            let groups = x.chunks(8 * width).zip(y.chunks_mut(8 * width)).zip(sums.chunks_mut(8));
            for ((x, y), sums) in groups {
                softmax_of_eight_rows::<V>(x, y, width, &mut buffer, sums);
            }
            return;
        }
        let mut low = vec![0.0; if accuracy == Accuracy::Double { width } else { 0 }];
        let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(sums);
        for ((x, y), sum) in rows {
            *sum = match accuracy {
                Accuracy::Double => softmax_of_row::<V>(x, y, &mut low),
                Accuracy::Single => short_softmax_of_row::<V>(x, y),
            };
        }
    }
}

/// Computes one row for results that are rounded to 24 bits or fewer, and returns (max, Σ).
#[inline(always)]
fn short_softmax_of_row<V: F64x8>(x: &[f64], y: &mut [f64]) -> (f64, f64) {
    let (_, max) = min_and_max::<V>(x);
    let prefetch_distance = x.len().min(MAX_PREFETCH_DISTANCE_ELEMENTS);
    let (mut sums, mut maxima) = ([V::splat(0.0); 2], [V::splat(0.0); 2]);
    let ((pairs, rest), (power_pairs, rest_of_powers)) = (x.as_chunks::<16>(), y.as_chunks_mut::<16>());
    for (x, y) in pairs.iter().zip(power_pairs) {
        for (n, (x, y)) in x.as_chunks::<8>().0.iter().zip(y.as_chunks_mut::<8>().0).enumerate() {
            prefetch(x.as_ptr().wrapping_add(prefetch_distance));
            let (power, is_max) = short_power::<V>(V::load(x), V::splat(max));
            (sums[n], maxima[n]) = (sums[n] + (power - is_max), maxima[n] + is_max);
            power.store(y);
        }
    }
    for (n, (x, y)) in rest.chunks(8).zip(rest_of_powers.chunks_mut(8)).enumerate() {
        let (power, is_max) = short_power::<V>(load_first(x, f64::NEG_INFINITY), V::splat(max));
        (sums[n], maxima[n]) = (sums[n] + (power - is_max), maxima[n] + is_max);
        store_first(power, y);
    }
    let (mut sum, mut count) = ([0.0; 8], [0.0; 8]);
    (sums[0] + sums[1]).store(&mut sum);
    (maxima[0] + maxima[1]).store(&mut count);
    let others = (count.iter().sum::<f64>() - 1.0) + sum.iter().sum::<f64>();
    let reciprocal = V::splat(1.0 / (1.0 + others));
    let (chunks, rest) = y.as_chunks_mut();
    for y in chunks {
        (V::load(y) * reciprocal).store(y);
    }
    store_first(load_first::<V>(rest, 0.0) * reciprocal, rest);
    (max, others)
}

/// Returns e^(x − max), and 1 where x is the maximum or NaN, else 0.
#[inline(always)]
fn short_power<V: SimdF64>(x: V, max: V) -> (V, V) {
    let (zero, difference) = (V::splat(0.0), x - max);
    (exp_short(difference), difference.select_lt(zero, zero, V::splat(1.0)))
}

/// Computes one row and returns (max, Σ); `low` is a buffer of its length.
#[inline(always)]
fn softmax_of_row<V: F64x8>(x: &[f64], y: &mut [f64], low: &mut [f64]) -> (f64, f64) {
    let (max, max_index, (sum, sum_low)) = exponentials::<V>(x, y, low);
    let reciprocal = Reciprocal::of_sum(y[max_index], sum, sum_low).splat::<V>();
    for (y, low) in y.chunks_mut(8).zip(low.chunks(8)) {
        store_first(reciprocal.times(load_first(y, 0.0), load_first::<V>(low, 0.0)), y);
    }
    (max, sum + sum_low)
}

/// Writes the exponentials e^(x − max) of a row as sums y + low. Returns the maximum, its first index, and the sum of the other
/// exponentials as a sum of two doubles.
#[inline(always)]
fn exponentials<V: F64x8>(x: &[f64], y: &mut [f64], low: &mut [f64]) -> (f64, usize, (f64, f64)) {
    let (min, max) = min_and_max::<V>(x);
    // Two calls, so that neither loop has a branch.
    if min - max < MIN_NORMAL_ARGUMENT {
        shifted_exponentials::<V>(x, max, y, low, true);
    } else {
        shifted_exponentials::<V>(x, max, y, low, false);
    }
    // The sum without the maximum keeps its digits if it is far below 1.
    let max_index = index_of::<V>(x, max);
    let max_exponential = std::mem::replace(&mut y[max_index], 0.0);
    let sum = compensated_sum::<V, true>(y, low);
    y[max_index] = max_exponential;
    (max, max_index, sum)
}

/// Computes up to eight rows, each in its own element of the vectors; `buffer` has 2·width vectors.
#[inline(always)]
fn softmax_of_eight_rows<V: F64x8>(
    x: &[f64],
    y: &mut [f64],
    width: usize,
    buffer: &mut [[f64; 8]],
    sums: &mut [(f64, f64)],
) {
    let (highs, lows) = buffer.split_at_mut(width);
    for (n, row) in x.chunks_exact(width).enumerate() {
        highs.iter_mut().zip(row).for_each(|(high, &x)| high[n] = x);
    }
    softmax_of_eight_lanes::<V>(highs, lows, sums);
    for (n, row) in y.chunks_exact_mut(width).enumerate() {
        row.iter_mut().zip(highs.iter()).for_each(|(y, high)| *y = high[n]);
    }
}

/// Computes eight lanes, of which vector k of `highs` has the elements k, in their place; `lows` is a buffer.
#[inline(always)]
fn softmax_of_eight_lanes<V: F64x8>(highs: &mut [[f64; 8]], lows: &mut [[f64; 8]], sums: &mut [(f64, f64)]) {
    let (zero, one) = (V::splat(0.0), V::splat(1.0));
    let (mut min, mut max) = (V::load(&highs[0]), V::load(&highs[0]));
    for x in highs.iter() {
        (min, max) = (V::load(x).min(min), V::load(x).max(max));
    }
    let mut elements = [0.0; 8];
    let others = if accuracy() == Accuracy::Single {
        let (mut sum, mut maxima) = (zero, zero);
        for high in highs.iter_mut() {
            let (power, is_max) = short_power(V::load(high), max);
            (sum, maxima) = (sum + (power - is_max), maxima + is_max);
            power.store(high);
        }
        let others = (maxima - one) + sum;
        let reciprocal = one / (one + others);
        for high in highs.iter_mut() {
            (V::load(high) * reciprocal).store(high);
        }
        others
    } else {
        let shift = zero - max;
        (min - max).store(&mut elements);
        let may_underflow = elements.iter().any(|&range| range < MIN_NORMAL_ARGUMENT);
        let (mut max_was_seen, mut sum, mut sum_low) = (zero, zero, zero);
        for (high, low) in highs.iter_mut().zip(lows.iter_mut()) {
            let x = V::load(high);
            let (upper, rest) = shifted_exponential(x, shift, may_underflow);
            // The first maximum is left out of the sum; its low part is 0.
            let is_below_max = two_sum(x, shift).0;
            let counted = is_below_max.select_lt(zero, upper, max_was_seen.select_lt(one, zero, upper));
            max_was_seen = is_below_max.select_lt(zero, max_was_seen, one);
            let (total, error) = two_sum(sum, counted);
            (sum, sum_low) = (total, sum_low + (error + rest));
            upper.store(high);
            rest.store(low);
        }
        let reciprocal = Reciprocal::of_sum(one, sum, sum_low);
        for (high, low) in highs.iter_mut().zip(lows.iter()) {
            reciprocal.times(V::load(high), V::load(low)).store(high);
        }
        sum + sum_low
    };
    let mut all_others = [0.0; 8];
    max.store(&mut elements);
    others.store(&mut all_others);
    sums.iter_mut().zip(elements.into_iter().zip(all_others)).for_each(|(sum, max_and_sum)| *sum = max_and_sum);
}

/// Writes e^(x − max) as sums y + low.
#[inline(always)]
fn shifted_exponentials<V: F64x8>(x: &[f64], max: f64, y: &mut [f64], low: &mut [f64], may_underflow: bool) {
    let prefetch_distance = x.len().min(MAX_PREFETCH_DISTANCE_ELEMENTS);
    let mut begin = 0;
    if V::HAS_REGISTERS_FOR_PAIRS {
        let (x, y, low) = (x.as_chunks().0, y.as_chunks_mut().0, low.as_chunks_mut().0);
        let (x, y, low) = (x.as_chunks().0, y.as_chunks_mut().0, low.as_chunks_mut().0);
        begin = 16 * x.len();
        for ((x, y), low) in x.iter().zip(y).zip(low) {
            x.iter().for_each(|chunk: &[f64; 8]| prefetch(chunk.as_ptr().wrapping_add(prefetch_distance)));
            let (upper, rest) = shifted_exponential(F64x8Pair::<V>::load(x), F64x8Pair::splat(-max), may_underflow);
            upper.store(y);
            rest.store(low);
        }
    }
    for ((x, y), low) in x[begin..].chunks(8).zip(y[begin..].chunks_mut(8)).zip(low[begin..].chunks_mut(8)) {
        // The padding has the difference 0 from the maximum.
        let (upper, rest) = shifted_exponential::<V>(load_first(x, max), V::splat(-max), may_underflow);
        store_first(upper, y);
        store_first(rest, low);
    }
}

/// Returns e^(x + shift) as a sum of two doubles.
#[inline(always)]
fn shifted_exponential<V: SimdF64>(x: V, shift: V, may_underflow: bool) -> (V, V) {
    let (high, low) = two_sum(x, shift);
    exp(high, low, may_underflow)
}

/// Returns the smallest and the largest number; NaN if the row begins with NaN.
#[inline(always)]
fn min_and_max<V: F64x8>(row: &[f64]) -> (f64, f64) {
    let first = row[0];
    // Two accumulators, since each operation waits for the one before.
    let (mut mins, mut maxs) = ([V::splat(first); 2], [V::splat(first); 2]);
    let (chunks, rest) = row.as_chunks();
    let (pairs, odd) = chunks.as_chunks::<2>();
    for [a, b] in pairs {
        let (a, b) = (V::load(a), V::load(b));
        mins = [a.min(mins[0]), b.min(mins[1])];
        maxs = [a.max(maxs[0]), b.max(maxs[1])];
    }
    for x in odd {
        let x = V::load(x);
        (mins[0], maxs[0]) = (x.min(mins[0]), x.max(maxs[0]));
    }
    let (mut low, mut high) = ([first; 8], [first; 8]);
    if !chunks.is_empty() {
        mins[1].min(mins[0]).store(&mut low);
        maxs[1].max(maxs[0]).store(&mut high);
    }
    let min = low.iter().chain(rest).fold(first, |min, &x| if x < min { x } else { min });
    let max = high.iter().chain(rest).fold(first, |max, &x| if x > max { x } else { max });
    (min, max)
}

/// Returns the first index of a number, or 0 if the row does not contain it.
#[inline(always)]
fn index_of<V: F64x8>(row: &[f64], number: f64) -> usize {
    let (chunks, _) = row.as_chunks();
    let start = 8 * chunks.iter().take_while(|x| !V::load(x).any_eq(V::splat(number))).count();
    row[start..].iter().position(|&x| x == number).map_or(0, |n| start + n)
}

/// Returns sum + error + high + low[n] as a sum of two doubles.
#[inline(always)]
fn add_to_sum<V: F64x8, const HAS_LOW: bool>(sum: V, error: V, high: &[f64; 8], low: &[[f64; 8]], n: usize) -> (V, V) {
    let (sum, rest) = two_sum(sum, V::load(high));
    (sum, error + if HAS_LOW { rest + V::load(&low[n]) } else { rest })
}

/// Returns Σ (high + low) as a sum of two doubles, with the error of every addition (Ogita, Rump and Oishi's Sum2 in sixteen
/// accumulators). Without `HAS_LOW`, `low` is 0.
#[inline(always)]
fn compensated_sum<V: F64x8, const HAS_LOW: bool>(high: &[f64], low: &[f64]) -> (f64, f64) {
    let ((high, high_rest), (low, low_rest)) = (high.as_chunks::<8>(), low.as_chunks::<8>());
    let (mut sums, mut errors) = ([V::splat(0.0); 2], [V::splat(0.0); 2]);
    let (pairs, odd) = high.as_chunks::<2>();
    for (n, pair) in pairs.iter().enumerate() {
        for k in 0..2 {
            (sums[k], errors[k]) = add_to_sum::<V, HAS_LOW>(sums[k], errors[k], &pair[k], low, 2 * n + k);
        }
    }
    for high in odd {
        (sums[0], errors[0]) = add_to_sum::<V, HAS_LOW>(sums[0], errors[0], high, low, 2 * pairs.len());
    }
    let (sum, error) = two_sum(sums[0], sums[1]);
    let (mut high, mut low) = ([0.0; 8], [0.0; 8]);
    sum.store(&mut high);
    (errors[0] + errors[1] + error).store(&mut low);
    let mut total = (0.0, 0.0);
    let lows = low.iter().chain(low_rest).chain(std::iter::repeat(&0.0));
    for (&high, &low) in high.iter().chain(high_rest).zip(lows) {
        let (sum, error) = two_sum(total.0, high);
        total = (sum, total.1 + (error + low));
    }
    total
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
pub(crate) mod tests {
    use super::*;
    use crate::numeric::{DoubleDouble, Dynamic, DynamicKind, Scalar};
    use crate::ops::ArrayOps;
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};
    use ndarray::ArrayView2;
    use proptest::prelude::*;

    /// Returns the distance of a result from a double-double in ulps.
    pub(crate) fn ulps(found: f64, exact: DoubleDouble) -> f64 {
        let double = exact.to_f64().abs();
        let ulp = (double.next_up() - double).max(f64::from_bits(1));
        ((DoubleDouble::from_f64(found) - exact).to_f64() / ulp).abs()
    }

    pub(crate) fn every_width_and_spread() -> impl Strategy<Value = (usize, Vec<f64>)> {
        let spread = prop::sample::select(vec![1e-300, 1e-17, 1e-9, 0.1, 1.0, 5.0, 40.0, 700.0, 1e4, 1e300]);
        let width = prop_oneof![1..=MAX_NARROW_WIDTH, MAX_NARROW_WIDTH + 1..4 * MAX_NARROW_WIDTH];
        (width, 1..20usize, spread).prop_flat_map(|(width, count, spread)| {
            let number = (-1.0..1.0f64).prop_map(move |x| x * spread);
            let logit = prop_oneof![20 => number, 1 => Just(f64::NEG_INFINITY), 1 => Just(spread)];
            (Just(width), prop::collection::vec(logit, width * count))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn probabilities_and_the_sum_of_the_others_are_within_bounds((width, mut x) in every_width_and_spread()) {
            x.iter_mut().step_by(width).for_each(|x| *x = x.max(-1e300));
            let (y, sums) = softmax_rows(&x, width);
            let wide: Vec<Dynamic> = x.iter().map(|&x| Dynamic::from_f64(x)).collect();
            let view = ArrayView2::from_shape((x.len() / width, width), &wide).unwrap();
            let (real, lines) = Dynamic::softmax_rows(view);
            let real = real.mapv(DoubleDouble::from_dynamic);
            for ((&x, &y), &real) in x.iter().zip(&y).zip(&real) {
                // Below 1e-290 a double-double has no digits to spare.
                if real.to_f64() > 1e-280 {
                    prop_assert!(ulps(y, real) < 1.1, "{x}: {y} {real:?}");
                } else {
                    prop_assert!((y - real.to_f64()).abs() <= 1e-12 * y + 1e-323);
                }
            }
            for (&(max, others), &(real_max, real)) in sums.iter().zip(&lines) {
                prop_assert_eq!(max, real_max.to_f64());
                let real = DoubleDouble::from_dynamic(real);
                prop_assert!(real.to_f64() < 1e-280 || ulps(others, real) < 2.0, "{} {:?}", others, real);
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let [x, dout] =
            [9.0, 1.0].map(|scale| (0..300_000).map(|n| (f64::from(n) * 0.618).sin() * scale).collect::<Vec<f64>>());
        let run = || {
            let ((y, _), (log, sums)) = (softmax_rows(&x, 1000), log_softmax_rows(&x, 1000));
            let gradient = softmax_gradient(&y, &dout, 1000);
            (y, log, gradient, log_softmax_gradient(&x, &sums, &dout, 1000), sums)
        };
        assert!(scope::with_thread_limit(1, run) == scope::with_thread_limit(3, run));
    }

    #[test]
    fn a_nan_makes_only_its_row_nan() {
        for (width, at) in [(16, 0), (16, 5), (16, 15), (128, 0), (128, 9), (128, 64), (128, 127)] {
            let mut x = vec![1.0; 3 * width];
            x[width + at] = f64::NAN;
            let (y, _) = softmax_rows(&x, width);
            assert!(y[width..2 * width].iter().all(|y| y.is_nan()), "{y:?}");
            let others = y[..width].iter().chain(&y[2 * width..]);
            assert!(others.into_iter().all(|&y| y == 1.0 / width as f64));
        }
    }

    #[test]
    fn the_maximum_and_the_minimum_are_found_at_every_index() {
        for width in [1, 7, 8, 20, 64, 65, 72, 77, 80, 87, 100] {
            for at in 0..width {
                let row = |value: f64| (0..width).map(|n| if n == at { value } else { 0.0 }).collect::<Vec<f64>>();
                for isa in IsaLevel::available() {
                    let softmax = |x: &[f64]| with_isa_limit(isa, || softmax_rows(x, width));
                    let (y, sums) = softmax(&row(800.0));
                    assert!(sums == [(800.0, 0.0)] && y == row(1.0), "{width} {at} {isa:?}: {sums:?} {y:?}");
                    let (y, _) = softmax(&row(-800.0));
                    assert!(width == 1 || y[at] == 0.0, "{width} {at} {isa:?}: {y:?}");
                }
            }
        }
    }

    #[test]
    fn empty_inputs_give_empty_results() {
        assert!(softmax_rows(&[], 5) == (vec![], vec![]));
    }
}
