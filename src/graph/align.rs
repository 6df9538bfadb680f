//! Heights for the items of columns whose orders are known, by U. Brandes and B. Köpf (2001), Fast and simple horizontal
//! coordinate assignment: items are aligned with the middle of their neighbours from each of the four corners, and each
//! takes the mean of the two middle heights. Edges that pass through several columns come out straight.

use super::place::{Item, Links, What};
use std::collections::HashSet;

/// The height of each item.
pub(super) fn heights(items: &[Item], order: &[Vec<usize>], links: &Links, gap: i32) -> Vec<f64> {
    let crossed = crossed(items, order, links);
    let corners = [(false, false), (false, true), (true, false), (true, true)];
    let mut all: Vec<Vec<f64>> = corners
        .iter()
        .map(|&(from_right, from_below)| {
            let corner = Corner::new(items, order, links, gap, from_right, from_below);
            corner.heights(&crossed)
        })
        .collect();
    let reach = |y: &[f64]| {
        let top = items.iter().zip(y).map(|(item, y)| y - f64::from(item.size.above)).fold(f64::INFINITY, f64::min);
        let bottom =
            items.iter().zip(y).map(|(item, y)| y + f64::from(item.size.below)).fold(f64::NEG_INFINITY, f64::max);
        (top, bottom)
    };
    let least = all.iter().map(|y| reach(y)).min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0))).unwrap_or_default();
    for (y, (_, from_below)) in all.iter_mut().zip(corners) {
        let own = reach(y);
        let by = if from_below { least.1 - own.1 } else { least.0 - own.0 };
        y.iter_mut().for_each(|y| *y += by);
    }
    let middle = |n: usize| {
        let mut four: Vec<f64> = all.iter().map(|y| y[n]).collect();
        four.sort_by(f64::total_cmp);
        f64::midpoint(four[1], four[2])
    };
    (0..items.len()).map(middle).collect()
}

/// Links of a node that cross one between two lines that pass: the lines stay straight, the nodes give way.
fn crossed(items: &[Item], order: &[Vec<usize>], links: &Links) -> HashSet<(usize, usize)> {
    let mut position = vec![0; items.len()];
    order.iter().flat_map(|column| column.iter().enumerate()).for_each(|(n, &item)| position[item] = n);
    let passes = |item: usize| !matches!(items[item].what, What::Node(_));
    let mut crossed = HashSet::new();
    for column in order {
        let all = column.iter().flat_map(|&from| links[from].1.iter().map(move |&to| (from, to)));
        let (inner, outer): (Vec<_>, Vec<_>) = all.partition(|&(from, to)| passes(from) && passes(to));
        for &(a, b) in &inner {
            let (a, b) = (position[a], position[b]);
            let cuts = |&&(from, to): &&(usize, usize)| {
                let (from, to) = (position[from], position[to]);
                (from < a && to > b) || (from > a && to < b)
            };
            crossed.extend(outer.iter().filter(cuts).copied());
        }
    }
    crossed
}

/// The columns as they are seen from one corner.
struct Corner<'a> {
    items: &'a [Item],
    links: &'a Links,
    gap: i32,
    from_right: bool,
    from_below: bool,
    columns: Vec<Vec<usize>>,
    position: Vec<usize>,
}

impl Corner<'_> {
    fn new<'a>(
        items: &'a [Item],
        order: &[Vec<usize>],
        links: &'a Links,
        gap: i32,
        from_right: bool,
        from_below: bool,
    ) -> Corner<'a> {
        let mut columns = order.to_vec();
        if from_right {
            columns.reverse();
        }
        if from_below {
            columns.iter_mut().for_each(|column| column.reverse());
        }
        let mut position = vec![0; items.len()];
        columns.iter().flat_map(|column| column.iter().enumerate()).for_each(|(n, &item)| position[item] = n);
        Corner { items, links, gap, from_right, from_below, columns, position }
    }

    fn heights(&self, crossed: &HashSet<(usize, usize)>) -> Vec<f64> {
        let root = self.aligned(crossed);
        let blocks = self.compact(&root);
        let sign = if self.from_below { -1.0 } else { 1.0 };
        root.iter().map(|&root| sign * blocks[root]).collect()
    }

    /// The first item of the block that each item is in: a block has one height.
    fn aligned(&self, crossed: &HashSet<(usize, usize)>) -> Vec<usize> {
        let mut root: Vec<usize> = (0..self.items.len()).collect();
        for column in self.columns.iter().skip(1) {
            // What a block holds of the column before: nothing may cross it.
            let mut free = 0;
            for &item in column {
                let (left, right) = &self.links[item];
                let mut near = if self.from_right { right.clone() } else { left.clone() };
                near.sort_by_key(|&near| self.position[near]);
                near.dedup();
                let last = near.len().saturating_sub(1);
                for middle in [last / 2, last.div_ceil(2)] {
                    let Some(&with) = near.get(middle).filter(|_| root[item] == item) else { continue };
                    let link = if self.from_right { (item, with) } else { (with, item) };
                    if self.position[with] >= free && !crossed.contains(&link) {
                        root[item] = root[with];
                        free = self.position[with] + 1;
                    }
                }
            }
        }
        root
    }

    /// The height of each block: as high as it can be, then as near as it can be to what is below it.
    fn compact(&self, root: &[usize]) -> Vec<f64> {
        let mut below: Vec<Vec<(usize, f64)>> = vec![Vec::new(); root.len()];
        let mut waits = vec![0usize; root.len()];
        for pair in self.columns.iter().flat_map(|column| column.windows(2)) {
            below[root[pair[0]]].push((root[pair[1]], self.apart(pair[0], pair[1])));
            waits[root[pair[1]]] += 1;
        }
        let mut ready: Vec<usize> = (0..root.len()).filter(|&n| root[n] == n && waits[n] == 0).collect();
        let mut height = vec![0.0f64; root.len()];
        let mut n = 0;
        while let Some(&block) = ready.get(n) {
            n += 1;
            for &(next, apart) in &below[block] {
                height[next] = height[next].max(height[block] + apart);
                waits[next] -= 1;
                if waits[next] == 0 {
                    ready.push(next);
                }
            }
        }
        for &block in ready.iter().rev() {
            let room = below[block].iter().map(|&(next, apart)| height[next] - apart).fold(f64::INFINITY, f64::min);
            if room.is_finite() {
                height[block] = height[block].max(room);
            }
        }
        height
    }

    /// How far the middles of neighbours are apart.
    fn apart(&self, first: usize, second: usize) -> f64 {
        let (first, second) = (self.items[first].size, self.items[second].size);
        let reach = if self.from_below { first.above + second.below } else { first.below + second.above };
        f64::from(reach + self.gap + 1)
    }
}
