//! Numerical derivatives, each with an error bar.
//!
//! Central differences with a sequence of step sizes are extrapolated to step size 0. The error bar is the disagreement of
//! neighbours in the extrapolation table, plus the noise of the outputs divided by the step size. Sequences that start at
//! other sizes follow only for entries whose error bar is not yet small.

use super::extrapolation::{Estimate, Quotient, extrapolate};
use super::function::{Direction, Function, Sample, Step, unreached_outputs};
use super::noise::fourth_difference_noise;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::ArrayD;

/// Number of roundings in an output: those of its last operation and of a library's exp or log.
const ROUNDINGS: f64 = 2.0;

/// The first step size relative to the size of the operand, the quotient of each and the next, and their number.
const FIRST: f64 = 1.0 / 4096.0;
const RATIO: f64 = 4.0;
const LEVELS: i32 = 4;

/// Error bar of a one-sided derivative, relative to it, at which no other step sizes are tried.
const PRECISE: f64 = 1e-12;

/// Sizes at which sequences of steps begin, from the operand's own size.
const SIZES: &[fn(f64) -> f64] = &[
    |size| size.min(4.0),
    |_| 1.0,
    |size| size.min(4.0) * 2f64.powi(-5),
    |size| size.min(4.0) * 2f64.powi(-10),
    |_| 2f64.powi(-10),
    |_| 2f64.powi(-20),
    |_| 2f64.powi(-30),
    |_| 2f64.powi(-40),
    |_| 2f64.powi(-60),
    |size| size,
];

/// The derivative of L = Σ dout∘output by one operand.
pub struct Derivative<'a> {
    function: &'a mut dyn Function,
    operand: &'a Name,
    dout: Vec<DoubleDouble>,
    /// Absolute noise of each output.
    noise: Vec<f64>,
    /// The outputs without a step.
    base: Vec<DoubleDouble>,
    /// The largest size of an entry of the operand.
    largest: f64,
}

/// Number of steps to each side from which the noise is estimated.
const SIDE: i32 = 6;

impl<'a> Derivative<'a> {
    /// Evaluates the function around its operands to estimate the noise of its outputs.
    pub fn new(
        function: &'a mut dyn Function,
        operand: &'a Name,
        dout: &ArrayD<f64>,
        around: &Direction,
    ) -> Result<Derivative<'a>, Error> {
        let unit = function.unit_roundoff();
        let spacing = libm::pow(unit, 0.68);
        let steps: Vec<Step<'_>> = (-SIDE..=SIDE)
            .map(|n| Step { operand, entries: &around.entries, length: f64::from(n) * spacing * around.size })
            .collect();
        let samples = function.evaluate(&steps)?;
        let middle = samples.len() / 2;
        let base = samples.get(middle).map(|sample| sample.outputs.clone()).unwrap_or_default();
        // The noise of each side, of which the smaller is taken: a kink between or on one of them is no noise.
        let sides = [samples.get(..=middle), samples.get(middle..)].map(Option::unwrap_or_default);
        let noise = (0..base.len())
            .map(|n| {
                let [behind, ahead] = sides.map(|side| fourth_difference_noise(output(side, n)));
                (ROUNDINGS * unit * base[n].to_f64().abs()).max(3.0 * behind.min(ahead))
            })
            .collect();
        let dout = dout.iter().map(|&v| DoubleDouble::from_f64(v)).collect();
        let largest = function.largest(operand);
        Ok(Derivative { function, operand, dout, noise, base, largest })
    }

    /// Returns true if L is finite.
    pub fn is_finite(&self) -> bool {
        self.base.iter().zip(&self.dout).all(|(out, dout)| (*out * *dout).to_f64().is_finite())
    }

    /// Estimates the derivative along each direction, to `precision` relative to the largest if the noise allows it.
    pub fn estimate(&mut self, directions: &[Direction], precision: f64) -> Result<Vec<Estimate>, Error> {
        let mut best = vec![Estimate::NONE; directions.len()];
        for size in SIZES {
            let largest = best.iter().map(|e| e.value.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
            let is_open = |e: &Estimate| !(e.error_bar <= precision * largest.max(e.value.abs()) || e.error_bar == 0.0);
            for (direction, estimate) in directions.iter().zip(&mut best).filter(|(_, estimate)| is_open(estimate)) {
                let unreached = self.unreached_outputs(direction)?;
                estimate.improve(self.central_differences(direction, *size, &unreached)?);
            }
        }
        Ok(best)
    }

    fn central_differences(
        &mut self,
        direction: &Direction,
        size: fn(f64) -> f64,
        unreached: &[bool],
    ) -> Result<Estimate, Error> {
        let lengths = step_lengths(size(direction.size)).flat_map(|length| [length, -length]);
        let samples = self.samples(direction, lengths)?;
        let quotient = |pair: &[Sample]| self.quotient(&pair[0], &pair[1], unreached);
        let quotients: Vec<Quotient> = samples.chunks(2).map(quotient).collect();
        Ok(extrapolate(&quotients, RATIO * RATIO))
    }

    fn unreached_outputs(&mut self, direction: &Direction) -> Result<Vec<bool>, Error> {
        unreached_outputs(self.function, self.operand, direction, &self.base, self.largest)
    }

    /// Evaluates the function after steps along a direction.
    fn samples(&mut self, direction: &Direction, lengths: impl Iterator<Item = f64>) -> Result<Vec<Sample>, Error> {
        let step = |length| Step { operand: self.operand, entries: &direction.entries, length };
        let steps: Vec<Step<'_>> = lengths.map(step).collect();
        self.function.evaluate(&steps)
    }

    /// Returns the derivatives to the left and to the right of the operands.
    pub fn one_sided(&mut self, direction: &Direction) -> Result<[Estimate; 2], Error> {
        let mut best = [Estimate::NONE; 2];
        let base = Sample { outputs: self.base.clone(), length: DoubleDouble::zero(), changes: Vec::new() };
        let unreached = self.unreached_outputs(direction)?;
        for size in SIZES {
            if best.iter().all(|estimate| estimate.error_bar <= PRECISE * estimate.value.abs()) {
                break;
            }
            for (side, best) in [-1.0, 1.0].into_iter().zip(&mut best) {
                let samples = self.samples(direction, step_lengths(side * size(direction.size)))?;
                let quotient = |sample| self.quotient(sample, &base, &unreached);
                let quotients: Vec<Quotient> = samples.iter().map(quotient).collect();
                best.improve(extrapolate(&quotients, RATIO));
            }
        }
        Ok(best)
    }

    /// Returns the difference quotient of two samples and its noise, without that of the outputs which do not depend on the entry.
    fn quotient(&self, ahead: &Sample, behind: &Sample, unreached: &[bool]) -> Quotient {
        let step = ahead.length - behind.length;
        let outputs = self.dout.len();
        if ahead.outputs.len() != outputs || behind.outputs.len() != outputs || step.to_f64() == 0.0 {
            return Quotient { value: DoubleDouble::from_f64(f64::NAN), noise: f64::INFINITY, step: 0.0 };
        }
        // A dout of 0 excludes an output, even an infinite one.
        let active: Vec<usize> = (0..outputs).filter(|&n| self.dout[n].to_f64() != 0.0).collect();
        let rise = active.iter().map(|&n| self.dout[n] * (ahead.outputs[n] - behind.outputs[n]));
        let rise = DoubleDouble::sum(rise);
        let unit = self.function.unit_roundoff();
        let (mut noise, mut constant_noise) = (0.0, 0.0f64);
        for n in active {
            let (a, b) = (ahead.outputs[n], behind.outputs[n]);
            let size = a.to_f64().abs().max(b.to_f64().abs());
            let own = self.dout[n].to_f64().abs() * self.noise[n].max(ROUNDINGS * unit * size);
            // Constant outputs may depend on other entries only: the noisiest stands for all of them.
            match (a == b, unreached[n]) {
                (true, true) => {}
                (true, false) => constant_noise = constant_noise.max(own),
                (false, _) => noise += own,
            }
        }
        noise += constant_noise;
        let step_size = step.to_f64().abs();
        Quotient { value: rise / step, noise: 2.0 * noise / step_size, step: step_size / 2.0 }
    }
}

/// Returns the step sizes for an operand of that size, the largest first.
fn step_lengths(size: f64) -> impl Iterator<Item = f64> {
    (0..LEVELS).map(move |level| size * FIRST / RATIO.powi(level))
}

/// Returns output `n` of each sample.
fn output(samples: &[Sample], n: usize) -> Vec<DoubleDouble> {
    samples.iter().filter_map(|sample| sample.outputs.get(n).copied()).collect()
}
