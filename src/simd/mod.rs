//! Vectors of eight doubles, one body of code for each instruction set, and the elementary functions written over them.
#![allow(unsafe_code)]

pub(crate) mod backends;
#[cfg(target_arch = "x86_64")]
pub(crate) mod cpu_features;
pub(crate) mod dispatch;
pub(crate) mod error_free;
pub(crate) mod exp;
pub(crate) mod f64x8;
pub(crate) mod unroll;
