//! The calls of a program: the points that it is asked, and its replies.

use super::arrays::{is_same, max_abs};
use super::implementation::{Evaluation, Implementation, Point};
use super::reference::ReferenceResults;
use crate::core::error::{Code, Error};
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
