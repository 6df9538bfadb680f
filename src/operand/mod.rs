//! Operands: from an option's text to an array and its origin. Files, standard input and arguments are read here.

mod document;
pub mod grammar;
mod literal;
mod operands;
mod reader;
mod spool;
pub mod stdin;
mod suggest;
mod text;

pub use document::OperandSet;
pub use operands::{Operand, Operands, Origin, is_same_file};
pub use reader::OperandReader;
