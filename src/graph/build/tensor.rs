//! The graph of matrices, whose nodes are the matrix operations of each layer. A value is an edge until its reader is known.

use super::computed_layer::ComputedLayer;
use crate::core::name::Name;
use crate::graph::model::{Edge, Graph, Level, NodeKind};
use crate::layer::MatrixOperation;
use crate::network::input_of;
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// Builds the graph of matrices of a chain of layers.
pub(super) fn tensor_graph(layers: &[ComputedLayer<'_>]) -> Graph {
    let mut graph = Graph::new(Level::Tensor);
    let output = layers.iter().fold(None, |input, layer| Some(add_layer(&mut graph, layer, input)));
    if let Some(output) = output {
        let to = graph.add_node(NodeKind::Sink, output.name.clone().unwrap_or_default());
        graph.edges.push(Edge { to, ..output });
    }
    graph
}

/// Adds a layer whose input may be the output of the layer before; returns its output.
fn add_layer(graph: &mut Graph, layer: &ComputedLayer<'_>, input: Option<Edge>) -> Edge {
    let own = layer.layer.matrix_operations(layer.at, &layer.outcome.results, layer.dout);
    let operations = if own.is_empty() { vec![single_operation(layer)] } else { own };
    let mut values: BTreeMap<String, Edge> = BTreeMap::new();
    if let Some(value) = input {
        let name = input_of(layer.spec);
        let gradient_name = Some(layer.qualified_name(&name.gradient()));
        let value = Edge { gradient_name, gradient_formula: gradient_formula(layer, name), ..value };
        values.insert(name.to_string(), value);
    }
    let last = operations.len() - 1;
    for (n, operation) in operations.into_iter().enumerate() {
        let read = |name: &Name| values.remove(name.as_str()).or_else(|| add_operand(graph, layer, name));
        let reads: Vec<Edge> = operation.reads.iter().filter_map(read).collect();
        let to = graph.add_node(NodeKind::Operation, operation.op);
        operation.note.into_iter().for_each(|note| graph.add_note(note.to_owned()));
        graph.edges.extend(reads.into_iter().map(|value| Edge { to, ..value }));
        let (forward, backward) = match operation.inner {
            Some(inner) if n != last => inner,
            _ => (layer.outcome.results.known(&layer.spec.output).clone(), layer.dout.clone()),
        };
        // An intermediate value is neither an option nor a key, so it has no qualified name.
        let is_result = operation.gives == layer.spec.output || layer.outcome.results.get(&operation.gives).is_some();
        let (name, gradient_name) = match is_result {
            true if n == last => (layer.qualified_name(&operation.gives), Name::DOUT.to_string()),
            true => (layer.qualified_name(&operation.gives), layer.qualified_name(&operation.gives.gradient())),
            false => (operation.gives.to_string(), format!("d({})", operation.gives)),
        };
        let value = value(to, name, gradient_name, forward, Some(backward));
        values.insert(operation.gives.to_string(), value);
    }
    match values.remove(layer.spec.output.as_str()) {
        Some(output) => output,
        None => unreachable!("the last operation gives the output"),
    }
}

/// Returns a layer as a single operation.
fn single_operation(layer: &ComputedLayer<'_>) -> MatrixOperation {
    let reads = layer.spec.slots.iter().map(|slot| slot.name.clone()).collect();
    MatrixOperation { op: layer.spec.name, note: None, reads, gives: layer.spec.output.clone(), inner: None }
}

/// Adds a node for an operand. Targets and constants have no gradient.
fn add_operand(graph: &mut Graph, layer: &ComputedLayer<'_>, operand: &Name) -> Option<Edge> {
    let forward = layer.at.get(operand)?.clone();
    let backward = layer.outcome.gradients.get(&operand.gradient()).cloned();
    let name = layer.qualified_name(operand);
    let from = graph.add_node(NodeKind::Leaf, name.as_str());
    let value = value(from, name, layer.qualified_name(&operand.gradient()), forward, backward);
    Some(Edge { gradient_formula: gradient_formula(layer, operand), ..value })
}

/// Returns an edge from a node, without its reader.
fn value(
    from: usize,
    name: String,
    gradient_name: String,
    forward: ArrayD<f64>,
    backward: Option<ArrayD<f64>>,
) -> Edge {
    let (name, gradient_name) = (Some(name), Some(gradient_name));
    Edge { from, to: from, name, gradient_name, forward, backward, local_derivative: None, gradient_formula: None }
}

/// Returns the formula of an operand's gradient.
fn gradient_formula(layer: &ComputedLayer<'_>, operand: &Name) -> Option<String> {
    let gradient = operand.gradient();
    layer.outcome.gradients.get(&gradient)?;
    let own = layer.layer.formulas(layer.at);
    let own = own.into_iter().find(|(name, _)| *name == gradient).map(|(_, formula)| formula);
    Some(format!("{gradient} = {}", own.or_else(|| layer.spec.formula(&gradient))?))
}
