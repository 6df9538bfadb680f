//! Compares a gradient with numerical derivatives of the program's own forward pass.

use super::arrays::{flat_entry, max_abs, unravel_index};
use super::case::{Case, GradientTarget};
use super::derivative::Direction;
use super::extrapolation::Estimate;
use super::finding::{Baseline, EntryCheck, Finding, Verdict};
use super::function::ImplementationFunction;
use super::implementation::{Implementation, Point};
use super::kinks::describe_kinks;
use super::number_format::NumberFormat;
use super::options::CheckOptions;
use super::sampling::{differentiable_entries, step_scale};
use super::scan::{Scan, Slopes};
use crate::core::error::{Error, format_index};
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use ndarray::ArrayD;

/// Unit roundoffs of the largest entry that an entry of a gradient may be off.
const GRADIENT_ROUNDINGS: f64 = 64.0;
/// Largest error bar, relative to the largest entry, of an estimate that decides; in unit roundoffs for half types.
const MAX_ERROR_BAR: f64 = 0.02;
const MAX_ERROR_BAR_ROUNDINGS: f64 = 64.0;
/// Part of the natural size of a derivative below which it counts as 0.
const NEGLIGIBLE: f64 = 1e-4;
/// Size of a request in bytes, and of a number in it.
const REQUEST_BYTES: usize = 8 << 20;
const NUMBER_BYTES: usize = 24;
/// Number of requests for all gradients together.
const MAX_REQUESTS: usize = 12;
/// About the number of points for a direction.
const POINTS_PER_DIRECTION: usize = 60;
/// Number of random directions if there are more entries than can be checked.
const RANDOM_DIRECTIONS: usize = 4;

/// A gradient of a program at a point.
pub(super) struct Numerical<'a> {
    pub(super) case: &'a Case,
    pub(super) options: &'a CheckOptions<'a>,
    pub(super) format: NumberFormat,
    pub(super) point: &'a Point,
    /// The forward results at the point.
    pub(super) outputs: &'a Tensors<f64>,
    pub(super) target: &'a GradientTarget,
    pub(super) gradient: &'a ArrayD<f64>,
    /// Rounding error of each entry.
    pub(super) rounding: &'a [f64],
}

/// Compares the gradient with numerical derivatives. Returns these too, if there is one for each entry.
pub(super) fn compare_with_own_forward(
    numerical: &Numerical<'_>,
    implementation: &mut dyn Implementation,
    rng: &mut SplitMix64,
) -> Result<(Finding, Option<ArrayD<f64>>), Error> {
    let Numerical { case, options, point, target, gradient, .. } = numerical;
    let mut finding = Finding::new(&target.name, true, Baseline::NumericalGradient, gradient.shape());
    let mut operands = point.operands.clone();
    if let Some(value) = &target.broadcast {
        operands.insert(target.operand.clone(), value.clone());
    }
    let (Some(operand), Some(dout), Some(base)) =
        (operands.get(&target.operand).cloned(), &point.dout, numerical.outputs.get(&case.output))
    else {
        finding.verdict = Verdict::Inconclusive;
        finding.notes.push(format!("the reply has no {} to differentiate numerically", case.output));
        return Ok((finding, None));
    };
    let is_finite = base.iter().zip(dout).all(|(out, dout)| *dout == 0.0 || (out * dout).is_finite());
    if base.shape() != dout.shape() || !is_finite {
        let fault = if is_finite { "has another shape than dout" } else { "is not finite" };
        finding.verdict = Verdict::Inconclusive;
        finding.notes.push(format!("{} {fault}, so it has no derivative here", case.output));
        return Ok((finding, None));
    }
    let open = differentiable_entries(target, &operand, gradient, &mut finding);
    let point_bytes = NUMBER_BYTES * operands.iter().map(|(_, value)| value.len()).sum::<usize>().max(1);
    let points_per_request = (REQUEST_BYTES / point_bytes).max(1);
    let requests = (MAX_REQUESTS / case.targets.len().max(1)).max(1);
    let max_directions = (points_per_request * requests / POINTS_PER_DIRECTION).max(1).min(options.max_entries.max(1));
    let directions = draw(&open, &operand, max_directions, rng);
    let entries = directions.iter().filter(|direction| direction.entries.len() == 1).count();
    finding.checked += if open.len() <= max_directions { open.len() } else { entries };
    finding.directions = if open.len() <= max_directions { 0 } else { directions.len() - entries };
    let mut function = ImplementationFunction {
        implementation,
        operands: &operands,
        output: case.output.clone(),
        float_type: numerical.format.float_type,
        on_forward: options.on_forward,
    };
    let mut scan = Scan {
        function: &mut function,
        operand: &target.operand,
        dout,
        gradient,
        base,
        typical: max_abs(&operand),
        printing_error: &|value| numerical.format.printing_error(value),
    };
    let mut slopes = Vec::with_capacity(directions.len());
    for batch in directions.chunks((points_per_request / POINTS_PER_DIRECTION).max(1)) {
        slopes.extend(scan.estimate(batch)?);
    }
    let right = numerical.decide(&mut finding, &directions, &slopes);
    Ok((finding, right.filter(|_| open.len() == gradient.len() && finding_is_complete(&directions, gradient))))
}

fn finding_is_complete(directions: &[Direction], gradient: &ArrayD<f64>) -> bool {
    directions.len() == gradient.len() && directions.iter().all(|direction| direction.entries.len() == 1)
}

/// Returns every entry as a direction, or a sample of them and random directions.
fn draw(open: &[usize], operand: &ArrayD<f64>, max: usize, rng: &mut SplitMix64) -> Vec<Direction> {
    let entry = |n: usize| Direction { entries: vec![(n, 1.0)], size: step_scale(operand, n) };
    if open.len() <= max {
        return open.iter().map(|&n| entry(n)).collect();
    }
    let random = RANDOM_DIRECTIONS.min(max);
    let mut sample: Vec<usize> = (random..max).map(|_| open[rng.index(open.len())]).collect();
    sample.sort_unstable();
    sample.dedup();
    let mut weights = || open.iter().map(|&n| (n, rng.sign() * step_scale(operand, n).min(1.0))).collect();
    let random: Vec<Direction> = (0..random).map(|_| Direction { entries: weights(), size: 1.0 }).collect();
    sample.into_iter().map(entry).chain(random).collect()
}

impl Numerical<'_> {
    /// Records each direction in the finding. Returns the numerical derivatives.
    fn decide(&self, finding: &mut Finding, directions: &[Direction], slopes: &[Slopes]) -> Option<ArrayD<f64>> {
        let unit = self.format.float_type.unit_roundoff();
        let largest = max_abs(self.gradient);
        let max_error_bar = MAX_ERROR_BAR.max(MAX_ERROR_BAR_ROUNDINGS * unit);
        let estimates: Vec<Estimate> = slopes.iter().map(best_estimate).collect();
        let found = estimates.iter().filter(|estimate| estimate.value.is_finite());
        let mut scale = found.map(|estimate| estimate.value.abs()).fold(largest, f64::max);
        scale = scale.max(NEGLIGIBLE * self.natural_scale());
        // Terms of the size of dout may cancel, as in y − t.
        let operand = self.point.operands.get(&self.target.operand).map_or(0.0, max_abs);
        let cancellation = GRADIENT_ROUNDINGS * unit * self.point.dout.as_ref().map_or(0.0, max_abs) / operand.max(1.0);
        let (mut kinks, mut undecided, mut largest_bar) = (Vec::new(), 0, 0.0f64);
        for ((direction, slopes), estimate) in directions.iter().zip(slopes).zip(&estimates) {
            let terms = direction.entries.iter().map(|&(n, weight)| weight * flat_entry(self.gradient, n));
            let analytic: f64 = terms.sum();
            let weights: f64 = direction.entries.iter().map(|(_, weight)| weight.abs()).sum();
            let rounding = direction.entries.iter().map(|&(n, weight)| {
                let rounding = self.rounding.get(n).copied().unwrap_or(0.0);
                weight.abs() * (rounding + self.format.printing_error(flat_entry(self.gradient, n)))
            });
            let own = match self.options.tolerance {
                Some(tolerance) => tolerance.allowed(estimate.value),
                None => (GRADIENT_ROUNDINGS * unit * largest + cancellation) * weights,
            } + rounding.sum::<f64>();
            let index = match direction.entries[..] {
                [(n, 1.0)] => Some(unravel_index(n, self.gradient.shape())),
                _ => None,
            };
            let allowed = own + estimate.error_bar;
            let entry = EntryCheck {
                index,
                analytic,
                numeric: estimate.value,
                error_bar: estimate.error_bar,
                allowed,
                step: estimate.step,
            };
            let is_subgradient = slopes.is_between(analytic, own);
            if slopes.has_kink() {
                if is_subgradient {
                    kinks.extend(entry.index.iter().map(|at| format_index(at)));
                } else {
                    finding.record(EntryCheck { allowed: own, ..entry });
                }
                continue;
            }
            if entry.excess() > 1.0 && is_subgradient && slopes.may_have_kink() {
                undecided += 1;
                continue;
            }
            if !estimate.error_bar.is_finite() {
                undecided += 1;
                continue;
            }
            let uncertain = allowed - cancellation * weights;
            let largest_error = max_error_bar * scale * weights;
            let error = (analytic - estimate.value).abs();
            if entry.excess() <= 1.0 && (uncertain > largest_error || error > uncertain && error > largest_error) {
                undecided += 1;
                largest_bar = largest_bar.max(uncertain);
            }
            finding.record(entry);
        }
        finding.notes.extend(describe_kinks(&kinks));
        if undecided > 0 && finding.verdict == Verdict::Pass {
            finding.verdict = Verdict::Inconclusive;
            finding.notes.push(undecided_note(undecided, largest_bar, scale, max_error_bar));
        }
        let values = estimates.iter().map(|estimate| estimate.value).collect();
        ArrayD::from_shape_vec(self.gradient.raw_dim(), values).ok().filter(|right| right.iter().all(|v| v.is_finite()))
    }

    /// Returns the size of a derivative if the output changed by its own size over that of the operand.
    fn natural_scale(&self) -> f64 {
        let operand = self.point.operands.get(&self.target.operand).map_or(1.0, max_abs);
        let outputs = self.outputs.get(&self.case.output).into_iter().flatten();
        let sum: f64 = outputs.zip(self.point.dout.iter().flatten()).map(|(out, dout)| (out * dout).abs()).sum();
        if operand > 0.0 { sum / operand } else { sum }
    }
}

/// Returns the derivative from both sides, or that on which the two sides agree.
fn best_estimate(slopes: &Slopes) -> Estimate {
    let [left, right] = &slopes.one_sided;
    if slopes.central.error_bar.is_finite() {
        return slopes.central;
    }
    let step = left.step.max(right.step);
    Estimate {
        value: (left.value + right.value) / 2.0,
        error_bar: left.error_bar + right.error_bar + (left.value - right.value).abs(),
        step,
    }
}

fn undecided_note(undecided: usize, largest_bar: f64, scale: f64, max_error_bar: f64) -> String {
    if largest_bar > 0.0 {
        format!(
            "the error bar {largest_bar:.1e} exceeds {max_error_bar:.2} of the largest entry {scale:.2e}: the output is too noisy for a reliable numerical gradient"
        )
    } else {
        format!("no step sizes give a reliable numerical gradient for {undecided} of the entries or directions")
    }
}
