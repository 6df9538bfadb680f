//! Operations on whole arrays: their definitions in any scalar ([`ArrayOps`]), and fast kernels for doubles.

pub mod activations;
mod array_ops;
mod bounded;
mod convolution;
pub mod curves;
mod double_double;
mod dynamic;
mod exact;
mod float64;
pub mod loss;
pub mod normalize;
mod running_sum;
pub mod softmax;
mod traced;
mod windows;

pub use crate::simd::accuracy::{Accuracy, with_accuracy};
pub use array_ops::{ArrayOps, Formula, Kernel};
pub(crate) use array_ops::{fill_rows, log_probability, matrix};
pub use running_sum::RunningSum;
pub use windows::{Convolution, ConvolutionArray, WindowAxis, Windows};
