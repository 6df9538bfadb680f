//! A place for everything: a layered layout from left to right.
//!
//! Nodes stand in columns by their rank, and between two columns of nodes is one of labels: every edge has a horizontal
//! stretch of its own there, its forward value above and its backward value below. An edge that goes further passes through
//! the columns on its way as an item like any other. Since no two items of a column overlap, and lines change their height
//! only between columns, no line crosses a label or a node. [`super::order`] and [`super::align`] find orders and heights.

use super::align::heights;
use super::order::ordered;
use super::{Graph, Kind};

/// How much room things take, in whatever unit the picture has.
pub(super) struct Sizes {
    /// Width of each node, and how far it reaches above and below its middle.
    pub(super) nodes: Vec<Size>,
    /// The same of each label, from the edge's line.
    pub(super) labels: Vec<Size>,
    /// A line that passes.
    pub(super) pass: Size,
    /// Room between two items of a column.
    pub(super) gap: i32,
}

/// Width, and reach above and below the middle.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) width: i32,
    pub(super) above: i32,
    pub(super) below: i32,
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Node(usize),
    Label(usize),
    Pass(usize),
}

/// One item: where it stands, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) what: What,
    pub(super) column: usize,
    /// Its middle.
    pub(super) y: i32,
    pub(super) size: Size,
}

/// A layout; a renderer gives the columns their x.
pub(super) struct Placed {
    pub(super) items: Vec<Item>,
    /// The width of each column.
    pub(super) widths: Vec<i32>,
    /// The items of each edge from its first node to its last.
    pub(super) routes: Vec<Vec<usize>>,
    pub(super) height: i32,
}

/// The rank of each node: one more than the highest that it reads; what is given stands just before its first reader.
pub(super) fn ranks(graph: &Graph) -> Vec<usize> {
    let mut ranks = vec![0usize; graph.nodes.len()];
    // Nodes stand in the order of the forward pass.
    for node in 0..graph.nodes.len() {
        ranks[node] = graph.reaching(node).map(|edge| ranks[graph.edges[edge].from] + 1).max().unwrap_or(0);
    }
    for node in (0..graph.nodes.len()).rev() {
        let next = graph.leaving(node).map(|edge| ranks[graph.edges[edge].to]).min();
        let given = graph.reaching(node).all(|edge| graph.nodes[graph.edges[edge].from].kind == Kind::Leaf);
        let slides = graph.nodes[node].kind == Kind::Leaf || (graph.nodes[node].kind == Kind::Branch && given);
        if let (true, Some(next)) = (slides, next) {
            ranks[node] = next.saturating_sub(1).max(ranks[node]);
        }
    }
    ranks
}

/// Lays a graph out.
pub(super) fn place(graph: &Graph, ranks: &[usize], sizes: &Sizes) -> Placed {
    let (mut items, routes) = items(graph, ranks, sizes);
    let columns = items.iter().map(|item| item.column + 1).max().unwrap_or(0);
    let mut links = vec![(Vec::new(), Vec::new()); items.len()];
    for pair in routes.iter().flat_map(|route| route.windows(2)) {
        links[pair[0]].1.push(pair[1]);
        links[pair[1]].0.push(pair[0]);
    }
    let order = ordered(graph, &items, &routes, &links);
    for (item, y) in heights(&items, &order, &links, sizes.gap).into_iter().enumerate() {
        #[allow(clippy::cast_possible_truncation)] // a picture is smaller than 2³¹
        let whole = (y + 0.5).floor() as i32;
        items[item].y = whole;
    }
    let top = items.iter().map(|item| item.y - item.size.above).min().unwrap_or(0);
    items.iter_mut().for_each(|item| item.y -= top);
    let mut widths = vec![0; columns];
    items.iter().for_each(|item| widths[item.column] = widths[item.column].max(item.size.width));
    let height = items.iter().map(|item| item.y + item.size.below + 1).max().unwrap_or(0);
    Placed { items, widths, routes, height }
}

/// Nodes, labels and passing lines, and each edge's way through them.
fn items(graph: &Graph, ranks: &[usize], sizes: &Sizes) -> (Vec<Item>, Vec<Vec<usize>>) {
    let item = |what, column, size| Item { what, column, y: 0, size };
    let mut items: Vec<Item> =
        (0..graph.nodes.len()).map(|node| item(What::Node(node), 2 * ranks[node], sizes.nodes[node])).collect();
    let mut routes = Vec::new();
    for (n, edge) in graph.edges.iter().enumerate() {
        let mut route = vec![edge.from];
        let first = 2 * ranks[edge.from] + 1;
        for column in first..2 * ranks[edge.to] {
            let (what, size) =
                if column == first { (What::Label(n), sizes.labels[n]) } else { (What::Pass(n), sizes.pass) };
            items.push(item(what, column, size));
            route.push(items.len() - 1);
        }
        route.push(edge.to);
        routes.push(route);
    }
    (items, routes)
}

/// Neighbours to the left and to the right of each item.
pub(super) type Links = [(Vec<usize>, Vec<usize>)];
