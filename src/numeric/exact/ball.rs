//! Ball arithmetic: intervals given as a centre and a radius, integers times a power of two, of any precision.
//!
//! The result of an operation contains the real results for all numbers of its operands; the bits that are dropped to keep to the
//! precision widen it. The integers are exact, so no bound depends on the rounding of another library.

use super::enclosure::Enclosure;
use crate::numeric::superaccumulator::{bit_length, decompose, nearest_double};
use num_bigint::{BigInt, Sign};

/// The real numbers between (middle − radius)·2^scale and (middle + radius)·2^scale.
#[derive(Clone, Debug)]
pub(crate) struct Ball {
    pub(crate) middle: BigInt,
    pub(crate) radius: BigInt,
    pub(crate) scale: i64,
}

/// Returns value·2^by, rounded down.
pub(super) fn shifted(value: &BigInt, by: i64) -> BigInt {
    if by >= 0 { value << by.unsigned_abs() } else { value >> by.unsigned_abs() }
}

impl Ball {
    /// Returns middle·2^scale exactly.
    pub(crate) fn new(middle: BigInt, scale: i64) -> Ball {
        Ball { middle, radius: BigInt::ZERO, scale }
    }

    pub(crate) fn from_integer(value: i64) -> Ball {
        Ball::new(value.into(), 0)
    }

    /// Returns a finite double exactly.
    pub(crate) fn from_double(value: f64) -> Ball {
        let (is_negative, significand, scale) = decompose(value);
        let significand = BigInt::from(significand);
        Ball::new(if is_negative { -significand } else { significand }, scale.into())
    }

    /// Returns the ball with its ends rounded outward to `bits` bits.
    pub(crate) fn round_to(self, bits: i64) -> Ball {
        let drop = bit_length(&self.middle).max(bit_length(&self.radius)) - bits;
        if drop <= 0 { self } else { self.rescaled(self.scale.saturating_add(drop)) }
    }

    /// Returns the ball as multiples of 2^scale, its ends rounded outward.
    fn rescaled(&self, scale: i64) -> Ball {
        let by = self.scale.saturating_sub(scale);
        let (middle, radius) = (shifted(&self.middle, by), shifted(&self.radius, by));
        let exact = by >= 0 || (shifted(&middle, -by) == self.middle && self.is_exact());
        Ball { middle, radius: if exact { radius } else { radius + 2 }, scale }
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.radius == BigInt::ZERO
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.middle == BigInt::ZERO && self.is_exact()
    }

    /// Returns an exponent: every number of the ball has a magnitude below 2 to it.
    pub(crate) fn exponent_bound(&self) -> i64 {
        (bit_length(&self.middle).max(bit_length(&self.radius)) + 1).saturating_add(self.scale)
    }

    /// Returns the sign (1, −1 or 0), if it is the same for all numbers.
    pub(crate) fn sign(&self) -> Option<f64> {
        if self.is_zero() {
            Some(0.0)
        } else if self.middle.magnitude() > self.radius.magnitude() {
            Some(if self.middle.sign() == Sign::Minus { -1.0 } else { 1.0 })
        } else {
            None
        }
    }

    pub(crate) fn negated(&self) -> Ball {
        Ball { middle: -&self.middle, ..self.clone() }
    }

    /// Returns the ball with a radius larger by 2^exponent.
    pub(crate) fn widened(&self, exponent: i64) -> Ball {
        let exponent = exponent.max(self.scale.saturating_sub(20_000));
        let scale = self.scale.min(exponent);
        let mut wide = self.rescaled(scale);
        wide.radius += shifted(&BigInt::from(1), exponent - scale);
        wide
    }

    pub(crate) fn plus(&self, other: &Ball, bits: i64) -> Ball {
        if self.is_zero() {
            return other.clone();
        }
        if other.is_zero() {
            return self.clone();
        }
        // Bits below the precision of the larger number need not be kept.
        let scale =
            self.scale.min(other.scale).max(self.exponent_bound().max(other.exponent_bound()).saturating_sub(bits + 2));
        let (a, b) = (self.rescaled(scale), other.rescaled(scale));
        Ball { middle: a.middle + b.middle, radius: a.radius + b.radius, scale }.round_to(bits)
    }

    pub(crate) fn minus(&self, other: &Ball, bits: i64) -> Ball {
        self.plus(&other.negated(), bits)
    }

    pub(crate) fn times(&self, other: &Ball, bits: i64) -> Ball {
        let scale = self.scale.saturating_add(other.scale);
        let radius = if self.is_exact() && other.is_exact() {
            BigInt::ZERO
        } else {
            let (a, b) = (absolute(&self.middle), absolute(&other.middle));
            a * &other.radius + b * &self.radius + &self.radius * &other.radius
        };
        Ball { middle: &self.middle * &other.middle, radius, scale }.round_to(bits)
    }

    /// Returns the quotient, unless the divisor's ball contains 0.
    pub(crate) fn over(&self, other: &Ball, bits: i64) -> Option<Ball> {
        let divisor = absolute(&other.middle);
        if divisor <= other.radius {
            return None;
        }
        let by = (bits + bit_length(&divisor) - bit_length(&self.middle)).max(0);
        let above = shifted(&self.middle, by);
        let middle = &above / &other.middle;
        let is_integer = &middle * &other.middle == above;
        let spread = &self.radius * &divisor + absolute(&self.middle) * &other.radius;
        let radius = if spread == BigInt::ZERO {
            BigInt::from(i32::from(!is_integer))
        } else {
            let least = &divisor * (&divisor - &other.radius);
            shifted(&spread, by) / least + 2
        };
        Some(Ball { middle, radius, scale: self.scale.saturating_sub(other.scale).saturating_sub(by) }.round_to(bits))
    }

    /// Returns the square root of an exact number that is not negative.
    pub(crate) fn sqrt(&self, bits: i64) -> Ball {
        let by = (2 * bits - bit_length(&self.middle)).max(0);
        let by = by + (self.scale.saturating_sub(by) & 1);
        let square = shifted(&self.middle, by);
        let middle = square.sqrt();
        let radius = BigInt::from(i32::from(&middle * &middle != square));
        Ball { middle, radius, scale: (self.scale - by) / 2 }.round_to(bits)
    }

    /// Returns the largest integer that is not above the middle.
    pub(crate) fn floor(&self) -> BigInt {
        shifted(&self.middle, self.scale)
    }

    /// Returns the ball times 2^by.
    pub(crate) fn scaled(&self, by: i64) -> Ball {
        Ball { scale: self.scale.saturating_add(by), ..self.clone() }
    }

    /// Returns an exact number as an enclosure.
    pub(crate) fn to_enclosure(&self) -> Enclosure {
        let high = nearest_double(&self.middle, self.scale) + 0.0;
        if !high.is_finite() || (high == 0.0 && !self.is_zero()) {
            return Enclosure::UNKNOWN;
        }
        let rest = |ball: &Ball, part: f64| ball.minus(&Ball::from_double(part), i64::MAX / 4);
        let left = rest(self, high);
        let low = nearest_double(&left.middle, left.scale);
        let exact = rest(&left, low).is_zero() && self.is_exact();
        let unit = f64::EPSILON * low.abs() + f64::from_bits(1);
        Enclosure {
            high,
            low,
            radius: if exact {
                0.0
            } else if self.is_exact() {
                unit
            } else {
                f64::INFINITY
            },
        }
    }

    /// Returns the nearest double, if it is the same for all numbers, or if the radius is at most 2^`slack` units in the last place:
    /// then the error is at most 0.5 + 2^(`slack` − 1) units.
    pub(crate) fn to_double(&self, slack: Option<i64>) -> Option<f64> {
        let round = |value: &BigInt| nearest_double(value, self.scale);
        if self.is_exact() {
            return Some(round(&self.middle) + 0.0);
        }
        let (below, above) = (round(&(&self.middle - &self.radius)), round(&(&self.middle + &self.radius)));
        // Adding 0 makes −0 a 0.
        let value = round(&self.middle) + 0.0;
        // radius·2^scale ≤ 2^(unit + slack − 1)
        let narrow = |slack: i64| bit_length(&self.radius).saturating_add(self.scale) < ulp_exponent(value) + slack;
        (below == above || slack.is_some_and(narrow)).then_some(value)
    }
}

pub(crate) fn absolute(value: &BigInt) -> BigInt {
    value.magnitude().clone().into()
}

/// Returns the exponent of a double's unit in the last place.
fn ulp_exponent(value: f64) -> i64 {
    let exponent = i64::from(u32::try_from(value.to_bits() >> 52 & 0x7ff).unwrap_or_default());
    exponent.clamp(1, 2046) - 1075
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_itself_and_a_tie_goes_to_even() {
        for value in [1.0, -0.1, 5e-324, -2.2250738585072014e-308, 1e-310, f64::MAX, 3.0] {
            assert_eq!(Ball::from_double(value).to_double(None), Some(value));
        }
        let half = |n: i64| Ball::new(n.into(), -1);
        let big = (1i64 << 53) + 1;
        assert_eq!(Ball::new(big.into(), 0).to_double(None), Some(9007199254740992.0));
        assert_eq!(Ball::new((big + 2).into(), 0).to_double(None), Some(9007199254740996.0));
        assert_eq!(half(3).scaled(-1074).to_double(None), Some(1e-323));
        assert_eq!(half(1).scaled(-1074).to_double(None), Some(0.0));
        assert_eq!(
            Ball::from_double(f64::MAX).plus(&Ball::from_double(1e292), 200).to_double(None),
            Some(f64::INFINITY)
        );
        assert_eq!(Ball::from_double(f64::MAX).plus(&Ball::from_double(9.9e291), 2000).to_double(None), Some(f64::MAX));
    }

    #[test]
    fn a_ball_that_contains_a_tie_rounds_only_with_slack() {
        let tie = Ball::new(((1i64 << 53) + 1).into(), 0).widened(-20);
        assert_eq!(tie.to_double(None), None);
        assert_eq!(tie.to_double(Some(-10)), Some(9007199254740992.0));
        assert_eq!(tie.widened(-8).to_double(Some(-10)), None);
        assert_eq!(Ball::from_integer(0).widened(-1074).to_double(None), None);
        assert_eq!(Ball::from_integer(0).widened(-1075).to_double(None), Some(0.0));
    }

    #[test]
    fn quotients_contain_the_real_number() {
        let third = Ball::from_integer(1).over(&Ball::from_integer(3), 100).unwrap();
        let back = third.times(&Ball::from_integer(3), 200).minus(&Ball::from_integer(1), 200);
        assert!(back.sign().is_none() && back.exponent_bound() < -95, "{back:?}");
        assert!(Ball::from_integer(6).over(&Ball::from_integer(3), 100).unwrap().is_exact());
        assert!(Ball::from_integer(6).over(&Ball::from_integer(0).widened(-500), 100).is_none());
    }

    #[test]
    fn square_roots_contain_the_real_number() {
        let root = Ball::from_integer(2).sqrt(100);
        let back = root.times(&root, 200).minus(&Ball::from_integer(2), 200);
        assert!(back.sign().is_none() && back.exponent_bound() < -95, "{back:?}");
        assert!(Ball::from_integer(9).scaled(-7).scaled(1).sqrt(100).is_exact());
        assert!(!Ball::from_integer(9).scaled(-7).sqrt(100).is_exact());
    }
}
