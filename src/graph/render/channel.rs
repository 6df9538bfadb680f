//! Channel routing: the vertical lines between two columns of a graph in a terminal.

use crate::graph::layout::{ItemKind, Layout};

/// The vertical lines of a net in a channel. Most nets have one; a net with two has its entries on the first, its exits on the
/// second, and a row between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track {
    /// The net.
    pub(super) net: usize,
    /// Horizontal place of the line that lines from the left reach.
    pub(super) entry: i32,
    /// Horizontal place of the line that lines to the right leave.
    pub(super) exit: i32,
    /// Height of the line between the two.
    pub(super) row: Option<i32>,
}

impl Track {
    /// Returns the track farther to the right and down.
    pub(super) fn moved(self, x: i32, y: i32) -> Track {
        Track { entry: self.entry + x, exit: self.exit + x, row: self.row.map(|row| row + y), ..self }
    }
}

/// Returns the net of a segment: segments that share a node are one net, known by that node's item.
pub(super) fn net(layout: &Layout, from: usize, to: usize) -> usize {
    if matches!(layout.items[from].kind, ItemKind::Node(_)) { from } else { to }
}

/// A net, and its heights at both sides of the channel.
#[derive(Clone)]
struct Net {
    item: usize,
    from: Vec<i32>,
    to: Vec<i32>,
}

impl Net {
    fn heights(&self) -> impl Iterator<Item = i32> {
        self.from.iter().chain(&self.to).copied()
    }

    fn extent(&self) -> (i32, i32) {
        (self.heights().min().unwrap_or(0), self.heights().max().unwrap_or(0))
    }

    /// Returns true if the net has a line from the left where another has one to the right, so that it must turn before the other.
    fn is_before(&self, other: &Net) -> bool {
        self.from.iter().any(|y| other.to.contains(y))
    }
}

/// Routes the channel to the right of a column: returns the tracks of the nets with bends, counted from the left. A net that
/// ends at the height where another starts has a track to the right of it, and nets on the same track do not touch.
pub(super) fn route_channel(layout: &Layout, column: usize) -> Vec<Track> {
    let mut nets = nets(layout, column);
    let mut used: Vec<i32> = nets.iter().flat_map(Net::heights).collect();
    nets.retain(|net| net.heights().any(|y| y != net.from[0]));
    let mut routed: Vec<(Net, i32)> = Vec::new();
    let mut rows: Vec<(usize, i32)> = Vec::new();
    while !nets.is_empty() {
        let is_blocked = |net: &Net| nets.iter().any(|other| other.item != net.item && other.is_before(net));
        let free = nets.iter().position(|net| !is_blocked(net));
        let mut net = nets.remove(free.unwrap_or(0));
        let (top, bottom) = net.extent();
        // Of nets that must all turn before another, one turns twice.
        let row = (top..=bottom).find(|row| free.is_none() && !used.contains(row));
        if let Some(row) = row {
            nets.push(Net { item: net.item, from: vec![row], to: std::mem::replace(&mut net.to, vec![row]) });
            rows.push((net.item, row));
            used.push(row);
        }
        let (top, bottom) = net.extent();
        let mut track = 0;
        for (other, other_track) in &routed {
            let (other_top, other_bottom) = other.extent();
            if other.is_before(&net) || (other_top <= bottom && top <= other_bottom) {
                track = track.max(other_track + 1);
            }
        }
        routed.push((net, track));
    }
    let mut tracks: Vec<Track> = Vec::new();
    for (Net { item, .. }, x) in routed {
        match tracks.iter_mut().find(|track| track.net == item) {
            Some(track) => track.exit = x,
            None => {
                let row = rows.iter().find(|(net, _)| *net == item).map(|(_, row)| *row);
                tracks.push(Track { net: item, entry: x, exit: x, row });
            }
        }
    }
    tracks
}

/// Returns the nets of the channel to the right of a column.
fn nets(layout: &Layout, column: usize) -> Vec<Net> {
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
    nets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::layout::{Item, Size};

    #[test]
    fn lines_that_swap_their_heights_share_no_piece() {
        let item = |n: usize, column, y| Item { kind: ItemKind::Node(n), column, y, size: Size::default() };
        let items = vec![item(0, 0, 0), item(1, 0, 3), item(2, 1, 0), item(3, 1, 3)];
        let layout = Layout { items, widths: vec![1, 1], routes: vec![vec![0, 3], vec![1, 2]], height: 4 };
        let twice = Track { net: 0, entry: 0, exit: 2, row: Some(1) };
        assert_eq!(route_channel(&layout, 0), [twice, Track { net: 1, entry: 1, exit: 1, row: None }]);
    }
}
