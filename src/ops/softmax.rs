//! Softmax of rows; its logarithm and the gradients of both are in files of their own.
//!
//! Every number is carried in two parts up to the last operation: x − max with what its rounding took, its power with what
//! that rounding took, and the sum. So each probability is within 1.1 ulp, and within 0.85 in what was
//! measured (benches/accuracy.py).

use crate::parallel::{pages, scope};
use crate::simd::dispatch::{Instructions, widest};
use crate::simd::error_free::{Inverse, two_sum, two_sum_of};
use crate::simd::exp::{NORMAL, power};
use crate::simd::f64x8::{Lanes, Numbers, Twice, padded, twos, twos_mut};
use crate::simd::unroll::unrolled;

mod gradient;
mod log;

pub use gradient::{log_softmax_gradient, softmax_gradient};
pub use log::log_softmax_rows;

/// Numbers that are worth a thread.
const SHARE: usize = 1 << 15;
/// Rows up to that length are computed eight at a time.
const NARROW: usize = 64;
/// What comes next is asked for while these are worked on, but no further ahead than the caches hold.
const AHEAD: usize = 1 << 14;

/// The softmax of each row of `width` numbers; and of each row the largest number, and the sum of e^(x − largest) of the others.
pub fn softmax_rows(x: &[f64], width: usize) -> (Vec<f64>, Vec<(f64, f64)>) {
    rows_by(Instructions::best(), x, width)
}

fn rows_by(instructions: Instructions, x: &[f64], width: usize) -> (Vec<f64>, Vec<(f64, f64)>) {
    over_rows(x, width, |x, y, sums| some(instructions, x, y, width, sums))
}

/// Makes as many numbers as in x, and two more of each row, of some rows at a time.
fn over_rows(
    x: &[f64],
    width: usize,
    make: impl Fn(&[f64], &mut [f64], &mut [(f64, f64)]) + Sync,
) -> (Vec<f64>, Vec<(f64, f64)>) {
    let mut y = pages::zeros(x.len());
    let count = x.len() / width.max(1);
    let mut sums = vec![(0.0, 0.0); count];
    if count == 0 {
        return (y, sums);
    }
    let parts = if x.len() < 2 * SHARE { 1 } else { scope::thread_limit().min(x.len() / SHARE) };
    let each = count.div_ceil(parts);
    let parts = x.chunks(each * width).zip(y.chunks_mut(each * width)).zip(sums.chunks_mut(each)).collect();
    scope::map_parts(parts, |((x, y), sums)| make(x, y, sums));
    (y, sums)
}

widest! {
    /// Some rows of `width` numbers.
    fn some<V>(x: &[f64], y: &mut [f64], width: usize, sums: &mut [(f64, f64)]) {
        if width <= NARROW {
            let mut room = vec![[0.0; 8]; 2 * width];
            let groups = x.chunks(8 * width).zip(y.chunks_mut(8 * width)).zip(sums.chunks_mut(8));
            for ((x, y), sums) in groups {
                eight_rows::<V>(x, y, width, &mut room, sums);
            }
        } else {
            let mut room = vec![0.0; width];
            let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(sums);
            for ((x, y), sum) in rows {
                *sum = row::<V>(x, y, &mut room);
            }
        }
    }
}

/// The largest number of a row, where it is first, and the sum of the others' powers in two parts; `y` and `rest`, of its length,
/// are the two parts of the powers.
#[inline(always)]
fn powers_of<V: Lanes>(x: &[f64], y: &mut [f64], rest: &mut [f64]) -> (f64, usize, (f64, f64)) {
    let (least, most) = range::<V>(x);
    if least - most < NORMAL {
        powers::<V>(x, most, y, rest, true)
    } else {
        powers::<V>(x, most, y, rest, false)
    }
    // The first of the largest is left out of the sum, whose digits count where it is far below 1.
    let at = place::<V>(x, most);
    let own = std::mem::replace(&mut y[at], 0.0);
    let sum = sum::<V>(y, rest);
    y[at] = own;
    (most, at, sum)
}

/// A row; `rest` has its length.
#[inline(always)]
fn row<V: Lanes>(x: &[f64], y: &mut [f64], rest: &mut [f64]) -> (f64, f64) {
    let (most, at, (sum, low)) = powers_of::<V>(x, y, rest);
    let own = y[at];
    let inverse = Inverse::of(V::all(own), V::all(sum), V::all(low));
    let ((lanes, left), (rests, rests_left)) = (y.as_chunks_mut(), rest.as_chunks());
    for (y, rest) in lanes.iter_mut().zip(rests) {
        inverse.times(V::load(y), V::load(rest)).store(y);
    }
    let (last, last_rest) = (padded(left, 0.0), padded(rests_left, 0.0));
    let mut last_y = [0.0; 8];
    inverse.times(V::load(&last), V::load(&last_rest)).store(&mut last_y);
    left.copy_from_slice(&last_y[..left.len()]);
    (most, sum + low)
}

/// Up to eight rows, each in a lane of its own; `room` is twice as long as they.
#[inline(always)]
fn eight_rows<V: Lanes>(x: &[f64], y: &mut [f64], width: usize, room: &mut [[f64; 8]], sums: &mut [(f64, f64)]) {
    let (powers, rests) = room.split_at_mut(width);
    for (lane, row) in x.chunks_exact(width).enumerate() {
        powers.iter_mut().zip(row).for_each(|(powers, &x)| powers[lane] = x);
    }
    let (zero, one) = (V::all(0.0), V::all(1.0));
    let (mut least, mut most) = (V::load(&powers[0]), V::load(&powers[0]));
    for x in powers.iter() {
        (least, most) = (V::load(x).smaller(least), V::load(x).larger(most));
    }
    let mut lanes = [0.0; 8];
    (least - most).store(&mut lanes);
    let deep = lanes.iter().any(|&range| range < NORMAL);
    let (mut seen, mut sum, mut low) = (zero, zero, zero);
    for (power, rest) in powers.iter_mut().zip(rests.iter_mut()) {
        let high = two_sum(V::load(power), zero - most).0;
        eight_powers(&power.clone(), zero - most, power, rest, deep);
        // The first of the largest is left out of the sum; its rest is 0.
        let counted = V::load(power);
        let (total, error) = two_sum(sum, high.if_below(zero, counted, seen.if_below(one, zero, counted)));
        seen = high.if_below(zero, seen, one);
        (sum, low) = (total, low + (error + V::load(rest)));
    }
    let inverse = Inverse::of(one, sum, low);
    for (power, rest) in powers.iter_mut().zip(rests.iter()) {
        inverse.times(V::load(power), V::load(rest)).store(power);
    }
    for (lane, row) in y.chunks_exact_mut(width).enumerate() {
        row.iter_mut().zip(powers.iter()).for_each(|(y, powers)| *y = powers[lane]);
    }
    let mut others = [0.0; 8];
    most.store(&mut lanes);
    (sum + low).store(&mut others);
    sums.iter_mut().zip(lanes.into_iter().zip(others)).for_each(|(sum, found)| *sum = found);
}

/// e^(x − max) in two parts.
#[inline(always)]
fn powers<V: Lanes>(x: &[f64], max: f64, y: &mut [f64], rest: &mut [f64], deep: bool) {
    let (shift, ahead) = (V::all(-max), x.len().min(AHEAD));
    let ((x, x_left), (y, y_left), (rest, rest_left)) = (x.as_chunks(), y.as_chunks_mut(), rest.as_chunks_mut());
    let ((pairs, x), (y_pairs, y), (rest_pairs, rest)) = (twos::<V>(x), twos_mut::<V>(y), twos_mut::<V>(rest));
    for ((x, y), rest) in pairs.iter().zip(y_pairs).zip(rest_pairs) {
        Twice::<V>::expect(x, ahead);
        let (power, low) = power_of(Twice::<V>::load(x), Twice::all(-max), deep);
        power.store(y);
        low.store(rest);
    }
    for ((x, y), rest) in x.iter().zip(y).zip(rest) {
        eight_powers(x, shift, y, rest, deep);
    }
    if !x_left.is_empty() {
        let (mut y, mut rest) = ([0.0; 8], [0.0; 8]);
        eight_powers(&padded(x_left, max), shift, &mut y, &mut rest, deep);
        y_left.copy_from_slice(&y[..y_left.len()]);
        rest_left.copy_from_slice(&rest[..rest_left.len()]);
    }
}

#[inline(always)]
fn eight_powers<V: Lanes>(x: &[f64; 8], shift: V, y: &mut [f64; 8], rest: &mut [f64; 8], deep: bool) {
    let (power, low) = power_of(V::load(x), shift, deep);
    power.store(y);
    low.store(rest);
}

/// e^(x + shift) in two parts.
#[inline(always)]
fn power_of<V: Numbers>(x: V, shift: V, deep: bool) -> (V, V) {
    let (high, low) = two_sum(x, shift);
    power(high, low, deep)
}

/// The smallest and the largest number; NaN where the row begins so.
#[inline(always)]
fn range<V: Lanes>(row: &[f64]) -> (f64, f64) {
    let first = row[0];
    let (mut least, mut most) = ([V::all(first); 2], [V::all(first); 2]);
    let (lanes, left) = row.as_chunks();
    let (pairs, odd) = lanes.as_chunks::<2>();
    for [one, other] in pairs {
        let (one, other) = (V::load(one), V::load(other));
        least = [one.smaller(least[0]), other.smaller(least[1])];
        most = [one.larger(most[0]), other.larger(most[1])];
    }
    for x in odd {
        let x = V::load(x);
        (least[0], most[0]) = (x.smaller(least[0]), x.larger(most[0]));
    }
    let (mut lows, mut highs) = ([first; 8], [first; 8]);
    if !lanes.is_empty() {
        least[1].smaller(least[0]).store(&mut lows);
        most[1].larger(most[0]).store(&mut highs);
    }
    let smallest = lows.iter().chain(left).fold(first, |least, &x| if x < least { x } else { least });
    let largest = highs.iter().chain(left).fold(first, |most, &x| if x > most { x } else { most });
    (smallest, largest)
}

/// Where the first number like that is, 0 where none is.
#[inline(always)]
fn place<V: Lanes>(row: &[f64], wanted: f64) -> usize {
    let (lanes, _) = row.as_chunks();
    let before = 8 * lanes.iter().take_while(|x| !V::load(x).meets(V::all(wanted))).count();
    row[before..].iter().position(|&x| x == wanted).map_or(0, |at| before + at)
}

/// sum + rest + high + low, as a sum and a rest.
#[inline(always)]
fn added<V: Lanes>(sum: V, rest: V, high: &[f64; 8], low: &[f64; 8]) -> (V, V) {
    let (sum, error) = two_sum(sum, V::load(high));
    (sum, rest + (error + V::load(low)))
}

/// Σ (high + low), the error of every addition kept: in sixteen sums that run beside each other.
#[inline(always)]
fn sum<V: Lanes>(high: &[f64], low: &[f64]) -> (f64, f64) {
    let ((lanes, left), (low_lanes, low_left)) = (high.as_chunks(), low.as_chunks());
    let (mut sums, mut rests) = ([V::all(0.0); 2], [V::all(0.0); 2]);
    let ((pairs, odd), (low_pairs, low_odd)) = (lanes.as_chunks::<2>(), low_lanes.as_chunks::<2>());
    for (high, low) in pairs.iter().zip(low_pairs) {
        unrolled!(n < 2 => (sums[n], rests[n]) = added(sums[n], rests[n], &high[n], &low[n]));
    }
    for (high, low) in odd.iter().zip(low_odd) {
        (sums[0], rests[0]) = added(sums[0], rests[0], high, low);
    }
    let mut total = (0.0, 0.0);
    let mut add = |high: &[f64], low: &[f64]| {
        for (&high, &low) in high.iter().zip(low) {
            let (sum, error) = two_sum_of(total.0, high);
            total = (sum, total.1 + (error + low));
        }
    };
    if !lanes.is_empty() {
        let (sum, error) = two_sum(sums[0], sums[1]);
        let (mut high, mut low) = ([0.0; 8], [0.0; 8]);
        sum.store(&mut high);
        (rests[0] + rests[1] + error).store(&mut low);
        add(&high, &low);
    }
    add(left, low_left);
    total
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
pub(crate) mod tests {
    use super::*;
    use crate::numeric::{DoubleDouble, Scalar};
    use crate::ops::ArrayOps;
    use ndarray::ArrayView2;
    use proptest::prelude::*;

    /// How many last places a result is from the double-double one.
    pub(crate) fn ulps(found: f64, real: DoubleDouble) -> f64 {
        let double = real.to_f64();
        let place = (double.abs().next_up() - double.abs()).max(f64::from_bits(1));
        ((DoubleDouble::from_f64(found) - real).to_f64() / place).abs()
    }

    pub(crate) fn every_width_and_spread() -> impl Strategy<Value = (usize, Vec<f64>)> {
        let spread = prop::sample::select(vec![1e-300, 1e-17, 1e-9, 0.1, 1.0, 5.0, 40.0, 700.0, 1e4, 1e300]);
        let width = prop_oneof![1..=NARROW, NARROW + 1..4 * NARROW];
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
            let wide: Vec<DoubleDouble> = x.iter().map(|&x| DoubleDouble::from_f64(x)).collect();
            let view = ArrayView2::from_shape((x.len() / width, width), &wide).unwrap();
            let (real, lines) = DoubleDouble::softmax_rows(view);
            for ((&x, &y), &real) in x.iter().zip(&y).zip(&real) {
                // Below 1e-290 a double-double has no digits to spare.
                if real.to_f64() > 1e-280 {
                    prop_assert!(ulps(y, real) < 1.1, "{x}: {y} {real:?}");
                } else {
                    prop_assert!((y - real.to_f64()).abs() <= 1e-12 * y + 1e-323);
                }
            }
            for (&(max, others), &(real_max, log)) in sums.iter().zip(&lines) {
                prop_assert_eq!(max, real_max.to_f64());
                prop_assert!(log.to_f64() < 1e-280 || ulps(others.ln_1p(), log) < 2.0, "{} {:?}", others, log);
            }
        }

        #[test]
        fn instructions_and_threads_change_no_bit((width, x) in every_width_and_spread()) {
            let (y, sums) = softmax_rows(&x, width);
            let bits = |values: &[f64]| -> Vec<u64> {
                values.iter().map(|value| if value.is_nan() { 0 } else { value.to_bits() }).collect()
            };
            for instructions in Instructions::all() {
                let (again, again_sums) = rows_by(instructions, &x, width);
                prop_assert_eq!(bits(&y), bits(&again), "{:?}", instructions);
                prop_assert_eq!(format!("{sums:?}"), format!("{again_sums:?}"), "{:?}", instructions);
            }
        }
    }

    #[test]
    fn rows_are_split_over_threads_without_a_change() {
        let x: Vec<f64> = (0..300_000).map(|n| (f64::from(n) * 0.618).sin() * 9.0).collect();
        let one = scope::with_thread_limit(1, || softmax_rows(&x, 1000));
        assert!(one == scope::with_thread_limit(3, || softmax_rows(&x, 1000)));
    }

    #[test]
    fn a_nan_makes_its_row_nan_and_no_other() {
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
    fn the_largest_and_the_smallest_are_found_wherever_they_are() {
        for width in [1, 7, 8, 20, 64, 65, 72, 77, 80, 87, 100] {
            for at in 0..width {
                let with = |value: f64| (0..width).map(|n| if n == at { value } else { 0.0 }).collect::<Vec<f64>>();
                for instructions in Instructions::all() {
                    let (y, sums) = rows_by(instructions, &with(800.0), width);
                    assert!(sums == [(800.0, 0.0)] && y == with(1.0), "{width} {at} {instructions:?}: {sums:?} {y:?}");
                    let (y, _) = rows_by(instructions, &with(-800.0), width);
                    assert!(width == 1 || y[at] == 0.0, "{width} {at} {instructions:?}: {y:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(softmax_rows(&[], 5) == (vec![], vec![]));
    }
}
