//! Checks the gradients of a layer that only the program knows against numerical derivatives.

use super::ProgramChecker;
use crate::check::calls::{Call, is_within};
use crate::check::case::GradientTarget;
use crate::check::diagnosis::{Diagnosis, OtherGradients};
use crate::check::finding::{Baseline, Finding, Verdict};
use crate::check::implementation::{Evaluation, Point};
use crate::check::kept::{ACCUMULATED, STALE};
use crate::check::mistakes::{LINEAR_MISTAKES, LOWER_PRECISION, transpose_square};
use crate::check::number_format::are_single;
use crate::check::numerical::Comparison;
use crate::core::error::Error;
use crate::numeric::FloatType;
use ndarray::ArrayD;

impl ProgramChecker<'_> {
    /// Returns numerical gradients in the cases that a wrong backward pass may have taken for the first point: a dout of ones, and,
    /// of a program that is asked without being started again, each square operand transposed.
    fn other_gradients(&mut self, target: &GradientTarget, gradient: &ArrayD<f64>) -> Result<OtherGradients, Error> {
        let first = &self.calls[0];
        let call = |point: Point, evaluation: Evaluation| Call { point, evaluation, reference: None, is_stress: false };
        let point = Point { dout: first.point.dout.as_ref().map(|dout| dout.mapv(|_| 1.0)), ..first.point.clone() };
        let for_ones = self.compare_with_own_forward(target, &call(point, first.evaluation.clone()), gradient)?.right;
        let mut transposed = Vec::new();
        let operands = first.point.operands.iter().filter(|(name, _)| **name != target.operand);
        let is_persistent = self.implementation.requests_left().is_none();
        for (name, value) in operands.filter(|_| is_persistent) {
            let Some(value) = transpose_square(value) else { continue };
            let mut point = first.point.clone();
            point.operands.insert(name.clone(), value);
            // A program may refuse the transposed operand.
            let Ok(mut evaluations) = self.implementation.evaluate(std::slice::from_ref(&point)) else { continue };
            let Some(evaluation) = evaluations.pop() else { continue };
            let right = self.compare_with_own_forward(target, &call(point, evaluation), gradient)?.right;
            transposed.extend(right.map(|right| (name.clone(), right)));
        }
        Ok(OtherGradients { for_ones, transposed })
    }

    /// Compares a gradient of a layer that only the program knows.
    pub(super) fn check_custom_gradient(
        &mut self,
        target: &GradientTarget,
        gradient: &ArrayD<f64>,
    ) -> Result<Vec<Finding>, Error> {
        let calls = self.calls;
        // A point that is asked again gives the same gradient.
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
                let others = self.other_gradients(target, gradient)?;
                self.diagnose(target, &calls[0], gradient, right, Some(worst), &others)
            } else {
                let [projected, right] = &sample;
                let diagnoses =
                    self.diagnose(target, &calls[0], projected, right, Some(worst), &OtherGradients::default());
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
