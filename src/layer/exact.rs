//! Computing a layer for `--precision exact` by lazily refined interval arithmetic: formulas run once in enclosures of about 100
//! bits, and only results that these do not decide are evaluated again with more bits.

use super::gradients::Wanted;
use super::interface::AnyLayer;
use super::run::{Outcome, run_in_chunks};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use crate::numeric::dynamic::{Dynamic, with_exact};
use crate::parallel::{fill, progress::Progress};
use ndarray::{ArrayD, Axis, Slice};
use std::sync::{Mutex, PoisonError};

/// Number of elements of a block of independent rows. Its recorded expressions, some hundred bytes for each element, are dropped
/// when it is computed.
const BLOCK_ELEMENTS: usize = 1 << 13;

/// The names of a layer's gradients, and its results and gradients in the order of computation.
type Block = (Vec<Name>, Vec<(Name, ArrayD<f64>)>);

/// Computes results and gradients, each the double nearest to the real number.
pub(super) fn compute(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    wanted: Wanted<'_>,
) -> Outcome {
    // The gradient of a parameter is a sum over all rows, and so may a loss be.
    let independent =
        at.iter().next().filter(|(_, x)| at.len() == 1 && x.ndim() > 1 && layer.independent_rows(x.ndim()));
    let Some((name, x)) = independent.filter(|(_, x)| x.len() > BLOCK_ELEMENTS) else {
        return join([with_exact(|| compute_block(layer, at, dout, wanted))]);
    };
    let rows = (BLOCK_ELEMENTS * x.len_of(Axis(0)) / x.len()).max(1);
    let block = |all: &ArrayD<f64>, n: usize| {
        let end = ((n + 1) * rows).min(all.len_of(Axis(0)));
        all.slice_axis(Axis(0), Slice::from(n * rows..end)).to_owned()
    };
    let count = x.len_of(Axis(0)).div_ceil(rows);
    let progress = Progress::new("computing", count);
    join(fill::map_rows(count, usize::MAX, |n| {
        let (at, dout) = (Tensors::new().with(name.clone(), block(x, n)), dout.map(|dout| block(dout, n)));
        let computed = with_exact(|| compute_block(layer, &at, dout.as_ref(), wanted));
        progress.advance(1);
        computed
    }))
}

/// Computes results and gradients and passes each to `take`, large gradients of parameters in chunks of rows: only the expressions
/// of one chunk are in memory.
pub(super) fn compute_in_chunks(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    wanted: Wanted<'_>,
    take: &(dyn Fn(&Name, usize, ArrayD<f64>) + Sync),
) {
    if at.len() == 1 {
        // There are no parameters, and the rows may be independent.
        let outcome = compute(layer, at, dout, wanted);
        outcome.results.into_iter().chain(outcome.gradients).for_each(|(name, value)| take(&name, 0, value));
    } else {
        with_exact(|| run_rounded(layer, at, dout, wanted, take));
    }
}

fn compute_block(layer: &dyn AnyLayer, at: &Tensors<f64>, dout: Option<&ArrayD<f64>>, wanted: Wanted<'_>) -> Block {
    let arrays = Mutex::new(Vec::new());
    let gradients = run_rounded(layer, at, dout, wanted, &|name, _, value| {
        arrays.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), value));
    });
    (gradients, arrays.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Passes results to `take` rounded, with the expressions that they were computed with; returns the names of the gradients.
fn run_rounded(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    wanted: Wanted<'_>,
    take: &(dyn Fn(&Name, usize, ArrayD<f64>) + Sync),
) -> Vec<Name> {
    let exact = |&value: &f64| Dynamic::from_f64(value);
    let (at, dout) = (at.map(exact), dout.map(|dout| dout.map(exact)));
    run_in_chunks::<Dynamic>(layer, &at, dout.as_ref(), wanted, &|name, row, value| {
        take(name, row, value.map(|v| v.to_f64()));
    })
}

/// Appends the rows of all blocks.
fn join(blocks: impl IntoIterator<Item = Block>) -> Outcome {
    let mut joined = Outcome { results: Tensors::new(), gradients: Tensors::new() };
    for (gradients, arrays) in blocks {
        for (name, rows) in arrays {
            let tensors = if gradients.contains(&name) { &mut joined.gradients } else { &mut joined.results };
            match tensors.get_mut(&name).map(|joined| joined.append(Axis(0), rows.view())) {
                None => tensors.insert(name, rows),
                Some(Ok(())) => {}
                Some(Err(_)) => unreachable!("blocks of rows have the same columns"),
            }
        }
    }
    joined
}
