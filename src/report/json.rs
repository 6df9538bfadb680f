//! A report as one JSON object.

use super::{Renderer, ResultHeader};
use crate::format::ArrayStream;
use crate::format::json::write_object;
use std::io;

/// One object on one line, or indented.
pub struct Json {
    /// Indented, a matrix row a line.
    pub pretty: bool,
}

impl Renderer for Json {
    fn render(&self, _heads: &[ResultHeader], arrays: &mut dyn ArrayStream, out: &mut dyn io::Write) -> io::Result<()> {
        write_object(&[], arrays, self.pretty, out)
    }
}
