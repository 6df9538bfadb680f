//! Sums of doubles and of products of two, without any rounding: an accumulator that has a place for every bit there is.

/// The number of places, each of 32 bits: products go from 2⁻²¹⁴⁸ to 2²⁰⁴⁸, and 2³² of them may be added.
const PLACES: usize = 133;
/// The exponent of the first place.
const FIRST: i32 = -2148;
/// What one addition puts into a place is below 2³³, so that many leave an i64 far from overflow.
const BEFORE_CARRY: u32 = 1 << 28;

/// A finite double as fraction·2^exponent.
pub fn parts(value: f64) -> (i64, i32) {
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or_default();
    let fraction = i64::try_from(bits & ((1 << 52) - 1)).unwrap_or_default();
    let (fraction, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    (if value.is_sign_negative() { -fraction } else { fraction }, exponent)
}

/// Σ of what was added, exactly: Σ places[k]·2^(32·k − 2148).
pub struct Accumulator {
    places: [i64; PLACES],
    /// Additions until carries must be passed on.
    left: u32,
}

impl Default for Accumulator {
    fn default() -> Self {
        Accumulator { places: [0; PLACES], left: BEFORE_CARRY }
    }
}

impl Accumulator {
    /// Adds a finite double.
    pub fn add(&mut self, value: f64) {
        let (fraction, exponent) = parts(value);
        self.add_parts(fraction < 0, u128::from(fraction.unsigned_abs()), exponent);
    }

    /// Adds the product of two finite doubles.
    pub fn add_product(&mut self, a: f64, b: f64) {
        let ((a, a_exponent), (b, b_exponent)) = (parts(a), parts(b));
        let magnitude = u128::from(a.unsigned_abs()) * u128::from(b.unsigned_abs());
        self.add_parts((a < 0) != (b < 0), magnitude, a_exponent + b_exponent);
    }

    /// Adds ±magnitude·2^exponent, of at most 106 bits.
    fn add_parts(&mut self, negative: bool, magnitude: u128, exponent: i32) {
        if magnitude == 0 {
            return;
        }
        let from = usize::try_from(exponent - FIRST).unwrap_or_default();
        let (place, shift) = (from / 32, from % 32);
        // 106 bits and a shift of up to 31 take 137: five places.
        let (low, high) = (magnitude & u128::from(u64::MAX), magnitude >> 64);
        let low = low << shift;
        let high = (high << shift) + (low >> 64);
        let digits = [low, low >> 32, high, high >> 32, high >> 64];
        for (k, digit) in digits.into_iter().enumerate() {
            let digit = i64::try_from(digit & 0xffff_ffff).unwrap_or_default();
            if let Some(place) = self.places.get_mut(place + k) {
                *place += if negative { -digit } else { digit };
            }
        }
        self.left -= 1;
        if self.left == 0 {
            self.carry();
        }
    }

    /// Passes carries on, so that every place but the last holds 0 to 2³² − 1.
    fn carry(&mut self) {
        self.left = BEFORE_CARRY;
        let mut carry = 0;
        for place in &mut self.places[..PLACES - 1] {
            let value = *place + carry;
            carry = value >> 32;
            *place = value & 0xffff_ffff;
        }
        self.places[PLACES - 1] += carry;
    }

    /// The sum as sign and magnitude, digits of 32 bits from the lowest, times 2 to the exponent.
    pub fn total(mut self) -> (bool, Vec<u32>, i32) {
        self.carry();
        let negative = self.places[PLACES - 1] < 0;
        if negative {
            self.places.iter_mut().for_each(|place| *place = -*place);
            self.carry();
        }
        let digits = self.places.iter().map(|&digit| u32::try_from(digit & 0xffff_ffff).unwrap_or_default());
        (negative, digits.collect(), FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(add: impl FnOnce(&mut Accumulator)) -> f64 {
        let mut sum = Accumulator::default();
        add(&mut sum);
        let (negative, digits, exponent) = sum.total();
        // Exact for what is tested: few bits.
        let value =
            digits.iter().enumerate().filter(|(_, digit)| **digit != 0).fold(0.0, |sum, (k, &digit)| {
                sum + f64::from(digit) * 2f64.powi((32 * k as i32 + exponent) / 2).powi(2)
            });
        if negative { -value } else { value }
    }

    #[test]
    fn what_cancels_leaves_what_is_left() {
        let cancelled = total(|sum| {
            for (a, b) in [(1e300, 1e300), (3.0, 0.5), (-1e300, 1e300), (5e-324, 5e-324), (-5e-324, 5e-324)] {
                sum.add_product(a, b);
            }
            sum.add(-0.25);
        });
        assert_eq!(cancelled, 1.25);
        assert_eq!(total(|sum| sum.add_product(1e300, 0.0)), 0.0);
        assert_eq!(total(|sum| [f64::MAX, 1.0, -f64::MAX, -4.0].iter().for_each(|&v| sum.add(v))), -3.0);
    }

    #[test]
    fn carries_run_through() {
        let sum = total(|sum| (0..1000).for_each(|_| sum.add(f64::from(u32::MAX))));
        assert_eq!(sum, 1000.0 * f64::from(u32::MAX));
        assert_eq!(total(|sum| (0..1000).for_each(|n| sum.add(if n == 500 { 1024.0 } else { -1.0 }))), 25.0);
    }
}
