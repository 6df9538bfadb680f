//! The operations on single numbers that formulas are made of.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number that a layer computes with. A default body is the definition of its operation; a scalar overrides it to be more
/// accurate or to record the operation, never to mean something else.
///
/// Comparison is for inputs only: a formula branches on its inputs, never on what it computed, so that every scalar takes the
/// same path.
pub trait Scalar:
    Copy
    + Debug
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Returns the number nearest to a double.
    fn from_f64(value: f64) -> Self;
    /// Returns the nearest double.
    fn to_f64(self) -> f64;
    /// Returns eˣ.
    fn exp(self) -> Self;
    /// Returns the natural logarithm.
    fn ln(self) -> Self;
    /// Returns log(1 + x), accurate near 0.
    fn ln_1p(self) -> Self;

    /// Returns the square root, NaN for a negative number.
    fn sqrt(self) -> Self;

    /// Returns eˣ − 1, accurate near 0, as tanh(x/2)·(eˣ + 1).
    fn exp_m1(self) -> Self {
        (self * Self::from_f64(0.5)).tanh() * (self.exp() + Self::one())
    }
    /// Returns sin x, x in radians.
    fn sin(self) -> Self;
    /// Returns cos x, x in radians.
    fn cos(self) -> Self;
    /// Returns Φ(x), the probability that a normally distributed number is below x.
    fn normal_cdf(self) -> Self;
    /// Returns φ(x) = e^(−x²/2)/√(2π), the derivative of [`normal_cdf`](Scalar::normal_cdf).
    fn normal_density(self) -> Self;

    /// Returns 0.
    fn zero() -> Self {
        Self::from_f64(0.0)
    }

    /// Returns 1.
    fn one() -> Self {
        Self::from_f64(1.0)
    }

    /// Returns true if x is NaN: in every scalar, only NaN differs from itself.
    #[allow(clippy::eq_op)]
    fn is_nan(self) -> bool {
        self != self
    }

    /// Returns e^(x − shift), for x ≤ shift.
    fn exp_shifted(x: Self, shift: Self) -> Self {
        (x - shift).exp()
    }

    /// Returns (x − shift) − log.
    fn log_shifted(x: Self, shift: Self, log: Self) -> Self {
        (x - shift) - log
    }

    /// Returns (a − b)².
    fn squared_difference(a: Self, b: Self) -> Self {
        let difference = a - b;
        difference * difference
    }

    /// Returns log(a + b).
    fn ln_sum(a: Self, b: Self) -> Self {
        (a + b).ln()
    }

    /// Returns x/(1 + x), for x ≥ 0.
    fn over_one_plus(self) -> Self {
        self / (Self::one() + self)
    }

    /// Returns tanh x. Near 0, where e^2x − 1 cancels, it is Lambert's continued fraction x/(1 + x²/(3 + x²/(5 + …))), of which
    /// twenty levels are within 10⁻⁴⁸ of the value for |x| ≤ 1.
    fn tanh(self) -> Self {
        let (one, two) = (Self::one(), Self::from_f64(2.0));
        if self > one {
            let power = (-(two * self)).exp();
            (one - power) / (one + power)
        } else if self < -one {
            let power = (two * self).exp();
            -((one - power) / (one + power))
        } else {
            let square = self * self;
            let level = |rest: Self, odd: i32| Self::from_f64(f64::from(odd)) + square / rest;
            self / (0..20).rev().map(|n| 2 * n + 1).fold(Self::from_f64(41.0), level)
        }
    }

    /// Returns `value` where x is positive, NaN where x is NaN, else 0.
    fn if_positive(self, value: Self) -> Self {
        if self > Self::zero() {
            value
        } else if self.is_nan() {
            self
        } else {
            Self::zero()
        }
    }

    /// Returns |x|.
    fn abs(self) -> Self {
        if self < Self::zero() { -self } else { self }
    }

    /// Returns x, or `least` or `most` where x is at it or beyond it.
    fn clip(self, least: Self, most: Self) -> Self {
        if self <= least {
            least
        } else if self >= most {
            most
        } else {
            self
        }
    }

    /// Returns Σ terms.
    fn sum(terms: impl Iterator<Item = Self>) -> Self {
        terms.fold(Self::zero(), |sum, term| sum + term)
    }

    /// Returns the number itself. A scalar that records operations notes the name that the textbook has for it, `e`, and what it
    /// stands for, `e^(x − max)`.
    fn named(self, _name: &'static str, _meaning: &'static str) -> Self {
        self
    }

    /// Returns the number by the numerically stable formula. A scalar that records operations records the textbook's.
    fn stable_or_textbook(stable: impl FnOnce() -> Self, _textbook: impl FnOnce() -> Self) -> Self {
        stable()
    }

    /// Returns the rounding of what the next layer of a chain reads of a result, if that is not the number itself.
    fn round_between_layers() -> Option<fn(Self) -> Self> {
        None
    }
}
