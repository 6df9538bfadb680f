//! Numbers of any precision with a bound on their error: whole numbers times a power of two, as an interval.
//!
//! Every operation gives an interval that holds the real result for all numbers of its operands' intervals; what is dropped
//! to keep to the precision widens it. The whole numbers are exact, so no bound rests on anybody's rounding.

use super::enclosure::Enclosure;
use num_bigint::{BigInt, Sign};

/// The real numbers between (middle − radius)·2^scale and (middle + radius)·2^scale.
#[derive(Clone, Debug)]
pub(crate) struct Ball {
    pub(crate) middle: BigInt,
    pub(crate) radius: BigInt,
    pub(crate) scale: i64,
}

/// The place above the highest bit.
fn length(value: &BigInt) -> i64 {
    i64::try_from(value.bits()).unwrap_or(i64::MAX)
}

/// value·2^by, rounded down.
fn shifted(value: &BigInt, by: i64) -> BigInt {
    if by >= 0 { value << by.unsigned_abs() } else { value >> by.unsigned_abs() }
}

impl Ball {
    /// middle·2^scale exactly.
    pub(crate) fn new(middle: BigInt, scale: i64) -> Ball {
        Ball { middle, radius: BigInt::ZERO, scale }
    }

    pub(crate) fn whole(value: i64) -> Ball {
        Ball::new(value.into(), 0)
    }

    /// A finite double.
    pub(crate) fn of(value: f64) -> Ball {
        let (fraction, scale) = crate::numeric::superaccumulator::parts(value);
        Ball::new(BigInt::from(fraction), scale.into())
    }

    /// The same interval, its ends rounded outward to so many bits.
    pub(crate) fn cut(self, bits: i64) -> Ball {
        let drop = length(&self.middle).max(length(&self.radius)) - bits;
        if drop <= 0 { self } else { self.at(self.scale_plus(drop)) }
    }

    fn scale_plus(&self, by: i64) -> i64 {
        self.scale.saturating_add(by)
    }

    /// The same interval as multiples of 2^scale, its ends rounded outward.
    fn at(&self, scale: i64) -> Ball {
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

    /// Every number of it is below 2 to that.
    pub(crate) fn top(&self) -> i64 {
        (length(&self.middle).max(length(&self.radius)) + 1).saturating_add(self.scale)
    }

    /// Its sign, where all its numbers have the same.
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

    /// Widened by 2^exponent on both sides.
    pub(crate) fn widened(&self, exponent: i64) -> Ball {
        let exponent = exponent.max(self.scale.saturating_sub(20_000));
        let scale = self.scale.min(exponent);
        let mut wide = self.at(scale);
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
        // Nothing below the precision of the larger one matters.
        let scale = self.scale.min(other.scale).max(self.top().max(other.top()).saturating_sub(bits + 2));
        let (a, b) = (self.at(scale), other.at(scale));
        Ball { middle: a.middle + b.middle, radius: a.radius + b.radius, scale }.cut(bits)
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
        Ball { middle: &self.middle * &other.middle, radius, scale }.cut(bits)
    }

    /// The quotient; none where the divisor's interval holds 0.
    pub(crate) fn over(&self, other: &Ball, bits: i64) -> Option<Ball> {
        let divisor = absolute(&other.middle);
        if divisor <= other.radius {
            return None;
        }
        let by = (bits + length(&divisor) - length(&self.middle)).max(0);
        let above = shifted(&self.middle, by);
        let middle = &above / &other.middle;
        let whole = &middle * &other.middle == above;
        let spread = &self.radius * &divisor + absolute(&self.middle) * &other.radius;
        let radius = if spread == BigInt::ZERO {
            BigInt::from(i32::from(!whole))
        } else {
            let least = &divisor * (&divisor - &other.radius);
            shifted(&spread, by) / least + 2
        };
        Some(Ball { middle, radius, scale: self.scale.saturating_sub(other.scale).saturating_sub(by) }.cut(bits))
    }

    /// Times 2^by.
    pub(crate) fn scaled(&self, by: i64) -> Ball {
        Ball { scale: self.scale.saturating_add(by), ..self.clone() }
    }

    /// An exact number as the two doubles nearest to it and to what the first leaves.
    pub(crate) fn near(&self) -> Enclosure {
        let high = nearest(&self.middle, self.scale) + 0.0;
        if !high.is_finite() || (high == 0.0 && !self.is_zero()) {
            return Enclosure::UNKNOWN;
        }
        let rest = |of: &Ball, part: f64| of.minus(&Ball::of(part), i64::MAX / 4);
        let left = rest(self, high);
        let low = nearest(&left.middle, left.scale);
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

    /// The double that it rounds to: where all its numbers round to the same, or where they lie within `slack` of a unit in
    /// the last place and the middle one's serves. A `slack` of 2⁻¹⁰ leaves 0.5 + 2⁻¹¹ units.
    pub(crate) fn rounded(&self, slack: Option<i64>) -> Option<f64> {
        let nearest = |value: &BigInt| nearest(value, self.scale);
        if self.is_exact() {
            return Some(nearest(&self.middle) + 0.0);
        }
        let (below, above) = (nearest(&(&self.middle - &self.radius)), nearest(&(&self.middle + &self.radius)));
        // What underflows is 0, whatever its sign.
        let value = nearest(&self.middle) + 0.0;
        // radius·2^scale ≤ 2^(unit + slack − 1)
        let narrow = |slack: i64| length(&self.radius).saturating_add(self.scale) < unit(value) + slack;
        (below == above || slack.is_some_and(narrow)).then_some(value)
    }
}

pub(crate) fn absolute(value: &BigInt) -> BigInt {
    value.magnitude().clone().into()
}

/// The exponent of a double's unit in the last place.
fn unit(value: f64) -> i64 {
    let exponent = i64::from(u32::try_from(value.to_bits() >> 52 & 0x7ff).unwrap_or_default());
    exponent.clamp(1, 2046) - 1075
}

/// The double nearest to value·2^scale, ties to even; beyond the largest an infinity.
fn nearest(value: &BigInt, scale: i64) -> f64 {
    let negative = value.sign() == Sign::Minus;
    let magnitude = value.magnitude();
    let length = length(value);
    let signed = |value: f64| if negative { -value } else { value };
    if length == 0 || length.saturating_add(scale) < -1075 {
        return signed(0.0);
    }
    if length.saturating_add(scale) > 1025 {
        return signed(f64::INFINITY);
    }
    // The last bit that a double of that size has.
    let last = (length + scale - 53).max(-1074);
    let drop = last - scale;
    let kept = if drop <= 0 {
        magnitude << drop.unsigned_abs()
    } else {
        let kept = magnitude >> drop.unsigned_abs();
        let half = drop.unsigned_abs() - 1;
        let tie = magnitude.trailing_zeros() == Some(half);
        let up = magnitude.bit(half) && (!tie || kept.bit(0));
        if up { kept + 1u32 } else { kept }
    };
    let fraction = kept.iter_u64_digits().next().unwrap_or_default();
    // A whole number of at most 53 bits (or 2⁵³) times a power of two: the steps are exact, but for an overflow.
    #[allow(clippy::cast_precision_loss)]
    let fraction = fraction as f64;
    let half = last / 2;
    signed(fraction * power(half) * power(last - half))
}

/// 2^exponent within the normal range.
fn power(exponent: i64) -> f64 {
    f64::from_bits(u64::try_from(1023 + exponent).unwrap_or_default() << 52)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_itself_and_a_tie_goes_to_even() {
        for value in [1.0, -0.1, 5e-324, -2.2250738585072014e-308, 1e-310, f64::MAX, 3.0] {
            assert_eq!(Ball::of(value).rounded(None), Some(value));
        }
        let half = |n: i64| Ball::new(n.into(), -1);
        let big = (1i64 << 53) + 1;
        assert_eq!(Ball::new(big.into(), 0).rounded(None), Some(9007199254740992.0));
        assert_eq!(Ball::new((big + 2).into(), 0).rounded(None), Some(9007199254740996.0));
        assert_eq!(half(3).scaled(-1074).rounded(None), Some(1e-323));
        assert_eq!(half(1).scaled(-1074).rounded(None), Some(0.0));
        assert_eq!(Ball::of(f64::MAX).plus(&Ball::of(1e292), 200).rounded(None), Some(f64::INFINITY));
        assert_eq!(Ball::of(f64::MAX).plus(&Ball::of(9.9e291), 2000).rounded(None), Some(f64::MAX));
    }

    #[test]
    fn what_lies_across_a_tie_is_not_decided_but_by_slack() {
        let tie = Ball::new(((1i64 << 53) + 1).into(), 0).widened(-20);
        assert_eq!(tie.rounded(None), None);
        assert_eq!(tie.rounded(Some(-10)), Some(9007199254740992.0));
        assert_eq!(tie.widened(-8).rounded(Some(-10)), None);
        assert_eq!(Ball::whole(0).widened(-1074).rounded(None), None);
        assert_eq!(Ball::whole(0).widened(-1075).rounded(None), Some(0.0));
    }

    #[test]
    fn quotients_hold_the_real_number() {
        let third = Ball::whole(1).over(&Ball::whole(3), 100).unwrap();
        let back = third.times(&Ball::whole(3), 200).minus(&Ball::whole(1), 200);
        assert!(back.sign().is_none() && back.top() < -95, "{back:?}");
        assert!(Ball::whole(6).over(&Ball::whole(3), 100).unwrap().is_exact());
        assert!(Ball::whole(6).over(&Ball::whole(0).widened(-500), 100).is_none());
    }
}
