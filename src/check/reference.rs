//! The right results of a layer that nnlayer knows, and how far those of a right program may be off.

use super::accuracy::Accuracy;
use super::arrays::{max_abs, unravel_index};
use super::case::Case;
use super::compare::Tolerance;
use super::finding::{Baseline, EntryCheck, Finding, Verdict};
use super::implementation::{Evaluation, Point};
use super::number_format::{NumberFormat, fill};
use super::options::CheckOptions;
use crate::core::error::format_shape;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Precision, Wanted};
use crate::numeric::{Arithmetic, Bounded, FloatType, STABLE_ROUNDINGS};
use ndarray::ArrayD;

/// Factor of the bounds, for terms of second order and for programs that order operations in another way.
const BOUND_FACTOR: f64 = 4.0;
/// Number of elements of the operands up to which doubles are compared with exact results.
const MAX_EXACT_ELEMENTS: usize = 1 << 8;

/// The right results of a layer at a point.
pub(super) struct ReferenceResults {
    /// Forward results and gradients.
    pub(super) values: Tensors<f64>,
    /// Bounds of the rounding error of a program.
    bounds: Tensors<f64>,
    format: NumberFormat,
    tolerance: Option<Tolerance>,
    /// The largest accepted difference of a gradient between calls.
    nondeterminism: f64,
    /// Derivatives of entries of the input's gradient that by definition are not the derivative.
    elsewhere: Vec<(usize, f64)>,
    /// The largest error, relative to the largest entry, of a result that counts as right; larger ones within the bound are undecided.
    convincing: f64,
    /// Least size that the largest entry of a gradient counts as, since it may be saturated.
    least_scale: f64,
}

/// Least size that the largest entry of a gradient counts as, relative to dout.
const SATURATED: f64 = 0.1;

/// Returns the largest error, relative to the largest entry of a result, that is taken for rounding errors: the bounds of half types can
/// be wider than whole terms of a formula.
fn convincing_error(float_type: FloatType) -> f64 {
    match float_type {
        FloatType::Bf16 => 1.0 / 16.0,
        FloatType::F16 => 1.0 / 32.0,
        _ => f64::INFINITY,
    }
}

impl ReferenceResults {
    /// Computes the results, and the bounds for a program whose numbers have a format.
    pub(super) fn new(
        layer: &dyn AnyLayer,
        point: &Point,
        format: NumberFormat,
        options: &CheckOptions<'_>,
        is_stress: bool,
    ) -> ReferenceResults {
        let arithmetic =
            Arithmetic { float_type: format.float_type, accumulator: options.accumulator.unwrap_or(format.float_type) };
        let bounds = rounding_bounds(layer, point, arithmetic);
        let values = right_results(layer, point, format.float_type);
        let CheckOptions { tolerance, nondeterminism, .. } = *options;
        let elsewhere = point.dout.as_ref().map(|dout| layer.derivatives_elsewhere(&point.operands, dout));
        let elsewhere = elsewhere.unwrap_or_default();
        // Where values are far from 0, large errors are right.
        let is_free = is_stress || tolerance.is_some();
        let least_scale = SATURATED * point.dout.as_ref().map_or(0.0, max_abs);
        let convincing = if is_free { f64::INFINITY } else { convincing_error(format.float_type) };
        ReferenceResults { values, bounds, format, tolerance, nondeterminism, elsewhere, convincing, least_scale }
    }

    /// Returns true if an entry of a gradient is a derivative where the right gradient is by definition another.
    pub(super) fn is_derivative(&self, name: &Name, entry: usize, value: f64) -> bool {
        let begin = self.elsewhere.partition_point(|(n, _)| *n < entry);
        let mut derivatives = self.elsewhere[begin..].iter().take_while(|(n, _)| *n == entry);
        let is_near = |right: f64| right.is_finite() && (value - right).abs() <= self.allowed(name, entry, right);
        derivatives.any(|&(_, right)| value == right || is_near(right))
    }

    /// Returns the largest accepted error of an entry of a result.
    pub(super) fn allowed(&self, name: &Name, entry: usize, right: f64) -> f64 {
        let wavering = if name.operand().is_some() { self.nondeterminism } else { 0.0 };
        let printing = self.format.printing_error(right) + wavering;
        match self.tolerance {
            Some(tolerance) => tolerance.allowed(right) + printing,
            None => {
                let bound = self.bounds.get(name).and_then(|bounds| bounds.as_slice()?.get(entry)).copied();
                allowed_error(bound.unwrap_or(0.0), right, self.format.float_type) + printing
            }
        }
    }

    /// Returns true if a value is right: within its bound, or infinite where the right value is beyond the type's largest.
    pub(super) fn overflows(&self, value: f64, right: f64, allowed: f64) -> bool {
        overflows(value, right, allowed, self.format.float_type)
    }
}

/// Returns bounds of the rounding errors that a program makes at a point.
fn rounding_bounds(layer: &dyn AnyLayer, point: &Point, arithmetic: Arithmetic) -> Tensors<f64> {
    let input = |&value: &f64| Bounded::input(value, arithmetic.float_type);
    let (at, dout) = (point.operands.map(input), point.dout.as_ref().map(|dout| dout.map(input)));
    let bounded = layer::run_in_kind(layer, &at, dout.as_ref());
    let bounds = bounded.results.into_iter().chain(bounded.gradients);
    bounds.map(|(name, value)| (name, value.map(|v| v.error().in_arithmetic(arithmetic)))).collect()
}

/// Returns the largest accepted error of an entry of a program that computes in a type, from a bound of its rounding errors.
fn allowed_error(bound: f64, right: f64, float_type: FloatType) -> f64 {
    // The textbook's formula overflows there; a form that does not overflow makes a few roundings.
    let bound = if bound.is_finite() { bound } else { STABLE_ROUNDINGS * float_type.unit_roundoff() * right.abs() };
    let result = float_type.unit_roundoff() * right.abs() + float_type.smallest_normal();
    BOUND_FACTOR * (bound + result)
}

/// Returns the largest accepted error of each entry of the right results, for a program that computes in a type: 0 where only the
/// right value is accepted, because it is not finite or the formula has no bound there.
pub(super) fn tolerances(
    layer: &dyn AnyLayer,
    point: &Point,
    right: &Tensors<f64>,
    float_type: FloatType,
) -> Tensors<f64> {
    let bounds = rounding_bounds(layer, point, Arithmetic { float_type, accumulator: float_type });
    let tolerance = |bound: f64, right: f64| {
        let allowed = allowed_error(bound, right, float_type);
        if allowed.is_nan() || !right.is_finite() { 0.0 } else { allowed }
    };
    let of_result = |(name, right): (&Name, &ArrayD<f64>)| {
        let bounds = bounds.get(name).filter(|bounds| bounds.shape() == right.shape())?;
        Some((name.clone(), ndarray::Zip::from(bounds).and(right).map_collect(|&b, &r| tolerance(b, r))))
    };
    right.iter().filter_map(of_result).collect()
}

/// Returns true if a value is infinite where the right value is beyond the largest number of the type.
pub(super) fn overflows(value: f64, right: f64, allowed: f64, float_type: FloatType) -> bool {
    value.is_infinite() && value.signum() == right.signum() && right.abs() + allowed >= float_type.largest()
}

/// Returns the results and gradients at a point: exact ones where a double's rounding error would count.
pub(super) fn right_results(layer: &dyn AnyLayer, point: &Point, float_type: FloatType) -> Tensors<f64> {
    let elements: usize = point.operands.iter().map(|(_, value)| value.len()).sum();
    let is_exact = float_type == FloatType::F64 && elements <= MAX_EXACT_ELEMENTS;
    let precision = if is_exact { Precision::Exact } else { Precision::F64 };
    let outcome = layer::compute_only(layer, &point.operands, point.dout.as_ref(), precision, Wanted::All);
    outcome.results.into_iter().chain(outcome.gradients).collect()
}

/// Returns the format of the program's numbers.
pub(super) fn recognise_format(
    case: &Case,
    options: &CheckOptions<'_>,
    points: &[Point],
    evaluations: &[Evaluation],
) -> NumberFormat {
    let arrays = evaluations.iter().flat_map(|evaluation| evaluation.outputs.iter().chain(evaluation.gradients.iter()));
    let numbers: Vec<f64> = arrays.flat_map(|(_, value)| value.iter().copied()).collect();
    NumberFormat::recognise(&numbers, options.float_type, |narrow| match &case.reference {
        Some(reference) => are_longer(reference.layer.as_ref(), points, narrow),
        None => are_longer_in_custom(points, evaluations, narrow),
    })
}

/// Number of right results that a type does not hold, from which a program whose replies it holds rounds to it.
const LONGER_RESULTS: usize = 3;

/// Returns true if some right results have more bits than a type holds, and than those of half types.
fn are_longer(layer: &dyn AnyLayer, points: &[Point], narrow: FloatType) -> bool {
    let is_longer =
        |v: &f64| v.is_finite() && ![narrow, FloatType::F16, FloatType::Bf16].iter().any(|narrow| narrow.holds(*v));
    let results = points.iter().flat_map(|point| right_results(layer, point, FloatType::F32));
    let longer = results.map(|(_, value)| value.iter().filter(|v| is_longer(v)).count());
    longer.scan(0, |sum, count| Some(*sum + count).inspect(|&more| *sum = more)).any(|sum| sum >= LONGER_RESULTS)
}

/// Returns true if the results of a custom layer use all bits of a type that does not hold its inputs.
fn are_longer_in_custom(points: &[Point], evaluations: &[Evaluation], narrow: FloatType) -> bool {
    let is_longer = |point: &Point| point.operands.iter().flat_map(|(_, value)| value).any(|&v| !narrow.holds(v));
    let calls = points.iter().zip(evaluations).filter(|(point, _)| is_longer(point));
    let results = calls.flat_map(|(_, evaluation)| evaluation.outputs.iter().chain(evaluation.gradients.iter()));
    fill(results.flat_map(|(_, value)| value.iter().copied()), narrow)
}

/// Compares a result with that of the reference; `None` if it has none of that name.
pub(super) fn compare_with_reference(
    reference: &ReferenceResults,
    name: &Name,
    is_gradient: bool,
    value: &ArrayD<f64>,
) -> Option<Finding> {
    let right = reference.values.get(name)?;
    // JSON has one empty array for (0), (0×3) and others.
    if value.is_empty() && right.is_empty() {
        return Some(Finding::new(name, is_gradient, Baseline::Reference, right.shape()));
    }
    if value.shape() != right.shape() {
        return Some(wrong_shape(name, is_gradient, value, right.shape()));
    }
    let mut finding = Finding::new(name, is_gradient, Baseline::Reference, value.shape());
    finding.accuracy = Some(Accuracy::new(reference.format.float_type));
    let scale = if is_gradient { max_abs(right).max(reference.least_scale) } else { max_abs(right) };
    let (convincing, mut doubtful) = (reference.convincing * scale, 0);
    for (n, (&analytic, &numeric)) in value.iter().zip(right).enumerate() {
        finding.checked += 1;
        let allowed = reference.allowed(name, n, numeric);
        let is_right =
            analytic.is_nan() && numeric.is_nan() || is_gradient && reference.is_derivative(name, n, analytic);
        if !(is_right || reference.overflows(analytic, numeric, allowed)) {
            let index = Some(unravel_index(n, &finding.shape));
            doubtful += usize::from((analytic - numeric).abs() > convincing);
            finding.record(EntryCheck { index, analytic, numeric, error_bar: allowed, allowed, step: 0.0 });
        }
    }
    if finding.verdict == Verdict::Pass && doubtful > 0 {
        finding.verdict = Verdict::Inconclusive;
        finding.notes.push(format!(
            "the errors of {doubtful} of {} entries are above {} of the largest entry: rounding errors of {} may be that large, and may hide a mistake; --accumulate f32, if sums are carried in f32, or the same program in f32 decides",
            finding.checked, reference.convincing, reference.format.float_type.name()
        ));
    }
    Some(finding)
}

/// Returns the finding for a result of the wrong shape.
pub(super) fn wrong_shape(name: &Name, is_gradient: bool, value: &ArrayD<f64>, expected: &[usize]) -> Finding {
    let finding = Finding::new(name, is_gradient, Baseline::Reference, value.shape());
    let note = format!("expected shape {}, got {}", format_shape(expected), format_shape(value.shape()));
    Finding { verdict: Verdict::Fail, wrong: value.len(), notes: vec![note], ..finding }
}
