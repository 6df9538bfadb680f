//! Legends of graphs: what their labels, marks and operations mean.

use super::label::{is_long, node_hint, translated_formula};
use super::model::{Graph, Level, Node, NodeKind};
use super::words;
use crate::core::name::Name;

/// Returns the explanations below a graph.
pub(super) fn legend(graph: &Graph) -> Vec<String> {
    if !graph.options.has_legend {
        return Vec::new();
    }
    let first = match (graph.level, graph.backward) {
        (Level::Layer, true) => words::BOTH_LAYER_LABELS,
        (_, true) => words::BOTH_LABELS,
        (_, false) => above_words(graph),
    };
    std::iter::once(first.to_owned()).chain(notes(graph)).collect()
}

/// Returns the explanations but those of the labels of edges.
pub(super) fn notes(graph: &Graph) -> Vec<String> {
    let has_branch = graph.backward && graph.nodes.iter().any(|node| node.kind == NodeKind::Branch);
    let has_hint = graph.nodes.iter().any(|node| node_hint(node, graph).is_some());
    // The results have the names of options and keys.
    let is_w = |node: &Node| node.kind == NodeKind::Leaf && node.label.split('[').next() == Some(Name::W.as_str());
    let has_w = graph.backward && graph.symbols.contains_key(Name::W.as_str()) && graph.nodes.iter().any(is_w);
    let weight = has_w.then(|| words::WEIGHT.to_owned());
    let branch = has_branch.then(|| words::BRANCH_NOTE.to_owned());
    let hints = has_hint.then(|| words::HINTS.to_owned());
    let explained =
        weight.into_iter().chain(branch).chain(operand_order(graph)).chain(hints).chain(long_formulas(graph));
    explained.chain(graph.notes.iter().cloned()).collect()
}

/// Returns the formulas of gradients that are too long for the labels of a graph of matrices.
fn long_formulas(graph: &Graph) -> Vec<String> {
    let is_shown = graph.options.has_hints && graph.backward && graph.level == Level::Tensor;
    let formulas = graph.edges.iter().filter_map(|edge| edge.gradient_formula.as_ref().filter(|_| is_shown));
    let mut formulas: Vec<String> =
        formulas.filter(|formula| is_long(formula)).map(|formula| translated_formula(formula, graph)).collect();
    formulas.dedup();
    formulas
}

/// Returns the explanation of the order of operands, if the graph has an operation on numbers whose operands cannot be swapped.
fn operand_order(graph: &Graph) -> Option<String> {
    let incoming = graph.incoming();
    let is_explained = |(n, node): &(usize, &Node)| node.is_ordered && incoming[*n].len() > 1;
    let nodes = graph.nodes.iter().enumerate().filter(is_explained);
    let mut labels: Vec<&str> = nodes.map(|(_, node)| node.label.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    (graph.level == Level::Scalar && !labels.is_empty()).then(|| words::operand_order(&labels))
}

/// Returns the explanation of the label above an edge.
pub(super) fn above_words(graph: &Graph) -> &'static str {
    if graph.level == Level::Layer { words::SHAPE_LABEL } else { words::FORWARD_LABEL }
}

/// Returns the explanation of the label below an edge.
pub(super) fn below_words(graph: &Graph) -> &'static str {
    if graph.level == Level::Layer { words::NORM_LABEL } else { words::BACKWARD_LABEL }
}
