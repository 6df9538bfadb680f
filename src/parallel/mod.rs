//! Work spread over threads. The results are the same bits for any number of threads.

pub mod fill;
#[allow(unsafe_code)]
pub mod pages;
pub mod pipeline;
pub mod progress;
pub mod scope;
