//! The operators of ONNX that compute layers: the order of their inputs, and their attributes.
//!
//! Source: the operators of ONNX 1.23 (<https://onnx.ai/onnx/operators>), at the version of [`OPERATOR_SET`].

mod attributes;
mod node;
mod operators;

pub use node::{Attribute, Attributes, Elements, OnnxNode, OnnxTensor};

use super::settings::Settings;
use super::spec::LayerSpec;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::FloatType;
use node::OnnxOperator;
use operators::OPERATORS;
use std::borrow::Cow;

/// Version of the set of operators.
pub const OPERATOR_SET: u32 = 24;

/// Returns the node that computes a layer in a type, with these settings, operands and results.
pub fn onnx_node<'a>(
    spec: &LayerSpec,
    float_type: FloatType,
    settings: &Settings,
    operands: &'a Tensors<f64>,
    results: &'a Tensors<f64>,
) -> Option<OnnxNode<'a>> {
    let mut rows = OPERATORS.iter().filter(|row| row.layer == spec.name && row.types.contains(&float_type));
    rows.find_map(|row| row.node(spec, settings, operands, results))
}

impl OnnxOperator {
    fn node<'a>(
        &self,
        spec: &LayerSpec,
        settings: &Settings,
        operands: &'a Tensors<f64>,
        results: &'a Tensors<f64>,
    ) -> Option<OnnxNode<'a>> {
        let rank = operands.iter().next()?.1.ndim();
        let lifted_rank = (self.rank)(settings);
        let has_inputs = operands.names().all(|name| self.inputs.contains(name));
        let has_settings = settings.iter().all(|(name, _)| self.settings.contains(&name));
        // Targets are class indices there, of a rank less than the input.
        let has_targets = operands.get(&Name::T).is_none_or(|t| t.ndim() + 1 == rank);
        let has_rank = self.ranks.contains(&rank) && (lifted_rank == 0 || rank <= lifted_rank);
        if !(has_inputs && has_settings && has_targets && has_rank) {
            return None;
        }
        let attributes = (self.attributes)(settings, rank)?;
        let mut further = (self.further)(settings, operands)?;
        let mut input = |name: &Name| match further.iter().position(|(known, ..)| known == name) {
            Some(n) => {
                let (name, elements, value) = further.swap_remove(n);
                Some(OnnxTensor { name, elements, value: Cow::Owned(value) })
            }
            None => Some(OnnxTensor::new(spec, settings, name, operands.get(name)?, rank)),
        };
        let inputs: Vec<Option<OnnxTensor<'_>>> = self.inputs.iter().map(&mut input).collect();
        // What is absent comes last.
        let present = inputs.iter().take_while(|input| input.is_some()).count();
        if present < self.required || inputs[present..].iter().any(Option::is_some) {
            return None;
        }
        let mut inputs: Vec<OnnxTensor<'_>> = inputs.into_iter().flatten().collect();
        let output = |name: &Name| Some(OnnxTensor::new(spec, settings, name, results.get(name)?, rank));
        let mut outputs: Vec<OnnxTensor<'_>> = self.outputs.iter().filter_map(output).collect();
        for input in &mut inputs {
            // Each name of a model stands for one array.
            if outputs.iter().any(|output| output.name == input.name) {
                input.name = Name::new(format!("initial-{}", input.name));
            }
            if self.kept.contains(&input.name) {
                outputs.push(OnnxTensor { name: Name::new(format!("kept-{}", input.name)), ..input.clone() });
            }
        }
        let tensors = inputs.iter_mut().chain(&mut outputs);
        tensors.filter(|tensor| self.lifted.contains(&tensor.name)).for_each(|tensor| tensor.lift(lifted_rank));
        Some(OnnxNode { operator: self.operator, attributes, inputs, outputs })
    }
}
