//! `--precision exact`: a layer whose numbers know how they were made, and are rounded once.

use super::compute::run;
use super::{AnyLayer, Outcome, Wanted};
use crate::bundle::Bundle;
use crate::scalar::{Exact, Scalar, exact};
use ndarray::{ArrayD, Axis, Slice, concatenate};

/// Numbers that are computed together where rows do not know of each other: what is remembered of them, some hundred bytes
/// each, ends with them.
const TOGETHER: usize = 1 << 14;

/// Results and gradients, each the double nearest to the real number.
pub(super) fn compute(
    layer: &dyn AnyLayer,
    at: &Bundle<f64>,
    dout: Option<&ArrayD<f64>>,
    wanted: Wanted<'_>,
) -> Outcome {
    // A parameter's gradient is a sum over all rows, and so may a loss be.
    let alone = at.iter().next().filter(|(_, x)| at.len() == 1 && x.ndim() == 2 && layer.independent_rows());
    let Some((name, x)) = alone.filter(|(_, x)| x.len() > TOGETHER) else {
        return exact::exactly(|| rounded(layer, at, dout, wanted));
    };
    let rows = (TOGETHER / x.len_of(Axis(1))).max(1);
    let block = |all: &ArrayD<f64>, n: usize| {
        let end = ((n + 1) * rows).min(all.len_of(Axis(0)));
        all.slice_axis(Axis(0), Slice::from(n * rows..end)).to_owned()
    };
    let parts = exact::each(x.len_of(Axis(0)).div_ceil(rows), |n| {
        let dout = dout.map(|dout| block(dout, n));
        rounded(layer, &Bundle::new().with(name.clone(), block(x, n)), dout.as_ref(), wanted)
    });
    Outcome { results: joined(&parts, |part| &part.results), gradients: joined(&parts, |part| &part.gradients) }
}

/// Every number rounded, where it was made.
fn rounded(layer: &dyn AnyLayer, at: &Bundle<f64>, dout: Option<&ArrayD<f64>>, wanted: Wanted<'_>) -> Outcome {
    let given = |&value: &f64| Exact::from_f64(value);
    let outcome = run::<Exact>(layer, &at.map(given), dout.map(|dout| dout.map(given)).as_ref(), wanted);
    Outcome { results: outcome.results.map(|v| v.to_f64()), gradients: outcome.gradients.map(|v| v.to_f64()) }
}

/// The rows of all parts, one after another.
fn joined(parts: &[Outcome], of: impl Fn(&Outcome) -> &Bundle<f64>) -> Bundle<f64> {
    let mut all = Bundle::new();
    for name in parts.iter().take(1).flat_map(|part| of(part).names()) {
        let views: Vec<_> = parts.iter().map(|part| of(part).known(name).view()).collect();
        match concatenate(Axis(0), &views) {
            Ok(joined) => all.insert(name.clone(), joined),
            Err(_) => unreachable!("blocks of rows have the same columns"),
        }
    }
    all
}
