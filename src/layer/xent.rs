//! Cross-entropy of probabilities: loss = −Σ t·log(y + eps).
//!
//! - Forward: loss = −Σ t·log(y + eps), 0·log 0 = 0.
//! - Backward: dy = −t/(y + eps); and dx = y·Σt − t, the gradient at the input of the softmax that made y, without eps.
//! - Shapes: y (N, C) or (C); t as y, or class indices (N) or a scalar; loss a scalar, with `--reduction none` (N).
//! - Refuses: targets that do not fit y, indices out of range, eps below 0, the mean of nothing.
//! - Accuracy: dy and a loss of one term within 2 ulp; y + eps is never rounded before its logarithm is taken.
//! - Source: the article's cross-entropy, `-np.sum(t * np.log(y + 1e-10))`, and its gradient y − t.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let xent = (layer::find("xent").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new()
//!     .with(Name::Y, array![0.1, 0.1, 0.8].into_dyn())
//!     .with(Name::T, array![0.0, 0.0, 1.0].into_dyn());
//! let outcome = layer::compute(xent.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::LOSS), &ndarray::arr0(0.2231435511892097).into_dyn());
//! # Ok::<(), crate::core::error::Error>(())
//! ```

use super::reduction::{Divisor, EMPTY, REDUCTION, Reduction};
use super::settings::{Kind, Setting, Settings};
use super::targets;
use super::targets::{T_KIND, TargetKind, Targets};
use super::{
    Admit, AllTargets, AnyLayer, Example, Forward, Given, Gradients, Layer, LayerSpec, Precision, Role, Run,
    ScalarDout, Slot, by_rows, entries, ranked, rows,
};
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::{Scalar, Scale};
use ndarray::{ArrayD, s};

/// The registry's row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "xent",
    about: "loss = −Σ t·log(y + eps), cross-entropy of probabilities",
    outputs: &[(Name::LOSS, "−Σ t·log(y + eps)")],
    output: Name::LOSS,
    logit_gradient: Some("y·Σt − t"),
    slots: &[
        Slot {
            name: Name::Y,
            role: Role::Input,
            shape: "(N×C) or (C)",
            optional: false,
            gradient: Some("−t / (y + eps)"),
            doc: "probabilities, as softmax makes them",
        },
        Slot {
            name: Name::T,
            role: Role::Target,
            shape: "as y, or (N) indices",
            optional: false,
            gradient: None,
            doc: "targets: one-hot or soft rows, or a class index a row",
        },
    ],
    settings: &[REDUCTION, EPS, T_KIND, EMPTY],
    scalar_dout: ScalarDout::Fills,
    examples: &[
        Example {
            command: "nnlayer xent --y 0.1,0.1,0.8 --t 0,0,1",
            prints: "\
loss = −Σ t·log(y + eps)  (scalar)
0.2231435511892097

dx = y·Σt − t  (3)
[ 0.1  0.1 -0.2]

dy = −t / (y + eps)  (3)
[ 0.    0.   -1.25]
",
        },
        Example {
            command: "nnlayer xent --y '0.5,0.5;0.25,0.75' --t 0,1 --reduction mean --only loss,divisor --json",
            prints: "{\"loss\":0.4904146263391964,\"divisor\":2.0}\n",
        },
    ],
    source: "the article's cross-entropy, -np.sum(t * np.log(y + 1e-10)), with the gradient y - t",
    build: |settings| Ok(Box::new(Xent::new(settings)?) as Box<dyn AnyLayer>),
};

const EPS: Setting = Setting {
    name: "eps",
    kind: Kind::Number,
    doc: "what is added to y before its logarithm is taken (default 1e-10)",
};

/// loss = −Σ t·log(y + eps).
struct Xent {
    eps: f64,
    reduction: Reduction,
    kind: Option<TargetKind>,
}

impl Xent {
    fn new(settings: &Settings) -> Result<Xent, Error> {
        let eps = settings.number(EPS.name).unwrap_or(1e-10);
        if eps.is_nan() || eps < 0.0 {
            return Err(Error::new(Code::Setting, format!("{eps} is below 0"))
                .with_operand(&Name::new(EPS.name))
                .tip("eps keeps log(y + eps) finite: 0 for none, 1e-10 as in the article"));
        }
        Ok(Xent { eps, reduction: Reduction::new(settings), kind: TargetKind::chosen(settings) })
    }

    fn targets<'a, S: Scalar>(&self, at: &'a Tensors<S>) -> Targets<'a, S> {
        let (t, y) = (at.known(&Name::T), at.known(&Name::Y));
        Targets::new(t, self.kind.unwrap_or_else(|| TargetKind::by_rank(t.ndim(), y.ndim())), None)
    }

    /// A gradient whose rows `fill` makes of y, the targets of row n, and what scales them.
    fn by_rows<S: Scalar>(
        &self,
        at: &Tensors<S>,
        dout: &ArrayD<S>,
        fill: impl Fn(&[S], (&Targets<'_, S>, usize), Scale<S>, &mut [S]) + Sync,
    ) -> ArrayD<S> {
        let (y, t, divisor) = (at.known(&Name::Y), self.targets(at), divisor(at));
        let made = by_rows(rows(y).dim(), |n, made| {
            let y = &entries(y)[n * made.len()..][..made.len()];
            fill(y, (&t, n), self.reduction.scale(dout, n, divisor), made);
        });
        ranked(made, y.ndim())
    }
}

impl Admit for Xent {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let y = given.at.known(&Name::Y);
        let (_, mut notes) = targets::admit(given, &Name::Y, self.kind, None)?;
        let tolerance = targets::distribution_tolerance((given.rounding)(&Name::Y));
        notes.extend(targets::not_distributions(&Name::Y, y, tolerance, Code::ProbabilitySum));
        self.reduction.admit(divisor(given.at).value(), "y has no rows")?;
        Ok(notes)
    }

    fn independent_rows(&self) -> bool {
        !matches!(self.reduction, Reduction::Mean { .. })
    }

    fn divisor(&self, _: &Tensors<f64>, all: AllTargets<'_>, _: Precision) -> Option<f64> {
        matches!(self.reduction, Reduction::Mean { .. }).then(|| count(all.rows))
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        let y = at.known(&Name::Y);
        self.reduction.shape(y.ndim(), rows(y).nrows())
    }
}

/// The divisor of a mean: the number of rows.
fn divisor<S: Scalar>(at: &Tensors<S>) -> Divisor<S> {
    Divisor::of(at, || S::from_f64(count(rows(at.known(&Name::Y)).nrows())))
}

#[allow(clippy::cast_precision_loss)] // fewer rows than 2⁵³ fit in memory
fn count(rows: usize) -> f64 {
    rows as f64
}

impl<S: Scalar> Layer<S> for Xent {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let (y, t) = (rows(at.known(&Name::Y)), self.targets(at));
        let eps = S::from_f64(self.eps);
        let term = move |t: S, y: S| {
            let term = || (t * -S::ln_sum(y, eps)).called("term", "−t·log(y + eps)");
            if counts(t, y) { term() } else { S::zero() }
        };
        let row = |n: usize| {
            let (counted, y, t) = (t.counted(n, y.ncols()), y.slice_move(s![n, ..]), &t);
            // A NaN is never hidden.
            let few = counted.len() < y.len() && !y.to_slice().is_some_and(S::has_nan);
            let classes = if few { counted } else { 0..y.len() };
            classes.map(move |k| term(t.at(n, k), y[k]))
        };
        let shape = self.reduction.shape(at.known(&Name::Y).ndim(), y.nrows());
        let results = self.reduction.reduce(&shape, y.dim(), divisor(at), row);
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let dx = move || {
            self.by_rows(at, dout, |y, (t, n), scale, dx| {
                let sum = S::sum(t.counted(n, y.len()).map(|k| t.at(n, k))).called("total", "Σ t");
                S::loss_gradient(y, sum, t.row(n), scale, dx);
            })
        };
        let dy = move || {
            let eps = S::from_f64(self.eps);
            self.by_rows(at, dout, |y, (t, n), scale, dy| S::loss_slope(y, eps, t.row(n), scale, dy))
        };
        Gradients::of(Name::DX, dx).with(Name::DY, dy)
    }
}

/// Whether an entry adds to the loss: 0·log 0 is 0, but a NaN is never hidden.
#[allow(clippy::eq_op)] // y ≠ y is how any scalar says NaN
fn counts<S: Scalar>(t: S, y: S) -> bool {
    t != S::zero() || y != y
}
