//! A graph as SVG, for light and dark backgrounds, with full precision and local derivatives in tooltips. A wide graph is split into
//! bands, and components are placed side by side, so that the picture fills its area.

use super::drawing::Drawing;
use super::svg_text::{chars, escape, marker_id, typeset};
use crate::graph::bands::{Part, Splitter, components, name_connectors};
use crate::graph::label::sum_lines;
use crate::graph::layout::ranks;
use crate::graph::legend::{above_words, below_words, notes};
use crate::graph::model::Graph;
use crate::graph::options::Theme;
use crate::graph::words;
use std::fmt::Write;

/// Margin around the graph, in pixels.
const MARGIN: i32 = 16;
/// Space between two components or bands, in pixels.
const GAP: i32 = 28;
/// Height of a line of explanations, in pixels.
const NOTE_HEIGHT: i32 = 18;
/// Width up to which a graph is not split, in pixels: that of a slide.
const SLIDE_WIDTH: i32 = 1280;
/// Width divided by height of a slide.
const SLIDE_ASPECT: f64 = 16.0 / 9.0;
/// Least enlargement for which a graph is split.
const MIN_GAIN: f64 = 1.2;
/// Greatest number of bands that are tried.
const MAX_BANDS: usize = 8;

const STYLE: &str = include_str!("svg.css");
const DARK_STYLE: &str = include_str!("dark.css");

/// Returns the graph as an SVG file.
pub(super) fn render(graph: &Graph) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", element(graph))
}

/// Returns the graph as an element, to be embedded in a page.
pub(super) fn element(graph: &Graph) -> String {
    let parts = components(graph);
    let unsplit = Grid::new(graph, &parts);
    if !may_be_split(graph, unsplit.width) || !graph.sums.is_empty() {
        return picture(graph, &unsplit);
    }
    let parts = [Part::from_graph(graph)];
    let whole = Grid::in_columns(&parts, 1);
    // Twice as many bands are half as wide and twice as high.
    let fit = (f64::from(whole.width) / (f64::from(whole.height.max(1)) * aspect(graph))).sqrt();
    let for_width = graph.options.width.map_or(0.0, |width| f64::from(whole.width) / to_f64(width));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and limited
    let guess = fit.max(for_width).round().clamp(1.0, to_f64(MAX_BANDS)) as usize;
    let positions = whole.rows[0][0].rank_positions();
    let candidates = (guess.saturating_sub(1).max(1)..=guess + 2).map(|count| bands(graph, &positions, count));
    let candidates: Vec<Vec<Part>> = candidates.collect();
    let grids = candidates.iter().map(|parts| Grid::in_columns(parts, 1));
    let best = grids.min_by(|a, b| cost(graph, a).total_cmp(&cost(graph, b)));
    let is_much_better = |grid: &Grid<'_>| cost(graph, &unsplit) > MIN_GAIN * cost(graph, grid);
    best.filter(is_much_better).map_or_else(|| picture(graph, &unsplit), |grid| picture(graph, &grid))
}

fn to_f64(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn aspect(graph: &Graph) -> f64 {
    graph.options.aspect.unwrap_or(SLIDE_ASPECT)
}

/// Returns the greatest width that a picture should have, in pixels.
fn max_width(graph: &Graph) -> Option<i32> {
    graph.options.width.map(|width| i32::try_from(width).unwrap_or(i32::MAX))
}

/// Returns true if a graph may be split: its area is asked for, or it is too wide.
fn may_be_split(graph: &Graph, width: i32) -> bool {
    graph.options.aspect.is_some() || width + 2 * MARGIN > max_width(graph).unwrap_or(SLIDE_WIDTH)
}

/// Returns how much an arrangement must be scaled down to fit its area; one that is wider than it may be is worse than any that is not.
fn cost(graph: &Graph, grid: &Grid<'_>) -> f64 {
    let (width, height) = (f64::from(grid.width + 2 * MARGIN), f64::from(grid.height + 2 * MARGIN));
    let excess = max_width(graph).map_or(0.0, |max| (width - f64::from(max)).max(0.0));
    (width / aspect(graph)).max(height) + 1e3 * excess
}

/// Splits a graph into this many bands or more, of about equal widths; among cuts that are near, one of few lines is taken.
fn bands(graph: &Graph, positions: &[i32], count: usize) -> Vec<Part> {
    let splitter = Splitter::new(graph, &ranks(graph));
    let last = positions.len() - 1;
    let band_width = f64::from(positions[last]) / to_f64(count);
    let (mut ends, mut from): (Vec<usize>, usize) = (Vec::new(), 0);
    while from < last {
        let distance = |to: usize| (f64::from(positions[to] - positions[from]) - band_width).abs() / band_width;
        let near = (from + 1..=last).filter(|&to| distance(to) <= 0.3);
        let best = near.min_by_key(|&to| (to != last, splitter.costs[to], (distance(to) * 1e3).round().to_bits()));
        let closest = || (from + 1..=last).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
        let to = best.or_else(closest).unwrap_or(last);
        // The last band has what is left, if that is little.
        let to = if f64::from(positions[last] - positions[to]) < 0.3 * band_width { last } else { to };
        ends.push(to);
        from = to;
    }
    let fits = |part: &Part| max_width(graph).is_none_or(|max| Drawing::new(part).width + 2 * MARGIN <= max);
    let mut bands = splitter.split(&ends, fits);
    name_connectors(&mut bands, |part| Drawing::new(part).heights());
    bands
}

/// Drawings in rows.
struct Grid<'a> {
    rows: Vec<Vec<Drawing<'a>>>,
    /// Width of each column.
    columns: Vec<i32>,
    width: i32,
    height: i32,
}

impl<'a> Grid<'a> {
    /// Arranges parts in as many columns as fit the area best.
    fn new(graph: &Graph, parts: &'a [Part]) -> Grid<'a> {
        let grid = Grid::in_columns(parts, 1);
        let (width, height) = (f64::from(grid.width), f64::from(grid.height));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and limited
        let guess = (height * aspect(graph) / width.max(1.0)).sqrt().round().clamp(1.0, to_f64(parts.len())) as usize;
        let drawings: Vec<Drawing<'a>> = grid.rows.into_iter().flatten().collect();
        let sizes: Vec<(i32, i32)> = drawings.iter().map(|drawing| (drawing.width, drawing.height)).collect();
        let cost_of = |count: &usize| cost(graph, &Grid::of_sizes(&sizes, *count));
        let candidates = 1..=(guess + 1).min(parts.len());
        let best = candidates.min_by(|a, b| cost_of(a).total_cmp(&cost_of(b))).unwrap_or(1);
        Grid { rows: into_rows(drawings, best), ..Grid::of_sizes(&sizes, best) }
    }

    fn in_columns(parts: &'a [Part], count: usize) -> Grid<'a> {
        let drawings: Vec<Drawing<'a>> = parts.iter().map(Drawing::new).collect();
        let sizes: Vec<(i32, i32)> = drawings.iter().map(|drawing| (drawing.width, drawing.height)).collect();
        Grid { rows: into_rows(drawings, count), ..Grid::of_sizes(&sizes, count) }
    }

    /// Returns the size of a grid whose parts have these sizes.
    fn of_sizes(sizes: &[(i32, i32)], count: usize) -> Grid<'a> {
        let column = |n: usize| sizes.iter().skip(n).step_by(count).map(|(width, _)| *width).max().unwrap_or(0);
        let columns: Vec<i32> = (0..count).map(column).collect();
        let heights = sizes.chunks(count).map(|row| row.iter().map(|(_, height)| *height).max().unwrap_or(0) + GAP);
        let width = columns.iter().map(|width| width + GAP).sum::<i32>() - GAP;
        Grid { rows: Vec::new(), columns, width, height: heights.sum::<i32>() - GAP }
    }
}

fn into_rows(drawings: Vec<Drawing<'_>>, count: usize) -> Vec<Vec<Drawing<'_>>> {
    let mut rows: Vec<Vec<Drawing<'_>>> = Vec::new();
    for (n, drawing) in drawings.into_iter().enumerate() {
        match rows.last_mut().filter(|_| n % count != 0) {
            Some(row) => row.push(drawing),
            None => rows.push(vec![drawing]),
        }
    }
    rows
}

/// Writes a picture of drawings in rows, with title and explanations.
fn picture(graph: &Graph, grid: &Grid<'_>) -> String {
    let is_split = grid.rows.iter().flatten().any(Drawing::has_connector);
    let legend = legend(graph, is_split);
    let sums: Vec<String> = sum_lines(graph).iter().map(|line| typeset(line)).collect();
    let line_width = |line: &String| chars(line) * 7;
    let sum_width = sums.iter().map(line_width).max().unwrap_or(0) + GAP;
    let title_width = graph.options.title.as_ref().map_or(0, |title| chars(title) * 11);
    let legend_width = legend.iter().map(|(_, line)| line_width(line)).max().unwrap_or(0);
    let width = grid.width.max(legend_width).max(title_width).max(sum_width) + 2 * MARGIN;
    let per_row = usize::try_from((width - 2 * MARGIN + GAP) / sum_width).unwrap_or(1).max(1);
    let sum_rows = sums.len().div_ceil(per_row);
    let top = MARGIN + if graph.options.title.is_some() { 30 } else { 0 };
    // Space between the sums and the explanations.
    let sum_gap = if sums.is_empty() { 0 } else { 12 };
    let note_rows = i32::try_from(legend.len() + sum_rows).unwrap_or(0);
    let foot = top + grid.height + MARGIN + 12;
    let height = if note_rows == 0 { top + grid.height + MARGIN } else { foot + note_rows * NOTE_HEIGHT + sum_gap };
    let mut text = opening(graph, width, height);
    if let Some(title) = &graph.options.title {
        let _ =
            writeln!(text, "<text class=\"note title\" x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + 16, escape(title));
    }
    write_rows(grid, top, &mut text);
    for (n, line) in sums.iter().enumerate() {
        let (column, row) = (n / sum_rows, n % sum_rows);
        let x = MARGIN + i32::try_from(column).unwrap_or(0) * sum_width;
        let y = foot + i32::try_from(row).unwrap_or(0) * NOTE_HEIGHT;
        let _ = writeln!(text, "<text class=\"note backward total\" x=\"{x}\" y=\"{y}\">{}</text>", escape(line));
    }
    let foot = foot + i32::try_from(sum_rows).unwrap_or(0) * NOTE_HEIGHT + sum_gap;
    for (y, (class, line)) in (foot..).step_by(18).zip(legend) {
        let _ = writeln!(text, "<text class=\"note {class}\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(&line));
    }
    text.push_str("</svg>\n");
    text
}

/// Writes the drawings, the first row at `top`.
fn write_rows(grid: &Grid<'_>, top: i32, text: &mut String) {
    let mut y = top;
    for row in &grid.rows {
        let mut x = MARGIN;
        for (drawing, column) in row.iter().zip(&grid.columns) {
            drawing.write(x, y, text);
            x += column + GAP;
        }
        y += row.iter().map(|drawing| drawing.height).max().unwrap_or(0) + GAP;
    }
}

/// Returns the explanations with their classes.
fn legend(graph: &Graph, is_split: bool) -> Vec<(&'static str, String)> {
    if !graph.options.has_legend {
        return Vec::new();
    }
    let with_arrow = |arrow: &str, words: &str| format!("{} {}", graph.text(arrow), graph.text(words));
    let mut legend = vec![("forward", with_arrow("→", above_words(graph)))];
    legend.extend(graph.backward.then(|| ("backward", with_arrow("←", below_words(graph)))));
    legend.extend(is_split.then(|| ("", graph.text(words::CONNECTORS))));
    legend.extend(notes(graph).iter().map(|note| ("", graph.text(note))));
    legend
}

/// Returns the beginning of the file: size, style, arrow heads and background.
fn opening(graph: &Graph, width: i32, height: i32) -> String {
    let shown = max_width(graph).map_or(width, |max| width.min(max));
    let shown_height = i64::from(height) * i64::from(shown) / i64::from(width.max(1));
    let label = escape(graph.options.title.as_deref().unwrap_or(&graph.text(words::PICTURE)));
    let style = match graph.options.theme {
        Theme::Light => STYLE.to_owned(),
        Theme::Dark => format!("{STYLE}{DARK_STYLE}"),
        Theme::Auto => format!("{STYLE}@media (prefers-color-scheme: dark) {{\n{DARK_STYLE}}}\n"),
    };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{shown}\" height=\"{shown_height}\" \
         role=\"img\" aria-label=\"{label}\">\n<style>\n{style}</style>\n<defs>\n"
    );
    for (name, from) in [("forth", "M0 0L8 4L0 8z"), ("back", "M8 0L0 4L8 8z")] {
        let end = if name == "forth" { 7 } else { 1 };
        let _ = writeln!(
            text,
            "<marker id=\"{}\" markerUnits=\"userSpaceOnUse\" markerWidth=\"8\" markerHeight=\"8\" refX=\"{end}\" refY=\"4\">\
             <path class=\"head {name}\" d=\"{from}\"/></marker>",
            marker_id(name, graph.level)
        );
    }
    let _ = writeln!(text, "</defs>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>");
    text
}
