//! A chain backward: each layer's upstream gradient is the next one's gradient at its input.

use super::{Pass, Stage};
use crate::bundle::Bundle;
use crate::layer::{AnyLayer, Layer};
use crate::scalar::Scalar;
use ndarray::ArrayD;

/// Every layer's gradients, first to last. `dout` has the shape of the last layer's output.
pub fn backward<S: Scalar>(stages: &[Stage], pass: &Pass<S>, mut dout: ArrayD<S>) -> Vec<Bundle<S>>
where
    dyn AnyLayer: Layer<S>,
{
    let mut all = Vec::new();
    for ((stage, at), run) in stages.iter().zip(&pass.at).zip(&pass.runs).rev() {
        let gradients = Layer::<S>::backward(stage.layer(), at, run, &dout);
        dout = gradients.known(&stage.input().gradient()).mapv(S::handed_on);
        all.push(gradients);
    }
    all.reverse();
    all
}
