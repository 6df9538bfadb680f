//! A graph as a Mermaid flowchart, which many sites draw in Markdown.

use crate::graph::label::{node_hint, node_label, stacked_label, sum_lines};
use crate::graph::legend::legend;
use crate::graph::model::{Graph, NodeKind};
use std::fmt::Write;

/// Returns the graph as a Mermaid file.
pub(super) fn render(graph: &Graph) -> String {
    let title = graph.options.title.as_ref().map(|title| format!("---\ntitle: {}\n---\n", quoted(title)));
    let mut text = title.unwrap_or_default() + "flowchart LR\n";
    for note in legend(graph) {
        let _ = writeln!(text, "  %% {}", graph.text(&note));
    }
    for (n, node) in graph.nodes.iter().enumerate() {
        let hint = node_hint(node, graph).map(|hint| format!("<br>{hint}"));
        let label = quoted(&(node_label(node, graph) + hint.as_deref().unwrap_or_default()));
        let _ = match node.kind {
            NodeKind::Leaf | NodeKind::Sink | NodeKind::Connector => writeln!(text, "  n{n}[{label}]"),
            NodeKind::Operation => writeln!(text, "  n{n}(({label}))"),
            NodeKind::Branch => writeln!(text, "  n{n}({label})"),
        };
    }
    for edge in &graph.edges {
        let (above, below) = stacked_label(edge, graph);
        let above = format!("→ {}", above.join("<br>"));
        let below = (!below.is_empty()).then(|| format!("← {}", below.join("<br>")));
        let lines: Vec<String> = [above].into_iter().chain(below).collect();
        let _ = writeln!(text, "  n{} -- {} --> n{}", edge.from, quoted(&lines.join("<br>")), edge.to);
    }
    let sums = sum_lines(graph);
    if !sums.is_empty() {
        let _ = writeln!(text, "  sums[{}]", quoted(&sums.join("<br>")));
    }
    text
}

/// Quotes a text, with character codes for the quotes and number signs in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('#', "#35;").replace('"', "#quot;"))
}
