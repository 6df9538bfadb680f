//! Parts of a graph: bands, into which a wide graph is split, with a connector at each end of a line between two of them; and
//! components, which no line connects.

use super::layout::is_movable;
use super::model::{Edge, Graph, NodeKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A part of a graph.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The nodes of the part, and connectors.
    pub(super) graph: Graph,
    /// Node of the whole graph that each node is; connectors are none.
    pub(super) nodes: Vec<Option<usize>>,
    /// Edge of the whole graph that each edge is.
    pub(super) edges: Vec<usize>,
}

/// An edge that leaves its band, and the letter at its ends.
pub(super) type BandExit = (usize, String);

impl Part {
    fn empty(graph: &Graph) -> Part {
        let part = Graph {
            backward: graph.backward,
            symbols: Arc::clone(&graph.symbols),
            ..Graph::new(graph.level, graph.options.clone())
        };
        Part { graph: part, nodes: Vec::new(), edges: Vec::new() }
    }

    /// Returns the whole graph as a part.
    pub(super) fn from_graph(graph: &Graph) -> Part {
        let nodes = (0..graph.nodes.len()).map(Some).collect();
        Part { graph: graph.clone(), nodes, edges: (0..graph.edges.len()).collect() }
    }

    /// Arranges the edges as in the whole graph, so that the operands of an operation keep their order.
    fn sort_edges(&mut self) {
        let mut pairs: Vec<(usize, Edge)> = self.edges.drain(..).zip(self.graph.edges.drain(..)).collect();
        pairs.sort_by_key(|(n, _)| *n);
        (self.edges, self.graph.edges) = pairs.into_iter().unzip();
    }

    fn add_connector(&mut self, letter: &str) -> usize {
        self.nodes.push(None);
        self.graph.add_node(NodeKind::Connector, letter)
    }
}

/// A graph that is split into bands of ranks.
pub(super) struct Splitter<'a> {
    graph: &'a Graph,
    /// Rank by which each node is assigned to a band.
    ranks: Vec<usize>,
    /// Nodes of each rank.
    nodes: Vec<Vec<usize>>,
    /// Edges that leave or reach the nodes of each rank.
    edges: Vec<Vec<usize>>,
    /// Cost of a cut before each rank.
    pub(super) costs: Vec<usize>,
    /// Lines that the bands so far end with, and the letters at their ends.
    exits: BTreeMap<usize, String>,
}

impl<'a> Splitter<'a> {
    /// Splits a graph whose nodes have these ranks; an operand belongs to the band of its first reader.
    pub(super) fn new(graph: &'a Graph, ranks: &[usize]) -> Splitter<'a> {
        let ranks = band_ranks(graph, ranks);
        let count = ranks.iter().max().map_or(0, |rank| rank + 1);
        let (mut nodes, mut edges) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        ranks.iter().enumerate().for_each(|(node, &rank)| nodes[rank].push(node));
        for (n, edge) in graph.edges.iter().enumerate() {
            edges[ranks[edge.from]].push(n);
            edges[ranks[edge.to]].push(n);
        }
        let costs = cut_costs(graph, &ranks);
        Splitter { graph, ranks, nodes, edges, costs, exits: BTreeMap::new() }
    }

    /// Returns the number of ranks.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the nodes of a range of ranks, and the lines that the band ends with. Lines that [`accept`](Splitter::accept) knows
    /// continue in it.
    pub(super) fn band(&self, from: usize, to: usize) -> (Part, Vec<BandExit>) {
        let graph = self.graph;
        let is_inside = |node: usize| (from..to).contains(&self.ranks[node]);
        let mut edges: Vec<usize> = self.edges[from..to].iter().flatten().copied().collect();
        edges.sort_unstable();
        edges.dedup();
        let mut band = Part::empty(graph);
        let (entering, others): (Vec<usize>, Vec<usize>) =
            edges.into_iter().partition(|&n| !is_inside(graph.edges[n].from));
        for &n in &entering {
            let connector = band.add_connector(self.exits.get(&n).map_or("", String::as_str));
            band.edges.push(n);
            band.graph.edges.push(Edge { from: connector, ..graph.edges[n].clone() });
        }
        let mut nodes: Vec<usize> = self.nodes[from..to].iter().flatten().copied().collect();
        nodes.sort_unstable();
        let mut moved = BTreeMap::new();
        for node in nodes {
            moved.insert(node, band.graph.nodes.len());
            band.graph.nodes.push(graph.nodes[node].clone());
            band.nodes.push(Some(node));
        }
        band.graph.edges.iter_mut().for_each(|edge| edge.to = moved[&edge.to]);
        let mut exits = Vec::new();
        for n in others {
            let edge = &graph.edges[n];
            let to = match moved.get(&edge.to) {
                Some(&to) => to,
                None => {
                    let letter = letter(self.exits.len() + exits.len());
                    let connector = band.add_connector(&letter);
                    exits.push((n, letter));
                    connector
                }
            };
            band.edges.push(n);
            band.graph.edges.push(Edge { from: moved[&edge.from], to, ..edge.clone() });
        }
        band.sort_edges();
        (band, exits)
    }

    /// Returns the bands that end before these ranks. If the last one would have a single operation, it gets more of the band
    /// before it, as far as that fits.
    pub(super) fn split(mut self, ends: &[usize], fits: impl Fn(&Part) -> bool) -> Vec<Part> {
        let mut ends = ends.to_vec();
        let (mut bands, mut from) = (Vec::new(), 0);
        for n in 0..ends.len() {
            if n + 2 == ends.len() && self.operations(ends[n], ends[n + 1]) == 1 {
                ends[n] = self.cut_before(from, (ends[n], ends[n + 1]), &fits);
            }
            let (band, exits) = self.band(from, ends[n]);
            self.accept(exits);
            // Operands move to the band of their first reader, and may leave none behind.
            if !band.nodes.is_empty() {
                bands.push(band);
            }
            from = ends[n];
        }
        bands
    }

    /// Returns the number of operations of a range of ranks.
    fn operations(&self, from: usize, to: usize) -> usize {
        let nodes = self.nodes[from..to].iter().flatten();
        nodes.filter(|&&node| self.graph.nodes[node].kind == NodeKind::Operation).count()
    }

    /// Returns the cheapest cut before `cut` that leaves both sides several operations, and between `cut` and `last` a band that
    /// fits; `cut` if there is none.
    fn cut_before(&mut self, from: usize, (cut, last): (usize, usize), fits: &impl Fn(&Part) -> bool) -> usize {
        let mut best = None;
        for to in from + 1..cut {
            if self.operations(from, to) < 2 || self.operations(to, last) < 2 {
                continue;
            }
            let (_, exits) = self.band(from, to);
            let before = self.exits.clone();
            self.accept(exits);
            let cost = (self.costs[to], cut - to);
            if best.is_none_or(|(least, _)| cost < least) && fits(&self.band(to, last).0) {
                best = Some((cost, to));
            }
            self.exits = before;
        }
        best.map_or(cut, |(_, to)| to)
    }

    /// Takes note of the lines that a band ends with.
    pub(super) fn accept(&mut self, exits: Vec<BandExit>) {
        self.exits.extend(exits);
    }
}

/// Returns the rank by which each node is assigned to a band: an operand belongs to the band of its first reader.
fn band_ranks(graph: &Graph, ranks: &[usize]) -> Vec<usize> {
    let (incoming, outgoing) = (graph.incoming(), graph.outgoing());
    let mut own = ranks.to_vec();
    for node in (0..graph.nodes.len()).rev() {
        let first = outgoing[node].iter().map(|&edge| own[graph.edges[edge].to]).min();
        if let (true, Some(first)) = (is_movable(graph, &incoming, node), first) {
            own[node] = first;
        }
    }
    own
}

/// Returns the cost of a cut before each rank: twice the lines that it would cut, and one more for each intermediate value of a layer.
fn cut_costs(graph: &Graph, ranks: &[usize]) -> Vec<usize> {
    let last = ranks.iter().max().map_or(0, |rank| rank + 1);
    let (mut begin, mut end) = (vec![0; last + 2], vec![0; last + 2]);
    for edge in &graph.edges {
        let is_intermediate = edge.gradient_name.as_ref().is_some_and(|name| name.starts_with("d("));
        let cost = 2 + usize::from(is_intermediate);
        begin[ranks[edge.from] + 1] += cost;
        end[ranks[edge.to] + 1] += cost;
    }
    let mut cost = 0;
    let mut costs = Vec::with_capacity(last + 1);
    for rank in 0..=last {
        cost = cost + begin[rank] - end[rank];
        costs.push(cost);
    }
    costs
}

/// Returns the components of a graph, in the order of their last nodes.
pub(super) fn components(graph: &Graph) -> Vec<Part> {
    fn find(leaders: &mut [usize], mut node: usize) -> usize {
        while leaders[node] != node {
            leaders[node] = leaders[leaders[node]];
            node = leaders[node];
        }
        node
    }
    let mut leaders: Vec<usize> = (0..graph.nodes.len()).collect();
    for edge in &graph.edges {
        let (a, b) = (find(&mut leaders, edge.from), find(&mut leaders, edge.to));
        // The last node of a component is a result.
        leaders[a.min(b)] = a.max(b);
    }
    let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
    let mut moved = vec![0; graph.nodes.len()];
    for (node, original) in graph.nodes.iter().enumerate() {
        let part = parts.entry(find(&mut leaders, node)).or_insert_with(|| Part::empty(graph));
        moved[node] = part.nodes.len();
        part.nodes.push(Some(node));
        part.graph.nodes.push(original.clone());
    }
    for (n, edge) in graph.edges.iter().enumerate() {
        if let Some(part) = parts.get_mut(&find(&mut leaders, edge.from)) {
            part.edges.push(n);
            part.graph.edges.push(Edge { from: moved[edge.from], to: moved[edge.to], ..edge.clone() });
        }
    }
    parts.into_values().collect()
}

/// Renames the connectors, so that the lines that leave a band have their letters in order from the top down. `heights` returns the height
/// of each node of a band.
pub(super) fn name_connectors(parts: &mut [Part], heights: impl Fn(&Part) -> Vec<i32>) {
    let mut letters: BTreeMap<String, String> = BTreeMap::new();
    for part in parts.iter() {
        let (heights, incoming) = (heights(part), part.graph.incoming());
        let is_exit = |node: &usize| part.nodes[*node].is_none() && !incoming[*node].is_empty();
        let mut exits: Vec<usize> = (0..part.nodes.len()).filter(is_exit).collect();
        exits.sort_by_key(|&node| heights[node]);
        let label = |node: &usize| part.graph.nodes[*node].label.clone();
        let mut free: Vec<String> = exits.iter().map(label).collect();
        free.sort();
        for old in exits.iter().map(label) {
            // Of the same length, so that no band becomes wider.
            if let Some(at) = free.iter().position(|letter| letter.len() == old.len()) {
                letters.insert(old, free.remove(at));
            }
        }
    }
    for part in parts {
        let connectors = part.graph.nodes.iter_mut().zip(&part.nodes).filter(|(_, original)| original.is_none());
        for (node, _) in connectors {
            if let Some(letter) = letters.get(&node.label) {
                node.label.clone_from(letter);
            }
        }
    }
}

/// Returns the letter of a cut: a, b, …, z, aa, ab, ….
fn letter(n: usize) -> String {
    let last = char::from(b'a' + u8::try_from(n % 26).unwrap_or(0));
    if n < 26 { last.to_string() } else { format!("{}{last}", letter(n / 26 - 1)) }
}
