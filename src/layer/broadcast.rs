//! Elementwise layers of two operands that broadcast as in NumPy: add, mul and prelu. A gradient is summed over the axes along which
//! its operand was repeated.
//!
//! - Forward: y = x1 + x2, x1∘x2, or x where x > 0 and a·x elsewhere.
//! - Backward: dx1 = dout or dout∘x2, dx2 = dout or dout∘x1; dx = dout or a·dout, da = dout∘x where x ≤ 0; each summed back.
//! - Shapes: x1 and x2 of shapes that broadcast to that of y; a scalar, one number for each channel along `--axis`, or of a shape that
//!   broadcasts to that of x.
//! - Refuses: shapes that do not broadcast, an axis that x does not have.
//! - Accuracy: y within 1 ulp; sums with the errors of all additions.
//! - Source: NumPy's broadcasting; PyTorch's prelu (channels along axis 1, slope `a` at 0) and ONNX's PRelu (broadcasting).
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let add = (layer::find("add").unwrap().build)(&layer::Settings::default())?;
//! let [x1, x2] = ["x1", "x2"].map(Name::new);
//! let at = Tensors::new().with(x1, array![[1.0, 2.0], [3.0, 4.0]].into_dyn()).with(x2, array![10.0, 20.0].into_dyn());
//! let outcome = layer::compute(add.as_ref(), &at, Some(&array![[1.0, 1.0], [1.0, 1.0]].into_dyn()), layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![[11.0, 22.0], [13.0, 24.0]].into_dyn());
//! assert_eq!(outcome.gradients.known(&Name::new("dx2")), &array![2.0, 2.0].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::{broadcast, broadcast_shape, map, sum_to_shape};
use super::convention::{Convention, GradientCase};
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer, MatrixOperation};
use super::lanes::{AXIS, Lanes, axis_error};
use super::settings::{Kind, Setting, Settings};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::ArrayD;
use std::borrow::Cow;

/// The slope of prelu.
const A: Name = Name::fixed("a");

const BROADCASTS: &str = "(N×D) or any shape that broadcasts";

/// Returns da as it is before it is summed over the axes along which a was repeated.
fn slopes_not_summed(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let slopes = Prelu::new(case.settings).slopes(case.operands);
    case.recompute(|_, operands| operands.insert(A, slopes))
}

/// Returns the gradient as it is before it is summed over the axes along which its operand was repeated.
fn not_summed_back(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let mut operands = case.operands.clone();
    let name = case.name.operand()?;
    let value = operands.get(&name).filter(|value| value.shape() != case.dout.shape())?;
    operands.insert(name, broadcast(value, case.dout.shape()).into_owned());
    case.recompute(|_, all| *all = operands)
}

/// Registry row of add.
pub(super) const ADD: LayerSpec = LayerSpec {
    name: "add",
    about: "y = x1 + x2, as a residual connection or a bias",
    outputs: &[(Name::Y, "x1 + x2")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X1, BROADCASTS, "Σ dout over repeated axes", "first input"),
        Slot::input(Name::X2, BROADCASTS, "Σ dout over repeated axes", "second input"),
    ],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[NOT_SUMMED_BACK],
    examples: &[Example {
        command: "nnlayer add --x1 '1,2;3,4' --x2 10,20 --json",
        prints: "{\"y\":[[11.0,22.0],[13.0,24.0]],\"dx1\":[[1.0,1.0],[1.0,1.0]],\"dx2\":[2.0,2.0]}\n",
    }],
    source: "NumPy's addition with broadcasting",
    build: |_| Ok(Box::new(Binary::Add) as Box<dyn AnyLayer>),
};

/// Registry row of mul.
pub(super) const MUL: LayerSpec = LayerSpec {
    name: "mul",
    about: "y = x1∘x2, entry by entry",
    outputs: &[(Name::Y, "x1∘x2")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X1, BROADCASTS, "Σ dout∘x2 over repeated axes", "first input"),
        Slot::input(Name::X2, BROADCASTS, "Σ dout∘x1 over repeated axes", "second input"),
    ],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        NOT_SUMMED_BACK,
        Convention {
            kind: "own input",
            explanation: "it multiplies by its own input; the gradient by x1 is dout∘x2, and that by x2 is dout∘x1",
            gradient: |case| {
                let other = if *case.name == Name::X1.gradient() { Name::X2 } else { Name::X1 };
                let own = case.operands.get(&case.name.operand()?)?.clone();
                case.recompute(|_, operands| operands.insert(other, own))
            },
        },
    ],
    examples: &[Example {
        command: "nnlayer mul --x1 '1,2;3,4' --x2 10,20 --json",
        prints: "{\"y\":[[10.0,40.0],[30.0,80.0]],\"dx1\":[[10.0,20.0],[10.0,20.0]],\"dx2\":[4.0,6.0]}\n",
    }],
    source: "NumPy's multiplication with broadcasting",
    build: |_| Ok(Box::new(Binary::Mul) as Box<dyn AnyLayer>),
};

const NOT_SUMMED_BACK: Convention = Convention {
    kind: "not summed over repeated axes",
    explanation: "it has the shape of the output; sum it over the axes along which its operand was broadcast",
    gradient: not_summed_back,
};

const CHANNEL_AXIS: Setting =
    Setting { name: AXIS, kind: Kind::Integer, doc: "axis of the channels, if a is a vector (default 1)" };

/// Registry row of prelu.
pub(super) const PRELU: LayerSpec = LayerSpec {
    name: "prelu",
    about: "y = x where x > 0, else a·x, with a learnt slope",
    outputs: &[(Name::Y, "x where x > 0, else a·x")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(N×C) or any shape", "dout where x > 0, else a∘dout", "input"),
        Slot::parameter(A, "(C) or scalar", "Σ dout∘x where x ≤ 0, over repeated axes", "slope where x < 0"),
    ],
    settings: &[CHANNEL_AXIS],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        Convention { gradient: slopes_not_summed, ..NOT_SUMMED_BACK },
        Convention {
            kind: "one slope for all channels",
            explanation: "it is the sum over all channels, but a has one slope for each",
            gradient: |case| {
                let is_da = *case.name == A.gradient() && case.right.len() > 1;
                is_da.then(|| ArrayD::from_elem(case.right.raw_dim(), case.right.sum()))
            },
        },
    ],
    examples: &[Example {
        command: "nnlayer prelu --x '-1,2;-3,-4' --a 0.25,0.5 --json",
        prints: "{\"y\":[[-0.25,2.0],[-0.75,-2.0]],\"dx\":[[0.25,1.0],[0.25,0.5]],\"da\":[-4.0,-4.0]}\n",
    }],
    source: "He et al. 2015; channels along axis 1 and the slope a at 0 as PyTorch; ONNX's PRelu broadcasts a: --axis -1",
    build: |settings| Ok(Box::new(Prelu::new(settings)) as Box<dyn AnyLayer>),
};

/// y = x1 + x2 or x1∘x2.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Binary {
    Add,
    Mul,
}

impl Admit for Binary {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (x1, x2) = (given.at.known(&Name::X1), given.at.known(&Name::X2));
        if broadcast_shape(x1.shape(), x2.shape()).is_some() {
            return Ok(Vec::new());
        }
        let (first, second) = (format_shape(x1.shape()), format_shape(x2.shape()));
        Err(Error::new(Code::Shape, format!("{second} does not broadcast with {x} {first}", x = Name::X1))
            .with_operand(&Name::X2)
            .with_shape(&Name::X1, x1.shape())
            .with_shape(&Name::X2, x2.shape())
            .tip("compare the axes from the last: each must be equal or 1 in one of them"))
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        output_shape(at)
    }

    fn matrix_operations(&self, _: &Tensors<f64>, _: &Tensors<f64>, _: &ArrayD<f64>) -> Vec<MatrixOperation> {
        let op = if *self == Binary::Add { "+" } else { "∘" };
        vec![MatrixOperation { op, note: None, reads: vec![Name::X1, Name::X2], gives: Name::Y, inner: None }]
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let of = |own, other| if *self == Binary::Add { own } else { other };
        vec![
            (Name::X1.gradient(), of("1 where x1 is added to y, else 0", "x2 where x1 is a factor of y, else 0")),
            (Name::X2.gradient(), of("1 where x2 is added to y, else 0", "x1 where x2 is a factor of y, else 0")),
        ]
    }
}

/// Returns the shape of y for admitted x1 and x2.
fn output_shape<S>(at: &Tensors<S>) -> Vec<usize> {
    let shape = broadcast_shape(at.known(&Name::X1).shape(), at.known(&Name::X2).shape());
    shape.unwrap_or_else(|| unreachable!("admitted"))
}

impl<S: ArrayOps> Layer<S> for Binary {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let shape = output_shape(at);
        let [x1, x2] = [Name::X1, Name::X2].map(|name| broadcast(at.known(&name), &shape));
        let y = match self {
            Binary::Add => map(None, [&x1, &x2], |[x1, x2]| x1 + x2),
            Binary::Mul => map(None, [&x1, &x2], |[x1, x2]| x1 * x2),
        };
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let gradient = move |own: Name, other: Name| {
            let gradient = match self {
                Binary::Add => Cow::Borrowed(dout),
                Binary::Mul => {
                    let other = broadcast(at.known(&other), dout.shape());
                    Cow::Owned(map(None, [dout, &other], |[dout, other]| dout * other))
                }
            };
            sum_to_shape(gradient, at.known(&own).shape())
        };
        Gradients::one(Name::X1.gradient(), move || gradient(Name::X1, Name::X2))
            .with(Name::X2.gradient(), move || gradient(Name::X2, Name::X1))
    }
}

/// y = x where x > 0, else a·x.
struct Prelu {
    axis: Option<i64>,
}

impl Prelu {
    fn new(settings: &Settings) -> Prelu {
        Prelu { axis: settings.integer(CHANNEL_AXIS.name) }
    }

    /// Returns the lanes along the channel axis, if x has it.
    fn lanes(&self, x: &[usize]) -> Option<Lanes> {
        Lanes::along(x, self.axis, 1)
    }

    /// Returns the shape of a with the axes of x: that of a vector is the channel axis.
    fn aligned_shape(&self, x: &[usize], a: &[usize]) -> Vec<usize> {
        match (a, self.lanes(x)) {
            (&[channels], Some(lanes)) if !x.is_empty() => {
                let mut shape = vec![1; x.len()];
                shape[lanes.axis()] = channels;
                shape
            }
            _ => a.to_vec(),
        }
    }

    /// Returns a, repeated to the shape of x.
    fn slopes<S: ArrayOps>(&self, at: &Tensors<S>) -> ArrayD<S> {
        let (x, a) = (at.known(&Name::X), at.known(&A));
        let aligned = a.view().into_shape_with_order(self.aligned_shape(x.shape(), a.shape()));
        let aligned = aligned.unwrap_or_else(|_| unreachable!("operands are in standard layout"));
        broadcast(&aligned.to_owned(), x.shape()).into_owned()
    }
}

impl Admit for Prelu {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (x, a) = (given.at.known(&Name::X), given.at.known(&A));
        let lanes = self.lanes(x.shape()).ok_or_else(|| axis_error(&Name::X, x.shape(), self.axis))?;
        let aligned = self.aligned_shape(x.shape(), a.shape());
        if broadcast_shape(&aligned, x.shape()).is_some_and(|shape| shape == x.shape()) {
            return Ok(Vec::new());
        }
        let (expected, got) = (lanes.len(), format_shape(a.shape()));
        let (axis, shape) = (lanes.axis(), format_shape(x.shape()));
        let message =
            format!("expected a scalar or ({expected}), one slope for each channel of {} {shape}, got {got}", Name::X);
        Err(Error::new(Code::Shape, message)
            .with_operand(&A)
            .with_shape(&Name::X, x.shape())
            .with_shape(&A, a.shape())
            .tip(format!("the channels are along axis {axis}; --axis names another one, --axis -1 the last")))
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![(Name::DX, "diag(1 where x > 0, else a)"), (A.gradient(), "x where x ≤ 0 and a is its slope, else 0")]
    }
}

impl<S: ArrayOps> Layer<S> for Prelu {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let y = map(None, [at.known(&Name::X), &self.slopes(at)], |[x, a]| if x > S::zero() { x } else { a * x });
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let (x, a) = (at.known(&Name::X), at.known(&A));
        let dx =
            move || map(None, [x, &self.slopes(at), dout], |[x, a, dout]| if x > S::zero() { dout } else { a * dout });
        let da = move || {
            let terms = map(None, [x, dout], |[x, dout]| if x > S::zero() { S::zero() } else { dout * x });
            let sums = sum_to_shape(Cow::Owned(terms), &self.aligned_shape(x.shape(), a.shape()));
            let da = sums.into_shape_with_order(a.raw_dim());
            da.unwrap_or_else(|_| unreachable!("there is a slope for each place"))
        };
        Gradients::one(Name::DX, dx).with(A.gradient(), da)
    }
}
