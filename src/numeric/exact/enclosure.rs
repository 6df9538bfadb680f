//! Enclosures: double-double numbers with a bound of their error, which decide almost every printed digit.
//!
//! TwoSum and fused multiplication give the rounding errors of sums and products exactly, so the radius is computed, not
//! estimated. That of a quotient follows from its residual. The bounds of exp, ln, log1p and tanh follow from those of
//! [`DoubleDouble`]'s operations (Joldes, Muller and Popescu 2017: at most 2⁻¹⁰³ each): a few dozen of them, none that cancels,
//! leave well under 2⁻⁹⁰, and [`FUNCTION_ERROR`] is at least sixteen times that.

use crate::numeric::double_double::DoubleDouble;
use crate::numeric::scalar::Scalar;
use crate::simd::error_free::two_sum;

/// The real numbers within `radius` of high + low, where high is the double nearest to that sum. The radius is 0 for an exactly
/// known number, and infinite for an unknown one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enclosure {
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) radius: f64,
}

/// Bound of the relative error of a function of an exactly known number.
const FUNCTION_ERROR: f64 = 1.0 / (1u128 << 86) as f64;
/// Magnitude up to which [`DoubleDouble`]'s sine has all its digits.
const MAX_REDUCED: f64 = (1u64 << 44) as f64;
/// Bound of the error of a reduction to a quarter turn, relative to the number.
const REDUCTION_ERROR: f64 = f64::from_bits((1023 - 150) << 52);
/// Magnitude below which products may lose bits to underflow.
const SAFE_MIN: f64 = 1.0 / SAFE_MAX;
/// Magnitude above which products may overflow.
const SAFE_MAX: f64 = f64::from_bits((1023 + 900) << 52);
/// An upper bound of e⁻⁵⁹⁹.
const EXP_TAIL: f64 = f64::from_bits((1023 - 860) << 52);
/// An upper bound of all bits that are lost to underflow; below half a unit of any double that is decided here.
const UNDERFLOW_ERROR: f64 = f64::from_bits((1023 - 1000) << 52);

/// Returns an upper bound of a sum of magnitudes that was computed with a few dozen roundings, or underflowed.
fn round_up(magnitude: f64) -> f64 {
    magnitude * (1.0 + 1.0 / (1u64 << 46) as f64) + UNDERFLOW_ERROR
}

impl Enclosure {
    pub(crate) const UNKNOWN: Enclosure = Enclosure { high: 0.0, low: 0.0, radius: f64::INFINITY };

    pub(crate) fn exactly(value: f64) -> Enclosure {
        Enclosure { high: value, low: 0.0, radius: 0.0 }
    }

    /// Returns high + low within `radius`, normalised.
    #[inline]
    pub(crate) fn new(high: f64, low: f64, radius: f64) -> Enclosure {
        let (high, low) = two_sum(high, low);
        if high.is_finite() && low.is_finite() { Enclosure { high, low, radius } } else { Enclosure::UNKNOWN }
    }

    /// Returns the numbers of at most that magnitude.
    fn up_to(magnitude: f64) -> Enclosure {
        Enclosure { high: 0.0, low: 0.0, radius: round_up(magnitude) }
    }

    /// Returns the numbers below 2^(−1100 − binades), which round to 0. No radius is small enough for them, so the radius holds the
    /// number of binades in units of the least double; every other radius is at least [`UNDERFLOW_ERROR`].
    fn underflowed(binades: i64) -> Option<Enclosure> {
        let bits = u64::try_from(binades).ok().filter(|bits| (1..1 << 40).contains(bits))?;
        Some(Enclosure { high: 0.0, low: 0.0, radius: f64::from_bits(bits) })
    }

    /// Returns the binades of an [`underflowed`](Self::underflowed) number.
    fn underflow_binades(self) -> Option<i64> {
        let is_underflowed = self.high == 0.0 && self.radius > 0.0 && self.radius < UNDERFLOW_ERROR;
        is_underflowed.then(|| i64::try_from(self.radius.to_bits()).unwrap_or_default())
    }

    fn is_unknown(self) -> bool {
        !self.radius.is_finite()
    }

    pub(crate) fn is_zero(self) -> bool {
        self.high == 0.0 && self.radius == 0.0
    }

    /// Returns true if it is exactly a double.
    pub(crate) fn is_double(self) -> bool {
        self.low == 0.0 && self.radius == 0.0
    }

    /// Returns an upper bound of the magnitude.
    fn max_magnitude(self) -> f64 {
        round_up(self.high.abs() + self.radius)
    }

    /// Returns a lower bound of the magnitude.
    fn min_magnitude(self) -> f64 {
        self.high.abs() * (1.0 - 1.0 / (1u64 << 46) as f64) - self.radius
    }

    /// Returns the nearest double, if it is the same for all numbers.
    #[inline]
    pub(crate) fn to_double(self) -> Option<f64> {
        if self.radius == 0.0 || self.underflow_binades().is_some() {
            return Some(self.high);
        }
        let (below, above) = ((self.low - self.radius).next_down(), (self.low + self.radius).next_up());
        (self.high + below == self.high && self.high + above == self.high && self.high != 0.0).then_some(self.high)
    }

    /// Returns the sign (1, −1 or 0), if it is the same for all numbers.
    pub(crate) fn sign(self) -> Option<f64> {
        if self.is_zero() {
            Some(0.0)
        } else if self.min_magnitude() > 0.0 {
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
        // The sum is exactly high + low + rest + dropped.
        let (low, left) = two_sum(low, rest);
        let radius = if dropped == 0.0 && left == 0.0 && self.radius == 0.0 && other.radius == 0.0 {
            0.0
        } else {
            round_up(self.radius + other.radius + dropped.abs() + left.abs())
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
        if let Some(underflowed) =
            self.underflowed_times(other.max_magnitude()).or_else(|| other.underflowed_times(self.max_magnitude()))
        {
            return underflowed;
        }
        let product = self.high * other.high;
        if self.is_unknown() || other.is_unknown() || product.abs() > SAFE_MAX {
            return Enclosure::UNKNOWN;
        }
        if product.abs() < SAFE_MIN {
            return Enclosure::up_to(self.max_magnitude() * other.max_magnitude());
        }
        let error = self.high.mul_add(other.high, -product);
        if self.is_double() && other.is_double() {
            return Enclosure { high: product, low: error, radius: 0.0 };
        }
        let (first, second) = (self.high * other.low, self.low * other.high);
        let low = error + (first + second);
        let rounding = (first.abs() + second.abs() + low.abs()) * f64::EPSILON + (self.low * other.low).abs();
        let spread = self.max_magnitude() * other.radius + other.max_magnitude() * self.radius;
        Enclosure::new(product, low, round_up(rounding * 2.0 + spread))
    }

    /// Returns the product of an [`underflowed`](Self::underflowed) number and one of at most that magnitude, if it is underflowed.
    fn underflowed_times(self, magnitude: f64) -> Option<Enclosure> {
        let binades = self.underflow_binades()?;
        // 2^grown is above the magnitude.
        let grown = i64::try_from(magnitude.to_bits() >> 52).unwrap_or(i64::MAX) - 1022;
        if magnitude.is_finite() { Enclosure::underflowed(binades - grown.max(0)) } else { None }
    }

    pub(crate) fn over(self, other: Enclosure) -> Enclosure {
        let least = other.min_magnitude();
        if self.is_unknown() || other.is_unknown() || least <= 0.0 {
            return Enclosure::UNKNOWN;
        }
        if let Some(underflowed) = self.underflowed_times(round_up(1.0 / least)) {
            return underflowed;
        }
        let first = self.high / other.high;
        if first.abs() > SAFE_MAX || other.high.abs() < SAFE_MIN || other.high.abs() > SAFE_MAX {
            return Enclosure::UNKNOWN;
        }
        if first.abs() < SAFE_MIN {
            return if self.is_zero() {
                Enclosure::exactly(first)
            } else {
                Enclosure::up_to(self.max_magnitude() / least)
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
        if residual.is_zero() {
            quotient
        } else {
            Enclosure { radius: round_up(residual.max_magnitude() / least), ..quotient }
        }
    }

    fn to_double_double(self) -> DoubleDouble {
        DoubleDouble::from_normalized(self.high, self.low)
    }

    /// Returns a function's value computed in [`DoubleDouble`], within the error of the function and that of the argument.
    fn function(value: DoubleDouble, spread: f64) -> Enclosure {
        let (high, low) = value.high_low();
        Enclosure::new(high, low, round_up(high.abs() * FUNCTION_ERROR + spread))
    }

    pub(crate) fn exp(self) -> Enclosure {
        if self.is_zero() {
            return Enclosure::exactly(1.0);
        }
        // Beyond ±600 DoubleDouble's low half would lose digits.
        if self.high < -600.0 && self.radius < 1.0 {
            // e^x < 2^(1.44·(x + 1)), which is 2^(−1100 − binades).
            #[allow(clippy::cast_possible_truncation)]
            let binades = (-1.44 * (self.high + 1.1)).min(1e9) as i64 - 1101;
            return Enclosure::underflowed(binades).unwrap_or(Enclosure::up_to(EXP_TAIL));
        }
        if self.high.abs() > 600.0 || self.radius > 0.5 {
            return Enclosure::UNKNOWN;
        }
        let value = self.to_double_double().exp();
        Enclosure::function(value, value.to_f64() * 2.0 * self.radius)
    }

    pub(crate) fn ln(self) -> Enclosure {
        let least = self.min_magnitude();
        if self.is_double() && self.high == 1.0 {
            return Enclosure::exactly(0.0);
        }
        if self.is_unknown() || self.high <= 0.0 || least <= SAFE_MIN || self.high > SAFE_MAX {
            return Enclosure::UNKNOWN;
        }
        Enclosure::function(self.to_double_double().ln(), self.radius / least)
    }

    /// Returns √x, for x > 0; its error follows from x − √x².
    pub(crate) fn sqrt(self) -> Enclosure {
        if self.is_unknown() || self.min_magnitude() < SAFE_MIN || self.high > SAFE_MAX {
            return Enclosure::UNKNOWN;
        }
        let (high, low) = self.to_double_double().sqrt().high_low();
        let root = Enclosure::new(high, low, 0.0);
        let residual = self.minus(root.times(root));
        if residual.is_zero() {
            root
        } else {
            // |√x − r| = |x − r²|/(√x + r), and √x is not negative.
            Enclosure { radius: round_up(residual.max_magnitude() / root.min_magnitude()), ..root }
        }
    }

    /// Returns log(1 + x), for x ≥ −1/2.
    pub(crate) fn ln_1p(self) -> Enclosure {
        if self.is_zero() {
            return self;
        }
        if self.is_unknown() || self.high - self.radius < -0.5 || self.high > SAFE_MAX {
            return Enclosure::UNKNOWN;
        }
        if self.high.abs() < SAFE_MIN {
            return Enclosure::up_to(2.0 * self.max_magnitude());
        }
        Enclosure::function(self.to_double_double().ln_1p(), 2.0 * self.radius)
    }

    /// Returns an upper bound of φ of all numbers.
    fn max_normal_density(self) -> f64 {
        let least = (self.high.abs() - self.radius - self.low.abs()).max(0.0);
        0.4 * Scalar::exp(-0.5 * least * least) + UNDERFLOW_ERROR
    }

    pub(crate) fn normal_cdf(self) -> Enclosure {
        if self.is_unknown() || self.radius > 0.5 {
            return Enclosure::UNKNOWN;
        }
        match self.high {
            // 1 − Φ(38) is 3e-316.
            high if high > 38.5 => Enclosure::new(1.0, 0.0, UNDERFLOW_ERROR),
            high if high < -36.0 => self.normal_tail(),
            _ => Enclosure::function(self.to_double_double().normal_cdf(), self.max_normal_density() * self.radius),
        }
    }

    pub(crate) fn normal_density(self) -> Enclosure {
        if self.is_unknown() || self.radius > 0.5 {
            return Enclosure::UNKNOWN;
        }
        if self.high.abs() > 36.0 {
            return self.normal_tail();
        }
        // |φ′| = |x|·φ.
        let spread = self.max_normal_density() * self.max_magnitude() * self.radius;
        Enclosure::function(self.to_double_double().normal_density(), spread)
    }

    /// Returns Φ and φ far from 0: underflowed, or undecided.
    fn normal_tail(self) -> Enclosure {
        // Both are below e^(−x²/2) < 2^(−0.72·x²).
        let least = self.high.abs() - 1.0;
        #[allow(clippy::cast_possible_truncation)]
        let binades = (0.72 * least * least).min(1e9) as i64 - 1101;
        Enclosure::underflowed(binades).unwrap_or(Enclosure::UNKNOWN)
    }

    pub(crate) fn sin(self) -> Enclosure {
        if self.is_zero() {
            return self;
        }
        if self.high.abs() < SAFE_MIN {
            return Enclosure::up_to(self.max_magnitude());
        }
        self.circular(DoubleDouble::sin)
    }

    pub(crate) fn cos(self) -> Enclosure {
        if self.is_zero() {
            return Enclosure::exactly(1.0);
        }
        self.circular(DoubleDouble::cos)
    }

    /// Returns a sine or cosine. Where it is near 0, the reduction of x to a quarter turn adds up to 2⁻¹⁵⁸·|x| to its error.
    fn circular(self, function: fn(DoubleDouble) -> DoubleDouble) -> Enclosure {
        if self.is_unknown() || self.radius > 0.5 || self.high.abs() > MAX_REDUCED {
            return Enclosure::UNKNOWN;
        }
        let reduction = self.high.abs() * REDUCTION_ERROR;
        Enclosure::function(function(self.to_double_double()), self.radius + reduction)
    }

    pub(crate) fn tanh(self) -> Enclosure {
        if self.is_zero() {
            return self;
        }
        if self.is_unknown() {
            return Enclosure::UNKNOWN;
        }
        if self.high.abs() < SAFE_MIN {
            return Enclosure::up_to(self.max_magnitude());
        }
        if self.high.abs() > 40.0 {
            // 1 − tanh 40 is 3.6e-35.
            return Enclosure::new(self.high.signum(), 0.0, round_up(4e-35 + self.radius));
        }
        Enclosure::function(self.to_double_double().tanh(), self.radius)
    }
}
