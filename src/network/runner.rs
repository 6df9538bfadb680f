//! A network that is run repeatedly, as for the records of a stream: its parameters are converted once, the backward pass
//! ends at the first layer whose gradients are selected, and only selected results are returned.

use super::backward::{Needed, backward};
use super::chain::{Source, Stage, Tape, input_readers};
use super::forward::{Inputs, forward_in_place, output};
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Layer, Precision};
use crate::numeric::Scalar;
use crate::numeric::dynamic::{Dynamic, with_exact};
use ndarray::ArrayD;

/// A network and the results to compute.
pub struct OutputSelection {
    /// The network.
    pub tape: Tape,
    /// Selected results.
    pub selected: Vec<Selected>,
}

/// A result of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Selected {
    /// The gradient of the network's input.
    InputGradient,
    /// The index of a layer, and the layer's name for a result.
    OfLayer(usize, Name),
}

impl Selected {
    /// Returns true for a gradient.
    pub fn is_gradient(&self, tape: &Tape) -> bool {
        match self {
            Selected::InputGradient => true,
            Selected::OfLayer(layer, name) => tape.stages[*layer].spec.is_gradient(name),
        }
    }

    /// Returns the first layer that a gradient needs.
    fn first_layer(&self, tape: &Tape) -> usize {
        match self {
            Selected::InputGradient => input_readers(&tape.stages).first().map_or(0, |(n, _)| *n),
            Selected::OfLayer(layer, _) => *layer,
        }
    }
}

/// The parameters of a network, converted to its precision.
pub enum PreparedParams {
    /// Doubles, rounded to the precision's type.
    Double(Vec<Tensors<f64>>),
    /// Not converted: exact numbers are valid only while they are computed with.
    Exact,
}

/// The selected results in order, and the warnings and notes of the layers.
pub type Results = (Vec<ArrayD<f64>>, Vec<Note>);

impl OutputSelection {
    /// Converts the parameters to the network's precision.
    pub fn prepare_params(&self) -> PreparedParams {
        match self.tape.precision {
            Precision::Exact => PreparedParams::Exact,
            _ => PreparedParams::Double(self.tape.params()),
        }
    }

    /// Returns true if a gradient is selected.
    pub fn has_gradients(&self) -> bool {
        self.selected.iter().any(|selected| selected.is_gradient(&self.tape))
    }

    /// Runs the network. If a gradient is selected, `upstream` returns that of the last output, which has that shape.
    pub fn run(
        &self,
        params: &mut PreparedParams,
        inputs: Inputs<'_, f64>,
        upstream: impl FnOnce(&Stage, &[usize]) -> Result<ArrayD<f64>, Error>,
    ) -> Result<Results, Error> {
        match params {
            PreparedParams::Double(at) => {
                let precision = self.tape.precision;
                precision.with_accuracy(|| self.run_in(at, inputs.rounded(precision), upstream))
            }
            PreparedParams::Exact => {
                with_exact(|| self.run_in::<Dynamic>(&mut self.tape.params(), inputs.convert(), upstream))
            }
        }
    }

    /// Returns true if a layer's input, as the last run left it, may contain a row of probabilities, which some layers
    /// warn of. Exact numbers are gone, so the answer for them is always true.
    pub fn might_be_probabilities(&self, params: &PreparedParams) -> bool {
        match params {
            PreparedParams::Double(at) => self.has_distribution(at),
            PreparedParams::Exact => true,
        }
    }

    fn has_distribution<S: Scalar>(&self, at: &[Tensors<S>]) -> bool {
        let layers = self.tape.stages.iter().zip(at);
        let is_inner = |stage: &Stage| matches!(stage.source(&Name::X), Some(Source::Layer(_)));
        let mut inputs = layers.filter_map(|(stage, at)| at.get(&Name::X).filter(|_| is_inner(stage)));
        let is_likely = |row: &[S]| {
            let bounds = S::zero()..=S::from_f64(1.5);
            row.iter().all(|value| bounds.contains(value))
                && (row.iter().map(|value| value.to_f64()).sum::<f64>() - 1.0).abs() < 0.01
        };
        inputs.any(|x| match (x.shape().last(), x.as_slice()) {
            (Some(&width), Some(values)) if width > 0 => values.chunks_exact(width).any(is_likely),
            _ => true,
        })
    }

    fn run_in<S: Scalar>(
        &self,
        at: &mut [Tensors<S>],
        inputs: Inputs<'_, S>,
        upstream: impl FnOnce(&Stage, &[usize]) -> Result<ArrayD<f64>, Error>,
    ) -> Result<Results, Error>
    where
        dyn AnyLayer: Layer<S>,
    {
        let (stages, float_type) = (&self.tape.stages, self.tape.precision.float_type());
        let (runs, notes) = forward_in_place(stages, at, inputs, self.tape.precision, (&|_| true, true))?;
        let wanted = self.selected.iter().filter(|selected| selected.is_gradient(&self.tape));
        let first = wanted.map(|selected| selected.first_layer(&self.tape)).min();
        let gradients = match (first, stages.last(), output(stages, &runs)) {
            (Some(first), Some(last), Some(output)) => {
                let dout = upstream(last, output.shape())?;
                let dout = dout.map(|&value| S::from_f64(float_type.round(value)));
                let needed = Needed { first, input: self.selected.contains(&Selected::InputGradient), ..Needed::ALL };
                Some(backward(stages, at, &runs, (dout, self.tape.precision), &needed))
            }
            _ => None,
        };
        let value = |selected: &Selected| {
            let gradients = gradients.as_ref().filter(|_| selected.is_gradient(&self.tape));
            let values = match (selected, gradients) {
                (Selected::OfLayer(layer, name), Some(gradients)) => gradients.layers[*layer].known(name),
                (Selected::OfLayer(layer, name), None) => runs[*layer].results.known(name),
                (Selected::InputGradient, gradients) => match gradients.and_then(|all| all.input.as_deref()) {
                    Some(gradient) => gradient,
                    None => unreachable!("the input has a reader"),
                },
            };
            values.map(|value| float_type.round(value.to_f64()))
        };
        Ok((self.selected.iter().map(value).collect(), notes))
    }
}
