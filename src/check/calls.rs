//! The calls of a program: the points that it is asked, and its replies.

use super::arrays::{is_same, max_abs};
use super::case::{Case, GradientTarget};
use super::implementation::{Evaluation, Implementation, Point};
use super::reference::ReferenceResults;
use crate::core::error::{Code, Error, edit_distance};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use ndarray::ArrayD;

/// A point that was asked, and the program's reply.
pub(super) struct Call {
    pub(super) point: Point,
    pub(super) evaluation: Evaluation,
    /// The right results, for a layer that nnlayer knows.
    pub(super) reference: Option<ReferenceResults>,
}

/// Asks the points. A program that crashes is asked without those after the first `repeated`, and then only the first two.
pub(super) fn ask(
    implementation: &mut dyn Implementation,
    points: &mut Vec<Point>,
    repeated: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<Evaluation>, Error> {
    let error = match implementation.evaluate(points) {
        Ok(evaluations) => return Ok(evaluations),
        Err(error) if points.len() > 2 && error.code == Code::ProgramCrash => error,
        Err(error) => return Err(error),
    };
    for (count, what) in [(repeated, "a batch of another size"), (2, "other inputs")] {
        if count < points.len() {
            points.truncate(count);
            if let Ok(evaluations) = implementation.evaluate(points) {
                notes.push(format!("the program crashes with {what}, so it was not checked with them"));
                return Ok(evaluations);
            }
        }
    }
    Err(error)
}

fn is_equal(a: &Tensors<f64>, b: &Tensors<f64>) -> bool {
    a.iter().all(|(name, a)| {
        b.get(name).is_some_and(|b| a.shape() == b.shape() && a.iter().zip(b).all(|(&a, &b)| is_same(a, b)))
    })
}

/// Refuses a program whose outputs differ between two calls at the same point, one after the other. Numerical derivatives of a
/// function that is not deterministic have no meaning.
pub(super) fn require_determinism(calls: &[Call]) -> Result<(), Error> {
    let [first, second, ..] = calls else { return Ok(()) };
    let doubled = |(name, value): (&Name, &ArrayD<f64>)| {
        let again = second.evaluation.gradients.get(name);
        again.is_some_and(|again| again.shape() == value.shape() && (value == again || is_near(again, &(value * 2.0))))
    };
    let is_steady = is_equal(&first.evaluation.outputs, &second.evaluation.outputs)
        && (is_equal(&first.evaluation.gradients, &second.evaluation.gradients)
            || first.evaluation.gradients.iter().all(doubled));
    if is_steady {
        return Ok(());
    }
    Err(Error::new(Code::ReplyUnsteady, "the program returned different results for the same point")
        .tip("remove or seed what is random, such as dropout, and keep no state between points"))
}

/// Returns true if two arrays of the same shape are equal up to rounding.
pub(super) fn is_near(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    let scale = max_abs(b);
    a.iter().zip(b).all(|(&a, &b)| is_same(a, b) || (a - b).abs() <= 1e-2 * scale)
}

/// Refuses a reply without gradients, or with one whose name is nearly that of a missing one.
pub(super) fn require_gradients(case: &Case, evaluation: &Evaluation) -> Result<(), Error> {
    let is_missing = |target: &GradientTarget| evaluation.gradients.get(&target.name).is_none();
    match misnamed_gradient(case, evaluation) {
        Some(error) => Err(error),
        None if case.targets.iter().all(is_missing) => Err(no_gradients(case)),
        None => Ok(()),
    }
}

/// Returns the error for a gradient that is missing while one of a similar name is in the reply.
fn misnamed_gradient(case: &Case, evaluation: &Evaluation) -> Option<Error> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let is_known = |name: &Name| case.targets.iter().any(|target| target.name == *name);
    case.targets.iter().filter(|target| evaluation.gradients.get(&target.name).is_none()).find_map(|target| {
        let expected = target.name.as_str();
        let is_similar = |name: &&Name| {
            let distance = edit_distance(name.as_str(), expected);
            plain(name.as_str()) == plain(expected) || expected.len() > 3 && distance.is_some_and(|slips| slips <= 1)
        };
        let found = evaluation.gradients.names().filter(|name| !is_known(name)).find(is_similar)?;
        let message = format!("the reply has the gradient {found}, but expected {expected}");
        Some(Error::new(Code::ReplyKeyMissing, message).tip(format!("rename {found} to {expected} in the reply")))
    })
}

/// Returns the error for a reply without gradients.
fn no_gradients(case: &Case) -> Error {
    let names: Vec<&str> = case.targets.iter().map(|target| target.name.as_str()).collect();
    Error::new(Code::ReplyKeyMissing, format!("the reply contains no gradient; expected {}", names.join(", ")))
        .tip("for each point with a dout, reply with \"gradients\" that has a key for each gradient")
}
