//! nnlayer computes, checks and shows the forward and backward passes of neural-network layers.
//!
//! The rooms, each importing only those below it:
//!
//! - [`cli`]: the command line, derived from the registry of layers
//! - `run`: what each command does, from a typed request to results, messages and the exit status
//! - [`report`]: results as plain data, and their renderers
//! - [`operand`]: from the text of an option to a matrix and where it came from
//! - [`format`](mod@format): bytes ↔ named arrays
//! - [`check`]: gradients against differences, results against results
//! - [`graph`]: computational graphs, laid out and drawn
//! - [`steps`]: the arithmetic with the numbers filled in
//! - [`network`]: chains of layers, networks and learning
//! - [`layer`]: the mathematics, and the registry
//! - [`ops`]: operations on whole arrays
//! - [`numeric`]: the numbers that formulas are written in
//! - [`gemm`], [`parallel`], `simd`: matrix products, threads and vectors
//! - [`mod@core`]: names, errors and named arrays, which every room shares
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let affine = (layer::find("affine").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new()
//!     .with(Name::X, array![[2.0, 4.0], [2.0, 1.0], [4.0, 3.0]].into_dyn())
//!     .with(Name::W, array![[1.0, 2.0, 3.0], [1.0, 4.0, 6.0]].into_dyn());
//! let outcome = layer::compute(affine.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y).shape(), [3, 3]);
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

pub mod check;
pub mod cli;
pub mod core;
pub mod format;
pub mod gemm;
pub mod graph;
pub mod layer;
pub mod network;
pub mod numeric;
pub mod operand;
pub mod ops;
pub mod parallel;
pub mod report;
mod run;
pub mod simd;
pub mod steps;

pub use cli::run;
pub use run::{Io, Status};
