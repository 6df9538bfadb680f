//! A graph as SVG, for light and dark backgrounds, with full precision and local derivatives in tooltips.

use crate::graph::label::{MAX_SIDE, array_text, edge_label, full_precision};
use crate::graph::layout::{Item, ItemKind, Layout, Size, Sizes, ranks};
use crate::graph::model::{Edge, Graph, Level, Node, NodeKind};
use std::fmt::Write;

/// Width of a character, in pixels.
const CHAR_WIDTH: i32 = 8;
/// Height of a line of text, in pixels.
const LINE_HEIGHT: i32 = 16;
/// Radius of a node, in pixels.
const RADIUS: i32 = 17;
/// Margin around the graph, in pixels.
const MARGIN: i32 = 16;

const STYLE: &str = include_str!("svg.css");

/// Returns the graph as an SVG file.
pub(super) fn render(graph: &Graph) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", element(graph))
}

/// Returns the graph as an element, to be embedded in a page.
pub(super) fn element(graph: &Graph) -> String {
    Drawing::new(graph).text()
}

struct Drawing<'a> {
    graph: &'a Graph,
    layout: Layout,
    /// The edges that reach each node.
    incoming: Vec<Vec<usize>>,
    /// Left side of each column.
    columns: Vec<i32>,
    width: i32,
}

impl Drawing<'_> {
    fn new(graph: &Graph) -> Drawing<'_> {
        let sizes = Sizes {
            nodes: graph.nodes.iter().map(node_size).collect(),
            labels: graph.edges.iter().map(|edge| label_size(edge, graph)).collect(),
            dummy: Size { width: 8, above: 4, below: 4 },
            gap: if graph.level == Level::Tensor { 14 } else { 6 },
        };
        let mut layout = Layout::new(graph, &ranks(graph), &sizes);
        layout.items.iter_mut().for_each(|item| item.y += MARGIN);
        // Greatest change of height of an edge to the right of each column.
        let mut rises = vec![0; layout.widths.len()];
        for pair in layout.routes.iter().flat_map(|route| route.windows(2)) {
            let (a, b) = (&layout.items[pair[0]], &layout.items[pair[1]]);
            rises[a.column] = rises[a.column].max((a.y - b.y).abs());
        }
        let (mut x, mut columns) = (MARGIN, Vec::new());
        for (width, rise) in layout.widths.iter().zip(&rises) {
            columns.push(x);
            x += width + (10 + rise / 4).clamp(10, 56);
        }
        let last = layout.widths.last().copied().unwrap_or(0);
        let width = columns.last().map_or(0, |x| x + last) + MARGIN;
        Drawing { graph, layout, incoming: graph.incoming(), columns, width }
    }

    fn text(&self) -> String {
        let mut legend = vec![("forward", "→ above each line: forward value")];
        legend.extend(self.graph.backward.then_some(("backward", "← below each line: gradient")));
        legend.extend(self.graph.notes.iter().map(|note| ("", note.as_str())));
        let lines = i32::try_from(legend.len()).unwrap_or(0);
        let legend_width = legend.iter().map(|(_, line)| chars(line) * 7).max().unwrap_or(0);
        let width = self.width.max(legend_width + 2 * MARGIN);
        let foot = self.layout.height + 2 * MARGIN + 12;
        let height = foot + lines * 18;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-label=\"computational graph\">\n<style>\n{STYLE}</style>\n<defs>\n"
        );
        for (name, from) in [("forth", "M0 0L8 4L0 8z"), ("back", "M8 0L0 4L8 8z")] {
            let end = if name == "forth" { 7 } else { 1 };
            let _ = writeln!(
                text,
                "<marker id=\"nnlayer-{name}\" markerUnits=\"userSpaceOnUse\" markerWidth=\"8\" markerHeight=\"8\" refX=\"{end}\" refY=\"4\">\
                 <path class=\"head {name}\" d=\"{from}\"/></marker>"
            );
        }
        let _ = writeln!(text, "</defs>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>");
        (0..self.graph.edges.len()).for_each(|edge| self.edge(edge, &mut text));
        (0..self.graph.nodes.len()).for_each(|node| self.node(node, &mut text));
        for (y, (class, line)) in (foot..).step_by(18).zip(legend) {
            let _ = writeln!(text, "<text class=\"note {class}\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(line));
        }
        text.push_str("</svg>\n");
        text
    }

    /// Returns the left and right sides of an item: names are next to their line, operations in the middle of their column.
    fn sides(&self, item: &Item) -> (i32, i32) {
        let (x, width) = (self.columns[item.column], self.layout.widths[item.column]);
        match item.kind {
            ItemKind::Node(node) => {
                let left = match self.graph.nodes[node].kind {
                    NodeKind::Leaf | NodeKind::Branch => x + width - item.size.width,
                    NodeKind::Sink => x,
                    _ => x + (width - item.size.width) / 2,
                };
                (left, left + item.size.width)
            }
            _ => (x, x + width),
        }
    }

    fn edge(&self, n: usize, text: &mut String) {
        let edge = &self.graph.edges[n];
        let (above, below) = edge_label(edge, self.graph, MAX_SIDE);
        let _ = write!(text, "<g class=\"edge\" data-from=\"{}\" data-to=\"{}\"", edge.from, edge.to);
        let attributes = [
            ("name", edge.name.clone()),
            ("forward", array_text(&edge.forward)),
            ("slope", edge.gradient_name.clone()),
            ("backward", edge.backward.as_ref().and_then(array_text)),
            ("local", edge.local_derivative.map(full_precision)),
            ("rule", edge.gradient_formula.clone()),
        ];
        for (name, value) in attributes.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            let _ = write!(text, " data-{name}=\"{}\"", escape(&value));
        }
        let _ = writeln!(text, ">\n<title>{}</title>", escape(&title(self.graph, edge)));
        let arrow =
            if self.graph.nodes[edge.to].kind == NodeKind::Branch { "" } else { " marker-end=\"url(#nnlayer-forth)\"" };
        let _ = writeln!(text, "<path class=\"line\" d=\"{}\"{arrow}/>", self.path(n));
        let Some(item) = self.layout.routes[n].get(1).map(|&item| &self.layout.items[item]) else { return };
        let ((left, right), y) = (self.sides(item), item.y);
        let middle = f64::midpoint(f64::from(left), f64::from(right));
        if edge.backward.is_some() {
            let _ = writeln!(
                text,
                "<path class=\"line back\" d=\"M{} {}H{}\" marker-start=\"url(#nnlayer-back)\"/>",
                left + 3,
                y + 6,
                right - 3
            );
        }
        let top = y - 7 - LINE_HEIGHT * (i32::try_from(above.len()).unwrap_or(0) - 1);
        let class = if edge.backward.is_some() { "backward" } else { "none" };
        for (class, lines, y) in [("forward", &above, top), (class, &below, y + 22)] {
            self.text_lines(class, lines, middle, y, text);
        }
        if self.graph.level == Level::Tensor && edge.forward.ndim() > 0 {
            brackets("forward", &above[1..], middle, top + LINE_HEIGHT, text);
        }
        if let (Level::Tensor, Some((_, rows)), Some(1..)) =
            (self.graph.level, below.split_last(), edge.backward.as_ref().map(|backward| backward.ndim()))
        {
            brackets("backward", rows, middle, y + 22, text);
        }
        text.push_str("</g>\n");
    }

    /// Writes lines of text, the first at `y`.
    fn text_lines(&self, class: &str, lines: &[String], x: f64, y: i32, text: &mut String) {
        for (y, line) in (y..).step_by(usize::try_from(LINE_HEIGHT).unwrap_or(1)).zip(lines) {
            let _ = writeln!(
                text,
                "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" xml:space=\"preserve\">{}</text>",
                escape(line)
            );
        }
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
        if item.size.width != 2 * RADIUS || item.size.above != RADIUS {
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
        let (class, anchor) = match node.kind {
            NodeKind::Leaf => ("name leaf", f64::from(right - 4)),
            NodeKind::Sink => ("name sink", f64::from(left + 4)),
            NodeKind::Operation => ("op", middle),
            NodeKind::Branch => ("branch", middle),
        };
        let kind = class.rsplit(' ').next().unwrap_or_default();
        let _ = write!(text, "<g class=\"node {class}\" data-kind=\"{kind}\" data-label=\"{}\">", escape(&node.label));
        if let Some(meaning) = &node.meaning {
            let _ = write!(text, "<title>{}</title>", escape(meaning));
        }
        let _ = match node.kind {
            NodeKind::Branch => write!(text, "<circle cx=\"{middle}\" cy=\"{y}\" r=\"4\"/>"),
            NodeKind::Operation if item.size.width == 2 * RADIUS => {
                write!(text, "<circle cx=\"{middle}\" cy=\"{y}\" r=\"{RADIUS}\"/>")
            }
            NodeKind::Operation => write!(
                text,
                "<rect x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{RADIUS}\"/>",
                y - RADIUS,
                right - left,
                2 * RADIUS
            ),
            _ => Ok(()),
        };
        if node.kind != NodeKind::Branch {
            let _ = write!(text, "<text x=\"{anchor}\" y=\"{}\">{}</text>", y + 5, escape(&node.label));
        }
        text.push_str("</g>\n");
    }
}

/// Draws brackets around the rows of a matrix, the first of which is at `y`.
fn brackets(class: &str, rows: &[String], middle: f64, y: i32, text: &mut String) {
    let width = rows.iter().map(|row| chars(row)).max().unwrap_or(0) * CHAR_WIDTH;
    let (top, bottom) = (y - 12, y - 13 + LINE_HEIGHT * i32::try_from(rows.len()).unwrap_or(0));
    for (side, foot) in [(-1.0, 3.0), (1.0, -3.0)] {
        let x = middle + side * (f64::from(width) / 2.0 + 3.0);
        let _ = writeln!(text, "<path class=\"bracket {class}\" d=\"M{} {top}H{x}V{bottom}h{foot}\"/>", x + foot);
    }
}

/// Returns the number of characters.
fn chars(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 64).min(i32::MAX / 64)
}

fn node_size(node: &Node) -> Size {
    let name = chars(&node.label) * CHAR_WIDTH + 8;
    match node.kind {
        NodeKind::Branch => Size { width: 8, above: 5, below: 5 },
        NodeKind::Operation if chars(&node.label) < 4 => Size { width: 2 * RADIUS, above: RADIUS, below: RADIUS },
        NodeKind::Operation => Size { width: name + 12, above: RADIUS, below: RADIUS },
        _ => Size { width: name, above: 12, below: 8 },
    }
}

fn label_size(edge: &Edge, graph: &Graph) -> Size {
    let (above, below) = edge_label(edge, graph, MAX_SIDE);
    let max_chars = above.iter().chain(&below).map(|line| chars(line)).max().unwrap_or(0);
    let height = |lines: &[String]| i32::try_from(lines.len()).unwrap_or(0) * LINE_HEIGHT;
    Size {
        width: max_chars.max(4) * CHAR_WIDTH + 16,
        above: height(&above) + 6,
        below: if below.is_empty() { 4 } else { height(&below) + 11 },
    }
}

/// Returns the tooltip of an edge.
fn title(graph: &Graph, edge: &Edge) -> String {
    let name = edge.name.clone().unwrap_or_else(|| "value".to_owned());
    let value_text = |value| array_text(value).unwrap_or_else(|| "a large matrix".to_owned());
    let mut text = format!("{name} = {}", value_text(&edge.forward));
    if let Some(backward) = &edge.backward {
        let name = edge.gradient_name.as_deref().unwrap_or("gradient");
        let _ = write!(text, "\n{name} = {}", value_text(backward));
    }
    if let Some(derivative) = edge.local_derivative {
        let _ = write!(text, "\nlocal derivative of {} = {}", graph.nodes[edge.to].label, full_precision(derivative));
    }
    if let Some(formula) = &edge.gradient_formula {
        let _ = write!(text, "\n{formula}");
    }
    text
}

/// Escapes a text for XML, without the control characters that XML cannot represent.
fn escape(text: &str) -> String {
    let is_allowed = |c: &char| !c.is_control() || "\n\t".contains(*c);
    let text: String = text.chars().filter(is_allowed).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
