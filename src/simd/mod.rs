//! Vectors of eight doubles, one body of code for each instruction set, and the functions written over them.

pub mod accuracy;
#[allow(unsafe_code)]
pub(crate) mod backends;
#[allow(unsafe_code)]
pub mod dispatch;
pub(crate) mod error_free;
pub(crate) mod exp;
#[allow(unsafe_code)]
pub(crate) mod f64x8;
pub(crate) mod map;
pub(crate) mod pair;
#[allow(unsafe_code)]
pub(crate) mod prefetch;
#[allow(unsafe_code)]
pub mod scan;
pub(crate) mod software_fma;
pub(crate) mod two_sum;
