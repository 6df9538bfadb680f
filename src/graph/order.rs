//! The order of the items of each column: lines that cross are as few as sweeps by barycentres and swaps of neighbours find.

use super::place::{Item, Links, What};
use super::{Graph, Kind};

/// The order of the items of each column, from the top.
pub(super) fn ordered(graph: &Graph, items: &[Item], routes: &[Vec<usize>], links: &Links) -> Vec<Vec<usize>> {
    let columns = items.iter().map(|item| item.column + 1).max().unwrap_or(0);
    let starts = [as_given(graph, items, columns), as_read(graph, items, routes, columns)];
    let swept = starts.into_iter().map(|start| swept(graph, items, links, start));
    swept.min_by_key(|(cost, _)| *cost).map(|(_, order)| order).unwrap_or_default()
}

/// Crossings, then operands that stand in another order than in their matrix.
type Cost = (usize, usize);

/// The best of some sweeps, forth and back.
fn swept(graph: &Graph, items: &[Item], links: &Links, mut order: Vec<Vec<usize>>) -> (Cost, Vec<Vec<usize>>) {
    let cost = |order: &[Vec<usize>]| (crossings(order, links), out_of_order(graph, items, order));
    let mut position = vec![0usize; items.len()];
    order.iter().for_each(|column| mark(column, &mut position));
    let mut best = (cost(&order), order.clone());
    for sweep in 0..16 {
        let forth = sweep % 2 == 0;
        for step in 1..order.len() {
            let at = if forth { step } else { order.len() - 1 - step };
            let weight = |item: usize| {
                let near = if forth { &links[item].0 } else { &links[item].1 };
                let sum: usize = near.iter().map(|&near| position[near]).sum();
                if near.is_empty() { float(position[item]) } else { float(sum) / float(near.len()) }
            };
            let mut weighed: Vec<(f64, usize)> = order[at].iter().map(|&item| (weight(item), item)).collect();
            weighed.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[at] = weighed.into_iter().map(|(_, item)| item).collect();
            mark(&order[at], &mut position);
        }
        order.iter_mut().for_each(|column| swap(column, links, &mut position));
        let now = cost(&order);
        if now < best.0 {
            best = (now, order.clone());
        }
    }
    best
}

fn mark(column: &[usize], position: &mut [usize]) {
    column.iter().enumerate().for_each(|(n, &item)| position[item] = n);
}

/// Swaps neighbours where fewer lines cross then.
fn swap(column: &mut [usize], links: &Links, position: &mut [usize]) {
    let crossings = |a: &[usize], b: &[usize], position: &[usize]| {
        a.iter().map(|&a| b.iter().filter(|&&b| position[a] > position[b]).count()).sum::<usize>()
    };
    for n in 1..column.len() {
        let ((a_left, a_right), (b_left, b_right)) = (&links[column[n - 1]], &links[column[n]]);
        let now = crossings(a_left, b_left, position) + crossings(a_right, b_right, position);
        let then = crossings(b_left, a_left, position) + crossings(b_right, a_right, position);
        if then < now {
            column.swap(n - 1, n);
        }
    }
    mark(column, position);
}

/// Nodes as they were made, and lines as the nodes that they come from.
fn as_given(graph: &Graph, items: &[Item], columns: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); columns];
    (0..items.len()).for_each(|item| order[items[item].column].push(item));
    let key = |&item: &usize| match items[item].what {
        What::Node(node) => (node, 0),
        What::Label(edge) | What::Pass(edge) => (graph.edges[edge].from, edge),
    };
    order.iter_mut().for_each(|column| column.sort_by_key(key));
    order
}

/// Nodes behind everything that they read, in the order that they read it.
fn as_read(graph: &Graph, items: &[Item], routes: &[Vec<usize>], columns: usize) -> Vec<Vec<usize>> {
    let mut reaching = vec![Vec::new(); graph.nodes.len()];
    graph.edges.iter().enumerate().for_each(|(n, edge)| reaching[edge.to].push(n));
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); columns];
    let mut seen = vec![false; graph.nodes.len()];
    // Not by recursion: a chain may be long. Each open node with how many of its edges were walked.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let leaves = graph.edges.iter().map(|edge| edge.from).collect::<std::collections::BTreeSet<usize>>();
    for sink in (0..graph.nodes.len()).filter(|node| !leaves.contains(node)) {
        seen[sink] = true;
        open.push((sink, 0));
        while let Some((node, walked)) = open.last_mut() {
            let node = *node;
            match reaching[node].get(*walked) {
                Some(&edge) => {
                    *walked += 1;
                    let route = &routes[edge];
                    for &item in &route[1..route.len() - 1] {
                        order[items[item].column].push(item);
                    }
                    let from = graph.edges[edge].from;
                    if !std::mem::replace(&mut seen[from], true) {
                        open.push((from, 0));
                    }
                }
                None => {
                    order[items[node].column].push(node);
                    open.pop();
                }
            }
        }
    }
    order
}

/// How often lines cross between neighbouring columns: inversions, counted in a tree of sums (Fenwick).
fn crossings(order: &[Vec<usize>], links: &Links) -> usize {
    let mut position = vec![0usize; links.len()];
    order.iter().for_each(|column| mark(column, &mut position));
    let mut all = 0;
    for (n, column) in order.iter().enumerate() {
        let mut tree = vec![0usize; order.get(n + 1).map_or(0, Vec::len) + 1];
        let mut count = 0;
        for &item in column {
            let mut ends: Vec<usize> = links[item].1.iter().map(|&to| position[to] + 1).collect();
            ends.sort_unstable();
            for &end in &ends {
                let (mut at, mut not_beyond) = (end, 0);
                while at > 0 {
                    not_beyond += tree[at];
                    at &= at - 1;
                }
                all += count - not_beyond;
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
    all
}

/// How many operands stand above one that comes before them.
fn out_of_order(graph: &Graph, items: &[Item], order: &[Vec<usize>]) -> usize {
    let leaf = |&item: &usize| match items[item].what {
        What::Node(node) if matches!(graph.nodes[node].kind, Kind::Leaf | Kind::Sink) => Some(node),
        _ => None,
    };
    let inversions = |column: &Vec<usize>| {
        let nodes: Vec<usize> = column.iter().filter_map(leaf).collect();
        nodes.windows(2).filter(|pair| pair[0] > pair[1]).count()
    };
    order.iter().map(inversions).sum()
}

#[allow(clippy::cast_precision_loss)] // a picture has fewer items than 2⁵³
fn float(n: usize) -> f64 {
    n as f64
}
