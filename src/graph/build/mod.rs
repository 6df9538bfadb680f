//! Builds computational graphs from layers that were computed.

mod computed_layer;
mod grouped;
mod scalar;
mod symbols;
mod tensor;
mod textbook;
mod trace;

pub use computed_layer::ComputedLayer;

use super::label::{equality_sign, format_number, sum_text};
use super::model::{Edge, Graph, Level, NodeKind};
use super::options::PictureOptions;
use crate::core::error::{Code, Error, format_shape};
use grouped::group_by_output;
use std::sync::Arc;
use symbols::Symbols;

/// Largest graph of numbers that is drawn by default, in nodes.
const MAX_DEFAULT_SCALAR_NODES: usize = 48;
/// Largest graph of matrices of a network that is drawn by default, in nodes; of a larger one, the layers are drawn.
const MAX_DEFAULT_TENSOR_NODES: usize = 40;

/// Builds the graph of a chain of layers, by default one of numbers if it has few nodes, and one of layers if it has many; refuses
/// empty operands.
pub fn build_graph(
    layers: &[ComputedLayer<'_>],
    level: Option<Level>,
    options: &PictureOptions,
) -> Result<Graph, Error> {
    if let Some((name, value)) = layers.iter().flat_map(|layer| layer.at.iter()).find(|(_, value)| value.is_empty()) {
        let message = format!("shape {} is empty, so there is nothing to draw", format_shape(value.shape()));
        return Err(Error::new(Code::GraphSize, message)
            .with_operand(name)
            .tip("give every matrix at least one number"));
    }
    let symbols = Symbols::new(layers);
    let matrices = |level: Level| tensor::tensor_graph(layers, level, &symbols, options);
    let numbers = || scalar::scalar_graph(layers, options).map(group_by_output);
    let mut graph = match level {
        Some(Level::Scalar) => numbers()?,
        Some(level) => matrices(level),
        None => match numbers() {
            Ok(graph) if graph.nodes.len() <= MAX_DEFAULT_SCALAR_NODES => graph,
            _ => {
                let graph = matrices(Level::Tensor);
                let is_large = layers.len() > 1 && graph.nodes.len() > MAX_DEFAULT_TENSOR_NODES;
                if is_large { matrices(Level::Layer) } else { graph }
            }
        },
    };
    graph.symbols = Arc::new(symbols.by_name);
    graph.notes.extend(symbols.note);
    write_sums(&mut graph);
    Ok(graph)
}

/// Writes the gradient before each branch as the sum of those after it: of numbers, or of the names of matrices.
fn write_sums(graph: &mut Graph) {
    let outgoing = graph.outgoing();
    for n in 0..graph.edges.len() {
        let to = graph.edges[n].to;
        if graph.nodes[to].kind != NodeKind::Branch || graph.edges[n].backward.is_none() {
            continue;
        }
        let edges = || outgoing[to].iter().map(|&edge| &graph.edges[edge]);
        let terms = sum_text(edges().filter_map(|edge| term(graph, edge)));
        let number = |edge: &Edge| edge.backward.as_ref()?.first().copied();
        let numbers = edges().chain([&graph.edges[n]]).filter_map(number).filter(|_| graph.level == Level::Scalar);
        graph.edges[n].sum = Some(format!("{} {terms}", equality_sign(numbers, graph.options.digits)));
    }
}

/// Returns the gradient of an edge as a term of a sum.
fn term(graph: &Graph, edge: &Edge) -> Option<String> {
    if graph.level != Level::Scalar {
        return edge.gradient_name.as_ref().map(|name| graph.symbol(name));
    }
    Some(format_number(*edge.backward.as_ref()?.first()?, graph.options.digits))
}
