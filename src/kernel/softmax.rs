//! Softmax of rows.
//!
//! Every number is carried in two parts up to the last operation: x − max with what its rounding took, its power with what
//! that rounding took, and the sum. So each probability is within 1.1 ulp, and within 0.85 in what was
//! measured (benches/accuracy.py).

use super::exp::power;
use super::widest::widest;
use super::{memory, threads};

/// Numbers that are worked on at a time: they stay in the first cache.
const BLOCK: usize = 1024;
/// Numbers that are worth a thread.
const SHARE: usize = 1 << 15;
/// Sums that run beside each other.
const LANES: usize = 16;

/// The softmax of each row of `width` numbers; and of each row the largest number, and the sum of e^(x − largest) of the others.
pub fn rows(x: &[f64], width: usize) -> (Vec<f64>, Vec<(f64, f64)>) {
    let mut y = memory::zeros(x.len());
    let count = x.len() / width.max(1);
    let mut sums = vec![(0.0, 0.0); count];
    if count == 0 {
        return (y, sums);
    }
    let parts = if x.len() < 2 * SHARE { 1 } else { threads::count().min(x.len() / SHARE) };
    let each = count.div_ceil(parts);
    let parts = x.chunks(each * width).zip(y.chunks_mut(each * width)).zip(sums.chunks_mut(each)).collect();
    threads::each(parts, |((x, y), sums)| {
        let some = (BLOCK / width).max(1);
        let mut rest = vec![0.0; some * width];
        for ((x, y), sums) in x.chunks(some * width).zip(y.chunks_mut(some * width)).zip(sums.chunks_mut(some)) {
            block(x, y, &mut rest, sums, width);
        }
    });
    (y, sums)
}

widest! {
    /// Some rows; `rest` has room for as many numbers.
    fn block, block_plainly(x: &[f64], y: &mut [f64], rest: &mut [f64], sums: &mut [(f64, f64)], width: usize) {
        let rest = &mut rest[..x.len()];
        for ((row, (y, rest)), sum) in x
            .chunks_exact(width)
            .zip(y.chunks_exact_mut(width).zip(rest.chunks_exact_mut(width)))
            .zip(sums.iter_mut())
        {
            sum.0 = largest(row);
            let shift = -sum.0;
            for ((y, rest), &x) in y.iter_mut().zip(rest).zip(row) {
                (*y, *rest) = two_sum(x, shift);
            }
        }
        for (y, rest) in y.iter_mut().zip(rest.iter_mut()) {
            (*y, *rest) = power(*y, *rest);
        }
        for ((row, (y, rest)), (max, others)) in x
            .chunks_exact(width)
            .zip(y.chunks_exact_mut(width).zip(rest.chunks_exact(width)))
            .zip(sums.iter_mut())
        {
            // The first of the largest is left out of the sum, whose digits count where it is far below 1.
            let at = row.iter().position(|x| x == max).unwrap_or(0);
            let own = std::mem::replace(&mut y[at], 0.0);
            let (sum, low) = sum(y, rest);
            y[at] = own;
            *others = sum + low;
            let (one, error) = two_sum(own, sum);
            let (whole, low) = two_sum(one, error + low);
            let inverse = 1.0 / whole;
            let left = (f64::mul_add(-inverse, whole, 1.0) - inverse * low) * inverse;
            // The product of the upper halves is exact, so the last addition alone rounds in earnest.
            let (upper, lower) = halves(inverse);
            for (y, &rest) in y.iter_mut().zip(rest) {
                let (high, low) = halves(*y);
                let small = (high * lower + low * inverse) + (*y * left + rest * inverse);
                *y = high * upper + small;
            }
        }
    }
}

/// A number's upper 26 bits, and what is left of it.
#[inline(always)]
fn halves(number: f64) -> (f64, f64) {
    let upper = f64::from_bits(number.to_bits() & !((1 << 27) - 1));
    (upper, number - upper)
}

/// a + b = sum + error, exactly (Knuth's TwoSum).
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// The largest; NaN where the row begins so.
#[inline(always)]
fn largest(row: &[f64]) -> f64 {
    let first = row[0];
    let (lanes, rest) = row.as_chunks::<LANES>();
    let mut most = [first; LANES];
    for lane in lanes {
        for (most, &x) in most.iter_mut().zip(lane) {
            *most = if x > *most { x } else { *most };
        }
    }
    most.iter().chain(rest).fold(first, |most, &x| if x > most { x } else { most })
}

/// Σ (high + low), the error of every addition kept.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // four arrays that go together
fn sum(high: &[f64], low: &[f64]) -> (f64, f64) {
    let (lanes, left) = high.as_chunks::<LANES>();
    let (low_lanes, low_left) = low.as_chunks::<LANES>();
    let (mut sums, mut rests) = ([0.0; LANES], [0.0; LANES]);
    for (high, low) in lanes.iter().zip(low_lanes) {
        for n in 0..LANES {
            let (sum, error) = two_sum(sums[n], high[n]);
            sums[n] = sum;
            rests[n] += error + low[n];
        }
    }
    let mut total = (0.0, 0.0);
    let mut add = |high: f64, low: f64| {
        let (sum, error) = two_sum(total.0, high);
        total = (sum, total.1 + (error + low));
    };
    if !lanes.is_empty() {
        sums.iter().zip(&rests).for_each(|(&high, &low)| add(high, low));
    }
    left.iter().zip(low_left).for_each(|(&high, &low)| add(high, low));
    total
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scalar::{Doubled, Scalar};
    use ndarray::ArrayView2;
    use proptest::prelude::*;

    /// How many last places a result is from the double-double one.
    fn ulps(found: f64, real: Doubled) -> f64 {
        let double = real.to_f64();
        let place = (double.abs().next_up() - double.abs()).max(f64::from_bits(1));
        ((Doubled::from_f64(found) - real).to_f64() / place).abs()
    }

    fn every_width_and_spread() -> impl Strategy<Value = (usize, Vec<f64>)> {
        let spread = prop::sample::select(vec![1e-300, 1e-17, 1e-9, 0.1, 1.0, 5.0, 40.0, 700.0, 1e4, 1e300]);
        (1..70usize, 1..40usize, spread).prop_flat_map(|(width, count, spread)| {
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
            let (y, sums) = rows(&x, width);
            let wide: Vec<Doubled> = x.iter().map(|&x| Doubled::from_f64(x)).collect();
            let view = ArrayView2::from_shape((x.len() / width, width), &wide).unwrap();
            let (real, lines) = Doubled::softmax_rows(view);
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
            let (y, sums) = rows(&x, width);
            let some = (BLOCK / width).max(1) * width;
            let (mut plain, mut rest, mut plain_sums) = (vec![0.0; x.len()], vec![0.0; some], vec![(0.0, 0.0); x.len() / width]);
            for ((x, y), sums) in x.chunks(some).zip(plain.chunks_mut(some)).zip(plain_sums.chunks_mut(some / width)) {
                block_plainly(x, y, &mut rest, sums, width);
            }
            let bits = |values: &[f64]| -> Vec<u64> {
                values.iter().map(|value| if value.is_nan() { 0 } else { value.to_bits() }).collect()
            };
            prop_assert_eq!(bits(&y), bits(&plain));
            prop_assert_eq!(format!("{sums:?}"), format!("{plain_sums:?}"));
        }
    }

    #[test]
    fn rows_are_split_over_threads_without_a_change() {
        let x: Vec<f64> = (0..300_000).map(|n| (f64::from(n) * 0.618).sin() * 9.0).collect();
        let one = threads::with(1, || rows(&x, 1000));
        assert!(one == threads::with(3, || rows(&x, 1000)));
    }

    #[test]
    fn a_nan_makes_its_row_nan_and_no_other() {
        for at in [0, 5, 19] {
            let mut x = vec![1.0; 60];
            x[20 + at] = f64::NAN;
            let (y, _) = rows(&x, 20);
            assert!(y[20..40].iter().all(|y| y.is_nan()), "{y:?}");
            assert!(y[..20].iter().chain(&y[40..]).all(|&y| y == 0.05));
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(rows(&[], 5) == (vec![], vec![]));
    }
}
