//! Running an admitted layer in one scalar.

use super::gradients::{Forward, Gradients, Wanted};
use super::interface::Layer;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::dynamic::{Dynamic, DynamicKind, with_kind};
use crate::ops::ArrayOps;
use ndarray::ArrayD;
use std::cell::OnceCell;
use std::ops::Deref;

/// The results of a computation. Results in single precision are exact as doubles.
pub struct Outcome<S = f64> {
    /// Forward results.
    pub results: Tensors<S>,
    /// Gradients; empty if only the forward pass was asked for.
    pub gradients: Tensors<S>,
}

/// A forward pass that is run once, when something reads it.
struct LazyForward<'a, S> {
    layer: &'a dyn Layer<S>,
    at: &'a Tensors<S>,
    forward: OnceCell<Forward<S>>,
}

impl<'a, S> LazyForward<'a, S> {
    fn new(layer: &'a dyn Layer<S>, at: &'a Tensors<S>) -> Self {
        LazyForward { layer, at, forward: OnceCell::new() }
    }

    /// Returns the results, if it was run.
    fn into_results(self) -> Tensors<S> {
        self.forward.into_inner().map(|forward| forward.results).unwrap_or_default()
    }
}

impl<S> Deref for LazyForward<'_, S> {
    type Target = Forward<S>;

    fn deref(&self) -> &Forward<S> {
        self.forward.get_or_init(|| self.layer.forward(self.at))
    }
}

/// Computes the wanted results and gradients.
pub(super) fn run<S: Clone>(
    layer: &dyn Layer<S>,
    at: &Tensors<S>,
    dout: Option<&ArrayD<S>>,
    wanted: Wanted<'_>,
) -> Outcome<S> {
    run_with(layer, at, dout, wanted, |gradients| gradients.compute_only(wanted))
}

/// Computes the wanted results and gradients, and passes them to `take` with the index of their first row: large gradients of
/// parameters in chunks of rows. Returns the names of the layer's gradients.
pub(super) fn run_in_chunks<S: ArrayOps>(
    layer: &dyn Layer<S>,
    at: &Tensors<S>,
    dout: Option<&ArrayD<S>>,
    wanted: Wanted<'_>,
    take: &(dyn Fn(&Name, usize, ArrayD<S>) + Sync),
) -> Vec<Name> {
    let mut names = Vec::new();
    let outcome = run_with(layer, at, dout, wanted, |gradients| {
        names = gradients.names().cloned().collect();
        gradients.for_each_chunk(wanted, take);
        Tensors::new()
    });
    outcome.results.into_iter().for_each(|(name, value)| take(&name, 0, value));
    names
}

/// Computes the results and gradients in numbers of a kind.
pub fn run_in_kind<K: DynamicKind>(
    layer: &dyn Layer<Dynamic>,
    at: &Tensors<K>,
    dout: Option<&ArrayD<K>>,
) -> Outcome<K> {
    let (at, dout) = (at.map(|&value| value.into()), dout.map(|dout| dout.map(|&value| value.into())));
    let Outcome { results, gradients } = with_kind(K::KIND, || run(layer, &at, dout.as_ref(), Wanted::All));
    let of_kind = |&value: &Dynamic| K::from_dynamic(value);
    Outcome { results: results.map(of_kind), gradients: gradients.map(of_kind) }
}

fn run_with<S>(
    layer: &dyn Layer<S>,
    at: &Tensors<S>,
    dout: Option<&ArrayD<S>>,
    wanted: Wanted<'_>,
    compute: impl FnOnce(Gradients<'_, S>) -> Tensors<S>,
) -> Outcome<S> {
    let forward = LazyForward::new(layer, at);
    let gradients = dout.map(|dout| layer.backward(at, &forward, dout));
    if wanted.needs_forward(gradients.as_ref()) {
        let _: &Forward<S> = &forward;
    }
    let gradients = gradients.map(compute).unwrap_or_default();
    let mut results = forward.into_results();
    results.retain(|name| wanted.has(name));
    Outcome { results, gradients }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::layer;
    use crate::layer::Settings;
    use ndarray::array;

    #[test]
    fn the_chunks_of_a_large_gradient_are_the_gradient() {
        use std::sync::Mutex;
        let affine = (layer::find("affine").unwrap().build)(&Settings::default()).unwrap();
        let uneven = |shape: [usize; 2], seed: usize| {
            let number = |n: usize| (((n + seed) * 7919) % 1009) as f64 / 13.0;
            ArrayD::from_shape_vec(&shape[..], (0..shape[0] * shape[1]).map(number).collect()).unwrap()
        };
        let at = Tensors::new().with(Name::X, uneven([3, 700], 1)).with(Name::W, uneven([700, 500], 2));
        let affine: &dyn Layer<f64> = affine.as_ref();
        let (dout, run) = (uneven([3, 500], 3), LazyForward::new(affine, &at));
        let whole = affine.backward(&at, &run, &dout).compute();
        {
            let parts = Mutex::new(Vec::new());
            let take =
                |name: &Name, row: usize, part: ArrayD<f64>| parts.lock().unwrap().push((name.clone(), row, part));
            let gradients = affine.backward(&at, &run, &dout);
            gradients.for_each_chunk(Wanted::Only(&[Name::DW]), &take);
            let mut parts = parts.into_inner().unwrap();
            parts.sort_by_key(|(_, row, _)| *row);
            assert!(parts.len() > 1 && parts.iter().all(|(name, ..)| *name == Name::DW));
            let begins =
                parts.iter().scan(0, |next, (.., part)| Some(std::mem::replace(next, *next + part.shape()[0])));
            assert!(begins.eq(parts.iter().map(|(_, row, _)| *row)), "each has the index of its first row");
            let rows: Vec<f64> = parts.into_iter().flat_map(|(.., part)| part).collect();
            assert_eq!(rows, whole.known(&Name::DW).iter().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn gradients_that_need_no_forward_pass_do_not_run_it() {
        struct Never;
        impl Deref for Never {
            type Target = Forward<f64>;
            fn deref(&self) -> &Forward<f64> {
                unreachable!("the forward pass is not needed")
            }
        }
        let matrix = array![[0.25, 0.75], [0.5, 0.5]].into_dyn();
        for (name, count) in [("affine", 3), ("relu", 1), ("xent", 2)] {
            let layer = (layer::find(name).unwrap().build)(&Settings::default()).unwrap();
            let operands = [Name::X, Name::Y, Name::W, Name::T].map(|name| (name, matrix.clone()));
            let at = operands.into_iter().collect::<Tensors<f64>>().with(Name::B, array![1.0, 2.0].into_dyn());
            let dout = if name == "xent" { ndarray::arr0(1.0).into_dyn() } else { matrix.clone() };
            assert_eq!(Layer::<f64>::backward(layer.as_ref(), &at, &Never, &dout).compute().len(), count, "{name}");
        }
    }
}
