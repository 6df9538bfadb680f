//! Layer assignment: the column of each node, and the items of each edge between its columns.

use super::item::{Item, ItemKind, LayeredGraph, Sizes};
use crate::graph::model::{Graph, NodeKind};

/// Returns the rank of each node: one more than the highest rank of its operands. An operand of the graph has the rank
/// just before its first reader.
pub(crate) fn ranks(graph: &Graph) -> Vec<usize> {
    let mut ranks = vec![0usize; graph.nodes.len()];
    let (incoming, outgoing) = (graph.incoming(), graph.outgoing());
    // Nodes are in the order of the forward pass.
    for node in 0..graph.nodes.len() {
        ranks[node] = incoming[node].iter().map(|&edge| ranks[graph.edges[edge].from] + 1).max().unwrap_or(0);
    }
    for node in (0..graph.nodes.len()).rev() {
        let next = outgoing[node].iter().map(|&edge| ranks[graph.edges[edge].to]).min();
        if let (true, Some(next)) = (is_movable(graph, &incoming, node), next) {
            ranks[node] = next.saturating_sub(1).max(ranks[node]);
        }
    }
    ranks
}

/// Returns true for an operand, its branch, and the beginning of a line that continues: they stand just before their first reader.
pub(crate) fn is_movable(graph: &Graph, incoming: &[Vec<usize>], node: usize) -> bool {
    match graph.nodes[node].kind {
        NodeKind::Leaf | NodeKind::Connector => true,
        NodeKind::Branch => {
            incoming[node].iter().all(|&edge| graph.nodes[graph.edges[edge].from].kind == NodeKind::Leaf)
        }
        _ => false,
    }
}

/// Divides a graph into nodes, labels and dummy nodes.
pub(super) fn assign_columns<'a>(graph: &'a Graph, ranks: &[usize], sizes: &Sizes) -> LayeredGraph<'a> {
    let item = |kind, column, size| Item { kind, column, y: 0, size };
    let mut items: Vec<Item> =
        (0..graph.nodes.len()).map(|node| item(ItemKind::Node(node), 2 * ranks[node], sizes.nodes[node])).collect();
    let mut routes = Vec::new();
    for (n, edge) in graph.edges.iter().enumerate() {
        let mut route = vec![edge.from];
        let first = 2 * ranks[edge.from] + 1;
        for column in first..2 * ranks[edge.to] {
            let is_first = column == first;
            let kind = if is_first { ItemKind::Label(n) } else { ItemKind::Dummy(n) };
            items.push(item(kind, column, if is_first { sizes.labels[n] } else { sizes.dummy }));
            route.push(items.len() - 1);
        }
        route.push(edge.to);
        routes.push(route);
    }
    let mut neighbors = vec![(Vec::new(), Vec::new()); items.len()];
    for pair in routes.iter().flat_map(|route| route.windows(2)) {
        neighbors[pair[0]].1.push(pair[1]);
        neighbors[pair[1]].0.push(pair[0]);
    }
    let mut operands = vec![None; items.len()];
    for (node, edges) in graph.incoming().iter().enumerate().filter(|(node, _)| graph.nodes[*node].is_ordered) {
        for (n, &edge) in edges.iter().enumerate() {
            operands[routes[edge][routes[edge].len() - 2]] = Some((node, n));
        }
    }
    let columns = items.iter().map(|item| item.column + 1).max().unwrap_or(0);
    LayeredGraph { graph, columns, items, routes, neighbors, operands }
}
