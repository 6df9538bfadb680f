//! Nodes and edges of a computational graph.

use super::options::PictureOptions;
use ndarray::ArrayD;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Level of detail of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Nodes are layers.
    Layer,
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
    /// Names that are drawn in another spelling than that of options and keys: `W` for `w`, `W₁` for `affine1.w`.
    pub symbols: Arc<BTreeMap<String, String>>,
    /// Gradients of operands that are drawn at each of their uses, as sums of the gradients there.
    pub sums: Vec<GradientSum>,
    /// Options of the picture.
    pub options: PictureOptions,
}

/// A gradient that is the sum of those of several uses.
#[derive(Clone, Debug)]
pub struct GradientSum {
    /// Name of the gradient: `dw[0,0]`.
    pub name: String,
    /// Gradient of each use.
    pub terms: Vec<f64>,
    /// Their sum.
    pub total: f64,
}

/// A node of a graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Kind of the node.
    pub kind: NodeKind,
    /// Label of the node: `+`, `e^(x−3)`, `x[0]`.
    pub label: String,
    /// Explanation of the node, if the label alone is not clear.
    pub meaning: Option<String>,
    /// True if the operands cannot be swapped; they are drawn in their order, the first at the top.
    pub is_ordered: bool,
    /// Treatment of the gradient that comes back, in a word or two: `swaps`.
    pub hint: Option<String>,
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
    /// The end of a line that continues in another part of the picture.
    Connector,
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
    /// Formula of that derivative, if `to` has a single operand x: `−1/x²`.
    pub local_formula: Option<String>,
    /// Formula of the gradient of a layer's operand: `dx = dout·Wᵀ`.
    pub gradient_formula: Option<String>,
    /// The sum that is the gradient before a branch, `= 2 + (-1)`, with `≈` if a number is rounded.
    pub sum: Option<String>,
}

impl Graph {
    /// Returns a graph without nodes that shows gradients.
    pub(super) fn new(level: Level, options: PictureOptions) -> Graph {
        let (nodes, edges, notes, symbols) = (Vec::new(), Vec::new(), Vec::new(), Arc::default());
        Graph { level, backward: true, nodes, edges, notes, symbols, sums: Vec::new(), options }
    }

    /// Returns a name as it is drawn; an index stays.
    pub(super) fn symbol(&self, name: &str) -> String {
        let (key, index) = name.split_at(name.find('[').unwrap_or(name.len()));
        self.symbols.get(key).map_or_else(|| name.to_owned(), |symbol| symbol.clone() + index)
    }

    /// Adds a node and returns its index.
    pub(super) fn add_node(&mut self, kind: NodeKind, label: impl Into<String>) -> usize {
        self.nodes.push(Node { kind, label: label.into(), meaning: None, is_ordered: false, hint: None });
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
        self.sums.clear();
        for edge in &mut self.edges {
            (edge.backward, edge.sum) = (None, None);
        }
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
