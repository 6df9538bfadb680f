//! The backward pass of a chain: the upstream gradient of a layer is the sum of its readers' gradients at its output.

use super::chain::{Source, Stage};
use super::forward::{Kept, between_layers};
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Forward, Layer, Precision, Wanted};
use crate::numeric::Scalar;
use ndarray::{ArrayD, Zip};
use std::sync::Arc;

/// The gradients of a chain.
pub(super) struct ChainGradients<S> {
    /// Gradients of each layer; empty for those that are not kept.
    pub(super) layers: Vec<Tensors<S>>,
    /// Gradient of the network's input, the sum of those of its readers, if it is needed.
    pub(super) input: Option<Arc<ArrayD<S>>>,
}

/// The part of a backward pass that is needed.
pub(super) struct Needed<'a> {
    /// The first layer that is needed.
    pub(super) first: usize,
    /// The layers whose gradients are kept.
    pub(super) kept: Kept<'a>,
    /// True if the gradient of the network's input is needed.
    pub(super) input: bool,
}

impl Needed<'_> {
    /// Everything is needed.
    pub(super) const ALL: Needed<'static> = Needed { first: 0, kept: &|_| true, input: true };
}

/// Returns the needed gradients. `dout` has the shape of the last output.
pub(super) fn backward<S: Scalar>(
    stages: &[Stage],
    at: &[Tensors<S>],
    runs: &[Forward<S>],
    (dout, precision): (ArrayD<S>, Precision),
    needed: &Needed<'_>,
) -> ChainGradients<S>
where
    dyn AnyLayer: Layer<S>,
{
    let mut layers = vec![Tensors::new(); stages.len()];
    let mut douts = vec![None; stages.len()];
    let mut input = None;
    if let Some(last) = douts.last_mut() {
        *last = Some(Arc::new(dout));
    }
    for (n, stage) in stages.iter().enumerate().skip(needed.first).rev() {
        let is_kept = (needed.kept)(stage);
        let passes_on = |source: &Source| match *source {
            Source::Input => needed.input,
            Source::Layer(earlier) => earlier >= needed.first,
        };
        let passed: Vec<_> = stage.sources.iter().filter(|(_, source)| passes_on(source)).collect();
        let names: Vec<_> = passed.iter().map(|(operand, _)| operand.gradient()).collect();
        let wanted = if is_kept { Wanted::All } else { Wanted::Only(&names) };
        // An output that no layer reads has the gradient 0.
        let zeros = || Arc::new(runs[n].results.known(&stage.spec.output).map(|_| S::zero()));
        let dout = douts[n].take().unwrap_or_else(zeros);
        let computed = Layer::<S>::backward(stage.layer(), &at[n], &&runs[n], &dout).compute_only(wanted);
        for ((_, source), gradient) in passed.iter().zip(&names) {
            if let Some(gradient) = computed.get_shared(gradient) {
                let sum = match source {
                    Source::Input => &mut input,
                    Source::Layer(earlier) => &mut douts[*earlier],
                };
                add(sum, between_layers(gradient, precision), precision);
            }
        }
        if is_kept {
            layers[n] = computed;
        }
    }
    ChainGradients { layers, input }
}

/// Adds the gradient of one more reader.
fn add<S: Scalar>(sum: &mut Option<Arc<ArrayD<S>>>, gradient: Arc<ArrayD<S>>, precision: Precision) {
    *sum = Some(match sum.take() {
        None => gradient,
        Some(others) => {
            let both = Zip::from(&*others).and(&*gradient).map_collect(|&a, &b| a + b);
            between_layers(Arc::new(both), precision)
        }
    });
}
