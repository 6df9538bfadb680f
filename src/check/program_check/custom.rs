//! Checks the gradients of a layer that only the program knows against numerical derivatives.

use super::ProgramChecker;
use crate::check::calls::{Call, is_within};
use crate::check::case::GradientTarget;
use crate::check::diagnosis::Diagnosis;
use crate::check::finding::{Baseline, Finding, Verdict};
use crate::check::implementation::Point;
use crate::check::kept::{ACCUMULATED, STALE};
use crate::check::mistakes::{LINEAR_MISTAKES, LOWER_PRECISION};
use crate::check::number_format::are_single;
use crate::check::numerical::Comparison;
use crate::core::error::Error;
use crate::numeric::FloatType;
use ndarray::ArrayD;

impl ProgramChecker<'_> {
    /// Returns the numerical gradient at the first point for a dout of ones.
    fn gradient_for_ones(
        &mut self,
        target: &GradientTarget,
        gradient: &ArrayD<f64>,
    ) -> Result<Option<ArrayD<f64>>, Error> {
        let first = &self.calls[0];
        let point = Point { dout: first.point.dout.as_ref().map(|dout| dout.mapv(|_| 1.0)), ..first.point.clone() };
        let call = Call { point, evaluation: first.evaluation.clone(), reference: None, is_stress: false };
        Ok(self.compare_with_own_forward(target, &call, gradient)?.right)
    }

    /// Compares a gradient of a layer that only the program knows.
    pub(super) fn check_custom_gradient(
        &mut self,
        target: &GradientTarget,
        gradient: &ArrayD<f64>,
    ) -> Result<Vec<Finding>, Error> {
        let calls = self.calls;
        // The same point asked again gives the same gradient.
        for n in [1, 3] {
            let Some(call) = calls.get(n) else { continue };
            let again = call.evaluation.gradients.get(&target.name);
            let is_steady = |again: &&ArrayD<f64>| is_within(again, gradient, self.options.nondeterminism);
            if let Some(again) = again.filter(|again| !is_steady(again)) {
                let finding = Finding::new(&target.name, true, Baseline::NumericalGradient, gradient.shape());
                let note = format!("call {} at the same point gives another gradient than the first", n + 1);
                let mut diagnoses = self.diagnose_later(target, n, again, gradient, &finding);
                diagnoses.retain(|diagnosis| [ACCUMULATED, STALE].contains(&diagnosis.kind));
                if diagnoses.is_empty() {
                    let explanation = "does it use values that were saved in an earlier call?".to_owned();
                    diagnoses.push(Diagnosis { kind: STALE, explanation });
                }
                let (verdict, wrong, notes) = (Verdict::Fail, gradient.len(), vec![note]);
                return Ok(vec![Finding { verdict, wrong, notes, diagnoses, ..finding }]);
            }
        }
        let Comparison { mut finding, right, sample } = self.compare_with_own_forward(target, &calls[0], gradient)?;
        if let (Verdict::Fail, Some(worst)) = (finding.verdict, &finding.worst) {
            finding.diagnoses = if let Some(right) = &right {
                let for_ones = self.gradient_for_ones(target, gradient)?;
                self.diagnose(target, &calls[0], gradient, right, Some(worst), for_ones.as_ref())
            } else {
                let [projected, right] = &sample;
                let diagnoses = self.diagnose(target, &calls[0], projected, right, Some(worst), None);
                diagnoses
                    .into_iter()
                    .filter(|diagnosis| right.len() > 2 && LINEAR_MISTAKES.contains(&diagnosis.kind))
                    .collect()
            };
        }
        if finding.verdict != Verdict::Pass {
            return Ok(vec![finding]);
        }
        if let Some(other) = calls.get(2)
            && let Some(gradient) = other.evaluation.gradients.get(&target.name)
        {
            let Comparison { finding: mut later, right, .. } =
                self.compare_with_own_forward(target, other, gradient)?;
            if later.verdict == Verdict::Fail {
                let right = right.as_ref();
                later.diagnoses =
                    right.map(|right| self.diagnose_later(target, 2, gradient, right, &later)).unwrap_or_default();
                return Ok(vec![later]);
            }
            // The point has numbers that only doubles hold.
            let values: Vec<f64> = gradient.iter().copied().collect();
            if self.options.float_type == Some(FloatType::F64) && are_single(&values) {
                let explanation = "all of its entries are numbers of f32; is a part of it computed in f32?".to_owned();
                finding.diagnoses = vec![Diagnosis { kind: LOWER_PRECISION, explanation }];
                (finding.verdict, finding.wrong) = (Verdict::Fail, finding.checked);
            }
        }
        Ok(vec![finding])
    }
}
