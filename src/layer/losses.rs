//! Losses of single entries: loss = Σ f(x, t), and dx = dout·∂f/∂x, entry by entry.
//!
//! Each is a row of one table (`rows`): its names and formulas, its settings, and a [`Function`], which has f and its slope by x.
//!
//! - Forward: loss = Σ w·f(x, t)/d; d is 1 for sum, the number of entries for mean, and the size of axis 0 for batchmean.
//! - Backward: dx = dout·w·∂f/∂x/d; at a kink the slope is PyTorch's, and that of bce is PyTorch's everywhere, as the row says.
//! - Shapes: x of any shape, t as x, weights broadcast to it as in NumPy; loss a scalar, with `--reduction none` of the shape of x.
//! - Refuses: targets of another shape, probabilities outside [0, 1], settings out of range, the mean over no entries.
//! - Accuracy: the loss of an entry within 2 ulp; terms of a sum and slopes within a few, and sums with the errors of all additions.
//! - Source: PyTorch's documentation of each loss, whose names, defaults and weights these are; its default reduction is mean.
//!
//! ```
//! use ndarray::{arr0, array};
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let mse = (layer::find("mse").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![1.0, 4.0].into_dyn()).with(Name::T, array![0.0, 2.0].into_dyn());
//! let outcome = layer::compute(mse.as_ref(), &at, Some(&arr0(1.0).into_dyn()), layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::LOSS), &arr0(5.0).into_dyn());
//! assert_eq!(outcome.gradients.known(&Name::DX), &array![2.0, 4.0].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

pub(super) mod rows;

use super::arrays::{broadcast, count, elements};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AllTargets, Given, Layer};
use super::pointwise::{sigmoid, softplus};
use super::precision::Precision;
use super::reduction::{Divisor, Reduction};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use crate::ops::{ArrayOps, Formula};
use ndarray::{ArrayD, Dimension};
use std::borrow::Cow;
use std::ops::Range;

/// Weight of the positive class in bce-logits.
const POS_WEIGHT: Name = Name::fixed("pos-weight");

/// The loss of one entry, with its settings.
#[derive(Clone, Copy, Debug)]
enum Function {
    /// (x − t)².
    Mse,
    /// |x − t|.
    L1,
    /// (x − t)²/2, or delta·(|x − t| − delta/2) where |x − t| > delta.
    Huber { delta: f64 },
    /// (x − t)²/(2·beta), or |x − t| − beta/2 where |x − t| ≥ beta.
    SmoothL1 { beta: f64 },
    /// −t·log x − (1 − t)·log(1 − x), with logarithms of at least `clamp`.
    Bce { clamp: f64 },
    /// −p·t·log σ(x) − (1 − t)·log(1 − σ(x)).
    BceLogits,
    /// t·(log t − x), or eᵗ·(t − x) if t are logarithms.
    KlDiv { log_target: bool },
}

/// Smallest divisor of the gradient of bce, as in PyTorch.
const SMALLEST_VARIANCE: f64 = 1e-12;

impl Function {
    /// Returns f(x, t), with the weight of the positive class.
    fn value<S: Scalar>(self, x: S, t: S, positive: Option<S>) -> S {
        let (zero, one, half, number) = (S::zero(), S::one(), S::from_f64(0.5), S::from_f64);
        let (high, low) = if x > t { (x, t) } else { (t, x) };
        // |x − t| less a constant.
        let shifted_distance =
            |shift: S| S::stable_or_textbook(|| S::log_shifted(high, low, shift), || (x - t).abs() - shift);
        match self {
            Function::Mse => S::squared_difference(x, t),
            Function::L1 => S::stable_or_textbook(|| high - low, || (x - t).abs()),
            Function::Huber { delta } if high - low <= number(delta) => half * S::squared_difference(x, t),
            Function::Huber { delta } => number(delta) * shifted_distance(half * number(delta)),
            Function::SmoothL1 { beta } if high - low < number(beta) => {
                half * S::squared_difference(x, t) / number(beta)
            }
            Function::SmoothL1 { beta } => shifted_distance(half * number(beta)),
            Function::Bce { clamp } => {
                let log = |log: S| log.clip(number(clamp), number(f64::INFINITY));
                let rest = S::stable_or_textbook(|| (-x).ln_1p(), || (one - x).ln());
                weighted_sum((t, || -log(x.ln())), (one - t, || -log(rest)), t)
            }
            Function::BceLogits => {
                let factor = positive.map_or(t, |positive| positive * t);
                let stable = || weighted_sum((factor, || softplus(-x)), (one - t, || softplus(x)), t);
                S::stable_or_textbook(stable, || {
                    let log = |x: S| (one + x.exp()).ln();
                    positive.map_or_else(|| (one - t) * x + log(-x), |_| factor * log(-x) + (one - t) * log(x))
                })
            }
            Function::KlDiv { log_target: false } if t == zero && !x.is_nan() => zero,
            Function::KlDiv { log_target: false } => t * (t.ln() - x),
            Function::KlDiv { log_target: true } if t == number(f64::NEG_INFINITY) && !x.is_nan() => zero,
            Function::KlDiv { log_target: true } => t.exp() * (t - x),
        }
    }

    /// Returns ∂f/∂x.
    fn slope<S: Scalar>(self, x: S, t: S, positive: Option<S>) -> S {
        let (one, number) = (S::one(), S::from_f64);
        let distance = if x > t { x - t } else { t - x };
        match self {
            Function::Mse => number(2.0) * (x - t),
            Function::L1 => sign(x, t),
            Function::Huber { delta } if distance <= number(delta) => x - t,
            Function::Huber { delta } => number(delta) * sign(x, t),
            Function::SmoothL1 { beta } if distance < number(beta) => (x - t) / number(beta),
            Function::SmoothL1 { .. } => sign(x, t),
            Function::Bce { .. } => {
                let (variance, smallest) = (x * (one - x), number(SMALLEST_VARIANCE));
                (x - t) / if variance < smallest { smallest } else { variance }
            }
            Function::BceLogits => {
                let factor = positive.map_or(t, |positive| positive * t);
                let stable = || weighted_sum((factor, || -sigmoid(-x)), (one - t, || sigmoid(x)), t);
                S::stable_or_textbook(stable, || positive.map_or(one, |_| one - t + factor) * sigmoid(x) - factor)
            }
            Function::KlDiv { log_target: false } => -t + zero_unless_nan(x),
            Function::KlDiv { log_target: true } => -t.exp() + zero_unless_nan(x),
        }
    }

    /// Returns true if plain arithmetic is accurate: a few additions and products that keep their rounding errors.
    fn is_polynomial(self) -> bool {
        match self {
            Function::Mse | Function::L1 | Function::Huber { .. } => true,
            Function::SmoothL1 { beta } => beta == 1.0,
            Function::Bce { .. } | Function::BceLogits | Function::KlDiv { .. } => false,
        }
    }
}

/// Returns the sum of two products for a target t: the first factor is 0 where t = 0, the second where t = 1, and such a product is
/// 0 whatever the other factor.
fn weighted_sum<S: Scalar>(
    (positive, first): (S, impl FnOnce() -> S),
    (negative, second): (S, impl FnOnce() -> S),
    t: S,
) -> S {
    if t == S::zero() {
        negative * second()
    } else if t == S::one() {
        positive * first()
    } else {
        positive * first() + negative * second()
    }
}

/// Returns the sign of x − t.
fn sign<S: Scalar>(x: S, t: S) -> S {
    if x > t {
        S::one()
    } else if x < t {
        -S::one()
    } else {
        x - t
    }
}

/// Returns 0, or NaN for NaN.
fn zero_unless_nan<S: Scalar>(x: S) -> S {
    if x.is_nan() { x } else { S::zero() }
}

/// f, or its slope, as a formula of x, t and the weight of the positive class.
#[derive(Clone, Copy)]
struct Entry {
    function: Function,
    is_slope: bool,
    /// True if it is a result of its own, within 2 ulp; the terms of a sum and the factors of a gradient may be off by a few.
    is_result: bool,
}

impl Entry {
    fn apply<S: Scalar>(&self, x: S, t: S, positive: Option<S>) -> S {
        if self.is_slope { self.function.slope(x, t, positive) } else { self.function.value(x, t, positive) }
    }

    /// Returns true unless all terms have the same sign.
    fn has_signs(&self, t: f64, positive: f64) -> bool {
        match self.function {
            Function::KlDiv { .. } => true,
            Function::BceLogits | Function::Bce { .. } => !((0.0..=1.0).contains(&t) && positive >= 0.0),
            _ => false,
        }
    }
}

impl Formula<2> for Entry {
    fn compute<S: Scalar>(&self, [x, t]: [S; 2]) -> S {
        self.apply(x, t, None)
    }

    fn may_cancel(&self, [_, t]: [f64; 2]) -> bool {
        self.has_signs(t, 1.0)
    }
}

impl Formula<3> for Entry {
    fn compute<S: Scalar>(&self, [x, t, positive]: [S; 3]) -> S {
        self.apply(x, t, Some(positive))
    }

    fn may_cancel(&self, [_, t, positive]: [f64; 3]) -> bool {
        self.has_signs(t, positive)
    }
}

/// A loss of single entries.
struct EntryLoss {
    function: Function,
    reduction: Reduction,
    /// True if a mean divides by the size of axis 0.
    by_batch: bool,
    /// Name of the input: x, or y for probabilities.
    input: Name,
    /// Formula of the loss of an entry.
    term: &'static str,
}

/// The entries of a loss, in row-major order.
struct Entries<'a, S: Clone> {
    x: &'a [S],
    t: &'a [S],
    weight: Option<Cow<'a, ArrayD<S>>>,
    positive: Option<Cow<'a, ArrayD<S>>>,
}

/// Number of entries that are computed together.
const CHUNK_ENTRIES: usize = 1024;

impl<S: ArrayOps> Entries<'_, S> {
    /// Computes a formula of the entries of a range, times their weights.
    fn fill(&self, range: Range<usize>, formula: Entry, out: &mut [S]) {
        let (x, t) = (&self.x[range.clone()], &self.t[range.clone()]);
        let weights =
            |weights: &Option<Cow<'_, ArrayD<S>>>| weights.as_ref()?.as_slice().map(|w| w[range.clone()].to_vec());
        match (weights(&self.positive), formula.is_result && !formula.function.is_polynomial()) {
            (Some(positive), true) => S::map_formula([x, t, &positive], out, &formula),
            (Some(positive), false) => {
                S::map_elements(None, [x, t, &positive], out, |inputs| formula.compute(inputs));
            }
            (None, true) => S::map_formula([x, t], out, &formula),
            (None, false) => S::map_elements(None, [x, t], out, |inputs| formula.compute(inputs)),
        }
        if let Some(weight) = weights(&self.weight) {
            out.iter_mut().zip(weight).for_each(|(out, weight)| *out = weight * *out);
        }
    }
}

impl EntryLoss {
    fn entries<'a, S: ArrayOps>(&self, at: &'a Tensors<S>) -> Entries<'a, S> {
        let x = at.known(&self.input);
        let weight = |name: &Name| at.get(name).map(|weight| broadcast(weight, x.shape()));
        Entries {
            x: elements(x),
            t: elements(at.known(&Name::T)),
            weight: weight(&Name::WEIGHT),
            positive: weight(&POS_WEIGHT),
        }
    }

    fn is_mean(&self) -> bool {
        matches!(self.reduction, Reduction::Mean { .. })
    }

    /// Returns the divisor of a mean for an input of that shape.
    fn divisor_of(&self, shape: &[usize]) -> f64 {
        count(if self.by_batch { shape.first().copied().unwrap_or(1) } else { shape.iter().product() })
    }

    fn divisor<S: ArrayOps>(&self, at: &Tensors<S>) -> Divisor<S> {
        Divisor::new(at, || S::from_f64(self.divisor_of(at.known(&self.input).shape())))
    }

    /// Returns the entries of bce whose gradient is not the derivative, since it is divided by a smallest divisor and knows nothing of
    /// the least value of a logarithm, each with its derivative without and with that least value.
    fn limited_entries(&self, at: &Tensors<f64>) -> Vec<(usize, [f64; 2])> {
        let Function::Bce { clamp } = self.function else { return Vec::new() };
        let entries = self.entries(at);
        let slopes = |(n, (&y, &t)): (usize, (&f64, &f64))| {
            let is_limited = |factor: f64, log: f64| factor != 0.0 && log < clamp;
            let limited = [is_limited(t, Scalar::ln(y)), is_limited(1.0 - t, Scalar::ln_1p(-y))];
            let terms = [-t / y, (1.0 - t) / (1.0 - y)].map(|term| if term.is_nan() { 0.0 } else { term });
            let kept = |k: usize| if limited[k] { 0.0 } else { terms[k] };
            let is_defined = y * (1.0 - y) < SMALLEST_VARIANCE || limited[0] || limited[1];
            is_defined.then_some((n, [terms[0] + terms[1], kept(0) + kept(1)]))
        };
        entries.x.iter().zip(entries.t).enumerate().filter_map(slopes).collect()
    }

    /// Returns true if a row needs none of the others: there is a loss for all rows, and no weight that may extend over them.
    fn has_rows(&self, rank: usize) -> bool {
        let is_weighted = matches!(self.function, Function::Bce { .. } | Function::BceLogits);
        rank > 0 && self.reduction != Reduction::None && !is_weighted
    }
}

impl Admit for EntryLoss {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (x, t) = (given.at.known(&self.input), given.at.known(&Name::T));
        if t.shape() != x.shape() {
            return Err(shape_error(&self.input, x, t));
        }
        for name in [Name::WEIGHT, POS_WEIGHT] {
            let weight = given.at.get(&name).filter(|weight| weight.broadcast(x.raw_dim()).is_none());
            if let Some(weight) = weight {
                let (expected, got) = (format_shape(x.shape()), format_shape(weight.shape()));
                let message =
                    format!("expected a shape that broadcasts to that of {}, {expected}, got {got}", self.input);
                return Err(Error::new(Code::Shape, message)
                    .with_operand(&name)
                    .with_shape(&self.input, x.shape())
                    .with_shape(&name, weight.shape())
                    .tip("give one weight for all entries, one for each entry of a row, or one for each entry"));
            }
        }
        self.reduction.admit(self.divisor(given.at).value(), &format!("{} has no entries", self.input))?;
        self.admit_probabilities(x, t)
    }

    fn independent_rows(&self, rank: usize) -> bool {
        self.has_rows(rank) && !self.is_mean()
    }

    fn divisor(&self, _: &Tensors<f64>, all: AllTargets<'_>, _: Precision) -> Option<f64> {
        (self.is_mean() && self.has_rows(all.input.len())).then(|| self.divisor_of(&all.input))
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        if self.reduction == Reduction::None { at.known(&self.input).shape().to_vec() } else { vec![] }
    }

    fn defined_entries(&self, at: &Tensors<f64>, _: &Name) -> Vec<usize> {
        self.limited_entries(at).into_iter().map(|(n, _)| n).collect()
    }

    fn derivatives_elsewhere(&self, at: &Tensors<f64>, dout: &ArrayD<f64>) -> Vec<(usize, f64)> {
        let (entries, divisor) = (self.entries(at), self.divisor(at));
        let scaled = |(n, slopes): (usize, [f64; 2])| {
            let weight = entries.weight.as_ref().map_or(1.0, |weight| elements(weight)[n]);
            let scale = self.reduction.scale(dout, n, divisor);
            slopes.map(|slope| (n, scale.apply(weight * slope)))
        };
        self.limited_entries(at).into_iter().flat_map(scaled).collect()
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        match self.function {
            Function::KlDiv { log_target: true } => vec![(Name::LOSS, "Σ eᵗ·(t − x)"), (Name::DX, "−eᵗ")],
            Function::BceLogits if at.get(&POS_WEIGHT).is_some() => vec![
                (Name::LOSS, "−Σ p·t·log σ(x) + (1 − t)·log(1 − σ(x)), p = pos-weight"),
                (Name::DX, "(1 − t + p·t)·σ(x) − p·t"),
            ],
            _ => Vec::new(),
        }
    }
}

impl EntryLoss {
    /// Refuses inputs whose logarithm is undefined; returns a warning of targets that are no probabilities.
    fn admit_probabilities(&self, x: &ArrayD<f64>, t: &ArrayD<f64>) -> Result<Vec<Note>, Error> {
        let find = |array: &ArrayD<f64>, is_wrong: fn(f64) -> bool| {
            let mut found = array.indexed_iter().filter(|(_, value)| is_wrong(**value));
            found.next().map(|(at, value)| (at.slice().to_vec(), *value))
        };
        let error = |name: &Name, (at, value): (Vec<usize>, f64), problem: &str| {
            Error::new(Code::ProbabilitySum, format!("contains {value}, {problem}")).with_operand(name).at_index(&at)
        };
        let outside = |value: f64| !(value.is_nan() || (0.0..=1.0).contains(&value));
        let is_probability = "which is not a probability";
        match self.function {
            Function::Bce { .. } | Function::BceLogits => {
                let is_bce = matches!(self.function, Function::Bce { .. });
                if let Some(found) = find(x, outside).filter(|_| is_bce) {
                    return Err(error(&self.input, found, is_probability).tip("use bce-logits for logits"));
                }
                let found = find(t, outside).map(|found| error(&Name::T, found, is_probability));
                Ok(found.map(Note::warning).into_iter().collect())
            }
            Function::KlDiv { log_target: false } => match find(t, |value| value < 0.0) {
                Some(found) => Err(error(&Name::T, found, is_probability).tip("use --log-target if t are logarithms")),
                None => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }
}

fn shape_error(input: &Name, x: &ArrayD<f64>, t: &ArrayD<f64>) -> Error {
    let (expected, got) = (format_shape(x.shape()), format_shape(t.shape()));
    let error = Error::new(Code::Shape, format!("expected the shape of {input}, {expected}, got {got}"))
        .with_operand(&Name::T)
        .with_shape(&Name::T, t.shape())
        .with_shape(input, x.shape());
    let single = |value: &ArrayD<f64>| value.first().filter(|_| value.ndim() == 0).copied();
    if let Some(number) = single(t).or(single(x)).filter(|_| x.len() == 1 && t.len() == 1) {
        return error.tip(format!("write a vector of one entry as '[{number}]'"));
    }
    error.tip("give one target for each entry: targets are not broadcast, so reshape one of them, such as (4×1) to (4)")
}

impl<S: ArrayOps> Layer<S> for EntryLoss {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let (entries, function, len) = (self.entries(at), self.function, at.known(&self.input).len());
        let is_result = self.reduction == Reduction::None || len == 1;
        let terms = |n: usize| {
            let range = n * CHUNK_ENTRIES..len.min((n + 1) * CHUNK_ENTRIES);
            let mut terms = vec![S::zero(); range.len()];
            entries.fill(range, Entry { function, is_slope: false, is_result }, &mut terms);
            terms.into_iter().map(|term| term.named("term", self.term))
        };
        let results = if self.reduction == Reduction::None {
            let losses: Vec<S> =
                (0..len.div_ceil(CHUNK_ENTRIES)).flat_map(terms).map(|term| term + S::zero()).collect();
            let losses = ArrayD::from_shape_vec(at.known(&self.input).raw_dim(), losses);
            Tensors::new().with(Name::LOSS, losses.unwrap_or_else(|_| unreachable!("there is a loss for each entry")))
        } else {
            let sum = S::sum_all_rows(len.div_ceil(CHUNK_ENTRIES), CHUNK_ENTRIES, terms);
            self.reduction.divided(sum, self.divisor(at))
        };
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(self.input.gradient(), move || {
            let (x, entries, divisor) = (at.known(&self.input), self.entries(at), self.divisor(at));
            let slope = Entry { function: self.function, is_slope: true, is_result: false };
            let dx = S::fill_chunks(x.len(), CHUNK_ENTRIES, |n, dx| {
                let begin = n * CHUNK_ENTRIES;
                entries.fill(begin..begin + dx.len(), slope, dx);
                let mut scale = self.reduction.scale(dout, begin, divisor);
                for (k, dx) in dx.iter_mut().enumerate() {
                    if dout.ndim() > 0 {
                        scale.dout = elements(dout)[begin + k];
                    }
                    *dx = scale.apply(*dx);
                }
            });
            let dx = ArrayD::from_shape_vec(x.raw_dim(), dx);
            dx.unwrap_or_else(|_| unreachable!("there is an element for each place"))
        })
    }
}
