//! A graph as text: nodes are labels, edges are box-drawing characters. A graph that is too wide is split into bands, and
//! a letter marks both ends of an edge between them. Components of a graph that is grouped are side by side.

use super::channel::{Track, net, route_channel};
use super::grid::{Grid, Ink, Style};
use crate::graph::bands::{Part, Splitter, components, name_connectors};
use crate::graph::label::{EdgeLabel, LabelLine, MAX_SIDE, edge_label, node_hint, node_label, sum_lines};
use crate::graph::layout::{Item, ItemKind, Layout, Size, Sizes, ranks};
use crate::graph::legend::legend;
use crate::graph::model::{Graph, Level, Node, NodeKind};
use crate::graph::words;
use unicode_width::UnicodeWidthStr;

/// Greatest length of a line, in characters, where neither the environment nor an option says another.
const DEFAULT_WIDTH: usize = 100;
/// Number of blanks between two components.
const COMPONENT_GAP: usize = 3;

/// Returns the graph as lines of text.
pub fn render_terminal(graph: &Graph, style: Style) -> String {
    let mut graph = graph.clone();
    graph.options.is_ascii = style.ascii;
    let max_width = graph.options.width.unwrap_or(DEFAULT_WIDTH);
    let title = graph.options.title.as_ref().map(|title| graph.text(title) + "\n\n").unwrap_or_default();
    let grouped = if graph.sums.is_empty() { None } else { component_grid(&graph, max_width) };
    let grids = grouped.map_or_else(|| band_grids(&graph, max_width), |grid| vec![grid]);
    if grids.len() > 1 {
        graph.add_note(words::CONTINUATION.to_owned());
    }
    if grids.iter().any(Grid::has_crossing) {
        graph.add_note(words::CROSSING.to_owned());
    }
    let mut text = title + &grids.iter().map(|grid| grid.text(style)).collect::<Vec<String>>().join("\n");
    for lines in [columns(&sum_lines(&graph), max_width), notes(&graph, max_width)] {
        if !lines.is_empty() {
            text.push('\n');
        }
        lines.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
    }
    text
}

/// Draws a graph in bands that fit the width.
fn band_grids(graph: &Graph, max_width: usize) -> Vec<Grid> {
    // Matrices show fewer entries if even a band of one rank is too wide.
    let canvases_fit = |max_side: &usize| {
        bands(graph, *max_side, max_width).iter().all(|band| Canvas::new(&band.graph, *max_side).width <= max_width)
    };
    let max_side = (3..=MAX_SIDE).rev().find(canvases_fit).unwrap_or(2);
    bands(graph, max_side, max_width).iter().map(|band| Canvas::new(&band.graph, max_side).grid()).collect()
}

/// Draws the components of a graph in rows of as many as fit the width; `None` if one of them does not fit.
fn component_grid(graph: &Graph, max_width: usize) -> Option<Grid> {
    let parts = components(graph);
    let mut canvases: Vec<Canvas<'_>> = parts.iter().map(|part| Canvas::new(&part.graph, MAX_SIDE)).collect();
    let cell = canvases.iter().map(|canvas| canvas.width).max().unwrap_or(0) + COMPONENT_GAP;
    let per_row = (max_width + COMPONENT_GAP) / cell;
    if per_row == 0 {
        return None;
    }
    let (mut y, mut width) = (0, 0);
    for row in canvases.chunks_mut(per_row) {
        let height = row.iter().map(|canvas| canvas.layout.height).max().unwrap_or(0);
        for (n, canvas) in row.iter_mut().enumerate() {
            width = width.max(n * cell + canvas.width);
            canvas.shift(i32::try_from(n * cell).unwrap_or(0), y);
        }
        y += height + 1;
    }
    let mut grid = Grid::new(width, usize::try_from(y - 1).unwrap_or(0));
    canvases.iter().for_each(|canvas| canvas.draw(&mut grid));
    Some(grid)
}

/// Returns the explanations as lines.
fn notes(graph: &Graph, max_width: usize) -> Vec<String> {
    legend(graph).iter().flat_map(|note| wrap(&graph.text(note), max_width)).collect()
}

/// Arranges texts in columns, down before right.
fn columns(texts: &[String], max_width: usize) -> Vec<String> {
    let cell = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0) + COMPONENT_GAP;
    let per_row = ((max_width + COMPONENT_GAP) / cell).clamp(1, texts.len().max(1));
    let rows = texts.len().div_ceil(per_row);
    let line = |row: usize| {
        let cells: Vec<String> = texts.iter().skip(row).step_by(rows).map(|text| format!("{text:<cell$}")).collect();
        cells.concat().trim_end().to_owned()
    };
    (0..rows).map(line).collect()
}

/// Splits a text at blanks into lines of a width; all but the first are indented.
fn wrap(text: &str, max_width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines
            .last_mut()
            .filter(|line| width(line) + 1 + width(word) <= i32::try_from(max_width).unwrap_or(i32::MAX))
        {
            Some(line) => line.extend([" ", word]),
            None => lines.push(if lines.is_empty() { word.to_owned() } else { format!("  {word}") }),
        }
    }
    lines
}

/// Splits the graph into bands that fit the width. Of the largest bands that fit, the one that cuts the fewest lines is taken.
fn bands(graph: &Graph, max_side: usize, max_width: usize) -> Vec<Part> {
    let mut splitter = Splitter::new(graph, &ranks(graph));
    let last = splitter.count();
    let width = |part: &Part| Canvas::new(&part.graph, max_side).width;
    let (mut ends, mut from) = (Vec::new(), 0);
    while from < last {
        // As many ranks as fit, but at least one.
        let mut fitting: Vec<(usize, usize)> = Vec::new();
        for to in from + 1..=last {
            let width = width(&splitter.band(from, to).0);
            if width > max_width && !fitting.is_empty() {
                break;
            }
            fitting.push((to, width));
        }
        let max_band_width = fitting.iter().map(|(_, width)| *width).max().unwrap_or(0);
        fitting.retain(|(to, width)| *to == last || 3 * width >= 2 * max_band_width);
        let best = fitting.into_iter().min_by_key(|(to, _)| (splitter.costs[*to], last - to));
        let to = best.map_or(last, |(to, _)| to);
        let (_, exits) = splitter.band(from, to);
        splitter.accept(exits);
        ends.push(to);
        from = to;
    }
    let mut bands = Splitter::new(graph, &ranks(graph)).split(&ends, |part| width(part) <= max_width);
    name_connectors(&mut bands, |part| {
        Canvas::new(&part.graph, max_side).layout.items.iter().map(|item| item.y).collect()
    });
    bands
}

/// Returns the text of a node.
fn node_text(node: &Node, graph: &Graph) -> String {
    let (label, hint) = (node_label(node, graph), node_hint(node, graph));
    match (node.kind, hint) {
        (NodeKind::Operation, Some(hint)) => format!("({label}: {hint})"),
        (NodeKind::Operation, None) => format!("({label})"),
        (NodeKind::Connector, _) => format!("→{label}→"),
        _ => label,
    }
}

fn width(text: &str) -> i32 {
    i32::try_from(text.width()).unwrap_or(i32::MAX)
}

/// A graph with its layout and the routing of its edges.
struct Canvas<'a> {
    graph: &'a Graph,
    layout: Layout,
    /// Left side of each column.
    columns: Vec<i32>,
    /// Vertical lines to the right of each column.
    tracks: Vec<Vec<Track>>,
    width: usize,
    /// Number of rows and columns of a matrix in a label.
    max_side: usize,
}

impl Canvas<'_> {
    fn new(graph: &Graph, max_side: usize) -> Canvas<'_> {
        let gap = if graph.level == Level::Tensor { 1 } else { 0 };
        let height = |lines: &[LabelLine]| i32::try_from(lines.len()).unwrap_or(0);
        let ranks = ranks(graph);
        // A blank keeps an operand apart from the lines to its left.
        let node_size = |(node, &rank): (&Node, &usize)| {
            let blank = i32::from(rank > 0 && node.kind == NodeKind::Leaf);
            Size { width: width(&node_text(node, graph)) + blank, above: 0, below: 0 }
        };
        let sizes = Sizes {
            nodes: graph.nodes.iter().zip(&ranks).map(node_size).collect(),
            labels: graph
                .edges
                .iter()
                .map(|edge| {
                    let label = edge_label(edge, graph, max_side);
                    let width = i32::try_from(label.width()).unwrap_or(i32::MAX - 1);
                    // A blank line keeps the labels of two lines that leave a branch apart.
                    let is_branch = graph.nodes[edge.from].kind == NodeKind::Branch;
                    let below = height(&label.below) + i32::from(is_branch && gap == 0);
                    Size { width: width + 1, above: height(&label.above), below }
                })
                .collect(),
            dummy: Size { width: 1, above: 0, below: 0 },
            gap,
        };
        let layout = Layout::new(graph, &ranks, &sizes);
        let (mut x, mut columns, mut tracks) = (0, Vec::new(), Vec::new());
        for (column, width) in layout.widths.iter().enumerate() {
            columns.push(x);
            x += width;
            let channel = route_channel(&layout, column);
            let count = channel.iter().map(|track| track.exit + 1).max().unwrap_or(0);
            // A piece of line keeps nodes apart from lines that cross theirs.
            let margin = i32::from(count > 1);
            let is_after_nodes = column % 2 == 0;
            x += if is_after_nodes { margin } else { 0 };
            tracks.push(channel.into_iter().map(|track| track.moved(x, 0)).collect());
            x += count.max(1) + if is_after_nodes { 0 } else { margin };
        }
        Canvas { graph, layout, columns, tracks, width: usize::try_from(x - 1).unwrap_or(0), max_side }
    }

    fn grid(&self) -> Grid {
        let mut grid = Grid::new(self.width, usize::try_from(self.layout.height).unwrap_or(0));
        self.draw(&mut grid);
        grid
    }

    /// Moves the drawing to the right and down.
    fn shift(&mut self, x: i32, y: i32) {
        self.columns.iter_mut().for_each(|column| *column += x);
        self.tracks.iter_mut().flatten().for_each(|track| *track = track.moved(x, y));
        self.layout.items.iter_mut().for_each(|item| item.y += y);
    }

    fn draw(&self, grid: &mut Grid) {
        for (n, route) in self.layout.routes.iter().enumerate() {
            for pair in route.windows(2) {
                self.connect(grid, pair[0], pair[1]);
            }
            for &item in &route[1..route.len() - 1] {
                let item = &self.layout.items[item];
                let x = self.columns[item.column];
                grid.horizontal(item.y, x, x + self.layout.widths[item.column] - 1, n);
                if item.kind == ItemKind::Label(n) {
                    let EdgeLabel { above, below } = edge_label(&self.graph.edges[n], self.graph, self.max_side);
                    let top = item.y - i32::try_from(above.len()).unwrap_or(0);
                    (top..).zip(&above).for_each(|(y, line)| grid.write(x, y, &line.text, Ink::Forward));
                    (item.y + 1..).zip(&below).for_each(|(y, line)| grid.write(x, y, &line.text, Ink::Backward));
                }
            }
        }
        for (node, item) in self.graph.nodes.iter().zip(&self.layout.items) {
            grid.write(self.left(item), item.y, &node_text(node, self.graph), Ink::Plain);
        }
    }

    /// Returns the left side of an item's text; operations are centred in their column, and operands next to their line.
    fn left(&self, item: &Item) -> i32 {
        let ItemKind::Node(node) = item.kind else { return self.columns[item.column] };
        let node = &self.graph.nodes[node];
        let space = self.layout.widths[item.column] - width(&node_text(node, self.graph));
        self.columns[item.column] + if node.kind == NodeKind::Leaf { space } else { space / 2 }
    }

    /// Returns x of the lines that leave an item.
    fn right(&self, item: &Item) -> i32 {
        match item.kind {
            ItemKind::Node(node) => self.left(item) + width(&node_text(&self.graph.nodes[node], self.graph)),
            _ => self.columns[item.column] + self.layout.widths[item.column],
        }
    }

    fn connect(&self, grid: &mut Grid, from: usize, to: usize) {
        let (a, b) = (&self.layout.items[from], &self.layout.items[to]);
        let (start, end) = (self.right(a), self.left(b));
        let net = net(&self.layout, from, to);
        let owner = self.layout.routes.len() + net;
        match self.tracks[a.column].iter().find(|track| track.net == net) {
            Some(track) if a.y != b.y => {
                grid.horizontal(a.y, start - 1, track.entry, owner);
                grid.vertical(track.entry, a.y, track.row.unwrap_or(b.y), owner);
                if let Some(row) = track.row {
                    grid.horizontal(row, track.entry, track.exit, owner);
                    grid.vertical(track.exit, row, b.y, owner);
                }
                grid.horizontal(b.y, track.exit, end, owner);
            }
            _ => grid.horizontal(a.y, start - 1, end, owner),
        }
    }
}
