//! Operators, nodes and tensors of ONNX, as plain data.

use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::settings::Settings;
use crate::layer::spec::{LayerSpec, Role, Values};
use crate::numeric::FloatType;
use ndarray::{ArrayD, IxDyn};
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// An operator of ONNX that computes a layer, with some settings and ranks.
pub(super) struct OnnxOperator {
    pub(super) layer: &'static str,
    pub(super) operator: &'static str,
    /// Operands and further inputs, in the order of the operator.
    pub(super) inputs: &'static [Name],
    /// Number of the inputs that the operator requires.
    pub(super) required: usize,
    /// The results that the operator has, in its order.
    pub(super) outputs: &'static [Name],
    /// Ranks of the first operand.
    pub(super) ranks: RangeInclusive<usize>,
    /// The settings that attributes or further inputs express.
    pub(super) settings: &'static [&'static str],
    /// Returns the attributes for settings and the rank of the first operand; `None` if the operator cannot express the settings.
    pub(super) attributes: fn(&Settings, usize) -> Option<Attributes>,
    /// Returns inputs that are not operands of the case: settings, and operands that only ONNX requires.
    pub(super) further: fn(&Settings, &Tensors<f64>) -> Option<Further>,
    /// Types of numbers that the operator has.
    pub(super) types: &'static [FloatType],
    /// Inputs that the operator also returns, unchanged.
    pub(super) kept: &'static [Name],
    /// Arrays that get axes of length 1 in front, so that they have a rank that the operator reads.
    pub(super) lifted: &'static [Name],
    /// Returns that rank, or 0 if there are no such arrays.
    pub(super) rank: fn(&Settings) -> usize,
}

/// Inputs by name.
pub(super) type Further = Vec<(Name, Elements, ArrayD<f64>)>;

/// Attributes of a node by name.
pub type Attributes = Vec<(&'static str, Attribute)>;

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// An integer.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A list of integers.
    Integers(Vec<i64>),
    /// A string.
    Text(&'static str),
}

/// Kind of the elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Numbers of the type of the inputs.
    Numbers,
    /// 64-bit integers.
    Integers,
    /// True and false.
    Booleans,
}

/// An array of a case as ONNX has it.
#[derive(Clone)]
pub struct OnnxTensor<'a> {
    /// Name of the operand, result or setting.
    pub name: Name,
    /// Kind of the elements.
    pub elements: Elements,
    /// The numbers.
    pub value: Cow<'a, ArrayD<f64>>,
}

impl<'a> OnnxTensor<'a> {
    /// Returns an operand or result of a layer whose first operand has a rank.
    pub fn new(spec: &LayerSpec, settings: &Settings, name: &Name, value: &'a ArrayD<f64>, x_rank: usize) -> Self {
        let slot = spec.slots.iter().find(|slot| slot.name == *name);
        let elements = slot.map_or(Elements::Numbers, |slot| match (slot.values, slot.role) {
            (Values::Indices(_), _) => Elements::Integers,
            // Class indices have one axis less than scores.
            (_, Role::Target) if value.ndim() < x_rank => Elements::Integers,
            // A mask of numbers is added, if the layer has a setting for it.
            (Values::Mask, _) if settings.choice(MASK_KIND) == Some("boolean") => Elements::Booleans,
            (Values::Mask, _) if spec.settings.iter().all(|setting| setting.name != MASK_KIND) => Elements::Booleans,
            _ => Elements::Numbers,
        });
        OnnxTensor { name: name.clone(), elements, value: Cow::Borrowed(value) }
    }

    /// Returns operands or results of a layer.
    pub fn from_arrays(spec: &LayerSpec, settings: &Settings, arrays: &'a Tensors<f64>, x_rank: usize) -> Vec<Self> {
        arrays.iter().map(|(name, value)| OnnxTensor::new(spec, settings, name, value, x_rank)).collect()
    }

    /// Adds axes of length 1 in front.
    pub(super) fn lift(&mut self, rank: usize) {
        let missing = rank.saturating_sub(self.value.ndim());
        if missing > 0 {
            let shape = [&vec![1; missing], self.value.shape()].concat();
            let value = self.value.to_shape(IxDyn(&shape)).map(|value| value.to_owned());
            self.value = Cow::Owned(value.unwrap_or_else(|_| unreachable!("as many entries")));
        }
    }
}

const MASK_KIND: &str = "mask-kind";

/// A node of ONNX that computes a case of a layer.
pub struct OnnxNode<'a> {
    /// Name of the operator.
    pub operator: &'static str,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its inputs, in order.
    pub inputs: Vec<OnnxTensor<'a>>,
    /// Its outputs, in order.
    pub outputs: Vec<OnnxTensor<'a>>,
}
