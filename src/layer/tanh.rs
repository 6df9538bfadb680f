//! Hyperbolic tangent: y = tanh x.
//!
//! - Forward: y = tanh x.
//! - Backward: dx = dout·(1 − y²), as dout/cosh² x, which is accurate where y is nearly ±1.
//! - Shapes: x of any shape, y and dx as x.
//! - Refuses: nothing; NaN gives NaN.
//! - Accuracy: y within 1 ulp, also near 0; dx within 2 ulp.
//! - Source: tanh′ = 1 − tanh².
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let tanh = (layer::find("tanh").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![0.0, 1000.0, -1000.0].into_dyn());
//! let outcome = layer::compute(tanh.as_ref(), &at, Some(&array![2.0, 2.0, 2.0].into_dyn()), layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![0.0, 1.0, -1.0].into_dyn());
//! assert_eq!(outcome.gradients.known(&Name::DX), &array![2.0, 0.0, 0.0].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::map;
use super::convention::Convention;
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Layer};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::{ArrayOps, Kernel};
use ndarray::ArrayD;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "tanh",
    about: "y = tanh x, maps scores to (−1, 1)",
    outputs: &[(Name::Y, "tanh x")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, "(N×D) or any shape", "dout∘(1 − y²)", "input, element-wise")],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        Convention {
            kind: "applied twice",
            explanation: "it is the gradient at y instead of x; is tanh applied twice?",
            gradient: |case| case.at_output(),
        },
        Convention {
            kind: "x in place of y",
            explanation: "it is dout∘(1 − x²), expected dout∘(1 − y²)",
            gradient: |case| case.elementwise(|x, _| 1.0 - x * x),
        },
        Convention {
            kind: "y in place of y²",
            explanation: "it is dout∘(1 − y), expected dout∘(1 − y²)",
            gradient: |case| case.elementwise(|_, y| 1.0 - y),
        },
    ],
    examples: &[
        Example {
            command: "nnlayer tanh --x -1,0,1 --dout 1,2,3",
            prints: "\
y = tanh x  (3)
[-0.76159416  0.          0.76159416]

dx = dout∘(1 − y²)  (3)
[0.41997434 2.         1.25992302]
",
        },
        Example {
            command: "nnlayer tanh --x 1e-300,1000,-1000 --json",
            prints: "{\"y\":[1e-300,1.0,-1.0],\"dx\":[1.0,0.0,0.0]}\n",
        },
    ],
    source: "tanh and its derivative 1 - tanh²",
    build: |_| Ok(Box::new(Tanh) as Box<dyn AnyLayer>),
};

/// y = tanh x.
struct Tanh;

impl Admit for Tanh {
    fn independent_rows(&self, rank: usize) -> bool {
        rank > 0
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![(Name::DX, "diag(1 − y²)")]
    }
}

impl<S: ArrayOps> Layer<S> for Tanh {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let y = map(Some(Kernel::Tanh), [at.known(&Name::X)], |[x]| x.tanh());
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, run: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || {
            let (x, y) = (at.known(&Name::X), run.results.known(&Name::Y));
            let slope = |x: S| {
                let half = half_sech(x);
                S::from_f64(4.0) * (half * half)
            };
            let formula = |[x, y, dout]: [S; 3]| dout * S::stable_or_textbook(|| slope(x), || S::one() - y * y);
            map(Some(Kernel::TanhGradient), [x, y, dout], formula)
        })
    }
}

/// Returns 1/(2·cosh x) = e^−|x|/(1 + e^−2|x|).
fn half_sech<S: ArrayOps>(x: S) -> S {
    let power = if x < S::zero() { x.exp() } else { (-x).exp() };
    power / (S::one() + power * power)
}
