//! Types that every room shares: names, errors, named arrays, random numbers, signals and the names of
//! numbers that are not finite.

pub mod error;
pub mod name;
pub mod non_finite;
pub mod rng;
pub(crate) mod signals;
pub mod tensors;
