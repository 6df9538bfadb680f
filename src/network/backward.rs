//! A chain backward: each layer's upstream gradient is the next one's gradient at its input.

use super::{Pass, Stage};
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Forward, Layer};
use crate::numeric::Scalar;
use ndarray::ArrayD;

/// Every layer's gradients, first to last. `dout` has the shape of the last layer's output.
pub fn backward<S: Scalar>(stages: &[Stage], pass: &Pass<S>, dout: ArrayD<S>) -> Vec<Tensors<S>>
where
    dyn AnyLayer: Layer<S>,
{
    back_to(0, stages, &pass.at, &pass.runs, dout)
}

/// The gradients of the layers from the end back to layer `first`; of those before it, none.
pub(super) fn back_to<S: Scalar>(
    first: usize,
    stages: &[Stage],
    at: &[Tensors<S>],
    runs: &[Forward<S>],
    mut dout: ArrayD<S>,
) -> Vec<Tensors<S>>
where
    dyn AnyLayer: Layer<S>,
{
    let mut all = vec![Tensors::new(); stages.len()];
    for n in (first..stages.len()).rev() {
        let gradients = Layer::<S>::backward(stages[n].layer(), &at[n], &&runs[n], &dout).all();
        if n > first {
            dout = gradients.known(&stages[n].input().gradient()).mapv(S::handed_on);
        }
        all[n] = gradients;
    }
    all
}
