//! Nodes and edges of a computational graph.

use ndarray::ArrayD;

/// Level of detail of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nodes are operations on matrices.
    Tensor,
    /// Nodes are operations on numbers: +, ×, exp, /, log.
    Scalar,
}

/// A computational graph; its nodes are in the order of the forward pass.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Level of detail.
    pub level: Level,
    /// Operands, operations, branches and results.
    pub nodes: Vec<Node>,
    /// Values that go from node to node.
    pub edges: Vec<Edge>,
    /// True if the graph shows gradients.
    pub backward: bool,
    /// Explanations below the graph.
    pub notes: Vec<String>,
}

/// A node of a graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Kind of the node.
    pub kind: NodeKind,
    /// Label of the node: `+`, `exp`, `x[0]`.
    pub label: String,
    /// Formula of the operation if the label abbreviates it: `e^(x − 3)`.
    pub meaning: Option<String>,
}

/// Kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// An operand.
    Leaf,
    /// An operation.
    Operation,
    /// A value that is used several times, whose gradients are summed.
    Branch,
    /// A result.
    Sink,
}

/// An edge of a graph, with a value forward and a gradient backward.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Node that computes the value.
    pub from: usize,
    /// Node that reads the value.
    pub to: usize,
    /// Name of the value, if it has one.
    pub name: Option<String>,
    /// Name of the gradient, if it has one.
    pub gradient_name: Option<String>,
    /// The value.
    pub forward: ArrayD<f64>,
    /// The gradient of the loss; targets and constants have none.
    pub backward: Option<ArrayD<f64>>,
    /// Derivative of the result of `to` by this edge, in a graph of numbers.
    pub local_derivative: Option<f64>,
    /// Formula of the gradient of a layer's operand: `dx = dout·Wᵀ`.
    pub gradient_formula: Option<String>,
}

impl Graph {
    /// Returns a graph without nodes that shows gradients.
    pub(super) fn new(level: Level) -> Graph {
        Graph { level, backward: true, nodes: Vec::new(), edges: Vec::new(), notes: Vec::new() }
    }

    /// Adds a node and returns its index.
    pub(super) fn add_node(&mut self, kind: NodeKind, label: impl Into<String>) -> usize {
        self.nodes.push(Node { kind, label: label.into(), meaning: None });
        self.nodes.len() - 1
    }

    /// Adds an explanation, unless the graph has it.
    pub(super) fn add_note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Removes the gradients.
    pub fn clear_gradients(&mut self) {
        self.backward = false;
        self.edges.iter_mut().for_each(|edge| edge.backward = None);
    }

    /// Returns the edges that leave each node.
    pub(super) fn outgoing(&self) -> Vec<Vec<usize>> {
        self.edges_by(|edge| edge.from)
    }

    /// Returns the edges that reach each node, in the order of its operands.
    pub(super) fn incoming(&self) -> Vec<Vec<usize>> {
        self.edges_by(|edge| edge.to)
    }

    fn edges_by(&self, node: fn(&Edge) -> usize) -> Vec<Vec<usize>> {
        let mut edges = vec![Vec::new(); self.nodes.len()];
        self.edges.iter().enumerate().for_each(|(n, edge)| edges[node(edge)].push(n));
        edges
    }
}
