//! The checker: it knows no layer.

use crate::bundle::Bundle;
use crate::fault::Fault;
use crate::layer::Precision;
use ndarray::ArrayD;

pub mod compare;
pub mod expect;
pub mod program;

/// Where a layer is looked at.
#[derive(Clone, Debug)]
pub struct Point {
    /// The operands.
    pub at: Bundle<f64>,
    /// The upstream gradient; without one only outputs are wanted.
    pub dout: Option<ArrayD<f64>>,
}

/// What a layer says at a point. Somebody's program may say anything: other names, other shapes, more axes than two.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Forward results.
    pub outputs: Bundle<f64>,
    /// Gradients.
    pub gradients: Bundle<f64>,
}

/// Whatever computes a layer: ours, a tape, or somebody's program.
pub trait Subject {
    /// Looks at many points at once, so that a process answers them in one go; a reply a point, in order.
    fn ask(&mut self, points: &[Point]) -> Result<Vec<Reply>, Fault>;

    /// The arithmetic it computes in.
    fn precision(&self) -> Precision;
}
