//! Reports of commands: plain data, and a renderer for each format.

pub mod chain;
pub mod check;
mod check_summary;
pub mod comparison;
pub mod expectation;
mod file;
mod fold;
mod junit;
mod latex;
pub mod layers;
mod markdown;
pub mod norms;
mod notation;
mod numbers;
pub mod plot;
pub mod results;
mod step_lines;
pub mod steps;
mod tap;
mod temporary;
pub mod text;
pub mod vectors;

pub use chain::ChainReport;
pub use file::write_file;
pub use notation::Digits;
pub use numbers::format_number;
pub use results::{ResultBlock, ResultHeader};
pub use text::format_array;
