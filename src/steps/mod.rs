//! The arithmetic of a layer step by step, with the numbers filled in.
//!
//! A layer is run on the traced scalar. Every entry of a result becomes a line, and so does every intermediate number that
//! the formula names. A layer that names nothing has its steps all the same.

mod expression;
mod grading;
mod notation;
mod step;
mod trace;

pub use grading::{GradeSummary, grade};
pub use notation::{Markup, Notation};
pub use step::{Grade, Section, Step};
pub use trace::{LayerRun, MAX_SHOWN_ENTRIES, trace};
