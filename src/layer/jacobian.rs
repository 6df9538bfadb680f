//! Jacobians of a layer, computed row by row: backward with a unit vector as upstream gradient.

use super::interface::{AnyLayer, Layer};
use super::precision::Precision;
use super::spec::LayerSpec;
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use crate::numeric::dynamic::{Dynamic, with_exact};
use ndarray::{Array2, ArrayD, IxDyn};

/// Largest number of entries of all Jacobians together.
const MAX_ENTRIES: usize = 1_000_000;

/// Returns the name of the Jacobian for a gradient: `dy_dx` for `dx` and an output y.
pub fn jacobian_name(spec: &LayerSpec, gradient: &Name) -> Name {
    Name::new(format!("d{}_{gradient}", spec.output))
}

/// Returns ∂output/∂operand for every operand that has a gradient, in the order of output. Rows are entries of the output, columns
/// entries of the operand, each counted row by row: for y (N×C) and x (N×D) it is (N·C × N·D).
///
/// Refuses more than a million entries.
pub fn jacobians(
    spec: &LayerSpec,
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    precision: Precision,
) -> Result<Tensors<f64>, Error> {
    let output = layer.output_shape(at);
    let rows: usize = output.iter().product();
    let count = at.iter().filter(|(name, _)| spec.formula(&name.gradient()).is_some()).map(|(_, value)| value.len());
    let columns: usize = count.sum();
    let entries = rows.saturating_mul(columns);
    if entries > MAX_ENTRIES {
        let given: Vec<String> =
            at.iter().map(|(name, value)| format!("{name} {}", format_shape(value.shape()))).collect();
        return Err(Error::new(
            Code::Usage,
            format!(
                "the derivatives of {rows} outputs with respect to {columns} inputs have {entries} entries; at most {MAX_ENTRIES} are computed"
            ),
        )
        .with_operand(&Name::new("jacobian"))
        .fact(given.join(", "))
        .tip("use fewer rows of the input, or --dout, which gives dout·Jacobian for any size"));
    }
    Ok(match precision {
        Precision::F64 | Precision::F32 | Precision::F16 | Precision::Bf16 => {
            let mut at = at.clone();
            precision.round_operands(&mut at);
            let mut jacobians = by_unit_vectors::<f64>(spec, layer, &at, &output);
            precision.round_results(&mut jacobians);
            jacobians
        }
        Precision::Exact => {
            with_exact(|| by_unit_vectors::<Dynamic>(spec, layer, &at.map(|&value| Dynamic::from_f64(value)), &output))
        }
    })
}

fn by_unit_vectors<S: Scalar>(
    spec: &LayerSpec,
    layer: &dyn Layer<S>,
    at: &Tensors<S>,
    output: &[usize],
) -> Tensors<f64> {
    let forward = layer.forward(at);
    let rows: usize = output.iter().product();
    let mut dout = ArrayD::from_elem(IxDyn(output), S::zero());
    let mut jacobians: Tensors<f64> = Tensors::new();
    // An empty output needs one backward pass, for the names and widths.
    for row in 0..rows.max(1) {
        if let Some(unit) = dout.iter_mut().nth(row) {
            *unit = S::one();
        }
        for (name, gradient) in layer.backward(at, &&forward, &dout).compute() {
            let name = jacobian_name(spec, &name);
            if jacobians.get(&name).is_none() {
                jacobians.insert(name.clone(), Array2::zeros((rows, gradient.len())).into_dyn());
            }
            let entries = jacobians.get_mut(&name).into_iter().flat_map(|all| all.rows_mut().into_iter().nth(row));
            for mut entries in entries {
                // Adding 0 makes −0 a 0.
                entries.iter_mut().zip(&gradient).for_each(|(entry, value)| *entry = value.to_f64() + 0.0);
            }
        }
        if let Some(unit) = dout.iter_mut().nth(row) {
            *unit = S::zero();
        }
    }
    jacobians
}
