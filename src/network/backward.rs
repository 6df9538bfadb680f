//! The backward pass of a chain: each layer's upstream gradient is the next layer's gradient at its input.

use super::chain::Stage;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Forward, Layer};
use crate::numeric::Scalar;
use ndarray::ArrayD;

/// Returns the gradients of layer `first` and all after it; those of earlier layers are empty. `dout` has the shape of the
/// last output.
pub(super) fn backward<S: Scalar>(
    first: usize,
    stages: &[Stage],
    at: &[Tensors<S>],
    runs: &[Forward<S>],
    mut dout: ArrayD<S>,
) -> Vec<Tensors<S>>
where
    dyn AnyLayer: Layer<S>,
{
    let mut gradients = vec![Tensors::new(); stages.len()];
    for n in (first..stages.len()).rev() {
        gradients[n] = Layer::<S>::backward(stages[n].layer(), &at[n], &&runs[n], &dout).compute();
        if n > first {
            dout = gradients[n].known(&stages[n].input().gradient()).mapv(S::round_between_layers);
        }
    }
    gradients
}
