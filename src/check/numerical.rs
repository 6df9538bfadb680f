//! Compares a gradient with numerical derivatives of the program's own forward pass.

mod equal_entries;

use super::accuracy::Accuracy;
use super::arrays::{flat_entry, max_abs, unravel_index};
use super::case::{Case, GradientTarget};
use super::extrapolation::Estimate;
use super::finding::{Baseline, EntryCheck, Finding, Verdict};
use super::function::{Direction, ImplementationFunction};
use super::implementation::{Implementation, Point};
use super::kinks::describe_kinks;
use super::localise::find_wrong_entry;
use super::number_format::NumberFormat;
use super::options::CheckOptions;
use super::reference::overflows;
use super::requests::points_per_request;
use super::sampling::{differentiable_entries, step_scale};
use super::scan::{Scan, Slopes};
use crate::core::error::{Error, format_index};
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::numeric::FloatType;
use ndarray::{ArrayD, IxDyn};

/// Unit roundoffs of the largest entry that an entry of a gradient may be off, and for half types.
const GRADIENT_ROUNDINGS: f64 = 64.0;
const HALF_GRADIENT_ROUNDINGS: f64 = 24.0;
/// Errors in accepted errors up to which an entry of a half type is right, and from which it is wrong. Right programs of the corpus
/// stay below 0.3.
const HALF_RIGHT_EXCESS: f64 = 0.4;
const HALF_WRONG_EXCESS: f64 = 3.0;
/// Largest error bar, relative to the largest entry, of an estimate that decides; in unit roundoffs for half types.
const MAX_ERROR_BAR: f64 = 0.02;
const MAX_ERROR_BAR_ROUNDINGS: f64 = 128.0;
const MAX_HALF_ERROR_BAR: f64 = 0.3;
/// Part of the natural size of a derivative below which it counts as 0.
const NEGLIGIBLE: f64 = 1e-4;
/// About the number of points for a direction.
const POINTS_PER_DIRECTION: usize = 80;
/// Largest number of sampled entries and random directions.
const MAX_SAMPLED: usize = 12;
/// Number of random directions if there are more entries than can be checked.
const RANDOM_DIRECTIONS: usize = 4;
/// Least weight of an entry in a random direction, relative to that of the largest: smaller ones would hide its error.
const LEAST_WEIGHT: f64 = 0.1;
/// Unit roundoffs of the largest entry that the entries are off on average.
const DIRECTION_ROUNDINGS: f64 = 8.0;
/// Least and largest number of step sizes of a direction if there are more entries than can be checked.
const MIN_LEVELS: usize = 6;
const SAMPLED_LEVELS: usize = 20;
/// Remark on a wrong direction whose entries were not looked for.
const NOT_LOCALISED: &str =
    "which entries are wrong would take more starts of the program; --persistent starts it once and finds one";
/// Error bars that an error beyond rounding must be, or it is doubtful.
const DOUBTFUL_ERROR_BARS: f64 = 3.0;
/// Largest error, relative to the largest entry, that a forward pass may make which approximates the function.
const APPROXIMATION: f64 = 1e-9;
/// Standard deviations of a sum of independent rounding errors that are allowed.
const DEVIATIONS: f64 = 6.0;

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
    /// The size of terms that may cancel in the gradient, relative to dout.
    pub(super) terms: f64,
    /// Number of requests for the comparison.
    pub(super) requests: usize,
    /// Number of further requests to find a wrong entry.
    pub(super) more_requests: usize,
}

/// A gradient compared with numerical derivatives.
pub(super) struct Comparison {
    pub(super) finding: Finding,
    /// The numerical derivatives, if there is one for each entry.
    pub(super) right: Option<ArrayD<f64>>,
    /// The gradient and the numerical derivatives along the directions that were compared.
    pub(super) sample: [ArrayD<f64>; 2],
}

impl Comparison {
    /// Returns a comparison that decides nothing.
    pub(super) fn undecided(target: &GradientTarget, gradient: &ArrayD<f64>, reason: String) -> Comparison {
        let finding = Finding::new(&target.name, true, Baseline::NumericalGradient, gradient.shape());
        let finding = Finding { verdict: Verdict::Inconclusive, notes: vec![reason], ..finding };
        Comparison { finding, right: None, sample: [(); 2].map(|()| ArrayD::zeros(IxDyn(&[0]))) }
    }
}

/// Compares the gradient with numerical derivatives.
pub(super) fn compare_with_own_forward(
    numerical: &Numerical<'_>,
    implementation: &mut dyn Implementation,
    rng: &mut SplitMix64,
) -> Result<Comparison, Error> {
    let Numerical { case, options, point, target, gradient, .. } = numerical;
    let mut finding = Finding::new(&target.name, true, Baseline::NumericalGradient, gradient.shape());
    finding.accuracy = case.reference.is_none().then(|| Accuracy::new(numerical.format.float_type));
    let mut operands = point.operands.clone();
    if let Some(value) = &target.broadcast {
        operands.insert(target.operand.clone(), value.clone());
    }
    let (Some(operand), Some(dout), Some(base)) =
        (operands.get(&target.operand).cloned(), &point.dout, numerical.outputs.get(&case.output))
    else {
        let reason = format!("the reply has no {} to differentiate numerically", case.output);
        return Ok(Comparison::undecided(target, gradient, reason));
    };
    let is_finite = base.iter().zip(dout).all(|(out, dout)| *dout == 0.0 || (out * dout).is_finite());
    if base.shape() != dout.shape() || !is_finite {
        let fault = if is_finite { "has another shape than dout" } else { "is not finite" };
        let reason = format!("{} {fault}, so it has no derivative here", case.output);
        return Ok(Comparison::undecided(target, gradient, reason));
    }
    let open = differentiable_entries(target, &operand, gradient, &mut finding);
    let points_at_once = points_per_request(&operands, numerical.format.float_type);
    let points = points_at_once.saturating_mul(numerical.requests);
    let max_entries = (points / POINTS_PER_DIRECTION).min(options.max_entries.max(1));
    let max_sampled = (points / (2 * SAMPLED_LEVELS)).clamp(1, MAX_SAMPLED);
    let directions = draw(&open, &operand, max_entries, max_sampled, rng);
    let entries = directions.iter().filter(|direction| direction.entries.len() == 1).count();
    finding.checked += entries;
    finding.directions = directions.len() - entries;
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
        points_at_once,
        max_levels: if finding.directions == 0 {
            usize::MAX
        } else {
            (points / (2 * directions.len())).clamp(MIN_LEVELS, SAMPLED_LEVELS)
        },
    };
    let slopes = scan.estimate(&directions)?;
    let Decision { right, sample, wrong_direction, noticed, kinks, refused } =
        numerical.decide(&mut finding, &directions, &slopes);
    numerical.decide_together(&mut finding, &mut scan, &operand, &kinks, &refused)?;
    if let (Some(n), Some(worst)) = (wrong_direction, finding.worst.as_ref().filter(|worst| worst.index.is_none())) {
        match find_wrong_entry(&mut scan, &directions[n].entries, worst.step, numerical.more_requests)? {
            Some(n) => {
                let direction = Direction { entries: vec![(n, 1.0)], size: step_scale(&operand, n) };
                scan.max_levels = usize::MAX;
                let slopes = scan.estimate(std::slice::from_ref(&direction))?;
                let mut found = Finding::new(&target.name, true, finding.baseline, gradient.shape());
                numerical.decide(&mut found, &[direction], &slopes);
                finding.checked += 1;
                finding.wrong += found.wrong;
                finding.worst = if found.verdict == Verdict::Fail { found.worst } else { finding.worst };
            }
            None => finding.notes.push(NOT_LOCALISED.to_owned()),
        }
    }
    if finding.directions > 0 && finding.verdict == Verdict::Pass {
        finding.notes.push(format!("a single wrong entry shows if its error is above about {noticed:.0e}"));
    }
    let is_complete = finding.directions == 0 && directions.len() == gradient.len();
    Ok(Comparison { finding, right: right.filter(|_| is_complete), sample })
}

/// Returns every entry as a direction, or a sample of them and random directions.
fn draw(open: &[usize], operand: &ArrayD<f64>, max_entries: usize, max: usize, rng: &mut SplitMix64) -> Vec<Direction> {
    let entry = |n: usize| Direction { entries: vec![(n, 1.0)], size: step_scale(operand, n) };
    if open.len() <= max_entries {
        return open.iter().map(|&n| entry(n)).collect();
    }
    let random = RANDOM_DIRECTIONS.min(max);
    let mut sample: Vec<usize> = (random..max).map(|_| open[rng.index(open.len())]).collect();
    sample.sort_unstable();
    sample.dedup();
    let least = LEAST_WEIGHT * max_abs(operand).min(1.0);
    let mut weights = || open.iter().map(|&n| (n, rng.sign() * step_scale(operand, n).clamp(least, 1.0))).collect();
    let random: Vec<Direction> = (0..random).map(|_| Direction { entries: weights(), size: 1.0 }).collect();
    sample.into_iter().map(entry).chain(random).collect()
}

/// The decision by numerical derivatives.
struct Decision {
    /// The derivatives, if there is one for each entry.
    right: Option<ArrayD<f64>>,
    /// The gradient and the derivatives along each direction.
    sample: [ArrayD<f64>; 2],
    /// The random direction along which the gradient is wrong by most.
    wrong_direction: Option<usize>,
    /// The least error of a single entry that shows in a random direction.
    noticed: f64,
    /// Entries at a kink that are between the derivatives to the left and to the right, and others, which are not yet recorded.
    kinks: Vec<usize>,
    refused: Vec<(usize, EntryCheck)>,
}

impl Numerical<'_> {
    /// Records each direction in the finding.
    fn decide(&self, finding: &mut Finding, directions: &[Direction], slopes: &[Slopes]) -> Decision {
        let unit = self.format.float_type.unit_roundoff();
        let is_half = [FloatType::F16, FloatType::Bf16].contains(&self.format.float_type);
        let roundings = if is_half { HALF_GRADIENT_ROUNDINGS } else { GRADIENT_ROUNDINGS };
        let largest = max_abs(self.gradient);
        let max_error_bar = MAX_ERROR_BAR.max((MAX_ERROR_BAR_ROUNDINGS * unit).min(MAX_HALF_ERROR_BAR));
        let estimates: Vec<Estimate> = slopes.iter().map(best_estimate).collect();
        let found = estimates.iter().filter(|estimate| estimate.value.is_finite());
        let mut scale = found.map(|estimate| estimate.value.abs()).fold(largest, f64::max);
        scale = scale.max(NEGLIGIBLE * self.natural_scale());
        // Terms of the size of dout may cancel, as in y − t.
        let cancellation = roundings * unit * self.terms;
        let (mut kinks, mut undecided, mut largest_bar) = (Vec::new(), 0, 0.0f64);
        let (mut worst_excess, mut wrong_direction, mut projected) = (1.0, None, Vec::new());
        let (mut noticed, mut refused, mut approximate) = (f64::INFINITY, Vec::new(), 0.0f64);
        for (number, ((direction, slopes), estimate)) in directions.iter().zip(slopes).zip(&estimates).enumerate() {
            let terms = direction.entries.iter().map(|&(n, weight)| weight * flat_entry(self.gradient, n));
            let analytic: f64 = terms.sum();
            projected.push(analytic);
            // The signs of a random direction make the errors of its entries independent.
            let weights = sum_independent(direction.entries.iter().map(|(_, weight)| *weight));
            let rounding = sum_independent(direction.entries.iter().map(|&(n, weight)| {
                let rounding = self.rounding.get(n).copied().unwrap_or(0.0);
                let printing = self.format.printing_error(flat_entry(self.gradient, n));
                weight * (rounding + printing + self.options.nondeterminism)
            }));
            let roundings = if direction.entries.len() > 1 { roundings.min(DIRECTION_ROUNDINGS) } else { roundings };
            let own = match self.options.tolerance {
                Some(tolerance) => tolerance.allowed(estimate.value),
                None => (roundings * unit * largest + cancellation) * weights,
            } + rounding;
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
            if entry.index.is_none() {
                let least = direction.entries.iter().map(|(_, weight)| weight.abs()).fold(f64::INFINITY, f64::min);
                noticed = noticed.min(allowed / least);
            }
            if overflows(analytic, estimate.value, allowed, self.format.float_type) {
                continue;
            }
            let is_subgradient = slopes.is_between(analytic, own);
            let error = (analytic - estimate.value).abs();
            let is_doubtful = error <= own + DOUBTFUL_ERROR_BARS * estimate.error_bar + slopes.unreached_bar(estimate)
                || slopes.has_plateau(error);
            if slopes.has_kink() && is_subgradient {
                kinks.extend(direction.entries.iter().map(|(n, _)| *n).filter(|_| entry.index.is_some()));
                continue;
            }
            if error > allowed && is_doubtful {
                undecided += 1;
                continue;
            }
            if slopes.has_kink() {
                let entry = EntryCheck { allowed: own, ..entry };
                match direction.entries[..] {
                    [(n, _)] => refused.push((n, entry)),
                    _ => finding.record(entry),
                }
                continue;
            }
            // A fit of few bits may be off by a little more than its error bar where a kink is near, and its large error bar may hide a
            // mistake.
            let is_near = is_half && (HALF_RIGHT_EXCESS..=HALF_WRONG_EXCESS).contains(&entry.excess());
            if entry.excess() > 1.0 && is_subgradient && slopes.may_have_kink() || is_near {
                undecided += 1;
                continue;
            }
            if !estimate.error_bar.is_finite() {
                undecided += 1;
                continue;
            }
            let uncertain = allowed - cancellation * weights;
            let largest_error = max_error_bar * scale * weights;
            if entry.excess() <= 1.0 && (uncertain > largest_error || error > uncertain && error > largest_error) {
                undecided += 1;
                largest_bar = largest_bar.max(uncertain);
            }
            if entry.excess() > 1.0 && self.options.tolerance.is_none() && error <= APPROXIMATION * largest * weights {
                approximate = approximate.max(error / largest);
                continue;
            }
            if let ([(n, _)], true) = (&direction.entries[..], entry.excess() > 1.0)
                && self.has_equal(*n)
            {
                refused.push((*n, entry));
                continue;
            }
            if entry.index.is_none() && entry.excess() > worst_excess {
                (worst_excess, wrong_direction) = (entry.excess(), Some(number));
            }
            finding.record(entry);
        }
        let places: Vec<String> =
            kinks.iter().map(|&n| format_index(&unravel_index(n, self.gradient.shape()))).collect();
        finding.notes.extend(describe_kinks(&places));
        if approximate > 0.0 && finding.verdict == Verdict::Pass {
            finding.verdict = Verdict::Inconclusive;
            finding.notes.push(format!(
                "it is off by {approximate:.1e} of its largest entry, more than rounding errors and less than usual mistakes: does the forward pass stop an iteration early, or one of both passes add a small constant? --rtol 1e-9 accepts it"
            ));
        }
        if undecided > 0 && finding.verdict == Verdict::Pass {
            finding.verdict = Verdict::Inconclusive;
            finding.notes.push(undecided_note(undecided, largest_bar, scale, max_error_bar));
        }
        let values: Vec<f64> = estimates.iter().map(|estimate| estimate.value).collect();
        let right = ArrayD::from_shape_vec(self.gradient.raw_dim(), values.clone()).ok();
        let sample = [projected, values].map(|values| ArrayD::from_shape_fn(IxDyn(&[values.len()]), |n| values[n[0]]));
        let right = right.filter(|right| right.iter().all(|v| v.is_finite()));
        Decision { right, sample, wrong_direction, noticed, kinks, refused }
    }

    /// Returns the size of a derivative if the output changed by its own size over that of the operand.
    fn natural_scale(&self) -> f64 {
        let operand = self.point.operands.get(&self.target.operand).map_or(1.0, max_abs);
        let outputs = self.outputs.get(&self.case.output).into_iter().flatten();
        let sum: f64 = outputs.zip(self.point.dout.iter().flatten()).map(|(out, dout)| (out * dout).abs()).sum();
        if operand > 0.0 { sum / operand } else { sum }
    }
}

/// Returns about the largest sum of independent errors of these sizes.
fn sum_independent(errors: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares) =
        errors.fold((0.0, 0.0), |(sum, squares), error: f64| (sum + error.abs(), squares + error * error));
    f64::min(sum, DEVIATIONS * libm::sqrt(squares))
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
