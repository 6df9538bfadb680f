//! Numbers with a bound on their rounding error.
//!
//! Running error analysis: next to each number stands a bound, to first order, of the error that a program makes that computes the
//! same formula in a floating-point type (N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.3).
//! Where a formula has a more exact form than the textbook's, the bound is that of the textbook's form, so that both are within it.

use super::float_type::FloatType;
use super::scalar::Scalar;
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Unit roundoffs by which a program's exp, log and tanh may be off: libraries for GPUs allow a few units in the last place.
const FUNCTION_ROUNDINGS: f64 = 4.0;

/// Roundings of a result of a form that does not overflow, where the textbook's form does.
pub(crate) const STABLE_ROUNDINGS: f64 = 64.0;

/// The arithmetic of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arithmetic {
    /// The type of inputs, intermediate numbers and results.
    pub float_type: FloatType,
    /// The type that sums are accumulated in.
    pub accumulator: FloatType,
}

/// A bound of an error, as coefficients of what it depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorBound {
    /// Coefficient of the type's unit roundoff.
    roundings: f64,
    /// Coefficient of the accumulator's unit roundoff.
    accumulations: f64,
    /// Coefficient of the type's smallest normal number, by which numbers that underflow are off.
    underflows: f64,
}

impl ErrorBound {
    /// Returns the bound in an arithmetic.
    pub fn in_arithmetic(self, arithmetic: Arithmetic) -> f64 {
        self.roundings * arithmetic.float_type.unit_roundoff()
            + self.accumulations * arithmetic.accumulator.unit_roundoff()
            + self.underflows * arithmetic.float_type.smallest_normal()
    }

    fn scaled(self, factor: f64) -> ErrorBound {
        // A factor of 0 removes even an infinite error.
        let scale =
            |coefficient: f64| if factor == 0.0 || coefficient == 0.0 { 0.0 } else { coefficient * factor.abs() };
        ErrorBound {
            roundings: scale(self.roundings),
            accumulations: scale(self.accumulations),
            underflows: scale(self.underflows),
        }
    }

    fn plus(self, other: ErrorBound) -> ErrorBound {
        ErrorBound {
            roundings: self.roundings + other.roundings,
            accumulations: self.accumulations + other.accumulations,
            underflows: self.underflows + other.underflows,
        }
    }
}

/// A number with a bound on its rounding error. Compared by its value.
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    value: f64,
    error: ErrorBound,
}

impl Bounded {
    /// Returns an input, which is rounded if the type does not hold it.
    pub fn input(value: f64, float_type: FloatType) -> Bounded {
        if float_type.holds(value) { Bounded::exact(value) } else { Bounded::exact(value).rounded(1.0) }
    }

    /// Returns the bound of the number's error.
    pub fn error(self) -> ErrorBound {
        self.error
    }

    /// Returns the value, and the coefficients of its error: of the unit roundoff, of the accumulator's and of underflow.
    pub(crate) fn components(self) -> [f64; 4] {
        let ErrorBound { roundings, accumulations, underflows } = self.error;
        [self.value, roundings, accumulations, underflows]
    }

    /// Returns the number with these components.
    pub(crate) fn from_components([value, roundings, accumulations, underflows]: [f64; 4]) -> Bounded {
        Bounded { value, error: ErrorBound { roundings, accumulations, underflows } }
    }

    /// Returns true for 0, 1 and −1, by which products are exact.
    pub(crate) fn is_exact_factor(self) -> bool {
        self.value == 0.0 || self.value.abs() == 1.0
    }

    fn exact(value: f64) -> Bounded {
        Bounded { value, error: ErrorBound::default() }
    }

    /// Returns a number with the error of `units` roundings more.
    fn rounded(mut self, units: f64) -> Bounded {
        self.error.roundings += units * self.value.abs();
        self
    }

    /// Returns the stable form's value with the larger of both forms' errors. What underflows or overflows in the textbook's form is no
    /// excuse where the stable form has a value.
    pub(super) fn with_error_of(mut self, textbook: Bounded) -> Bounded {
        if !(textbook.error.roundings + textbook.error.accumulations).is_finite() {
            self.error.roundings = self.error.roundings.max(STABLE_ROUNDINGS * self.value.abs());
            return self;
        }
        self.error.roundings = self.error.roundings.max(textbook.error.roundings);
        self.error.accumulations = self.error.accumulations.max(textbook.error.accumulations);
        self
    }

    /// Returns a function's value, given its derivative.
    fn function(self, value: f64, derivative: f64) -> Bounded {
        let mut result = Bounded { value, error: self.error.scaled(derivative) }.rounded(FUNCTION_ROUNDINGS);
        result.error.underflows += 1.0;
        result
    }
}

impl Add for Bounded {
    type Output = Bounded;
    fn add(self, other: Bounded) -> Bounded {
        Bounded { value: self.value + other.value, error: self.error.plus(other.error) }.rounded(1.0)
    }
}

impl Sub for Bounded {
    type Output = Bounded;
    fn sub(self, other: Bounded) -> Bounded {
        self + -other
    }
}

impl Mul for Bounded {
    type Output = Bounded;
    fn mul(self, other: Bounded) -> Bounded {
        let error = self.error.scaled(other.value).plus(other.error.scaled(self.value));
        let mut product = Bounded { value: self.value * other.value, error };
        if !self.is_exact_factor() && !other.is_exact_factor() {
            product = product.rounded(1.0);
            product.error.underflows += 1.0;
        }
        product
    }
}

impl Div for Bounded {
    type Output = Bounded;
    fn div(self, other: Bounded) -> Bounded {
        let value = self.value / other.value;
        let error = self.error.plus(other.error.scaled(value)).scaled(1.0 / other.value);
        let mut quotient = Bounded { value, error };
        if self.value != 0.0 && other.value.abs() != 1.0 {
            // A quotient may be computed as a product by the reciprocal.
            quotient = quotient.rounded(2.0);
            quotient.error.underflows += 1.0;
        }
        quotient
    }
}

impl Neg for Bounded {
    type Output = Bounded;
    fn neg(self) -> Bounded {
        Bounded { value: -self.value, error: self.error }
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Bounded) -> bool {
        self.value == other.value
    }
}

impl PartialOrd for Bounded {
    fn partial_cmp(&self, other: &Bounded) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl Scalar for Bounded {
    /// Returns a constant of a formula, which is rounded unless every type holds it.
    fn from_f64(value: f64) -> Self {
        let is_exact = FloatType::ALL.into_iter().all(|float_type| float_type.holds(value));
        if is_exact { Bounded::exact(value) } else { Bounded::exact(value).rounded(1.0) }
    }
    fn to_f64(self) -> f64 {
        self.value
    }
    fn exp(self) -> Self {
        let value = Scalar::exp(self.value);
        self.function(value, value)
    }
    fn sqrt(self) -> Self {
        let value = Scalar::sqrt(self.value);
        self.function(value, 0.5 / value)
    }
    /// As eˣ − 1, which cancels near 0.
    fn exp_m1(self) -> Self {
        self.exp() - Bounded::exact(1.0)
    }
    fn ln(self) -> Self {
        self.function(Scalar::ln(self.value), 1.0 / self.value)
    }
    /// As log(1 + x), where the sum is rounded.
    fn ln_1p(self) -> Self {
        let sum = Bounded::exact(1.0) + self;
        sum.function(Scalar::ln_1p(self.value), 1.0 / sum.value)
    }
    /// As (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ), whose numerator cancels near 0.
    fn tanh(self) -> Self {
        let value = Scalar::tanh(self.value);
        let mut result = self.function(value, 1.0 - value * value);
        result.error.roundings += FUNCTION_ROUNDINGS;
        result
    }
    /// A program's sine may be off by a few units of 1, also where it is near 0.
    fn sin(self) -> Self {
        let mut result = self.function(Scalar::sin(self.value), Scalar::cos(self.value));
        result.error.roundings += FUNCTION_ROUNDINGS;
        result
    }
    fn cos(self) -> Self {
        let mut result = self.function(Scalar::cos(self.value), Scalar::sin(self.value));
        result.error.roundings += FUNCTION_ROUNDINGS;
        result
    }
    /// As (1 + erf(x/√2))/2, where the sum cancels for negative x.
    fn normal_cdf(self) -> Self {
        let mut result = self.function(Scalar::normal_cdf(self.value), Scalar::normal_density(self.value));
        result.error.roundings += FUNCTION_ROUNDINGS;
        result
    }
    /// With a rounding of the exponent −x²/2.
    fn normal_density(self) -> Self {
        let value = Scalar::normal_density(self.value);
        let mut result = self.function(value, self.value * value);
        result.error.roundings += self.value * self.value * value;
        result
    }
    /// In any order: each of the additions is off by at most a rounding of the sum of magnitudes.
    fn sum(terms: impl Iterator<Item = Self>) -> Self {
        let (mut sum, mut magnitude, mut count) = (Bounded::exact(0.0), 0.0, 0.0);
        for term in terms {
            sum = Bounded { value: sum.value + term.value, error: sum.error.plus(term.error) };
            magnitude += term.value.abs();
            count += 1.0;
        }
        if count > 1.0 {
            sum.error.accumulations += (count - 1.0) * magnitude;
            sum = sum.rounded(1.0);
        }
        sum
    }
    fn stable_or_textbook(stable: impl FnOnce() -> Self, textbook: impl FnOnce() -> Self) -> Self {
        stable().with_error_of(textbook())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SINGLE: Arithmetic = Arithmetic { float_type: FloatType::F32, accumulator: FloatType::F32 };

    /// Formulas in single precision; functions are computed in double precision and rounded.
    impl Scalar for f32 {
        #[allow(clippy::cast_possible_truncation)] // rounding is what this scalar is for
        fn from_f64(value: f64) -> f32 {
            value as f32
        }
        fn to_f64(self) -> f64 {
            f64::from(self)
        }
        fn exp(self) -> f32 {
            f32::from_f64(Scalar::exp(f64::from(self)))
        }
        fn ln(self) -> f32 {
            f32::from_f64(Scalar::ln(f64::from(self)))
        }
        fn ln_1p(self) -> f32 {
            f32::from_f64(Scalar::ln_1p(f64::from(self)))
        }
        fn sqrt(self) -> f32 {
            f32::sqrt(self)
        }
        fn tanh(self) -> f32 {
            f32::from_f64(Scalar::tanh(f64::from(self)))
        }
        fn sin(self) -> f32 {
            f32::from_f64(Scalar::sin(f64::from(self)))
        }
        fn cos(self) -> f32 {
            f32::from_f64(Scalar::cos(f64::from(self)))
        }
        fn normal_cdf(self) -> f32 {
            f32::from_f64(f64::from(self).normal_cdf())
        }
        fn normal_density(self) -> f32 {
            f32::from_f64(f64::from(self).normal_density())
        }
    }

    proptest! {
        #[test]
        fn a_formula_in_single_precision_is_within_its_bound(x in prop::collection::vec(-20.0..20.0f32, 1..30), a in -8.0..8.0f32) {
            fn formula<S: Scalar>(x: &[S], a: S) -> S {
                let total = S::sum(x.iter().map(|&x| x * a)) + x[0].normal_cdf() * x[0].normal_density() + x[0].exp_m1() / x[0].exp();
                let ratio = total / (S::one() + (total * total));
                (ratio - a).exp() * (S::tanh(total) + S::sin(a) * S::cos(ratio))
                    - (S::one() + a * a).ln() * (total * total + S::one()).sqrt()
            }
            let single = formula::<f32>(&x, a);
            let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let exact = formula::<f64>(&wide, f64::from(a));
            let bounded: Vec<Bounded> = wide.iter().map(|&x| Bounded::input(x, FloatType::F32)).collect();
            let bound = formula(&bounded, Bounded::input(f64::from(a), FloatType::F32)).error().in_arithmetic(SINGLE);
            prop_assert!((f64::from(single) - exact).abs() <= bound, "{} {} {}", single, exact, bound);
        }
    }

    #[test]
    fn the_bound_of_a_cancellation_is_that_of_its_operands() {
        let y = Bounded::input(0.1, FloatType::F64) / Bounded::exact(0.3);
        let difference = y - Bounded::exact(1.0 / 3.0);
        let bound =
            difference.error().in_arithmetic(Arithmetic { float_type: FloatType::F64, accumulator: FloatType::F64 });
        assert!(difference.to_f64().abs() < 1e-16 && (0.5e-16..5e-16).contains(&bound), "{bound}");
        assert_eq!((y * Bounded::exact(0.0)).error(), ErrorBound::default());
    }
}
