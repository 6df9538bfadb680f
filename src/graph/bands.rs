//! Parts of a graph: bands, into which a wide graph is split, with a connector at each end of a line between two of them; and
//! components, which no line connects.

use super::layout::is_movable;
use super::model::{Edge, Graph, NodeKind};
use std::collections::BTreeMap;

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
            symbols: graph.symbols.clone(),
            ..Graph::new(graph.level, graph.options.clone())
        };
        Part { graph: part, nodes: Vec::new(), edges: Vec::new() }
    }

    /// Returns the whole graph as a part.
    pub(super) fn from_graph(graph: &Graph) -> Part {
        let nodes = (0..graph.nodes.len()).map(Some).collect();
        Part { graph: graph.clone(), nodes, edges: (0..graph.edges.len()).collect() }
    }

    /// Returns the nodes whose rank is in a range; `exits` are the lines that earlier bands end with. Returns with it the lines that
    /// this band and the earlier ones end with.
    pub(super) fn band(
        graph: &Graph,
        ranks: &[usize],
        from: usize,
        to: usize,
        exits: &[BandExit],
    ) -> (Part, Vec<BandExit>) {
        let is_inside = |node: usize| (from..to).contains(&ranks[node]);
        let mut band = Part::empty(graph);
        let mut exits = exits.to_vec();
        let entering = |edge: &&(usize, &Edge)| is_inside(edge.1.to) && !is_inside(edge.1.from);
        let all: Vec<(usize, &Edge)> = graph.edges.iter().enumerate().collect();
        for &(n, edge) in all.iter().filter(entering) {
            let letter = exits.iter().find(|(exit, _)| *exit == n).map_or("", |(_, letter)| letter);
            let connector = band.add_connector(letter);
            band.edges.push(n);
            band.graph.edges.push(Edge { from: connector, ..edge.clone() });
        }
        let entered = band.edges.len();
        let mut moved = BTreeMap::new();
        for (node, original) in graph.nodes.iter().enumerate().filter(|(node, _)| is_inside(*node)) {
            moved.insert(node, band.graph.nodes.len());
            band.graph.nodes.push(original.clone());
            band.nodes.push(Some(node));
        }
        band.graph.edges[..entered].iter_mut().for_each(|edge| edge.to = moved[&edge.to]);
        for (n, edge) in all.into_iter().filter(|(_, edge)| is_inside(edge.from)) {
            let to = match moved.get(&edge.to) {
                Some(&to) => to,
                None => {
                    let letter = letter(exits.len());
                    let connector = band.add_connector(&letter);
                    exits.push((n, letter));
                    connector
                }
            };
            band.edges.push(n);
            band.graph.edges.push(Edge { from: moved[&edge.from], to, ..edge.clone() });
        }
        (band, exits)
    }

    fn add_connector(&mut self, letter: &str) -> usize {
        self.nodes.push(None);
        self.graph.add_node(NodeKind::Connector, letter)
    }
}

/// Returns the rank by which each node is assigned to a band: an operand belongs to the band of its first reader.
pub(super) fn band_ranks(graph: &Graph, ranks: &[usize]) -> Vec<usize> {
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
pub(super) fn cut_costs(graph: &Graph, ranks: &[usize]) -> Vec<usize> {
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

/// Returns the letter of a cut: a, b, …, z, aa, ab, ….
fn letter(n: usize) -> String {
    let last = char::from(b'a' + u8::try_from(n % 26).unwrap_or(0));
    if n < 26 { last.to_string() } else { format!("{}{last}", letter(n / 26 - 1)) }
}
