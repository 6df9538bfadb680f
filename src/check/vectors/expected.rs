//! The right results of a case, and the tolerances of a program's.

use super::variants::Variant;
use crate::check::arrays::flat_entry;
use crate::check::case::{Case, GradientTarget};
use crate::check::derivative::Derivative;
use crate::check::function::{Direction, LayerFunction};
use crate::check::implementation::Point;
use crate::check::reference::tolerances;
use crate::check::sampling::step_scale;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Precision, Settings, Wanted};
use crate::numeric::{DoubleDouble, FloatType, Scalar};
use ndarray::{Array2, ArrayD};

/// A case with the right results.
pub struct Vector {
    /// The name, which is unique among the cases of a layer, and the name of a folder.
    pub name: String,
    /// The traps that the case has.
    pub flags: Vec<&'static str>,
    /// The settings that are not the default.
    pub settings: Settings,
    /// The operands.
    pub inputs: Tensors<f64>,
    /// The upstream gradient.
    pub dout: ArrayD<f64>,
    /// The forward results: correctly rounded to doubles, then to the type of the inputs.
    pub outputs: Tensors<f64>,
    /// The gradients, rounded in the same way.
    pub gradients: Tensors<f64>,
    /// The largest accepted error of each entry of each result, for programs of every type.
    pub tolerances: Vec<(FloatType, Tensors<f64>)>,
    /// Entries of gradients that may have other values, such as any between the slopes to both sides of a kink: rows of the number of
    /// the entry, the least and the largest value.
    pub alternatives: Tensors<f64>,
}

/// Returns the case with its results; `None` for a layer that nnlayer does not know.
pub(super) fn expect(variant: Variant, float_type: FloatType) -> Result<Option<Vector>, Error> {
    let Variant { name, flags, settings, case } = variant;
    let Some(reference) = &case.reference else { return Ok(None) };
    let layer = reference.layer.as_ref();
    let point = Point { operands: case.operands.clone(), dout: Some(case.dout.clone()) };
    let right = layer::compute_only(layer, &point.operands, point.dout.as_ref(), Precision::Exact, Wanted::All);
    let rounded = |arrays: &Tensors<f64>| arrays.map(|&v| float_type.round(v));
    let (outputs, gradients) = (rounded(&right.results), rounded(&right.gradients));
    let all: Tensors<f64> = outputs.iter().chain(gradients.iter()).map(|(n, v)| (n.clone(), v.clone())).collect();
    let of_type = |float_type| {
        let tolerances = tolerances(layer, &point, &all, float_type);
        (float_type, tolerances.map(|&tolerance| three_digits(tolerance)))
    };
    let tolerances = FloatType::ALL.map(of_type).to_vec();
    // A kink is at 0 or where entries are equal.
    let has_kinks = flags.iter().any(|flag| ["ties", "signed-zero"].contains(flag));
    let mut alternatives = Tensors::new();
    for target in &case.targets {
        let Some(gradient) = gradients.get(&target.name) else { continue };
        let mut rows = if has_kinks { kinks(&case, layer, target, gradient)? } else { Vec::new() };
        if Some(&target.operand) == case.operands.names().next() {
            let elsewhere = layer.derivatives_elsewhere(&case.operands, &case.dout);
            rows.extend(elsewhere.into_iter().map(|(entry, value)| [number(entry), value, value]));
        }
        if !rows.is_empty() {
            let rows: Array2<f64> = rows.into();
            alternatives.insert(target.name.clone(), rows.into_dyn());
        }
    }
    let (inputs, dout) = (case.operands, case.dout);
    Ok(Some(Vector { name, flags, settings, inputs, dout, outputs, gradients, tolerances, alternatives }))
}

/// Returns the entries of a gradient at kinks, and the derivatives to the left and to the right.
fn kinks(
    case: &Case,
    layer: &dyn AnyLayer,
    target: &GradientTarget,
    gradient: &ArrayD<f64>,
) -> Result<Vec<[f64; 3]>, Error> {
    let operand = case.operands.get(&target.operand).filter(|operand| operand.shape() == gradient.shape());
    let (Some(operand), None) = (operand, &target.surrogate) else { return Ok(Vec::new()) };
    let (operands, output) = (case.operands.map(|&v| DoubleDouble::from_f64(v)), case.output.clone());
    let mut function = LayerFunction { layer, operands, output, on_forward: &|| {} };
    let around = Direction { entries: Vec::new(), size: 1.0 };
    let mut derivative = Derivative::new(&mut function, &target.operand, &case.dout, &around)?;
    let mut rows = Vec::new();
    for (n, &value) in gradient.iter().enumerate() {
        if target.defined.contains(&n) || !value.is_finite() || !flat_entry(operand, n).is_finite() {
            continue;
        }
        let direction = Direction { entries: vec![(n, 1.0)], size: step_scale(operand, n) };
        let [left, right] = derivative.one_sided(&direction)?;
        let bar = left.error_bar + right.error_bar;
        if (left.value - right.value).abs() > 2.0 * bar {
            // The exact gradient is more accurate than a numerical derivative.
            let exact = |estimate: f64| if (estimate - value).abs() <= bar { value } else { estimate };
            let [left, right] = [exact(left.value), exact(right.value)];
            rows.push([number(n), left.min(right).min(value), left.max(right).max(value)]);
        }
    }
    Ok(rows)
}

#[allow(clippy::cast_precision_loss)] // the number of an entry
fn number(entry: usize) -> f64 {
    entry as f64
}

/// Returns a tolerance rounded up to about three digits, which are enough and short.
fn three_digits(tolerance: f64) -> f64 {
    format!("{:.2e}", tolerance * 1.005).parse().unwrap_or(tolerance)
}

impl Vector {
    /// Returns every array under its name in a file of arrays: `inputs/x`, `dout`, `outputs/y`, `gradients/dx`,
    /// `tolerances/f32/dx` and `alternatives/dx`.
    pub fn arrays(&self) -> Vec<(Name, &ArrayD<f64>)> {
        let mut named = in_group("inputs", &self.inputs);
        named.push((Name::DOUT, &self.dout));
        named.extend(in_group("outputs", &self.outputs));
        named.extend(in_group("gradients", &self.gradients));
        for (float_type, tolerances) in &self.tolerances {
            named.extend(in_group(&format!("tolerances/{}", float_type.name()), tolerances));
        }
        named.extend(in_group("alternatives", &self.alternatives));
        named
    }
}

fn in_group<'a>(group: &str, arrays: &'a Tensors<f64>) -> Vec<(Name, &'a ArrayD<f64>)> {
    arrays.iter().map(|(name, value)| (Name::new(format!("{group}/{}", name.as_str())), value)).collect()
}
