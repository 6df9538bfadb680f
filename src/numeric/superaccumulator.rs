//! A superaccumulator: adds doubles, and products of two, without rounding, so that the result has the same bits in any order.
//!
//! The digits have 32 bits each and are allocated as the terms need them: a few for numbers of similar size.

/// Number of additions after which carries must be passed on; each adds less than 2³² to a digit, which is an i64.
const ADDITIONS_BEFORE_CARRY: u32 = 1 << 28;
/// Exponent of the last bit of the smallest double.
const SMALLEST_EXPONENT: i32 = -1074;
/// Number of bits of a double's significand.
const SIGNIFICAND_BITS: i32 = 53;

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
        let (is_negative, digits, lowest_exponent) = self.to_digits();
        let Some(top) = digits.iter().rposition(|&digit| digit != 0) else {
            return if self.has_terms && !self.is_not_minus_zero { -0.0 } else { 0.0 };
        };
        let bit = |at: i32| -> u64 {
            let at = at - lowest_exponent;
            let (place, shift) = (at.div_euclid(32), at.rem_euclid(32));
            let digit = usize::try_from(place).ok().and_then(|place| digits.get(place));
            digit.map_or(0, |digit| u64::from(digit >> shift & 1))
        };
        let length = 32 - i32::try_from(digits[top].leading_zeros()).unwrap_or_default();
        let highest = lowest_exponent + 32 * i32::try_from(top).unwrap_or(i32::MAX / 64) + length - 1;
        let lowest = (highest - SIGNIFICAND_BITS + 1).max(SMALLEST_EXPONENT);
        let significand = (lowest..=highest).rev().fold(0, |significand, at| significand << 1 | bit(at));
        let has_lower_bits = (lowest_exponent..lowest - 1).any(|at| bit(at) != 0);
        let rounds_up = bit(lowest - 1) == 1 && (has_lower_bits || significand & 1 == 1);
        let value = compose(significand + u64::from(rounds_up), lowest);
        if is_negative { -value } else { value }
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

    /// Returns the sum of the finite terms as a sign, 32-bit digits from the lowest, and the exponent of the first digit.
    pub(crate) fn to_digits(&self) -> (bool, Vec<u32>, i32) {
        let mut sum = self.clone();
        sum.carry();
        let is_negative = sum.digits.last().is_some_and(|&digit| digit < 0);
        if is_negative {
            sum.digits.iter_mut().for_each(|digit| *digit = -*digit);
            sum.carry();
        }
        let digits = sum.digits.into_iter().map(|digit| u32::try_from(digit).unwrap_or_default());
        (is_negative, digits.collect(), 32 * sum.low)
    }
}

/// Returns significand·2^exponent, for at most 54 bits of which none is lost; infinite beyond the largest double.
fn compose(significand: u64, exponent: i32) -> f64 {
    if significand == 0 {
        return 0.0;
    }
    let length = 64 - i32::try_from(significand.leading_zeros()).unwrap_or_default();
    if exponent + length > 1024 {
        return f64::INFINITY;
    }
    // A significand of 54 bits is 2^53.
    let (significand, exponent) =
        if length > SIGNIFICAND_BITS { (significand >> 1, exponent + 1) } else { (significand, exponent) };
    let missing = (SIGNIFICAND_BITS - length).clamp(0, exponent - SMALLEST_EXPONENT);
    let (significand, exponent) = (significand << missing, exponent - missing);
    let field =
        if significand >> 52 == 0 { 0 } else { u64::try_from(exponent - SMALLEST_EXPONENT + 1).unwrap_or_default() };
    f64::from_bits(field << 52 | significand & ((1 << 52) - 1))
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
        assert_eq!(total(&[2f64.powi(40), -1.0]).to_digits(), (false, vec![u32::MAX, 255], 0));
        assert_eq!(total(&[-2f64.powi(40), 1.0]).to_digits(), (true, vec![u32::MAX, 255, 0], 0));
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
