//! The backward pass of a chain: each layer's upstream gradient is the next layer's gradient at its input.

use super::chain::Stage;
use super::forward::{Kept, between_layers};
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Forward, Layer, Precision, Wanted};
use crate::numeric::Scalar;
use ndarray::ArrayD;
use std::sync::Arc;

/// Returns the gradients of layer `first` and all after it that are kept; those of other layers are empty. `dout` has the shape of
/// the last output.
pub(super) fn backward<S: Scalar>(
    first: usize,
    stages: &[Stage],
    at: &[Tensors<S>],
    runs: &[Forward<S>],
    (dout, precision): (ArrayD<S>, Precision),
    kept: Kept<'_>,
) -> Vec<Tensors<S>>
where
    dyn AnyLayer: Layer<S>,
{
    let mut gradients = vec![Tensors::new(); stages.len()];
    let mut dout = Arc::new(dout);
    for n in (first..stages.len()).rev() {
        let dx = [stages[n].input().gradient()];
        let is_kept = kept(&stages[n]);
        let wanted = if is_kept { Wanted::All } else { Wanted::Only(&dx) };
        let computed = Layer::<S>::backward(stages[n].layer(), &at[n], &&runs[n], &dout).compute_only(wanted);
        if let Some(dx) = computed.get_shared(&dx[0]).filter(|_| n > first) {
            dout = between_layers(dx, precision);
        }
        if is_kept {
            gradients[n] = computed;
        }
    }
    gradients
}
