//! Training: steps of gradient descent, and epochs of batches.

pub use super::chain::Training;
pub use super::init::init_network;
pub use super::optimizer::{Optimizer, Rule, Step};

use super::chain::{Stage, Tape};
use super::forward::Inputs;
use super::run::{Run, Scope, run};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer::Mode;
use ndarray::{ArrayD, Axis, IxDyn};

/// Takes a step of every learnt parameter. `gradients` has an item for each layer.
pub fn take_step(tape: &mut Tape, gradients: &[Tensors<f64>], step: &Step) -> Result<(), Error> {
    for (n, (stage, gradients)) in tape.stages.iter_mut().zip(gradients).enumerate() {
        for name in stage.learnt().collect::<Vec<_>>() {
            let Some(gradient) = gradients.get(&name.gradient()) else {
                return Err(Error::new(
                    Code::Tape,
                    format!("layer {}: the gradient {} is missing", stage.name, name.gradient()),
                )
                .tip("add gradients to a tape with nnlayer backward --tape"));
            };
            update(stage, name, gradient, step).map_err(|error| stage.document_error(n, error))?;
        }
    }
    Ok(())
}

/// Updates a parameter. A scalar b stands for a row, and becomes that row.
fn update(stage: &mut Stage, name: &Name, gradient: &ArrayD<f64>, step: &Step) -> Result<(), Error> {
    let Some(value) = stage.params.get(name) else { return Ok(()) };
    let fits = value.ndim() == 0 || value.shape() == gradient.shape();
    let Some(row) = value.broadcast(gradient.raw_dim()).filter(|_| fits) else {
        let (shape, expected) = (format_shape(value.shape()), format_shape(gradient.shape()));
        let message = format!("shape {shape} does not match the shape {expected} of its gradient {}", name.gradient());
        return Err(Error::new(Code::Shape, message).with_operand(name));
    };
    let mut value = row.to_owned();
    let names = step.optimizer.moments(name);
    let saved: Vec<_> = names.iter().map(|moment| stage.moments.take(moment)).collect();
    let is_first = saved.iter().any(Option::is_none);
    let zeros = || ArrayD::zeros(gradient.raw_dim());
    let mut moments: Vec<ArrayD<f64>> = saved.into_iter().map(|saved| saved.unwrap_or_else(zeros)).collect();
    step.update(&mut value, gradient, &mut moments, is_first);
    stage.params.insert(name.clone(), value);
    stage.moments.extend(names.into_iter().zip(moments).collect());
    Ok(())
}

/// Mean loss and accuracy of an epoch or of an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Mean loss per row.
    pub loss: f64,
    /// Fraction of rows whose largest output is at the target's class; `None` for a network without class outputs.
    pub accuracy: Option<f64>,
}

/// Samples and their targets, one per row.
pub struct Samples {
    /// The inputs, (N, …, in).
    pub x: ArrayD<f64>,
    /// The targets, (N, …).
    pub t: ArrayD<f64>,
    /// Unit roundoff of the type that the targets were stored in.
    pub rounding: f64,
}

impl Samples {
    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.x.shape().first().copied().unwrap_or(0)
    }

    /// Refuses samples that cannot be split into batches.
    pub fn admit(&self) -> Result<(), Error> {
        if self.x.ndim() < 2 || self.rows() == 0 {
            return Err(Error::new(Code::Rank, "must have at least two axes and one row, a sample per row")
                .with_operand(&Name::X)
                .with_shape(&Name::X, self.x.shape()));
        }
        if self.t.ndim() == 0 || self.t.shape()[0] != self.rows() {
            return Err(Error::new(
                Code::Shape,
                format!(
                    "expected one target for each of the {} rows of {}, got {}",
                    self.rows(),
                    Name::X,
                    format_shape(self.t.shape())
                ),
            )
            .with_operand(&Name::T)
            .with_shape(&Name::X, self.x.shape())
            .with_shape(&Name::T, self.t.shape())
            .tip("give class indices as a vector of length N, [0] for one, or dense targets as N rows"));
        }
        Ok(())
    }
}

/// Returns the order of an epoch's rows: that of the file, or a permutation drawn from the seed and the epoch's number.
fn row_order(training: &Training, rows: usize) -> Vec<usize> {
    if training.shuffle {
        SplitMix64::stream(training.seed, training.epoch).permutation(rows)
    } else {
        (0..rows).collect()
    }
}

/// The result of an epoch.
pub struct Epoch {
    /// Mean loss and accuracy on the batches.
    pub score: Score,
    /// Names of the layers whose parameters had only gradients of 0.
    pub without_gradient: Vec<String>,
}

/// Trains on every batch once, and counts the epoch and its steps; `on_progress` is called with the number of rows after each
/// batch.
pub fn train_epoch(
    tape: &mut Tape,
    samples: &Samples,
    training: &mut Training,
    on_progress: impl Fn(usize),
) -> Result<Epoch, Error> {
    let mut totals = Totals::default();
    let mut has_gradient: Vec<bool> = tape.stages.iter().map(|stage| stage.learnt().next().is_none()).collect();
    let size = usize::try_from(training.batch).unwrap_or(usize::MAX).max(1);
    let order = row_order(training, samples.rows());
    for (n, rows) in order.chunks(size).enumerate() {
        // Random numbers follow from the seed, the epoch and the batch alone.
        let seed = SplitMix64::stream(SplitMix64::stream(training.seed, training.epoch).bits(), n as u64).bits();
        tape.set_mode(Mode::Training(seed))?;
        let run = totals.add_batch(tape, samples, rows, true).map_err(|error| {
            if training.shuffle { error } else { error.fact(format!("in the batch that starts at row {}", n * size)) }
        })?;
        tape.stages.iter_mut().zip(&run.outputs).for_each(|(stage, outputs)| stage.keep_statistics(outputs));
        let gradients = run.gradients.unwrap_or_default();
        training.step += 1;
        let step =
            Step { optimizer: training.optimizer, lr: training.lr, number: training.step, precision: tape.precision };
        take_step(tape, &gradients, &step)?;
        for ((found, stage), gradients) in has_gradient.iter_mut().zip(&tape.stages).zip(&gradients) {
            let is_zero =
                |name: &Name| gradients.get(&name.gradient()).is_none_or(|all| all.iter().all(|&dp| dp == 0.0));
            *found |= !stage.learnt().all(is_zero);
        }
        on_progress(rows.len());
    }
    training.epoch += 1;
    tape.set_mode(Mode::Inference)?;
    let layers = tape.stages.iter().zip(has_gradient);
    let without_gradient = layers.filter(|(_, found)| !found).map(|(stage, _)| stage.name.clone()).collect();
    Ok(Epoch { score: totals.score(), without_gradient })
}

/// Returns the score of a network on all rows, and the warnings and notes of its layers.
pub fn evaluate(tape: &Tape, samples: &Samples) -> Result<(Score, Vec<Note>), Error> {
    let mut totals = Totals::default();
    totals.add_batch(tape, samples, &(0..samples.rows()).collect::<Vec<_>>(), false)?;
    Ok((totals.score(), totals.notes))
}

/// Sums over the batches of an epoch.
#[derive(Default)]
struct Totals {
    rows: f64,
    loss: f64,
    correct: Option<f64>,
    notes: Vec<Note>,
}

impl Totals {
    /// Runs a batch and adds its loss; the run has the gradients of the loss if `with_gradients`.
    #[allow(clippy::cast_precision_loss)] // fewer rows than 2⁵³ fit in memory
    fn add_batch(
        &mut self,
        tape: &Tape,
        samples: &Samples,
        rows: &[usize],
        with_gradients: bool,
    ) -> Result<Run, Error> {
        let (x, t) = (samples.x.select(Axis(0), rows), samples.t.select(Axis(0), rows));
        let inputs = Inputs { x, t: Some(t.clone()), rounding: &|_| samples.rounding };
        let mut ones = |_: &Stage, shape: &[usize]| Ok(with_gradients.then(|| ArrayD::from_elem(IxDyn(shape), 1.0)));
        let run = run(tape, inputs, &mut ones, &Scope::ALL)?;
        let count = rows.len() as f64;
        let loss = run.outputs.last().and_then(|outputs| outputs.get(&Name::LOSS)).map_or(f64::NAN, |loss| loss.sum());
        let is_mean = run.outputs.last().is_some_and(|outputs| outputs.get(&Name::DIVISOR).is_some());
        self.loss += if is_mean { loss * count } else { loss };
        self.rows += count;
        if let Some(correct) = count_correct(&run, &t) {
            *self.correct.get_or_insert(0.0) += correct;
        }
        self.notes.clone_from(&run.notes);
        Ok(run)
    }

    fn score(&self) -> Score {
        Score { loss: self.loss / self.rows, accuracy: self.correct.map(|correct| correct / self.rows) }
    }
}

/// Returns the number of rows whose largest output is at the target's class, or at the largest of dense targets.
#[allow(clippy::cast_precision_loss)] // fewer rows and classes than 2⁵³ fit in memory
fn count_correct(run: &Run, t: &ArrayD<f64>) -> Option<f64> {
    let y = run.outputs.last()?.get(&Name::Y).or_else(|| run.inputs.last()?.get(&Name::Y))?;
    if y.ndim() != 2 || y.shape()[1] < 2 {
        return None;
    }
    let is_correct = |n: usize| {
        let predicted = argmax(y.index_axis(Axis(0), n).iter());
        match (t.ndim(), t.shape()) {
            (2, [_, 1]) => t[[n, 0]] == predicted as f64,
            (2, _) => argmax(t.index_axis(Axis(0), n).iter()) == predicted,
            _ => t[[n]] == predicted as f64,
        }
    };
    Some((0..y.shape()[0]).filter(|&n| is_correct(n)).count() as f64)
}

fn argmax<'a>(row: impl Iterator<Item = &'a f64>) -> usize {
    let first = (0, f64::NEG_INFINITY);
    row.enumerate().fold(first, |best, (k, &value)| if value > best.1 { (k, value) } else { best }).0
}
