//! The graph of matrices, whose nodes are the matrix operations of each layer. A value is an edge until its reader is known.

use super::computed_layer::{ComputedLayer, ReaderCounts, input_gradient};
use super::scalar::gradient_name;
use super::symbols::Symbols;
use crate::core::name::Name;
use crate::graph::model::{Edge, Graph, Level, NodeKind};
use crate::graph::options::PictureOptions;
use crate::graph::words;
use crate::layer::{MatrixOperation, Role, Slot};
use crate::network::Source;
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// Builds the graph of matrices of a chain of layers, or that of its layers, whose parameters are left out.
pub(super) fn tensor_graph(
    layers: &[ComputedLayer<'_>],
    level: Level,
    symbols: &Symbols,
    options: &PictureOptions,
) -> Graph {
    let mut graph = Graph::new(level, options.clone());
    let mut values = Values { input: None, outputs: Vec::new() };
    let readers = ReaderCounts::new(layers);
    for (n, layer) in layers.iter().enumerate() {
        if values.input.is_none() && readers.input > 1 {
            values.input = shared_input(&mut graph, layers, layer);
        }
        let output = add_layer(&mut graph, layer, &values, symbols);
        values.outputs.push(if readers.outputs[n] > 1 { add_branch(&mut graph, output) } else { output });
    }
    if let Some(output) = values.outputs.pop() {
        let to = graph.add_node(NodeKind::Sink, output.name.clone().unwrap_or_default());
        graph.edges.push(Edge { to, ..output });
    }
    graph
}

/// The values that layers read: each is an edge without its reader.
struct Values {
    /// The network's input, if several operands are that input.
    input: Option<Edge>,
    /// The output of each layer.
    outputs: Vec<Edge>,
}

/// Adds a node for the network's input, which several operands are.
fn shared_input(graph: &mut Graph, layers: &[ComputedLayer<'_>], first: &ComputedLayer<'_>) -> Option<Edge> {
    let (operand, _) = first.sources.iter().find(|(_, source)| *source == Source::Input)?;
    let from = graph.add_node(NodeKind::Leaf, Name::X.as_str());
    let forward = first.at.get(operand)?.clone();
    let value = value(from, Name::X.to_string(), Name::DX.to_string(), forward, input_gradient(layers));
    Some(add_branch(graph, value))
}

/// Adds a branch for a value that is read several times: before it, the gradients of the readers are summed.
fn add_branch(graph: &mut Graph, value: Edge) -> Edge {
    let branch = graph.add_node(NodeKind::Branch, "•");
    graph.nodes[branch].meaning = Some(words::BRANCH.to_owned());
    graph.nodes[branch].hint = Some(words::hints::BRANCH.to_owned());
    graph.edges.push(Edge { to: branch, ..value.clone() });
    Edge { from: branch, ..value }
}

/// Adds a layer; returns its output.
fn add_layer(graph: &mut Graph, layer: &ComputedLayer<'_>, given: &Values, symbols: &Symbols) -> Edge {
    let operations = match graph.level {
        Level::Layer => Vec::new(),
        _ => layer.layer.matrix_operations(layer.at, &layer.outcome.results, layer.dout),
    };
    let operations = if operations.is_empty() { vec![single_operation(layer, graph.level)] } else { operations };
    let mut values: BTreeMap<String, Edge> = BTreeMap::new();
    for (name, source) in layer.sources {
        let value = match *source {
            Source::Layer(earlier) => Some(&given.outputs[earlier]),
            Source::Input => given.input.as_ref(),
        };
        let Some(value) = value.cloned() else { continue };
        let gradient_name = Some(layer.qualified_name(&name.gradient()));
        let backward = match graph.nodes[value.from].kind {
            NodeKind::Branch => layer.gradient(name).cloned().or(value.backward),
            _ => value.backward,
        };
        let value = Edge { gradient_name, gradient_formula: gradient_formula(layer, name, symbols), backward, ..value };
        values.insert(name.to_string(), value);
    }
    let last = operations.len() - 1;
    for (n, operation) in operations.into_iter().enumerate() {
        let read = |name: &Name| values.remove(name.as_str()).or_else(|| add_operand(graph, layer, name, symbols));
        let reads: Vec<Edge> = operation.reads.iter().filter_map(read).collect();
        let label = layer.name.filter(|_| graph.level == Level::Layer);
        let label = label.map_or_else(|| operation.op.to_owned(), |name| layer_label(name, layer.spec.name));
        let to = graph.add_node(NodeKind::Operation, label);
        graph.nodes[to].is_ordered = graph.level == Level::Tensor && !["+", "∘"].contains(&operation.op);
        graph.nodes[to].hint = hint(operation.op).map(str::to_owned);
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
            false => {
                let name = symbols.formula(layer, operation.gives.as_str());
                let gradient_name = gradient_name(&name);
                (name, gradient_name)
            }
        };
        let value = value(to, name, gradient_name, forward, Some(backward));
        values.insert(operation.gives.to_string(), value);
    }
    match values.remove(layer.spec.output.as_str()) {
        Some(output) => output,
        None => unreachable!("the last operation gives the output"),
    }
}

/// Returns a layer as a single operation; its parameters are operands unless the graph is one of layers.
fn single_operation(layer: &ComputedLayer<'_>, level: Level) -> MatrixOperation {
    let is_drawn = |slot: &&Slot| level != Level::Layer || slot.role != Role::Parameter;
    let reads = layer.spec.slots.iter().filter(is_drawn).map(|slot| slot.name.clone()).collect();
    MatrixOperation { op: layer.spec.name, note: None, reads, gives: layer.spec.output.clone(), inner: None }
}

/// Returns the label of a layer: its name, and its kind where the name does not say it.
fn layer_label(name: &str, kind: &str) -> String {
    let number = name.strip_prefix(kind);
    match number.is_some_and(|number| number.chars().all(|digit| digit.is_ascii_digit())) {
        true => kind.to_owned(),
        false => format!("{name}: {kind}"),
    }
}

/// Adds a node for an operand. Targets and constants have no gradient.
fn add_operand(graph: &mut Graph, layer: &ComputedLayer<'_>, operand: &Name, symbols: &Symbols) -> Option<Edge> {
    let forward = layer.at.get(operand)?.clone();
    let backward = layer.gradient(operand).cloned();
    let name = layer.qualified_name(operand);
    let from = graph.add_node(NodeKind::Leaf, name.as_str());
    let value = value(from, name, layer.qualified_name(&operand.gradient()), forward, backward);
    Some(Edge { gradient_formula: gradient_formula(layer, operand, symbols), ..value })
}

/// Returns an edge from a node, without its reader.
fn value(
    from: usize,
    name: String,
    gradient_name: String,
    forward: ArrayD<f64>,
    backward: Option<ArrayD<f64>>,
) -> Edge {
    Edge {
        from,
        to: from,
        name: Some(name),
        gradient_name: Some(gradient_name),
        forward,
        backward,
        local_derivative: None,
        local_formula: None,
        gradient_formula: None,
        sum: None,
    }
}

/// Returns what an operation does with the gradient that comes back.
fn hint(op: &str) -> Option<&'static str> {
    match op {
        "+" => Some(words::hints::ADD),
        "∘" => Some(words::hints::MULTIPLY),
        "repeat" => Some(words::hints::REPEAT),
        "dot" | "·kᵀ·scale" => Some(words::hints::DOT),
        "softmax" => Some(words::hints::SOFTMAX),
        "mask" => Some(words::hints::RELU),
        "concat" => Some(words::hints::CONCAT),
        _ => None,
    }
}

/// Returns the formula of an operand's gradient, with the names that the picture has.
fn gradient_formula(layer: &ComputedLayer<'_>, operand: &Name, symbols: &Symbols) -> Option<String> {
    let gradient = operand.gradient();
    layer.outcome.gradients.get(&gradient)?;
    let own = layer.layer.formulas(layer.at);
    let own = own.into_iter().find(|(name, _)| *name == gradient).map(|(_, formula)| formula);
    let formula = symbols.formula(layer, own.or_else(|| layer.spec.formula(&gradient))?);
    let name = layer.qualified_name(&gradient);
    Some(format!("{} = {formula}", symbols.by_name.get(&name).unwrap_or(&name)))
}
