//! Groups a graph of numbers by output: where many operands are used many times, each use has an operand of its own, so that the
//! outputs have graphs of their own and no lines cross. The gradients of the operands are then sums that stand below the graph.

use crate::graph::bands::components;
use crate::graph::model::{Edge, GradientSum, Graph, NodeKind};
use std::collections::BTreeMap;

/// Number of uses of shared operands from which on a graph is grouped.
const MIN_SHARED_USES: usize = 24;

/// Groups a graph if many uses of operands are shared, and it falls into several components then.
pub(super) fn group_by_output(graph: Graph) -> Graph {
    let (incoming, outgoing) = (graph.incoming(), graph.outgoing());
    let is_shared_operand = |node: usize| {
        let is_operand = |&edge: &usize| graph.nodes[graph.edges[edge].from].kind == NodeKind::Leaf;
        graph.nodes[node].kind == NodeKind::Branch && incoming[node].iter().all(is_operand)
    };
    let branches: Vec<usize> = (0..graph.nodes.len()).filter(|&node| is_shared_operand(node)).collect();
    if branches.iter().map(|&branch| outgoing[branch].len()).sum::<usize>() < MIN_SHARED_USES {
        return graph;
    }
    let mut grouped = Graph::new(graph.level, graph.options.clone());
    grouped.notes.clone_from(&graph.notes);
    // Operand of each branch.
    let operands: BTreeMap<usize, usize> =
        branches.iter().map(|&branch| (branch, graph.edges[incoming[branch][0]].from)).collect();
    let mut moved = BTreeMap::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        if operands.contains_key(&n) || operands.values().any(|&operand| operand == n) {
            continue;
        }
        // Each use has an operand of its own, just before its reader.
        for &edge in &incoming[n] {
            if let Some(&operand) = operands.get(&graph.edges[edge].from) {
                moved.insert((operand, Some(edge)), grouped.nodes.len());
                grouped.nodes.push(graph.nodes[operand].clone());
            }
        }
        moved.insert((n, None), grouped.nodes.len());
        grouped.nodes.push(node.clone());
    }
    for (n, edge) in graph.edges.iter().enumerate().filter(|(_, edge)| !operands.contains_key(&edge.to)) {
        let from = operands.get(&edge.from).map_or((edge.from, None), |&operand| (operand, Some(n)));
        grouped.edges.push(Edge { from: moved[&from], to: moved[&(edge.to, None)], ..edge.clone() });
    }
    for branch in branches {
        let whole = &graph.edges[incoming[branch][0]];
        let number = |edge: &Edge| edge.backward.as_ref().and_then(|gradient| gradient.first().copied());
        if let (Some(name), Some(total)) = (&whole.gradient_name, number(whole)) {
            let terms = outgoing[branch].iter().filter_map(|&edge| number(&graph.edges[edge])).collect();
            grouped.sums.push(GradientSum { name: name.clone(), terms, total });
        }
    }
    if components(&grouped).len() > 1 { grouped } else { graph }
}
