//! Operands with their origins.

use super::stdin;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::{DOUBLE_ROUNDING, LoadedArray};
use crate::numeric::FloatType;
use ndarray::ArrayD;

/// An array and its origin.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The values.
    pub value: ArrayD<f64>,
    /// The type that stored the values.
    pub element: FloatType,
    /// True for booleans, which are ones and zeros.
    pub is_boolean: bool,
    /// Origin of the values.
    pub origin: Origin,
}

impl Operand {
    /// Returns an array of a file with its origin.
    pub(super) fn new(array: LoadedArray, origin: impl FnOnce(String) -> Origin) -> Operand {
        Operand {
            value: array.value,
            element: array.element,
            is_boolean: array.is_boolean,
            origin: origin(array.pointer),
        }
    }
}

/// Origin of an operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Numbers on the command line.
    Typed,
    /// JSON on the command line.
    TypedJson(String),
    /// A file, and the pointer in it.
    File(String, String),
    /// Standard input, and the pointer in it.
    Stdin(String),
}

impl Origin {
    /// Returns the name in messages; `None` for the command line.
    pub fn label(&self) -> Option<&str> {
        match self {
            Origin::Typed | Origin::TypedJson(_) => None,
            Origin::File(path, _) => Some(path),
            Origin::Stdin(_) => Some(stdin::LABEL),
        }
    }
}

/// Returns true if two paths name one file that exists, also through links.
pub fn is_same_file(a: &str, b: &str) -> bool {
    std::fs::canonicalize(a).is_ok_and(|a| std::fs::canonicalize(b).is_ok_and(|b| a == b))
}

/// Operands by name.
#[derive(Debug, Default)]
pub struct Operands {
    /// The values, in the order of the layer's slots.
    pub values: Tensors<f64>,
    origins: Vec<(Name, Origin, FloatType)>,
    booleans: Vec<Name>,
}

impl Operands {
    /// Adds an operand.
    pub fn insert(&mut self, name: Name, operand: Operand) {
        let value = self.record_origin(&name, operand);
        self.values.insert(name, value);
    }

    /// Records the origin of an operand and returns its value.
    pub fn record_origin(&mut self, name: &Name, operand: Operand) -> ArrayD<f64> {
        self.note(name, operand.origin, operand.element);
        if operand.is_boolean {
            self.booleans.push(name.clone());
        }
        operand.value
    }

    /// Records the origin of an operand that is read in chunks.
    pub fn note(&mut self, name: &Name, origin: Origin, element: FloatType) {
        self.origins.push((name.clone(), origin, element));
    }

    /// Returns the origin of an operand.
    pub fn origin(&self, name: &Name) -> Option<&Origin> {
        self.origins.iter().find(|(known, ..)| known == name).map(|(_, origin, _)| origin)
    }

    /// Returns true if an operand was stored as booleans.
    pub fn is_boolean(&self, name: &Name) -> bool {
        self.booleans.contains(name)
    }

    /// Returns the operand that was read from a file, whatever the name of the file in a link or a relative path.
    pub fn read_from(&self, path: &str) -> Option<&Name> {
        let is_from = |origin: &Origin| matches!(origin, Origin::File(file, _) if is_same_file(file, path));
        self.origins.iter().find(|(_, origin, ..)| is_from(origin)).map(|(name, ..)| name)
    }

    /// Returns the unit roundoff of the type that stored an operand.
    pub fn rounding(&self, name: &Name) -> f64 {
        let origin = self.origins.iter().find(|(known, ..)| known == name);
        origin.map_or(DOUBLE_ROUNDING, |(.., element)| element.unit_roundoff())
    }
}
