//! Softmax with cross-entropy: loss = −Σ t·log softmax(x), computed without log(y).
//!
//! - Forward: y = softmax(x), loss = −Σ E·log_softmax(x)/d with E = ((1 − ls)·t + ls/C)·w per entry, ignored rows 0.
//! - Backward: dx = (y·Σ_row E − E)/d, without options y·Σt − t, the article's y − t.
//! - Shapes: x (N, C) or (C); t of the shape of x, or class indices (N) or a scalar; weight (C); loss a scalar, with `none` (N).
//! - Refuses: targets or weights whose shape does not match x, indices out of range, +inf or a row of only −inf, a smoothing outside
//!   [0, 1], ignore-index with dense targets, the mean over no rows.
//! - Accuracy: y within 2 ulp, a loss of one term within 2 ulp for any logits.
//! - Source: the article's Softmax-with-Loss layer; options as PyTorch's `cross_entropy` defines them.
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

use super::arrays::{count, elements, rows, with_rank};
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AllTargets, AnyLayer, Given, Layer, MatrixOperation};
use super::precision::Precision;
use super::reduction::{Divisor, EMPTY, REDUCTION, Reduction};
use super::settings::{Kind, Setting, Settings};
use super::softmax::APPLIED_TWICE;
use super::softmax::{admit_logits, warn_of_softmax_twice};
use super::spec::{Example, LayerSpec, Role, ScalarDout, Slot};
use super::targets;
use super::targets::{T_KIND, TargetKind, Targets};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use crate::ops::{ArrayOps, fill_rows, log_probability};
use ndarray::{ArrayD, Axis};

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "softmax-xent",
    about: "loss = −Σ t·log softmax(x), softmax and cross-entropy in one",
    outputs: &[(Name::Y, "softmax(x)"), (Name::LOSS, "−Σ t·log softmax(x)")],
    output: Name::LOSS,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(N×C) or (C)", "y·Σt − t", "logits"),
        Slot::targets("same shape as x, or (N) for class indices"),
        Slot {
            name: Name::WEIGHT,
            role: Role::Constant,
            shape: "(C)",
            optional: true,
            gradient: None,
            doc: "weight of each class",
        },
    ],
    settings: &[REDUCTION, IGNORE_INDEX, LABEL_SMOOTHING, T_KIND, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        APPLIED_TWICE,
        Convention {
            kind: "softmax over the wrong axis",
            explanation: "it is the gradient of a softmax of each column, expected a softmax of each row",
            gradient: |case| case.with_probabilities(&softmax_of_columns(case.operands.get(&Name::X)?)),
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
    source: "the article's Softmax-with-Loss layer; options as in PyTorch's cross_entropy",
    build: |settings| Ok(Box::new(SoftmaxXent::new(settings)?) as Box<dyn AnyLayer>),
};

fn softmax_of_columns(x: &ArrayD<f64>) -> ArrayD<f64> {
    let mut y = x.clone();
    for mut column in y.lanes_mut(Axis(0)) {
        let max = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        column.mapv_inplace(|v| Scalar::exp(v - max));
        let sum = f64::sum(column.iter().copied());
        column.mapv_inplace(|v| v / sum);
    }
    y
}

/// Returns y·s − t·s, the gradient where each row of targets sums to 1.
fn with_targets_of_sum_one(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let (y, factor) = case.probabilities_and_factor()?;
    let t = case.operands.get(&Name::T).filter(|t| t.shape() == y.shape())?;
    let sums = t.sum_axis(Axis(t.ndim().checked_sub(1)?)).insert_axis(Axis(t.ndim() - 1));
    let excess = &y * &factor * (1.0 - 1.0 / sums);
    Some(case.right - &excess)
}

const IGNORE_INDEX: Setting =
    Setting { name: "ignore-index", kind: Kind::Integer, doc: "class index whose rows are ignored; none by default" };
const LABEL_SMOOTHING: Setting = Setting {
    name: "label-smoothing",
    kind: Kind::Number,
    doc: "label smoothing ls in [0, 1]; targets become (1 − ls)·t + ls/C",
};

/// loss = −Σ E·log_softmax(x)/d.
struct SoftmaxXent {
    reduction: Reduction,
    kind: Option<TargetKind>,
    ignore: Option<i64>,
    smoothing: f64,
}

impl SoftmaxXent {
    fn new(settings: &Settings) -> Result<SoftmaxXent, Error> {
        let smoothing = settings.number(LABEL_SMOOTHING.name).unwrap_or(0.0);
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::new(Code::Setting, format!("expected a number from 0 to 1, got {smoothing}"))
                .with_operand(&Name::new(LABEL_SMOOTHING.name))
                .tip("use the share of the target to spread over all classes, such as 0.1"));
        }
        Ok(SoftmaxXent {
            reduction: Reduction::new(settings),
            kind: TargetKind::from_settings(settings),
            ignore: settings.integer(IGNORE_INDEX.name),
            smoothing,
        })
    }

    fn kind<S>(&self, at: &Tensors<S>) -> TargetKind {
        self.kind.unwrap_or_else(|| TargetKind::by_rank(at.known(&Name::T).ndim(), at.known(&Name::X).ndim()))
    }

    /// Returns the divisor of a mean.
    fn compute_divisor<S: ArrayOps>(&self, at: &Tensors<S>) -> Divisor<S> {
        Divisor::new(at, || match Targets::new(at.known(&Name::T), self.kind(at), self.ignore) {
            Targets::Dense(t) => S::from_f64(count(t.nrows())),
            Targets::Index(classes) => total_weight(classes.into_iter().flatten(), at.get(&Name::WEIGHT)),
        })
    }

    fn terms<'a, S: ArrayOps>(&self, at: &'a Tensors<S>) -> Terms<'a, S> {
        let smoothing = S::from_f64(self.smoothing);
        let classes = S::from_f64(count(rows(at.known(&Name::X)).ncols()));
        Terms {
            t: Targets::new(at.known(&Name::T), self.kind(at), self.ignore),
            weight: at.get(&Name::WEIGHT),
            smoothing: (self.smoothing != 0.0).then_some((S::one() - smoothing, smoothing / classes)),
        }
    }
}

/// The factors E of the log-probabilities.
struct Terms<'a, S> {
    t: Targets<'a, S>,
    weight: Option<&'a ArrayD<S>>,
    /// 1 − ls, and ls/C.
    smoothing: Option<(S, S)>,
}

impl<S: ArrayOps> Terms<'_, S> {
    /// Returns E = ((1 − ls)·t + ls/C)·w; 0 in an ignored row.
    fn at(&self, n: usize, k: usize) -> S {
        let t = self.t.at(n, k);
        let smoothed = match self.smoothing {
            Some((rest, share)) if self.t.has_row(n) => rest * t + share,
            _ => t,
        };
        let e = self.weight.map_or(smoothed, |weight| smoothed * weight[k]);
        if self.are_targets() { e } else { e.named("E", "((1 − ls)·t + ls/C)·weight") }
    }

    /// Returns true if E = t.
    fn are_targets(&self) -> bool {
        self.smoothing.is_none() && self.weight.is_none()
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
        let x = given.at.known(&Name::X);
        let (kind, mut notes) = targets::admit(given, &Name::X, self.kind, self.ignore)?;
        if let Some(weight) = given.at.get(&Name::WEIGHT) {
            admit_weight(weight, x)?;
        }
        if self.ignore.is_some() && kind == TargetKind::Dense {
            return Err(Error::new(Code::Setting, "requires class indices, but t has dense targets")
                .with_operand(&Name::new(IGNORE_INDEX.name))
                .with_shape(&Name::T, given.at.known(&Name::T).shape())
                .tip("use a row of zeros to ignore a sample, or class indices, which have one rank less than x"));
        }
        admit_logits(x, Axis(1))?;
        self.reduction.admit(
            self.compute_divisor(given.at).value(),
            "all rows are ignored, or the weights of the others sum to 0",
        )?;
        notes.extend(warn_of_softmax_twice(given));
        Ok(notes)
    }

    fn independent_rows(&self) -> bool {
        !matches!(self.reduction, Reduction::Mean { .. })
    }

    fn divisor(&self, at: &Tensors<f64>, all: AllTargets<'_>, precision: Precision) -> Option<f64> {
        if !matches!(self.reduction, Reduction::Mean { .. }) {
            return None;
        }
        if self.kind.unwrap_or_else(|| TargetKind::by_rank(all.rank, 2)) == TargetKind::Dense {
            return Some(count(all.rows));
        }
        let kept = all.blocks.flat_map(|t| targets::classes(&t, self.ignore)).flatten();
        let weight = at.get(&Name::WEIGHT);
        Some(match precision {
            Precision::F32 => {
                total_weight::<f32>(kept, weight.map(|weight| weight.mapv(f32::from_f64)).as_ref()).to_f64()
            }
            _ => total_weight(kept, weight),
        })
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        let x = at.known(&Name::X);
        self.reduction.shape(x.ndim(), rows(x).nrows())
    }

    fn matrix_operations(&self, at: &Tensors<f64>, results: &Tensors<f64>, dout: &ArrayD<f64>) -> Vec<MatrixOperation> {
        let (y, terms, divisor) = (results.known(&Name::Y), self.terms(at), self.compute_divisor(at));
        let mut dy = rows(y).to_owned();
        // Where E is 0, dy is 0 even if y is 0.
        dy.indexed_iter_mut().for_each(|((n, k), dy)| {
            let e = terms.at(n, k);
            let scale = self.reduction.scale(dout, n, divisor);
            *dy = scale.apply(if e == 0.0 { 0.0 } else { -e / *dy });
        });
        let inner = Some((y.clone(), with_rank(dy, y.ndim())));
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

fn admit_weight(weight: &ArrayD<f64>, x: &ArrayD<f64>) -> Result<(), Error> {
    let classes = rows(x).ncols();
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
        let (rank, x, terms) = (at.known(&Name::X).ndim(), rows(at.known(&Name::X)), self.terms(at));
        let (y, row_logs) = S::softmax_rows(x);
        // Terms with E = 0 are left out: 0 times the −inf of a masked class is defined as 0.
        let term = |n: usize, k: usize| (n, k, terms.at(n, k));
        let meaning = if terms.are_targets() { "−t·log y" } else { "−E·log y" };
        let row = |n: usize| {
            let ((max, log_sum), x, y) = (row_logs[n], x.row(n), y.row(n));
            // With a class index, all other terms are 0.
            let classes = if terms.are_targets() { terms.t.nonzero_classes(n, x.len()) } else { 0..x.len() };
            classes
                .map(move |k| term(n, k))
                .filter(|(_, _, e)| *e != S::zero())
                .map(move |(_, k, e)| (e * -log_probability(x[k], max, log_sum, y[k])).named("term", meaning))
        };
        let loss =
            self.reduction.reduce(&self.reduction.shape(rank, x.nrows()), x.dim(), self.compute_divisor(at), row);
        let mut results = Tensors::new().with(Name::Y, with_rank(y, rank));
        results.extend(loss);
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, run: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || {
            let (y, terms) = (run.results.known(&Name::Y), self.terms(at));
            let (y_elements, divisor) = (elements(y), self.compute_divisor(at));
            let dx = fill_rows(rows(y).dim(), |n, dx| {
                let (y, scale) = (&y_elements[n * dx.len()..][..dx.len()], self.reduction.scale(dout, n, divisor));
                if terms.are_targets() {
                    let sum =
                        S::sum(terms.t.nonzero_classes(n, y.len()).map(|k| terms.t.at(n, k))).named("total", "Σ t");
                    S::scaled_difference(y, sum, terms.t.row(n), scale, dx);
                } else {
                    let sum = S::sum((0..y.len()).map(|k| terms.at(n, k))).named("total", "Σ E");
                    dx.iter_mut().enumerate().for_each(|(k, dx)| *dx = scale.apply(y[k] * sum - terms.at(n, k)));
                }
            });
            with_rank(dx, at.known(&Name::X).ndim())
        })
    }
}
