//! Checks gradients of nnlayer's own layers and of programs in any language.
//!
//! Two questions are answered separately: is the forward pass correct, and are the gradients those of the forward pass?
//! The checker knows no layer. It has an [`Implementation`] that is evaluated at points, numerical derivatives of its
//! forward pass with an error bar ([`derivative`]), and, for a layer that nnlayer knows, a reference.

mod accuracy;
mod arrays;
mod calls;
mod case;
pub mod compare;
pub mod derivative;
pub mod diagnosis;
mod directions;
mod entries;
pub mod expect;
mod extrapolation;
mod finding;
mod fit;
pub mod function;
mod gradient_check;
mod implementation;
pub mod inputs;
mod kept;
mod kinks;
mod localise;
mod mistakes;
mod noise;
mod number_format;
mod numerical;
mod options;
mod points;
pub mod program;
mod program_check;
mod reference;
mod reply_names;
mod requests;
mod sampling;
mod scan;
pub mod similarity;
mod ulp_distance;
pub mod vectors;
pub mod wrong_answer;

pub use accuracy::Accuracy;
pub use case::{Case, GradientTarget, Reference, scalar_dout_error};
pub use finding::{Baseline, CheckReport, EntryCheck, Finding, Verdict};
pub use gradient_check::check;
pub use implementation::{BuiltinLayer, Evaluation, Implementation, Point, RecordedLayer};
pub use mistakes::MISTAKES;
pub use options::CheckOptions;
