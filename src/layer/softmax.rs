//! Softmax: y_k = e^x_k / Σ e^x.
//!
//! - Forward: y_k = e^(x_k − max) / Σ e^(x − max); with `--log` its logarithm (x_k − max) − log Σ e^(x − max).
//! - Backward: dx = y∘(dout − Σ dout∘y); with `--log` dx = dout − softmax(x)·Σ dout.
//! - Shapes: x of any shape, y as x; normalised along `--axis`, by default the last.
//! - Refuses: an axis that x does not have, +inf, and unless `--masked-rows` says otherwise a row of only −inf. A single −inf masks
//!   its class.
//! - Accuracy: y within 2 ulp. The rounding error of x − max is kept, the logarithm is log1p of the sum without the maximum,
//!   and backward first subtracts a constant from dout, so a constant dout gives exactly 0.
//! - Source: the Softmax layer of docs/tutorial.md; the maximum is subtracted so that no exponential overflows.
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

use super::arrays::{elements, rows};
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer};
use super::lanes::{self, Lanes, axis_error};
use super::masked_rows::{MASKED_ROWS, MaskedRows};
use super::settings::{Kind, Setting, Settings, Value};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use super::targets::{distribution_tolerance, warn_of_non_distribution};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::{ArrayD, IxDyn};
use std::ops::RangeInclusive;

/// The gradient at y in the place of x.
pub(super) const APPLIED_TWICE: Convention = Convention {
    kind: "applied twice",
    explanation: "it is the gradient at y instead of x; is softmax applied twice?",
    gradient: |case| case.at_output(),
};

/// Returns the gradient of a softmax along an axis of an array of one of these ranks.
fn along_axis(case: &GradientCase<'_>, ranks: RangeInclusive<usize>, axis: i64) -> Option<ArrayD<f64>> {
    let has_rank = ranks.contains(&case.right.ndim());
    has_rank.then(|| case.recompute(|settings, _| settings.set(AXIS.name, Value::Integer(axis))))?
}

/// Returns the convention that softmax is along an axis of an array of one of these ranks.
const fn wrong_axis(explanation: &'static str, gradient: fn(&GradientCase<'_>) -> Option<ArrayD<f64>>) -> Convention {
    Convention { kind: "softmax over the wrong axis", explanation, gradient }
}

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "softmax",
    about: "y = eˣ / Σ eˣ, maps scores to probabilities",
    outputs: &[(Name::Y, "softmax(x)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, "(N×C) or any shape", "y∘(dout − Σ dout∘y)", "logits")],
    settings: &[AXIS, LOG, MASKED_ROWS],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        APPLIED_TWICE,
        wrong_axis("it is the gradient of a softmax of each column, expected a softmax of each row", |case| {
            along_axis(case, 2..=2, 0)
        }),
        wrong_axis("it is the gradient of a softmax of each row, expected a softmax of each column", |case| {
            along_axis(case, 2..=2, 1)
        }),
        wrong_axis("it is the gradient of a softmax along the first axis", |case| along_axis(case, 3..=usize::MAX, 0)),
        wrong_axis("it is the gradient of a softmax along axis 1", |case| along_axis(case, 3..=usize::MAX, 1)),
        wrong_axis("it is the gradient of a softmax along axis 2", |case| along_axis(case, 4..=usize::MAX, 2)),
        wrong_axis("it is the gradient of a softmax along the last axis", |case| along_axis(case, 3..=usize::MAX, -1)),
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
    source: "the Softmax layer of docs/tutorial.md",
    build: |settings| Ok(Box::new(Softmax::new(settings)) as Box<dyn AnyLayer>),
};

const AXIS: Setting = Setting {
    name: lanes::AXIS,
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
    masked: MaskedRows,
}

impl Softmax {
    fn new(settings: &Settings) -> Softmax {
        let (axis, log) = (settings.integer(AXIS.name), settings.flag(LOG.name));
        Softmax { axis, log, masked: MaskedRows::new(settings) }
    }

    /// Returns the lanes that are normalised, if x has the axis.
    fn lanes(&self, shape: &[usize]) -> Option<Lanes> {
        Lanes::along(shape, self.axis, usize::MAX - 1)
    }

    fn known_lanes<S>(&self, x: &ArrayD<S>) -> Lanes {
        self.lanes(x.shape()).unwrap_or_else(|| unreachable!("admitted"))
    }

    /// Sets the lanes of a result to `value` where all logits are masked, if they are neither errors nor NaN.
    fn fill_masked<S: ArrayOps>(&self, x: &ArrayD<S>, lanes: &Lanes, mut result: ArrayD<S>, value: f64) -> ArrayD<S> {
        if self.masked == MaskedRows::Zero {
            let masked = S::from_f64(f64::NEG_INFINITY);
            for n in (0..lanes.count()).filter(|&n| (0..lanes.len()).all(|k| x[IxDyn(&lanes.index(n, k))] == masked)) {
                (0..lanes.len()).for_each(|k| result[IxDyn(&lanes.index(n, k))] = S::from_f64(value));
            }
        }
        result
    }
}

impl Admit for Softmax {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let x = given.at.known(&Name::X);
        let lanes = self.lanes(x.shape()).ok_or_else(|| axis_error(&Name::X, x.shape(), self.axis))?;
        admit_logits(x, &lanes, |_| self.masked != MaskedRows::Error)?;
        Ok(warn_of_softmax_twice(given, &lanes).into_iter().collect())
    }

    fn independent_rows(&self, rank: usize) -> bool {
        rank > 1 && self.lanes(&vec![1; rank]).is_some_and(|lanes| lanes.axis() > 0)
    }

    fn formulas(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        if self.log {
            vec![(Name::Y, "x − log Σ eˣ"), (Name::DX, "dout − softmax(x)·Σ dout")]
        } else {
            Vec::new()
        }
    }

    fn jacobians(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let lanes = self.known_lanes(at.known(&Name::X));
        let formula = match (self.log, lanes.count(), lanes.shape().len(), lanes.are_rows()) {
            (false, 0 | 1, ..) => "diag(y) − y·yᵀ",
            (false, _, _, true) => "diag(y) − y·yᵀ for each row, 0 between rows",
            (false, _, 2, _) => "diag(y) − y·yᵀ for each column, 0 between columns",
            (false, ..) => "diag(y) − y·yᵀ along the axis, else 0",
            (true, 0 | 1, ..) => "I − 1·softmax(x)ᵀ",
            (true, _, _, true) => "I − 1·softmax(x)ᵀ for each row, 0 between rows",
            (true, _, 2, _) => "I − 1·softmax(x)ᵀ for each column, 0 between columns",
            (true, ..) => "I − 1·softmax(x)ᵀ along the axis, else 0",
        };
        vec![(Name::DX, formula)]
    }
}

/// Refuses logits whose softmax along the lanes is undefined. `may_be_masked` returns true for lanes that may be masked throughout.
pub(super) fn admit_logits(x: &ArrayD<f64>, lanes: &Lanes, may_be_masked: impl Fn(usize) -> bool) -> Result<(), Error> {
    if lanes.len() == 0 && lanes.count() > 0 {
        return Err(Error::new(Code::Shape, format!("must have at least one class, got {}", format_shape(x.shape())))
            .with_operand(&Name::X)
            .with_shape(&Name::X, x.shape())
            .tip("give at least one logit for each row"));
    }
    if f64::are_finite(elements(x)) {
        return Ok(());
    }
    for (n, lane) in lanes.rows(x).rows().into_iter().enumerate() {
        if let Some(k) = lane.iter().position(|&v| v == f64::INFINITY) {
            let message = format!("{} contains +inf, for which softmax is undefined", lanes.label(n));
            return Err(Error::new(Code::InfiniteLogits, message)
                .with_operand(&Name::X)
                .at_index(&lanes.index(n, k))
                .tip("use a large finite number, such as 1e300, for a logit that dominates"));
        }
        if !lane.is_empty() && lane.iter().all(|&v| v == f64::NEG_INFINITY) && !may_be_masked(n) {
            let message = format!("{} contains only -inf, which masks every class", lanes.label(n));
            let error = Error::new(Code::InfiniteLogits, message).with_operand(&Name::X).tip(format!(
                "leave at least one class unmasked, or use --{} zero or --{} nan",
                MASKED_ROWS.name, MASKED_ROWS.name
            ));
            return Err(if x.ndim() > 1 { error.at_index(&lanes.place(n)) } else { error });
        }
    }
    Ok(())
}

/// Returns a warning if x was read from a y that has probabilities.
pub(super) fn warn_of_softmax_twice(given: &Given<'_>, lanes: &Lanes) -> Option<Note> {
    let x = given.at.known(&Name::X);
    let tolerance = distribution_tolerance((given.rounding)(&Name::X));
    let probabilities = given.x_was_y
        && x.len() > 1
        && warn_of_non_distribution(&Name::X, x, lanes, tolerance, Code::ProbabilitySum).is_none();
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
        let lanes = self.known_lanes(x);
        let (y, saved) = match (x.is_empty(), self.log) {
            (true, _) => (x.clone(), vec![lanes.rows(x).into_owned().into_dyn()]),
            (false, true) => {
                let (log, saved) = S::log_softmax_rows(lanes.rows(x).view());
                (self.fill_masked(x, &lanes, lanes.restore(log), f64::NEG_INFINITY), vec![saved.into_dyn()])
            }
            (false, false) => {
                let y = if lanes.are_rows() {
                    lanes.restore(S::softmax_rows(lanes.rows(x).view()).0)
                } else {
                    lanes.joined(S::softmax_lanes(lanes.view(x)))
                };
                (self.fill_masked(x, &lanes, y, 0.0), Vec::new())
            }
        };
        Forward { results: Tensors::new().with(Name::Y, y), saved }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, run: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || {
            let x = at.known(&Name::X);
            let lanes = self.known_lanes(x);
            let (x_rows, dout) = (lanes.rows(x), lanes.rows(dout));
            let dx = if self.log {
                let saved = rows(&run.saved[0]);
                S::log_softmax_gradient(x_rows.view(), saved, dout.view())
            } else {
                let y = lanes.rows(run.results.known(&Name::Y));
                S::softmax_gradient(x_rows.view(), y.view(), dout.view())
            };
            self.fill_masked(x, &lanes, lanes.restore(dx), 0.0)
        })
    }
}
