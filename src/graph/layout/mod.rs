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
use item::LayeredGraph;

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
        let LayeredGraph { mut items, routes, .. } = layered;
        for (item, y) in items.iter_mut().zip(coordinates) {
            #[allow(clippy::cast_possible_truncation)] // a picture is smaller than 2³¹
            let rounded = (y + 0.5).floor() as i32;
            item.y = rounded;
        }
        let top = items.iter().map(|item| item.y - item.size.above).min().unwrap_or(0);
        items.iter_mut().for_each(|item| item.y -= top);
        let mut widths = vec![0; order.len()];
        items.iter().for_each(|item| widths[item.column] = widths[item.column].max(item.size.width));
        let height = items.iter().map(|item| item.y + item.size.below + 1).max().unwrap_or(0);
        Layout { items, widths, routes, height }
    }
}
