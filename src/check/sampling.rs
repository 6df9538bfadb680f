//! The entries and random directions of a gradient that are checked.

use super::arrays::{flat_entry, unravel_index};
use super::case::GradientTarget;
use super::derivative::Direction;
use super::finding::{EntryCheck, Finding};
use super::options::CheckOptions;
use crate::core::rng::SplitMix64;
use ndarray::ArrayD;

/// Returns the flat indices of the entries that can be differentiated by. Infinite entries are masked, and their gradient
/// must be 0. Other entries without a derivative are skipped and counted in a note.
pub(super) fn differentiable_entries(
    target: &GradientTarget,
    operand: &ArrayD<f64>,
    gradient: &ArrayD<f64>,
    finding: &mut Finding,
) -> Vec<usize> {
    let columns = operand.shape().last().copied().unwrap_or(1).max(1);
    let skipped_rows = target.surrogate.as_ref().map_or(&[][..], |surrogate| surrogate.skipped_rows.as_slice());
    let (mut open, mut masked, mut nan) = (Vec::new(), 0, 0);
    for (n, (&value, &analytic)) in operand.iter().zip(gradient).enumerate() {
        if skipped_rows.iter().any(|(row, _)| *row == n / columns) {
            continue;
        }
        if value.is_nan() {
            nan += 1;
        } else if value.is_infinite() {
            masked += 1;
            let index = Some(unravel_index(n, gradient.shape()));
            finding.record(EntryCheck { index, analytic, numeric: 0.0, error_bar: 0.0, allowed: 0.0, step: 0.0 });
        } else {
            open.push(n);
        }
    }
    finding.checked = masked;
    if masked > 0 {
        finding.notes.push(format!("masked (infinite) entries, whose gradient must be 0: {masked}"));
    }
    if nan > 0 {
        finding.notes.push(format!("NaN entries that were not checked: {nan}"));
    }
    open
}

/// Returns every open entry as a direction, or a sample of them and random directions.
pub(super) fn draw_directions(
    open: &[usize],
    operand: &ArrayD<f64>,
    options: &CheckOptions<'_>,
    rng: &mut SplitMix64,
) -> (Vec<Direction>, Vec<Direction>) {
    let entry = |&n: &usize| Direction { entries: vec![(n, 1.0)], size: step_scale(operand, n) };
    if open.len() <= options.max_entries {
        return (open.iter().map(entry).collect(), Vec::new());
    }
    let mut sample: Vec<usize> = (0..options.max_entries).map(|_| open[rng.index(open.len())]).collect();
    sample.sort_unstable();
    sample.dedup();
    let mut random = || open.iter().map(|&n| (n, rng.sign() * step_scale(operand, n).min(1.0))).collect();
    let random = (0..options.directions).map(|_| Direction { entries: random(), size: 1.0 }).collect();
    (sample.iter().map(entry).collect(), random)
}

/// Returns the magnitude of an entry, which step sizes are relative to; 1 if it is 0.
pub(super) fn step_scale(operand: &ArrayD<f64>, flat: usize) -> f64 {
    let value = flat_entry(operand, flat);
    if value == 0.0 || !value.is_finite() { 1.0 } else { value.abs() }
}
