//! The numbers that formulas are written in: [`Scalar`] and what implements it. f64 computes, [`DoubleDouble`] takes
//! numerical derivatives, [`Exact`] rounds correctly, [`Bounded`] bounds rounding errors, and [`Traced`] records the operations for graphs and worked steps.
//! [`Dynamic`] is any of these but f64.

mod bounded;
mod double_double;
pub mod dynamic;
pub mod exact;
pub(crate) mod float64;
mod float8;
mod float_type;
pub mod operations;
mod scalar;
mod superaccumulator;
pub mod traced;

pub(crate) use bounded::STABLE_ROUNDINGS;
pub use bounded::{Arithmetic, Bounded, ErrorBound};
pub use double_double::DoubleDouble;
pub use dynamic::{Dynamic, DynamicKind};
pub use exact::Exact;
pub use float_type::FloatType;
pub use float8::{E4M3FN, E5M2};
pub use scalar::Scalar;
pub use superaccumulator::Superaccumulator;
pub use traced::Traced;
