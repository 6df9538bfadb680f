//! A layer with its values, as a graph shows it.

use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, LayerSpec, Outcome};
use crate::network::Source;
use ndarray::ArrayD;

/// A layer that was computed, alone or in a chain.
pub struct ComputedLayer<'a> {
    /// Name of the layer in its chain; a single layer has none.
    pub name: Option<&'a str>,
    /// The registry's row.
    pub spec: &'static LayerSpec,
    /// The layer's mathematics.
    pub layer: &'a dyn AnyLayer,
    /// Operands of the layer.
    pub at: &'a Tensors<f64>,
    /// Results and gradients of the layer.
    pub outcome: &'a Outcome,
    /// Upstream gradient of the layer.
    pub dout: &'a ArrayD<f64>,
    /// The operands that the network's input and earlier layers give.
    pub sources: &'a [(Name, Source)],
}

impl ComputedLayer<'_> {
    /// Returns the name of an operand or result, in a chain with the layer's name before it: `fc1.w`.
    pub(crate) fn qualified_name(&self, name: &Name) -> String {
        self.name.map_or_else(|| name.to_string(), |layer| name.in_layer(layer).to_string())
    }

    /// Returns the gradient of an operand.
    pub(super) fn gradient(&self, operand: &Name) -> Option<&ArrayD<f64>> {
        self.outcome.gradients.get(&operand.gradient())
    }
}

/// The numbers of operands that are the network's input, and that are the output of each layer.
pub(super) struct ReaderCounts {
    /// Number of operands that are the network's input.
    pub(super) input: usize,
    /// Number of operands that are a layer's output, for each layer.
    pub(super) outputs: Vec<usize>,
}

impl ReaderCounts {
    /// Counts the readers of each value.
    pub(super) fn new(layers: &[ComputedLayer<'_>]) -> ReaderCounts {
        let mut counts = ReaderCounts { input: 0, outputs: vec![0; layers.len()] };
        for (_, source) in layers.iter().flat_map(|layer| layer.sources) {
            match *source {
                Source::Input => counts.input += 1,
                Source::Layer(n) => counts.outputs[n] += 1,
            }
        }
        counts
    }
}

/// Returns the gradient of the network's input, the sum of those of its readers.
pub(super) fn input_gradient(layers: &[ComputedLayer<'_>]) -> Option<ArrayD<f64>> {
    let readers = layers.iter().flat_map(|layer| layer.sources.iter().map(move |source| (layer, source)));
    let gradients = readers.filter(|(_, (_, source))| *source == Source::Input);
    let mut gradients = gradients.filter_map(|(layer, (operand, _))| layer.gradient(operand));
    let first = gradients.next()?.clone();
    Some(gradients.fold(first, |sum, gradient| sum + gradient))
}
