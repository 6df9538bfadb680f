//! Compares entries of a gradient with numerical derivatives, and finds mistakes that would have passed.

use super::arrays::{flat_entry, unravel_index};
use super::case::GradientTarget;
use super::extrapolation::Estimate;
use super::finding::{EntryCheck, Finding, Verdict};
use super::function::Direction;
use super::kinks::describe_kinks;
use crate::core::error::{Error, format_index};
use crate::numeric::{FloatType, Scalar};
use ndarray::{ArrayD, Axis};

/// Number of kinks after which no more are looked for.
const MAX_KINKS: usize = 1000;

/// Returns the relative error that a gradient may have: 1e-10, or 1e-4 in single precision.
pub(super) fn relative_tolerance(float_type: FloatType) -> f64 {
    match float_type {
        FloatType::F64 => 1e-10,
        FloatType::F32 => 1e-4,
        _ => 64.0 * float_type.unit_roundoff(),
    }
}

/// A function that returns the derivatives along a direction to the left and to the right.
pub(super) type OneSided<'a> = dyn FnMut(&Direction) -> Result<[Estimate; 2], Error> + 'a;

/// A gradient whose entries are compared with numerical derivatives along directions.
pub(super) struct GradientEntries<'a> {
    pub(super) gradient: &'a ArrayD<f64>,
    /// Rounding error of each entry.
    pub(super) rounding: &'a [f64],
    pub(super) target: &'a GradientTarget,
    /// The accepted relative error.
    pub(super) tolerance: f64,
    /// The upstream gradient.
    pub(super) dout: &'a ArrayD<f64>,
}

impl GradientEntries<'_> {
    /// Compares the projection of the gradient on a direction with its numerical derivative.
    pub(super) fn check(&self, direction: &Direction, estimate: &Estimate) -> EntryCheck {
        self.check_gradient(self.gradient, direction, estimate)
    }

    fn check_gradient(&self, gradient: &ArrayD<f64>, direction: &Direction, estimate: &Estimate) -> EntryCheck {
        let shape = self.gradient.shape();
        let slack = |n: usize, g: f64| {
            let surrogate = self.target.surrogate.as_ref();
            let row = surrogate.and_then(|surrogate| surrogate.row_slack.get(surrogate.lanes.lane_of(n)));
            row.map_or(0.0, |slack| slack * (g.abs() + 1.0))
        };
        let terms = direction.entries.iter().map(|&(n, weight)| (n, weight, flat_entry(gradient, n)));
        let analytic = f64::sum(terms.clone().map(|(_, weight, g)| weight * g));
        let rounding: f64 = terms.map(|(n, weight, g)| weight.abs() * (self.rounding[n] + slack(n, g))).sum();
        let error_bar = estimate.error_bar + rounding;
        let index = match direction.entries[..] {
            [(n, 1.0)] => Some(unravel_index(n, shape)),
            _ => None,
        };
        let allowed = self.tolerance * magnitude(gradient, direction) + error_bar;
        EntryCheck { index, analytic, numeric: estimate.value, error_bar, allowed, step: estimate.step }
    }

    /// Records every direction in the finding. At a kink any value between the two one-sided derivatives is accepted.
    pub(super) fn record_all(
        &self,
        checked: &[(Direction, Estimate)],
        finding: &mut Finding,
        one_sided: &mut OneSided<'_>,
    ) -> Result<(), Error> {
        let mut kinks = Vec::new();
        for (direction, estimate) in checked {
            let entry = self.check(direction, estimate);
            if let (true, Some(at)) = (entry.excess() > 1.0 && kinks.len() < MAX_KINKS, &entry.index) {
                let [left, right] = one_sided(direction)?;
                let bar = left.error_bar + right.error_bar;
                let (low, high) = (left.value.min(right.value), left.value.max(right.value));
                // The gradient itself is rounded.
                let slack = bar + (entry.allowed - estimate.error_bar);
                if high - low > 2.0 * bar && entry.analytic >= low - slack && entry.analytic <= high + slack {
                    kinks.push(format_index(at));
                    continue;
                }
            }
            finding.record(entry);
        }
        finding.notes.extend(describe_kinks(&kinks));
        Ok(())
    }

    /// Returns the size of an entry below which differences do not matter: that of the largest, or of dout if all are 0.
    fn scale(&self) -> f64 {
        let largest =
            |values: &ArrayD<f64>| values.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
        let (scale, upstream) = (largest(self.gradient), largest(self.dout));
        if scale <= 1e-12 * upstream { upstream } else { scale }
    }

    /// Returns the size of the projection on a direction below which differences do not matter.
    pub(super) fn scale_along(&self, direction: &Direction) -> f64 {
        self.scale().max(magnitude(self.gradient, direction))
    }

    /// Turns a pass into INCONCLUSIVE if the error bars are too large for the pass to mean anything.
    pub(super) fn require_small_error_bars(&self, checked: &[(Direction, Estimate)], finding: &mut Finding) {
        let scale = self.scale();
        let relative = |(direction, estimate): &(Direction, Estimate)| {
            estimate.error_bar * (scale / scale.max(magnitude(self.gradient, direction)))
        };
        let bar = checked.iter().map(relative).fold(0.0, f64::max);
        if finding.verdict == Verdict::Pass && bar > self.tolerance * scale {
            finding.verdict = Verdict::Inconclusive;
            finding.notes.push(format!(
                "the error bar {bar:.1e} exceeds {:.0e} of the largest entry {scale:.2e}: the output is too noisy for a reliable numerical gradient",
                self.tolerance
            ));
        }
    }

    /// Returns the mistakes that would have passed along all directions.
    pub(super) fn unnoticed_mistakes(&self, checked: &[(Direction, Estimate)]) -> Vec<&'static str> {
        let right = self.gradient;
        let mut mistakes = vec![("an all-zero gradient", right.mapv(|_| 0.0)), ("a scale error of 1 %", right * 1.01)];
        if let [rows, columns] = *right.shape() {
            if rows == columns && rows > 1 {
                let transposed = right.t().as_standard_layout().into_owned();
                mistakes.push(("a transposed gradient", transposed));
            }
            if rows > 1 {
                let reversed: Vec<usize> = (0..rows).rev().collect();
                mistakes.push(("a gradient whose rows are reversed", right.select(Axis(0), &reversed)));
            }
        }
        let passes = |wrong: &ArrayD<f64>| {
            let mut checked = checked.iter();
            checked.all(|(direction, estimate)| self.check_gradient(wrong, direction, estimate).excess() <= 1.0)
        };
        mistakes.into_iter().filter(|(_, wrong)| passes(wrong)).map(|(name, _)| name).collect()
    }
}

/// Returns the sum of the magnitudes that the projection on a direction adds up.
fn magnitude(gradient: &ArrayD<f64>, direction: &Direction) -> f64 {
    direction.entries.iter().map(|&(n, weight)| (weight * flat_entry(gradient, n)).abs()).sum()
}
