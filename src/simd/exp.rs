//! eˣ for x ≤ 0, eight at a time.
//!
//! e^x = 2^k·e^r with k = x/log 2, rounded, and r = x − k·log 2 in two parts; e^r = 1 + r + r²·P(r) with P of degree 9, the best
//! there is for |r| ≤ log 2/2: it leaves 5.8e-18 of the value (fixtures/exp/make.py finds it). Written in additions and
//! multiplications that are each rounded, without a branch, so that every processor gives the same bits.

use super::error_free::larger_first;
use super::f64x8::Numbers;
use super::unroll::unrolled;

/// log₂ e.
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// log 2 in two parts; the first ends in 32 zeros, so that its multiples up to 2¹¹ are exact.
const LN_2: [f64; 2] = [f64::from_bits(0x3fe6_2e42_fee0_0000), f64::from_bits(0x3dea_39ef_3579_3c76)];
/// Added to a small number, it leaves the nearest integer in the last bits.
pub(crate) const INTEGER: f64 = 6_755_399_441_055_744.0;
/// P by its powers, in pairs: those of odd powers and those of even ones are summed beside each other.
const SERIES: [[f64; 2]; 5] = [
    [2.497_838_314_815_443_7e-8, 2.762_518_968_987_595e-7],
    [2.755_764_086_857_365_4e-6, 2.480_150_867_617_422_7e-5],
    [1.984_126_946_620_480_1e-4, 1.388_888_892_680_070_3e-3],
    [8.333_333_333_500_047e-3, 4.166_666_666_660_395e-2],
    [1.666_666_666_666_643_3e-1, 0.5],
];
/// From here on upward powers are normal numbers, whose bits a factor keeps.
pub(crate) const NORMAL: f64 = -707.0;
/// Upper parts have 26 bits.
pub(crate) const UPPER: u64 = !((1 << 27) - 1);

/// e^(high + low) = power + rest for high ≤ 0 and |low| ≤ ulp(high)/2. The power has 26 bits, so that its product with another
/// such is exact; together they are within 0.3 ulp of a double, 0.15 in what was measured, where the rest is not below the
/// smallest number.
///
/// Where it is not `deep`, high is at least [`NORMAL`]; the bits are the same there. −∞ gives 0 whatever `low` is, NaN gives NaN.
#[inline(always)]
pub(crate) fn power<V: Numbers>(high: V, low: V, deep: bool) -> (V, V) {
    let (sum, small, k) = fraction(high, low, deep);
    let power = (sum + small).masked(UPPER);
    let rest = (sum - power) + small;
    (scaled(power, k, deep), scaled(rest, k, deep))
}

/// e^(high + low) = (sum + small)·2^k, which [`scaled`] multiplies by; the sum is from 0.65 to 1.35, what is small below 0.07.
#[inline(always)]
pub(crate) fn fraction<V: Numbers>(high: V, low: V, deep: bool) -> (V, V, V) {
    let lowest = V::all(-1000.0);
    // Further down it is 0 all the same.
    let (high, low) =
        if deep { (high.if_below(lowest, lowest, high), high.if_below(lowest, V::all(0.0), low)) } else { (high, low) };
    let (r, rest, k) = reduced(high, low);
    let small = r * r * series(r) + rest;
    let sum = V::all(1.0) + r;
    (sum, ((V::all(1.0) - sum) + r) + small, k)
}

/// e^x − 1 in two parts, for −40 ≤ x ≤ 0; of digits as many as x has, which is not between 0 and the smallest normal number.
#[inline(always)]
pub(crate) fn power_less_one<V: Numbers>(x: V) -> (V, V) {
    let (r, rest, k) = reduced(x, V::all(0.0));
    let scale = scale(k);
    // r² in two parts; the first is exact.
    let upper = r.masked(UPPER);
    let (square, left) = (upper * upper, (r + upper) * (r - upper));
    let half = V::all(0.5);
    let small = (r * r * r * cubic(r) + left * half) + rest;
    // (2^k − 1) + 2^k·r + 2^k·r²/2 + 2^k·small, of which the first is 0 or at least 1/2.
    let (whole, lost) = larger_first(V::all(-1.0), scale);
    let (sum, error) = larger_first(whole, scale * r);
    let (sum, next) = larger_first(sum, scale * (square * half));
    larger_first(sum, (error + next) + (lost + scale * small))
}

/// high + low = k·log 2 + r + rest; k is given above [`INTEGER`].
#[inline(always)]
fn reduced<V: Numbers>(high: V, low: V) -> (V, V, V) {
    let k = high * V::all(LOG2_E) + V::all(INTEGER);
    let whole = k - V::all(INTEGER);
    let first = high - whole * V::all(LN_2[0]);
    let second = low - whole * V::all(LN_2[1]);
    let r = first + second;
    (r, (first - r) + second, k)
}

/// value·2^k of k above [`INTEGER`]; rounded once, where the value is at least 1/2.
#[inline(always)]
pub(crate) fn scaled<V: Numbers>(value: V, k: V, deep: bool) -> V {
    if !deep {
        return value * scale(k);
    }
    // In two factors, neither of which underflows.
    let least = V::all(INTEGER - 1021.0);
    let near = k.if_below(least, least, k);
    value * scale(near) * scale(V::all(INTEGER) + (k - near))
}

/// 2^k of k above [`INTEGER`].
#[inline(always)]
fn scale<V: Numbers>(k: V) -> V {
    (k + V::all(1023.0)).as_exponent()
}

/// P(r) = (e^r − 1 − r)/r².
#[inline(always)]
fn series<V: Numbers>(r: V) -> V {
    let (odd, even) = odd_and_even(r);
    odd * r + (even * (r * r) + V::all(SERIES[4][1]))
}

/// (P(r) − 1/2)/r.
#[inline(always)]
fn cubic<V: Numbers>(r: V) -> V {
    let (odd, even) = odd_and_even(r);
    odd + even * r
}

/// P(r) = odd·r + even·r² + 1/2.
#[inline(always)]
fn odd_and_even<V: Numbers>(r: V) -> (V, V) {
    let square = r * r;
    let (mut odd, mut even) = (V::all(SERIES[0][0]), V::all(SERIES[0][1]));
    unrolled!(n < 3 => {
        let [one, other] = SERIES[n + 1];
        odd = odd * square + V::all(one);
        even = even * square + V::all(other);
    });
    (odd * square + V::all(SERIES[4][0]), even)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::simd::f64x8::{Lanes, Plain};
    use serde_json::Value;

    fn one(high: f64, low: f64, deep: bool) -> (f64, f64) {
        let (power, rest) = power(Plain::all(high), Plain::all(low), deep);
        let (mut powers, mut rests) = ([0.0; 8], [0.0; 8]);
        power.store(&mut powers);
        rest.store(&mut rests);
        (powers[3], rests[3])
    }

    #[test]
    fn powers_are_within_a_sixth_of_the_last_place_of_values_computed_independently() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/exp/cases.json")).unwrap();
        assert!(cases.len() > 600);
        let mut largest = 0.0f64;
        for case in cases {
            let part = |name: &str, n: usize| case[name][n].as_f64().unwrap();
            let (high, low) = (part("x", 0), part("x", 1));
            let found = one(high, low, false);
            assert_eq!(found, one(high, low, true), "{high}");
            assert_eq!(found.0, f64::from_bits(found.0.to_bits() & UPPER), "{high} has more than 26 bits");
            // The two parts of each are near each other: their differences are exact.
            let off = ((found.0 - part("power", 0)) + found.1) - part("power", 1);
            largest = largest.max(off.abs() / (part("power", 0).next_up() - part("power", 0)));
        }
        assert!((0.01..1.0 / 6.0).contains(&largest), "off by {largest} of the last place");
    }

    #[test]
    fn far_down_there_is_nothing_and_nan_stays() {
        for (high, low) in [(f64::NEG_INFINITY, f64::NAN), (-1e300, -1e200), (-1001.0, 0.0), (-746.0, 0.0)] {
            assert_eq!(one(high, low, true), (0.0, 0.0), "{high}");
        }
        assert!(one(f64::NAN, 0.0, true).0.is_nan() && one(f64::NAN, 0.0, false).0.is_nan());
        // Below the normal numbers each part is rounded to the smallest of all.
        let (power, rest) = one(-720.0, 0.0, true);
        assert!((power + rest - (-720.0f64).exp()).abs() <= 3.0 * f64::from_bits(1));
    }
}
