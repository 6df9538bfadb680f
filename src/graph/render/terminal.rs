//! A graph as text: nodes are labels, edges are box-drawing characters. A graph that is too wide is split into bands, and
//! a letter marks both ends of an edge between them.

use super::grid::{Grid, Ink, Style, to_ascii};
use crate::graph::label::{MAX_SIDE, abbreviate, edge_label, legend};
use crate::graph::layout::{Item, ItemKind, Layout, Size, Sizes, ranks};
use crate::graph::model::{Edge, Graph, Level, Node, NodeKind};

/// Greatest length of a line, in characters.
const MAX_WIDTH: usize = 100;

/// Returns the graph as lines of text.
pub fn render_terminal(graph: &Graph, style: Style) -> String {
    // Matrices show fewer entries if even a band of one rank is too wide.
    let canvases_fit =
        |max_side: &usize| bands(graph, *max_side).iter().all(|band| Canvas::new(band, *max_side).width <= MAX_WIDTH);
    let max_side = (3..=MAX_SIDE).rev().find(canvases_fit).unwrap_or(2);
    let bands = bands(graph, max_side);
    let mut text = bands.iter().map(|band| Canvas::new(band, max_side).text(style)).collect::<Vec<String>>().join("\n");
    text.push('\n');
    for note in legend(graph) {
        text.extend(note.chars().map(|char| if style.ascii { to_ascii(char) } else { char }));
        text.push('\n');
    }
    text
}

/// Splits the graph into bands that fit the width.
fn bands(graph: &Graph, max_side: usize) -> Vec<Graph> {
    let ranks = ranks(graph);
    let last = ranks.iter().max().map_or(0, |rank| rank + 1);
    let (mut bands, mut from, mut cuts) = (Vec::new(), 0, Vec::new());
    while from < last {
        // As many ranks as fit, but at least one.
        let more = (from + 1..=last).map(|to| (to, band(graph, &ranks, from, to, &cuts)));
        let fits = |band: &Graph| Canvas::new(band, max_side).width <= MAX_WIDTH;
        let Some((to, (band, after))) = more.take_while(|(to, (band, _))| *to == from + 1 || fits(band)).last() else {
            break;
        };
        bands.push(band);
        (from, cuts) = (to, after);
    }
    bands
}

/// An edge that leaves its band, and the letter of the edge.
type BandExit = (usize, String);

/// Returns the nodes of some ranks, with an additional node at each edge from or to another band.
fn band(graph: &Graph, ranks: &[usize], from: usize, to: usize, cuts: &[BandExit]) -> (Graph, Vec<BandExit>) {
    let is_inside = |node: usize| (from..to).contains(&ranks[node]);
    let mut band = Graph { backward: graph.backward, ..Graph::new(graph.level) };
    let mut cuts = cuts.to_vec();
    let mut moved = vec![0; graph.nodes.len()];
    let mut entering = Vec::new();
    for (n, edge) in graph.edges.iter().enumerate().filter(|(_, edge)| is_inside(edge.to) && !is_inside(edge.from)) {
        let letter = cuts.iter().find(|(cut, _)| *cut == n).map_or("", |(_, letter)| letter);
        entering.push((band.add_node(NodeKind::Leaf, format!("{letter}→")), edge));
    }
    for (node, original) in graph.nodes.iter().enumerate().filter(|(node, _)| is_inside(*node)) {
        moved[node] = band.nodes.len();
        band.nodes.push(original.clone());
    }
    band.edges.extend(entering.into_iter().map(|(from, edge)| Edge { from, to: moved[edge.to], ..edge.clone() }));
    for (n, edge) in graph.edges.iter().enumerate().filter(|(_, edge)| is_inside(edge.from)) {
        let to = if is_inside(edge.to) {
            moved[edge.to]
        } else {
            let letter = letter(cuts.len());
            let sink = band.add_node(NodeKind::Sink, format!("→{letter}"));
            cuts.push((n, letter));
            sink
        };
        band.edges.push(Edge { from: moved[edge.from], to, ..edge.clone() });
    }
    (band, cuts)
}

/// Returns the letter of a cut: a, b, …, z, aa, ab, ….
fn letter(n: usize) -> String {
    let last = char::from(b'a' + u8::try_from(n % 26).unwrap_or(0));
    if n < 26 { last.to_string() } else { format!("{}{last}", letter(n / 26 - 1)) }
}

/// Returns the text of a node.
fn node_text(node: &Node) -> String {
    if node.kind == NodeKind::Operation { format!("({})", node.label) } else { abbreviate(&node.label) }
}

fn width(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

/// A graph with its layout and the routing of its edges.
struct Canvas<'a> {
    graph: &'a Graph,
    layout: Layout,
    /// Left side of each column.
    columns: Vec<i32>,
    /// Vertical lines to the right of each column: the item of their net, and x.
    tracks: Vec<Vec<(usize, i32)>>,
    width: usize,
    /// Number of rows and columns of a matrix in a label.
    max_side: usize,
}

impl Canvas<'_> {
    fn new(graph: &Graph, max_side: usize) -> Canvas<'_> {
        let height = |lines: &[String]| i32::try_from(lines.len()).unwrap_or(0);
        let sizes = Sizes {
            nodes: graph.nodes.iter().map(|node| Size { width: width(&node_text(node)), above: 0, below: 0 }).collect(),
            labels: graph
                .edges
                .iter()
                .map(|edge| {
                    let (above, below) = edge_label(edge, graph, max_side);
                    let width = above.iter().chain(&below).map(|line| width(line)).max().unwrap_or(0);
                    Size { width: width + 1, above: height(&above), below: height(&below) }
                })
                .collect(),
            dummy: Size { width: 1, above: 0, below: 0 },
            gap: if graph.level == Level::Tensor { 1 } else { 0 },
        };
        let layout = Layout::new(graph, &ranks(graph), &sizes);
        let (mut x, mut columns, mut tracks) = (0, Vec::new(), Vec::new());
        for (column, width) in layout.widths.iter().enumerate() {
            columns.push(x);
            x += width;
            let channel = route_channel(&layout, column);
            let count = channel.iter().map(|(_, track)| track + 1).max().unwrap_or(0);
            tracks.push(channel.into_iter().map(|(item, track)| (item, x + track)).collect());
            x += count.max(1);
        }
        Canvas { graph, layout, columns, tracks, width: usize::try_from(x - 1).unwrap_or(0), max_side }
    }

    fn text(&self, style: Style) -> String {
        let mut grid = Grid::new(self.width, usize::try_from(self.layout.height).unwrap_or(0));
        for (n, route) in self.layout.routes.iter().enumerate() {
            for pair in route.windows(2) {
                self.connect(&mut grid, pair[0], pair[1]);
            }
            for &item in &route[1..route.len() - 1] {
                let item = &self.layout.items[item];
                let x = self.columns[item.column];
                grid.horizontal(item.y, x - 1, x + self.layout.widths[item.column], n);
                if item.kind == ItemKind::Label(n) {
                    let (above, below) = edge_label(&self.graph.edges[n], self.graph, self.max_side);
                    let top = item.y - i32::try_from(above.len()).unwrap_or(0);
                    (top..).zip(&above).for_each(|(y, line)| grid.write(x, y, line, Ink::Forward));
                    (item.y + 1..).zip(&below).for_each(|(y, line)| grid.write(x, y, line, Ink::Backward));
                }
            }
        }
        for (node, item) in self.graph.nodes.iter().zip(&self.layout.items) {
            grid.write(self.left(item), item.y, &node_text(node), Ink::Plain);
        }
        grid.text(style)
    }

    /// Returns the left side of an item's text; nodes are centred in their column.
    fn left(&self, item: &Item) -> i32 {
        match item.kind {
            ItemKind::Node(_) => self.columns[item.column] + (self.layout.widths[item.column] - item.size.width) / 2,
            _ => self.columns[item.column],
        }
    }

    /// Returns x of the lines that leave an item.
    fn right(&self, item: &Item) -> i32 {
        match item.kind {
            ItemKind::Node(_) => self.left(item) + item.size.width,
            _ => self.columns[item.column] + self.layout.widths[item.column],
        }
    }

    fn connect(&self, grid: &mut Grid, from: usize, to: usize) {
        let (a, b) = (&self.layout.items[from], &self.layout.items[to]);
        let (start, end) = (self.right(a), self.left(b));
        let net = net(&self.layout, from, to);
        let owner = self.layout.routes.len() + net;
        let track = self.tracks[a.column].iter().find(|(item, _)| *item == net).map(|(_, x)| *x);
        match track {
            Some(x) if a.y != b.y => {
                grid.horizontal(a.y, start - 1, x, owner);
                grid.vertical(x, a.y, b.y, owner);
                grid.horizontal(b.y, x, end, owner);
            }
            _ => grid.horizontal(a.y, start - 1, end, owner),
        }
    }
}

/// Returns the net of a segment: segments that share a node are one net, known by that node's item.
fn net(layout: &Layout, from: usize, to: usize) -> usize {
    if matches!(layout.items[from].kind, ItemKind::Node(_)) { from } else { to }
}

/// Routes the channel to the right of a column: returns nets with bends, and the track of each from the left. A net that
/// ends at the height where another starts has a track to the left of it, and nets on the same track do not touch.
fn route_channel(layout: &Layout, column: usize) -> Vec<(usize, i32)> {
    /// A net, and the heights at both sides of the channel.
    struct Net {
        item: usize,
        from: Vec<i32>,
        to: Vec<i32>,
    }
    let mut nets: Vec<Net> = Vec::new();
    for pair in layout.routes.iter().flat_map(|route| route.windows(2)) {
        let (a, b) = (&layout.items[pair[0]], &layout.items[pair[1]]);
        if a.column != column {
            continue;
        }
        let item = net(layout, pair[0], pair[1]);
        match nets.iter_mut().find(|net| net.item == item) {
            Some(net) => {
                net.from.push(a.y);
                net.to.push(b.y);
            }
            None => nets.push(Net { item, from: vec![a.y], to: vec![b.y] }),
        }
    }
    nets.retain(|net| net.from.iter().chain(&net.to).any(|y| *y != net.from[0]));
    let extent = |net: &Net| {
        let heights = || net.from.iter().chain(&net.to);
        (heights().min().copied().unwrap_or(0), heights().max().copied().unwrap_or(0))
    };
    let starts_at_end = |other: &Net, net: &Net| other.from.iter().any(|y| net.to.contains(y));
    let mut routed: Vec<(Net, i32)> = Vec::new();
    while !nets.is_empty() {
        let is_blocked = |net: &Net| nets.iter().any(|other| other.item != net.item && starts_at_end(other, net));
        let next = nets.iter().position(|net| !is_blocked(net)).unwrap_or(0);
        let net = nets.remove(next);
        let (top, bottom) = extent(&net);
        let mut track = 0;
        for (other, other_track) in &routed {
            let (other_top, other_bottom) = extent(other);
            if starts_at_end(other, &net) || (other_top <= bottom && top <= other_bottom) {
                track = track.max(other_track + 1);
            }
        }
        routed.push((net, track));
    }
    routed.into_iter().map(|(net, track)| (net.item, track)).collect()
}
