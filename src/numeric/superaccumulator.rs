//! A superaccumulator: adds doubles, and products of two, without rounding, so that the result has the same bits in any order.
//!
//! The digits have 32 bits each and are allocated as the terms need them: a few for numbers of similar size.

use num_bigint::{BigInt, Sign};

/// Number of additions after which carries must be passed on; each adds less than 2³² to a digit, which is an i64.
const ADDITIONS_BEFORE_CARRY: u32 = 1 << 28;
/// Exponent of the last bit of the smallest double.
const SMALLEST_EXPONENT: i32 = -1074;

/// A sum without rounding: Σ digits[k]·2^(32·(low + k)), and the sum of the terms that are not finite.
#[derive(Clone, Debug, Default)]
pub struct Superaccumulator {
    digits: Vec<i64>,
    low: i32,
    additions: u32,
    /// Sum of the terms that are not finite, or 0.
    non_finite: f64,
    /// True if a term other than −0 was added.
    is_not_minus_zero: bool,
    has_terms: bool,
}

/// Splits a finite double into sign, significand and exponent: ±significand·2^exponent.
pub(crate) fn decompose(value: f64) -> (bool, u64, i32) {
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or_default();
    let fraction = bits & ((1 << 52) - 1);
    match exponent {
        0 => (value.is_sign_negative(), fraction, SMALLEST_EXPONENT),
        _ => (value.is_sign_negative(), fraction | 1 << 52, exponent + SMALLEST_EXPONENT - 1),
    }
}

impl Superaccumulator {
    /// Adds a double.
    pub fn add(&mut self, value: f64) {
        self.add_product(value, 1.0);
    }

    /// Adds the product of two doubles.
    pub fn add_product(&mut self, a: f64, b: f64) {
        self.has_terms = true;
        if !a.is_finite() || !b.is_finite() {
            self.non_finite += a * b;
            return;
        }
        let ((a_negative, a, a_exponent), (b_negative, b, b_exponent)) = (decompose(a), decompose(b));
        let is_negative = a_negative != b_negative;
        let magnitude = u128::from(a) * u128::from(b);
        self.is_not_minus_zero |= !is_negative || magnitude != 0;
        self.add_scaled(is_negative, magnitude, a_exponent + b_exponent);
    }

    /// Adds ±magnitude·2^exponent, of 106 bits at most.
    fn add_scaled(&mut self, is_negative: bool, magnitude: u128, exponent: i32) {
        if magnitude == 0 {
            return;
        }
        // Trailing zeros need no digits.
        let zeros = magnitude.trailing_zeros();
        let (magnitude, exponent) = (magnitude >> zeros, exponent + i32::try_from(zeros).unwrap_or_default());
        let (place, shift) = (exponent.div_euclid(32), exponent.rem_euclid(32));
        // 106 bits and a shift of up to 31 take 137 bits: five digits.
        let (lower, upper) = ((magnitude & u128::from(u64::MAX)) << shift, (magnitude >> 64) << shift);
        let upper = upper + (lower >> 64);
        let parts = [lower, lower >> 32, upper, upper >> 32, upper >> 64].map(|part| part & 0xffff_ffff);
        let count = parts.iter().rposition(|&part| part != 0).map_or(0, |at| at + 1);
        let from = self.reserve(place, count);
        for (digit, part) in self.digits[from..].iter_mut().zip(parts) {
            let part = i64::try_from(part).unwrap_or_default();
            *digit += if is_negative { -part } else { part };
        }
        self.additions += 1;
        if self.additions == ADDITIONS_BEFORE_CARRY {
            self.carry();
        }
    }

    /// Allocates `count` digits from `place` on; returns the index of the first.
    fn reserve(&mut self, place: i32, count: usize) -> usize {
        if self.digits.is_empty() {
            self.low = place;
        }
        let below = usize::try_from(self.low - place).unwrap_or(0);
        if below > 0 {
            self.digits.splice(0..0, std::iter::repeat_n(0, below));
            self.low = place;
        }
        let from = usize::try_from(place - self.low).unwrap_or(0);
        if self.digits.len() < from + count {
            self.digits.resize(from + count, 0);
        }
        from
    }

    /// Passes carries on: every digit but the last is then from 0 to 2³² − 1, and the last has the sign.
    fn carry(&mut self) {
        self.additions = 0;
        let mut carry = 0;
        for digit in &mut self.digits {
            let value = *digit + carry;
            carry = value >> 32;
            *digit = value & 0xffff_ffff;
        }
        if carry != 0 {
            self.digits.push(carry);
        }
    }

    /// Returns the double nearest to the sum, ties to even.
    pub fn round(&self) -> f64 {
        if self.non_finite != 0.0 {
            return self.non_finite;
        }
        let (sum, exponent) = self.to_integer();
        if sum == BigInt::ZERO && self.has_terms && !self.is_not_minus_zero {
            return -0.0;
        }
        nearest_double(&sum, exponent)
    }

    /// Returns the sum over a divisor, rounded once but for 10⁻¹⁵ of a unit in the last place.
    pub fn quotient(&self, divisor: f64) -> f64 {
        let first = self.round() / divisor;
        if !first.is_finite() || !divisor.is_finite() || divisor == 0.0 {
            return first;
        }
        let mut remainder = self.clone();
        remainder.add_product(-first, divisor);
        first + remainder.round() / divisor
    }

    /// Returns the sum of the finite terms as an integer times two to an exponent.
    pub(crate) fn to_integer(&self) -> (BigInt, i64) {
        let mut sum = self.clone();
        sum.carry();
        let is_negative = sum.digits.last().is_some_and(|&digit| digit < 0);
        if is_negative {
            sum.digits.iter_mut().for_each(|digit| *digit = -*digit);
            sum.carry();
        }
        let digits = sum.digits.into_iter().map(|digit| u32::try_from(digit).unwrap_or_default());
        let sign = if is_negative { Sign::Minus } else { Sign::Plus };
        (BigInt::new(sign, digits.collect()), i64::from(sum.low) * 32)
    }
}

/// Returns the number of bits of the magnitude.
pub(crate) fn bit_length(value: &BigInt) -> i64 {
    i64::try_from(value.bits()).unwrap_or(i64::MAX)
}

/// Returns the double nearest to value·2^scale, ties to even; infinite beyond the largest double.
pub(crate) fn nearest_double(value: &BigInt, scale: i64) -> f64 {
    let negative = value.sign() == Sign::Minus;
    let magnitude = value.magnitude();
    let length = bit_length(value);
    let signed = |value: f64| if negative { -value } else { value };
    if length == 0 || length.saturating_add(scale) < -1075 {
        return signed(0.0);
    }
    if length.saturating_add(scale) > 1025 {
        return signed(f64::INFINITY);
    }
    // The exponent of the last bit of a double of that size.
    let last = (length + scale - 53).max(-1074);
    let drop = last - scale;
    let kept = if drop <= 0 {
        magnitude << drop.unsigned_abs()
    } else {
        let kept = magnitude >> drop.unsigned_abs();
        let half_bit = drop.unsigned_abs() - 1;
        let tie = magnitude.trailing_zeros() == Some(half_bit);
        let up = magnitude.bit(half_bit) && (!tie || kept.bit(0));
        if up { kept + 1u32 } else { kept }
    };
    let fraction = kept.iter_u64_digits().next().unwrap_or_default();
    // An integer of at most 53 bits (or 2⁵³) times a power of two: the steps are exact, except for overflow.
    #[allow(clippy::cast_precision_loss)]
    let fraction = fraction as f64;
    let half = last / 2;
    signed(fraction * power_of_two(half) * power_of_two(last - half))
}

/// Returns 2^exponent, for an exponent in the normal range.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(u64::try_from(1023 + exponent).unwrap_or_default() << 52)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(values: &[f64]) -> Superaccumulator {
        let mut total = Superaccumulator::default();
        values.iter().for_each(|&value| total.add(value));
        total
    }

    fn sum(values: &[f64]) -> f64 {
        total(values).round()
    }

    #[test]
    fn terms_that_cancel_leave_the_exact_rest() {
        assert_eq!(sum(&[1e308, 1e308, 3.0, -1e308, -1e308, -1.0]), 2.0);
        assert_eq!(sum(&[5e-324, 1e300, -1e300]), 5e-324);
        assert_eq!(sum(&[1.0, 1e-16, 1e-16]), 1.000_000_000_000_000_2);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[-f64::MAX, -f64::MAX / 2.0]), f64::NEG_INFINITY);
    }

    #[test]
    fn ties_round_to_even_and_any_lower_bit_breaks_them() {
        let half = f64::EPSILON / 2.0;
        assert_eq!(sum(&[1.0, half]), 1.0);
        assert_eq!(sum(&[1.0 + f64::EPSILON, half]), 1.0 + 2.0 * f64::EPSILON);
        assert_eq!(sum(&[1.0, half, 5e-324]), 1.0 + f64::EPSILON);
        assert_eq!(sum(&[1.0, half, -5e-324]), 1.0);
        assert_eq!(sum(&[f64::MAX, 2f64.powi(969)]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, 2f64.powi(970)]), f64::INFINITY);
    }

    #[test]
    fn zeros_infinities_and_nan_add_up_as_ieee_754_says() {
        assert!(sum(&[]).is_sign_positive() && sum(&[-0.0, 0.0]).is_sign_positive());
        assert!(sum(&[-0.0, -0.0]).is_sign_negative() && sum(&[1.0, -1.0]).is_sign_positive());
        assert_eq!(sum(&[1.0, f64::INFINITY]), f64::INFINITY);
        assert!(sum(&[f64::NEG_INFINITY, f64::INFINITY]).is_nan() && sum(&[f64::NAN, 1.0]).is_nan());
    }

    #[test]
    fn products_keep_every_bit() {
        let mut total = Superaccumulator::default();
        for (a, b) in [(1e300, 1e300), (1e-300, 1e-300), (-1e300, 1e300), (3.0, 0.5)] {
            total.add_product(a, b);
        }
        total.add_product(-1e-300, 1e-300);
        assert_eq!(total.round(), 1.5);
        let mut total = Superaccumulator::default();
        total.add_product(1.0 + f64::EPSILON, 1.0 + f64::EPSILON);
        total.add(-1.0);
        total.add(-2.0 * f64::EPSILON);
        assert_eq!(total.round(), f64::EPSILON * f64::EPSILON);
    }

    #[test]
    fn a_quotient_divides_the_exact_sum() {
        let mut thirds = Superaccumulator::default();
        thirds.add_product(3.0, 1.0 / 3.0);
        assert_eq!(thirds.quotient(3.0), 1.0 / 3.0);
        assert_eq!(total(&[1.0, 1e-17]).quotient(1.0), 1.0);
        assert!(total(&[1.0]).quotient(0.0).is_infinite() && total(&[]).quotient(0.0).is_nan());
    }

    #[test]
    fn carries_run_through_all_digits() {
        assert_eq!(sum(&[f64::from(u32::MAX); 1000]), 1000.0 * f64::from(u32::MAX));
        let mut terms = [-1.0; 1000];
        terms[500] = 1024.0;
        assert_eq!(sum(&terms), 25.0);
        assert_eq!(total(&[2f64.powi(40), -1.0]).to_integer(), (((1i64 << 40) - 1).into(), 0));
        assert_eq!(total(&[-2f64.powi(40), 1.0]).to_integer(), ((1 - (1i64 << 40)).into(), 0));
    }

    proptest! {
        #[test]
        fn a_sum_of_two_numbers_rounds_as_in_hardware(a: u64, b: u64) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            let (ours, theirs) = (sum(&[a, b]), a + b);
            prop_assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{a:e} {b:e}");
        }

        #[test]
        fn a_sum_of_two_subnormal_numbers_rounds_as_in_hardware(a in -1e-300..1e-300, scale in -40i32..40, b in -1.0..1.0) {
            let b = b * 1e-300 * 2f64.powi(scale);
            prop_assert_eq!(sum(&[a, b]).to_bits(), (a + b).to_bits());
        }

        #[test]
        fn a_product_rounds_as_in_hardware(a: u64, b: u64) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            prop_assume!(a.is_finite() && b.is_finite());
            let mut total = Superaccumulator::default();
            total.add_product(a, b);
            prop_assert_eq!(total.round().to_bits(), (a * b).to_bits(), "{:e} {:e}", a, b);
        }

        #[test]
        fn the_order_of_terms_does_not_matter(bits in prop::collection::vec(any::<u64>(), 1..40), rotation in 0usize..40) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|v| v.is_finite()).collect();
            let mut other = values.clone();
            other.reverse();
            let rotation = rotation % other.len().max(1);
            other.rotate_left(rotation);
            prop_assert_eq!(sum(&values).to_bits(), sum(&other).to_bits());
        }
    }
}
