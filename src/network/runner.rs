//! A network that runs again and again, as for the records of a stream: its parameters are made ready once, it goes
//! backward only as far as it must, and of its results only those are kept that are wanted.

use super::backward::back_to;
use super::forward::{onward, output};
use super::{Stage, Tape};
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Layer, Precision};
use crate::numeric::{Exact, Scalar, exact};
use ndarray::ArrayD;

/// A network, and what is wanted of it.
pub struct Excerpt {
    /// The network.
    pub tape: Tape,
    /// Results: the layer, and the name that it has for it.
    pub wanted: Vec<(usize, Name)>,
}

/// The parameters of a network, ready to be computed with.
pub enum Ready {
    /// As doubles.
    Double(Vec<Tensors<f64>>),
    /// In single precision.
    Single(Vec<Tensors<f32>>),
    /// As the tape has them: nothing of an exact number outlasts its computation.
    Exact,
}

/// What is fed to a network.
pub struct Fed<'a> {
    /// The first layer's input.
    pub x: ArrayD<f64>,
    /// The loss's targets.
    pub t: Option<ArrayD<f64>>,
    /// The rounding of the types that x and t were stored in.
    pub rounding: &'a dyn Fn(&Name) -> f64,
}

/// What is wanted, in that order, and what the layers had to say.
pub type Results = (Vec<ArrayD<f64>>, Vec<Note>);

impl Excerpt {
    /// Makes the parameters ready.
    pub fn ready(&self) -> Ready {
        match self.tape.precision {
            Precision::F64 => Ready::Double(self.tape.params()),
            Precision::F32 => Ready::Single(self.tape.params()),
            Precision::Exact => Ready::Exact,
        }
    }

    /// Whether a gradient is wanted.
    pub fn backward(&self) -> bool {
        self.wanted.iter().any(|(_, name)| name.is_gradient())
    }

    /// Runs the network. Where a gradient is wanted, `upstream` gives that of the last output, which has this shape.
    pub fn run(
        &self,
        ready: &mut Ready,
        fed: Fed<'_>,
        upstream: impl FnOnce(&Stage, &[usize]) -> Result<ArrayD<f64>, Error>,
    ) -> Result<Results, Error> {
        let Fed { x, t, rounding } = fed;
        match ready {
            Ready::Double(at) => self.run_in(at, x, t, rounding, upstream),
            Ready::Single(at) => {
                let single = |value: ArrayD<f64>| value.map(|&value| f32::from_f64(value));
                self.run_in(at, single(x), t.map(single), rounding, upstream)
            }
            Ready::Exact => exact::exactly(|| {
                let given = |value: ArrayD<f64>| value.map(|&value| Exact::from_f64(value));
                self.run_in(&mut self.tape.params(), given(x), t.map(given), rounding, upstream)
            }),
        }
    }

    /// Whether a row that a layer read of the layer before it may be of probabilities, as some layers warn of.
    pub fn might_be_probabilities(&self, ready: &Ready) -> bool {
        match ready {
            Ready::Double(at) => self.any_distribution(at),
            Ready::Single(at) => self.any_distribution(at),
            Ready::Exact => true,
        }
    }

    fn any_distribution<S: Scalar>(&self, at: &[Tensors<S>]) -> bool {
        let inner = self.tape.stages.iter().zip(at).skip(1);
        let mut read = inner.filter_map(|(stage, at)| at.get(&Name::X).filter(|_| *stage.input() == Name::X));
        let likely = |row: &[S]| {
            let bounds = S::zero()..=S::from_f64(1.5);
            row.iter().all(|value| bounds.contains(value))
                && (row.iter().map(|value| value.to_f64()).sum::<f64>() - 1.0).abs() < 0.01
        };
        read.any(|x| match (x.shape().last(), x.as_slice()) {
            (Some(&width), Some(values)) if width > 0 => values.chunks_exact(width).any(likely),
            _ => true,
        })
    }

    fn run_in<S: Scalar>(
        &self,
        at: &mut [Tensors<S>],
        x: ArrayD<S>,
        t: Option<ArrayD<S>>,
        rounding: &dyn Fn(&Name) -> f64,
        upstream: impl FnOnce(&Stage, &[usize]) -> Result<ArrayD<f64>, Error>,
    ) -> Result<Results, Error>
    where
        dyn AnyLayer: Layer<S>,
    {
        let stages = &self.tape.stages;
        if let (Some(stage), Some(at)) = (stages.first(), at.first_mut()) {
            at.insert(stage.input().clone(), x);
        }
        let (runs, notes) = onward(stages, at, t.as_ref(), rounding, true)?;
        let back = self.wanted.iter().filter(|(_, name)| name.is_gradient()).map(|(layer, _)| *layer).min();
        let gradients = match (back, stages.last(), output(stages, &runs)) {
            (Some(first), Some(last), Some(output)) => {
                let dout = upstream(last, output.shape())?;
                back_to(first, stages, at, &runs, dout.map(|&value| S::from_f64(value)))
            }
            _ => Vec::new(),
        };
        let value = |(layer, name): &(usize, Name)| {
            let value = match gradients.get(*layer).filter(|_| name.is_gradient()) {
                Some(gradients) => gradients.known(name),
                None => runs[*layer].results.known(name),
            };
            value.map(|value| value.to_f64())
        };
        Ok((self.wanted.iter().map(value).collect(), notes))
    }
}
