//! Running an admitted layer, in any precision.

use super::gradients::Once;
use super::{AnyLayer, Gradients, Layer, Wanted, exact};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use ndarray::ArrayD;

/// The arithmetic that results are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Doubles.
    #[default]
    F64,
    /// Inputs rounded to single precision, results of single precision.
    F32,
    /// The doubles nearest to the real numbers.
    Exact,
}

impl Precision {
    /// The precision of that name: `f64`, `f32` or `exact`.
    pub fn named(word: &str) -> Option<Precision> {
        [Precision::F64, Precision::F32, Precision::Exact].into_iter().find(|precision| precision.name() == word)
    }

    /// What options and documents call it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F64 => "f64",
            Precision::F32 => "f32",
            Precision::Exact => "exact",
        }
    }
}

/// What a computation gave. As doubles, it holds single precision exactly.
pub struct Outcome<S = f64> {
    /// Forward results.
    pub results: Tensors<S>,
    /// Gradients; empty when only the forward pass was asked for.
    pub gradients: Tensors<S>,
}

/// Runs an admitted layer forward and, where there is a `dout`, backward.
pub fn compute(layer: &dyn AnyLayer, at: &Tensors<f64>, dout: Option<&ArrayD<f64>>, precision: Precision) -> Outcome {
    compute_only(layer, at, dout, precision, Wanted::All)
}

/// The same of some results: nothing is computed that they do not need.
pub fn compute_only(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    precision: Precision,
    wanted: Wanted<'_>,
) -> Outcome {
    match precision {
        Precision::F64 => run::<f64>(layer, at, dout, wanted),
        Precision::F32 => {
            let single = |&value: &f64| f32::from_f64(value);
            let outcome = run::<f32>(layer, &at.map(single), dout.map(|dout| dout.map(single)).as_ref(), wanted);
            Outcome { results: outcome.results.map(|v| v.to_f64()), gradients: outcome.gradients.map(|v| v.to_f64()) }
        }
        Precision::Exact => exact::compute(layer, at, dout, wanted),
    }
}

/// The same, each handed over as it comes, a large gradient of a parameter so many rows at a time with the first of them, so
/// that it can be added up over blocks of a batch without room for another one.
pub fn compute_each(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&ArrayD<f64>>,
    precision: Precision,
    wanted: Wanted<'_>,
    take: &(dyn Fn(&Name, usize, ArrayD<f64>) + Sync),
) {
    match precision {
        Precision::F64 => drop(run_each::<f64>(layer, at, dout, wanted, take)),
        Precision::F32 => {
            let single = |&value: &f64| f32::from_f64(value);
            let (at, dout) = (at.map(single), dout.map(|dout| dout.map(single)));
            let take = &|name: &Name, row, value: ArrayD<f32>| take(name, row, value.map(|v| v.to_f64()));
            run_each::<f32>(layer, &at, dout.as_ref(), wanted, take);
        }
        Precision::Exact => exact::compute_each(layer, at, dout, wanted, take),
    }
}

/// Hands over what is wanted; returns the names of the layer's gradients.
pub(super) fn run_each<S: Scalar>(
    layer: &dyn Layer<S>,
    at: &Tensors<S>,
    dout: Option<&ArrayD<S>>,
    wanted: Wanted<'_>,
    take: &(dyn Fn(&Name, usize, ArrayD<S>) + Sync),
) -> Vec<Name> {
    let forward = Once::new(layer, at);
    let gradients = dout.map(|dout| layer.backward(at, &forward, dout));
    if wanted.needs_forward(gradients.as_ref()) {
        forward.run();
    }
    let names = gradients.iter().flat_map(Gradients::names).cloned().collect();
    gradients.into_iter().for_each(|gradients| gradients.each(wanted, take));
    let results = forward.into_results().into_iter().filter(|(name, _)| wanted.has(name));
    results.for_each(|(name, value)| take(&name, 0, value));
    names
}

fn run<S: Scalar>(layer: &dyn Layer<S>, at: &Tensors<S>, dout: Option<&ArrayD<S>>, wanted: Wanted<'_>) -> Outcome<S> {
    let forward = Once::new(layer, at);
    let gradients = dout.map(|dout| layer.backward(at, &forward, dout));
    if wanted.needs_forward(gradients.as_ref()) {
        forward.run();
    }
    let gradients = gradients.map(|gradients| gradients.only(wanted)).unwrap_or_default();
    let mut results = forward.into_results();
    results.retain(|name| wanted.has(name));
    Outcome { results, gradients }
}
