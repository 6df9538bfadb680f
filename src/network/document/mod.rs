//! The JSON document of a tape or network, versioned, for any tool to read and edit.
//!
//! ```json
//! {"nnlayer-tape":1,"layers":[
//!   {"kind":"affine","name":"affine1","params":{"w":[[1,2],[3,4]],"b":[0,0]},
//!    "inputs":{"x":[[1,1]]},"outputs":{"y":[[4,6]]}},
//!   {"kind":"softmax-xent","name":"softmax-xent1","settings":{"reduction":"mean"},
//!    "inputs":{"x":{"from":"affine1.y"},"t":[1]},"outputs":{"y":[[0.12,0.88]],"loss":0.13,"divisor":1}}]}
//! ```
//!
//! `inputs`, `outputs` and `gradients` are a layer's record; a network has none. Reading validates a document, so that its
//! layers can be run.

mod object;
mod read;
mod schema;
mod write;

pub use read::{LoadArray, from_json};
pub use schema::KEY;
pub use write::write;
