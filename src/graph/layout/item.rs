//! Items of a layout: nodes, labels of edges, and dummy nodes of edges that cross a column.

use crate::graph::model::Graph;

/// Sizes of the parts of a graph, in the renderer's unit.
pub(crate) struct Sizes {
    /// Size of each node.
    pub(crate) nodes: Vec<Size>,
    /// Size of each edge's label, relative to the edge's line.
    pub(crate) labels: Vec<Size>,
    /// Size of a dummy node.
    pub(crate) dummy: Size,
    /// Least distance between two items of a column.
    pub(crate) gap: i32,
}

/// Width, and extent above and below the middle.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub(crate) width: i32,
    pub(crate) above: i32,
    pub(crate) below: i32,
}

/// Kind of an item, with the index of its node or edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Node(usize),
    Label(usize),
    Dummy(usize),
}

/// An item of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) kind: ItemKind,
    pub(crate) column: usize,
    /// Vertical coordinate of the middle.
    pub(crate) y: i32,
    pub(crate) size: Size,
}

/// Neighbours of an item in the columns to its left and to its right.
pub(super) type Neighbors = (Vec<usize>, Vec<usize>);

/// A graph whose nodes and edges are divided into the items of columns.
pub(super) struct LayeredGraph<'a> {
    pub(super) graph: &'a Graph,
    pub(super) columns: usize,
    pub(super) items: Vec<Item>,
    /// Items along each edge, from its first node to its last.
    pub(super) routes: Vec<Vec<usize>>,
    /// Neighbours of each item.
    pub(super) neighbors: Vec<Neighbors>,
    /// Of the last item before an operation whose operands have an order: the operation, and the number of the operand.
    pub(super) operands: Vec<Option<(usize, usize)>>,
}

/// Returns the position of each item in its column; `order` has the items of each column.
pub(super) fn positions(order: &[Vec<usize>], items: usize) -> Vec<usize> {
    let mut positions = vec![0; items];
    order.iter().flat_map(|column| column.iter().enumerate()).for_each(|(n, &item)| positions[item] = n);
    positions
}
