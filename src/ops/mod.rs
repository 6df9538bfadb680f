//! Operations on whole arrays.

pub(crate) mod activations;
pub mod loss;
pub(crate) mod softmax;
