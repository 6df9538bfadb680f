//! `--precision exact`: a layer whose numbers know how they were made, and are rounded once.

use super::compute::run_each;
use super::{AnyLayer, Outcome, Wanted};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::{Exact, Scalar, exact};
use ndarray::{ArrayD, Axis, Slice};
use std::sync::{Mutex, PoisonError};

/// Numbers that are computed together where rows do not know of each other: what is remembered of them, some hundred bytes
/// each, ends with them.
const TOGETHER: usize = 1 << 13;

/// Results and gradients, each the double nearest to the real number.
pub(super) fn compute(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    wanted: Wanted<'_>,
) -> Outcome {
    // A parameter's gradient is a sum over all rows, and so may a loss be.
    let alone = at.iter().next().filter(|(_, x)| at.len() == 1 && x.ndim() == 2 && layer.independent_rows());
    let Some((name, x)) = alone.filter(|(_, x)| x.len() > TOGETHER) else {
        return joined([exact::exactly(|| parts(layer, at, dout, wanted))]);
    };
    let rows = (TOGETHER / x.len_of(Axis(1))).max(1);
    let block = |all: &ArrayD<f64>, n: usize| {
        let end = ((n + 1) * rows).min(all.len_of(Axis(0)));
        all.slice_axis(Axis(0), Slice::from(n * rows..end)).to_owned()
    };
    let parts = exact::each(x.len_of(Axis(0)).div_ceil(rows), |n| {
        let dout = dout.map(|dout| block(dout, n));
        parts(layer, &Tensors::new().with(name.clone(), block(x, n)), dout.as_ref(), wanted)
    });
    joined(parts)
}

/// The same, each handed over as it comes, a large gradient of a parameter a part at a time: of what is remembered of numbers no
/// more than of a part is there.
pub(super) fn compute_each(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    wanted: Wanted<'_>,
    take: &(dyn Fn(&Name, usize, ArrayD<f64>) + Sync),
) {
    if at.len() == 1 {
        // Rows may be computed apart, and no gradient is a parameter's.
        let made = compute(layer, at, dout, wanted);
        made.results.into_iter().chain(made.gradients).for_each(|(name, value)| take(&name, 0, value));
    } else {
        exact::exactly(|| rounded(layer, at, dout, wanted, take));
    }
}

/// The names of a layer's gradients, and what it handed over.
type Parts = (Vec<Name>, Vec<(Name, ArrayD<f64>)>);

/// All that is handed over.
fn parts(layer: &dyn AnyLayer, at: &Tensors<f64>, dout: Option<&ArrayD<f64>>, wanted: Wanted<'_>) -> Parts {
    let parts = Mutex::new(Vec::new());
    let gradients = rounded(layer, at, dout, wanted, &|name, _, value| {
        parts.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), value));
    });
    (gradients, parts.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Hands over every number rounded, where it was made; parts come one after the other.
fn rounded(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    wanted: Wanted<'_>,
    take: &(dyn Fn(&Name, usize, ArrayD<f64>) + Sync),
) -> Vec<Name> {
    let given = |&value: &f64| Exact::from_f64(value);
    let (at, dout) = (at.map(given), dout.map(|dout| dout.map(given)));
    run_each::<Exact>(layer, &at, dout.as_ref(), wanted, &|name, row, value| take(name, row, value.map(|v| v.to_f64())))
}

/// The rows of all parts, one after another; each part ends when it is joined.
fn joined(parts: impl IntoIterator<Item = Parts>) -> Outcome {
    let mut all = Outcome { results: Tensors::new(), gradients: Tensors::new() };
    for (is_gradient, name, part) in parts.into_iter().flat_map(|(gradients, parts)| {
        parts.into_iter().map(move |(name, part)| (gradients.contains(&name), name, part))
    }) {
        let bundle = if is_gradient { &mut all.gradients } else { &mut all.results };
        match bundle.get_mut(&name).map(|rows| rows.append(Axis(0), part.view())) {
            None => bundle.insert(name, part),
            Some(Ok(())) => {}
            Some(Err(_)) => unreachable!("blocks of rows have the same columns"),
        }
    }
    all
}
