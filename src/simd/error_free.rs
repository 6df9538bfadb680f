//! Numbers in two parts, of which the second is what the rounding of the first took.

use super::exp::UPPER;
use super::f64x8::Numbers;

/// a + b = sum + error, exactly (Knuth's TwoSum).
#[inline(always)]
pub(crate) fn two_sum<V: Numbers>(a: V, b: V) -> (V, V) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// The same, where |a| is at least |b| (Dekker's).
#[inline(always)]
pub(crate) fn larger_first<V: Numbers>(a: V, b: V) -> (V, V) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// The same of single numbers.
#[inline(always)]
pub(crate) fn two_sum_of(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// 1/Σ in two parts, of which the upper has 26 bits; and rounded.
#[derive(Clone, Copy)]
pub(crate) struct Inverse<V> {
    high: V,
    low: V,
    rounded: V,
}

impl<V: Numbers> Inverse<V> {
    /// 1/(own + sum + low).
    #[inline(always)]
    pub(crate) fn of(own: V, sum: V, low: V) -> Inverse<V> {
        let (one, error) = two_sum(own, sum);
        let (whole, low) = larger_first(one, error + low);
        let rounded = V::all(1.0) / whole;
        // What is left of 1 − whole/whole: products of halves are exact.
        let (high, whole_high) = (rounded.masked(UPPER), whole.masked(UPPER));
        let (rest, whole_rest) = (rounded - high, whole - whole_high);
        let left = ((V::all(1.0) - high * whole_high) - high * whole_rest) - rest * whole_high - rest * whole_rest;
        Inverse { high, low: rest + (left - rounded * low) * rounded, rounded }
    }

    /// (upper + rest)/Σ of an upper part of 26 bits. The product of the upper parts is exact, so the last addition alone rounds
    /// in earnest.
    #[inline(always)]
    pub(crate) fn times(self, upper: V, rest: V) -> V {
        upper * self.high + (rest * self.rounded + upper * self.low)
    }
}

/// (a + rest)/(b + low) for b from 1 to 2: rounded once in earnest, as the quotient of the first parts and what it leaves.
#[inline(always)]
pub(crate) fn quotient<V: Numbers>(a: V, rest: V, b: V, low: V) -> V {
    let quotient = a / b;
    let (high, b_high) = (quotient.masked(UPPER), b.masked(UPPER));
    let (low_part, b_low) = (quotient - high, b - b_high);
    // Products of halves are exact.
    let left = ((a - high * b_high) - high * b_low) - low_part * b_high - low_part * b_low;
    quotient + (left + (rest - quotient * low)) * nearly_inverse(b)
}

/// 1/b for b from 1 to 2 but for a seventeenth of it: what multiplies last places needs no more.
#[inline(always)]
pub(crate) fn nearly_inverse<V: Numbers>(b: V) -> V {
    V::all(24.0 / 17.0) - V::all(8.0 / 17.0) * b
}
