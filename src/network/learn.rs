//! Learning: initial weights, the step down the gradient, epochs of batches.

use super::{Feed, Stage, Tape, run};
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Precision, Settings};
use ndarray::{Array1, Array2, ArrayD, Axis, IxDyn, Zip};

/// How far a network was trained, and how: what a checkpoint needs to go on from.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Epochs done.
    pub epoch: u64,
    /// Where the order of rows comes from.
    pub seed: u64,
    /// Rows a batch.
    pub batch: u64,
    /// The learning rate.
    pub lr: f64,
    /// Whether the rows of each epoch come in an order of their own.
    pub shuffle: bool,
}

/// A network of affine layers of `sizes` with `activation` between them and softmax-xent at the end.
///
/// W is uniform in ±√(6/in) before a relu (He), else in ±√(6/(in + out)) (Xavier); b is 0. Square roots are rounded the
/// same everywhere, so a seed gives the same network on every machine.
pub fn init(sizes: &[usize], activation: &str, seed: u64) -> Result<Tape, Error> {
    let mut random = SplitMix64::new(seed);
    let mut tape = Tape::default();
    for (n, pair) in sizes.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let last = n + 2 == sizes.len();
        #[allow(clippy::cast_precision_loss)] // layers of 2⁵³ units do not fit in memory
        let fan = if activation == "relu" && !last { inputs } else { inputs + outputs } as f64;
        let limit = (6.0 / fan).sqrt();
        let w = Array2::from_shape_simple_fn((inputs, outputs), || limit * random.signed());
        let params = Tensors::new().with(Name::W, w.into_dyn()).with(Name::B, Array1::zeros(outputs).into_dyn());
        add(&mut tape, "affine", params)?;
        if !last {
            add(&mut tape, activation, Tensors::new())?;
        }
    }
    add(&mut tape, "softmax-xent", Tensors::new())?;
    Ok(tape)
}

fn add(tape: &mut Tape, kind: &str, params: Tensors<f64>) -> Result<(), Error> {
    let Some(spec) = layer::find(kind) else {
        return Err(Error::new(Code::Setting, format!("{kind:?} is no kind of layer")));
    };
    let name = tape.fresh_name(spec);
    tape.push(Stage::new(spec, name, Settings::default(), params)?)
}

/// w ← w − lr·dw for every learnt parameter. `gradients` has one bundle a layer.
pub fn step(tape: &mut Tape, gradients: &[Tensors<f64>], lr: f64) -> Result<(), Error> {
    let precision = tape.precision;
    for (n, (stage, gradients)) in tape.stages.iter_mut().zip(gradients).enumerate() {
        for name in stage.learnt().collect::<Vec<_>>() {
            let Some(gradient) = gradients.get(&name.gradient()) else {
                return Err(Error::new(
                    Code::Tape,
                    format!("layer {}: the gradient {} is missing", stage.name, name.gradient()),
                )
                .tip("nnlayer backward --tape adds every gradient to a tape"));
            };
            let Some(value) = stage.params.get(name) else { continue };
            let updated = descend(value, gradient, lr, precision).ok_or_else(|| {
                stage.blame(
                    n,
                    Error::new(Code::Shape, format!("does not fit its gradient {}", name.gradient()))
                        .with_operand(name)
                        .with_shape(name, value.shape())
                        .with_shape(&name.gradient(), gradient.shape()),
                )
            })?;
            stage.params.insert(name.clone(), updated);
        }
    }
    Ok(())
}

/// value − lr·gradient; none where the shapes differ. A scalar b stands for a row, and becomes that row.
#[allow(clippy::cast_possible_truncation)] // rounding to f32 is what that precision means
fn descend(value: &ArrayD<f64>, gradient: &ArrayD<f64>, lr: f64, precision: Precision) -> Option<ArrayD<f64>> {
    if value.ndim() > 0 && value.shape() != gradient.shape() {
        return None;
    }
    let mut updated = value.broadcast(gradient.raw_dim())?.to_owned();
    Zip::from(&mut updated).and(gradient).for_each(|value, &gradient| {
        *value = match precision {
            Precision::F32 => f64::from(*value as f32 - lr as f32 * gradient as f32),
            Precision::F64 => *value - lr * gradient,
            Precision::Exact => lr.mul_add(-gradient, *value),
        };
    });
    Some(updated)
}

/// What an epoch or an evaluation came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// The mean loss of a row.
    pub loss: f64,
    /// The share of rows whose largest output is the target's; none where there is nothing to compare.
    pub accuracy: Option<f64>,
}

/// Samples and their targets, a row each.
pub struct Samples {
    /// The inputs, (N, in).
    pub x: ArrayD<f64>,
    /// The targets, (N) or (N, C).
    pub t: ArrayD<f64>,
    /// The rounding of the type that the targets were stored in.
    pub rounding: f64,
}

impl Samples {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.x.shape().first().copied().unwrap_or(0)
    }

    /// Refuses samples that cannot be cut into batches.
    pub fn admit(&self) -> Result<(), Error> {
        if self.x.ndim() != 2 || self.rows() == 0 {
            return Err(Error::new(Code::Rank, "is no matrix of samples: a row each, at least one")
                .with_operand(&Name::X)
                .with_shape(&Name::X, self.x.shape()));
        }
        if self.t.ndim() == 0 || self.t.shape()[0] != self.rows() {
            return Err(Error::new(
                Code::Shape,
                format!("does not have one target for each of the {} rows of {}", self.rows(), Name::X),
            )
            .with_operand(&Name::T)
            .with_shape(&Name::X, self.x.shape())
            .with_shape(&Name::T, self.t.shape())
            .tip("class indices are a vector of N, dense targets N rows"));
        }
        Ok(())
    }

    fn at(&self, rows: &[usize]) -> (ArrayD<f64>, ArrayD<f64>) {
        (self.x.select(Axis(0), rows), self.t.select(Axis(0), rows))
    }
}

/// The order of an epoch's rows: as they stand, or shuffled by the seed and the epoch's number.
pub fn order(training: &Training, rows: usize) -> Vec<usize> {
    if training.shuffle { SplitMix64::stream(training.seed, training.epoch).order(rows) } else { (0..rows).collect() }
}

/// One epoch of gradient descent over all batches; `done` hears of so many more rows.
pub fn epoch(tape: &mut Tape, samples: &Samples, training: &Training, done: impl Fn(usize)) -> Result<Score, Error> {
    let mut tally = Tally::default();
    let size = usize::try_from(training.batch).unwrap_or(usize::MAX).max(1);
    let order = order(training, samples.rows());
    for (n, rows) in order.chunks(size).enumerate() {
        let gradients = tally.add(tape, samples, rows, true).map_err(|error| {
            if training.shuffle { error } else { error.fact(format!("in the batch that begins at row {}", n * size)) }
        })?;
        step(tape, &gradients, training.lr)?;
        done(rows.len());
    }
    Ok(tally.score())
}

/// The score of a network as it stands, over all rows at once, and what the layers had to say.
pub fn evaluate(tape: &Tape, samples: &Samples) -> Result<(Score, Vec<Note>), Error> {
    let mut tally = Tally::default();
    tally.add(tape, samples, &(0..samples.rows()).collect::<Vec<_>>(), false)?;
    Ok((tally.score(), tally.notes))
}

/// Losses and hits so far.
#[derive(Default)]
struct Tally {
    rows: f64,
    loss: f64,
    hits: Option<f64>,
    notes: Vec<Note>,
}

impl Tally {
    /// Runs a batch; gives the gradients of its loss where they are `wanted`.
    #[allow(clippy::cast_precision_loss)] // fewer rows than 2⁵³ fit in memory
    fn add(
        &mut self,
        tape: &Tape,
        samples: &Samples,
        rows: &[usize],
        wanted: bool,
    ) -> Result<Vec<Tensors<f64>>, Error> {
        let (x, t) = samples.at(rows);
        let feed = Feed { x: &x, t: Some(&t), rounding: &|_| samples.rounding };
        let mut one = |_: &Stage, shape: &[usize]| Ok(wanted.then(|| ArrayD::from_elem(IxDyn(shape), 1.0)));
        let run = run(tape, &feed, &mut one)?;
        let count = rows.len() as f64;
        let loss = run.outputs.last().and_then(|outputs| outputs.get(&Name::LOSS)).map_or(f64::NAN, |loss| loss.sum());
        let mean = run.outputs.last().is_some_and(|outputs| outputs.get(&Name::DIVISOR).is_some());
        self.loss += if mean { loss * count } else { loss };
        self.rows += count;
        if let Some(hits) = hits(&run, &t) {
            *self.hits.get_or_insert(0.0) += hits;
        }
        self.notes = run.notes;
        Ok(run.gradients.unwrap_or_default())
    }

    fn score(&self) -> Score {
        Score { loss: self.loss / self.rows, accuracy: self.hits.map(|hits| hits / self.rows) }
    }
}

/// The number of rows whose largest output is the target's class, or the largest of dense targets.
#[allow(clippy::cast_precision_loss)] // fewer rows and classes than 2⁵³ fit in memory
fn hits(run: &super::Run, t: &ArrayD<f64>) -> Option<f64> {
    let y = run.outputs.last()?.get(&Name::Y).or_else(|| run.inputs.last()?.get(&Name::Y))?;
    if y.ndim() != 2 || y.shape()[1] < 2 {
        return None;
    }
    let hit = |n: usize| {
        let guess = largest(y.index_axis(Axis(0), n).iter());
        match (t.ndim(), t.shape()) {
            (2, [_, 1]) => t[[n, 0]] == guess as f64,
            (2, _) => largest(t.index_axis(Axis(0), n).iter()) == guess,
            _ => t[[n]] == guess as f64,
        }
    };
    Some((0..y.shape()[0]).filter(|&n| hit(n)).count() as f64)
}

fn largest<'a>(row: impl Iterator<Item = &'a f64>) -> usize {
    let first = (0, f64::NEG_INFINITY);
    row.enumerate().fold(first, |best, (k, &value)| if value > best.1 { (k, value) } else { best }).0
}
