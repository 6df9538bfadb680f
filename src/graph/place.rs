//! A place for everything: a layered layout from left to right.
//!
//! Nodes stand in columns by their rank, and between two columns of nodes is one of labels: every edge has a horizontal
//! stretch of its own there, its forward value above and its backward value below. An edge that goes further passes through
//! the columns on its way as an item like any other. Since no two items of a column overlap, and lines change their height
//! only between columns, no line crosses a label or a node. Orders are found by barycentres, heights by least squares.

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
    let order = ordered(graph, &items, &routes, &links, columns);
    heights(&mut items, &order, &links, sizes.gap);
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
type Links = [(Vec<usize>, Vec<usize>)];

/// The order of the items of each column: as operands are read, then improved where lines cross.
fn ordered(graph: &Graph, items: &[Item], routes: &[Vec<usize>], links: &Links, columns: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); columns];
    let mut seen = vec![false; items.len()];
    let sinks = (0..graph.nodes.len()).filter(|&node| graph.leaving(node).next().is_none());
    for sink in sinks {
        visit(graph, routes, sink, items, &mut seen, &mut order);
    }
    let mut best = (crossings(&order, links), order.clone());
    for sweep in 0..24 {
        let forth = sweep % 2 == 0;
        let mut position = vec![0.0; items.len()];
        let mark = |column: &[usize], position: &mut Vec<f64>| {
            column.iter().enumerate().for_each(|(n, &item)| position[item] = small(n));
        };
        order.iter().for_each(|column| mark(column, &mut position));
        for step in 1..columns {
            let column = if forth { step } else { columns - 1 - step };
            let weight = |item: usize| {
                let near = if forth { &links[item].0 } else { &links[item].1 };
                let sum: f64 = near.iter().map(|&near| position[near]).sum();
                if near.is_empty() { position[item] } else { sum / small(near.len()) }
            };
            let mut weighed: Vec<(f64, usize)> = order[column].iter().map(|&item| (weight(item), item)).collect();
            weighed.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[column] = weighed.into_iter().map(|(_, item)| item).collect();
            mark(&order[column], &mut position);
        }
        let now = crossings(&order, links);
        if now < best.0 {
            best = (now, order.clone());
        }
    }
    best.1
}

/// Puts a node behind everything that it reads, in the order that it reads it.
fn visit(
    graph: &Graph,
    routes: &[Vec<usize>],
    node: usize,
    items: &[Item],
    seen: &mut [bool],
    order: &mut [Vec<usize>],
) {
    // Not by recursion: a chain of additions may be long.
    let mut open = vec![(node, graph.reaching(node).collect::<Vec<usize>>().into_iter())];
    if std::mem::replace(&mut seen[node], true) {
        return;
    }
    while let Some((node, edges)) = open.last_mut() {
        match edges.next() {
            Some(edge) => {
                let from = graph.edges[edge].from;
                let route = &routes[edge];
                for &item in &route[1..route.len() - 1] {
                    order[items[item].column].push(item);
                }
                if !std::mem::replace(&mut seen[from], true) {
                    open.push((from, graph.reaching(from).collect::<Vec<usize>>().into_iter()));
                }
            }
            None => {
                order[items[*node].column].push(*node);
                open.pop();
            }
        }
    }
}

/// How often lines cross between neighbouring columns.
fn crossings(order: &[Vec<usize>], links: &Links) -> usize {
    let mut position = vec![0usize; links.len()];
    order.iter().flat_map(|column| column.iter().enumerate()).for_each(|(n, &item)| position[item] = n);
    order
        .iter()
        .map(|column| {
            let ends: Vec<(usize, usize)> = column
                .iter()
                .enumerate()
                .flat_map(|(n, &item)| links[item].1.iter().map(move |&to| (n, to)))
                .map(|(n, to)| (n, position[to]))
                .collect();
            let pairs = ends.iter().enumerate().flat_map(|(n, a)| ends[n + 1..].iter().map(move |b| (a, b)));
            pairs.filter(|(a, b)| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1)).count()
        })
        .sum()
}

/// Gives every item a height near those of its neighbours.
fn heights(items: &mut [Item], order: &[Vec<usize>], links: &Links, gap: i32) {
    let mut y = vec![0.0f64; items.len()];
    for sweep in 0..60 {
        let forth = sweep % 2 == 0;
        for step in 0..order.len() {
            let column = &order[if forth { step } else { order.len() - 1 - step }];
            let wanted: Vec<f64> = column
                .iter()
                .map(|&item| {
                    let (left, right) = &links[item];
                    // The first sweeps hang everything on one side, the last look both ways.
                    let near: Vec<usize> = match (sweep < 6, forth) {
                        (true, true) if !left.is_empty() => left.clone(),
                        (true, false) if !right.is_empty() => right.clone(),
                        _ => left.iter().chain(right).copied().collect(),
                    };
                    let sum: f64 = near.iter().map(|&near| y[near]).sum();
                    if near.is_empty() { y[item] } else { sum / small(near.len()) }
                })
                .collect();
            let apart: Vec<f64> = column
                .windows(2)
                .map(|pair| f64::from(items[pair[0]].size.below + items[pair[1]].size.above + gap + 1))
                .collect();
            for (&item, found) in column.iter().zip(spread(&wanted, &apart)) {
                y[item] = found;
            }
        }
    }
    for column in order {
        let mut free = i32::MIN;
        for &item in column {
            #[allow(clippy::cast_possible_truncation)] // a picture is smaller than 2³¹
            let whole = (y[item] + 0.5).floor() as i32;
            let item = &mut items[item];
            item.y = whole.max(free.saturating_add(item.size.above));
            free = item.y + item.size.below + gap + 1;
        }
    }
}

/// The heights nearest to the wanted ones, by least squares, that keep their distances: pool adjacent violators.
fn spread(wanted: &[f64], apart: &[f64]) -> Vec<f64> {
    let mut offset = 0.0;
    let mut offsets = vec![0.0];
    for apart in apart {
        offset += apart;
        offsets.push(offset);
    }
    // Blocks of items that touch: their mean, and how many they are.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (wanted, offset) in wanted.iter().zip(&offsets) {
        let mut block = (wanted - offset, 1);
        while let Some(&(mean, count)) = blocks.last().filter(|(mean, _)| *mean > block.0) {
            let all = count + block.1;
            block = ((mean * small(count) + block.0 * small(block.1)) / small(all), all);
            blocks.pop();
        }
        blocks.push(block);
    }
    let means = blocks.into_iter().flat_map(|(mean, count)| std::iter::repeat_n(mean, count));
    means.zip(offsets).map(|(mean, offset)| mean + offset).collect()
}

#[allow(clippy::cast_precision_loss)] // a picture has fewer items than 2⁵³
fn small(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_enough_apart_stays() {
        assert_eq!(spread(&[0.0, 10.0, 30.0], &[5.0, 5.0]), [0.0, 10.0, 30.0]);
    }

    #[test]
    fn what_would_overlap_moves_as_little_as_it_can() {
        assert_eq!(spread(&[0.0, 0.0, 0.0], &[4.0, 4.0]), [-4.0, 0.0, 4.0]);
        assert_eq!(spread(&[10.0, 0.0], &[2.0]), [4.0, 6.0]);
    }
}
