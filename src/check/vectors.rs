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

/// Returns the names of a layer's cases.
pub fn names(spec: &'static LayerSpec, float_type: FloatType, seed: u64) -> Vec<String> {
    variants::variants(spec, float_type, seed).into_iter().map(|variant| variant.name).collect()
}

/// Computes the cases of a layer whose names are selected, with inputs of a type, and passes each to `take`.
pub fn generate(
    spec: &'static LayerSpec,
    float_type: FloatType,
    seed: u64,
    is_selected: impl Fn(&str) -> bool,
    mut take: impl FnMut(Vector) -> Result<(), Error>,
) -> Result<(), Error> {
    let selected = variants::variants(spec, float_type, seed).into_iter();
    let selected = selected.filter(|variant: &Variant| is_selected(&variant.name));
    for variant in selected {
        if let Some(vector) = expected::expect(variant, float_type)? {
            take(vector)?;
        }
    }
    Ok(())
}
