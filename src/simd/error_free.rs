//! Error-free transformations: sums and products with the rounding error that they leave (Ogita, Rump and Oishi 2005, Accurate
//! sum and dot product), and the double-length arithmetic that follows from them.

use super::f64x8::SimdF64;
pub(crate) use super::two_sum::{fast_two_sum, two_sum};

/// The upper 26 bits of the significand: products of such halves are exact.
pub(crate) const UPPER_HALF: u64 = !((1 << 27) - 1);

/// The reciprocal of a sum as high + low, where high has 26 bits, and rounded to double.
#[derive(Clone, Copy)]
pub(crate) struct Reciprocal<V> {
    high: V,
    low: V,
    rounded: V,
}

impl<V: SimdF64> Reciprocal<V> {
    /// Returns 1/(a + b + low), where a + b is from 1 on.
    #[inline(always)]
    pub(crate) fn of_sum(a: V, b: V, low: V) -> Reciprocal<V> {
        let (sum, error) = two_sum(a, b);
        let (sum, low) = fast_two_sum(sum, error + low);
        let rounded = V::splat(1.0) / sum;
        // The remainder 1 − rounded·sum; products of halves are exact.
        let (high, sum_high) = (rounded.and_bits(UPPER_HALF), sum.and_bits(UPPER_HALF));
        let (rest, sum_rest) = (rounded - high, sum - sum_high);
        let remainder = ((V::splat(1.0) - high * sum_high) - high * sum_rest) - rest * sum_high - rest * sum_rest;
        Reciprocal { high, low: rest + (remainder - rounded * low) * rounded, rounded }
    }

    /// Returns (upper + rest)·self for `upper` of 26 bits. The product of the upper parts is exact, so only the last addition
    /// rounds to double.
    #[inline(always)]
    pub(crate) fn times(self, upper: V, rest: V) -> V {
        upper * self.high + (rest * self.rounded + upper * self.low)
    }
}

impl Reciprocal<f64> {
    /// Returns the same reciprocal in every element.
    #[inline(always)]
    pub(crate) fn splat<V: SimdF64>(self) -> Reciprocal<V> {
        Reciprocal { high: V::splat(self.high), low: V::splat(self.low), rounded: V::splat(self.rounded) }
    }
}

/// Returns (a + a_low)/(b + b_low) for b from 1 to 2: the rounded quotient a/b and a correction by its remainder.
#[inline(always)]
pub(crate) fn quotient<V: SimdF64>(a: V, a_low: V, b: V, b_low: V) -> V {
    let quotient = a / b;
    let (high, b_high) = (quotient.and_bits(UPPER_HALF), b.and_bits(UPPER_HALF));
    let (rest, b_rest) = (quotient - high, b - b_high);
    // Products of halves are exact.
    let remainder = ((a - high * b_high) - high * b_rest) - rest * b_high - rest * b_rest;
    quotient + (remainder + (a_low - quotient * b_low)) * approximate_reciprocal(b)
}

/// Returns 1/b for b from 1 to 2 with a relative error of at most 1/17, enough for a factor of a correction.
#[inline(always)]
pub(crate) fn approximate_reciprocal<V: SimdF64>(b: V) -> V {
    V::splat(24.0 / 17.0) - V::splat(8.0 / 17.0) * b
}
