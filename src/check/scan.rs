//! Numerical derivatives of a program from steps of many sizes.
//!
//! Along each direction the program is evaluated at ±h for a geometric sequence of h, from the size of the operand down to where
//! its rounding errors dominate; the ratio is no power of two, so that a periodic function cannot repeat at every step. What the
//! gradient under test predicts for the steps as rounded is subtracted, so the derivative of the rest is its error. The derivative
//! is extrapolated from each three neighbouring step sizes, and accepted where these agree and no smaller step contradicts them.

use super::arrays::max_abs;
use super::extrapolation::Estimate;
use super::fit::fit;
use super::function::{Direction, Function, Sample, Step, unreached_outputs};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::ArrayD;

/// Quotient of each step size and the next.
const RATIO: f64 = 2.6;
/// The largest step, relative to the size of the operand.
const FIRST: f64 = 0.4;
/// Quotient and largest step of a half type, whose rounding errors average out over many large steps.
const HALF_RATIO: f64 = 1.12;
const HALF_FIRST: f64 = 0.8;
const HALF_LAST_ROUNDINGS: f64 = 4.0;
/// The largest value of the smallest step of a half type, relative to the entry: a function may vary over the size of its input.
const HALF_SMALLEST: f64 = 1.0 / 16.0;
/// Least unit roundoff of a half type.
const HALF_ROUNDOFF: f64 = 1.0 / 4096.0;
/// Unit roundoffs that the smallest step is, relative to the size of the operand: a unit in the last place, since a function may vary
/// over a few of them only.
const LAST_ROUNDINGS: f64 = 2.0;
/// Most step sizes of a direction.
const MAX_LEVELS: usize = 60;
/// Number of orders of the truncation error that extrapolation removes.
const ORDERS: usize = 3;
/// Largest error bar, relative to the gradient, of larger steps that agree with it; and the number of such error bars from which the
/// smaller steps contradict them.
const PLATEAU_PRECISION: f64 = 1e-5;
const PLATEAU_ERRORS: f64 = 100.0;
/// Least number of the smallest steps whose changes show noise.
const LEAST_FINE: usize = 3;
/// Roundings of an output from which its noise is more than that of a usual formula.
const MANY_ROUNDINGS: f64 = 16.0;
/// Part of the largest change of L from which noise hides every derivative.
const LARGE_NOISE: f64 = 0.1;
/// Roundings of an output: those of its last operations.
const ROUNDINGS: f64 = 2.0;

/// The derivatives along a direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slopes {
    /// From steps to both sides.
    pub(super) central: Estimate,
    /// From steps to the left and to the right.
    pub(super) one_sided: [Estimate; 2],
    /// Rounding errors of the outputs that do not depend on the entry. An error of this size is undecided, not wrong.
    unreached_noise: f64,
    /// The least error bar of the estimates from larger steps that agree with the gradient.
    plateau: f64,
}

impl Slopes {
    /// Returns true if larger steps agree with the gradient far better than smaller steps differ from it. The function then has stairs
    /// or ripples, as where an iteration stops, and both slopes may be its derivative.
    pub(super) fn has_plateau(&self, error: f64) -> bool {
        error > PLATEAU_ERRORS * self.plateau
    }

    /// Returns the error bar that the outputs which do not depend on the entry would add to an estimate.
    pub(super) fn unreached_bar(&self, estimate: &Estimate) -> f64 {
        if self.unreached_noise > 0.0 { self.unreached_noise / estimate.step } else { 0.0 }
    }

    /// Returns true if the derivatives to the left and to the right differ by more than their error bars.
    pub(super) fn has_kink(&self) -> bool {
        let [left, right] = &self.one_sided;
        (left.value - right.value).abs() > 2.0 * (left.error_bar + right.error_bar)
    }

    /// Returns true if the derivatives to the left and to the right differ by a good part of their error bars.
    pub(super) fn may_have_kink(&self) -> bool {
        let [left, right] = &self.one_sided;
        (left.value - right.value).abs() > 0.5 * left.error_bar.max(right.error_bar)
    }

    /// Returns true if a value is between the derivatives to the left and to the right, with their error bars and another.
    pub(super) fn is_between(&self, value: f64, error_bar: f64) -> bool {
        let [left, right] = &self.one_sided;
        let low = (left.value - left.error_bar).min(right.value - right.error_bar) - error_bar;
        let high = (left.value + left.error_bar).max(right.value + right.error_bar) + error_bar;
        (low..=high).contains(&value)
    }
}

/// Scans L = Σ dout∘output along directions.
pub(super) struct Scan<'a> {
    pub(super) function: &'a mut dyn Function,
    pub(super) operand: &'a Name,
    pub(super) dout: &'a ArrayD<f64>,
    /// The gradient under test.
    pub(super) gradient: &'a ArrayD<f64>,
    /// The outputs without a step.
    pub(super) base: &'a ArrayD<f64>,
    /// Largest size of an entry of the operand.
    pub(super) typical: f64,
    /// Error of an output of this size by printing few digits.
    pub(super) printing_error: &'a dyn Fn(f64) -> f64,
    /// Number of points that are evaluated at once.
    pub(super) points_at_once: usize,
    /// Most step sizes of a direction.
    pub(super) max_levels: usize,
}

/// The outcome of steps along a direction.
struct Trace {
    lengths: Vec<f64>,
    /// The change of L beyond what the gradient predicts, after a step ahead and one behind of each length.
    changes: Vec<f64>,
    /// The rounding errors of the outputs after each step.
    noises: Vec<f64>,
    /// The outputs that some step changes.
    is_active: Vec<bool>,
    /// The smallest and the largest change of an output.
    smallest_change: f64,
    largest_output_change: f64,
    /// The largest change of L.
    largest_change: f64,
}

impl Trace {
    /// Returns each length with the changes ahead and behind.
    fn levels(&self) -> Vec<[f64; 3]> {
        self.lengths.iter().zip(self.changes.chunks(2)).map(|(&length, pair)| [length, pair[0], pair[1]]).collect()
    }
}

impl Scan<'_> {
    /// Returns the derivatives along each direction.
    pub(super) fn estimate(&mut self, directions: &[Direction]) -> Result<Vec<Slopes>, Error> {
        let lengths = directions.iter().map(|direction| self.lengths(direction.size)).collect();
        let traces = self.trace(directions, lengths)?;
        let base: Vec<DoubleDouble> = self.base.iter().map(|&v| DoubleDouble::from_f64(v)).collect();
        let unreached = |direction| unreached_outputs(self.function, self.operand, direction, &base, self.typical);
        let unreached: Vec<Vec<bool>> = directions.iter().map(unreached).collect::<Result<_, _>>()?;
        // Outputs that are multiples of some unit, as in fixed point, change by far more than their rounding errors.
        let smallest = traces.iter().map(|trace| trace.smallest_change).fold(f64::INFINITY, f64::min);
        // An output that has only two values, as that of a steep ramp, has a jump and is flat elsewhere.
        let largest = traces.iter().map(|trace| trace.largest_output_change).fold(max_abs(self.base), f64::max);
        let quantum = if largest >= 1.5 * smallest { smallest } else { 0.0 };
        let slopes =
            |((direction, trace), unreached): (_, &Vec<bool>)| self.slopes(direction, trace, unreached, quantum);
        Ok(directions.iter().zip(&traces).zip(&unreached).map(slopes).collect())
    }

    /// Returns the errors of the gradient along each direction by one central difference with that step.
    pub(super) fn errors(&mut self, directions: &[Direction], step: f64) -> Result<Vec<f64>, Error> {
        let traces = self.trace(directions, vec![vec![step]; directions.len()])?;
        let error = |trace: &Trace| match trace.changes[..] {
            [ahead, behind] => (ahead - behind) / (2.0 * step),
            _ => f64::NAN,
        };
        Ok(traces.iter().map(error).collect())
    }

    /// Takes steps of these lengths along each direction.
    fn trace(&mut self, directions: &[Direction], lengths: Vec<Vec<f64>>) -> Result<Vec<Trace>, Error> {
        let outputs = self.base.len();
        let new = |lengths| Trace {
            lengths,
            changes: Vec::new(),
            noises: Vec::new(),
            is_active: vec![false; outputs],
            smallest_change: f64::INFINITY,
            largest_output_change: 0.0,
            largest_change: 0.0,
        };
        let mut traces: Vec<Trace> = lengths.into_iter().map(new).collect();
        let mut steps = Vec::new();
        for (n, (direction, trace)) in directions.iter().zip(&traces).enumerate() {
            for length in trace.lengths.iter().flat_map(|&length| [length, -length]) {
                steps.push((n, Step { operand: self.operand, entries: &direction.entries, length }));
            }
        }
        for some in steps.chunks(self.points_at_once.max(1)) {
            let at_once: Vec<Step<'_>> = some.iter().map(|(_, step)| *step).collect();
            for (sample, (n, _)) in self.function.evaluate(&at_once)?.iter().zip(some) {
                self.observe(sample, &mut traces[*n]);
            }
        }
        Ok(traces)
    }

    fn observe(&self, sample: &Sample, trace: &mut Trace) {
        if sample.outputs.len() != self.base.len() {
            trace.changes.push(f64::NAN);
            trace.noises.push(f64::NAN);
            return;
        }
        let gradient = self.gradient.as_slice().unwrap_or_default();
        let predicted = |&(entry, change): &(usize, DoubleDouble)| {
            let slope = gradient.get(entry).copied().filter(|slope| slope.is_finite()).unwrap_or(0.0);
            change * DoubleDouble::from_f64(slope)
        };
        let predicted = DoubleDouble::sum(sample.changes.iter().map(predicted));
        let outputs = sample.outputs.iter().zip(self.base).zip(self.dout).enumerate();
        let mut size = 0.0;
        let change = outputs.filter_map(|(n, ((after, before), dout))| {
            let change = *after - DoubleDouble::from_f64(*before);
            // A dout of 0 excludes an output, even an infinite one.
            if *dout == 0.0 || after.to_f64() == *before {
                return None;
            }
            trace.is_active[n] = true;
            size = libm::hypot(size, dout * after.to_f64());
            trace.smallest_change = trace.smallest_change.min(change.to_f64().abs());
            trace.largest_output_change = trace.largest_output_change.max(change.to_f64().abs());
            Some(DoubleDouble::from_f64(*dout) * change)
        });
        let change = DoubleDouble::sum(change);
        trace.noises.push(ROUNDINGS * self.function.unit_roundoff() * size);
        trace.largest_change = trace.largest_change.max(change.to_f64().abs());
        trace.changes.push((change - predicted).to_f64());
    }

    fn is_half(&self) -> bool {
        self.function.unit_roundoff() >= HALF_ROUNDOFF
    }

    /// Returns the step sizes for an entry of this size, the largest first.
    fn lengths(&self, size: f64) -> Vec<f64> {
        let (first, ratio) = if self.is_half() { (HALF_FIRST, HALF_RATIO) } else { (FIRST, RATIO) };
        let first = first * size.max(self.typical.min(1.0));
        let last = if self.is_half() { HALF_LAST_ROUNDINGS } else { LAST_ROUNDINGS };
        let last = last * size * self.function.unit_roundoff();
        let levels = MAX_LEVELS.min(self.max_levels);
        let ratio = if self.is_half() && levels == MAX_LEVELS {
            ratio.max(libm::pow(first / (HALF_SMALLEST * size), 1.0 / (MAX_LEVELS - 1) as f64))
        } else {
            ratio
        };
        let lengths = (0..levels).scan(first, |length, _| Some(std::mem::replace(length, *length / ratio)));
        lengths.take_while(|length| *length >= last && *length > 0.0).collect()
    }

    /// Returns the slopes from what the steps along a direction show, the outputs that none reaches, and the smallest change of an
    /// output in all directions.
    fn slopes(&self, direction: &Direction, trace: &Trace, unreached: &[bool], quantum: f64) -> Slopes {
        let base = self.base.as_slice().unwrap_or_default();
        let dout = self.dout.as_slice().unwrap_or_default();
        let gradient = self.gradient.as_slice().unwrap_or_default();
        let projected = f64::sum(direction.entries.iter().map(|&(entry, weight)| {
            gradient.get(entry).copied().filter(|slope| slope.is_finite()).unwrap_or(0.0) * weight
        }));
        let unit = self.function.unit_roundoff();
        let noise = |n: usize| {
            let rounding = ROUNDINGS * unit * base[n].abs() + (self.printing_error)(base[n]);
            if dout[n] == 0.0 { 0.0 } else { dout[n].abs() * (rounding + quantum / 2.0) }
        };
        let outputs = 0..base.len().min(dout.len());
        // Constant outputs may depend on other entries only, or change by less than they are rounded: the noisiest stands for all.
        let constant = outputs.clone().filter(|&n| !trace.is_active[n] && base[n].is_finite());
        let noisiest =
            |is_unreached| constant.clone().filter(|&n| unreached[n] == is_unreached).map(noise).fold(0.0, f64::max);
        let (constant_noise, unreached_noise) = (noisiest(false), noisiest(true));
        // Rounding errors of different outputs are independent.
        let active_noise = outputs.filter(|&n| trace.is_active[n]).map(noise).fold(0.0, libm::hypot);
        let floor = active_noise + constant_noise;
        let levels = trace.levels();
        // The smallest steps show the rounding errors of the outputs: in their odd part or, if there are few steps, so that the error
        // of the gradient counts, in what is left of the even part without curvature.
        let fine = &levels[levels.len() - (levels.len() / 4).max(LEAST_FINE).min(levels.len())..];
        let even = |[_, ahead, behind]: &[f64; 3]| (ahead + behind) / 2.0;
        let curvature = RATIO * RATIO;
        let uneven = |pair: &[[f64; 3]]| (even(&pair[0]) - curvature * even(&pair[1])).abs() / (1.0 + curvature);
        let wavering: Vec<f64> = if levels.len() < self.max_levels {
            fine.iter().map(|[_, ahead, behind]| (ahead - behind).abs() / 2.0).collect()
        } else {
            fine.windows(2).map(uneven).collect()
        };
        let largest = |wavering: &[f64]| wavering.iter().copied().filter(|noise| noise.is_finite()).fold(0.0, f64::max);
        // The changes after a step that are not predicted are noise or curvature. Those of larger steps do not count for smaller ones.
        let noise_of = |level: usize| {
            let first = (level + fine.len()).saturating_sub(levels.len());
            largest(&wavering[first.min(wavering.len().saturating_sub(LEAST_FINE))..]).max(floor)
        };
        let wavering = largest(&wavering);
        let noise = wavering.max(floor);
        // Where no output changes, the rest is the gradient under test and no noise.
        let is_flat = trace.largest_change == 0.0;
        let is_lost = !is_flat && noise > MANY_ROUNDINGS * floor && noise > LARGE_NOISE * trace.largest_change;
        if is_lost {
            let one_sided = [Estimate::NONE; 2];
            return Slopes { central: Estimate::NONE, one_sided, unreached_noise, plateau: f64::INFINITY };
        }
        let shift = |estimate: Estimate| Estimate { value: estimate.value + projected, ..estimate };
        let odd = |[_, ahead, behind]: &[f64; 3]| (ahead - behind) / 2.0;
        let (ahead, behind) = (|level: &[f64; 3]| level[1], |level: &[f64; 3]| -level[2]);
        if self.is_half() {
            let fit = |of: &dyn Fn(&[f64; 3]) -> f64, powers: &[i32]| {
                let noise = |n: usize| wavering.max(active_noise).max(trace.noises[2 * n]).max(trace.noises[2 * n + 1]);
                let changes = levels.iter().enumerate().map(|(n, level)| [level[0], of(level), noise(n)]);
                let mut estimate = fit(&changes.collect::<Vec<_>>(), powers);
                estimate.error_bar += levels.first().map_or(0.0, |level| constant_noise / level[0]);
                shift(estimate)
            };
            // All steps to one side share the rounding error of the outputs without a step.
            let one_sided = [fit(&behind, &[0, 1, 2, 3, 4]), fit(&ahead, &[0, 1, 2, 3, 4])];
            let central = fit(&odd, &[1, 3, 5, 7]);
            return Slopes { central, one_sided, unreached_noise, plateau: f64::INFINITY };
        }
        let quotients = |of: &dyn Fn(&[f64; 3]) -> f64| -> Vec<[f64; 3]> {
            levels
                .iter()
                .enumerate()
                .map(|(n, level)| [level[0], of(level) / level[0], noise_of(n) / level[0]])
                .collect()
        };
        let one_sided = [quotients(&behind), quotients(&ahead)]
            .map(|side| shift(accepted(&side, &candidates(&side, RATIO, RATIO))));
        let sides = quotients(&odd);
        let both = candidates(&sides, RATIO * RATIO, RATIO * RATIO);
        let agrees = |estimate: &&Estimate| {
            estimate.value.abs() <= estimate.error_bar && estimate.error_bar <= PLATEAU_PRECISION * projected.abs()
        };
        let plateau = both.iter().map(|(_, estimate)| estimate).find(agrees).map_or(f64::INFINITY, |e| e.error_bar);
        Slopes { central: shift(accepted(&sides, &both)), one_sided, unreached_noise, plateau }
    }
}

/// Extrapolates quotients, each with its step size and noise, to step size 0. Their truncation error has terms that are smaller by
/// `first`, `first`·`more`, … from one step size to the next. Returns estimates, that with the smallest error bar first, each with the
/// number of the last quotient that it was computed from.
fn candidates(quotients: &[[f64; 3]], first: f64, more: f64) -> Vec<(usize, Estimate)> {
    let mut columns: Vec<Vec<[f64; 3]>> = vec![quotients.to_vec()];
    let mut factor = first;
    for order in 0..ORDERS {
        let combined = columns[order].windows(2).map(|pair| {
            let [[_, coarse, coarse_noise], [length, fine, fine_noise]] = [pair[0], pair[1]];
            let value = fine + (fine - coarse) / (factor - 1.0);
            [length, value, (factor * fine_noise + coarse_noise) / (factor - 1.0)]
        });
        let combined = combined.collect();
        columns.push(combined);
        factor *= more;
    }
    let mut candidates: Vec<(usize, Estimate)> = Vec::new();
    for (order, column) in columns.iter().enumerate() {
        for (n, triple) in column.windows(3).enumerate() {
            let values = triple.iter().map(|[_, value, _]| *value);
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
            let is_usable = triple.iter().all(|[_, value, _]| value.is_finite());
            if is_usable {
                let error_bar = 2.0 * (high - low) + 2.0 * triple[2][2];
                candidates.push((n + order + 2, Estimate { value: triple[1][1], error_bar, step: triple[2][0] }));
            }
        }
    }
    candidates.sort_by(|a, b| a.1.error_bar.total_cmp(&b.1.error_bar));
    candidates
}

/// Returns the estimate with the smallest error bar that no smaller step contradicts.
fn accepted(quotients: &[[f64; 3]], candidates: &[(usize, Estimate)]) -> Estimate {
    // The truncation error of smaller steps is below that of the last that was used.
    let is_contradicted = |(last, estimate): &(usize, Estimate)| {
        let truncation = (quotients[*last][1] - estimate.value).abs();
        let finer = quotients[last + 1..].iter().filter(|[_, value, _]| value.is_finite());
        finer
            .clone()
            .any(|[_, value, noise]| (value - estimate.value).abs() > estimate.error_bar + truncation + 2.0 * noise)
    };
    candidates.iter().find(|candidate| !is_contradicted(candidate)).map_or(Estimate::NONE, |(_, estimate)| *estimate)
}
