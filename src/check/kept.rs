//! Mistakes that only a later call of the same process shows: values that were kept from an earlier call.

use super::calls::{Call, is_near};
use super::case::{Case, GradientTarget};
use super::diagnosis::Diagnosis;
use super::implementation::Point;
use super::reference::right_results;
use crate::numeric::FloatType;
use ndarray::ArrayD;

/// Kind of the mistake that a gradient contains those of earlier calls.
pub(super) const ACCUMULATED: &str = "accumulated since the last call";
/// Kind of the mistake that a gradient depends on the inputs of earlier calls.
pub(super) const STALE: &str = "stale input of an earlier call";

/// Returns what the gradient of call `n` contains of the calls before.
pub(super) fn kept_between_calls(
    case: &Case,
    calls: &[Call],
    n: usize,
    target: &GradientTarget,
    gradient: &ArrayD<f64>,
    right: &ArrayD<f64>,
) -> Option<Diagnosis> {
    let (call, before) = (&calls[n], &calls[n - 1]);
    let number = n + 1;
    let before = before.evaluation.gradients.get(&target.name).filter(|before| before.shape() == right.shape());
    if gradient.shape() == right.shape() && before.is_some_and(|before| is_near(gradient, &(before + right))) {
        let explanation = format!(
            "in call {number} of the same process it is the sum of the correct gradient and that of the call before; clear it before each call"
        );
        return Some(Diagnosis { kind: ACCUMULATED, explanation });
    }
    let is_stale = calls[..n].iter().any(|earlier| is_gradient_at(case, target, earlier, call, gradient));
    let explanation =
        format!("in call {number} of the same process it is the gradient at the inputs of an earlier call");
    is_stale.then_some(Diagnosis { kind: STALE, explanation })
}

/// Returns true if a gradient of a call is that at the inputs of an earlier call.
fn is_gradient_at(case: &Case, target: &GradientTarget, earlier: &Call, call: &Call, gradient: &ArrayD<f64>) -> bool {
    let (Some(reference), Some(dout)) = (&case.reference, &call.point.dout) else { return false };
    if reference.layer.output_shape(&earlier.point.operands) != dout.shape() {
        return false;
    }
    let point = Point { operands: earlier.point.operands.clone(), dout: Some(dout.clone()) };
    let stale = right_results(reference.layer.as_ref(), &point, FloatType::F32).take(&target.name);
    stale.is_some_and(|stale| stale.shape() == gradient.shape() && is_near(gradient, &stale))
}
