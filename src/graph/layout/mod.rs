//! Layered layout from left to right, after K. Sugiyama, S. Tagawa and M. Toda (1981), Methods for visual understanding of
//! hierarchical system structures.
//!
//! Nodes are in columns by their rank, and between two columns of nodes is a column of labels, in which every edge has a
//! horizontal segment: its forward value is above it, its backward value below it. An edge that crosses further columns
//! has a dummy node in each. Since no two items of a column overlap, and edges change their height only between columns,
//! no edge crosses a label or a node.

mod coordinates;
mod crossings;
mod item;
mod layering;

pub(super) use item::{Item, ItemKind, Size, Sizes};
pub(super) use layering::{is_movable, ranks};

use super::model::Graph;
use item::{LayeredGraph, Neighbors};

/// A layout without horizontal coordinates: the renderer places the columns.
#[derive(Clone)]
pub(super) struct Layout {
    pub(super) items: Vec<Item>,
    /// Width of each column.
    pub(super) widths: Vec<i32>,
    /// Items along each edge, from its first node to its last.
    pub(super) routes: Vec<Vec<usize>>,
    pub(super) height: i32,
}

impl Layout {
    /// Lays out a graph whose nodes have these ranks.
    pub(super) fn new(graph: &Graph, ranks: &[usize], sizes: &Sizes) -> Layout {
        let layered = layering::assign_columns(graph, ranks, sizes);
        let order = crossings::order_columns(&layered);
        let coordinates = coordinates::vertical_coordinates(&layered, &order, sizes.gap);
        let LayeredGraph { mut items, routes, neighbors, .. } = layered;
        for (item, y) in items.iter_mut().zip(coordinates) {
            #[allow(clippy::cast_possible_truncation)] // a picture is smaller than 2³¹
            let rounded = (y + 0.5).floor() as i32;
            item.y = rounded;
        }
        order.iter().for_each(|column| straighten(&mut items, column, &neighbors, sizes.gap));
        let top = items.iter().map(|item| item.y - item.size.above).min().unwrap_or(0);
        items.iter_mut().for_each(|item| item.y -= top);
        let mut widths = vec![0; order.len()];
        items.iter().for_each(|item| widths[item.column] = widths[item.column].max(item.size.width));
        let height = items.iter().map(|item| item.y + item.size.below + 1).max().unwrap_or(0);
        Layout { items, widths, routes, height }
    }
}

/// Moves the ends of lines that bend by one unit, as rounding makes them, to the height of the line, where there is room.
fn straighten(items: &mut [Item], column: &[usize], neighbors: &[Neighbors], gap: i32) {
    for (n, &item) in column.iter().enumerate() {
        let (left, right) = &neighbors[item];
        let [line] = [&left[..], right].concat()[..] else { continue };
        let (y, size) = (items[line].y, items[item].size);
        let above = n.checked_sub(1).map(|n| items[column[n]]);
        let is_below = |above: Item| y - size.above > above.y + above.size.below + gap;
        let is_above = |below: Item| y + size.below + gap < below.y - below.size.above;
        let below = column.get(n + 1).map(|&below| items[below]);
        if (y - items[item].y).abs() == 1 && above.is_none_or(is_below) && below.is_none_or(is_above) {
            items[item].y = y;
        }
    }
}
