//! The Jacobians of a layer: by backward, with the unit vectors as upstream gradients one after the other.

use super::{AnyLayer, Layer, LayerSpec, Precision};
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::{Exact, Scalar, exact};
use ndarray::{Array2, ArrayD, IxDyn};

/// Jacobians of a layer hold so many numbers at most.
const LIMIT: usize = 1_000_000;

/// What the Jacobian of a layer's output is called that gradient `name` comes from: `dx` of an output y gives `dy_dx`.
pub fn jacobian_name(spec: &LayerSpec, gradient: &Name) -> Name {
    Name::new(format!("d{}_{gradient}", spec.output))
}

/// ∂output/∂operand for every operand that has a gradient, in the order of output. A row is an entry of the output, a column
/// one of the operand, each counted row by row: of y (N×C) by x (N×D) it is (N·C × N·D).
///
/// Refuses what would be more than a million numbers.
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
    let numbers = rows.saturating_mul(columns);
    if numbers > LIMIT {
        let given: Vec<String> =
            at.iter().map(|(name, value)| format!("{name} {}", format_shape(value.shape()))).collect();
        return Err(Error::new(
            Code::Usage,
            format!(
                "the derivatives of {rows} outputs by {columns} inputs are {numbers} numbers, too many: up to {LIMIT} are computed"
            ),
        )
        .with_operand(&Name::new("jacobian"))
        .fact(given.join(", "))
        .tip("take a row or a few of the input; dout·Jacobian, of any size, is what --dout gives"));
    }
    Ok(match precision {
        Precision::F64 => by_units::<f64>(spec, layer, at, &output),
        Precision::F32 => by_units::<f32>(spec, layer, &at.map(|&value| f32::from_f64(value)), &output),
        Precision::Exact => {
            exact::exactly(|| by_units::<Exact>(spec, layer, &at.map(|&value| Exact::from_f64(value)), &output))
        }
    })
}

fn by_units<S: Scalar>(spec: &LayerSpec, layer: &dyn Layer<S>, at: &Tensors<S>, output: &[usize]) -> Tensors<f64> {
    let forward = layer.forward(at);
    let rows: usize = output.iter().product();
    let mut dout = ArrayD::from_elem(IxDyn(output), S::zero());
    let mut jacobians: Tensors<f64> = Tensors::new();
    // Without an output there is one backward pass all the same, for the names and widths.
    for row in 0..rows.max(1) {
        if let Some(unit) = dout.iter_mut().nth(row) {
            *unit = S::one();
        }
        for (name, gradient) in layer.backward(at, &&forward, &dout).all() {
            let name = jacobian_name(spec, &name);
            if jacobians.get(&name).is_none() {
                jacobians.insert(name.clone(), Array2::zeros((rows, gradient.len())).into_dyn());
            }
            let entries = jacobians.get_mut(&name).into_iter().flat_map(|all| all.rows_mut().into_iter().nth(row));
            for mut entries in entries {
                // −0 is no other derivative than 0.
                entries.iter_mut().zip(&gradient).for_each(|(entry, value)| *entry = value.to_f64() + 0.0);
            }
        }
        if let Some(unit) = dout.iter_mut().nth(row) {
            *unit = S::zero();
        }
    }
    jacobians
}
