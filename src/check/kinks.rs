//! Subgradients: at a kink, any value between the derivatives to the left and to the right is right.

use super::accuracy::Accuracy;
use super::arrays::{flat_entry, unravel_index};
use super::derivative::{Derivative, Direction};
use super::finding::{EntryCheck, Finding};
use super::reference::ReferenceResults;
use super::sampling::step_scale;
use crate::core::error::{Error, format_index};
use crate::core::name::Name;
use ndarray::ArrayD;

/// Number of kinks after which no more are looked for.
const MAX_KINKS: usize = 1000;
/// Number of kinks that the report names.
const SHOWN_KINKS: usize = 5;

/// Returns the finding without the entries that are subgradients at a kink of the reference.
pub(super) fn accept_subgradients(
    finding: Finding,
    reference: &ReferenceResults,
    name: &Name,
    gradient: &ArrayD<f64>,
    operand: &ArrayD<f64>,
    derivative: &mut Derivative<'_>,
) -> Result<Finding, Error> {
    let Some(right) = reference.values.get(name) else { return Ok(finding) };
    let mut accepted = Finding::new(name, true, finding.baseline, gradient.shape());
    accepted.notes = finding.notes;
    accepted.accuracy = finding.accuracy.map(|accuracy| Accuracy::new(accuracy.float_type));
    let (mut kinks, mut tried): (Vec<EntryCheck>, _) = (Vec::new(), 0);
    for (n, (&analytic, &numeric)) in gradient.iter().zip(right).enumerate() {
        let allowed = reference.allowed(name, n, numeric);
        let index = unravel_index(n, gradient.shape());
        let entry = EntryCheck { index: Some(index), analytic, numeric, error_bar: allowed, allowed, step: 0.0 };
        accepted.checked += 1;
        if reference.is_derivative(name, n, analytic) {
            continue;
        }
        let is_finite = analytic.is_finite() && flat_entry(operand, n).is_finite();
        if entry.excess() > 1.0 && tried < MAX_KINKS && is_finite {
            tried += 1;
            let direction = Direction { entries: vec![(n, 1.0)], size: step_scale(operand, n) };
            let [left, right] = derivative.one_sided(&direction)?;
            let bar = left.error_bar + right.error_bar;
            let (low, high) = (left.value.min(right.value), left.value.max(right.value));
            if high - low > 2.0 * bar && analytic >= low - bar - allowed && analytic <= high + bar + allowed {
                kinks.push(entry);
                continue;
            }
        }
        accepted.record(entry);
    }
    let allowed = (0..gradient.len()).zip(right).map(|(n, &right)| reference.allowed(name, n, right)).sum();
    if !kinks.is_empty() && !is_slope_together(gradient, allowed, derivative)? {
        kinks.drain(..).for_each(|entry| accepted.record(entry));
    }
    let places: Vec<String> = kinks.iter().flat_map(|kink| &kink.index).map(|at| format_index(at)).collect();
    accepted.notes.extend(describe_kinks(&places));
    Ok(accepted)
}

/// Returns false if there is no kink when all entries change alike, and the gradient is wrong there: equal entries of a maximum
/// that all have the whole slope are each possible, and not together.
fn is_slope_together(gradient: &ArrayD<f64>, allowed: f64, derivative: &mut Derivative<'_>) -> Result<bool, Error> {
    let all = Direction { entries: (0..gradient.len()).map(|n| (n, 1.0)).collect(), size: 1.0 };
    let [left, right] = derivative.one_sided(&all)?;
    let bar = left.error_bar + right.error_bar;
    let is_smooth = (left.value - right.value).abs() <= bar;
    Ok(!is_smooth || (gradient.sum() - left.value).abs() <= bar + allowed)
}

/// Returns a note with the first places of kinks.
pub(super) fn describe_kinks(kinks: &[String]) -> Option<String> {
    let shown = kinks.iter().take(SHOWN_KINKS).cloned().collect::<Vec<_>>().join(", ");
    let hidden = kinks.len().saturating_sub(SHOWN_KINKS);
    let more = if hidden > 0 { format!(" and {hidden} more") } else { String::new() };
    let note = format!("kink at {shown}{more}: any value between the two one-sided derivatives is accepted");
    (!kinks.is_empty()).then_some(note)
}
