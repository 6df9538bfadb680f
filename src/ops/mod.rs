//! Operations on whole arrays.

pub mod activations;
pub mod loss;
pub mod softmax;
