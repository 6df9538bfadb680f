//! General matrix multiplication (GEMM), blocked and packed as in K. Goto and R. van de Geijn (2008), Anatomy of
//! high-performance matrix multiplication; the names of block sizes and panels are those of BLIS.
//!
//! Each entry of a·b is a sum over blocks of KC products, block after block. In a block each product is added by a fused
//! multiply-add, so one rounding a product; CPUs without the instruction compute it by software. This definition fixes every
//! bit of the result: shapes, layouts, instruction sets and threads decide only how it is computed.
#![allow(unsafe_code)]

pub mod compensated;
mod driver;
mod microkernel;
mod pack;
mod transpose;

pub use driver::multiply;
pub use microkernel::Element;
