//! A run of a chain in its own precision: forward and, if asked for, backward.

use super::backward::{ChainGradients, Needed, backward};
use super::chain::{Stage, Tape, input_readers, readers, sum_of_gradients};
use super::forward::{Inputs, Kept, as_doubles, forward_in_place, output};
use crate::core::error::{Error, Note};
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Layer, Outcome, Precision};
use crate::numeric::Scalar;
use crate::numeric::dynamic::{Dynamic, with_exact};
use ndarray::ArrayD;

/// The values of a run of a chain.
pub struct Run {
    /// Results of each layer.
    pub outputs: Vec<Tensors<f64>>,
    /// Gradients of each layer, if the chain ran backward.
    pub gradients: Option<Vec<Tensors<f64>>>,
    /// Gradient of the network's input, if several operands are that input.
    pub input_gradient: Option<ArrayD<f64>>,
    /// Warnings and notes of the layers.
    pub notes: Vec<Note>,
    /// Inputs of each layer, without its parameters.
    pub inputs: Vec<Tensors<f64>>,
}

/// The values of one layer in a run.
pub struct ChainLayer {
    /// Operands of the layer, parameters included.
    pub at: Tensors<f64>,
    /// Results and gradients of the layer.
    pub outcome: Outcome,
    /// Upstream gradient of the layer, if the chain ran backward.
    pub dout: Option<ArrayD<f64>>,
}

impl Run {
    /// Splits the run into its layers; `dout` is the upstream gradient of the last output.
    pub fn layers(self, tape: &Tape, dout: Option<&ArrayD<f64>>) -> Vec<ChainLayer> {
        let gradients = self.gradients.unwrap_or_else(|| vec![Tensors::new(); tape.stages.len()]);
        let readers = readers(&tape.stages);
        let upstream = |n: usize| match n + 1 == tape.stages.len() {
            true => dout.cloned(),
            false => sum_of_gradients(&readers[n], |reader| gradients.get(reader)),
        };
        let douts: Vec<_> = (0..tape.stages.len()).map(upstream).collect();
        let layers = self.inputs.into_iter().zip(self.outputs).zip(gradients).zip(douts).zip(&tape.stages);
        layers
            .map(|((((mut at, results), gradients), dout), stage)| {
                at.extend(stage.params.clone());
                ChainLayer { at, outcome: Outcome { results, gradients }, dout }
            })
            .collect()
    }
}

/// Returns the gradient of the loss by the last output, which has that shape; `None` skips the backward pass.
pub type Upstream<'a> = &'a mut dyn FnMut(&Stage, &[usize]) -> Result<Option<ArrayD<f64>>, Error>;

/// The results of a run that are wanted.
pub struct Scope<'a> {
    /// The layers whose results and gradients are wanted; those of others may be empty.
    pub kept: Kept<'a>,
    /// True if `upstream` returns no gradient, so that nothing is kept for a backward pass.
    pub forward_only: bool,
}

impl Scope<'_> {
    /// Everything is kept.
    pub const ALL: Scope<'static> = Scope { kept: &|_| true, forward_only: false };
}

/// Runs a chain forward and, if `upstream` returns a gradient, backward.
pub fn run(tape: &Tape, inputs: Inputs<'_, f64>, upstream: Upstream<'_>, scope: &Scope<'_>) -> Result<Run, Error> {
    let precision = tape.precision;
    match precision {
        Precision::Exact => with_exact(|| run_in::<Dynamic>(tape, inputs.convert(), upstream, scope)),
        _ => precision.with_accuracy(|| run_in::<f64>(tape, inputs.rounded(precision), upstream, scope)),
    }
}

fn run_in<S: Scalar>(
    tape: &Tape,
    inputs: Inputs<'_, S>,
    upstream: Upstream<'_>,
    scope: &Scope<'_>,
) -> Result<Run, Error>
where
    dyn AnyLayer: Layer<S>,
{
    let mut at = tape.params();
    let kept = |stage: &Stage| !scope.forward_only || (scope.kept)(stage);
    let (runs, notes) = forward_in_place(&tape.stages, &mut at, inputs, tape.precision, (&kept, false))?;
    let dout = match (tape.stages.last(), output(&tape.stages, &runs)) {
        (Some(last), Some(output)) => upstream(last, output.shape())?,
        _ => None,
    };
    let to_doubles = |tensors: &Tensors<S>| as_doubles(tensors, &mut None).clone();
    let to_results = |tensors: &Tensors<S>| {
        let mut results = to_doubles(tensors);
        tape.precision.round_results(&mut results);
        results
    };
    let gradients = dout.map(|dout| {
        let dout = dout.map(|&value| S::from_f64(tape.precision.float_type().round(value)));
        let has_readers = input_readers(&tape.stages).len() > 1;
        let needed = Needed { first: 0, kept: scope.kept, input: has_readers };
        backward(&tape.stages, &at, &runs, (dout, tape.precision), &needed)
    });
    let (gradients, input_gradient) = match gradients {
        Some(ChainGradients { layers, input }) => (Some(layers.iter().map(to_results).collect()), input),
        None => (None, None),
    };
    let inputs = at.iter().zip(&tape.stages).map(|(at, stage)| {
        let mut inputs = to_doubles(at);
        inputs.retain(|name| stage.params.get(name).is_none());
        inputs
    });
    Ok(Run {
        inputs: inputs.collect(),
        outputs: runs.iter().map(|run| to_results(&run.results)).collect(),
        gradients,
        input_gradient: input_gradient.map(|gradient| gradient.map(|value| value.to_f64())),
        notes,
    })
}
