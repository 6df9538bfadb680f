//! Training: initial weights, the step of stochastic gradient descent (SGD), and epochs of batches.

pub use super::chain::Training;

use super::chain::{Stage, Tape};
use super::forward::Inputs;
use super::layer_names::LayerNames;
use super::run::{Run, Scope, run};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Precision, Settings};
use ndarray::{Array1, Array2, ArrayD, Axis, IxDyn, Zip};

/// Returns a network of affine layers of `sizes` with `activation` between them and softmax-xent at the end.
///
/// W is uniform in ±√(6/in) before a relu (He), otherwise in ±√(6/(in + out)) (Xavier); b is 0. A square root is correctly
/// rounded on every processor, so a seed gives the same network everywhere.
pub fn init_network(sizes: &[usize], activation: &str, seed: u64) -> Result<Tape, Error> {
    let mut random = SplitMix64::new(seed);
    let (mut tape, mut names) = (Tape::default(), LayerNames::default());
    for (n, pair) in sizes.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let last = n + 2 == sizes.len();
        #[allow(clippy::cast_precision_loss)] // layers of 2⁵³ units do not fit in memory
        let fan = if activation == "relu" && !last { inputs } else { inputs + outputs } as f64;
        let limit = (6.0 / fan).sqrt();
        let w = Array2::from_shape_simple_fn((inputs, outputs), || limit * random.signed_unit());
        let params = Tensors::new().with(Name::W, w.into_dyn()).with(Name::B, Array1::zeros(outputs).into_dyn());
        push_layer(&mut tape, &mut names, "affine", params)?;
        if !last {
            push_layer(&mut tape, &mut names, activation, Tensors::new())?;
        }
    }
    push_layer(&mut tape, &mut names, "softmax-xent", Tensors::new())?;
    Ok(tape)
}

fn push_layer(tape: &mut Tape, names: &mut LayerNames, kind: &str, params: Tensors<f64>) -> Result<(), Error> {
    let Some(spec) = layer::find(kind) else {
        return Err(Error::new(Code::Setting, format!("unknown layer kind {kind:?}")));
    };
    let stage = Stage::new(spec, names.fresh(spec), Settings::default(), params)?;
    tape.push_named(names, stage)
}

/// Takes a step of gradient descent, w ← w − lr·dw for every learnt parameter. `gradients` has an item for each layer.
pub fn sgd_step(tape: &mut Tape, gradients: &[Tensors<f64>], lr: f64) -> Result<(), Error> {
    let precision = tape.precision;
    for (n, (stage, gradients)) in tape.stages.iter_mut().zip(gradients).enumerate() {
        for name in stage.learnt().collect::<Vec<_>>() {
            let Some(gradient) = gradients.get(&name.gradient()) else {
                return Err(Error::new(
                    Code::Tape,
                    format!("layer {}: the gradient {} is missing", stage.name, name.gradient()),
                )
                .tip("add gradients to a tape with nnlayer backward --tape"));
            };
            let Some(value) = stage.params.get(name) else { continue };
            let updated = descend(value, gradient, lr, precision).ok_or_else(|| {
                let (shape, expected) = (format_shape(value.shape()), format_shape(gradient.shape()));
                let message =
                    format!("shape {shape} does not match the shape {expected} of its gradient {}", name.gradient());
                stage.document_error(n, Error::new(Code::Shape, message).with_operand(name))
            })?;
            stage.params.insert(name.clone(), updated);
        }
    }
    Ok(())
}

/// Returns value − lr·gradient, or `None` if the shapes differ. A scalar b stands for a row, and becomes that row.
fn descend(value: &ArrayD<f64>, gradient: &ArrayD<f64>, lr: f64, precision: Precision) -> Option<ArrayD<f64>> {
    if value.ndim() > 0 && value.shape() != gradient.shape() {
        return None;
    }
    let mut updated = value.broadcast(gradient.raw_dim())?.to_owned();
    Zip::from(&mut updated).and(gradient).for_each(|value, &gradient| {
        *value = match precision {
            Precision::Exact => lr.mul_add(-gradient, *value),
            _ => precision.float_type().round(*value - lr * gradient),
        };
    });
    Some(updated)
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
                format!("expected one target for each of the {} rows of {}", self.rows(), Name::X),
            )
            .with_operand(&Name::T)
            .with_shape(&Name::X, self.x.shape())
            .with_shape(&Name::T, self.t.shape())
            .tip("give class indices as a vector of length N, or dense targets as N rows"));
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

/// Trains on every batch once; `on_progress` is called with the number of rows after each batch.
pub fn train_epoch(
    tape: &mut Tape,
    samples: &Samples,
    training: &Training,
    on_progress: impl Fn(usize),
) -> Result<Score, Error> {
    let mut totals = Totals::default();
    let size = usize::try_from(training.batch).unwrap_or(usize::MAX).max(1);
    let order = row_order(training, samples.rows());
    for (n, rows) in order.chunks(size).enumerate() {
        let gradients = totals.add_batch(tape, samples, rows, true).map_err(|error| {
            if training.shuffle { error } else { error.fact(format!("in the batch that starts at row {}", n * size)) }
        })?;
        sgd_step(tape, &gradients, training.lr)?;
        on_progress(rows.len());
    }
    Ok(totals.score())
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
    /// Runs a batch and adds its loss; returns the gradients of the loss if `with_gradients`.
    #[allow(clippy::cast_precision_loss)] // fewer rows than 2⁵³ fit in memory
    fn add_batch(
        &mut self,
        tape: &Tape,
        samples: &Samples,
        rows: &[usize],
        with_gradients: bool,
    ) -> Result<Vec<Tensors<f64>>, Error> {
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
        self.notes = run.notes;
        Ok(run.gradients.unwrap_or_default())
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
