//! Builds computational graphs from layers that were computed.

mod computed_layer;
mod scalar;
mod tensor;
mod textbook;
mod trace;

pub use computed_layer::ComputedLayer;

use super::model::{Graph, Level};
use crate::core::error::{Code, Error, format_shape};

/// Largest graph of numbers that is drawn by default, in nodes.
const MAX_DEFAULT_SCALAR_NODES: usize = 48;

/// Builds the graph of a chain of layers, by default one of numbers if it has few nodes; refuses empty operands.
pub fn build_graph(layers: &[ComputedLayer<'_>], level: Option<Level>) -> Result<Graph, Error> {
    if let Some((name, value)) = layers.iter().flat_map(|layer| layer.at.iter()).find(|(_, value)| value.is_empty()) {
        let message = format!("shape {} is empty, so there is nothing to draw", format_shape(value.shape()));
        return Err(Error::new(Code::GraphSize, message)
            .with_operand(name)
            .tip("give every matrix at least one number"));
    }
    match level {
        Some(Level::Tensor) => Ok(tensor::tensor_graph(layers)),
        Some(Level::Scalar) => scalar::scalar_graph(layers),
        None => match scalar::scalar_graph(layers) {
            Ok(graph) if graph.nodes.len() <= MAX_DEFAULT_SCALAR_NODES => Ok(graph),
            _ => Ok(tensor::tensor_graph(layers)),
        },
    }
}
