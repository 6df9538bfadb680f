//! f64: sums and differences keep the rounding errors that the definitions drop.

use super::double_double::DoubleDouble;
use super::scalar::Scalar;
use crate::simd::error_free::two_sum;

impl Scalar for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
    // libm's functions round the same on every system; those of the standard library do not.
    fn exp(self) -> Self {
        libm::exp(self)
    }
    fn exp_m1(self) -> Self {
        libm::expm1(self)
    }
    fn ln(self) -> Self {
        libm::log(self)
    }
    fn ln_1p(self) -> Self {
        libm::log1p(self)
    }
    fn tanh(self) -> Self {
        libm::tanh(self)
    }
    /// The square root of a double is correctly rounded on every system.
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    fn sin(self) -> Self {
        libm::sin(self)
    }
    fn cos(self) -> Self {
        libm::cos(self)
    }
    fn normal_cdf(self) -> Self {
        DoubleDouble::from_f64(self).normal_cdf().to_f64()
    }
    fn normal_density(self) -> Self {
        DoubleDouble::from_f64(self).normal_density().to_f64()
    }

    /// e^(hi + lo) = e^hi·(1 + lo) + O(lo²), where hi + lo is x − shift exactly.
    fn exp_shifted(x: f64, shift: f64) -> f64 {
        let (high, low) = two_sum(x, -shift);
        let power = Scalar::exp(high);
        // Far below the smallest subnormal, and for masked logits, low may be NaN; the power is 0 all the same.
        if power == 0.0 { power } else { power + power * low }
    }

    fn log_shifted(x: f64, shift: f64, log: f64) -> f64 {
        let (high, low) = two_sum(x, -shift);
        let (difference, error) = two_sum(high, -log);
        if difference.is_finite() { difference + (low + error) } else { difference }
    }

    /// (d + e)² = d² + 2de + O(e²), where d + e is a − b exactly.
    fn squared_difference(a: f64, b: f64) -> f64 {
        let (difference, error) = two_sum(a, -b);
        let square = difference * difference;
        if square.is_finite() { square + 2.0 * difference * error } else { square }
    }

    /// log(s + r) = log s + r/s + O((r/s)²), where s + r is a + b exactly.
    fn ln_sum(a: f64, b: f64) -> f64 {
        let (sum, rest) = two_sum(a, b);
        let log = Scalar::ln(sum);
        if sum > 0.0 && sum.is_finite() { log + rest / sum } else { log }
    }

    /// The quotient is corrected by its remainder, and by the rounding error of 1 + x.
    fn over_one_plus(self) -> f64 {
        let (sum, rest) = two_sum(1.0, self);
        let quotient = self / sum;
        quotient + (libm::fma(-quotient, sum, self) - quotient * rest) / sum
    }

    /// Neumaier's sum: the errors of all additions are added at the end.
    fn sum(terms: impl Iterator<Item = f64>) -> f64 {
        add_error(sum_with_error(terms))
    }
}

/// Returns the rounded sum, and the sum of the errors of its additions.
pub(crate) fn sum_with_error(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    terms.fold((0.0, 0.0), |(sum, rest), term| {
        let (sum, error) = two_sum(sum, term);
        (sum, rest + error)
    })
}

/// Returns sum + error; the sum alone where the error is not finite, as after an overflow.
pub(crate) fn add_error((sum, error): (f64, f64)) -> f64 {
    if error.is_finite() { sum + error } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::DoubleDouble;

    #[test]
    fn tanh_is_its_definition() {
        for x in (-4000..4000).map(|n| f64::from(n) / 999.0).chain([1e-300, -1e-9, 40.0, -1000.0, f64::INFINITY]) {
            // Double-doubles have the default body.
            let (hook, definition) = (<f64 as Scalar>::tanh(x), DoubleDouble::from_f64(x).tanh().to_f64());
            assert!((hook - definition).abs() <= 4.0 * f64::EPSILON * hook.abs(), "{x}: {hook} {definition}");
        }
        assert!(DoubleDouble::from_f64(f64::NAN).tanh().is_nan());
    }

    #[test]
    fn a_sum_keeps_what_addition_drops() {
        assert_eq!(f64::sum([1e100, 1.0, -1e100].into_iter()), 1.0);
    }

    #[test]
    fn an_empty_sum_is_plus_zero() {
        assert!(f64::sum(std::iter::empty()).is_sign_positive());
    }

    #[test]
    fn a_sum_over_infinities_is_what_ieee_says() {
        assert_eq!(f64::sum([f64::INFINITY, 1.0].into_iter()), f64::INFINITY);
        assert!(f64::sum([f64::INFINITY, f64::NEG_INFINITY].into_iter()).is_nan());
    }

    #[test]
    fn a_masked_logit_has_power_zero() {
        assert_eq!(f64::exp_shifted(f64::NEG_INFINITY, 3.0), 0.0);
    }

    #[test]
    fn a_difference_that_rounds_keeps_its_error() {
        // 5e-14 − 700 rounds to −700; its power is e^−700·(1 + 5e-14), 225 ulps away.
        let ratio = f64::exp_shifted(5e-14, 700.0) / Scalar::exp(-700.0f64);
        assert!((ratio - 1.0 - 5e-14).abs() < 5e-16, "{ratio}");
    }
}
