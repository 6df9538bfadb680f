//! The arithmetic that a layer computes in.

use crate::numeric::FloatType;

/// The arithmetic that results are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Double precision.
    #[default]
    F64,
    /// Single precision: operands are rounded to it.
    F32,
    /// The doubles nearest to the real results.
    Exact,
}

impl Precision {
    /// Returns the precision of that name: `f64`, `f32` or `exact`.
    pub fn named(word: &str) -> Option<Precision> {
        [Precision::F64, Precision::F32, Precision::Exact].into_iter().find(|precision| precision.name() == word)
    }

    /// Returns the type that results are rounded to.
    pub fn float_type(self) -> FloatType {
        match self {
            Precision::F32 => FloatType::F32,
            Precision::F64 | Precision::Exact => FloatType::F64,
        }
    }

    /// Returns the name in options and documents.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F64 => "f64",
            Precision::F32 => "f32",
            Precision::Exact => "exact",
        }
    }
}
