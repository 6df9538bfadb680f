//! What makes the hooks of [`crate::scalar`] fast: loops over slices, and work spread over threads. Pure, and the same bits
//! for any number of threads. `unsafe` is here and nowhere else, and each says why it is sound.
#![allow(unsafe_code)]

pub mod accumulate;
pub mod curve;
pub mod dot;
mod exp;
pub mod gemm;
mod lanes;
pub mod loss;
pub mod memory;
pub(crate) mod parts;
pub mod pipeline;
#[cfg(target_arch = "x86_64")]
mod processor;
pub mod progress;
pub mod rows;
pub mod softmax;
mod strip;
pub mod threads;
mod tile;
mod turn;
mod unrolled;
mod vector;
mod widest;
