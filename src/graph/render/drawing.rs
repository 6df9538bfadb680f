//! The drawing of a part of a graph in SVG: nodes, edges and their labels.

use super::svg_text::{CHAR_WIDTH, LINE_HEIGHT, brackets, chars, escape, formula, label_width, marker_id, text_lines};
use crate::graph::bands::Part;
use crate::graph::label::{
    EdgeLabel, LabelLine, MAX_SIDE, array_text, edge_label, full_precision, node_hint, node_label,
};
use crate::graph::layout::{Item, ItemKind, Layout, Size, Sizes, ranks};
use crate::graph::model::{Edge, Graph, Level, Node, NodeKind};
use crate::graph::words;
use std::fmt::Write;

/// Radius of a node, in pixels.
const RADIUS: i32 = 17;
/// Radius of a connector, in pixels.
const CONNECTOR_RADIUS: i32 = 9;
/// Least width of the space to the right of a column, in pixels.
const MIN_GAP: i32 = 10;
/// Greatest width of the space to the right of a column, in pixels.
const MAX_GAP: i32 = 56;

/// A part of a graph with its layout.
pub(super) struct Drawing<'a> {
    part: &'a Part,
    graph: &'a Graph,
    layout: Layout,
    /// The edges that reach each node.
    incoming: Vec<Vec<usize>>,
    /// Left side of each column.
    columns: Vec<i32>,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl<'a> Drawing<'a> {
    pub(super) fn new(part: &'a Part) -> Drawing<'a> {
        let graph = &part.graph;
        let sizes = Sizes {
            nodes: graph.nodes.iter().map(|node| node_size(node, graph)).collect(),
            labels: graph.edges.iter().map(|edge| label_size(edge, graph)).collect(),
            dummy: Size { width: 8, above: 4, below: 4 },
            gap: if graph.level == Level::Scalar { 6 } else { 14 },
        };
        let layout = Layout::new(graph, &ranks(graph), &sizes);
        // Greatest change of height of an edge to the right of each column.
        let mut rises = vec![0; layout.widths.len()];
        for pair in layout.routes.iter().flat_map(|route| route.windows(2)) {
            let (a, b) = (&layout.items[pair[0]], &layout.items[pair[1]]);
            rises[a.column] = rises[a.column].max((a.y - b.y).abs());
        }
        let (mut x, mut columns) = (0, Vec::new());
        for (width, rise) in layout.widths.iter().zip(&rises) {
            columns.push(x);
            x += width + (MIN_GAP + rise / 4).clamp(MIN_GAP, MAX_GAP);
        }
        let last = layout.widths.last().copied().unwrap_or(0);
        let width = columns.last().map_or(0, |x| x + last);
        let height = layout.height;
        Drawing { part, graph, layout, incoming: graph.incoming(), columns, width, height }
    }

    /// Returns the x of each rank's left side, and that of the right side of the last one.
    pub(super) fn rank_positions(&self) -> Vec<i32> {
        self.columns.iter().copied().step_by(2).chain([self.width]).collect()
    }

    /// Returns the height of each node.
    pub(super) fn heights(&self) -> Vec<i32> {
        self.layout.items[..self.graph.nodes.len()].iter().map(|item| item.y).collect()
    }

    /// Returns true if a line continues in another part.
    pub(super) fn has_connector(&self) -> bool {
        self.part.nodes.contains(&None)
    }

    /// Writes the elements, with the upper left corner at `left` and `top`.
    pub(super) fn write(&self, left: i32, top: i32, text: &mut String) {
        let mut moved = Drawing {
            layout: self.layout.clone(),
            columns: self.columns.clone(),
            incoming: self.incoming.clone(),
            ..*self
        };
        moved.columns.iter_mut().for_each(|column| *column += left);
        moved.layout.items.iter_mut().for_each(|item| item.y += top);
        (0..self.graph.edges.len()).for_each(|edge| moved.edge(edge, text));
        (0..self.graph.nodes.len()).for_each(|node| moved.node(node, text));
    }

    /// Returns the left and right sides of an item: names are next to their line, operations in the middle of their column.
    fn sides(&self, item: &Item) -> (i32, i32) {
        let (x, width) = (self.columns[item.column], self.layout.widths[item.column]);
        match item.kind {
            ItemKind::Node(node) => {
                let node = &self.graph.nodes[node];
                // A hint may be wider than its node.
                let own = match node.kind {
                    NodeKind::Operation => operation_width(&node_label(node, self.graph)),
                    NodeKind::Branch => 8,
                    NodeKind::Connector => 2 * CONNECTOR_RADIUS,
                    _ => item.size.width,
                };
                let left = match node.kind {
                    NodeKind::Leaf => x + width - own,
                    NodeKind::Connector if item.column > 0 && self.is_exit(item) => x,
                    NodeKind::Connector => x + width - own,
                    NodeKind::Branch if item.size.width == own => x + width - own,
                    NodeKind::Sink => x,
                    _ => x + (width - own) / 2,
                };
                (left, left + own)
            }
            _ => (x, x + width),
        }
    }

    /// Returns true for a connector at which a line ends.
    fn is_exit(&self, item: &Item) -> bool {
        matches!(item.kind, ItemKind::Node(node) if !self.incoming[node].is_empty())
    }

    fn edge(&self, n: usize, text: &mut String) {
        let edge = &self.graph.edges[n];
        let EdgeLabel { above, below } = edge_label(edge, self.graph, MAX_SIDE);
        let _ = write!(text, "<g class=\"edge\" data-edge=\"{}\"", self.part.edges[n]);
        let symbol = |name: &Option<String>| {
            let name = name.as_ref()?;
            Some(self.graph.symbol(name)).filter(|symbol| symbol != name)
        };
        let end = |node: usize| self.part.nodes[node].map(|node| node.to_string());
        let attributes = [
            ("from", end(edge.from)),
            ("to", end(edge.to)),
            ("name", edge.name.clone()),
            ("symbol", symbol(&edge.name)),
            ("slope-symbol", symbol(&edge.gradient_name).filter(|_| edge.backward.is_some())),
            ("forward", array_text(&edge.forward)),
            ("slope", edge.gradient_name.clone().filter(|_| edge.backward.is_some())),
            ("backward", edge.backward.as_ref().and_then(array_text)),
            ("local", edge.local_derivative.map(full_precision)),
            ("local-formula", edge.local_formula.clone()),
            ("rule", edge.gradient_formula.clone()),
        ];
        for (name, value) in attributes.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            let _ = write!(text, " data-{name}=\"{}\"", escape(&value));
        }
        let _ = writeln!(text, ">\n<title>{}</title>", escape(&title(self.graph, edge)));
        let has_arrow = !matches!(self.graph.nodes[edge.to].kind, NodeKind::Branch | NodeKind::Connector);
        let arrow = if has_arrow {
            format!(" marker-end=\"url(#{})\"", marker_id("forth", self.graph.level))
        } else {
            String::new()
        };
        let _ = writeln!(text, "<path class=\"line\" d=\"{}\"{arrow}/>", self.path(n));
        let Some(item) = self.layout.routes[n].get(1).map(|&item| &self.layout.items[item]) else { return };
        let ((left, right), y) = (self.sides(item), item.y);
        let middle = f64::midpoint(f64::from(left), f64::from(right));
        if edge.backward.is_some() {
            let _ = writeln!(
                text,
                "<path class=\"line back\" d=\"M{} {}H{}\" marker-start=\"url(#{})\"/>",
                left + 3,
                y + 6,
                right - 3,
                marker_id("back", self.graph.level)
            );
        }
        let top = y - 7 - LINE_HEIGHT * (i32::try_from(above.len()).unwrap_or(0) - 1);
        for (class, lines, y) in [("forward", &above, top), ("backward", &below, y + 22)] {
            text_lines(class, lines, middle, y, text);
            if self.graph.level == Level::Tensor && edge.forward.ndim() > 0 {
                brackets(class, lines, middle, y, text);
            }
        }
        text.push_str("</g>\n");
    }

    /// Returns the path of an edge along its route.
    fn path(&self, n: usize) -> String {
        let route = &self.layout.routes[n];
        let item = |step: usize| &self.layout.items[route[step]];
        let mut path = format!("M{} {}", self.sides(item(0)).1, item(0).y);
        for step in 1..route.len() {
            let (a, b) = (item(step - 1), item(step));
            let last = step + 1 == route.len();
            let (from, to) = (a.y, b.y + if last { self.port(n) } else { 0 });
            let (begin, end) = (self.columns[a.column] + self.layout.widths[a.column], self.columns[b.column]);
            if from != to {
                let middle = i32::midpoint(begin, end);
                let _ = write!(path, "H{begin}C{middle} {from} {middle} {to} {end} {to}");
            }
            let (left, right) = self.sides(b);
            let _ = write!(path, "H{}", if last { left + self.inset(b, to) } else { right });
        }
        path
    }

    /// Returns the distance at height `y` between the left side of an item and the circle in it; 0 without a circle.
    fn inset(&self, item: &Item, y: i32) -> i32 {
        let (offset, radius) = (f64::from(y - item.y), f64::from(RADIUS));
        let ItemKind::Node(node) = item.kind else { return 0 };
        let node = &self.graph.nodes[node];
        if node.kind != NodeKind::Operation || !is_circle(&node_label(node, self.graph)) {
            return 0;
        }
        #[allow(clippy::cast_possible_truncation)] // less than a radius
        let inset = (radius - (radius * radius - offset * offset).max(0.0).sqrt()).round() as i32;
        inset
    }

    /// Returns the vertical offset of an edge's end from its node's middle, which keeps the ends of edges apart.
    fn port(&self, n: usize) -> i32 {
        let edge = &self.graph.edges[n];
        if self.graph.nodes[edge.to].kind != NodeKind::Operation {
            return 0;
        }
        let node = self.layout.items[edge.to].y;
        let last_height = |n: usize| {
            let route = &self.layout.routes[n];
            self.layout.items[route[route.len() - 2]].y
        };
        let own = last_height(n);
        let side = (own - node).signum();
        let heights = self.incoming[edge.to].iter().copied().map(last_height);
        let same_side: Vec<i32> = heights.filter(|y| (y - node).signum() == side).collect();
        let nearer = same_side.iter().filter(|y| (*y - node).abs() < (own - node).abs()).count();
        let (nearer, count) = (i32::try_from(nearer).unwrap_or(0), i32::try_from(same_side.len()).unwrap_or(1));
        if side == 0 { 0 } else { side * (nearer + 1) * (14 / count).min(8) }
    }

    fn node(&self, n: usize, text: &mut String) {
        let (node, item) = (&self.graph.nodes[n], &self.layout.items[n]);
        let ((left, right), y) = (self.sides(item), item.y);
        let middle = f64::midpoint(f64::from(left), f64::from(right));
        let label = node_label(node, self.graph);
        let (class, anchor) = match node.kind {
            NodeKind::Leaf => ("name leaf", f64::from(right - 4)),
            NodeKind::Sink => ("name sink", f64::from(left + 4)),
            NodeKind::Operation => ("op", middle),
            NodeKind::Branch => ("branch", middle),
            NodeKind::Connector => ("connector", middle),
        };
        let kind = class.rsplit(' ').next().unwrap_or_default();
        let id = self.part.nodes[n].map(|node| format!(" data-node=\"{node}\"")).unwrap_or_default();
        let _ = write!(text, "<g class=\"node {class}\"{id} data-kind=\"{kind}\" data-label=\"{}\">", escape(&label));
        if let Some(meaning) = &node.meaning {
            let _ = write!(text, "<title>{}</title>", escape(&self.graph.text(meaning)));
        }
        let _ = match node.kind {
            NodeKind::Branch => write!(text, "<circle cx=\"{middle}\" cy=\"{y}\" r=\"4\"/>"),
            NodeKind::Connector => write!(text, "<circle cx=\"{middle}\" cy=\"{y}\" r=\"{CONNECTOR_RADIUS}\"/>"),
            NodeKind::Operation if is_circle(&label) => {
                write!(text, "<circle cx=\"{middle}\" cy=\"{y}\" r=\"{RADIUS}\"/>")
            }
            NodeKind::Operation => write!(
                text,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{RADIUS}\"/>",
                middle - f64::from(operation_width(&label)) / 2.0,
                y - RADIUS,
                operation_width(&label),
                2 * RADIUS
            ),
            _ => Ok(()),
        };
        if node.kind != NodeKind::Branch {
            let _ = write!(
                text,
                "<text x=\"{anchor}\" y=\"{}\">{}</text>",
                y + if node.kind == NodeKind::Connector { 4 } else { 5 },
                formula(&label)
            );
        }
        if let Some(hint) = node_hint(node, self.graph) {
            let _ = write!(
                text,
                "<text class=\"hint\" x=\"{middle}\" y=\"{}\">{}</text>",
                y + hint_offset(node),
                escape(&hint)
            );
        }
        text.push_str("</g>\n");
    }
}

/// Returns true if an operation is drawn as a circle, otherwise it is a box.
fn is_circle(label: &str) -> bool {
    label_width(label) <= 28
}

fn operation_width(label: &str) -> i32 {
    if is_circle(label) { 2 * RADIUS } else { label_width(label) + 20 }
}

/// Returns the distance of a hint's baseline below the middle of its node.
fn hint_offset(node: &Node) -> i32 {
    if node.kind == NodeKind::Branch { 18 } else { RADIUS + 13 }
}

fn node_size(node: &Node, graph: &Graph) -> Size {
    let label = node_label(node, graph);
    let size = match node.kind {
        NodeKind::Branch => Size { width: 8, above: 5, below: 5 },
        NodeKind::Connector => {
            Size { width: 2 * CONNECTOR_RADIUS, above: CONNECTOR_RADIUS + 1, below: CONNECTOR_RADIUS + 1 }
        }
        NodeKind::Operation => Size { width: operation_width(&label), above: RADIUS, below: RADIUS },
        _ => Size { width: chars(&label) * CHAR_WIDTH + 8, above: 12, below: 8 },
    };
    match node_hint(node, graph) {
        Some(hint) => Size { width: size.width.max(chars(&hint) * 7), below: hint_offset(node) + 4, ..size },
        None => size,
    }
}

fn label_size(edge: &Edge, graph: &Graph) -> Size {
    let label = edge_label(edge, graph, MAX_SIDE);
    let width = i32::try_from(label.width()).unwrap_or(i32::MAX / 64).min(i32::MAX / 64);
    let height = |lines: &[LabelLine]| i32::try_from(lines.len()).unwrap_or(0) * LINE_HEIGHT;
    Size {
        width: width.max(4) * CHAR_WIDTH + 16,
        above: height(&label.above) + 6,
        below: if label.below.is_empty() { 4 } else { height(&label.below) + 11 },
    }
}

/// Returns the tooltip of an edge.
fn title(graph: &Graph, edge: &Edge) -> String {
    let name = graph.text(edge.name.as_deref().unwrap_or(words::VALUE));
    let value_text = |value| array_text(value).unwrap_or_else(|| graph.text(words::LARGE));
    let mut text = format!("{name} = {}", value_text(&edge.forward));
    if let Some(backward) = &edge.backward {
        let name = graph.text(edge.gradient_name.as_deref().unwrap_or(words::GRADIENT));
        let _ = write!(text, "\n{name} = {}", value_text(backward));
    }
    if let Some(derivative) = edge.local_derivative {
        let line = words::local_derivative(&graph.nodes[edge.to].label, &full_precision(derivative));
        let _ = write!(text, "\n{}", graph.text(&line));
    }
    if let Some(formula) = &edge.gradient_formula {
        let _ = write!(text, "\n{formula}");
    }
    text
}
