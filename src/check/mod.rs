//! Checking gradients: of nnlayer's own layers, and of anybody's program.
//!
//! Two questions, answered apart: is the forward pass right, and are the gradients those of the forward pass? The checker
//! knows no layer; what it has is a [`Subject`] that answers points, differences of its forward pass with an error bar
//! ([`numeric`]), and where there is one a reference.

use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Precision};
use ndarray::ArrayD;

mod case;
pub mod compare;
pub mod diagnosis;
pub mod expect;
pub mod inputs;
mod judged;
mod mistakes;
pub mod numeric;
mod plan;
pub mod program;
mod question;
pub mod verdict;

pub use case::{Case, Reference, Slant, local_factors};
pub use mistakes::MISTAKES;
pub use plan::Plan;
pub use question::check;
pub use verdict::{Against, Checked, Finding, Verdict, Worst};

/// Where a layer is looked at.
#[derive(Clone, Debug)]
pub struct Point {
    /// The operands.
    pub at: Tensors<f64>,
    /// The upstream gradient, where gradients are wanted.
    pub dout: Option<ArrayD<f64>>,
}

/// What a subject has to say about a point. Somebody's program may say anything: other names, other shapes, more axes
/// than two.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Forward results.
    pub outputs: Tensors<f64>,
    /// Gradients; empty where none were wanted.
    pub gradients: Tensors<f64>,
}

/// Whoever is checked: our layer, or somebody's program.
pub trait Subject {
    /// Answers every point, in order. Many points come at once: a process answers them in one go.
    fn ask(&mut self, points: &[Point]) -> Result<Vec<Reply>, Error>;
    /// The precision it computes in, so that a program in single precision is not accused.
    fn precision(&self) -> Precision;
}

/// A layer of nnlayer's own as a subject.
pub struct Own<'a> {
    /// The layer.
    pub layer: &'a dyn AnyLayer,
    /// The precision it computes in.
    pub precision: Precision,
}

impl Subject for Own<'_> {
    fn ask(&mut self, points: &[Point]) -> Result<Vec<Reply>, Error> {
        let answer = |point: &Point| {
            let outcome = layer::compute(self.layer, &point.at, point.dout.as_ref(), self.precision);
            Reply { outputs: outcome.results, gradients: outcome.gradients }
        };
        Ok(points.iter().map(answer).collect())
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

/// A layer whose reply at the first point was worked out elsewhere, and stands in a file. Around that point, it is taken to
/// change as the layer's own does.
pub struct Recorded<'a> {
    /// The layer.
    pub own: Own<'a>,
    /// What it is said to give.
    pub reply: Reply,
}

impl Subject for Recorded<'_> {
    fn ask(&mut self, points: &[Point]) -> Result<Vec<Reply>, Error> {
        let mut replies = self.own.ask(points)?;
        let Some(first) = replies.first().cloned() else { return Ok(replies) };
        for reply in &mut replies {
            reply.outputs = moved(&self.reply.outputs, &reply.outputs, &first.outputs);
            reply.gradients = moved(&self.reply.gradients, &reply.gradients, &first.gradients);
        }
        Ok(replies)
    }

    fn precision(&self) -> Precision {
        self.own.precision
    }
}

/// recorded + (there − here), where the shapes are the same.
fn moved(recorded: &Tensors<f64>, there: &Tensors<f64>, here: &Tensors<f64>) -> Tensors<f64> {
    let moved = |(name, value): (&Name, &ArrayD<f64>)| {
        let value = match (there.get(name), here.get(name)) {
            (Some(there), Some(here)) if there != here && value.shape() == there.shape() => value + &(there - here),
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    recorded.iter().map(moved).collect()
}

/// The rounding of a precision: half a unit in the last place at 1.
pub fn rounding(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => f64::from(f32::EPSILON) / 2.0,
        _ => f64::EPSILON / 2.0,
    }
}

/// The number of that precision nearest to a double.
#[allow(clippy::cast_possible_truncation)] // rounding is what this is for
pub fn rounded(value: f64, precision: Precision) -> f64 {
    match precision {
        Precision::F32 => f64::from(value as f32),
        _ => value,
    }
}

/// The part of a value that is too small to be a difference: 1e-10, or 1e-4 in single precision.
pub fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-4,
        _ => 1e-10,
    }
}

/// The index that a flat position stands for.
pub fn unflat(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (place, &side) in at.iter_mut().zip(shape).rev() {
        (*place, flat) = (flat % side.max(1), flat / side.max(1));
    }
    at
}

/// What a gradient is called and what it is a gradient by.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// `dx`.
    pub name: Name,
    /// `x`.
    pub operand: Name,
}
