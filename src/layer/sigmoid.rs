//! Sigmoid: y = 1/(1 + e⁻ˣ).
//!
//! - Forward: y = 1/(1 + e⁻ˣ), as e^−|x|/(1 + e^−|x|) where x < 0, so that nothing overflows.
//! - Backward: dx = dout·y·(1 − y), as dout·e^−|x|/(1 + e^−|x|)², which is accurate where y is nearly 1.
//! - Shapes: x of any shape, y and dx as x.
//! - Refuses: nothing; NaN gives NaN.
//! - Accuracy: y within 1 ulp, dx within 2 ulp.
//! - Source: the logistic function; its derivative y·(1 − y).
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let sigmoid = (layer::find("sigmoid").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![0.0, 1000.0, -1000.0].into_dyn());
//! let outcome = layer::compute(sigmoid.as_ref(), &at, Some(&array![4.0, 4.0, 4.0].into_dyn()), layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![0.5, 1.0, 0.0].into_dyn());
//! assert_eq!(outcome.gradients.known(&Name::DX), &array![1.0, 0.0, 0.0].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::map;
use super::convention::Convention;
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Layer};
use super::pointwise::{power, sigmoid};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::{ArrayOps, Kernel};
use ndarray::ArrayD;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "sigmoid",
    about: "y = 1/(1 + e⁻ˣ), maps scores to (0, 1)",
    outputs: &[(Name::Y, "1/(1 + e⁻ˣ)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, "(N×D) or any shape", "dout∘y∘(1 − y)", "input, element-wise")],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        Convention {
            kind: "applied twice",
            explanation: "it is the gradient at y instead of x; is sigmoid applied twice?",
            gradient: |case| case.at_output(),
        },
        Convention {
            kind: "x in place of y",
            explanation: "it is dout∘x∘(1 − x), expected dout∘y∘(1 − y)",
            gradient: |case| case.elementwise(|x, _| x * (1.0 - x)),
        },
    ],
    examples: &[
        Example {
            command: "nnlayer sigmoid --x -1,0,1",
            prints: "\
y = 1/(1 + e⁻ˣ)  (3)
[0.26894142 0.5        0.73105858]

dout = ones: the gradients of L = Σy

dx = dout∘y∘(1 − y)  (3)
[0.19661193 0.25       0.19661193]
",
        },
        Example {
            command: "nnlayer sigmoid --x 1000,-1000,40 --json",
            prints: "{\"y\":[1.0,0.0,1.0],\"dx\":[0.0,0.0,4.248354255291589e-18]}\n",
        },
    ],
    source: "the logistic function and its derivative y(1 - y)",
    build: |_| Ok(Box::new(Sigmoid) as Box<dyn AnyLayer>),
};

/// y = 1/(1 + e⁻ˣ).
struct Sigmoid;

impl Admit for Sigmoid {
    fn independent_rows(&self, rank: usize) -> bool {
        rank > 0
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![(Name::DX, "diag(y∘(1 − y))")]
    }
}

impl<S: ArrayOps> Layer<S> for Sigmoid {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let y = map(Some(Kernel::Sigmoid), [at.known(&Name::X)], |[x]| sigmoid(x));
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, run: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || {
            let (x, y) = (at.known(&Name::X), run.results.known(&Name::Y));
            let slope = |x: S| {
                let power = power(x);
                let sum = S::one() + power;
                power / (sum * sum)
            };
            let formula = |[x, y, dout]: [S; 3]| dout * S::stable_or_textbook(|| slope(x), || y * (S::one() - y));
            map(Some(Kernel::SigmoidGradient), [x, y, dout], formula)
        })
    }
}
