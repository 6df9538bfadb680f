//! What a command has to say, as plain data; how it looks is each renderer's own.

use crate::fault::{Code, Fault};
use crate::format::Width;
use crate::name::Name;
use ndarray::ArrayD;
use std::io;

mod json;
mod sections;
mod text;
pub mod write;

/// The results of a command.
pub struct Report {
    /// In the order of output.
    pub blocks: Vec<Block>,
    /// Whether results are of single precision.
    pub width: Width,
}

/// One result.
pub struct Block {
    /// Its name.
    pub name: Name,
    /// Its formula, without the name in front.
    pub formula: String,
    /// Its value.
    pub value: ArrayD<f64>,
    /// A line that is said before it.
    pub before: Option<String>,
}

impl Report {
    /// Keeps the named results, in the order of output.
    pub fn only(&mut self, names: &[String]) -> Result<(), Fault> {
        let there: Vec<&str> = self.blocks.iter().map(|block| block.name.as_str()).collect();
        if let Some(unknown) = names.iter().find(|name| !there.contains(&name.as_str())) {
            return Err(Fault::new(Code::Usage, format!("there is no result {unknown}"))
                .of(&Name::new("only"))
                .tip(format!("the results are {}", there.join(", "))));
        }
        self.blocks.retain(|block| names.iter().any(|name| name == block.name.as_str()));
        Ok(())
    }
}

/// A way to put a report on a stream.
pub trait Renderer {
    /// Writes the report.
    fn render(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()>;
}

pub use json::Json;
pub use sections::Sections;
pub use text::{Text, matrix, number};
