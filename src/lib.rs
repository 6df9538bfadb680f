//! nnlayer computes, checks and shows the forward and backward passes of neural-network layers.
//!
//! The rooms, each importing only those below it:
//!
//! - [`cli`]: the command line, derived from the registry of layers
//! - [`report`]: results as plain data, and their renderers
//! - [`operand`]: from the text of an option to a matrix and where it came from
//! - [`format`](mod@format): bytes ↔ named arrays
//! - [`check`]: gradients against differences, results against results
//! - [`graph`]: computational graphs, laid out and drawn
//! - [`steps`]: the arithmetic with the numbers filled in
//! - [`tape`]: chains of layers, networks and learning
//! - [`layer`]: the mathematics, and the registry
//! - [`scalar`]: the numbers that formulas are written in
//! - [`kernel`]: what makes them fast
//! - [`bundle`], [`fault`], [`name`]: what every room speaks
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{bundle::Bundle, layer, name::Name};
//!
//! let affine = (layer::find("affine").unwrap().build)(&layer::Settings::default())?;
//! let at = Bundle::new()
//!     .with(Name::X, array![[2.0, 4.0], [2.0, 1.0], [4.0, 3.0]].into_dyn())
//!     .with(Name::W, array![[1.0, 2.0, 3.0], [1.0, 4.0, 6.0]].into_dyn());
//! let outcome = layer::compute(affine.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y).shape(), [3, 3]);
//! # Ok::<(), nnlayer::fault::Fault>(())
//! ```

pub mod bundle;
pub mod check;
pub mod cli;
pub mod fault;
pub mod format;
pub mod graph;
pub mod kernel;
pub mod layer;
pub mod name;
pub mod operand;
pub mod report;
pub mod scalar;
mod signals;
pub mod steps;
pub mod tape;

pub use cli::{Io, Status, run};
