//! What makes the hooks of [`crate::scalar`] fast: loops over slices, and work spread over threads. Pure, and the same bits
//! for any number of threads.

pub mod threads;
