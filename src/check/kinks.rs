//! Subgradients: at a kink, any value between the derivatives to the left and to the right is right.

use super::accuracy::Accuracy;
use super::arrays::{flat_entry, max_abs, unravel_index};
use super::derivative::Derivative;
use super::finding::{EntryCheck, Finding};
use super::function::Direction;
use super::reference::ReferenceResults;
use super::sampling::step_scale;
use crate::core::error::{Error, format_index};
use crate::core::name::Name;
use ndarray::ArrayD;

/// Largest change, relative to an entry, that tells equal entries apart.
const TIE_BREAK: f64 = 1e-9;
/// Number of kinks after which no more are looked for.
const MAX_KINKS: usize = 1000;
/// Number of wrong entries from which no more kinks are looked for, since the result is wrong anyway.
const MAX_WRONG: usize = 8;
/// Number of kinks that the report names.
const SHOWN_KINKS: usize = 5;

/// Returns the right gradients where equal entries of an operand are made different: the last one the largest, or the first one. Where
/// several maxima choose among equal entries, a program that always takes the last has gradients that are no one-sided derivative.
pub(super) fn untied_gradients(
    operand: &ArrayD<f64>,
    gradient_at: impl Fn(ArrayD<f64>) -> Option<ArrayD<f64>>,
) -> Vec<ArrayD<f64>> {
    let unit = TIE_BREAK / operand.len().max(1) as f64;
    let largest = max_abs(operand);
    let at = |sign: f64| {
        let change = |(n, v): (usize, &f64)| {
            let size = if *v == 0.0 { largest } else { v.abs() };
            v + sign * unit * (n + 1) as f64 * size
        };
        let changed = operand.iter().enumerate().map(change).collect();
        ArrayD::from_shape_vec(operand.raw_dim(), changed).ok().and_then(&gradient_at)
    };
    [1.0, -1.0].into_iter().filter_map(at).filter(|untied| untied.len() == operand.len()).collect()
}

/// Returns the finding without the entries that are subgradients at a kink of the reference: between its one-sided derivatives, or
/// between the gradients where equal entries are made different.
pub(super) fn accept_subgradients(
    finding: Finding,
    reference: &ReferenceResults,
    name: &Name,
    gradient: &ArrayD<f64>,
    operand: &ArrayD<f64>,
    derivative: &mut Derivative<'_>,
    untied: &[ArrayD<f64>],
) -> Result<Finding, Error> {
    let Some(right) = reference.values.get(name) else { return Ok(finding) };
    let mut accepted = Finding::new(name, true, finding.baseline, gradient.shape());
    accepted.notes = finding.notes;
    accepted.accuracy = finding.accuracy.map(|accuracy| Accuracy::new(accuracy.float_type));
    let allowed = |n: usize, right: f64| reference.allowed(name, n, right);
    // The bound of an entry whose right gradient is 0 is 0, but at a kink a program may give it a sum with rounding errors.
    let at_kink = right.iter().enumerate().map(|(n, &right)| allowed(n, right)).fold(0.0, f64::max);
    let mut sorted: Vec<f64> = operand.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let has_equal =
        |v: f64| sorted.partition_point(|&other| other <= v) - sorted.partition_point(|&other| other < v) > 1;
    let (mut kinks, mut tried): (Vec<EntryCheck>, _) = (Vec::new(), 0);
    for (n, (&analytic, &numeric)) in gradient.iter().zip(right).enumerate() {
        let allowed = allowed(n, numeric);
        let index = unravel_index(n, gradient.shape());
        let entry = EntryCheck { index: Some(index), analytic, numeric, error_bar: allowed, allowed, step: 0.0 };
        accepted.checked += 1;
        if reference.is_derivative(name, n, analytic) {
            continue;
        }
        let is_finite = analytic.is_finite() && flat_entry(operand, n).is_finite();
        if entry.excess() > 1.0 && tried < MAX_KINKS && accepted.wrong < MAX_WRONG && is_finite {
            tried += 1;
            let others = || untied.iter().map(|untied| flat_entry(untied, n)).chain([numeric]);
            let (low, high) = (others().fold(numeric, f64::min), others().fold(numeric, f64::max));
            if low < high && has_equal(flat_entry(operand, n)) && (low - at_kink..=high + at_kink).contains(&analytic) {
                kinks.push(entry);
                continue;
            }
            let direction = Direction { entries: vec![(n, 1.0)], size: step_scale(operand, n) };
            let [left, right] = derivative.one_sided(&direction)?;
            let bar = left.error_bar + right.error_bar;
            let (low, high) = (left.value.min(right.value), left.value.max(right.value));
            let between = low - bar - at_kink..=high + bar + at_kink;
            if high - low > 2.0 * bar && between.contains(&analytic) {
                kinks.push(entry);
                continue;
            }
        }
        accepted.record(entry);
    }
    let allowed = right.iter().enumerate().map(|(n, &right)| allowed(n, right)).sum();
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
