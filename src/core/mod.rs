//! Types that every room shares: names, errors, named arrays, random numbers, signals, standard streams,
//! memory and sizes, the names of numbers that are not finite, and what may be printed,
//! and the language of text.

#[allow(unsafe_code)] // an allocator cannot be written without
pub mod alloc;
pub mod error;
pub mod language;
pub mod name;
pub mod non_finite;
pub mod printable;
pub mod rng;
pub(crate) mod signals;
pub mod size;
pub mod streams;
pub mod tensors;
