//! Gated linear units: y = x∘σ(gate), with another activation swiglu, geglu and others.
//!
//! - Forward: y = x∘f(gate); f is sigmoid, silu, gelu, relu or the identity. x and gate are the halves of one input, or two operands.
//! - Backward: dx = dout∘f(gate), dgate = dout∘x∘f′(gate); of one input, dx has both in the place of the halves.
//! - Shapes: x and gate of one shape; without gate x of an even length along `--axis`, and y of half that length.
//! - Refuses: an odd length, a gate of another shape, `--axis` and `--gate-half` with a gate.
//! - Accuracy: y within 1.2 ulp, gradients within 1.5, computed as sums of two doubles and rounded once (`ops::curves`).
//! - Source: Dauphin et al. 2017, and Shazeer 2020 for other activations; PyTorch's glu, whose gate is the second half.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let glu = (layer::find("glu").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![3.0, 5.0, 0.0, 0.0].into_dyn());
//! let outcome = layer::compute(glu.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![1.5, 2.5].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::{map, map_formula};
use super::convention::Convention;
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Given, Layer};
use super::lanes::{AXIS, Lanes, axis_error};
use super::pointwise::{gelu, sigmoid, sigmoid_slope, silu};
use super::settings::{Kind, Setting, Settings, Value};
use super::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use crate::ops::curves::{Curve, CurveProduct};
use crate::ops::{ArrayOps, Formula};
use ndarray::{Array3, ArrayD, IxDyn, s};
use std::borrow::Cow;
use std::ops::Range;

const GATE: Name = Name::fixed("gate");

const ACTIVATION: Setting = Setting {
    name: "activation",
    kind: Kind::Choice(&["sigmoid", "silu", "gelu", "relu", "none"]),
    doc: "activation of the gate: sigmoid (default), silu (swiglu), gelu (geglu), relu (reglu) or none (bilinear)",
};
const SPLIT_AXIS: Setting =
    Setting { name: AXIS, kind: Kind::Integer, doc: "axis along which x is split in halves (default -1, the last)" };
const GATE_HALF: Setting = Setting {
    name: "gate-half",
    kind: Kind::Choice(&["second", "first"]),
    doc: "half of x that is the gate: second (default, as in PyTorch) or first",
};

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "glu",
    about: "y = x∘σ(gate), a gated linear unit; swiglu is glu --activation silu",
    outputs: &[(Name::Y, "x∘f(gate)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[
        Slot::input(Name::X, "(N×2D) or any shape", "dout∘f(gate), and dout∘x∘f′(gate) in the gate's half", "input"),
        Slot {
            name: GATE,
            role: Role::Input,
            shape: "as x",
            optional: true,
            values: Values::Numbers,
            gradient: Some("dout∘x∘f′(gate)"),
            doc: "gate; without it, x is split in halves",
        },
    ],
    settings: &[ACTIVATION, GATE_HALF, SPLIT_AXIS],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "activation of the gate left out",
        explanation: "it is the gradient of x∘gate, without an activation",
        gradient: |case| case.recompute(|settings, _| settings.set(ACTIVATION.name, Value::Choice("none"))),
    }],
    examples: &[
        Example { command: "nnlayer glu --x 3,5,0,0 --json", prints: "{\"y\":[1.5,2.5],\"dx\":[0.5,0.5,0.75,1.25]}\n" },
        Example {
            command: "nnlayer glu --activation silu --x 3,5 --gate 1,-1 --json",
            prints: "{\"y\":[2.193175735890015,-1.3447071068499756],\"dx\":[0.7310585786300049,-0.2689414213699951],\"dgate\":[2.78301153561446,0.3616474406425663]}\n",
        },
    ],
    source: "Dauphin et al. 2017; activations of Shazeer 2020; the second half is the gate, as in PyTorch",
    build: |settings| Ok(Box::new(Glu::new(settings)) as Box<dyn AnyLayer>),
};

/// The activation of a gate.
#[derive(Clone, Copy, Debug)]
enum Activation {
    Sigmoid,
    Silu,
    Gelu,
    Relu,
    Identity,
}

impl Activation {
    /// Returns f(g) and f′(g).
    fn value<S: Scalar>(self, g: S) -> S {
        match self {
            Activation::Sigmoid => sigmoid(g),
            Activation::Silu => silu(g).0,
            Activation::Gelu => gelu(g).0,
            Activation::Relu => g.if_positive(g),
            Activation::Identity => g,
        }
    }

    /// Returns the curve of fast kernels that is f.
    fn fast_kernel(self) -> Option<Curve> {
        match self {
            Activation::Sigmoid => Some(Curve::Sigmoid),
            Activation::Silu => Some(Curve::Silu { beta: 1.0 }),
            Activation::Gelu => Some(Curve::Gelu),
            Activation::Relu | Activation::Identity => None,
        }
    }

    /// Returns f′(g).
    fn slope<S: Scalar>(self, g: S) -> S {
        match self {
            Activation::Sigmoid => sigmoid_slope(g),
            Activation::Silu => silu(g).1,
            Activation::Gelu => gelu(g).1,
            Activation::Relu => g.if_positive(S::one()),
            Activation::Identity => S::one(),
        }
    }
}

/// x∘f(gate), as a formula of x and gate.
struct Gated(Activation);

impl Formula<2> for Gated {
    fn compute<S: Scalar>(&self, [x, gate]: [S; 2]) -> S {
        x * self.0.value(gate)
    }

    fn curve_product(&self) -> Option<CurveProduct> {
        Some(CurveProduct { activation: self.0.fast_kernel()?, is_slope: false, argument: 1 })
    }
}

/// dout∘x∘f′(gate), as a formula of x, gate and dout.
struct GateGradient(Activation);

impl Formula<3> for GateGradient {
    fn compute<S: Scalar>(&self, [x, gate, dout]: [S; 3]) -> S {
        dout * x * self.0.slope(gate)
    }

    fn curve_product(&self) -> Option<CurveProduct> {
        Some(CurveProduct { activation: self.0.fast_kernel()?, is_slope: true, argument: 1 })
    }
}

/// Computes a formula that is a product of numbers where the activation has no curve.
fn map_product<S: ArrayOps, const N: usize>(inputs: [&ArrayD<S>; N], formula: &impl Formula<N>) -> ArrayD<S> {
    if formula.curve_product().is_some() {
        map_formula(inputs, formula)
    } else {
        map(None, inputs, |inputs| formula.compute(inputs))
    }
}

/// y = x∘f(gate).
struct Glu {
    activation: Activation,
    is_gate_first: bool,
    axis: Option<i64>,
    /// The name of a setting that is given and applies to halves only.
    of_halves: Option<&'static str>,
}

impl Glu {
    fn new(settings: &Settings) -> Glu {
        let activation = match settings.choice(ACTIVATION.name) {
            Some("silu") => Activation::Silu,
            Some("gelu") => Activation::Gelu,
            Some("relu") => Activation::Relu,
            Some("none") => Activation::Identity,
            _ => Activation::Sigmoid,
        };
        Glu {
            activation,
            is_gate_first: settings.choice(GATE_HALF.name) == Some("first"),
            axis: settings.integer(SPLIT_AXIS.name),
            of_halves: [GATE_HALF.name, AXIS].into_iter().find(|name| settings.get(name).is_some()),
        }
    }

    /// Returns the lanes along the axis that is split, if x has it.
    fn lanes(&self, shape: &[usize]) -> Option<Lanes> {
        Lanes::along(shape, self.axis, shape.len().saturating_sub(1))
    }

    fn known_lanes(&self, shape: &[usize]) -> Lanes {
        self.lanes(shape).unwrap_or_else(|| unreachable!("admitted"))
    }

    /// Returns the shape of a half of x.
    fn half_shape(&self, shape: &[usize]) -> Vec<usize> {
        let mut half = shape.to_vec();
        half[self.known_lanes(shape).axis()] /= 2;
        half
    }

    /// Returns the value and the gate.
    fn value_and_gate<'a, S: ArrayOps>(&self, at: &'a Tensors<S>) -> [Cow<'a, ArrayD<S>>; 2] {
        let x = at.known(&Name::X);
        if let Some(gate) = at.get(&GATE) {
            return [x, gate].map(Cow::Borrowed);
        }
        let (view, shape) = (self.known_lanes(x.shape()).view(x), self.half_shape(x.shape()));
        let middle = view.dim().1 / 2;
        let half = |range: Range<usize>| {
            let half = view.slice(s![.., range, ..]).as_standard_layout().into_owned();
            let half = half.into_shape_with_order(IxDyn(&shape));
            Cow::Owned(half.unwrap_or_else(|_| unreachable!("there is an element for each place")))
        };
        let halves = [half(0..middle), half(middle..2 * middle)];
        if self.is_gate_first { reversed(halves) } else { halves }
    }

    /// Returns the gradient of x, which has that shape, from those of the value and the gate: the inverse of
    /// [`value_and_gate`](Glu::value_and_gate).
    fn joined<S: ArrayOps>(&self, gradients: [ArrayD<S>; 2], shape: &[usize]) -> ArrayD<S> {
        let lanes = self.known_lanes(shape);
        let halves = if self.is_gate_first { reversed(gradients) } else { gradients };
        let (mut joined, middle) = (Array3::from_elem(lanes.dim(), S::zero()), lanes.len() / 2);
        for (n, half) in halves.into_iter().enumerate() {
            let mut place = joined.slice_mut(s![.., n * middle..(n + 1) * middle, ..]);
            let half = half.into_shape_with_order(place.raw_dim());
            place.assign(&half.unwrap_or_else(|_| unreachable!("there is an element for each place")));
        }
        lanes.joined(joined)
    }
}

fn reversed<T>([first, second]: [T; 2]) -> [T; 2] {
    [second, first]
}

impl Admit for Glu {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (x, gate) = (given.at.known(&Name::X), given.at.get(&GATE));
        let shape = format_shape(x.shape());
        if let Some(gate) = gate {
            if let Some(name) = self.of_halves {
                return Err(Error::new(Code::Setting, format!("has no effect with --{GATE}, where x is not split"))
                    .with_operand(&Name::new(name))
                    .tip("leave it out, or leave out the gate to split x in halves"));
            }
            if gate.shape() == x.shape() {
                return Ok(Vec::new());
            }
            let message = format!("expected the shape of {}, {shape}, got {}", Name::X, format_shape(gate.shape()));
            let error = Error::new(Code::Shape, message).with_operand(&GATE).with_shape(&Name::X, x.shape());
            return Err(error.with_shape(&GATE, gate.shape()).tip("give one gate for each entry of x"));
        }
        let lanes = self.lanes(x.shape()).ok_or_else(|| axis_error(&Name::X, x.shape(), self.axis))?;
        if x.ndim() == 0 || lanes.len() % 2 == 1 {
            let message = format!("{shape} cannot be split in halves along axis {}", lanes.axis());
            return Err(Error::new(Code::Shape, message)
                .with_operand(&Name::X)
                .with_shape(&Name::X, x.shape())
                .tip(format!("give an even length, another --{AXIS}, or --{GATE} with the shape of x")));
        }
        Ok(Vec::new())
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        let shape = at.known(&Name::X).shape();
        if at.get(&GATE).is_some() { shape.to_vec() } else { self.half_shape(shape) }
    }

    fn formulas(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let y = match self.activation {
            Activation::Sigmoid => "x∘σ(gate)",
            Activation::Silu => "x∘gate∘σ(gate)",
            Activation::Gelu => "x∘gate∘Φ(gate)",
            Activation::Relu => "x∘max(gate, 0)",
            Activation::Identity => "x∘gate",
        };
        let dx = at.get(&GATE).map(|_| (Name::DX, "dout∘f(gate)"));
        [(Name::Y, y)].into_iter().chain(dx).collect()
    }
}

impl<S: ArrayOps> Layer<S> for Glu {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let [x, gate] = self.value_and_gate(at);
        let y = map_product([&x, &gate], &Gated(self.activation));
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let value = move || map_product([dout, &self.value_and_gate(at)[1]], &Gated(self.activation));
        let gate = move || {
            let [x, gate] = self.value_and_gate(at);
            map_product([&x, &gate, dout], &GateGradient(self.activation))
        };
        let (shape, is_split) = (at.known(&Name::X).shape(), at.get(&GATE).is_none());
        let dx = move || if is_split { self.joined([value(), gate()], shape) } else { value() };
        Gradients::one(Name::DX, dx).with_if(!is_split, GATE.gradient(), gate)
    }
}
