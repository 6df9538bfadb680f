//! Normalisation layers: layernorm, rmsnorm, groupnorm, instancenorm and batchnorm.
//!
//! Each is a row of one table (`rows`): its names and formulas, its settings, and a [`Grouping`], which says which entries of x share
//! a mean and a variance, and which share gamma and beta. An array is arranged as rows of entries that are normalised together;
//! [`ParameterLayout`] says which parameter an entry of a row has.
//!
//! - Forward: xhat = (x − mean)/√(var + eps), y = xhat∘gamma + beta, where mean and var = Σ (x − mean)²/n are those of the group, or
//!   given; the root mean square has no mean.
//! - Backward: g = dout∘gamma, dx = (g − mean g − xhat·mean(g∘xhat))/√(var + eps), dgamma = Σ dout∘xhat, dbeta = Σ dout. With a given
//!   mean and variance dx = g/√(var + eps); without a mean, mean g is left out.
//! - Shapes: layernorm and rmsnorm x of any shape, gamma and beta as its axes from `--axis` on; the others x (N, C, …), gamma and
//!   beta (C). A vector is one sample.
//! - Refuses: settings out of range, parameters of other shapes, groups that do not divide the channels, statistics without entries.
//! - Accuracy: entries are computed in double-double arithmetic and rounded once, however close the values of a group are to each
//!   other; sums of dgamma and dbeta keep the errors of additions.
//! - Source: the paper that each row names; PyTorch's definitions and defaults, as its documentation gives them. ONNX's momentum is
//!   1 − `--momentum`, and its running variance is the biased one.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let layernorm = (layer::find("layernorm").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![1e8, 1e8 + 2.0].into_dyn());
//! let outcome = layer::compute(layernorm.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![-0.9999950000374996, 0.9999950000374996].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

mod arrangement;
mod mistakes;
mod names;
pub(super) mod rows;

use super::arrays::{count, elements};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer, Mode};
use super::lanes::{Lanes, axis_error};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use arrangement::{Arranged, Arrangement, RowRule};
use names::{BETA, GAMMA, GROUPS, MEAN, MOMENTUM, RUNNING, RUNNING_MEAN, RUNNING_VAR, VAR};
use ndarray::ArrayD;
use std::cell::LazyCell;
use std::rc::Rc;

/// The entries that are normalised together, and share parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Grouping {
    /// The axes from this one on, or the last; each entry has parameters of its own.
    Trailing(Option<i64>),
    /// The channels of each of so many groups at all positions of a sample; parameters are those of the channel.
    Channels(usize),
    /// Each channel of a sample.
    EachChannel,
    /// Each channel of all samples.
    Batch,
}

/// A normalisation layer.
#[derive(Clone, Copy, Debug)]
struct Norm {
    grouping: Grouping,
    rule: RowRule,
    momentum: Option<f64>,
    /// True for a running variance that divides by n − 1; `None` if nothing is said.
    is_unbiased: Option<bool>,
    /// True in a network after training, where the running statistics are used and not updated.
    is_inference: bool,
}

/// Returns the error for a network that was not trained.
fn no_statistics() -> Error {
    Error::new(Code::OperandMissing, "is required after training")
        .with_operand(&RUNNING_MEAN)
        .tip("add running-mean and running-var to the parameters, or use the statistics of the batch: nnlayer net --training")
}

/// The default of `--momentum`.
const DEFAULT_MOMENTUM: f64 = 0.1;

impl Norm {
    /// Returns the arrangement of an admitted x as rows.
    fn arrangement(&self, shape: &[usize], has_statistics: bool) -> Arrangement {
        match self.grouping {
            Grouping::Trailing(axis) => {
                let axis = Lanes::along(shape, axis, shape.len()).map_or(0, |lanes| lanes.axis());
                Arrangement::trailing(shape, axis)
            }
            Grouping::Channels(groups) => Arrangement::channels(shape, groups),
            Grouping::EachChannel => Arrangement::channels(shape, Arrangement::channel_count(shape)),
            Grouping::Batch => Arrangement::batch(shape, has_statistics),
        }
    }

    /// Returns admitted operands, arranged.
    fn arrange<'a, S: ArrayOps>(&self, at: &'a Tensors<S>) -> Arranged<'a, S> {
        let [mean, var] = self.given_statistics(at);
        let given = at.get(&mean).zip(at.get(&var));
        let arrangement = self.arrangement(at.known(&Name::X).shape(), given.is_some());
        Arranged::new(arrangement, self.rule, at, given)
    }

    /// Returns the names of the statistics that are used in place of the batch's.
    fn given_statistics<S>(&self, at: &Tensors<S>) -> [Name; 2] {
        let is_running = self.is_inference && at.get(&RUNNING_MEAN).is_some();
        if is_running { [RUNNING_MEAN, RUNNING_VAR] } else { [MEAN, VAR] }
    }

    /// Returns the shape of the parameters.
    fn parameter_shape(&self, shape: &[usize]) -> Vec<usize> {
        match self.grouping {
            Grouping::Trailing(axis) => {
                let axis = Lanes::along(shape, axis, shape.len()).map_or(0, |lanes| lanes.axis());
                shape.get(axis..).unwrap_or_default().to_vec()
            }
            _ => vec![Arrangement::channel_count(shape)],
        }
    }

    fn check_axis_and_groups(&self, x: &[usize]) -> Result<(), Error> {
        let channels = Arrangement::channel_count(x);
        match self.grouping {
            Grouping::Trailing(axis) if Lanes::along(x, axis, 0).is_none() => Err(axis_error(&Name::X, x, axis)),
            Grouping::Channels(groups) if !channels.is_multiple_of(groups) => {
                let message = format!("expected a divisor of {channels}, the number of channels, got {groups}");
                Err(Error::new(Code::Setting, message)
                    .with_operand(&Name::new(GROUPS.name))
                    .with_shape(&Name::X, x)
                    .tip("axis 1 of x is that of the channels, (N×C…)"))
            }
            _ => Ok(()),
        }
    }

    fn check_parameter(&self, name: &Name, value: &ArrayD<f64>, x: &[usize]) -> Result<(), Error> {
        let expected = self.parameter_shape(x);
        if value.shape() == expected || (value.ndim() == 0 && expected.iter().product::<usize>() == 1) {
            return Ok(());
        }
        let of = if matches!(self.grouping, Grouping::Trailing(_)) { "entry of a group" } else { "channel" };
        let (expected, got) = (format_shape(&expected), format_shape(value.shape()));
        let error = Error::new(Code::Shape, format!("expected {expected}, one value for each {of}, got {got}"));
        let error = error.with_operand(name).with_shape(&Name::X, x).with_shape(name, value.shape());
        let is_suffix = value.ndim() > 0 && x.ends_with(value.shape());
        Err(match self.grouping {
            Grouping::Trailing(_) if is_suffix => {
                error.tip(format!("use --axis -{} to normalise these axes", value.ndim()))
            }
            Grouping::Trailing(_) => {
                error.tip(format!("give {name} the shape of the axes that are normalised together"))
            }
            _ => error.tip(format!("give {name} one value for each entry along axis 1 of x")),
        })
    }

    /// Refuses one of two operands without the other, and variances below 0.
    fn check_pair(&self, at: &Tensors<f64>, [mean, var]: [&Name; 2]) -> Result<bool, Error> {
        let (given, missing) = match (at.get(mean), at.get(var)) {
            (None, None) => return Ok(false),
            (Some(_), None) => (mean, var),
            (None, Some(_)) => (var, mean),
            (Some(_), Some(variances)) => {
                let Some((index, value)) = variances.indexed_iter().find(|(_, value)| **value < 0.0) else {
                    return Ok(true);
                };
                let index = ndarray::Dimension::slice(&index).to_vec();
                let error = Error::new(Code::Setting, format!("expected a variance, got {value}"));
                return Err(error.with_operand(var).at_index(&index).tip("a variance is not negative"));
            }
        };
        Err(Error::new(Code::OperandMissing, format!("is required with --{given}"))
            .with_operand(missing)
            .tip(format!("give both --{mean} and --{var}, or neither")))
    }

    /// Refuses running statistics that cannot be computed, and settings that only they read.
    fn check_running(&self, at: &Tensors<f64>) -> Result<(), Error> {
        let x = at.known(&Name::X);
        let has_given = self.check_pair(at, [&MEAN, &VAR])?;
        let has_running = self.check_pair(at, [&RUNNING_MEAN, &RUNNING_VAR])?;
        if self.is_inference {
            return if has_running || has_given { Ok(()) } else { Err(no_statistics()) };
        }
        let refuse = |name: &str, message: String, tip: &str| {
            Err(Error::new(Code::Setting, message).with_operand(&Name::new(name)).tip(tip))
        };
        if has_given && has_running {
            let message = format!("has no effect with --{MEAN} and --{VAR}, which are used in place of the batch's");
            return refuse(RUNNING_MEAN.as_str(), message, "running statistics are updated in training only");
        }
        for (name, is_set) in [(MOMENTUM.name, self.momentum.is_some()), (RUNNING.name, self.is_unbiased.is_some())] {
            if is_set && !has_running {
                let message = format!("has an effect only with --{RUNNING_MEAN} and --{RUNNING_VAR}");
                return refuse(name, message, "add the running statistics, or leave it out");
            }
        }
        let entries = x.len().checked_div(Arrangement::channel_count(x.shape())).unwrap_or(0);
        if has_running && entries < 1 + usize::from(self.is_unbiased != Some(false)) {
            let message = format!("the variance of {entries} entries a channel is undefined");
            return Err(Error::new(Code::EmptyMean, message)
                .with_operand(&RUNNING_VAR)
                .with_shape(&Name::X, x.shape())
                .tip("use a batch of at least two samples, or --running biased"));
        }
        Ok(())
    }

    /// Returns (1 − momentum)·running + momentum·batch of each channel's mean and variance, if running statistics are given.
    fn update_running<S: ArrayOps>(&self, at: &Tensors<S>, arranged: &Arranged<'_, S>) -> Option<[ArrayD<S>; 2]> {
        if self.is_inference {
            return None;
        }
        let (mut mean, mut var) = (at.get(&RUNNING_MEAN)?.clone(), at.get(&RUNNING_VAR)?.clone());
        let momentum = S::from_f64(self.momentum.unwrap_or(DEFAULT_MOMENTUM));
        let divisor = S::from_f64(count(arranged.width()) - f64::from(self.is_unbiased != Some(false)));
        for (channel, (mean, var)) in mean.iter_mut().zip(&mut var).enumerate() {
            let [batch_mean, squares] = S::row_moments(&arranged.row(channel));
            let update = |running: S, batch: S| (S::one() - momentum) * running + momentum * batch;
            (*mean, *var) = (update(*mean, batch_mean), update(*var, squares / divisor));
        }
        Some([mean, var])
    }
}

impl Admit for Norm {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let x = given.at.known(&Name::X).shape();
        self.check_axis_and_groups(x)?;
        for name in [GAMMA, BETA, MEAN, VAR, RUNNING_MEAN, RUNNING_VAR] {
            given.at.get(&name).map_or(Ok(()), |value| self.check_parameter(&name, value, x))?;
        }
        self.check_running(given.at)?;
        Ok(Vec::new())
    }

    fn independent_rows(&self, rank: usize) -> bool {
        match self.grouping {
            Grouping::Trailing(axis) => Lanes::along(&vec![1; rank], axis, rank).is_some_and(|lanes| lanes.axis() > 0),
            Grouping::Channels(_) | Grouping::EachChannel => rank > 1,
            Grouping::Batch => false,
        }
    }

    /// After training, a batch norm uses the running statistics, unless it has a mean and variance of its own.
    fn for_mode(&self, mode: Mode) -> Option<Box<dyn AnyLayer>> {
        let is_inference = mode == Mode::Inference && self.grouping == Grouping::Batch;
        is_inference.then(|| Box::new(Norm { is_inference, ..*self }) as Box<dyn AnyLayer>)
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        if at.get(&self.given_statistics(at)[0]).is_none() {
            return Vec::new();
        }
        vec![(Name::DX, "dout∘gamma / √(var + eps)")]
    }
}

impl<S: ArrayOps> Layer<S> for Norm {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let arranged = self.arrange(at);
        let y = arranged.map_rows(|norm, row, y| S::normalize_row(norm, &arranged.row(row), y));
        let mut results = Tensors::new().with(Name::Y, y);
        if let Some([mean, var]) = self.update_running(at, &arranged) {
            results = results.with(RUNNING_MEAN, mean).with(RUNNING_VAR, var);
        }
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let shared = Rc::new(LazyCell::new(move || {
            let arranged = self.arrange(at);
            let dout = arranged.arrangement.rows(elements(dout));
            (arranged, dout)
        }));
        let (gamma, beta) = (at.get(&GAMMA), at.get(&BETA));
        let (of_gamma, of_beta) = (shared.clone(), shared.clone());
        let dx = move || {
            let (arranged, dout) = &**shared;
            arranged.map_rows(|norm, row, dx| {
                S::normalize_row_gradient(norm, &arranged.row(row), &dout.row(row), dx);
            })
        };
        let dgamma = move || {
            let (arranged, dout) = &**of_gamma;
            let xhat = |row: usize, xhat: &mut [S]| S::normalize_row(&arranged.row_norm(row), &arranged.row(row), xhat);
            arranged.parameter_sums(dout, Some(&xhat), gamma)
        };
        let dbeta = move || {
            let (arranged, dout) = &**of_beta;
            arranged.parameter_sums(dout, None, beta)
        };
        Gradients::one(Name::DX, dx).with_if(gamma.is_some(), GAMMA.gradient(), dgamma).with_if(
            beta.is_some(),
            BETA.gradient(),
            dbeta,
        )
    }
}
