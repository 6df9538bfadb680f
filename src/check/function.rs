//! Functions to differentiate: layers of nnlayer in double-double, and implementations in their own precision.

use super::arrays::max_abs;
use super::implementation::{Implementation, Point};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{Layer, run_in_kind};
use crate::numeric::{DoubleDouble, Dynamic, FloatType, Scalar};
use ndarray::ArrayD;

/// A direction to differentiate along: one entry, or many at once.
#[derive(Clone, Debug)]
pub struct Direction {
    /// Flat index and weight of each entry that changes.
    pub entries: Vec<(usize, f64)>,
    /// Magnitude of the operand, which step sizes are relative to; 1 if the operand is 0.
    pub size: f64,
}

/// A step along a direction: entries of one operand change by their weight times the length.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The operand.
    pub operand: &'a Name,
    /// Flat index and weight of each entry that changes.
    pub entries: &'a [(usize, f64)],
    /// The length of the step.
    pub length: f64,
}

/// The value of a function after a step.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The outputs, flat.
    pub outputs: Vec<DoubleDouble>,
    /// The length of the step, as far as the operand's type allowed it.
    pub length: DoubleDouble,
    /// Flat index and change of each entry, as rounded to the operand's type.
    pub changes: Vec<(usize, DoubleDouble)>,
}

/// A function of named arrays.
pub trait Function {
    /// Evaluates the function after each step.
    fn evaluate(&mut self, steps: &[Step<'_>]) -> Result<Vec<Sample>, Error>;
    /// Returns the unit roundoff of an output.
    fn unit_roundoff(&self) -> f64;
    /// Returns the largest size of an entry of an operand.
    fn largest(&self, operand: &Name) -> f64;
}

/// Quotient of the largest entry of an operand and another entry from which the outputs that do not depend on the latter are looked for.
const FAR: f64 = 1024.0;

/// Returns for each output whether it stays the same when the entry of a direction changes by more than the largest entry of the
/// operand. The rounding errors of such an output say nothing about the derivative. This takes two evaluations, which are made only
/// where other entries are so much larger that it matters.
pub(super) fn unreached_outputs(
    function: &mut dyn Function,
    operand: &Name,
    direction: &Direction,
    base: &[DoubleDouble],
    largest: f64,
) -> Result<Vec<bool>, Error> {
    let length = 1.5 * largest;
    if direction.entries.len() != 1 || length <= FAR * direction.size {
        return Ok(vec![false; base.len()]);
    }
    let step = |length| Step { operand, entries: &direction.entries, length };
    let samples = function.evaluate(&[step(length), step(-length)])?;
    let stays = |(n, before)| samples.iter().all(|sample| sample.outputs.get(n) == Some(before));
    Ok(base.iter().enumerate().map(stays).collect())
}

/// A layer of nnlayer in double-double.
pub struct LayerFunction<'a> {
    /// The layer.
    pub layer: &'a dyn Layer<Dynamic>,
    /// Its operands.
    pub operands: Tensors<DoubleDouble>,
    /// The output that is differentiated.
    pub output: Name,
    /// Called after each forward pass.
    pub on_forward: &'a dyn Fn(),
}

impl LayerFunction<'_> {
    /// Unit roundoff of double-double, with a few bits to spare.
    const UNIT_ROUNDOFF: f64 = 1.0 / (1u128 << 100) as f64;

    /// Changes the entries of a step. Returns their values before.
    fn step(&mut self, step: &Step<'_>, length: DoubleDouble) -> Vec<DoubleDouble> {
        let Some(values) = self.operands.get_mut(step.operand).and_then(ArrayD::as_slice_mut) else {
            return Vec::new();
        };
        let change = |&(entry, weight): &(usize, f64)| {
            let after = values[entry] + DoubleDouble::from_f64(weight) * length;
            std::mem::replace(&mut values[entry], after)
        };
        step.entries.iter().map(change).collect()
    }

    /// Restores the entries of a step.
    fn undo(&mut self, step: &Step<'_>, before: &[DoubleDouble]) {
        if let Some(values) = self.operands.get_mut(step.operand).and_then(ArrayD::as_slice_mut) {
            step.entries.iter().zip(before).for_each(|(&(entry, _), &value)| values[entry] = value);
        }
    }
}

impl Function for LayerFunction<'_> {
    fn evaluate(&mut self, steps: &[Step<'_>]) -> Result<Vec<Sample>, Error> {
        let samples = steps.iter().map(|step| {
            let length = DoubleDouble::from_f64(step.length);
            let before = self.step(step, length);
            let forward = run_in_kind(self.layer, &self.operands, None);
            self.undo(step, &before);
            (self.on_forward)();
            let outputs = forward.results.get(&self.output).map(|value| value.iter().copied().collect());
            Sample { outputs: outputs.unwrap_or_default(), length, changes: Vec::new() }
        });
        Ok(samples.collect())
    }

    fn unit_roundoff(&self) -> f64 {
        LayerFunction::UNIT_ROUNDOFF
    }

    fn largest(&self, operand: &Name) -> f64 {
        let entries = self.operands.get(operand).into_iter().flatten();
        entries.map(|v| v.to_f64().abs()).filter(|size| size.is_finite()).fold(0.0, f64::max)
    }
}

/// The forward pass of an implementation in its own precision.
pub struct ImplementationFunction<'a> {
    /// The implementation.
    pub implementation: &'a mut dyn Implementation,
    /// Its operands.
    pub operands: &'a Tensors<f64>,
    /// The output that is differentiated.
    pub output: Name,
    /// The type that the implementation computes in.
    pub float_type: FloatType,
    /// Called after each forward pass.
    pub on_forward: &'a dyn Fn(),
}

impl Function for ImplementationFunction<'_> {
    fn evaluate(&mut self, steps: &[Step<'_>]) -> Result<Vec<Sample>, Error> {
        let (points, changes): (Vec<Point>, Vec<(DoubleDouble, Changes)>) =
            steps.iter().map(|step| apply_step(self.operands, step, self.float_type)).unzip();
        let evaluations = self.implementation.evaluate(&points)?;
        points.iter().for_each(|_| (self.on_forward)());
        let samples = evaluations.iter().zip(changes).map(|(evaluation, (length, changes))| {
            let outputs = evaluation.outputs.get(&self.output).map(|value| value.iter().copied());
            Sample { outputs: outputs.into_iter().flatten().map(DoubleDouble::from_f64).collect(), length, changes }
        });
        Ok(samples.collect())
    }

    fn unit_roundoff(&self) -> f64 {
        self.float_type.unit_roundoff()
    }

    fn largest(&self, operand: &Name) -> f64 {
        self.operands.get(operand).map_or(0.0, max_abs)
    }
}

/// Flat index and change of each entry.
type Changes = Vec<(usize, DoubleDouble)>;

/// Returns the point after a step, rounded to a type, with the length of the step and the changes as rounded.
fn apply_step(operands: &Tensors<f64>, step: &Step<'_>, float_type: FloatType) -> (Point, (DoubleDouble, Changes)) {
    let mut operands = operands.clone();
    let (mut length, mut changes) = (DoubleDouble::from_f64(step.length), Vec::with_capacity(step.entries.len()));
    if let Some(values) = operands.get_mut(step.operand).and_then(ArrayD::as_slice_mut) {
        for &(entry, weight) in step.entries {
            // As the program rounds it.
            let before = float_type.round(values[entry]);
            let after = float_type.round(before + weight * step.length);
            let change = DoubleDouble::from_f64(after) - DoubleDouble::from_f64(before);
            if step.entries.len() == 1 {
                length = change / DoubleDouble::from_f64(weight);
            }
            changes.push((entry, change));
            values[entry] = after;
        }
    }
    (Point { operands, dout: None }, (length, changes))
}
