//! The interface to a layer under check, and the implementations that run in this process.

use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Precision};
use ndarray::ArrayD;

/// A point at which a layer is evaluated.
#[derive(Clone, Debug)]
pub struct Point {
    /// The operands.
    pub operands: Tensors<f64>,
    /// The upstream gradient; `None` if no gradients are needed.
    pub dout: Option<ArrayD<f64>>,
}

/// The results of a layer at a point. Those of an external program may have any names, shapes and ranks.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Forward results.
    pub outputs: Tensors<f64>,
    /// Gradients; empty if none were requested.
    pub gradients: Tensors<f64>,
}

/// An implementation of a layer: one of nnlayer's own, or an external program.
pub trait Implementation {
    /// Evaluates every point, in order. A program receives all of them in one request.
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error>;
    /// Returns the precision that the implementation computes in, which determines the tolerance.
    fn precision(&self) -> Precision;
}

/// A layer of nnlayer.
pub struct BuiltinLayer<'a> {
    /// The layer.
    pub layer: &'a dyn AnyLayer,
    /// The precision it computes in.
    pub precision: Precision,
}

impl Implementation for BuiltinLayer<'_> {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let evaluate = |point: &Point| {
            let outcome = layer::compute(self.layer, &point.operands, point.dout.as_ref(), self.precision);
            Evaluation { outputs: outcome.results, gradients: outcome.gradients }
        };
        Ok(points.iter().map(evaluate).collect())
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

/// A layer whose results at the first point were recorded in a file. At the other points they change by as much as those
/// of the layer itself.
pub struct RecordedLayer<'a> {
    /// The layer.
    pub layer: BuiltinLayer<'a>,
    /// The recorded results.
    pub recorded: Evaluation,
}

impl Implementation for RecordedLayer<'_> {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        let mut evaluations = self.layer.evaluate(points)?;
        let Some(first) = evaluations.first().cloned() else { return Ok(evaluations) };
        for evaluation in &mut evaluations {
            evaluation.outputs = shift(&self.recorded.outputs, &evaluation.outputs, &first.outputs);
            evaluation.gradients = shift(&self.recorded.gradients, &evaluation.gradients, &first.gradients);
        }
        Ok(evaluations)
    }

    fn precision(&self) -> Precision {
        self.layer.precision
    }
}

/// Returns recorded + (point − first) for each array whose shape is as recorded.
fn shift(recorded: &Tensors<f64>, point: &Tensors<f64>, first: &Tensors<f64>) -> Tensors<f64> {
    let shifted = |(name, value): (&Name, &ArrayD<f64>)| {
        let value = match (point.get(name), first.get(name)) {
            (Some(point), Some(first)) if point != first && value.shape() == point.shape() => value + &(point - first),
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    recorded.iter().map(shifted).collect()
}
