//! Test vectors: cases of a layer with the right results, and how far those of a program may be off.
//!
//! The cases follow from the layer's row of the registry (`variants`): every value of every setting, every optional operand present
//! and absent, and inputs that programs get wrong (`traps`). `comparison` compares the results of a program with them.

mod comparison;
mod expected;
mod traps;
mod variants;

pub use comparison::{ComparedArray, Expected, compare};
pub use expected::Vector;

use crate::core::error::Error;
use crate::layer::LayerSpec;
use crate::numeric::FloatType;
use variants::Variant;

/// The cases of a layer, with inputs of a type, before their results are computed.
pub struct Cases {
    variants: Vec<Variant>,
    float_type: FloatType,
}

impl Cases {
    /// Draws the cases of a layer.
    pub fn new(spec: &'static LayerSpec, float_type: FloatType, seed: u64) -> Cases {
        Cases { variants: variants::variants(spec, float_type, seed), float_type }
    }

    /// Returns the names of the cases.
    pub fn names(&self) -> Vec<String> {
        self.variants.iter().map(|variant| variant.name.clone()).collect()
    }

    /// Computes the results of the cases whose names are selected.
    pub fn compute(self, is_selected: impl Fn(&str) -> bool) -> Result<Vec<Vector>, Error> {
        let selected = self.variants.into_iter().filter(|variant| is_selected(&variant.name));
        selected.filter_map(|variant| expected::expect(variant, self.float_type).transpose()).collect()
    }
}
