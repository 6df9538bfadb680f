//! Crossing reduction: orders the items of each column by barycenter sweeps and swaps of adjacent items. Operands that cannot be
//! swapped stay in their order.

use super::item::{ItemKind, LayeredGraph, positions};
use crate::graph::model::NodeKind;
use std::collections::BTreeMap;

/// Returns the items of each column from top to bottom, with few crossings of edges.
pub(super) fn order_columns(layered: &LayeredGraph<'_>) -> Vec<Vec<usize>> {
    let candidates = [creation_order(layered), depth_first_order(layered)].map(|start| sweep(layered, start));
    candidates.into_iter().min_by_key(|(cost, _)| *cost).map(|(_, order)| order).unwrap_or_default()
}

/// Number of crossings, then of operands that are not in the order of their matrix, then the distances between the lines of a node.
type Cost = (usize, usize, usize);

/// Returns the best order found in some sweeps to the right and to the left.
fn sweep(layered: &LayeredGraph<'_>, mut order: Vec<Vec<usize>>) -> (Cost, Vec<Vec<usize>>) {
    let neighbors = &layered.neighbors;
    let cost = |order: &[Vec<usize>]| {
        (crossings(layered, order), misordered_operands(layered, order), distances(layered, order))
    };
    let mut position = positions(&order, layered.items.len());
    order.iter_mut().for_each(|column| restore_operands(layered, column, &mut position));
    let mut best = (cost(&order), order.clone());
    for sweep in 0..16 {
        let rightward = sweep % 2 == 0;
        for step in 1..order.len() {
            let at = if rightward { step } else { order.len() - 1 - step };
            let barycenter = |item: usize| {
                let adjacent = if rightward { &neighbors[item].0 } else { &neighbors[item].1 };
                let sum: usize = adjacent.iter().map(|&adjacent| position[adjacent]).sum();
                if adjacent.is_empty() { to_f64(position[item]) } else { to_f64(sum) / to_f64(adjacent.len()) }
            };
            // Bits order barycenters, which are not negative, as the numbers; items of equal barycenters keep their order.
            order[at].sort_by_cached_key(|&item| barycenter(item).to_bits());
            restore_operands(layered, &mut order[at], &mut position);
        }
        order.iter_mut().for_each(|column| swap_adjacent(layered, column, &mut position));
        let cost = cost(&order);
        if cost < best.0 {
            best = (cost, order.clone());
        }
    }
    best
}

fn set_positions(column: &[usize], position: &mut [usize]) {
    column.iter().enumerate().for_each(|(n, &item)| position[item] = n);
}

/// Puts the operands of each operation whose operands have an order into that order, in the places that they have.
fn restore_operands(layered: &LayeredGraph<'_>, column: &mut [usize], position: &mut [usize]) {
    let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, &item) in column.iter().enumerate() {
        layered.operands[item].iter().for_each(|(node, _)| places.entry(*node).or_default().push(place));
    }
    for places in places.values() {
        let mut items: Vec<usize> = places.iter().map(|&place| column[place]).collect();
        items.sort_by_key(|&item| layered.operands[item]);
        places.iter().zip(items).for_each(|(&place, item)| column[place] = item);
    }
    set_positions(column, position);
}

/// Swaps adjacent items if that reduces the crossings of their edges.
fn swap_adjacent(layered: &LayeredGraph<'_>, column: &mut [usize], position: &mut [usize]) {
    let (neighbors, operands) = (&layered.neighbors, &layered.operands);
    let operation = |item: usize| operands[item].map(|(node, _)| node);
    let crossings = |a: &[usize], b: &[usize], position: &[usize]| {
        a.iter().map(|&a| b.iter().filter(|&&b| position[a] > position[b]).count()).sum::<usize>()
    };
    for n in 1..column.len() {
        let ((a_left, a_right), (b_left, b_right)) = (&neighbors[column[n - 1]], &neighbors[column[n]]);
        let before = crossings(a_left, b_left, position) + crossings(a_right, b_right, position);
        let after = crossings(b_left, a_left, position) + crossings(b_right, a_right, position);
        let has_order = operation(column[n]).is_some_and(|node| operation(column[n - 1]) == Some(node));
        if after < before && !has_order {
            column.swap(n - 1, n);
        }
    }
    set_positions(column, position);
}

/// Returns nodes in the order of the graph, and the items of an edge in the place of its first node.
fn creation_order(layered: &LayeredGraph<'_>) -> Vec<Vec<usize>> {
    let mut order = vec![Vec::new(); layered.columns];
    layered.items.iter().enumerate().for_each(|(n, item)| order[item.column].push(n));
    let key = |&item: &usize| match layered.items[item].kind {
        ItemKind::Node(node) => (node, 0),
        ItemKind::Label(edge) | ItemKind::Dummy(edge) => (layered.graph.edges[edge].from, edge),
    };
    order.iter_mut().for_each(|column| column.sort_by_key(key));
    order
}

/// Returns nodes in the post-order of a depth-first search from the sinks, and the items of an edge as it is traversed.
fn depth_first_order(layered: &LayeredGraph<'_>) -> Vec<Vec<usize>> {
    let (graph, items) = (layered.graph, &layered.items);
    let incoming = graph.incoming();
    let mut order = vec![Vec::new(); layered.columns];
    let mut visited = vec![false; graph.nodes.len()];
    // A stack of nodes, each with the number of its traversed edges: recursion could overflow in a long chain.
    let mut stack: Vec<(usize, usize)> = Vec::new();
    let sources = graph.edges.iter().map(|edge| edge.from).collect::<std::collections::BTreeSet<usize>>();
    for sink in (0..graph.nodes.len()).filter(|node| !sources.contains(node)) {
        visited[sink] = true;
        stack.push((sink, 0));
        while let Some((node, traversed)) = stack.last_mut() {
            let node = *node;
            match incoming[node].get(*traversed) {
                Some(&edge) => {
                    *traversed += 1;
                    let route = &layered.routes[edge];
                    for &item in &route[1..route.len() - 1] {
                        order[items[item].column].push(item);
                    }
                    let from = graph.edges[edge].from;
                    if !std::mem::replace(&mut visited[from], true) {
                        stack.push((from, 0));
                    }
                }
                None => {
                    order[items[node].column].push(node);
                    stack.pop();
                }
            }
        }
    }
    order
}

/// Counts the crossings between adjacent columns, as inversions in a Fenwick tree.
fn crossings(layered: &LayeredGraph<'_>, order: &[Vec<usize>]) -> usize {
    let position = positions(order, layered.items.len());
    let mut crossings = 0;
    for (n, column) in order.iter().enumerate() {
        let mut tree = vec![0usize; order.get(n + 1).map_or(0, Vec::len) + 1];
        let mut count = 0;
        for &item in column {
            let mut ends: Vec<usize> = layered.neighbors[item].1.iter().map(|&to| position[to] + 1).collect();
            ends.sort_unstable();
            for &end in &ends {
                let (mut at, mut not_below) = (end, 0);
                while at > 0 {
                    not_below += tree[at];
                    at &= at - 1;
                }
                crossings += count - not_below;
            }
            for &end in &ends {
                let mut at = end;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
            count += ends.len();
        }
    }
    crossings
}

/// Adds up the distances, in places of their column, between the first and the last of the lines that reach each node, and of those
/// that leave it.
fn distances(layered: &LayeredGraph<'_>, order: &[Vec<usize>]) -> usize {
    let position = positions(order, layered.items.len());
    let distance = |items: &Vec<usize>| {
        let places = || items.iter().map(|&item| position[item]);
        places().max().unwrap_or(0) - places().min().unwrap_or(0)
    };
    layered.neighbors.iter().map(|(left, right)| distance(left) + distance(right)).sum()
}

/// Counts the adjacent operands, or results, that are not in their order in the graph.
fn misordered_operands(layered: &LayeredGraph<'_>, order: &[Vec<usize>]) -> usize {
    let operand = |&item: &usize| match layered.items[item].kind {
        ItemKind::Node(node)
            if matches!(layered.graph.nodes[node].kind, NodeKind::Leaf | NodeKind::Sink | NodeKind::Connector) =>
        {
            Some(node)
        }
        _ => None,
    };
    let inversions = |column: &Vec<usize>| {
        let nodes: Vec<usize> = column.iter().filter_map(operand).collect();
        nodes.windows(2).filter(|pair| pair[0] > pair[1]).count()
    };
    order.iter().map(inversions).sum()
}

#[allow(clippy::cast_precision_loss)] // a picture has fewer items than 2⁵³
fn to_f64(n: usize) -> f64 {
    n as f64
}
