//! The one test binary.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, dead_code)]

mod support; // running commands and console blocks

mod affine; // one module a command
mod softmax;
mod softmax_xent;
mod xent;

mod article; // the source's numbers, nothing else
mod digits; // real input: handwritten digits through a pipe
