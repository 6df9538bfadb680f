//! Cross-entropy of probabilities: loss = −Σ t·log(y + eps).
//!
//! - Forward: loss = −Σ t·log(y + eps), 0·log 0 = 0.
//! - Backward: dy = −t/(y + eps); and dx = y·Σt − t, the gradient at the input of the softmax that made y, without eps.
//! - Shapes: y (N, C), (N, C, d…) or (C), the classes along `--axis`; t of the shape of y, or class indices of that shape without
//!   the class axis; loss a scalar, with `--reduction none` of the shape of class indices.
//! - Refuses: targets whose shape does not match y, indices out of range, eps below 0, the mean over no rows.
//! - Accuracy: dy and a loss of one term within 2 ulp; the rounding error of y + eps is kept.
//! - Source: the cross-entropy of docs/tutorial.md, `-np.sum(t * np.log(y + 1e-10))`, and its gradient y − t.
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
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::count;
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AllTargets, AnyLayer, Given, Layer};
use super::lanes::{Lanes, axis_error, class_axis};
use super::precision::Precision;
use super::reduction::{Divisor, EMPTY, REDUCTION, Reduction};
use super::settings::{Kind, Setting, Settings};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use super::targets;
use super::targets::{CLASS_AXIS, T_KIND, TargetKind, Targets};
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::loss::Scale;
use crate::ops::{ArrayOps, fill_rows};
use ndarray::{ArrayD, s};

/// Returns y − t for the gradient by y.
fn y_minus_t(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let (y, t) = (case.operands.get(&Name::Y)?, case.operands.get(&Name::T)?);
    (*case.name == Name::DY && y.shape() == t.shape()).then(|| y - t)
}

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "xent",
    about: "loss = −Σ t·log(y + eps), cross-entropy of probabilities",
    outputs: &[(Name::LOSS, "−Σ t·log(y + eps)")],
    output: Name::LOSS,
    logit_gradient: Some("y·Σt − t"),
    slots: &[
        Slot::input(Name::Y, "(N×C…) or (C)", "−t / (y + eps)", "probabilities, such as the output of softmax"),
        Slot::targets("as y or (N…)"),
    ],
    settings: &[REDUCTION, EPS, CLASS_AXIS, T_KIND, EMPTY],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "gradient of the logits",
        explanation: "it is y − t, the gradient by the logits of a softmax; the gradient by y is −t / (y + eps)",
        gradient: y_minus_t,
    }],
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
    source: "the cross-entropy of docs/tutorial.md, -np.sum(t * np.log(y + 1e-10)), with the gradient y - t",
    build: |settings| Ok(Box::new(Xent::new(settings)?) as Box<dyn AnyLayer>),
};

const EPS: Setting = Setting {
    name: "eps",
    kind: Kind::Number(&[
        1e-10, 1e-7, 1e-8, 1e-12, 0.0, 1e-15, 1e-16, 1e-6, 1e-5, 1e-9, 1e-4, 1e-3, 1e-2, 1e-1, 1e-11, 1e-20, 1e-30,
    ]),
    doc: "number that is added to y before the logarithm (default 1e-10)",
};

/// loss = −Σ t·log(y + eps).
struct Xent {
    eps: f64,
    reduction: Reduction,
    axis: Option<i64>,
    kind: Option<TargetKind>,
}

impl Xent {
    fn new(settings: &Settings) -> Result<Xent, Error> {
        let eps = settings.number(EPS.name).unwrap_or(1e-10);
        if eps.is_nan() || eps < 0.0 {
            return Err(Error::new(Code::Setting, format!("expected a number of at least 0, got {eps}"))
                .with_operand(&Name::new(EPS.name))
                .tip("use 1e-10 as in docs/tutorial.md, which keeps log(y + eps) finite, or 0"));
        }
        let (reduction, axis) = (Reduction::new(settings)?, settings.integer(CLASS_AXIS.name));
        Ok(Xent { eps, reduction, axis, kind: TargetKind::from_settings(settings) })
    }

    /// Returns the lanes of classes, if y has the axis.
    fn lanes(&self, shape: &[usize]) -> Option<Lanes> {
        Lanes::along(shape, self.axis, class_axis(shape.len()))
    }

    fn known_lanes<S>(&self, at: &Tensors<S>) -> Lanes {
        self.lanes(at.known(&Name::Y).shape()).unwrap_or_else(|| unreachable!("admitted"))
    }

    fn targets<'a, S: ArrayOps>(&self, at: &'a Tensors<S>, lanes: &Lanes) -> Targets<'a, S> {
        let (t, y) = (at.known(&Name::T), at.known(&Name::Y));
        Targets::new(t, lanes, self.kind.unwrap_or_else(|| TargetKind::by_rank(t.ndim(), y.ndim())), None)
    }

    /// Returns a gradient whose rows `fill` computes from y, the targets of row n, and their scale.
    fn row_gradient<S: ArrayOps>(
        &self,
        at: &Tensors<S>,
        dout: &ArrayD<S>,
        fill: impl Fn(&[S], (&Targets<'_, S>, usize), Scale<S>, &mut [S]) + Sync,
    ) -> ArrayD<S> {
        let lanes = self.known_lanes(at);
        let (y, t, divisor) = (lanes.rows(at.known(&Name::Y)), self.targets(at, &lanes), divisor(at, &lanes));
        let y_elements = y.as_slice().unwrap_or_default();
        lanes.restore(fill_rows(y.dim(), |n, out| {
            let y = &y_elements[n * out.len()..][..out.len()];
            fill(y, (&t, n), self.reduction.scale(dout, n, divisor), out);
        }))
    }
}

impl Admit for Xent {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let y = given.at.known(&Name::Y);
        let lanes = self.lanes(y.shape()).ok_or_else(|| axis_error(&Name::Y, y.shape(), self.axis))?;
        let (_, mut notes) = targets::admit(given, &Name::Y, (&lanes, self.axis), self.kind, None)?;
        let tolerance = targets::distribution_tolerance((given.rounding)(&Name::Y));
        notes.extend(targets::warn_of_non_distribution(&Name::Y, y, &lanes, tolerance, Code::ProbabilitySum));
        self.reduction.admit(divisor(given.at, &lanes).value(), "y has no rows")?;
        Ok(notes)
    }

    fn independent_rows(&self, rank: usize) -> bool {
        self.has_rows(rank) && !matches!(self.reduction, Reduction::Mean { .. })
    }

    fn divisor(&self, _: &Tensors<f64>, all: AllTargets<'_>, _: Precision) -> Option<f64> {
        let is_mean = matches!(self.reduction, Reduction::Mean { .. }) && self.has_rows(all.input.len());
        is_mean.then(|| self.lanes(&all.input).map(|lanes| count(lanes.count())))?
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        self.reduction.shape(&self.known_lanes(at))
    }
}

impl Xent {
    /// Returns true if no lane of an operand of that rank extends over several rows.
    fn has_rows(&self, rank: usize) -> bool {
        self.lanes(&vec![1; rank]).is_some_and(|lanes| lanes.axis() > 0)
    }
}

/// Returns the divisor of a mean: the number of lanes.
fn divisor<S: ArrayOps>(at: &Tensors<S>, lanes: &Lanes) -> Divisor<S> {
    Divisor::new(at, || S::from_f64(count(lanes.count())))
}

impl<S: ArrayOps> Layer<S> for Xent {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let lanes = self.known_lanes(at);
        let (y, t) = (lanes.rows(at.known(&Name::Y)), self.targets(at, &lanes));
        let (y, eps) = (y.view(), S::from_f64(self.eps));
        // 0·log 0 is defined as 0.
        let term = move |t: S, y: S| {
            let term = || (t * -S::ln_sum(y, eps)).named("term", "−t·log(y + eps)");
            if t != S::zero() || y.is_nan() { term() } else { S::zero() }
        };
        let row = |n: usize| {
            let (counted, y, t) = (t.nonzero_classes(n, y.ncols()), y.slice_move(s![n, ..]), &t);
            // A row with a NaN is computed in full, so that it is not hidden by zero targets.
            let skips_zeros = counted.len() < y.len() && !y.to_slice().is_some_and(S::has_nan);
            let classes = if skips_zeros { counted } else { 0..y.len() };
            classes.map(move |k| term(t.at(n, k), y[k]))
        };
        let results = self.reduction.reduce(&lanes, divisor(at, &lanes), row);
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let dx = move || {
            self.row_gradient(at, dout, |y, (t, n), scale, dx| {
                let sum = S::sum(t.nonzero_classes(n, y.len()).map(|k| t.at(n, k))).named("total", "Σ t");
                S::scaled_difference(y, sum, t.row(n), scale, dx);
            })
        };
        let dy = move || {
            let eps = S::from_f64(self.eps);
            self.row_gradient(at, dout, |y, (t, n), scale, dy| {
                S::scaled_quotient_where_nonzero(t.row(n), y, eps, scale, dy)
            })
        };
        Gradients::one(Name::DX, dx).with(Name::DY, dy)
    }
}
