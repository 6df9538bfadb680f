//! The calls of a program: the points that it is asked, and its replies.

use super::arrays::{is_same, max_abs};
use super::case::Case;
use super::implementation::{Evaluation, Implementation, Point};
use super::inputs::NamedShape;
use super::points::far_from_zero;
use super::reference::ReferenceResults;
use super::requests::points_per_request;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::numeric::{Arithmetic, FloatType};
use ndarray::ArrayD;

/// A point that was asked, and the program's reply.
pub(super) struct Call {
    pub(super) point: Point,
    pub(super) evaluation: Evaluation,
    /// The right results, for a layer that nnlayer knows.
    pub(super) reference: Option<ReferenceResults>,
    /// True for the point with large values.
    pub(super) is_stress: bool,
}

/// Least number of points in a request for which a point counts as small.
const SMALL_POINTS: usize = 8;

/// The words for the point with large values in the remark on a program that crashes there.
pub(super) const LARGE_VALUES: &str = "large values or a batch of another shape";

/// The points to ask a program.
pub(super) struct Points {
    pub(super) points: Vec<Point>,
    /// Number of the first points, which [`choose_points`] describes.
    pub(super) repeated: usize,
    /// The number of a point with large values.
    pub(super) stress: Option<usize>,
}

/// Returns the points to ask. The first ones are: the case twice; another point of the same shapes; and the case again. A known layer
/// is also asked a batch with a row more and a point with large values, and a custom one points that differ from the first and third
/// by rounding and a point with large values. Where points are large, the state of a process is looked at with small ones, or not if none can be drawn.
pub(super) fn choose_points(
    case: &Case,
    stress_shapes: Option<&[NamedShape]>,
    arithmetic: Arithmetic,
    rng: &mut SplitMix64,
) -> Points {
    let float_type = arithmetic.float_type;
    let point = Point { operands: case.operands.clone(), dout: Some(case.dout.clone()) };
    let is_small = points_per_request(&case.operands, float_type) >= SMALL_POINTS;
    let mut points = vec![point.clone(), point.clone()];
    if is_small {
        points.extend(case.other_point(float_type, rng));
        points.push(point);
    } else if let Some([small, other]) = case.small_points(float_type, rng) {
        points.extend([small.clone(), other, small]);
    } else {
        points.extend(case.other_point(float_type, rng));
    }
    let repeated = points.len();
    let mut stress = None;
    if case.reference.is_some() {
        points.extend(case.larger_point(float_type, rng).filter(|_| is_small));
        let shapes = stress_shapes.filter(|_| is_small);
        if let Some(point) = shapes.and_then(|shapes| case.stress_point(shapes, arithmetic, rng)) {
            stress = Some(points.len());
            points.push(point);
        }
    } else {
        points.extend(perturbed_points(&points, is_small, float_type, rng));
        if let Some(point) = stress_shapes.filter(|_| is_small).and_then(|_| case.far_point(arithmetic)) {
            stress = Some(points.len());
            points.push(point);
        }
    }
    Points { points, repeated, stress }
}

/// Returns points that differ from the first and the third by a rounding to a type, or one of them if points are large.
pub(super) fn perturbed_points(
    points: &[Point],
    are_small: bool,
    float_type: FloatType,
    rng: &mut SplitMix64,
) -> Vec<Point> {
    let chosen: &[usize] = if are_small { &[0, 2] } else { &[0] };
    let perturbed = chosen.iter().flat_map(|&n| Case::perturbed_points(&points[n], float_type, rng));
    perturbed.take(if are_small { usize::MAX } else { 1 }).collect()
}

/// Asks the points. A program that crashes is asked without that of large values, then without those after the first ones, and then
/// only the first two; `unchecked` says so.
pub(super) fn ask(
    implementation: &mut dyn Implementation,
    points: &mut Points,
    unchecked: &mut Vec<String>,
) -> Result<Vec<Evaluation>, Error> {
    let Points { points, repeated, stress } = points;
    let error = match implementation.evaluate(points) {
        Ok(evaluations) => return Ok(evaluations),
        Err(error) if points.len() > 2 && error.code == Code::ProgramCrash => error,
        Err(error) => return Err(error),
    };
    let fewer = [
        (stress.take().unwrap_or(usize::MAX), LARGE_VALUES),
        (*repeated, "a batch of another size"),
        (2, "other inputs"),
    ];
    for (count, what) in fewer {
        if count < points.len() {
            points.truncate(count);
            if let Ok(evaluations) = implementation.evaluate(points) {
                unchecked.push(format!("it crashes with {what}"));
                return Ok(evaluations);
            }
        }
    }
    Err(error)
}

/// Describes the results of a custom layer that are not finite at the point with large values, where its formula may allow that.
pub(super) fn describe_overflow(case: &Case, evaluation: &Evaluation, arithmetic: Arithmetic) -> Option<String> {
    let (input, _) = case.operands.iter().next()?;
    let mut results = evaluation.outputs.iter().chain(evaluation.gradients.iter());
    let (name, value) = results.find(|(_, value)| !value.iter().all(|v| v.is_finite()))?;
    let (count, far) = (value.iter().filter(|v| !v.is_finite()).count(), far_from_zero(arithmetic));
    Some(format!(
        "{name} has {count} infinite or NaN entries where rows of {input} are near {far} and -{far}; if the formula is finite there, an intermediate result overflows, such as exp without the row's maximum subtracted"
    ))
}

/// Returns true if two arrays have the same shape, and entries that are NaN or differ by a tolerance at most.
pub(super) fn is_within(a: &ArrayD<f64>, b: &ArrayD<f64>, tolerance: f64) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(&a, &b)| is_same(a, b) || (a - b).abs() <= tolerance)
}

/// Refuses a program whose outputs differ between two calls at the same point, one after the other, or its gradients by more than a
/// tolerance. Numerical derivatives of a function that is not deterministic have no meaning.
pub(super) fn require_determinism(calls: &[Call], tolerance: f64) -> Result<(), Error> {
    let [first, second, ..] = calls else { return Ok(()) };
    let are_within = |a: &Tensors<f64>, b: &Tensors<f64>, tolerance| {
        a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_within(a, b, tolerance)))
    };
    let doubled = |(name, value): (&Name, &ArrayD<f64>)| {
        let again = second.evaluation.gradients.get(name);
        again.is_some_and(|again| again.shape() == value.shape() && (value == again || is_near(again, &(value * 2.0))))
    };
    let has_steady_outputs = are_within(&first.evaluation.outputs, &second.evaluation.outputs, 0.0);
    let has_steady_gradients = are_within(&first.evaluation.gradients, &second.evaluation.gradients, tolerance);
    if has_steady_outputs && (has_steady_gradients || first.evaluation.gradients.iter().all(doubled)) {
        return Ok(());
    }
    let (what, tip) = if has_steady_outputs {
        ("gradients", "remove or seed what is random, or accept small differences with --nondet-tol")
    } else {
        ("outputs", "remove or seed what is random, such as dropout, and keep no state between points")
    };
    Err(Error::new(Code::ReplyUnsteady, format!("the program returned different {what} for the same point")).tip(tip))
}

/// Returns true if two arrays of the same shape are equal up to rounding.
pub(super) fn is_near(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    let scale = max_abs(b);
    a.iter().zip(b).all(|(&a, &b)| is_same(a, b) || (a - b).abs() <= 1e-2 * scale)
}
