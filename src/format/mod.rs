//! File formats: bytes ↔ named arrays. Each format reads and writes in one file.
//!
//! Readers compare every size that a file declares with the number of bytes it has, and allocate at most a small multiple
//! of those bytes.

mod arrays;
pub mod csv;
pub mod decimal;
pub(crate) mod elements;
mod errors;
mod file_format;
mod gzip;
pub mod idx;
pub mod json;
mod lookalike;
pub mod npy;
pub mod npz;
pub mod printed;
mod registry;
pub mod safetensors;
mod selector;
mod source;
mod tips;

pub use arrays::{ArrayStream, DOUBLE_ROUNDING, InMemoryArrays, LoadedArray, OutputDtype};
pub(crate) use elements::may_be_rounded;
pub use errors::{missing_array, read_error};
pub use file_format::Format;
pub use gzip::{decompressed, is_gzip};
pub use lookalike::{refuse_lookalike, table_for};
pub use registry::{FORMATS, find_by_extension, find_by_first_bytes};
pub use selector::{Selector, escape, unescape};
pub use source::Source;
pub use tips::{convert as tip_to_convert, without_extension};
