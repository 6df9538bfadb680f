//! The document of a tape or network: versioned JSON that any tool can read and edit.
//!
//! ```json
//! {"nnlayer-tape":1,"layers":[
//!   {"kind":"affine","name":"affine1","params":{"w":[[1,2],[3,4]],"b":[0,0]},
//!    "inputs":{"x":[[1,1]]},"outputs":{"y":[[4,6]]}},
//!   {"kind":"softmax-xent","name":"softmax-xent1","settings":{"reduction":"mean"},
//!    "inputs":{"x":{"from":"affine1.y"},"t":[1]},"outputs":{"y":[[0.12,0.88]],"loss":0.13,"divisor":1}}]}
//! ```
//!
//! `inputs`, `outputs` and `gradients` are a layer's record; a network has none. Every document is validated as it is
//! read: after that, its layers can be run.

use super::Stage;

mod object;
mod read;
mod write;

pub use read::{Beside, of, read};
pub use write::write;

/// The key that a document is known by; its value is the version.
pub const KEY: &str = "nnlayer-tape";

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What the layer after `stage` reads: `affine1.y`.
fn source(stage: &Stage) -> String {
    format!("{}.{}", stage.name, stage.spec.output)
}
