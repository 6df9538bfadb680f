//! A real number known to about 100 bits, and how far off that may be: what decides almost every printed digit.
//!
//! Sums and products keep what they drop: TwoSum and fused multiplication say it exactly, so the radius is computed, not
//! estimated. Quotients are judged by their residual. The bounds of exp, ln, log1p and tanh follow from those of
//! [`DoubleDouble`]'s operations (Joldes, Muller and Popescu 2017: at most 2⁻¹⁰³ each): a few dozen of them, none that cancels,
//! leave well under 2⁻⁹⁰, and [`FUNCTION`] is sixteen times that and more.

use crate::numeric::Scalar;
use crate::numeric::double_double::DoubleDouble;
use crate::numeric::float64::two_sum;

/// A number within `radius` of high + low, where high is the double nearest to that sum.
///
/// A radius of 0 says that it is that sum; an infinite one, that nothing is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enclosure {
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) radius: f64,
}

/// Relative error of a function of a number that is known exactly.
const FUNCTION: f64 = 1.0 / (1u128 << 86) as f64;
/// Products below it may lose bits to underflow.
const LEAST: f64 = 1.0 / LARGEST;
/// Products above it may overflow on the way.
const LARGEST: f64 = f64::from_bits((1023 + 900) << 52);
/// Above e⁻⁵⁹⁹.
const TINY: f64 = f64::from_bits((1023 - 860) << 52);
/// Above every bit that is lost to underflow, and below any half unit that is decided here.
const LOST: f64 = f64::from_bits((1023 - 1000) << 52);

/// An upper bound of a sum of magnitudes that took a few dozen roundings, or underflowed.
fn up(magnitude: f64) -> f64 {
    magnitude * (1.0 + 1.0 / (1u64 << 46) as f64) + LOST
}

impl Enclosure {
    pub(crate) const UNKNOWN: Enclosure = Enclosure { high: 0.0, low: 0.0, radius: f64::INFINITY };

    pub(crate) fn exactly(value: f64) -> Enclosure {
        Enclosure { high: value, low: 0.0, radius: 0.0 }
    }

    /// high + low, within radius.
    pub(crate) fn new(high: f64, low: f64, radius: f64) -> Enclosure {
        let (high, low) = two_sum(high, low);
        if high.is_finite() && low.is_finite() { Enclosure { high, low, radius } } else { Enclosure::UNKNOWN }
    }

    /// Something of at most that magnitude.
    fn within(magnitude: f64) -> Enclosure {
        Enclosure { high: 0.0, low: 0.0, radius: up(magnitude) }
    }

    /// Something below 2^−1100 by so many binades and more: it rounds to 0, which no radius could say. The count stands in
    /// the radius as so many of the least double, which is above what it stands for; every other radius is at least [`LOST`].
    fn naught(binades: i64) -> Option<Enclosure> {
        let bits = u64::try_from(binades).ok().filter(|bits| (1..1 << 40).contains(bits))?;
        Some(Enclosure { high: 0.0, low: 0.0, radius: f64::from_bits(bits) })
    }

    /// The binades of a [`naught`](Self::naught).
    fn binades(self) -> Option<i64> {
        let is = self.high == 0.0 && self.radius > 0.0 && self.radius < LOST;
        is.then(|| i64::try_from(self.radius.to_bits()).unwrap_or_default())
    }

    fn is_unknown(self) -> bool {
        !self.radius.is_finite()
    }

    pub(crate) fn is_zero(self) -> bool {
        self.high == 0.0 && self.radius == 0.0
    }

    /// Whether it is a double exactly.
    pub(crate) fn is_double(self) -> bool {
        self.low == 0.0 && self.radius == 0.0
    }

    /// At least its magnitude.
    fn magnitude(self) -> f64 {
        up(self.high.abs() + self.radius)
    }

    /// At most its magnitude.
    fn least(self) -> f64 {
        self.high.abs() * (1.0 - 1.0 / (1u64 << 46) as f64) - self.radius
    }

    /// The double that it rounds to, where that is beyond doubt.
    pub(crate) fn rounded(self) -> Option<f64> {
        if self.radius == 0.0 || self.binades().is_some() {
            return Some(self.high);
        }
        let (below, above) = ((self.low - self.radius).next_down(), (self.low + self.radius).next_up());
        (self.high + below == self.high && self.high + above == self.high && self.high != 0.0).then_some(self.high)
    }

    /// Whether it is above (1), below (−1) or exactly (0) zero, where that is beyond doubt.
    pub(crate) fn sign(self) -> Option<f64> {
        if self.is_zero() {
            Some(0.0)
        } else if self.least() > 0.0 {
            Some(self.high.signum())
        } else {
            None
        }
    }

    pub(crate) fn negated(self) -> Enclosure {
        Enclosure { high: -self.high, low: -self.low, radius: self.radius }
    }

    pub(crate) fn plus(self, other: Enclosure) -> Enclosure {
        if other.is_zero() && self.high == 0.0 && !self.is_zero() {
            return self;
        }
        if self.is_double() && other.is_double() {
            let (high, low) = two_sum(self.high, other.high);
            return if high.is_finite() && low.is_finite() {
                Enclosure { high, low, radius: 0.0 }
            } else {
                Enclosure::UNKNOWN
            };
        }
        let (sum, error) = two_sum(self.high, other.high);
        let (lows, dropped) = two_sum(self.low, other.low);
        let (middle, rest) = two_sum(error, lows);
        let (high, low) = two_sum(sum, middle);
        // The sum is high + low + rest + dropped, exactly.
        let (low, left) = two_sum(low, rest);
        let radius = if dropped == 0.0 && left == 0.0 && self.radius == 0.0 && other.radius == 0.0 {
            0.0
        } else {
            up(self.radius + other.radius + dropped.abs() + left.abs())
        };
        Enclosure::new(high, low, radius)
    }

    pub(crate) fn minus(self, other: Enclosure) -> Enclosure {
        self.plus(other.negated())
    }

    pub(crate) fn times(self, other: Enclosure) -> Enclosure {
        if self.is_zero() || other.is_zero() {
            return Enclosure::exactly(self.high * other.high);
        }
        if let Some(naught) = self.naught_times(other.magnitude()).or_else(|| other.naught_times(self.magnitude())) {
            return naught;
        }
        let product = self.high * other.high;
        if self.is_unknown() || other.is_unknown() || product.abs() > LARGEST {
            return Enclosure::UNKNOWN;
        }
        if product.abs() < LEAST {
            return Enclosure::within(self.magnitude() * other.magnitude());
        }
        let error = self.high.mul_add(other.high, -product);
        if self.is_double() && other.is_double() {
            return Enclosure { high: product, low: error, radius: 0.0 };
        }
        let (first, second) = (self.high * other.low, self.low * other.high);
        let low = error + (first + second);
        let rounding = (first.abs() + second.abs() + low.abs()) * f64::EPSILON + (self.low * other.low).abs();
        let spread = self.magnitude() * other.radius + other.magnitude() * self.radius;
        Enclosure::new(product, low, up(rounding * 2.0 + spread))
    }

    /// A [`naught`](Self::naught) times at most that magnitude, where it is still one.
    fn naught_times(self, magnitude: f64) -> Option<Enclosure> {
        let binades = self.binades()?;
        // 2^grown is above the magnitude.
        let grown = i64::try_from(magnitude.to_bits() >> 52).unwrap_or(i64::MAX) - 1022;
        if magnitude.is_finite() { Enclosure::naught(binades - grown.max(0)) } else { None }
    }

    pub(crate) fn over(self, other: Enclosure) -> Enclosure {
        let least = other.least();
        if self.is_unknown() || other.is_unknown() || least <= 0.0 {
            return Enclosure::UNKNOWN;
        }
        if let Some(naught) = self.naught_times(up(1.0 / least)) {
            return naught;
        }
        let first = self.high / other.high;
        if first.abs() > LARGEST || other.high.abs() < LEAST || other.high.abs() > LARGEST {
            return Enclosure::UNKNOWN;
        }
        if first.abs() < LEAST {
            return if self.is_zero() {
                Enclosure::exactly(first)
            } else {
                Enclosure::within(self.magnitude() / least)
            };
        }
        let (above, below) = (Enclosure { radius: 0.0, ..self }, Enclosure { radius: 0.0, ..other });
        let rest = above.minus(Enclosure::exactly(first).times(below));
        let second = rest.high / other.high;
        let rest = rest.minus(Enclosure::exactly(second).times(below));
        let quotient = Enclosure::new(first, second, 0.0).plus(Enclosure::exactly(rest.high / other.high));
        let quotient = Enclosure { radius: 0.0, ..quotient };
        // self/other − quotient is the residual over other.
        let residual = self.minus(quotient.times(other));
        if residual.is_zero() { quotient } else { Enclosure { radius: up(residual.magnitude() / least), ..quotient } }
    }

    fn doubled(self) -> DoubleDouble {
        DoubleDouble::from_parts(self.high, self.low)
    }

    /// A function's value as [`DoubleDouble`] has it, off by what the function and the argument's radius add.
    fn function(value: DoubleDouble, spread: f64) -> Enclosure {
        let (high, low) = value.parts();
        Enclosure::new(high, low, up(high.abs() * FUNCTION + spread))
    }

    pub(crate) fn exp(self) -> Enclosure {
        if self.is_zero() {
            return Enclosure::exactly(1.0);
        }
        // Beyond ±600 DoubleDouble's low half would lose digits.
        if self.high < -600.0 && self.radius < 1.0 {
            // e^x < 2^(1.44·(x + 1)), that is 2^−1100 less so many binades.
            #[allow(clippy::cast_possible_truncation)]
            let binades = (-1.44 * (self.high + 1.1)).min(1e9) as i64 - 1101;
            return Enclosure::naught(binades).unwrap_or(Enclosure::within(TINY));
        }
        if self.high.abs() > 600.0 || self.radius > 0.5 {
            return Enclosure::UNKNOWN;
        }
        let value = self.doubled().exp();
        Enclosure::function(value, value.to_f64() * 2.0 * self.radius)
    }

    pub(crate) fn ln(self) -> Enclosure {
        let least = self.least();
        if self.is_double() && self.high == 1.0 {
            return Enclosure::exactly(0.0);
        }
        if self.is_unknown() || self.high <= 0.0 || least <= LEAST || self.high > LARGEST {
            return Enclosure::UNKNOWN;
        }
        Enclosure::function(self.doubled().ln(), self.radius / least)
    }

    /// log(1 + x), for x that is not below −1/2 by more than its radius.
    pub(crate) fn ln_1p(self) -> Enclosure {
        if self.is_zero() {
            return self;
        }
        if self.is_unknown() || self.high - self.radius < -0.5 || self.high > LARGEST {
            return Enclosure::UNKNOWN;
        }
        if self.high.abs() < LEAST {
            return Enclosure::within(2.0 * self.magnitude());
        }
        Enclosure::function(self.doubled().ln_1p(), 2.0 * self.radius)
    }

    pub(crate) fn tanh(self) -> Enclosure {
        if self.is_zero() {
            return self;
        }
        if self.is_unknown() {
            return Enclosure::UNKNOWN;
        }
        if self.high.abs() < LEAST {
            return Enclosure::within(self.magnitude());
        }
        if self.high.abs() > 40.0 {
            // 1 − tanh 40 is 3.6e-35.
            return Enclosure::new(self.high.signum(), 0.0, up(4e-35 + self.radius));
        }
        Enclosure::function(self.doubled().tanh(), self.radius)
    }
}
