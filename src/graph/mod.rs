//! Computational graphs: operations as nodes, and on each edge the value that goes forward and the gradient that comes back.
//!
//! At the level of scalars a graph is what a trace of the layer recorded ([`record`]); at the level of tensors it is the
//! parts that a layer says it has ([`tensor`]). [`place`] finds a place for everything, and a renderer each draws it.

use crate::core::error::{Code, Error, format_shape};
use ndarray::ArrayD;

mod align;
mod dot;
mod grid;
mod html;
mod label;
mod mermaid;
mod order;
mod place;
mod record;
mod svg;
mod tensor;
mod terminal;
mod textbook;
mod trace;

pub use tensor::{Staged, tensor};
pub use terminal::{Style, terminal};
pub use trace::{LIMIT, scalar};

/// So many nodes of scalars are drawn where nobody chose a level.
pub const FEW: usize = 48;

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
    /// Whether gradients go backward.
    pub backward: bool,
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
    /// What that means, where it leaves something out: `e^(x − 3)`.
    pub meaning: Option<String>,
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
    /// What the gradient is called, where it has a name.
    pub slope: Option<String>,
    /// The value.
    pub forward: ArrayD<f64>,
    /// The gradient of the loss by this edge; matrices of targets have none.
    pub backward: Option<ArrayD<f64>>,
    /// The derivative of what `to` gives by this edge, where that is a number.
    pub local: Option<f64>,
    /// The formula of its gradient, where it is an operand of a layer: `dx = dout·Wᵀ`.
    pub rule: Option<String>,
}

/// A way to draw a graph into a file.
pub struct Picture {
    /// The file's extension.
    pub extension: &'static str,
    /// The file's content.
    pub draw: fn(&Graph) -> String,
}

/// The kinds of files that graphs are drawn to.
pub const PICTURES: &[Picture] = &[
    Picture { extension: "svg", draw: svg::svg },
    Picture { extension: "html", draw: html::html },
    Picture { extension: "dot", draw: dot::dot },
    Picture { extension: "mmd", draw: mermaid::mermaid },
];

/// Layers one behind the other as a graph of the level that was chosen; else of scalars where it has few nodes.
pub fn graph(stages: &[Staged<'_>], level: Option<Level>) -> Result<Graph, Error> {
    let given = stages.iter().flat_map(|stage| stage.at.iter());
    if let Some((name, value)) = given.into_iter().find(|(_, value)| value.is_empty()) {
        return Err(Error::new(
            Code::GraphSize,
            format!("{} is empty: there is nothing to draw", format_shape(value.shape())),
        )
        .with_operand(name)
        .tip("a graph needs one number at least in every matrix"));
    }
    match level {
        Some(Level::Tensor) => Ok(tensor(stages)),
        Some(Level::Scalar) => scalar(stages),
        None => Ok(scalar(stages).ok().filter(|graph| graph.nodes.len() <= FEW).unwrap_or_else(|| tensor(stages))),
    }
}

impl Graph {
    /// Leaves the values that go forward.
    pub fn forget_gradients(&mut self) {
        self.backward = false;
        self.edges.iter_mut().for_each(|edge| edge.backward = None);
    }

    /// The edges that leave a node.
    pub fn leaving(&self, node: usize) -> impl Iterator<Item = usize> {
        (0..self.edges.len()).filter(move |&edge| self.edges[edge].from == node)
    }

    /// The edges that reach a node, in the order of its operands.
    pub fn reaching(&self, node: usize) -> impl Iterator<Item = usize> {
        (0..self.edges.len()).filter(move |&edge| self.edges[edge].to == node)
    }
}

/// Blue forward and vermilion backward: any eye tells them apart (Okabe and Ito 2008).
const FORWARD: &str = "#0072b2";
const BACKWARD: &str = "#d55e00";

/// What is said below a graph, or beside it.
fn legend(graph: &Graph) -> impl Iterator<Item = &str> {
    let first = if graph.backward {
        "above a line the value forward, below it the gradient backward"
    } else {
        "above a line the value forward"
    };
    std::iter::once(first).chain(graph.notes.iter().map(String::as_str))
}

/// What the gradient by `w` is called: `dw`, and by `fc1.w` `fc1.dw`.
fn gradient(name: &str) -> String {
    match name.rsplit_once('.').filter(|(layer, _)| !layer.contains(' ')) {
        Some((layer, own)) => format!("{layer}.d{own}"),
        None if name.chars().all(|c| c.is_alphanumeric() || "_[,]".contains(c)) => format!("d{name}"),
        None => format!("d({name})"),
    }
}

/// `[0,1]` of an array; nothing of a scalar.
fn place_in(at: &[usize]) -> String {
    if at.is_empty() { String::new() } else { crate::core::error::format_index(at) }
}
