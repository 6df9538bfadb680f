//! Known mistakes in expected values, such as a wrong sign.

use super::arrays::max_abs;
use super::case::Case;
use super::diagnosis::{Diagnosis, OtherGradients, WrongGradient};
use super::implementation::Point;
use super::mistakes::{LINEAR_MISTAKES, LOWER_PRECISION, MISTAKES, PLACES, diagnose};
use crate::core::name::Name;
use crate::format::decimal::DecimalArray;
use crate::numeric::FloatType;
use ndarray::{ArrayD, IxDyn};

/// Kinds of mistakes that say how entries were computed. Those that say where entries are wrong, the report lists.
const OF_COMPUTATION: &[&str] = &[LOWER_PRECISION, "cut to whole numbers"];

/// Kinds of mistakes in the formula of a gradient, which explain no other result.
const OF_FORMULAS: &[&str] = &["dout ignored", "diagonal of the Jacobian", "W in place of Wᵀ"];

/// Largest error that an explanation may have, relative to the largest entry.
const MAX_EXPLAINED_ERROR: f64 = 0.05;

/// Returns the known mistakes that explain wrong expected values of a result of the layer of a case.
pub fn explain(
    name: &Name,
    is_gradient: bool,
    expected: &DecimalArray,
    ours: &ArrayD<f64>,
    case: &Case,
) -> Vec<Diagnosis> {
    let is_complete = expected.decimals().count() == expected.len();
    let Some((wrong, right)) = (if is_complete { complete(expected, ours) } else { filled(expected, ours) }) else {
        return Vec::new();
    };
    let half_unit = expected.decimals().map(|decimal| decimal.half_unit()).fold(0.0, f64::max);
    let largest = max_abs(&right).max(f64::MIN_POSITIVE);
    let point = Point { operands: case.operands.clone(), dout: Some(case.dout.clone()) };
    let gradient = WrongGradient {
        name,
        right: &right,
        wrong: &wrong,
        case,
        point: &point,
        tolerance: (4.0 * half_unit / max_abs(&wrong).max(f64::MIN_POSITIVE)).clamp(1e-8, MAX_EXPLAINED_ERROR),
        others: &OtherGradients::default(),
        allowed: half_unit + 1e-10 * largest,
        float_type: FloatType::F64,
    };
    let mut diagnoses = if is_gradient && is_complete {
        diagnose(&gradient)
    } else {
        let mistakes = MISTAKES.iter().filter(|mistake| {
            !OF_FORMULAS.contains(&mistake.kind) && (is_complete || LINEAR_MISTAKES.contains(&mistake.kind))
        });
        mistakes.filter_map(|mistake| mistake.diagnose(&gradient)).collect()
    };
    diagnoses.retain(|found| !PLACES.contains(&found.kind) && !OF_COMPUTATION.contains(&found.kind));
    for Diagnosis { explanation, .. } in &mut diagnoses {
        // The report says the shapes, and which values are the expected ones.
        explanation.truncate(explanation.find(": expected ").unwrap_or(explanation.len()));
    }
    diagnoses
}

/// Returns the expected values and the result, whose shapes may differ.
fn complete(expected: &DecimalArray, ours: &ArrayD<f64>) -> Option<(ArrayD<f64>, ArrayD<f64>)> {
    let values = expected.decimals().map(|decimal| decimal.value).collect();
    Some((ArrayD::from_shape_vec(IxDyn(&expected.shape), values).ok()?, ours.clone()))
}

/// Returns the entries that are not blank, as vectors.
fn filled(expected: &DecimalArray, ours: &ArrayD<f64>) -> Option<(ArrayD<f64>, ArrayD<f64>)> {
    if expected.shape != ours.shape() {
        return None;
    }
    let pairs = expected.elements().zip(ours).filter_map(|(decimal, &ours)| Some((decimal?.value, ours)));
    let (wrong, right): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let vector = |values: Vec<f64>| ndarray::Array1::from(values).into_dyn();
    Some((vector(wrong), vector(right)))
}
