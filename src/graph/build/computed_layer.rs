//! A layer with its values, as a graph shows it.

use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, LayerSpec, Outcome};
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
}

impl ComputedLayer<'_> {
    /// Returns the name of an operand or result, in a chain with the layer's name before it: `fc1.w`.
    pub(super) fn qualified_name(&self, name: &Name) -> String {
        self.name.map_or_else(|| name.to_string(), |layer| name.in_layer(layer).to_string())
    }
}
