//! Softmax: y_k = e^x_k / Σ e^x.
//!
//! - Forward: y_k = e^(x_k − max) / Σ e^(x − max); with `--log` its logarithm (x_k − max) − log Σ e^(x − max).
//! - Backward: dx = y∘(dout − Σ dout∘y); with `--log` dx = dout − softmax(x)·Σ dout.
//! - Shapes: x (N, C) or (C), y as x; normalised along `--axis`, by default the last.
//! - Refuses: an axis that x does not have, +inf, and a row of only −inf. A single −inf masks its class.
//! - Accuracy: y within 2 ulp. The rounding error of x − max is kept, the logarithm is log1p of the sum without the maximum,
//!   and backward first subtracts a constant from dout, so a constant dout gives exactly 0.
//! - Source: the article's Softmax layer; the maximum is subtracted so that no exponential overflows.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let softmax = (layer::find("softmax").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![1000.0, 1000.0].into_dyn());
//! let outcome = layer::compute(softmax.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![0.5, 0.5].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::{rows, with_rank};
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer};
use super::settings::{Kind, Setting, Settings, Value};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use super::targets::{distribution_tolerance, warn_of_non_distribution};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::{Array2, ArrayD, Axis};

/// The gradient at y in the place of x.
pub(super) const APPLIED_TWICE: Convention = Convention {
    kind: "applied twice",
    explanation: "it is the gradient at y instead of x; is softmax applied twice?",
    gradient: |case| case.at_output(),
};

/// Returns the gradient of a softmax along an axis of a matrix.
fn along_axis(case: &GradientCase<'_>, axis: i64) -> Option<ArrayD<f64>> {
    case.recompute(|settings, _| settings.set(AXIS.name, Value::Integer(axis)))
}

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "softmax",
    about: "y = eˣ / Σ eˣ, maps scores to probabilities",
    outputs: &[(Name::Y, "softmax(x)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, "(N×C) or (C)", "y∘(dout − Σ dout∘y)", "logits")],
    settings: &[AXIS, LOG],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        APPLIED_TWICE,
        Convention {
            kind: "softmax over the wrong axis",
            explanation: "it is the gradient of a softmax of each column, expected a softmax of each row",
            gradient: |case| along_axis(case, 0),
        },
        Convention {
            kind: "softmax over the wrong axis",
            explanation: "it is the gradient of a softmax of each row, expected a softmax of each column",
            gradient: |case| along_axis(case, 1),
        },
    ],
    examples: &[
        Example {
            command: "nnlayer softmax --x 1000,1001,1002 --dout 1,0,0",
            prints: "\
y = softmax(x)  (3)
[0.09003057 0.24472847 0.66524096]

dx = y∘(dout − Σ dout∘y)  (3)
[ 0.08192507 -0.02203304 -0.05989202]
",
        },
        Example {
            command: "nnlayer softmax --x 0,-inf,0 --log --forward --json",
            prints: "{\"y\":[-0.6931471805599453,\"-Infinity\",-0.6931471805599453]}\n",
        },
    ],
    source: "the article's Softmax layer",
    build: |settings| Ok(Box::new(Softmax::new(settings)) as Box<dyn AnyLayer>),
};

const AXIS: Setting = Setting {
    name: "axis",
    kind: Kind::Integer,
    doc: "axis that sums to 1: counted from 0, or from -1 for the last (default)",
};
const LOG: Setting =
    Setting {
        name: "log", kind: Kind::Flag, doc: "log-softmax: y = x − log Σ eˣ, dx = dout − softmax(x)·Σ dout"
    };

/// y = softmax(x), or its logarithm.
struct Softmax {
    axis: Option<i64>,
    log: bool,
}

impl Softmax {
    fn new(settings: &Settings) -> Softmax {
        Softmax { axis: settings.integer(AXIS.name), log: settings.flag(LOG.name) }
    }

    /// Returns the axis of [`rows`] along which y is normalised, if x has it.
    fn axis(&self, rank: usize) -> Option<Axis> {
        let Some(axis) = self.axis else { return Some(Axis(1)) };
        let rank = i64::try_from(rank.max(1)).ok()?;
        let from_start = if axis < 0 { axis + rank } else { axis };
        match (rank, from_start) {
            (1, 0) | (2, 1) => Some(Axis(1)),
            (2, 0) => Some(Axis(0)),
            _ => None,
        }
    }

    fn known_axis(&self, rank: usize) -> Axis {
        self.axis(rank).unwrap_or_else(|| unreachable!("admitted"))
    }
}

impl Admit for Softmax {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let x = given.at.known(&Name::X);
        let Some(axis) = self.axis(x.ndim()) else {
            let last = x.ndim().saturating_sub(1);
            return Err(Error::new(
                Code::AxisRange,
                format!("expected an axis of {} {}, got {}", Name::X, format_shape(x.shape()), self.axis.unwrap_or(0)),
            )
            .with_operand(&Name::new(AXIS.name))
            .with_shape(&Name::X, x.shape())
            .tip(if last == 0 {
                "use axis 0, the only axis of a vector".to_owned()
            } else {
                format!("use an axis from 0 to {last}, or from -1 to -{}", last + 1)
            }));
        };
        admit_logits(x, axis)?;
        Ok(warn_of_softmax_twice(given).into_iter().collect())
    }

    fn independent_rows(&self) -> bool {
        self.axis(2) == Some(Axis(1))
    }

    fn formulas(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        if self.log {
            vec![(Name::Y, "x − log Σ eˣ"), (Name::DX, "dout − softmax(x)·Σ dout")]
        } else {
            Vec::new()
        }
    }

    fn jacobians(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let x = at.known(&Name::X);
        let count = rows(x).len_of(Axis(1 - self.known_axis(x.ndim()).index()));
        let formula = match (self.log, count) {
            (false, 0 | 1) => "diag(y) − y·yᵀ",
            (false, _) if self.known_axis(x.ndim()) == Axis(1) => "diag(y) − y·yᵀ for each row, 0 between rows",
            (false, _) => "diag(y) − y·yᵀ for each column, 0 between columns",
            (true, 0 | 1) => "I − 1·softmax(x)ᵀ",
            (true, _) if self.known_axis(x.ndim()) == Axis(1) => "I − 1·softmax(x)ᵀ for each row, 0 between rows",
            (true, _) => "I − 1·softmax(x)ᵀ for each column, 0 between columns",
        };
        vec![(Name::DX, formula)]
    }
}

/// Refuses logits whose softmax along `axis` of their rows is undefined.
pub(super) fn admit_logits(x: &ArrayD<f64>, axis: Axis) -> Result<(), Error> {
    let along = if axis == Axis(1) { "row" } else { "column" };
    let all = rows(x);
    if all.len_of(axis) == 0 && all.len_of(Axis(1 - axis.index())) > 0 {
        return Err(Error::new(Code::Shape, format!("must have at least one class, got {}", format_shape(x.shape())))
            .with_operand(&Name::X)
            .with_shape(&Name::X, x.shape())
            .tip("give at least one logit for each row"));
    }
    for (n, lane) in all.axis_iter(Axis(1 - axis.index())).enumerate() {
        if let Some(k) = lane.iter().position(|&v| v == f64::INFINITY) {
            let at = if axis == Axis(1) { [n, k] } else { [k, n] };
            return Err(Error::new(
                Code::InfiniteLogits,
                format!("{along} {n} contains +inf, for which softmax is undefined"),
            )
            .with_operand(&Name::X)
            .at_index(&at[2 - x.ndim().clamp(1, 2)..])
            .tip("use a large finite number, such as 1e300, for a logit that dominates"));
        }
        if !lane.is_empty() && lane.iter().all(|&v| v == f64::NEG_INFINITY) {
            let error =
                Error::new(Code::InfiniteLogits, format!("{along} {n} contains only -inf, which masks every class"))
                    .with_operand(&Name::X)
                    .tip("leave at least one class of each row unmasked");
            return Err(if x.ndim() == 2 && axis == Axis(1) { error.at_index(&[n]) } else { error });
        }
    }
    Ok(())
}

/// Returns a warning if x was read from a y that has probabilities.
pub(super) fn warn_of_softmax_twice(given: &Given<'_>) -> Option<Note> {
    let x = given.at.known(&Name::X);
    let tolerance = distribution_tolerance((given.rounding)(&Name::X));
    let probabilities = given.x_was_y
        && x.len() > 1
        && warn_of_non_distribution(&Name::X, x, tolerance, Code::ProbabilitySum).is_none();
    probabilities.then(|| {
        Note::warning(
            Error::new(
                Code::SoftmaxTwice,
                format!("was read from {}, and its rows sum to 1: softmax would be applied twice", Name::Y),
            )
            .with_operand(&Name::X)
            .tip("pipe the logits, or use xent for the loss of probabilities"),
        )
    })
}

impl<S: ArrayOps> Layer<S> for Softmax {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let x = at.known(&Name::X);
        let axis = self.known_axis(x.ndim());
        // Along the first axis, the rows of the transposed matrix are normalised.
        let transposed = |y: Array2<S>| if axis == Axis(1) { y } else { y.reversed_axes() };
        let x_rows = if axis == Axis(1) { rows(x) } else { rows(x).reversed_axes() };
        let (y, saved) = match (x_rows.is_empty(), self.log) {
            (true, _) => (x_rows.to_owned(), vec![with_rank(x_rows.to_owned(), 2)]),
            (false, true) => {
                let (log, saved) = S::log_softmax_rows(x_rows);
                (log, vec![with_rank(saved, 2)])
            }
            (false, false) => (S::softmax_rows(x_rows).0, Vec::new()),
        };
        Forward { results: Tensors::new().with(Name::Y, with_rank(transposed(y), x.ndim())), saved }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, run: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || {
            let x = at.known(&Name::X);
            let axis = self.known_axis(x.ndim());
            let oriented = |array| if axis == Axis(1) { rows::<S>(array) } else { rows(array).reversed_axes() };
            let dx = if self.log {
                S::log_softmax_gradient(oriented(x), rows(&run.saved[0]), oriented(dout))
            } else {
                S::softmax_gradient(oriented(x), oriented(run.results.known(&Name::Y)), oriented(dout))
            };
            with_rank(if axis == Axis(1) { dx } else { dx.reversed_axes() }, x.ndim())
        })
    }
}
