//! Computational graphs: operations as nodes, and on each edge the value that goes forward and the gradient that comes back.
//!
//! At the level of scalars a graph is what a trace of the layer recorded ([`record`]); at the level of tensors it is the
//! parts that a layer says it has ([`tensor`]). [`place`] finds a place for everything, and a renderer each draws it.

use ndarray::ArrayD;

mod number;
mod place;
mod record;
mod tensor;
mod terminal;
mod trace;

pub use tensor::{Staged, tensor};
pub use terminal::{Style, terminal};
pub use trace::{LIMIT, scalar};

/// How fine a graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A node is an operation on whole matrices.
    Tensor,
    /// A node is +, ×, exp, /, log of numbers.
    Scalar,
}

/// A computational graph; nodes stand in the order of the forward pass.
#[derive(Clone, Debug)]
pub struct Graph {
    /// How fine it is.
    pub level: Level,
    /// What is computed.
    pub nodes: Vec<Node>,
    /// What goes from node to node.
    pub edges: Vec<Edge>,
    /// What has to be said below it.
    pub notes: Vec<String>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// What stands on it: `+`, `exp`, `x[0]`.
    pub label: String,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An operand.
    Leaf,
    /// An operation.
    Op,
    /// Where a value goes several ways, and their gradients are summed.
    Branch,
    /// A result.
    Sink,
}

/// An edge: a value forward, a gradient backward.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where the value comes from.
    pub from: usize,
    /// Where it goes to.
    pub to: usize,
    /// What the value is called, where it has a name.
    pub name: Option<String>,
    /// The value.
    pub forward: ArrayD<f64>,
    /// The gradient of the loss by this edge; matrices of targets have none.
    pub backward: Option<ArrayD<f64>>,
    /// The derivative of what `to` gives by this edge, where that is a number.
    pub local: Option<f64>,
}

impl Graph {
    /// The edges that leave a node.
    pub fn leaving(&self, node: usize) -> impl Iterator<Item = usize> {
        (0..self.edges.len()).filter(move |&edge| self.edges[edge].from == node)
    }

    /// The edges that reach a node, in the order of its operands.
    pub fn reaching(&self, node: usize) -> impl Iterator<Item = usize> {
        (0..self.edges.len()).filter(move |&edge| self.edges[edge].to == node)
    }
}

/// What the gradient by `w` is called: `dw`, and by `fc1.w` `fc1.dw`.
fn gradient(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((layer, own)) => format!("{layer}.d{own}"),
        None => format!("d{name}"),
    }
}

/// `[0,1]` of an array; nothing of a scalar.
fn place_in(at: &[usize]) -> String {
    if at.is_empty() { String::new() } else { crate::fault::index(at) }
}
