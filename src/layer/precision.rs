//! The arithmetic that a layer computes in.

use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::FloatType;
use crate::ops::{Accuracy, with_accuracy};
use ndarray::ArrayD;

/// The arithmetic that results are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Double precision.
    #[default]
    F64,
    /// Operands and results are rounded to single precision; everything between is computed in double precision.
    F32,
    /// As with `F32`, in IEEE half precision.
    F16,
    /// As with `F32`, in bfloat16.
    Bf16,
    /// The doubles nearest to the real results.
    Exact,
}

impl Precision {
    /// Every precision.
    pub const ALL: [Precision; 5] = [Precision::F64, Precision::F32, Precision::F16, Precision::Bf16, Precision::Exact];

    /// Returns the precision of that name: `f64`, `f32`, `f16`, `bf16` or `exact`.
    pub fn named(word: &str) -> Option<Precision> {
        Precision::ALL.into_iter().find(|precision| precision.name() == word)
    }

    /// Returns the type that operands and results are rounded to.
    pub fn float_type(self) -> FloatType {
        match self {
            Precision::F32 => FloatType::F32,
            Precision::F16 => FloatType::F16,
            Precision::Bf16 => FloatType::Bf16,
            Precision::F64 | Precision::Exact => FloatType::F64,
        }
    }

    /// Returns the name in options and documents.
    pub fn name(self) -> &'static str {
        if self == Precision::Exact { "exact" } else { self.float_type().name() }
    }

    /// Runs `work` with the accuracy that results of this precision need.
    pub fn with_accuracy<R>(self, work: impl FnOnce() -> R) -> R {
        let is_double = self.float_type() == FloatType::F64;
        with_accuracy(if is_double { Accuracy::Double } else { Accuracy::Single }, work)
    }

    /// Rounds an array to the type.
    pub fn round(self, array: &mut ArrayD<f64>) {
        match array.as_slice_memory_order_mut() {
            Some(elements) => self.float_type().round_all(elements),
            None => array.mapv_inplace(|value| self.float_type().round(value)),
        }
    }

    /// Returns true if the type holds an array exactly.
    pub fn holds(self, array: &ArrayD<f64>) -> bool {
        array.as_slice_memory_order().is_some_and(|elements| self.float_type().holds_all(elements))
    }

    /// Rounds operands to the type. Indices, and whole numbers as targets, which may be class indices, stay what they are, and so does
    /// a divisor, which belongs to the whole batch.
    pub fn round_operands(self, at: &mut Tensors<f64>) {
        if self.float_type() == FloatType::F64 {
            return;
        }
        // Operands that the type holds stay shared.
        let is_rounded = |(name, value): &(&Name, &ArrayD<f64>)| **name != Name::DIVISOR && !self.holds(value);
        let names: Vec<Name> = at.iter().filter(is_rounded).map(|(name, _)| name.clone()).collect();
        // Targets of the shape of the input are no class indices.
        let input = at.get(&Name::X).or_else(|| at.get(&Name::Y)).map(|input| input.shape().to_vec());
        for name in &names {
            let Some(value) = at.get_mut(name) else { continue };
            if *name == Name::T && input.as_deref() == Some(value.shape()) {
                self.round(value);
            } else {
                self.round_operand(name, value);
            }
        }
    }

    /// Rounds one operand, as [`round_operands`](Precision::round_operands) does.
    pub fn round_operand(self, name: &Name, value: &mut ArrayD<f64>) {
        let may_be_indices = [Name::T, Name::IDS, Name::POSITIONS].contains(name);
        if !may_be_indices || value.iter().any(|target| target.fract() != 0.0) {
            self.round(value);
        }
    }

    /// Rounds results to the type.
    pub fn round_results(self, results: &mut Tensors<f64>) {
        if self.float_type() == FloatType::F64 {
            return;
        }
        let names: Vec<Name> = results.names().cloned().collect();
        for name in &names {
            results.get_mut(name).into_iter().for_each(|value| self.round(value));
        }
    }
}
