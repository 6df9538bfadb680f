//! A graph as a self-contained page, which steps through the computation and shows all digits.

use super::svg;
use crate::graph::model::Graph;

/// Returns the graph as an HTML page.
pub(super) fn render(graph: &Graph) -> String {
    include_str!("page.html").replacen("<!--graph-->\n", &svg::element(graph), 1)
}
