//! Richardson extrapolation of difference quotients to step size 0, with Ridders' error estimate.

use crate::numeric::{DoubleDouble, Scalar};

/// A numerical derivative.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// The derivative.
    pub value: f64,
    /// Its estimated error.
    pub error_bar: f64,
    /// The smallest step size that it was computed from.
    pub step: f64,
}

impl Estimate {
    /// No estimate.
    pub(super) const NONE: Estimate = Estimate { value: f64::NAN, error_bar: f64::INFINITY, step: 0.0 };

    /// Takes the other estimate if its error bar is smaller.
    pub(super) fn improve(&mut self, other: Estimate) {
        if other.error_bar < self.error_bar {
            *self = other;
        }
    }
}

/// A difference quotient.
pub(super) struct Quotient {
    pub(super) value: DoubleDouble,
    /// Its error from rounding of the outputs.
    pub(super) noise: f64,
    /// The step size.
    pub(super) step: f64,
}

/// Extrapolates difference quotients, the largest step first, to step size 0. Each has a truncation error that is smaller
/// than the one before by `factor`.
pub(super) fn extrapolate(quotients: &[Quotient], factor: f64) -> Estimate {
    let mut best = Estimate::NONE;
    let mut previous: Vec<DoubleDouble> = Vec::new();
    for quotient in quotients {
        let mut row = vec![quotient.value];
        let mut power = 1.0;
        for (order, &above) in previous.iter().enumerate() {
            power *= factor;
            let left = row[order];
            let value = left + (left - above) / DoubleDouble::from_f64(power - 1.0);
            let truncation = (value - left).abs().to_f64().max((value - above).abs().to_f64());
            let error_bar = 2.0 * truncation + 1.5 * quotient.noise;
            best.improve(Estimate { value: value.to_f64(), error_bar, step: quotient.step });
            row.push(value);
        }
        previous = row;
    }
    // The value itself is rounded to a double.
    Estimate { error_bar: best.error_bar + best.value.abs() * f64::EPSILON, ..best }
}
