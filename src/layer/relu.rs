//! ReLU: y = max(x, 0).
//!
//! - Forward: y = x where x > 0, else 0.
//! - Backward: dx = dout where x > 0, else 0; at the kink, x = 0 or −0.0, dx is 0.
//! - Shapes: x of any shape, y and dx as x.
//! - Refuses: nothing; NaN gives NaN.
//! - Accuracy: exact.
//! - Source: V. Nair and G. Hinton (2010), Rectified linear units improve restricted Boltzmann machines; the gradient at 0
//!   as in PyTorch and TensorFlow.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let relu = (layer::find("relu").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![-1.0, 0.0, 2.0].into_dyn());
//! let outcome = layer::compute(relu.as_ref(), &at, Some(&array![3.0, 3.0, 3.0].into_dyn()), layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![0.0, 0.0, 2.0].into_dyn());
//! assert_eq!(outcome.gradients.known(&Name::DX), &array![0.0, 0.0, 3.0].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

use super::arrays::map;
use super::convention::Convention;
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, AnyLayer, Layer};
use super::spec::{Example, LayerSpec, ScalarDout, Slot};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::ArrayD;

/// Registry row.
pub(super) const SPEC: LayerSpec = LayerSpec {
    name: "relu",
    about: "y = max(x, 0), keeps positive values",
    outputs: &[(Name::Y, "max(x, 0)")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[Slot::input(Name::X, "(N×D) or any shape", "dout where x > 0, else 0", "input, element-wise")],
    settings: &[],
    scalar_dout: ScalarDout::Fills,
    conventions: &[
        Convention {
            kind: "mask of dout",
            explanation: "dout passes where dout > 0, expected where x > 0",
            gradient: |case| case.recompute(|_, operands| operands.insert(Name::X, case.dout.clone())),
        },
        Convention {
            kind: "slope 1 everywhere",
            explanation: "it is dout itself, also where x < 0",
            gradient: |case| case.elementwise(|_, _| 1.0),
        },
    ],
    examples: &[
        Example {
            command: "nnlayer relu --x '-1,0,2;0.5,-0.5,3' --dout '1,2,3;4,5,6'",
            prints: "\
y = max(x, 0)  (2×3)
[[0.  0.  2. ]
 [0.5 0.  3. ]]

dx = dout where x > 0, else 0  (2×3)
[[0 0 3]
 [4 0 6]]
",
        },
        Example {
            command: "nnlayer relu --x -inf,-0.0,1e-300 --json",
            prints: "{\"y\":[0.0,0.0,1e-300],\"dx\":[0.0,0.0,1.0]}\n",
        },
    ],
    source: "Nair and Hinton 2010; the gradient at 0 is 0, as in PyTorch and TensorFlow",
    build: |_| Ok(Box::new(Relu) as Box<dyn AnyLayer>),
};

/// y = max(x, 0).
struct Relu;

impl Admit for Relu {
    fn independent_rows(&self, rank: usize) -> bool {
        rank > 0
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![(Name::DX, "diag(1 where x > 0, else 0)")]
    }
}

impl<S: ArrayOps> Layer<S> for Relu {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let x = at.known(&Name::X);
        Forward { results: Tensors::new().with(Name::Y, map(None, [x], |[x]| x.if_positive(x))), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, || map(None, [at.known(&Name::X), dout], |[x, dout]| x.if_positive(dout)))
    }
}
