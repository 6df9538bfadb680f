//! Compares a program's gradient with numerical derivatives of its own forward pass.

use super::ProgramChecker;
use crate::check::arrays::max_abs;
use crate::check::calls::Call;
use crate::check::case::GradientTarget;
use crate::check::implementation::Evaluation;
use crate::check::numerical::{Comparison, Numerical, compare_with_own_forward};
use crate::core::error::Error;
use ndarray::ArrayD;

/// Most requests to find a wrong entry.
const MAX_MORE_REQUESTS: usize = 64;

/// Part of dout below which the largest gradient counts as small.
const SMALL_GRADIENT: f64 = 0.1;

/// Factor of the changes of a gradient between points that differ by rounding.
const PERTURBATION_FACTOR: f64 = 4.0;

impl ProgramChecker<'_> {
    pub(super) fn compare_with_own_forward(
        &mut self,
        target: &GradientTarget,
        call: &Call,
        gradient: &ArrayD<f64>,
    ) -> Result<Comparison, Error> {
        let left = self.implementation.requests_left().unwrap_or(usize::MAX);
        if left == 0 {
            let reason = "the program would have to be started more often; --persistent starts it once".to_owned();
            return Ok(Comparison::undecided(target, gradient, reason));
        }
        let requests = self.max_requests.min(left / self.comparisons.max(1)).max(1);
        self.comparisons = self.comparisons.saturating_sub(1);
        let numerical = Numerical {
            requests,
            more_requests: (left - requests).saturating_sub(self.comparisons).min(MAX_MORE_REQUESTS),
            case: self.case,
            options: self.options,
            format: self.format,
            point: &call.point,
            outputs: &call.evaluation.outputs,
            target,
            gradient,
            rounding: &self.rounding(target, call, gradient),
            terms: self.size_of_terms(target, call),
        };
        let comparison = compare_with_own_forward(&numerical, self.implementation, &mut self.rng)?;
        self.has_sampled |= comparison.finding.directions > 0;
        Ok(comparison)
    }

    /// Returns the size of the terms that may cancel in a gradient: that of dout, or that of the largest gradient of a custom layer if
    /// this is smaller at every point, also at one where no function is saturated.
    fn size_of_terms(&mut self, target: &GradientTarget, call: &Call) -> f64 {
        let operand = call.point.operands.get(&target.operand).map_or(0.0, max_abs);
        let upstream = call.point.dout.as_ref().map_or(0.0, max_abs) / operand.max(1.0);
        let gradients = self.calls.iter().map(|call| &call.evaluation).chain(self.perturbed);
        let size = |evaluation: &Evaluation| evaluation.gradients.get(&target.name).map_or(0.0, max_abs);
        let largest = gradients.map(size).fold(0.0, f64::max);
        if self.case.reference.is_some() || largest >= SMALL_GRADIENT * upstream {
            return upstream;
        }
        // Small gradients are those of a small function, or of a saturated one, whose terms cancel.
        match self.case.unit_point(target, self.format.float_type) {
            None => largest,
            Some(point) => {
                let size = match self.implementation.evaluate(&[point]).as_deref() {
                    Ok([evaluation]) => size(evaluation),
                    _ => f64::INFINITY,
                };
                if size.is_finite() { upstream.min(largest.max(size)) } else { upstream }
            }
        }
    }

    /// Returns the changes of a gradient between points that differ by rounding: its own rounding errors are of that size.
    fn rounding(&self, target: &GradientTarget, call: &Call, gradient: &ArrayD<f64>) -> Vec<f64> {
        let is_third = self.calls.get(2).is_some_and(|third| std::ptr::eq(third, call));
        let perturbed = self.perturbed.chunks(2).nth(usize::from(is_third)).unwrap_or_default();
        let mut rounding = vec![0.0f64; gradient.len()];
        for perturbed in perturbed.iter().filter_map(|evaluation| evaluation.gradients.get(&target.name)) {
            for (rounding, (a, b)) in rounding.iter_mut().zip(perturbed.iter().zip(gradient)) {
                let change = PERTURBATION_FACTOR * (a - b).abs();
                *rounding = if change.is_finite() { rounding.max(change) } else { *rounding };
            }
        }
        rounding
    }
}
