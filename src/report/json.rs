//! A report as one JSON object.

use super::{Renderer, Report};
use crate::format::json::to_line;
use std::io;

/// One object on one line, or indented.
pub struct Json {
    /// Indented, a matrix row a line.
    pub pretty: bool,
}

impl Renderer for Json {
    fn render(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        to_line(report.blocks.iter().map(|block| (&block.name, &block.value)), self.pretty, out)
    }
}
