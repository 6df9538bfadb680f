//! Draws graphs, for a terminal or in a file format.

mod dot;
mod grid;
mod html;
mod mermaid;
mod svg;
mod terminal;

pub use grid::Style;
pub use terminal::render_terminal;

use super::model::Graph;

/// A file format of graphs.
pub struct Picture {
    /// Extension of the files.
    pub extension: &'static str,
    /// Returns a graph as the content of a file.
    pub draw: fn(&Graph) -> String,
}

/// The file formats of graphs.
pub const PICTURES: &[Picture] = &[
    Picture { extension: "svg", draw: svg::render },
    Picture { extension: "html", draw: html::render },
    Picture { extension: "dot", draw: dot::render },
    Picture { extension: "mmd", draw: mermaid::render },
];
