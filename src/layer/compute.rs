//! Computing an admitted layer in any precision.

use super::exact;
use super::gradients::Wanted;
use super::interface::AnyLayer;
use super::precision::Precision;
use super::run::{Outcome, run, run_in_chunks};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use ndarray::ArrayD;
use std::borrow::Cow;

/// Computes an admitted layer forward and, if there is a `dout`, backward.
pub fn compute(layer: &dyn AnyLayer, at: &Tensors<f64>, dout: Option<&ArrayD<f64>>, precision: Precision) -> Outcome {
    compute_only(layer, at, dout, precision, Wanted::All)
}

/// Computes the wanted results of an admitted layer, and nothing that they do not need.
pub fn compute_only(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    precision: Precision,
    wanted: Wanted<'_>,
) -> Outcome {
    match precision {
        Precision::F64 => run::<f64>(layer, at, dout, wanted),
        Precision::Exact => exact::compute(layer, at, dout, wanted),
        Precision::F32 | Precision::F16 | Precision::Bf16 => {
            let (at, dout) = rounded(at, dout, precision);
            let mut outcome = precision.with_accuracy(|| run::<f64>(layer, &at, dout.as_deref(), wanted));
            precision.round_results(&mut outcome.results);
            precision.round_results(&mut outcome.gradients);
            outcome
        }
    }
}

/// Returns operands and an upstream gradient rounded to the type of a precision.
fn rounded<'a>(
    at: &Tensors<f64>,
    dout: Option<&'a ArrayD<f64>>,
    precision: Precision,
) -> (Tensors<f64>, Option<Cow<'a, ArrayD<f64>>>) {
    let mut at = at.clone();
    precision.round_operands(&mut at);
    let mut dout = dout.map(Cow::Borrowed);
    dout.iter_mut().filter(|dout| !precision.holds(dout)).for_each(|dout| precision.round(dout.to_mut()));
    (at, dout)
}

/// Computes the wanted results of an admitted layer and passes each to `take` with 0; a large gradient of a parameter in chunks of
/// rows, each with the index of its first row, so that it can be added up over blocks of a batch without a second copy. Operands are
/// rounded to the precision's type, and results are not, since some are parts of a sum.
pub fn compute_in_chunks(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    precision: Precision,
    wanted: Wanted<'_>,
    take: &(dyn Fn(&Name, usize, ArrayD<f64>) + Sync),
) {
    match precision {
        Precision::F64 => drop(run_in_chunks::<f64>(layer, at, dout, wanted, take)),
        Precision::Exact => exact::compute_in_chunks(layer, at, dout, wanted, take),
        Precision::F32 | Precision::F16 | Precision::Bf16 => {
            let (at, dout) = rounded(at, dout, precision);
            precision.with_accuracy(|| drop(run_in_chunks::<f64>(layer, &at, dout.as_deref(), wanted, take)));
        }
    }
}
