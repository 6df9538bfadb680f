//! Types that every room shares: names, errors, named arrays, random numbers and signals.

pub mod error;
pub mod name;
pub mod rng;
pub(crate) mod signals;
pub mod tensors;
