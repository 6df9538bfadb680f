//! Chains of layers: the tape that a pipe carries from layer to layer, and the network that a file holds.
//!
//! A [`Tape`] is a chain whose layers record their inputs and outputs; without these records it is a network.
//! [`document`] reads and writes both as JSON, and [`run`](fn@run) computes them.

mod backward;
mod chain;
pub mod check;
pub mod document;
mod forward;
mod gradient_norms;
mod init;
mod layer_names;
pub mod learn;
mod optimizer;
mod run;
pub mod runner;

pub use chain::{Record, Source, Stage, Tape, input_of};
pub use forward::{Inputs, Kept, unused_targets};
pub use gradient_norms::{
    EXPLODING_RATIO, Flow, GradientKind, GradientNorm, NormFinding, VANISHING_RATIO, find_unusual, gradient_norms,
};
pub use run::{ChainLayer, Run, Scope, Upstream, run};
