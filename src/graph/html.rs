//! A graph as a page that needs nothing else: it walks forward and backward node by node, and tells all digits.

use super::{Graph, svg};

/// The graph as an HTML page.
pub(super) fn html(graph: &Graph) -> String {
    let page = include_str!("page.html");
    match page.split_once("<!--graph-->\n") {
        Some((head, foot)) => [head, &svg::drawing(graph), foot].concat(),
        None => unreachable!("the page has a place for the graph"),
    }
}
