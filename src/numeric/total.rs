//! Sums of doubles, and of products of two, without any rounding until the end: the same bits in any order.
//!
//! A total is a number of digits of 32 bits, as many as its terms have taken and no more: a few for numbers that people have.

/// Additions that leave a digit far from the ends of an i64.
const BEFORE_CARRY: u32 = 1 << 28;
/// The exponent of the last bit of the smallest double.
const SMALLEST: i32 = -1074;
/// The bits of a double's fraction.
const FRACTION: i32 = 53;

/// A sum that is not rounded: Σ digits[k]·2^(32·(low + k)), and what was not finite.
#[derive(Clone, Debug, Default)]
pub struct Total {
    digits: Vec<i64>,
    low: i32,
    additions: u32,
    /// The sum of what is not finite, 0 where everything is.
    rest: f64,
    /// Whether only −0 was added.
    minus_zero: bool,
    empty: bool,
}

/// A finite double as ±fraction·2^exponent.
fn parts(value: f64) -> (bool, u64, i32) {
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or_default();
    let fraction = bits & ((1 << 52) - 1);
    match exponent {
        0 => (value.is_sign_negative(), fraction, SMALLEST),
        _ => (value.is_sign_negative(), fraction | 1 << 52, exponent + SMALLEST - 1),
    }
}

impl Total {
    /// Nothing was added.
    pub fn new() -> Total {
        Total { minus_zero: true, empty: true, ..Total::default() }
    }

    /// Adds a double.
    pub fn add(&mut self, value: f64) {
        self.add_product(value, 1.0);
    }

    /// Adds a product of two.
    pub fn add_product(&mut self, a: f64, b: f64) {
        self.empty = false;
        if !a.is_finite() || !b.is_finite() {
            self.rest += a * b;
            return;
        }
        let ((a_negative, a, a_exponent), (b_negative, b, b_exponent)) = (parts(a), parts(b));
        let negative = a_negative != b_negative;
        self.minus_zero &= negative && (a == 0 || b == 0);
        self.add_parts(negative, u128::from(a) * u128::from(b), a_exponent + b_exponent);
    }

    /// Adds ±magnitude·2^exponent, of 106 bits at most.
    fn add_parts(&mut self, negative: bool, magnitude: u128, exponent: i32) {
        if magnitude == 0 {
            return;
        }
        // What ends in zeros needs no digits for them.
        let zeros = magnitude.trailing_zeros();
        let (magnitude, exponent) = (magnitude >> zeros, exponent + i32::try_from(zeros).unwrap_or_default());
        let (place, shift) = (exponent.div_euclid(32), exponent.rem_euclid(32));
        let (lower, upper) = ((magnitude & u128::from(u64::MAX)) << shift, (magnitude >> 64) << shift);
        let upper = upper + (lower >> 64);
        let parts = [lower, lower >> 32, upper, upper >> 32, upper >> 64].map(|part| part & 0xffff_ffff);
        let count = parts.iter().rposition(|&part| part != 0).map_or(0, |at| at + 1);
        let from = self.room(place, count);
        for (digit, part) in self.digits[from..].iter_mut().zip(parts) {
            let part = i64::try_from(part).unwrap_or_default();
            *digit += if negative { -part } else { part };
        }
        self.additions += 1;
        if self.additions == BEFORE_CARRY {
            self.carry();
        }
    }

    /// Makes room for `count` digits from a place on; where that is in the digits.
    fn room(&mut self, place: i32, count: usize) -> usize {
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

    /// Leaves 0 to 2³² − 1 in every digit but the last, which has the sign.
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

    /// The double nearest to the sum; of two that are equally near, the even one.
    pub fn round(&self) -> f64 {
        if self.rest != 0.0 {
            return self.rest;
        }
        let (negative, digits) = self.magnitude();
        let Some(top) = digits.iter().rposition(|&digit| digit != 0) else {
            return if self.minus_zero && !self.empty { -0.0 } else { 0.0 };
        };
        let bit = |at: i32| -> u64 {
            let at = at - 32 * self.low;
            let (place, shift) = (at.div_euclid(32), at.rem_euclid(32));
            usize::try_from(place).ok().and_then(|place| digits.get(place)).map_or(0, |digit| digit >> shift & 1)
        };
        let length = 64 - i32::try_from(digits[top].leading_zeros()).unwrap_or_default();
        let highest = 32 * (self.low + i32::try_from(top).unwrap_or(i32::MAX / 64)) + length - 1;
        let lowest = (highest - FRACTION + 1).max(SMALLEST);
        let fraction = (lowest..=highest).rev().fold(0, |fraction, at| fraction << 1 | bit(at));
        let lost = (32 * self.low..lowest - 1).any(|at| bit(at) != 0);
        let up = bit(lowest - 1) == 1 && (lost || fraction & 1 == 1);
        let value = scaled(fraction + u64::from(up), lowest);
        if negative { -value } else { value }
    }

    /// The sum over a divisor, rounded once but for 10⁻¹⁵ of a unit in the last place.
    pub fn quotient(&self, divisor: f64) -> f64 {
        let first = self.round() / divisor;
        if !first.is_finite() || !divisor.is_finite() || divisor == 0.0 {
            return first;
        }
        let mut remainder = self.clone();
        remainder.add_product(-first, divisor);
        first + remainder.round() / divisor
    }

    /// The sign, and the digits of the magnitude.
    fn magnitude(&self) -> (bool, Vec<u64>) {
        let mut sum = self.clone();
        sum.carry();
        let negative = sum.digits.last().is_some_and(|&digit| digit < 0);
        if negative {
            sum.digits.iter_mut().for_each(|digit| *digit = -*digit);
            sum.carry();
        }
        (negative, sum.digits.into_iter().map(i64::unsigned_abs).collect())
    }
}

/// fraction·2^exponent of at most 54 bits, where no bit is lost; infinite beyond the largest double.
fn scaled(fraction: u64, exponent: i32) -> f64 {
    if fraction == 0 {
        return 0.0;
    }
    let length = 64 - i32::try_from(fraction.leading_zeros()).unwrap_or_default();
    if exponent + length > 1024 {
        return f64::INFINITY;
    }
    // A fraction of 54 bits is 2^53.
    let (fraction, exponent) = if length > FRACTION { (fraction >> 1, exponent + 1) } else { (fraction, exponent) };
    let missing = (FRACTION - length).clamp(0, exponent - SMALLEST);
    let (fraction, exponent) = (fraction << missing, exponent - missing);
    let field = if fraction >> 52 == 0 { 0 } else { u64::try_from(exponent - SMALLEST + 1).unwrap_or_default() };
    f64::from_bits(field << 52 | fraction & ((1 << 52) - 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(values: &[f64]) -> Total {
        let mut total = Total::new();
        values.iter().for_each(|&value| total.add(value));
        total
    }

    fn sum(values: &[f64]) -> f64 {
        total(values).round()
    }

    #[test]
    fn what_cancels_leaves_what_is_left() {
        assert_eq!(sum(&[1e308, 1e308, 3.0, -1e308, -1e308, -1.0]), 2.0);
        assert_eq!(sum(&[5e-324, 1e300, -1e300]), 5e-324);
        assert_eq!(sum(&[1.0, 1e-16, 1e-16]), 1.000_000_000_000_000_2);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[-f64::MAX, -f64::MAX / 2.0]), f64::NEG_INFINITY);
    }

    #[test]
    fn halfway_goes_to_the_even_one_and_any_bit_below_decides() {
        let half = f64::EPSILON / 2.0;
        assert_eq!(sum(&[1.0, half]), 1.0);
        assert_eq!(sum(&[1.0 + f64::EPSILON, half]), 1.0 + 2.0 * f64::EPSILON);
        assert_eq!(sum(&[1.0, half, 5e-324]), 1.0 + f64::EPSILON);
        assert_eq!(sum(&[1.0, half, -5e-324]), 1.0);
        assert_eq!(sum(&[f64::MAX, 2f64.powi(969)]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, 2f64.powi(970)]), f64::INFINITY);
    }

    #[test]
    fn zeros_and_what_is_not_finite_are_as_ieee_has_them() {
        assert!(sum(&[]).is_sign_positive() && sum(&[-0.0, 0.0]).is_sign_positive());
        assert!(sum(&[-0.0, -0.0]).is_sign_negative() && sum(&[1.0, -1.0]).is_sign_positive());
        assert_eq!(sum(&[1.0, f64::INFINITY]), f64::INFINITY);
        assert!(sum(&[f64::NEG_INFINITY, f64::INFINITY]).is_nan() && sum(&[f64::NAN, 1.0]).is_nan());
    }

    #[test]
    fn products_keep_every_bit() {
        let mut total = Total::new();
        for (a, b) in [(1e300, 1e300), (1e-300, 1e-300), (-1e300, 1e300), (3.0, 0.5)] {
            total.add_product(a, b);
        }
        total.add_product(-1e-300, 1e-300);
        assert_eq!(total.round(), 1.5);
        let mut total = Total::new();
        total.add_product(1.0 + f64::EPSILON, 1.0 + f64::EPSILON);
        total.add(-1.0);
        total.add(-2.0 * f64::EPSILON);
        assert_eq!(total.round(), f64::EPSILON * f64::EPSILON);
    }

    #[test]
    fn a_quotient_is_that_of_the_exact_sum() {
        let mut thirds = Total::new();
        thirds.add_product(3.0, 1.0 / 3.0);
        assert_eq!(thirds.quotient(3.0), 1.0 / 3.0);
        assert_eq!(total(&[1.0, 1e-17]).quotient(1.0), 1.0);
        assert!(total(&[1.0]).quotient(0.0).is_infinite() && total(&[]).quotient(0.0).is_nan());
    }

    proptest! {
        #[test]
        fn two_numbers_add_up_as_they_do_in_hardware(a: u64, b: u64) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            let (ours, theirs) = (sum(&[a, b]), a + b);
            prop_assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{a:e} {b:e}");
        }

        #[test]
        fn near_numbers_add_up_as_they_do_in_hardware(a in -1e-300..1e-300, scale in -40i32..40, b in -1.0..1.0) {
            let b = b * 1e-300 * 2f64.powi(scale);
            prop_assert_eq!(sum(&[a, b]).to_bits(), (a + b).to_bits());
        }

        #[test]
        fn products_round_as_they_do_in_hardware(a: u64, b: u64) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            prop_assume!(a.is_finite() && b.is_finite());
            let mut total = Total::new();
            total.add_product(a, b);
            prop_assert_eq!(total.round().to_bits(), (a * b).to_bits(), "{:e} {:e}", a, b);
        }

        #[test]
        fn order_changes_nothing(bits in prop::collection::vec(any::<u64>(), 1..40), turn in 0usize..40) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|v| v.is_finite()).collect();
            let mut other = values.clone();
            other.reverse();
            let turn = turn % other.len().max(1);
            other.rotate_left(turn);
            prop_assert_eq!(sum(&values).to_bits(), sum(&other).to_bits());
        }
    }
}
