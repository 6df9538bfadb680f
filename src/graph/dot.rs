//! A graph for Graphviz.

use super::label::stacked;
use super::{Graph, Kind};
use std::fmt::Write;

/// The graph in the DOT language.
pub(super) fn dot(graph: &Graph) -> String {
    let mut text = "digraph nnlayer {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n".to_owned();
    text.push_str("  edge [fontname=\"monospace\", fontsize=11, arrowsize=0.6];\n");
    for note in super::legend(graph) {
        let _ = writeln!(text, "  // {note}");
    }
    for (n, node) in graph.nodes.iter().enumerate() {
        let shape = match node.kind {
            Kind::Leaf | Kind::Sink => "plaintext",
            Kind::Op if node.label.chars().count() < 5 => "circle",
            Kind::Op => "box, style=rounded",
            Kind::Branch => "point, width=0.08",
        };
        let _ = writeln!(text, "  n{n} [label=\"{}\", shape={shape}];", escaped(&node.label));
    }
    for edge in &graph.edges {
        let (above, below) = stacked(edge, graph);
        let colored = |lines: &[String], sign: &str, color: &str| match lines {
            [] => String::new(),
            lines => {
                let lines: Vec<String> = lines.iter().map(|line| html(line)).collect();
                format!("<font color=\"{color}\">{sign} {}</font>", lines.join("<br/>"))
            }
        };
        let parts = [colored(&above, "→", super::FORWARD), colored(&below, "←", super::BACKWARD)];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = writeln!(text, "  n{} -> n{} [label=<{}>];", edge.from, edge.to, parts.join("<br/>"));
    }
    text.push_str("}\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
