//! A graph in the DOT language of Graphviz.

use crate::graph::label::{node_hint, node_label, stacked_label, sum_lines};
use crate::graph::legend::legend;
use crate::graph::model::{Graph, NodeKind};
use std::fmt::Write;

/// Blue and vermilion, which colour-blind readers can distinguish (Okabe and Ito 2008).
const FORWARD: &str = "#0072b2";
const BACKWARD: &str = "#d55e00";

/// Returns the graph as a DOT file.
pub(super) fn render(graph: &Graph) -> String {
    let mut text = "digraph nnlayer {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n".to_owned();
    text.push_str("  edge [fontname=\"monospace\", fontsize=11, arrowsize=0.6];\n");
    if let Some(title) = &graph.options.title {
        let _ = writeln!(text, "  label=\"{}\";\n  labelloc=t;", escaped(title));
    }
    for note in legend(graph) {
        let _ = writeln!(text, "  // {}", graph.text(&note));
    }
    for (n, node) in graph.nodes.iter().enumerate() {
        let label = node_label(node, graph);
        let shape = match node.kind {
            NodeKind::Leaf | NodeKind::Sink | NodeKind::Connector => "plaintext",
            NodeKind::Operation if label.chars().count() < 5 => "circle",
            NodeKind::Operation => "box, style=rounded",
            NodeKind::Branch => "point, width=0.08",
        };
        let hint = node_hint(node, graph).map(|hint| format!(", xlabel=\"{}\"", escaped(&hint)));
        let _ = writeln!(text, "  n{n} [label=\"{}\", shape={shape}{}];", escaped(&label), hint.unwrap_or_default());
    }
    for edge in &graph.edges {
        let (above, below) = stacked_label(edge, graph);
        let colored = |(lines, arrow, color): (Vec<String>, &str, &str)| {
            let lines: Vec<String> = lines.iter().map(|line| html(line)).collect();
            format!("<font color=\"{color}\">{arrow} {}</font>", lines.join("<br/>"))
        };
        let parts = [(above, "→", FORWARD), (below, "←", BACKWARD)].into_iter().filter(|(lines, ..)| !lines.is_empty());
        let parts: Vec<String> = parts.map(colored).collect();
        let _ = writeln!(text, "  n{} -> n{} [label=<{}>];", edge.from, edge.to, parts.join("<br/>"));
    }
    let sums = sum_lines(graph);
    if !sums.is_empty() {
        let lines: Vec<String> = sums.iter().map(|line| escaped(line) + "\\l").collect();
        let _ = writeln!(text, "  sums [label=\"{}\", shape=plaintext, fontcolor=\"{BACKWARD}\"];", lines.concat());
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
