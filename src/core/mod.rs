//! Types that every room shares: names, errors, named arrays, random numbers, signals, the names of
//! numbers that are not finite, and what may be printed.

pub mod error;
pub mod name;
pub mod non_finite;
pub mod printable;
pub mod rng;
pub(crate) mod signals;
pub mod tensors;
