//! The interface to a layer under check, and the implementations that run in this process.

use crate::core::error::Error;
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
    /// Evaluates every point, in order. A program receives as many in one request as fit into 8 MB.
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error>;

    /// Returns how many more requests it should get; `None` if their number does not matter.
    fn requests_left(&self) -> Option<usize> {
        None
    }

    /// Returns the version of the protocol that its replies follow. In version 2, a name that was not asked for is an error.
    fn protocol_version(&self) -> u32 {
        1
    }
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
}

/// The recorded results of a layer at a point.
pub struct RecordedLayer {
    /// The results.
    pub recorded: Evaluation,
}

impl Implementation for RecordedLayer {
    fn evaluate(&mut self, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
        Ok(vec![self.recorded.clone(); points.len()])
    }
}
