//! A graph for Mermaid, as Markdown shows it on many sites.

use super::label::stacked;
use super::{Graph, Kind};
use std::fmt::Write;

/// The graph as a Mermaid flowchart.
pub(super) fn mermaid(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for note in super::legend(graph) {
        let _ = writeln!(text, "  %% {note}");
    }
    for (n, node) in graph.nodes.iter().enumerate() {
        let label = quoted(&node.label);
        let _ = match node.kind {
            Kind::Leaf | Kind::Sink => writeln!(text, "  n{n}[{label}]"),
            Kind::Op => writeln!(text, "  n{n}(({label}))"),
            Kind::Branch => writeln!(text, "  n{n}({label})"),
        };
    }
    for edge in &graph.edges {
        let (above, below) = stacked(edge, graph);
        let above = format!("→ {}", above.join("<br>"));
        let below = (!below.is_empty()).then(|| format!("← {}", below.join("<br>")));
        let lines: Vec<String> = [above].into_iter().chain(below).collect();
        let _ = writeln!(text, "  n{} -- {} --> n{}", edge.from, quoted(&lines.join("<br>")), edge.to);
    }
    text
}

/// Text in quotes; a quote in it, and what Mermaid would take for more than text, by number.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('#', "#35;").replace('"', "#quot;"))
}
