//! Draws graphs, for a terminal or in a file format.

mod channel;
mod dot;
mod drawing;
mod grid;
mod html;
mod mermaid;
mod svg;
mod svg_text;
mod terminal;

pub use grid::Style;
pub use terminal::render_terminal;

use super::model::Graph;
use super::page::PageContent;

/// A file format of graphs.
pub struct Picture {
    /// Extension of the files.
    pub extension: &'static str,
    /// True if the file says where nodes and lines are, and in which colours.
    pub is_laid_out: bool,
    /// True if the file has the content of a page besides the graph.
    pub is_page: bool,
    /// Returns a graph as the content of a file.
    pub draw: fn(&Graph, &PageContent) -> String,
}

/// The file formats of graphs.
pub const PICTURES: &[Picture] = &[
    Picture { extension: "svg", is_laid_out: true, is_page: false, draw: |graph, _| svg::render(graph) },
    Picture { extension: "html", is_laid_out: true, is_page: true, draw: html::render },
    Picture { extension: "dot", is_laid_out: false, is_page: false, draw: |graph, _| dot::render(graph) },
    Picture { extension: "mmd", is_laid_out: false, is_page: false, draw: |graph, _| mermaid::render(graph) },
];
