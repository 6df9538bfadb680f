//! The entries and random directions of a gradient that are checked.

use super::arrays::{flat_entry, unravel_index};
use super::case::GradientTarget;
use super::finding::{EntryCheck, Finding};
use super::function::Direction;
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
    let is_skipped = |n: usize| {
        if target.defined.binary_search(&n).is_ok() {
            return true;
        }
        let surrogate = target.surrogate.as_ref();
        surrogate.is_some_and(|s| s.skipped_rows.iter().any(|(row, _)| *row == s.lanes.lane_of(n)))
    };
    let (mut open, mut masked, mut nan) = (Vec::new(), 0, 0);
    for (n, (&value, &analytic)) in operand.iter().zip(gradient).enumerate() {
        if is_skipped(n) {
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
    if !target.defined.is_empty() {
        let count = target.defined.len();
        finding.notes.push(format!("entries that are a definition of the layer, which no derivative checks: {count}"));
    }
    if nan > 0 {
        finding.notes.push(format!("NaN entries that were not checked: {nan}"));
    }
    open
}

/// Returns the direction of one entry.
pub(super) fn entry_direction(operand: &ArrayD<f64>, entry: usize) -> Direction {
    Direction { entries: vec![(entry, 1.0)], size: step_scale(operand, entry) }
}

/// Part of an entry that a step must change, or it would be lost in rounding.
const SMALLEST_PART: f64 = 1.0 / (1u64 << 40) as f64;

/// Returns a direction that changes each of the entries by a random part, from a half to all, of its size or of 1. Its signs are
/// random, or those of a gradient, along which an error in scale is largest.
pub(super) fn random_direction(
    operand: &ArrayD<f64>,
    entries: &[usize],
    gradient: Option<&ArrayD<f64>>,
    rng: &mut SplitMix64,
) -> Direction {
    let weight = |&n: &usize| {
        let (size, part, random_sign) = (step_scale(operand, n), 0.75 + rng.dyadic() / 8.0, rng.sign());
        let sign = gradient.map(|gradient| flat_entry(gradient, n)).filter(|g| g.abs() > 0.0);
        (n, sign.map_or(random_sign, f64::signum) * part * size.min(1.0).max(size * SMALLEST_PART))
    };
    Direction { entries: entries.iter().map(weight).collect(), size: 1.0 }
}

/// Returns the magnitude of an entry, which step sizes are relative to; 1 if it is 0.
pub(super) fn step_scale(operand: &ArrayD<f64>, flat: usize) -> f64 {
    let value = flat_entry(operand, flat);
    if value == 0.0 || !value.is_finite() { 1.0 } else { value.abs() }
}
