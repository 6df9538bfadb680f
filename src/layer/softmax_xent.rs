//! Softmax with cross-entropy: loss = −Σ t·log softmax(x), computed without log(y).
//!
//! - Forward: y = softmax(x), loss = −Σ E·log_softmax(x)/d with E = ((1 − ls)·t + ls/C)·w per entry, ignored rows 0.
//! - Backward: dx = (y·Σ_row E − E)/d, without options y·Σt − t, the y − t of docs/tutorial.md.
//! - Shapes: x (N, C), (N, C, d…) or (C), the classes along `--axis`; t of the shape of x, or class indices of that shape without
//!   the class axis; weight (C); loss a scalar, with `none` of the shape of class indices.
//! - Refuses: targets or weights whose shape does not match x, indices out of range, +inf or a row of only −inf that counts, a
//!   smoothing outside [0, 1], ignore-index with dense targets, the mean over no rows.
//! - Accuracy: y within 2 ulp, a loss of one term within 2 ulp for any logits. Where y − t cancels since y is nearly 1, dx is minus
//!   the sum of the other probabilities, within 2 ulp.
//! - Source: the Softmax-with-Loss layer of docs/tutorial.md; options as PyTorch's `cross_entropy` defines them.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let layer = (layer::find("softmax-xent").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![0.0, 800.0].into_dyn()).with(Name::T, ndarray::arr0(0.0).into_dyn());
//! let outcome = layer::compute(layer.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::LOSS), &ndarray::arr0(800.0).into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::{count, elements};
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AllTargets, AnyLayer, Given, Layer, MatrixOperation};
use super::lanes::{Lanes, axis_error, class_axis, class_lanes};
use super::masked_rows::{MASKED_ROWS, MaskedRows};
use super::precision::Precision;
use super::reduction::{Divisor, EMPTY, REDUCTION, Reduction};
use super::settings::{Kind, Setting, Settings};
use super::softmax::APPLIED_TWICE;
use super::softmax::{admit_logits, warn_of_softmax_twice};
use super::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use super::targets;
use super::targets::{CLASS_AXIS, T_KIND, TargetKind, Targets};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::{ArrayOps, fill_rows, log_probability, matrix};
use ndarray::{ArrayD, ArrayView1, Axis};
use std::ops::{Range, RangeInclusive};

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "softmax-xent",
    about: "loss = −Σ t·log softmax(x), softmax and cross-entropy in one",
    outputs: &[(Name::Y, "softmax(x)"), (Name::LOSS, "−Σ t·log softmax(x)")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, "(N×C…) or (C)", "y·Σt − t", "logits"), Slot::targets("as x or (N…)"), WEIGHT],
    settings: &[REDUCTION, IGNORE_INDEX, LABEL_SMOOTHING, CLASS_AXIS, T_KIND, EMPTY, MASKED_ROWS],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        APPLIED_TWICE,
        Convention {
            kind: "softmax over the wrong axis",
            explanation: "it is the gradient of a softmax of each column, expected a softmax of each row",
            gradient: |case| with_softmax_along(case, 2..=2, 0),
        },
        Convention {
            kind: "softmax over the wrong axis",
            explanation: "it is the gradient of a softmax along the first axis, expected one along the class axis",
            gradient: |case| with_softmax_along(case, 3..=usize::MAX, 0),
        },
        Convention {
            kind: "softmax over the wrong axis",
            explanation: "it is the gradient of a softmax along the last axis, expected one along the class axis",
            gradient: |case| with_softmax_along(case, 3..=usize::MAX, -1),
        },
        Convention {
            kind: "softmax left out",
            explanation: "it uses x instead of y = softmax(x); is the softmax missing?",
            gradient: |case| case.with_probabilities(case.operands.get(&Name::X)?),
        },
        Convention {
            kind: "unnormalised targets",
            explanation: "it is y − t, but these targets do not sum to 1; the correct gradient is y·Σt − t",
            gradient: with_targets_of_sum_one,
        },
    ],
    examples: &[
        Example {
            command: "nnlayer softmax-xent --x 0.3,2.9,4 --t 0,0,1",
            prints: "\
y = softmax(x)  (3)
[0.01821127 0.24519181 0.73659691]

loss = −Σ t·log softmax(x)  (scalar)
0.3057144648124521

dx = y·Σt − t  (3)
[ 0.01821127  0.24519181 -0.26340309]
",
        },
        Example {
            command: "nnlayer softmax-xent --x '0,0;0,800' --t 1,0 --reduction none --only loss --json",
            prints: "{\"loss\":[0.6931471805599453,800.0]}\n",
        },
    ],
    source: "the Softmax-with-Loss layer of docs/tutorial.md; options as in PyTorch's cross_entropy",
    build: |settings| Ok(Box::new(SoftmaxXent::new(settings)?) as Box<dyn AnyLayer>),
};

/// Returns the gradient with a softmax along an axis of logits of one of these ranks.
fn with_softmax_along(case: &GradientCase<'_>, ranks: RangeInclusive<usize>, axis: i64) -> Option<ArrayD<f64>> {
    let x = case.operands.get(&Name::X).filter(|x| ranks.contains(&x.ndim()))?;
    let lanes = Lanes::along(x.shape(), Some(axis), 0)?;
    let rows = lanes.rows(x);
    case.with_probabilities(&if rows.is_empty() { x.clone() } else { lanes.restore(f64::softmax_rows(rows.view()).0) })
}

/// Returns y·s − t·s, the gradient where each row of targets sums to 1.
fn with_targets_of_sum_one(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let (y, factor) = case.probabilities_and_factor()?;
    let t = case.operands.get(&Name::T).filter(|t| t.shape() == y.shape() && t.ndim() > 0)?;
    let axis = Axis(class_lanes(t.shape(), case.settings)?.axis());
    let sums = t.sum_axis(axis).insert_axis(axis);
    let excess = &y * &factor * (1.0 - 1.0 / sums);
    Some(case.right - &excess)
}

/// The weights of the classes.
pub(super) const WEIGHT: Slot = Slot {
    name: Name::WEIGHT,
    role: Role::Constant,
    shape: "(C)",
    optional: true,
    values: Values::Numbers,
    gradient: None,
    doc: "weight of each class",
};

/// The setting `--ignore-index`.
pub(super) const IGNORE_INDEX: Setting =
    Setting { name: "ignore-index", kind: Kind::Integer, doc: "class index whose rows are ignored; none by default" };
const LABEL_SMOOTHING: Setting = Setting {
    name: "label-smoothing",
    kind: Kind::Number(&[0.0, 0.1]),
    doc: "label smoothing ls in [0, 1]; targets become (1 − ls)·t + ls/C",
};

/// loss = −Σ E·log_softmax(x)/d.
pub(super) struct SoftmaxXent {
    pub(super) reduction: Reduction,
    kind: Option<TargetKind>,
    ignore: Option<i64>,
    smoothing: f64,
    axis: Option<i64>,
    masked: MaskedRows,
}

impl SoftmaxXent {
    /// Returns the loss with the given settings.
    pub(super) fn new(settings: &Settings) -> Result<SoftmaxXent, Error> {
        let smoothing = settings.number(LABEL_SMOOTHING.name).unwrap_or(0.0);
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::new(Code::Setting, format!("expected a number from 0 to 1, got {smoothing}"))
                .with_operand(&Name::new(LABEL_SMOOTHING.name))
                .tip("use the share of the target to spread over all classes, such as 0.1"));
        }
        Ok(SoftmaxXent {
            reduction: Reduction::new(settings)?,
            kind: TargetKind::from_settings(settings),
            ignore: settings.integer(IGNORE_INDEX.name),
            smoothing,
            axis: settings.integer(CLASS_AXIS.name),
            masked: MaskedRows::new(settings),
        })
    }

    /// Returns the lanes of classes, if x has the axis.
    fn lanes(&self, shape: &[usize]) -> Option<Lanes> {
        Lanes::along(shape, self.axis, class_axis(shape.len()))
    }

    /// Returns the lanes of classes of admitted operands.
    pub(super) fn known_lanes<S>(&self, at: &Tensors<S>) -> Lanes {
        self.lanes(at.known(&Name::X).shape()).unwrap_or_else(|| unreachable!("admitted"))
    }

    /// Returns true if no lane of an operand of that rank extends over several rows.
    fn has_rows(&self, rank: usize) -> bool {
        self.lanes(&vec![1; rank]).is_some_and(|lanes| lanes.axis() > 0)
    }

    fn kind<S>(&self, at: &Tensors<S>) -> TargetKind {
        self.kind.unwrap_or_else(|| TargetKind::by_rank(at.known(&Name::T).ndim(), at.known(&Name::X).ndim()))
    }

    fn targets<'a, S: ArrayOps>(&self, at: &'a Tensors<S>, lanes: &Lanes) -> Targets<'a, S> {
        Targets::new(at.known(&Name::T), lanes, self.kind(at), self.ignore)
    }

    /// Returns the divisor of a mean.
    pub(super) fn compute_divisor<S: ArrayOps>(&self, at: &Tensors<S>, lanes: &Lanes) -> Divisor<S> {
        Divisor::new(at, || match self.targets(at, lanes) {
            Targets::Dense(t) => S::from_f64(count(t.nrows())),
            Targets::Index(classes) => total_weight(classes.into_iter().flatten(), at.get(&Name::WEIGHT)),
        })
    }

    /// Returns the factors E of the log-probabilities.
    pub(super) fn terms<'a, S: ArrayOps>(&self, at: &'a Tensors<S>, lanes: &Lanes) -> Terms<'a, S> {
        let smoothing = S::from_f64(self.smoothing);
        Terms {
            t: self.targets(at, lanes),
            weight: at.get(&Name::WEIGHT),
            smoothing: (self.smoothing != 0.0)
                .then_some((S::one() - smoothing, smoothing / S::from_f64(count(lanes.len())))),
        }
    }

    /// Refuses targets and weights that do not match x; returns the lanes of classes, and warnings.
    pub(super) fn admit_targets(&self, given: &Given<'_>) -> Result<(Lanes, Vec<Note>), Error> {
        let x = given.at.known(&Name::X);
        let lanes = self.lanes(x.shape()).ok_or_else(|| axis_error(&Name::X, x.shape(), self.axis))?;
        let (kind, notes) = targets::admit(given, &Name::X, (&lanes, self.axis), self.kind, self.ignore)?;
        if let Some(weight) = given.at.get(&Name::WEIGHT) {
            admit_weight(weight, x, lanes.len())?;
        }
        if self.ignore.is_some() && kind == TargetKind::Dense {
            return Err(Error::new(Code::Setting, "requires class indices, but t has dense targets")
                .with_operand(&Name::new(IGNORE_INDEX.name))
                .with_shape(&Name::T, given.at.known(&Name::T).shape())
                .tip("use a row of zeros to ignore a sample, or class indices, which have one rank less than x"));
        }
        self.reduction.admit(
            self.compute_divisor(given.at, &lanes).value(),
            "all rows are ignored, or the weights of the others sum to 0",
        )?;
        Ok((lanes, notes))
    }

    /// Returns true if row `n` of logits, whose largest is `max`, is masked throughout and therefore has results of 0.
    fn is_zero<S: ArrayOps>(&self, max: S, terms: &Terms<'_, S>, n: usize) -> bool {
        max == S::from_f64(f64::NEG_INFINITY) && (self.masked != MaskedRows::Nan || !terms.t.counts(n))
    }
}

/// The factors E of the log-probabilities.
pub(super) struct Terms<'a, S> {
    t: Targets<'a, S>,
    weight: Option<&'a ArrayD<S>>,
    /// 1 − ls, and ls/C.
    smoothing: Option<(S, S)>,
}

impl<S: ArrayOps> Terms<'_, S> {
    /// Returns E = ((1 − ls)·t + ls/C)·w; 0 in an ignored row.
    pub(super) fn at(&self, n: usize, k: usize) -> S {
        let t = self.t.at(n, k);
        let smoothed = match self.smoothing {
            Some((rest, share)) if self.t.has_row(n) => rest * t + share,
            _ => t,
        };
        let e = self.weight.map_or(smoothed, |weight| smoothed * weight[k]);
        if self.are_targets() { e } else { e.named("E", "((1 − ls)·t + ls/C)·weight") }
    }

    /// Returns true if E = t.
    pub(super) fn are_targets(&self) -> bool {
        self.smoothing.is_none() && self.weight.is_none()
    }

    /// Returns the classes whose E in row `n` may be nonzero.
    pub(super) fn classes(&self, n: usize, classes: usize) -> Range<usize> {
        if self.smoothing.is_none() { self.t.nonzero_classes(n, classes) } else { 0..classes }
    }

    /// Returns the class of the largest logit, if its E may be nonzero: there y may be so near to 1 that y·ΣE − E cancels, and
    /// 1 − y is computed as the share of the other classes.
    fn largest_target(&self, x: ArrayView1<'_, S>, n: usize, max: S) -> Option<usize> {
        self.classes(n, x.len()).find(|&k| x[k] == max)
    }
}

/// Returns the divisor of a mean with class indices: the sum of the weights of the rows that are not ignored.
fn total_weight<S: ArrayOps>(kept: impl Iterator<Item = usize>, weight: Option<&ArrayD<S>>) -> S {
    match weight {
        // A class that is out of range is refused when its row is admitted.
        Some(weight) => S::sum(kept.map(|class| elements(weight).get(class).copied().unwrap_or_else(S::zero))),
        None => S::from_f64(count(kept.count())),
    }
}

impl Admit for SoftmaxXent {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (lanes, mut notes) = self.admit_targets(given)?;
        let (x, targets) = (given.at.known(&Name::X), self.targets(given.at, &lanes));
        admit_logits(x, &lanes, |n| self.masked != MaskedRows::Error || !targets.counts(n))?;
        notes.extend(warn_of_softmax_twice(given, &lanes));
        Ok(notes)
    }

    fn independent_rows(&self, rank: usize) -> bool {
        self.has_rows(rank) && !matches!(self.reduction, Reduction::Mean { .. })
    }

    fn divisor(&self, at: &Tensors<f64>, all: AllTargets<'_>, precision: Precision) -> Option<f64> {
        let rank = all.input.len();
        if !matches!(self.reduction, Reduction::Mean { .. }) || !self.has_rows(rank) {
            return None;
        }
        if self.kind.unwrap_or_else(|| TargetKind::by_rank(all.rank, rank)) == TargetKind::Dense {
            return self.lanes(&all.input).map(|lanes| count(lanes.count()));
        }
        let kept = all.blocks.flat_map(|t| targets::classes(&t, self.ignore)).flatten();
        let weight = at.get(&Name::WEIGHT);
        let mut weight = weight.cloned();
        weight.iter_mut().for_each(|weight| precision.round(weight));
        Some(total_weight(kept, weight.as_ref()))
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        self.reduction.shape(&self.known_lanes(at))
    }

    fn matrix_operations(&self, at: &Tensors<f64>, results: &Tensors<f64>, dout: &ArrayD<f64>) -> Vec<MatrixOperation> {
        let (y, lanes) = (results.known(&Name::Y), self.known_lanes(at));
        let (terms, divisor) = (self.terms(at, &lanes), self.compute_divisor(at, &lanes));
        let mut dy = lanes.rows(y).into_owned();
        // Where E is 0, dy is 0 even if y is 0.
        dy.indexed_iter_mut().for_each(|((n, k), dy)| {
            let e = terms.at(n, k);
            let scale = self.reduction.scale(dout, n, divisor);
            *dy = scale.apply(if e == 0.0 { 0.0 } else { -e / *dy });
        });
        let inner = Some((y.clone(), lanes.restore(dy)));
        let weight = at.get(&Name::WEIGHT).map(|_| Name::WEIGHT);
        vec![
            MatrixOperation { op: "softmax", note: None, reads: vec![Name::X], gives: Name::Y, inner },
            MatrixOperation {
                op: "cross-entropy",
                note: None,
                reads: [Name::Y, Name::T].into_iter().chain(weight).collect(),
                gives: Name::LOSS,
                inner: None,
            },
        ]
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        if self.smoothing == 0.0 && at.get(&Name::WEIGHT).is_none() {
            return Vec::new();
        }
        vec![(Name::LOSS, "−Σ E·log softmax(x), E = ((1 − ls)·t + ls/C)·weight"), (Name::DX, "y·ΣE − E")]
    }
}

fn admit_weight(weight: &ArrayD<f64>, x: &ArrayD<f64>, classes: usize) -> Result<(), Error> {
    if weight.shape() == [classes] {
        return Ok(());
    }
    Err(Error::new(
        Code::Shape,
        format!("expected ({classes}), one weight for each class of {}, got {}", Name::X, format_shape(weight.shape())),
    )
    .with_operand(&Name::WEIGHT)
    .with_shape(&Name::X, x.shape())
    .with_shape(&Name::WEIGHT, weight.shape())
    .tip(format!("give {classes} weights in one row")))
}

impl<S: ArrayOps> Layer<S> for SoftmaxXent {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let lanes = self.known_lanes(at);
        let (x, terms) = (lanes.rows(at.known(&Name::X)), self.terms(at, &lanes));
        let (mut y, row_sums) = S::softmax_rows(x.view());
        for (n, mut y) in y.rows_mut().into_iter().enumerate() {
            if self.is_zero(row_sums[n].0, &terms, n) {
                y.fill(S::zero());
            }
        }
        // Terms with E = 0 are left out: 0 times the −inf of a masked class is defined as 0.
        let term = |n: usize, k: usize| (n, k, terms.at(n, k));
        let meaning = if terms.are_targets() { "−t·log y" } else { "−E·log y" };
        let row = |n: usize| {
            let ((max, others), x, y) = (row_sums[n], x.row(n), y.row(n));
            let log_sum = others.ln_1p();
            // With a class index, all other terms are 0.
            let classes = match terms.are_targets() {
                _ if self.is_zero(max, &terms, n) => 0..0,
                true => terms.t.nonzero_classes(n, x.len()),
                false => 0..x.len(),
            };
            classes
                .map(move |k| term(n, k))
                .filter(|(_, _, e)| *e != S::zero())
                .map(move |(_, k, e)| (e * -log_probability(x[k], max, log_sum, y[k])).named("term", meaning))
        };
        let loss = self.reduction.reduce(&lanes, self.compute_divisor(at, &lanes), row);
        let saved = row_sums.iter().flat_map(|&(max, others)| [max, others]).collect();
        let saved = vec![matrix((row_sums.len(), 2), saved).into_dyn()];
        let mut results = Tensors::new().with(Name::Y, lanes.restore(y));
        results.extend(loss);
        Forward { results, saved }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, run: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || {
            let lanes = self.known_lanes(at);
            let (x, y) = (lanes.rows(at.known(&Name::X)), lanes.rows(run.results.known(&Name::Y)));
            let (terms, divisor, row_sums) = (self.terms(at, &lanes), self.compute_divisor(at, &lanes), &run.saved[0]);
            let y_elements = y.as_slice().unwrap_or_default();
            let dx = fill_rows(y.dim(), |n, dx| {
                let (y, scale) = (&y_elements[n * dx.len()..][..dx.len()], self.reduction.scale(dout, n, divisor));
                let (max, others) = (row_sums[[n, 0]], row_sums[[n, 1]]);
                if self.is_zero(max, &terms, n) {
                    return;
                }
                if terms.are_targets() {
                    let sum =
                        S::sum(terms.t.nonzero_classes(n, y.len()).map(|k| terms.t.at(n, k))).named("total", "Σ t");
                    S::scaled_difference(y, sum, terms.t.row(n), scale, dx);
                } else {
                    let sum = S::sum((0..y.len()).map(|k| terms.at(n, k))).named("total", "Σ E");
                    dx.iter_mut().enumerate().for_each(|(k, dx)| *dx = scale.apply(y[k] * sum - terms.at(n, k)));
                }
                if let Some(k) = terms.largest_target(x.row(n), n, max) {
                    let textbook = dx[k];
                    dx[k] = S::stable_or_textbook(
                        || {
                            let rest = S::sum(terms.classes(n, y.len()).filter(|j| *j != k).map(|j| terms.at(n, j)));
                            scale.apply(y[k] * rest - terms.at(n, k) * others.over_one_plus())
                        },
                        || textbook,
                    );
                }
            });
            lanes.restore(dx)
        })
    }
}
