//! A graph in a terminal: boxes are names and signs, lines are box-drawing characters. What is too wide goes on below,
//! where lines that were cut have a letter.

use super::grid::{Grid, Ink, plain};
use super::label::{SHOWN, label, short};
use super::place::{Item, Placed, Size, Sizes, What, place, ranks};
use super::{Edge, Graph, Kind, Node};

/// No line is longer.
const WIDTH: usize = 100;
/// How a terminal is written to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Only ASCII.
    pub ascii: bool,
    /// Colours.
    pub color: bool,
}

/// The graph as lines of text.
pub fn terminal(graph: &Graph, style: Style) -> String {
    // Where even one rank is too wide, matrices show less.
    let fits = |shown: &usize| bands(graph, *shown).iter().all(|band| Canvas::of(band, *shown).width <= WIDTH);
    let shown = (3..=SHOWN).rev().find(fits).unwrap_or(2);
    let drawn = bands(graph, shown).iter().map(|band| Canvas::of(band, shown).text(style)).collect::<Vec<String>>();
    let mut text = drawn.join("\n");
    text.push('\n');
    for note in super::legend(graph) {
        text.extend(note.chars().map(|char| if style.ascii { plain(char) } else { char }));
        text.push('\n');
    }
    text
}

/// The graph in pieces, one below the other, that fit the width.
fn bands(graph: &Graph, shown: usize) -> Vec<Graph> {
    let ranks = ranks(graph);
    let last = ranks.iter().max().map_or(0, |rank| rank + 1);
    let (mut bands, mut from, mut cuts) = (Vec::new(), 0, Cuts::default());
    while from < last {
        // The most ranks that fit; one always has to.
        let more = (from + 1..=last).map(|to| (to, band(graph, &ranks, from, to, &cuts)));
        let fitting = more.take_while(|(to, (band, _))| *to == from + 1 || Canvas::of(band, shown).width <= WIDTH);
        let Some((to, (band, after))) = fitting.last() else { break };
        bands.push(band);
        (from, cuts) = (to, after);
    }
    bands
}

/// Edges that were cut so far, and their letters.
#[derive(Clone, Default)]
struct Cuts(Vec<(usize, String)>);

/// The nodes of some ranks, with a node of its own for each edge that is cut.
fn band(graph: &Graph, ranks: &[usize], from: usize, to: usize, cuts: &Cuts) -> (Graph, Cuts) {
    let inside = |node: usize| (from..to).contains(&ranks[node]);
    let mut part =
        Graph { level: graph.level, nodes: Vec::new(), edges: Vec::new(), backward: graph.backward, notes: Vec::new() };
    let mut cuts = cuts.clone();
    let mut at = vec![0; graph.nodes.len()];
    let mut edges: Vec<Edge> = Vec::new();
    for (n, edge) in graph.edges.iter().enumerate() {
        if inside(edge.to) && !inside(edge.from) {
            let letter = cuts.0.iter().find(|(cut, _)| *cut == n).map_or("", |(_, letter)| letter);
            part.nodes.push(Node { kind: Kind::Leaf, label: format!("{letter}→"), meaning: None });
            edges.push(Edge { from: part.nodes.len() - 1, to: graph.nodes.len() + edge.to, ..edge.clone() });
        }
    }
    for (node, known) in graph.nodes.iter().enumerate().filter(|(node, _)| inside(*node)) {
        at[node] = part.nodes.len();
        part.nodes.push(known.clone());
    }
    edges.iter_mut().for_each(|edge| edge.to = at[edge.to - graph.nodes.len()]);
    for (n, edge) in graph.edges.iter().enumerate().filter(|(_, edge)| inside(edge.from)) {
        let end = if inside(edge.to) {
            at[edge.to]
        } else {
            let letter = letter(cuts.0.len());
            part.nodes.push(Node { kind: Kind::Sink, label: format!("→{letter}"), meaning: None });
            cuts.0.push((n, letter));
            part.nodes.len() - 1
        };
        edges.push(Edge { from: at[edge.from], to: end, ..edge.clone() });
    }
    part.edges = edges;
    (part, cuts)
}

/// a, b, …, z, aa, ab, ….
fn letter(n: usize) -> String {
    let last = char::from(b'a' + u8::try_from(n % 26).unwrap_or(0));
    if n < 26 { last.to_string() } else { format!("{}{last}", letter(n / 26 - 1)) }
}

/// What stands on a node.
fn sign(node: &Node) -> String {
    if node.kind == Kind::Op { format!("({})", node.label) } else { short(&node.label) }
}

fn width(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

/// A placed graph, and where each column begins.
struct Canvas<'a> {
    graph: &'a Graph,
    placed: Placed,
    columns: Vec<i32>,
    /// The tracks of vertical lines behind each column: node item, and x.
    tracks: Vec<Vec<(usize, i32)>>,
    width: usize,
    /// So many rows and columns of a matrix are shown.
    shown: usize,
}

impl Canvas<'_> {
    fn of(graph: &Graph, shown: usize) -> Canvas<'_> {
        let ranks = ranks(graph);
        let reach = |lines: &[String]| i32::try_from(lines.len()).unwrap_or(0);
        let sizes = Sizes {
            nodes: graph.nodes.iter().map(|node| Size { width: width(&sign(node)), above: 0, below: 0 }).collect(),
            labels: graph
                .edges
                .iter()
                .map(|edge| {
                    let (above, below) = label(edge, graph, shown);
                    let width = above.iter().chain(&below).map(|line| width(line)).max().unwrap_or(0);
                    Size { width: width + 1, above: reach(&above), below: reach(&below) }
                })
                .collect(),
            pass: Size { width: 1, above: 0, below: 0 },
            gap: if graph.level == super::Level::Tensor { 1 } else { 0 },
        };
        let placed = place(graph, &ranks, &sizes);
        let (mut x, mut columns, mut tracks) = (0, Vec::new(), Vec::new());
        for (column, width) in placed.widths.iter().enumerate() {
            columns.push(x);
            x += width;
            let behind = channel(&placed, column);
            let count = behind.iter().map(|(_, track)| track + 1).max().unwrap_or(0);
            tracks.push(behind.into_iter().map(|(item, track)| (item, x + track)).collect());
            x += count.max(1);
        }
        Canvas { graph, placed, columns, tracks, width: usize::try_from(x - 1).unwrap_or(0), shown }
    }

    fn text(&self, style: Style) -> String {
        let mut grid = Grid::new(self.width, usize::try_from(self.placed.height).unwrap_or(0));
        for (n, route) in self.placed.routes.iter().enumerate() {
            for pair in route.windows(2) {
                self.connect(&mut grid, pair[0], pair[1]);
            }
            for &item in &route[1..route.len() - 1] {
                let item = &self.placed.items[item];
                let x = self.columns[item.column];
                grid.horizontal(item.y, x - 1, x + self.placed.widths[item.column], n);
                if item.what == What::Label(n) {
                    let (above, below) = label(&self.graph.edges[n], self.graph, self.shown);
                    let top = item.y - i32::try_from(above.len()).unwrap_or(0);
                    (top..).zip(&above).for_each(|(y, line)| grid.write(x, y, line, Ink::Forward));
                    (item.y + 1..).zip(&below).for_each(|(y, line)| grid.write(x, y, line, Ink::Backward));
                }
            }
        }
        for (node, item) in self.graph.nodes.iter().zip(&self.placed.items) {
            grid.write(self.left(item), item.y, &sign(node), Ink::Plain);
        }
        grid.text(style)
    }

    /// Where an item's text begins: nodes stand in the middle of their column.
    fn left(&self, item: &Item) -> i32 {
        match item.what {
            What::Node(_) => self.columns[item.column] + (self.placed.widths[item.column] - item.size.width) / 2,
            _ => self.columns[item.column],
        }
    }

    /// Where a line leaves an item.
    fn right(&self, item: &Item) -> i32 {
        match item.what {
            What::Node(_) => self.left(item) + item.size.width,
            _ => self.columns[item.column] + self.placed.widths[item.column],
        }
    }

    fn connect(&self, grid: &mut Grid, from: usize, to: usize) {
        let (a, b) = (&self.placed.items[from], &self.placed.items[to]);
        let (start, end) = (self.right(a), self.left(b));
        let group = group(&self.placed, from, to);
        let owner = self.placed.routes.len() + group;
        let track = self.tracks[a.column].iter().find(|(item, _)| *item == group).map(|(_, x)| *x);
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

/// Lines that share a node share a track; the node that they share.
fn group(placed: &Placed, from: usize, to: usize) -> usize {
    if matches!(placed.items[from].what, What::Node(_)) { from } else { to }
}

/// The tracks behind a column: what stands in each, from the left. A line that ends where another begins has its track
/// before the other's, and lines beside each other do not touch.
fn channel(placed: &Placed, column: usize) -> Vec<(usize, i32)> {
    struct Line {
        group: usize,
        from: Vec<i32>,
        to: Vec<i32>,
    }
    let mut lines: Vec<Line> = Vec::new();
    for pair in placed.routes.iter().flat_map(|route| route.windows(2)) {
        let (a, b) = (&placed.items[pair[0]], &placed.items[pair[1]]);
        if a.column != column {
            continue;
        }
        let group = group(placed, pair[0], pair[1]);
        match lines.iter_mut().find(|line| line.group == group) {
            Some(line) => {
                line.from.push(a.y);
                line.to.push(b.y);
            }
            None => lines.push(Line { group, from: vec![a.y], to: vec![b.y] }),
        }
    }
    let bent = |line: &Line| line.from.iter().chain(&line.to).any(|y| *y != line.from[0]);
    let mut open: Vec<Line> = lines.into_iter().filter(bent).collect();
    let reach = |line: &Line| {
        let all = || line.from.iter().chain(&line.to);
        (all().min().copied().unwrap_or(0), all().max().copied().unwrap_or(0))
    };
    let mut placed: Vec<(Line, i32)> = Vec::new();
    while !open.is_empty() {
        // Before it stands whatever leaves at a height that it arrives at.
        let blocked = |line: &Line| {
            open.iter().any(|other| other.group != line.group && other.from.iter().any(|y| line.to.contains(y)))
        };
        let next = open.iter().position(|line| !blocked(line)).unwrap_or(0);
        let line = open.remove(next);
        let (top, bottom) = reach(&line);
        let mut track = 0;
        for (other, taken) in &placed {
            let (above, below) = reach(other);
            let beside = other.from.iter().any(|y| line.to.contains(y));
            if beside || (above <= bottom && top <= below) {
                track = track.max(taken + 1);
            }
        }
        placed.push((line, track));
    }
    placed.into_iter().map(|(line, track)| (line.group, track)).collect()
}
