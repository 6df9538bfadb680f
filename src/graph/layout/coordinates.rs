//! Coordinate assignment after U. Brandes and B. Köpf (2001), Fast and simple horizontal coordinate assignment: items are
//! aligned with their median neighbours from each of the four corners, and each item takes the mean of the two middle
//! coordinates. Edges that cross several columns are straight.

use super::item::{ItemKind, LayeredGraph, positions};
use std::collections::HashSet;

/// Returns the vertical coordinate of each item; `order` has the items of each column.
pub(super) fn vertical_coordinates(layered: &LayeredGraph<'_>, order: &[Vec<usize>], gap: i32) -> Vec<f64> {
    let items = &layered.items;
    let conflicts = conflicts(layered, order);
    let corners = [(false, false), (false, true), (true, false), (true, true)];
    let mut candidates = corners.map(|(from_right, from_below)| {
        let mut columns = order.to_vec();
        if from_right {
            columns.reverse();
        }
        if from_below {
            columns.iter_mut().for_each(|column| column.reverse());
        }
        let position = positions(&columns, items.len());
        Corner { layered, gap, from_right, from_below, columns, position }.coordinates(&conflicts)
    });
    let extent = |y: &[f64]| {
        let top = items.iter().zip(y).map(|(item, y)| y - f64::from(item.size.above)).fold(f64::INFINITY, f64::min);
        let bottom =
            items.iter().zip(y).map(|(item, y)| y + f64::from(item.size.below)).fold(f64::NEG_INFINITY, f64::max);
        (top, bottom)
    };
    let extents = candidates.iter().map(|y| extent(y));
    let smallest = extents.min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0))).unwrap_or_default();
    for (y, (_, from_below)) in candidates.iter_mut().zip(corners) {
        let own = extent(y);
        let offset = if from_below { smallest.1 - own.1 } else { smallest.0 - own.0 };
        y.iter_mut().for_each(|y| *y += offset);
    }
    let median = |n: usize| {
        let mut sorted = candidates.each_ref().map(|y| y[n]);
        sorted.sort_by(f64::total_cmp);
        f64::midpoint(sorted[1], sorted[2])
    };
    (0..items.len()).map(median).collect()
}

/// Returns the segments that cross an inner segment, one between two labels or dummy nodes (type 1 conflicts). They are
/// not aligned, so that inner segments are straight.
fn conflicts(layered: &LayeredGraph<'_>, order: &[Vec<usize>]) -> HashSet<(usize, usize)> {
    let position = positions(order, layered.items.len());
    let is_node = |item: usize| matches!(layered.items[item].kind, ItemKind::Node(_));
    let mut conflicts = HashSet::new();
    for column in order {
        let segments = column.iter().flat_map(|&from| layered.neighbors[from].1.iter().map(move |&to| (from, to)));
        let (outer, inner): (Vec<_>, Vec<_>) = segments.partition(|&(from, to)| is_node(from) || is_node(to));
        for &(a, b) in &inner {
            let (a, b) = (position[a], position[b]);
            let crosses = |&&(from, to): &&(usize, usize)| {
                let (from, to) = (position[from], position[to]);
                (from < a && to > b) || (from > a && to < b)
            };
            conflicts.extend(outer.iter().filter(crosses).copied());
        }
    }
    conflicts
}

/// The columns in the order of a sweep from one corner.
struct Corner<'a> {
    layered: &'a LayeredGraph<'a>,
    gap: i32,
    from_right: bool,
    from_below: bool,
    columns: Vec<Vec<usize>>,
    position: Vec<usize>,
}

impl Corner<'_> {
    fn coordinates(&self, conflicts: &HashSet<(usize, usize)>) -> Vec<f64> {
        let root = self.align(conflicts);
        let y = self.compact(&root);
        let sign = if self.from_below { -1.0 } else { 1.0 };
        root.iter().map(|&root| sign * y[root]).collect()
    }

    /// Aligns items in blocks of equal coordinates; returns the root of each item's block, its first item.
    fn align(&self, conflicts: &HashSet<(usize, usize)>) -> Vec<usize> {
        let mut root: Vec<usize> = (0..self.layered.items.len()).collect();
        for column in self.columns.iter().skip(1) {
            // First position of the previous column below the last alignment: alignments must not cross.
            let mut free = 0;
            for &item in column {
                let (left, right) = &self.layered.neighbors[item];
                let mut previous = if self.from_right { right.clone() } else { left.clone() };
                previous.sort_by_key(|&neighbor| self.position[neighbor]);
                previous.dedup();
                let last = previous.len().saturating_sub(1);
                for median in [last / 2, last.div_ceil(2)] {
                    let Some(&neighbor) = previous.get(median).filter(|_| root[item] == item) else { continue };
                    let segment = if self.from_right { (item, neighbor) } else { (neighbor, item) };
                    if self.position[neighbor] >= free && !conflicts.contains(&segment) {
                        root[item] = root[neighbor];
                        free = self.position[neighbor] + 1;
                    }
                }
            }
        }
        root
    }

    /// Returns the coordinate of each block: the least possible, then as close as possible to the blocks below.
    fn compact(&self, root: &[usize]) -> Vec<f64> {
        let mut below: Vec<Vec<(usize, f64)>> = vec![Vec::new(); root.len()];
        let mut unplaced_above = vec![0usize; root.len()];
        for pair in self.columns.iter().flat_map(|column| column.windows(2)) {
            below[root[pair[0]]].push((root[pair[1]], self.distance(pair[0], pair[1])));
            unplaced_above[root[pair[1]]] += 1;
        }
        // Blocks in topological order.
        let mut placed: Vec<usize> = (0..root.len()).filter(|&n| root[n] == n && unplaced_above[n] == 0).collect();
        let mut y = vec![0.0f64; root.len()];
        let mut n = 0;
        while let Some(&block) = placed.get(n) {
            n += 1;
            for &(next, distance) in &below[block] {
                y[next] = y[next].max(y[block] + distance);
                unplaced_above[next] -= 1;
                if unplaced_above[next] == 0 {
                    placed.push(next);
                }
            }
        }
        for &block in placed.iter().rev() {
            let limit = below[block].iter().map(|&(next, distance)| y[next] - distance).fold(f64::INFINITY, f64::min);
            if limit.is_finite() {
                y[block] = y[block].max(limit);
            }
        }
        y
    }

    /// Returns the least distance between the middles of adjacent items.
    fn distance(&self, first: usize, second: usize) -> f64 {
        let (first, second) = (self.layered.items[first].size, self.layered.items[second].size);
        let extent = if self.from_below { first.above + second.below } else { first.below + second.above };
        f64::from(extent + self.gap + 1)
    }
}
