//! eˣ for x ≤ 0.
//!
//! e^x = 2^k·e^r with k = x/log 2 rounded to an integer, and r = x − k·log 2 as a sum of two doubles; e^r = 1 + r + r²·P(r) with
//! a minimax polynomial P of degree 9 for |r| ≤ log 2/2, whose relative error is 5.8e-18 (fixtures/exp/make.py computes it).
//! Additions and multiplications are each rounded and there are no branches, so every CPU gives the same bits.

use super::error_free::{UPPER_HALF, fast_two_sum};
use super::f64x8::SimdF64;

/// log₂ e.
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// log 2 as a sum of two doubles. The first ends in 32 zeros, so its multiples up to 2¹¹ are exact.
const LN_2: [f64; 2] = [f64::from_bits(0x3fe6_2e42_fee0_0000), f64::from_bits(0x3dea_39ef_3579_3c76)];
/// 1.5·2⁵²: the sum of this and a small number has the nearest integer in its last bits.
pub(crate) const INTEGER_SHIFT: f64 = 6_755_399_441_055_744.0;
/// Coefficients of P from r⁸ down, each pair for an odd and an even power, whose sums are independent of each other.
const P_COEFFICIENTS: [[f64; 2]; 5] = [
    [2.497_838_314_815_443_7e-8, 2.762_518_968_987_595e-7],
    [2.755_764_086_857_365_4e-6, 2.480_150_867_617_422_7e-5],
    [1.984_126_946_620_480_1e-4, 1.388_888_892_680_070_3e-3],
    [8.333_333_333_500_047e-3, 4.166_666_666_660_395e-2],
    [1.666_666_666_666_643_3e-1, 0.5],
];
/// Coefficients of a shorter P, from r⁷ down, whose relative error is 2.7e-14.
const SHORT_P_COEFFICIENTS: [[f64; 2]; 4] = [
    [2.745_220_306_189_123_6e-6, 2.487_266_303_006_923e-5],
    [1.984_162_325_922_635e-4, 1.388_883_098_137_353_5e-3],
    [8.333_333_048_926_299e-3, 4.166_666_681_282_752e-2],
    [1.666_666_666_730_493_9e-1, 0.5],
];
/// The least argument of [`exp_short`] whose result is not 0; results that are rounded to 24 bits or fewer are 0 long before.
const LEAST_SHORT_ARGUMENT: f64 = -700.0;
/// The least argument whose exponential is a normal number, which a factor 2^k scales without rounding.
pub(crate) const MIN_NORMAL_ARGUMENT: f64 = -707.0;

/// Returns e^(high + low) as a sum of two doubles, for high ≤ 0 and |low| ≤ ulp(high)/2. The first has 26 bits, so its product
/// with another such number is exact. The error of the sum is at most 0.3 ulp of a double, unless the second is below the
/// smallest subnormal number.
///
/// Without `may_underflow`, high is at least [`MIN_NORMAL_ARGUMENT`]; the bits are the same there. −∞ gives 0 for any `low`, and
/// NaN gives NaN.
#[inline(always)]
pub(crate) fn exp<V: SimdF64>(high: V, low: V, may_underflow: bool) -> (V, V) {
    let (sum, small, k) = exp_fraction(high, low, may_underflow);
    let upper = (sum + small).and_bits(UPPER_HALF);
    let rest = (sum - upper) + small;
    (scale_by_power_of_two(upper, k, may_underflow), scale_by_power_of_two(rest, k, may_underflow))
}

/// Returns e^x for x ≤ 0 with a relative error below 3e-14, for results that are rounded to 24 bits or fewer. −∞ gives 0, and NaN
/// gives NaN.
#[inline(always)]
pub(crate) fn exp_short<V: SimdF64>(x: V) -> V {
    let (zero, least) = (V::splat(0.0), V::splat(LEAST_SHORT_ARGUMENT));
    let clamped = x.select_lt(least, least, x);
    let k = clamped * V::splat(LOG2_E) + V::splat(INTEGER_SHIFT);
    let integer = k - V::splat(INTEGER_SHIFT);
    let r = (clamped - integer * V::splat(LN_2[0])) - integer * V::splat(LN_2[1]);
    let square = r * r;
    let [[odd, even], rest @ ..] = SHORT_P_COEFFICIENTS;
    let (mut odd, mut even) = (V::splat(odd), V::splat(even));
    for [odd_coefficient, even_coefficient] in rest {
        odd = odd * square + V::splat(odd_coefficient);
        even = even * square + V::splat(even_coefficient);
    }
    let power = V::splat(1.0) + (r + square * (odd * r + even));
    x.select_lt(least, zero, power * power_of_two(k))
}

/// Returns (sum, small, k) with e^(high + low) = (sum + small)·2^k, to be passed to [`scale_by_power_of_two`]. The sum is from
/// 0.65 to 1.35, and small is below 0.07.
#[inline(always)]
pub(crate) fn exp_fraction<V: SimdF64>(high: V, low: V, may_underflow: bool) -> (V, V, V) {
    // Clamped: smaller arguments underflow to 0.
    let least = V::splat(-1000.0);
    let (high, low) = if may_underflow {
        (high.select_lt(least, least, high), high.select_lt(least, V::splat(0.0), low))
    } else {
        (high, low)
    };
    let (r, rest, k) = reduce_argument(high, low);
    let small = r * r * p(r) + rest;
    let sum = V::splat(1.0) + r;
    (sum, ((V::splat(1.0) - sum) + r) + small, k)
}

/// Returns e^x − 1 as a sum of two doubles, for −40 ≤ x ≤ 0 but no subnormal x. It has as many correct digits as x.
#[inline(always)]
pub(crate) fn exp_minus_one<V: SimdF64>(x: V) -> (V, V) {
    let (r, rest, k) = reduce_argument(x, V::splat(0.0));
    let scale = power_of_two(k);
    // r² as a sum of two doubles; the square of the upper half is exact.
    let upper = r.and_bits(UPPER_HALF);
    let (square, square_low) = (upper * upper, (r + upper) * (r - upper));
    let half = V::splat(0.5);
    let small = (r * r * r * p_without_constant(r) + square_low * half) + rest;
    // (2^k − 1) + 2^k·r + 2^k·r²/2 + 2^k·small, where the first term is 0 or at least 1/2.
    let (sum, error) = fast_two_sum(V::splat(-1.0), scale);
    let (sum, error_r) = fast_two_sum(sum, scale * r);
    let (sum, error_square) = fast_two_sum(sum, scale * (square * half));
    fast_two_sum(sum, (error_r + error_square) + (error + scale * small))
}

/// Returns (r, rest, k) with high + low = k·log 2 + r + rest; k is shifted by [`INTEGER_SHIFT`].
#[inline(always)]
fn reduce_argument<V: SimdF64>(high: V, low: V) -> (V, V, V) {
    let k = high * V::splat(LOG2_E) + V::splat(INTEGER_SHIFT);
    let integer = k - V::splat(INTEGER_SHIFT);
    let first = high - integer * V::splat(LN_2[0]);
    let second = low - integer * V::splat(LN_2[1]);
    let r = first + second;
    (r, (first - r) + second, k)
}

/// Returns value·2^k, where k is shifted by [`INTEGER_SHIFT`]. It is rounded once if |value| ≥ 1/2.
#[inline(always)]
pub(crate) fn scale_by_power_of_two<V: SimdF64>(value: V, k: V, may_underflow: bool) -> V {
    if !may_underflow {
        return value * power_of_two(k);
    }
    // Two factors, neither of which underflows.
    let least = V::splat(INTEGER_SHIFT - 1021.0);
    let first = k.select_lt(least, least, k);
    value * power_of_two(first) * power_of_two(V::splat(INTEGER_SHIFT) + (k - first))
}

/// Returns 2^k, where k is shifted by [`INTEGER_SHIFT`].
#[inline(always)]
fn power_of_two<V: SimdF64>(k: V) -> V {
    (k + V::splat(1023.0)).low_bits_to_exponent()
}

/// Returns P(r) = (e^r − 1 − r)/r².
#[inline(always)]
fn p<V: SimdF64>(r: V) -> V {
    let (odd, even) = p_odd_and_even(r);
    odd * r + (even * (r * r) + V::splat(P_COEFFICIENTS[4][1]))
}

/// Returns (P(r) − 1/2)/r.
#[inline(always)]
fn p_without_constant<V: SimdF64>(r: V) -> V {
    let (odd, even) = p_odd_and_even(r);
    odd + even * r
}

/// Returns (odd, even) with P(r) = odd·r + even·r² + 1/2.
#[inline(always)]
fn p_odd_and_even<V: SimdF64>(r: V) -> (V, V) {
    let square = r * r;
    let (mut odd, mut even) = (V::splat(P_COEFFICIENTS[0][0]), V::splat(P_COEFFICIENTS[0][1]));
    for [odd_coefficient, even_coefficient] in &P_COEFFICIENTS[1..4] {
        odd = odd * square + V::splat(*odd_coefficient);
        even = even * square + V::splat(*even_coefficient);
    }
    (odd * square + V::splat(P_COEFFICIENTS[4][0]), even)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn exponentials_are_within_a_sixth_of_an_ulp_of_values_computed_by_mpmath() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/exp/cases.json")).unwrap();
        assert!(cases.len() > 600);
        let mut largest = 0.0f64;
        for case in cases {
            let number = |name: &str, n: usize| case[name][n].as_f64().unwrap();
            let (high, low) = (number("x", 0), number("x", 1));
            let found = exp(high, low, false);
            assert_eq!(found, exp(high, low, true), "{high}");
            assert_eq!(found.0, f64::from_bits(found.0.to_bits() & UPPER_HALF), "{high} has more than 26 bits");
            // Both sums are close to each other, so the differences of their terms are exact.
            let error = ((found.0 - number("power", 0)) + found.1) - number("power", 1);
            largest = largest.max(error.abs() / (number("power", 0).next_up() - number("power", 0)));
        }
        assert!((0.01..1.0 / 6.0).contains(&largest), "the largest error is {largest} ulp");
    }

    #[test]
    fn short_exponentials_have_more_digits_than_single_precision() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/exp/cases.json")).unwrap();
        for case in cases {
            // The low part of the argument is left out: up to 2⁻⁴⁴ of the power.
            let [x, power] = ["x", "power"].map(|name| case[name][0].as_f64().unwrap());
            let error = (exp_short(x) - power).abs() / power;
            assert!(x < LEAST_SHORT_ARGUMENT || error < 2e-13, "{x}: {error}");
        }
        assert_eq!([f64::NEG_INFINITY, -701.0, 0.0].map(exp_short), [0.0, 0.0, 1.0]);
        assert!(exp_short(f64::NAN).is_nan());
    }

    #[test]
    fn far_below_zero_the_exponential_is_zero_and_nan_stays() {
        for (high, low) in [(f64::NEG_INFINITY, f64::NAN), (-1e300, -1e200), (-1001.0, 0.0), (-746.0, 0.0)] {
            assert_eq!(exp(high, low, true), (0.0, 0.0), "{high}");
        }
        assert!(exp(f64::NAN, 0.0, true).0.is_nan() && exp(f64::NAN, 0.0, false).0.is_nan());
        // Below the normal numbers each term is rounded to the smallest subnormal number.
        let (upper, rest) = exp(-720.0, 0.0, true);
        assert!((upper + rest - (-720.0f64).exp()).abs() <= 3.0 * f64::from_bits(1));
    }
}
