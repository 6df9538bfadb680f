//! A graph as SVG: drawn for light and dark, with full precision and local derivatives where the pointer rests.

use super::label::{SHOWN, exact, label, whole};
use super::place::{Item, Placed, Size, Sizes, What, place, ranks};
use super::{Edge, Graph, Kind, Level, Node};
use std::fmt::Write;

/// A character of a value, a line of them, and the radius of a node; all lengths are in pixels.
const CHAR: i32 = 8;
const LINE: i32 = 16;
const RADIUS: i32 = 17;
/// Room around the graph.
const MARGIN: i32 = 16;

const STYLE: &str = include_str!("svg.css");

/// The graph as a file.
pub(super) fn svg(graph: &Graph) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", drawing(graph))
}

/// The graph as an element, which a page may hold as it is.
pub(super) fn drawing(graph: &Graph) -> String {
    Drawing::of(graph).text()
}

struct Drawing<'a> {
    graph: &'a Graph,
    placed: Placed,
    /// Where each column begins.
    columns: Vec<i32>,
    width: i32,
}

impl Drawing<'_> {
    fn of(graph: &Graph) -> Drawing<'_> {
        let sizes = Sizes {
            nodes: graph.nodes.iter().map(node_size).collect(),
            labels: graph.edges.iter().map(|edge| label_size(edge, graph)).collect(),
            pass: Size { width: 8, above: 4, below: 4 },
            gap: if graph.level == Level::Tensor { 14 } else { 6 },
        };
        let placed = place(graph, &ranks(graph), &sizes);
        let mut steep = vec![0; placed.widths.len()];
        for pair in placed.routes.iter().flat_map(|route| route.windows(2)) {
            let (a, b) = (&placed.items[pair[0]], &placed.items[pair[1]]);
            steep[a.column] = steep[a.column].max((a.y - b.y).abs());
        }
        let (mut x, mut columns) = (MARGIN, Vec::new());
        for (width, steep) in placed.widths.iter().zip(&steep) {
            columns.push(x);
            x += width + (10 + steep / 4).clamp(10, 56);
        }
        let last = placed.widths.last().copied().unwrap_or(0);
        let width = columns.last().map_or(0, |x| x + last) + MARGIN;
        Drawing { graph, placed, columns, width }
    }

    fn text(&self) -> String {
        let backward = ("backward", "← below it: the gradient backward");
        let legend: Vec<(&str, &str)> = [("forward", "→ above a line: the value forward")]
            .into_iter()
            .chain(self.graph.backward.then_some(backward))
            .chain(self.graph.notes.iter().map(|note| ("", note.as_str())))
            .collect();
        let lines = i32::try_from(legend.len()).unwrap_or(0);
        let widest = legend.iter().map(|(_, line)| chars(line) * 7).max().unwrap_or(0);
        let width = self.width.max(widest + 2 * MARGIN);
        let foot = self.placed.height + 2 * MARGIN + 12;
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
            let _ = writeln!(text, "<text class=\"note {class}\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escaped(line));
        }
        text.push_str("</svg>\n");
        text
    }

    fn y(&self, item: &Item) -> i32 {
        item.y + MARGIN
    }

    /// The sides of an item: names stand at the line that leaves or reaches them, signs in the middle of their column.
    fn sides(&self, item: &Item) -> (i32, i32) {
        let (x, width) = (self.columns[item.column], self.placed.widths[item.column]);
        match item.what {
            What::Node(node) => {
                let left = match self.graph.nodes[node].kind {
                    Kind::Leaf | Kind::Branch => x + width - item.size.width,
                    Kind::Sink => x,
                    _ => x + (width - item.size.width) / 2,
                };
                (left, left + item.size.width)
            }
            _ => (x, x + width),
        }
    }

    fn edge(&self, n: usize, text: &mut String) {
        let edge = &self.graph.edges[n];
        let (above, below) = label(edge, self.graph, SHOWN);
        let _ = write!(text, "<g class=\"edge\" data-from=\"{}\" data-to=\"{}\"", edge.from, edge.to);
        let known = [
            ("name", edge.name.clone()),
            ("forward", whole(&edge.forward)),
            ("slope", edge.slope.clone()),
            ("backward", edge.backward.as_ref().and_then(whole)),
            ("local", edge.local.map(exact)),
            ("rule", edge.rule.clone()),
        ];
        for (name, known) in known.into_iter().filter_map(|(name, known)| Some((name, known?))) {
            let _ = write!(text, " data-{name}=\"{}\"", escaped(&known));
        }
        let _ = writeln!(text, ">\n<title>{}</title>", escaped(&title(self.graph, edge)));
        let arrow =
            if self.graph.nodes[edge.to].kind == Kind::Branch { "" } else { " marker-end=\"url(#nnlayer-forth)\"" };
        let _ = writeln!(text, "<path class=\"line\" d=\"{}\"{arrow}/>", self.path(n));
        let Some(item) = self.placed.routes[n].get(1).map(|&item| &self.placed.items[item]) else { return };
        let ((left, right), y) = (self.sides(item), self.y(item));
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
        let top = y - 7 - LINE * (i32::try_from(above.len()).unwrap_or(0) - 1);
        let class = if edge.backward.is_some() { "backward" } else { "none" };
        for (class, lines, y) in [("forward", &above, top), (class, &below, y + 22)] {
            self.values(class, lines, middle, y, text);
        }
        if self.graph.level == Level::Tensor && edge.forward.ndim() > 0 {
            brackets("forward", &above[1..], middle, top + LINE, text);
        }
        if let (Level::Tensor, Some((_, rows)), Some(1..)) =
            (self.graph.level, below.split_last(), edge.backward.as_ref().map(|backward| backward.ndim()))
        {
            brackets("backward", rows, middle, y + 22, text);
        }
        text.push_str("</g>\n");
    }

    /// Lines of a value, the first at `y`.
    fn values(&self, class: &str, lines: &[String], x: f64, y: i32, text: &mut String) {
        for (y, line) in (y..).step_by(usize::try_from(LINE).unwrap_or(1)).zip(lines) {
            let _ = writeln!(
                text,
                "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" xml:space=\"preserve\">{}</text>",
                escaped(line)
            );
        }
    }

    /// An edge from its first node through labels and columns to its last.
    fn path(&self, n: usize) -> String {
        let route = &self.placed.routes[n];
        let item = |step: usize| &self.placed.items[route[step]];
        let mut path = format!("M{} {}", self.sides(item(0)).1, self.y(item(0)));
        for step in 1..route.len() {
            let (a, b) = (item(step - 1), item(step));
            let last = step + 1 == route.len();
            let (from, to) = (self.y(a), self.y(b) + if last { self.port(n) } else { 0 });
            let (begin, end) = (self.columns[a.column] + self.placed.widths[a.column], self.columns[b.column]);
            if from != to {
                let middle = i32::midpoint(begin, end);
                let _ = write!(path, "H{begin}C{middle} {from} {middle} {to} {end} {to}");
            }
            let (left, right) = self.sides(b);
            let _ = write!(path, "H{}", if last { left + self.inset(b, to) } else { right });
        }
        path
    }

    /// How far a circle's side is from the left of its box at that height.
    fn inset(&self, item: &Item, y: i32) -> i32 {
        let (away, reach) = (f64::from(y - self.y(item)), f64::from(RADIUS));
        if item.size.width != 2 * RADIUS || item.size.above != RADIUS {
            return 0;
        }
        #[allow(clippy::cast_possible_truncation)] // less than a radius
        let inset = (reach - (reach * reach - away * away).max(0.0).sqrt()).round() as i32;
        inset
    }

    /// How far below a node's middle an edge reaches it: those that come from above and below keep apart.
    fn port(&self, n: usize) -> i32 {
        let edge = &self.graph.edges[n];
        if self.graph.nodes[edge.to].kind != Kind::Op {
            return 0;
        }
        let node = self.placed.items[edge.to].y;
        let before = |n: usize| {
            let route = &self.placed.routes[n];
            self.placed.items[route[route.len() - 2]].y
        };
        let own = before(n);
        let side = (own - node).signum();
        let others: Vec<i32> = self.graph.reaching(edge.to).map(before).collect();
        let same: Vec<i32> = others.into_iter().filter(|y| (y - node).signum() == side).collect();
        let nearer = same.iter().filter(|y| (*y - node).abs() < (own - node).abs()).count();
        let (nearer, all) = (i32::try_from(nearer).unwrap_or(0), i32::try_from(same.len()).unwrap_or(1));
        if side == 0 { 0 } else { side * (nearer + 1) * (14 / all).min(8) }
    }

    fn node(&self, n: usize, text: &mut String) {
        let (node, item) = (&self.graph.nodes[n], &self.placed.items[n]);
        let ((left, right), y) = (self.sides(item), self.y(item));
        let middle = f64::midpoint(f64::from(left), f64::from(right));
        let (class, anchor) = match node.kind {
            Kind::Leaf => ("name leaf", f64::from(right - 4)),
            Kind::Sink => ("name sink", f64::from(left + 4)),
            Kind::Op => ("op", middle),
            Kind::Branch => ("branch", middle),
        };
        let kind = class.rsplit(' ').next().unwrap_or_default();
        let _ = write!(text, "<g class=\"node {class}\" data-kind=\"{kind}\" data-label=\"{}\">", escaped(&node.label));
        if let Some(meaning) = &node.meaning {
            let _ = write!(text, "<title>{}</title>", escaped(meaning));
        }
        let _ = match node.kind {
            Kind::Branch => write!(text, "<circle cx=\"{middle}\" cy=\"{y}\" r=\"4\"/>"),
            Kind::Op if item.size.width == 2 * RADIUS => {
                write!(text, "<circle cx=\"{middle}\" cy=\"{y}\" r=\"{RADIUS}\"/>")
            }
            Kind::Op => write!(
                text,
                "<rect x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{RADIUS}\"/>",
                y - RADIUS,
                right - left,
                2 * RADIUS
            ),
            _ => Ok(()),
        };
        if node.kind != Kind::Branch {
            let _ = write!(text, "<text x=\"{anchor}\" y=\"{}\">{}</text>", y + 5, escaped(&node.label));
        }
        text.push_str("</g>\n");
    }
}

/// Brackets around the rows of a matrix, the first of them at `y`.
fn brackets(class: &str, rows: &[String], middle: f64, y: i32, text: &mut String) {
    let widest = rows.iter().map(|row| chars(row)).max().unwrap_or(0);
    let (top, bottom) = (y - 12, y - 13 + LINE * i32::try_from(rows.len()).unwrap_or(0));
    for (side, foot) in [(-1.0, 3.0), (1.0, -3.0)] {
        let x = middle + side * (f64::from(widest * CHAR) / 2.0 + 3.0);
        let _ = writeln!(text, "<path class=\"bracket {class}\" d=\"M{} {top}H{x}V{bottom}h{foot}\"/>", x + foot);
    }
}

fn chars(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 64).min(i32::MAX / 64)
}

fn node_size(node: &Node) -> Size {
    let name = chars(&node.label) * CHAR + 8;
    match node.kind {
        Kind::Branch => Size { width: 8, above: 5, below: 5 },
        Kind::Op if chars(&node.label) < 4 => Size { width: 2 * RADIUS, above: RADIUS, below: RADIUS },
        Kind::Op => Size { width: name + 12, above: RADIUS, below: RADIUS },
        _ => Size { width: name, above: 12, below: 8 },
    }
}

fn label_size(edge: &Edge, graph: &Graph) -> Size {
    let (above, below) = label(edge, graph, SHOWN);
    let widest = above.iter().chain(&below).map(|line| chars(line)).max().unwrap_or(0);
    let lines = |lines: &[String]| i32::try_from(lines.len()).unwrap_or(0) * LINE;
    Size {
        width: widest.max(4) * CHAR + 16,
        above: lines(&above) + 6,
        below: if below.is_empty() { 4 } else { lines(&below) + 11 },
    }
}

/// What is said of an edge where the pointer rests.
fn title(graph: &Graph, edge: &Edge) -> String {
    let name = edge.name.clone().unwrap_or_else(|| "value".to_owned());
    let whole = |value| whole(value).unwrap_or_else(|| "a large matrix".to_owned());
    let mut text = format!("{name} = {}", whole(&edge.forward));
    if let Some(backward) = &edge.backward {
        let name = edge.slope.as_deref().unwrap_or("gradient");
        let _ = write!(text, "\n{name} = {}", whole(backward));
    }
    if let Some(local) = edge.local {
        let _ = write!(text, "\nlocal derivative of {} = {}", graph.nodes[edge.to].label, exact(local));
    }
    if let Some(rule) = &edge.rule {
        let _ = write!(text, "\n{rule}");
    }
    text
}

/// Text for XML; what it has no character for is left out.
pub(super) fn escaped(text: &str) -> String {
    let known = |c: &char| !c.is_control() || "\n\t".contains(*c);
    let text: String = text.chars().filter(known).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
