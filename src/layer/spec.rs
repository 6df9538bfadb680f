//! The registry row of a layer: its names, formulas, operands and settings.

use super::convention::Convention;
use super::interface::AnyLayer;
use super::settings::{Setting, Settings};
use crate::core::error::Error;
use crate::core::name::Name;

/// Registry row of a layer, from which commands, options, help, documentation, checks and tests are derived.
pub struct LayerSpec {
    /// The command.
    pub name: &'static str,
    /// The formula and a few words, for lists of commands.
    pub about: &'static str,
    /// The forward results and their formulas, in the order of output.
    pub outputs: &'static [(Name, &'static str)],
    /// The one of them that `dout` belongs to: `y`, or `loss`.
    pub output: Name,
    /// The formula of `dx` if that is the gradient at the logits of the softmax that made the input, which is no slot.
    pub logit_gradient: Option<&'static str>,
    /// The operands. Gradients, their names and their order follow from them.
    pub slots: &'static [Slot],
    /// The options that are not arrays.
    pub settings: &'static [Setting],
    /// The meaning of a bare number as `--dout`.
    pub scalar_dout: ScalarDout,
    /// Other conventions and usual mistakes, which a check names; its settings with other values need no mention.
    pub conventions: &'static [Convention],
    /// Commands and their output, for help and tests.
    pub examples: &'static [Example],
    /// The source of the definition.
    pub source: &'static str,
    /// Builds the layer from its settings; returns an error if they are out of range or contradict each other.
    pub build: fn(&Settings) -> Result<Box<dyn AnyLayer>, Error>,
}

impl LayerSpec {
    /// Returns the gradients and their formulas, in the order of output.
    pub fn gradients(&self) -> impl Iterator<Item = (Name, &'static str)> + use<> {
        let own = self.slots.iter().filter_map(|slot| Some((slot.name.gradient(), slot.gradient?)));
        self.logit_gradient.map(|formula| (Name::DX, formula)).into_iter().chain(own)
    }

    /// Returns all results and their formulas in the order of output: the forward results, then the gradients.
    pub fn results(&self) -> impl Iterator<Item = (Name, &'static str)> + use<> {
        self.outputs.iter().cloned().chain(self.gradients())
    }

    /// Returns the formula of a result.
    pub fn formula(&self, result: &Name) -> Option<&'static str> {
        self.results().find(|(name, _)| name == result).map(|(_, formula)| formula)
    }

    /// Returns true if the result is a gradient.
    pub fn is_gradient(&self, result: &Name) -> bool {
        self.gradients().any(|(name, _)| name == *result)
    }

    /// Returns the operands that are learnt.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Slot> + use<> {
        self.slots.iter().filter(|slot| slot.role == Role::Parameter)
    }

    /// Returns true if the result is the gradient of a parameter, which is a sum over the rows of a batch.
    pub fn is_parameter_gradient(&self, result: &Name) -> bool {
        self.parameters().any(|slot| slot.name.gradient() == *result)
    }

    /// Returns true if the output is a loss, whose upstream gradient is 1.
    pub fn is_loss(&self) -> bool {
        self.output == Name::LOSS
    }
}

/// An operand of a layer.
#[derive(Clone)]
pub struct Slot {
    /// The name of the option and of the JSON key.
    pub name: Name,
    /// The operand's role.
    pub role: Role,
    /// The shape, in letters.
    pub shape: &'static str,
    /// True if the layer can do without it.
    pub optional: bool,
    /// The values that it may have.
    pub values: Values,
    /// The formula of the gradient by it, whose name is `d` and its name. Numbers that are inputs or parameters have one.
    pub gradient: Option<&'static str>,
    /// Help text.
    pub doc: &'static str,
}

impl Slot {
    /// Returns a required input.
    pub const fn input(name: Name, shape: &'static str, gradient: &'static str, doc: &'static str) -> Slot {
        Slot { name, role: Role::Input, shape, optional: false, values: Values::Numbers, gradient: Some(gradient), doc }
    }

    /// Returns a required parameter.
    pub const fn parameter(name: Name, shape: &'static str, gradient: &'static str, doc: &'static str) -> Slot {
        Slot {
            name,
            role: Role::Parameter,
            shape,
            optional: false,
            values: Values::Numbers,
            gradient: Some(gradient),
            doc,
        }
    }

    /// Returns the targets of a loss.
    pub const fn targets(shape: &'static str) -> Slot {
        let doc = "targets (one-hot, soft or class indices)";
        Slot { name: Name::T, role: Role::Target, shape, optional: false, values: Values::Numbers, gradient: None, doc }
    }

    /// Returns true if JSON's true and false are numbers in it.
    pub fn is_mask(&self) -> bool {
        self.values == Values::Mask
    }
}

/// The values that an operand may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Numbers.
    Numbers,
    /// Integers from 0 to below the length of an axis, which the letter of another operand's shape stands for.
    Indices(&'static str),
    /// Booleans, true as 1 and false as 0; or numbers, if the layer reads them.
    Mask,
}

/// Role of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An output of the layer before; has a gradient.
    Input,
    /// A parameter that is learnt; has a gradient.
    Parameter,
    /// The desired output; has no gradient.
    Target,
    /// A parameter that is not learnt; has no gradient.
    Constant,
}

/// Meaning of a bare number as `--dout`.
pub enum ScalarDout {
    /// It fills the output's shape.
    Fills,
    /// It scales the local factors, as a scalar in NumPy's `dot` does; the formula of each.
    LocalFactors(&'static [(Name, &'static str)]),
}

/// A command and its output.
pub struct Example {
    /// The command line, starting with `nnlayer`.
    pub command: &'static str,
    /// The text on standard output.
    pub prints: &'static str,
}
