//! The check of a gradient by an entry and random directions, for layers of which each forward pass takes long.
//!
//! A derivative along a direction takes four forward passes, of which only L = Σ dout∘output is kept: central differences at two
//! step sizes that are small, as double-double has digits to spare. A random direction changes every entry, so it notices any wrong
//! entry whose error is above the tolerance of the sum; the entry of a direction that fails is found by halving.

use super::entries::GradientEntries;
use super::extrapolation::{Estimate, Quotient, extrapolate};
use super::finding::{Finding, Verdict};
use super::function::{Direction, Function, Step};
use super::options::{DIRECTIONS, SAMPLED_ENTRIES};
use super::sampling::{entry_direction, random_direction};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::ArrayD;

/// The larger step relative to the size of the operand, and its quotient by the smaller.
const FIRST: f64 = 1.0 / (1u64 << 24) as f64;
const RATIO: f64 = 4.0;
/// Factors of the steps, which smaller ones follow if the error bar is not small.
const SIZES: [f64; 4] = [1.0, 1.0 / (1u64 << 10) as f64, 1.0 / (1u64 << 20) as f64, 1.0 / (1u64 << 30) as f64];
/// Part of the tolerance that an error bar should not exceed.
const PRECISION: f64 = 0.01;
/// Roundings of an output.
const ROUNDINGS: f64 = 2.0;

/// L = Σ dout∘output as a function of one operand.
pub(super) struct Loss<'a> {
    pub(super) function: &'a mut dyn Function,
    pub(super) operand: &'a Name,
    pub(super) output: &'a Name,
    pub(super) dout: &'a ArrayD<f64>,
}

impl Loss<'_> {
    /// Returns L after a step along a direction, and a bound of its noise.
    fn after(&mut self, direction: &Direction, length: f64) -> Result<(DoubleDouble, f64), Error> {
        let step = Step { operand: self.operand, entries: &direction.entries, length };
        let samples = self.function.evaluate(&[step])?;
        let outputs = samples.first().map_or(&[][..], |sample| sample.outputs.as_slice());
        if outputs.len() != self.dout.len() {
            return Ok((DoubleDouble::from_f64(f64::NAN), f64::INFINITY));
        }
        let (mut loss, mut magnitude) = (DoubleDouble::zero(), 0.0);
        // A dout of 0 excludes an output, even an infinite one.
        for (&output, &dout) in outputs.iter().zip(self.dout).filter(|(_, dout)| **dout != 0.0) {
            let term = output * DoubleDouble::from_f64(dout);
            loss = loss + term;
            magnitude += term.to_f64().abs();
        }
        Ok((loss, ROUNDINGS * self.function.unit_roundoff() * magnitude))
    }

    /// Returns true if L is finite.
    fn is_finite(&mut self) -> Result<bool, Error> {
        let nowhere = Direction { entries: Vec::new(), size: 1.0 };
        Ok(self.after(&nowhere, 0.0)?.0.to_f64().is_finite())
    }

    /// Returns the derivative along a direction, with an error bar of at most `precision` if the noise allows it.
    fn derivative(&mut self, direction: &Direction, precision: f64) -> Result<Estimate, Error> {
        let mut best = Estimate::NONE;
        for size in SIZES {
            if best.error_bar > precision {
                let first = size * FIRST * direction.size;
                let quotients = [self.central(direction, first)?, self.central(direction, first / RATIO)?];
                best.improve(extrapolate(&quotients, RATIO * RATIO));
            }
        }
        Ok(best)
    }

    fn central(&mut self, direction: &Direction, step: f64) -> Result<Quotient, Error> {
        let (ahead, behind) = (self.after(direction, step)?, self.after(direction, -step)?);
        Ok(quotient(ahead, behind, 2.0 * step))
    }

    /// Returns the derivatives along a direction to the left and to the right.
    fn one_sided(&mut self, direction: &Direction) -> Result<[Estimate; 2], Error> {
        let base = self.after(direction, 0.0)?;
        let mut side = |sign: f64| -> Result<Estimate, Error> {
            let first = sign * FIRST * direction.size;
            let (coarse, fine) = (self.after(direction, first)?, self.after(direction, first / RATIO)?);
            Ok(extrapolate(&[quotient(coarse, base, first), quotient(fine, base, first / RATIO)], RATIO))
        };
        Ok([side(-1.0)?, side(1.0)?])
    }

    fn has_kink(&mut self, direction: &Direction) -> Result<bool, Error> {
        let [left, right] = self.one_sided(direction)?;
        Ok((left.value - right.value).abs() > 2.0 * (left.error_bar + right.error_bar))
    }

    /// Returns the entry whose halves of a failing direction fail, down to one.
    fn locate(
        &mut self,
        entries: &GradientEntries<'_>,
        direction: &Direction,
        estimate: &Estimate,
    ) -> Result<Option<usize>, Error> {
        let mut failing = direction.entries.clone();
        while failing.len() > 1 {
            // If the errors of both halves were within their tolerances, so would be that of the direction.
            let half = Direction { entries: failing.split_off(failing.len() / 2), size: direction.size };
            let value = self.central(&half, estimate.step)?.value.to_f64();
            if entries.check(&half, &Estimate { value, ..*estimate }).excess() > 1.0 {
                failing = half.entries;
            }
        }
        Ok(failing.first().map(|(entry, _)| *entry))
    }
}

/// Returns the difference quotient of L, each with its noise, at points of that distance.
fn quotient(ahead: (DoubleDouble, f64), behind: (DoubleDouble, f64), distance: f64) -> Quotient {
    let value = (ahead.0 - behind.0) / DoubleDouble::from_f64(distance);
    Quotient { value, noise: (ahead.1 + behind.1) / distance.abs(), step: distance.abs() / 2.0 }
}

/// A gradient to check by an entry and random directions.
pub(super) struct Sampled<'a> {
    pub(super) entries: &'a GradientEntries<'a>,
    pub(super) operand: &'a ArrayD<f64>,
    /// Flat indices of the entries that can be differentiated by.
    pub(super) open: &'a [usize],
    /// The entry that differs most from nnlayer's backward pass.
    pub(super) suspect: Option<usize>,
}

impl Sampled<'_> {
    /// Records random directions and an entry in the finding. Returns those that decide.
    pub(super) fn check(
        &self,
        loss: &mut Loss<'_>,
        finding: &mut Finding,
        rng: &mut SplitMix64,
    ) -> Result<Vec<(Direction, Estimate)>, Error> {
        let mut checked = Vec::with_capacity(SAMPLED_ENTRIES + DIRECTIONS);
        let mut sample = self.open.to_vec();
        let mut failing = None;
        if self.open.len() > SAMPLED_ENTRIES + DIRECTIONS {
            let smooth = self.without_kinks(loss, finding, rng)?;
            for signs in [Some(self.entries.gradient), None] {
                let direction = random_direction(self.operand, &smooth, signs, rng);
                if let Some(estimate) = self.check_direction(&direction, loss, finding)? {
                    failing = failing.or_else(|| self.fails(&direction, &estimate).then_some(checked.len()));
                    checked.push((direction, estimate));
                }
            }
            sample = vec![self.suspect.unwrap_or(self.open[rng.index(self.open.len())])];
        }
        let mut is_located = false;
        for &entry in &sample {
            is_located |= self.check_entry(entry, loss, finding, &mut checked)?;
        }
        if let (Some(failing), false) = (failing, is_located) {
            let (direction, estimate) = &checked[failing];
            if let Some(entry) = loss.locate(self.entries, direction, estimate)? {
                self.check_entry(entry, loss, finding, &mut checked)?;
            }
        }
        Ok(checked)
    }

    fn fails(&self, direction: &Direction, estimate: &Estimate) -> bool {
        self.entries.check(direction, estimate).excess() > 1.0
    }

    /// Returns the derivative along a direction; `None`, with a note, if there is none.
    fn estimate(
        &self,
        loss: &mut Loss<'_>,
        direction: &Direction,
        finding: &mut Finding,
    ) -> Result<Option<Estimate>, Error> {
        let precision = PRECISION * self.entries.tolerance * self.entries.scale_along(direction);
        let estimate = loss.derivative(direction, precision)?;
        if estimate.value.is_finite() {
            return Ok(Some(estimate));
        }
        let reason = match loss.is_finite()? {
            true => "no step sizes give a reliable numerical derivative".to_owned(),
            false => format!("{} is not finite, so it has no derivative here", loss.output),
        };
        leave_undecided(finding, reason);
        Ok(None)
    }

    /// Records an entry. Returns true if it is wrong; then it is the worst, before any direction.
    fn check_entry(
        &self,
        entry: usize,
        loss: &mut Loss<'_>,
        finding: &mut Finding,
        checked: &mut Vec<(Direction, Estimate)>,
    ) -> Result<bool, Error> {
        let direction = entry_direction(self.operand, entry);
        let Some(estimate) = self.estimate(loss, &direction, finding)? else { return Ok(false) };
        let wrong = finding.wrong;
        let one = [(direction, estimate)];
        self.entries.record_all(&one, finding, &mut |direction| loss.one_sided(direction))?;
        let is_wrong = finding.wrong > wrong;
        if is_wrong && finding.worst.as_ref().is_some_and(|worst| worst.index.is_none()) {
            finding.worst = one.first().map(|(direction, estimate)| self.entries.check(direction, estimate));
        }
        finding.checked += 1;
        checked.extend(one);
        Ok(is_wrong)
    }

    /// Records a random direction. One along which there is a kink decides nothing.
    fn check_direction(
        &self,
        direction: &Direction,
        loss: &mut Loss<'_>,
        finding: &mut Finding,
    ) -> Result<Option<Estimate>, Error> {
        if direction.entries.is_empty() {
            return Ok(None);
        }
        let Some(estimate) = self.estimate(loss, direction, finding)? else { return Ok(None) };
        if self.fails(direction, &estimate) && loss.has_kink(direction)? {
            leave_undecided(finding, "there is a kink along a random direction".to_owned());
            return Ok(None);
        }
        finding.record(self.entries.check(direction, &estimate));
        finding.directions += 1;
        Ok(Some(estimate))
    }

    /// Returns the open entries without those that are 0, if there is a kink at 0.
    fn without_kinks(
        &self,
        loss: &mut Loss<'_>,
        finding: &mut Finding,
        rng: &mut SplitMix64,
    ) -> Result<Vec<usize>, Error> {
        let is_zero = |n: &usize| self.operand.as_slice().is_some_and(|operand| operand[*n] == 0.0);
        let (zeros, others): (Vec<usize>, Vec<usize>) = self.open.iter().partition(|n| is_zero(n));
        if zeros.is_empty() || !loss.has_kink(&random_direction(self.operand, &zeros, None, rng))? {
            return Ok(self.open.to_vec());
        }
        let count = zeros.len();
        finding.notes.push(format!("kink at 0: entries of that value that no random direction changes: {count}"));
        Ok(others)
    }
}

/// Turns a pass into INCONCLUSIVE for a reason, which is noted once.
fn leave_undecided(finding: &mut Finding, reason: String) {
    finding.verdict = finding.verdict.max(Verdict::Inconclusive);
    if !finding.notes.contains(&reason) {
        finding.notes.push(reason);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::case::{Case, GradientTarget};
    use super::super::finding::CheckReport;
    use super::super::function::LayerFunction;
    use super::super::gradient_check::check;
    use super::super::implementation::{Evaluation, RecordedLayer};
    use super::super::options::CheckOptions;
    use super::*;
    use crate::core::tensors::Tensors;
    use crate::layer;
    use crate::layer::{Precision, Settings};
    use std::cell::Cell;

    const SHAPE: [usize; 2] = [60, 40];

    /// Returns numbers of which none is near 0.
    fn numbers(seed: u64) -> ArrayD<f64> {
        let mut rng = SplitMix64::new(seed);
        ArrayD::from_shape_simple_fn(&SHAPE[..], || rng.sign() * (1.5 + rng.dyadic() / 4.0))
    }

    /// Checks a record of a layer of x whose gradient was changed. Returns the number of forward passes too.
    fn check_recorded(
        name: &str,
        precision: Precision,
        x: ArrayD<f64>,
        change: impl FnOnce(&mut ArrayD<f64>),
    ) -> (CheckReport, usize) {
        let float_type = precision.float_type();
        let (spec, dout) = (layer::find(name).unwrap(), numbers(2));
        let operands = Tensors::new().with(Name::X, x);
        let case = Case::new(spec, &Settings::default(), &operands, Some(&dout), float_type).unwrap();
        let layer = &case.reference.as_ref().unwrap().layer;
        let outcome = layer::compute(layer.as_ref(), &case.operands, Some(&dout), precision);
        let mut recorded = Evaluation { outputs: outcome.results, gradients: outcome.gradients };
        change(recorded.gradients.get_mut(&Name::DX).unwrap());
        let passes = Cell::new(0);
        let count = || passes.set(passes.get() + 1);
        let options = CheckOptions { on_forward: &count, ..CheckOptions::own(&case, 1, float_type) };
        let report = check(&mut RecordedLayer { recorded }, &case, &options).unwrap();
        (report, passes.get())
    }

    #[test]
    fn a_right_gradient_of_many_entries_passes_with_few_forward_passes() {
        for (name, precision) in [("relu", Precision::F64), ("softmax", Precision::F64), ("softmax", Precision::F32)] {
            let (report, passes) = check_recorded(name, precision, numbers(1), |_| {});
            let finding = &report.findings[0];
            assert_eq!((finding.verdict, finding.checked, finding.directions), (Verdict::Pass, 1, 2), "{finding:?}");
            assert_eq!((passes, report.seed, finding.unnoticed.len()), (12, Some(1), 0));
        }
    }

    #[test]
    fn a_wrong_entry_is_named_even_if_it_is_lost_in_the_sum_of_a_direction() {
        for factor in [-1.0, 1.01, 1.0 + 1e-8] {
            let (report, passes) =
                check_recorded("relu", Precision::F64, numbers(1).mapv(f64::abs), |dx| dx[[23, 35]] *= factor);
            let finding = &report.findings[0];
            assert_eq!(finding.verdict, Verdict::Fail);
            assert_eq!(finding.worst.as_ref().unwrap().index, Some(vec![23, 35]));
            // 5 more tell for each wrong derivative that there is no kink.
            assert!(passes <= 12 + 3 * 5, "{passes}");
        }
    }

    #[test]
    fn zeros_at_a_kink_do_not_fail_and_those_elsewhere_are_part_of_the_directions() {
        let with_zeros = || {
            let mut x = numbers(1);
            x.iter_mut().step_by(3).for_each(|v| *v = 0.0);
            x
        };
        for (name, has_kink) in [("relu", true), ("tanh", false)] {
            let finding = check_recorded(name, Precision::F64, with_zeros(), |_| {}).0.findings.remove(0);
            assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
            assert_eq!(finding.notes.iter().any(|note| note.starts_with("kink at 0: ")), has_kink, "{finding:?}");
        }
        // Any value from 0 to dout is right at a kink, but no other.
        for (slope, verdict) in [(0.5, Verdict::Pass), (1.5, Verdict::Fail)] {
            let (report, _) =
                check_recorded("relu", Precision::F64, with_zeros(), |dx| dx[[0, 0]] = slope * numbers(2)[[0, 0]]);
            assert_eq!(report.verdict(), verdict);
        }
    }

    #[test]
    fn halving_finds_the_wrong_entry_of_a_direction_that_fails() {
        let (x, dout) = (numbers(1), numbers(2));
        let relu = (layer::find("relu").unwrap().build)(&Settings::default()).unwrap();
        let operands = Tensors::new().with(Name::X, x.clone());
        let mut gradient = layer::compute(relu.as_ref(), &operands, Some(&dout), Precision::F64).gradients;
        let mut gradient = gradient.take(&Name::DX).unwrap();
        gradient[[50, 7]] += 0.125;
        let target = GradientTarget::new(Name::DX, Name::X, &x, &gradient);
        let rounding = vec![0.0; gradient.len()];
        let entries = GradientEntries {
            gradient: &gradient,
            rounding: &rounding,
            target: &target,
            tolerance: 1e-10,
            dout: &dout,
        };
        let passes = Cell::new(0);
        let count = || passes.set(passes.get() + 1);
        let operands = operands.map(|&v| DoubleDouble::from_f64(v));
        let mut function = LayerFunction { layer: relu.as_ref(), operands, output: Name::Y, on_forward: &count };
        let mut loss = Loss { function: &mut function, operand: &Name::X, output: &Name::Y, dout: &dout };
        let open: Vec<usize> = (0..x.len()).collect();
        let sampled = Sampled { entries: &entries, operand: &x, open: &open, suspect: None };
        let mut finding = Finding::new(&Name::DX, true, super::super::finding::Baseline::NumericalGradient, &SHAPE);
        sampled.check(&mut loss, &mut finding, &mut SplitMix64::new(1)).unwrap();
        assert_eq!(finding.worst.unwrap().index, Some(vec![50, 7]));
        assert_eq!((finding.verdict, finding.checked, finding.directions, finding.wrong), (Verdict::Fail, 2, 2, 3));
        // A derivative takes 4 and a search for a kink 5 for two directions and two entries, and each of 12 halvings takes 2.
        assert!(passes.get() <= 4 * (4 + 5) + 2 * 12, "{}", passes.get());
    }
}
