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

/// Returns the number of operands that a value is.
pub(super) fn count_readers(layers: &[ComputedLayer<'_>], source: Source) -> usize {
    layers.iter().flat_map(|layer| layer.sources).filter(|(_, other)| *other == source).count()
}

/// Returns the gradient of the network's input, the sum of those of its readers.
pub(super) fn input_gradient(layers: &[ComputedLayer<'_>]) -> Option<ArrayD<f64>> {
    let readers = layers.iter().flat_map(|layer| layer.sources.iter().map(move |source| (layer, source)));
    let gradients = readers.filter(|(_, (_, source))| *source == Source::Input);
    let mut gradients = gradients.filter_map(|(layer, (operand, _))| layer.gradient(operand));
    let first = gradients.next()?.clone();
    Some(gradients.fold(first, |sum, gradient| sum + gradient))
}
