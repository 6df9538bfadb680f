//! Windows that slide over the last two axes of an array: their positions, and the sums of products of a convolution.
//!
//! A window has taps, and each of its taps reads an entry of the input or lies in the padding. Convolutions and poolings, forward
//! and backward, are sums or choices over the same runs of (tap, window, entry). An axis alone is two of which the first has one
//! entry.

use std::ops::Range;

/// The positions of windows along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAxis {
    /// Length of the axis.
    pub entries: usize,
    /// Number of taps of a window.
    pub taps: usize,
    /// Distance of two windows, in entries.
    pub stride: usize,
    /// Distance of two taps, in entries.
    pub dilation: usize,
    /// Entries of padding before the first entry; negative if the windows begin behind it.
    pub before: isize,
    /// Entries of padding after the last entry.
    pub after: usize,
    /// Number of windows.
    pub windows: usize,
}

impl WindowAxis {
    /// Along an axis of one entry, which windows of one tap do not leave.
    pub const SINGLE: WindowAxis =
        WindowAxis { entries: 1, taps: 1, stride: 1, dilation: 1, before: 0, after: 0, windows: 1 };

    /// Returns the number of entries from the first tap of a window to its last.
    pub fn extent(&self) -> usize {
        self.taps.saturating_sub(1) * self.dilation + 1
    }

    /// Returns the windows in which a tap reads an entry.
    fn windows_of(&self, tap: usize) -> Range<usize> {
        // The windows whose tap is at entry 0 or after it, without those beyond the end.
        let first_at = |entry: usize| entry.saturating_add_signed(self.before).saturating_sub(tap * self.dilation);
        let end = first_at(self.entries).div_ceil(self.stride).min(self.windows);
        first_at(0).div_ceil(self.stride).min(end)..end
    }

    /// Returns the taps that may read an entry in some window, of which there are few even if the kernel is huge.
    fn taps_of_any(&self) -> Range<usize> {
        let last = self.windows.saturating_sub(1) * self.stride;
        let first = 0usize.saturating_add_signed(self.before).saturating_sub(last).div_ceil(self.dilation);
        first..self.taps_before(0, self.entries).max(first)
    }

    /// Returns the number of taps of a window that read an entry.
    pub fn taps_inside(&self, window: usize) -> usize {
        self.taps_before(window, self.entries) - self.taps_before(window, 0)
    }

    /// Returns the number of taps of a window that read an entry or lie in the padding, and not beyond it.
    pub fn taps_in_padded(&self, window: usize) -> usize {
        self.taps_before(window, self.entries + self.after)
    }

    /// Returns the number of taps of a window that are before an entry.
    fn taps_before(&self, window: usize, entry: usize) -> usize {
        let distance = entry.saturating_add_signed(self.before).saturating_sub(window * self.stride);
        distance.div_ceil(self.dilation).min(self.taps)
    }

    /// Returns the entries that a window reads, in the order of its taps.
    fn entries_of(self, window: usize) -> impl Iterator<Item = usize> {
        let taps = self.taps_before(window, 0)..self.taps_before(window, self.entries);
        taps.map(move |tap| (window * self.stride + tap * self.dilation).wrapping_add_signed(-self.before))
    }

    /// Returns the axis with some of its windows.
    fn part(&self, windows: Range<usize>) -> WindowAxis {
        let before = self.before.saturating_sub_unsigned(windows.start * self.stride);
        WindowAxis { before, windows: windows.len(), ..*self }
    }
}

/// The positions of windows over two axes. Entries, windows and taps are numbered row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows(pub [WindowAxis; 2]);

/// Neighbouring windows of which a tap reads entries.
pub struct Run {
    /// The tap.
    pub tap: usize,
    /// The first window.
    pub window: usize,
    /// The entry that its tap reads.
    pub entry: usize,
    /// Number of windows.
    pub len: usize,
    /// Distance of the entries that two neighbours read.
    pub step: usize,
}

impl Run {
    /// Returns each window, and the entry that its tap reads.
    pub fn pairs(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.len).map(move |n| (self.window + n, self.entry + n * self.step))
    }
}

impl Windows {
    /// Returns the number of entries.
    pub fn entries(&self) -> usize {
        self.0.iter().map(|axis| axis.entries).product()
    }

    /// Returns the number of taps.
    pub fn taps(&self) -> usize {
        self.0.iter().map(|axis| axis.taps).product()
    }

    /// Returns the number of windows.
    pub fn count(&self) -> usize {
        self.0.iter().map(|axis| axis.windows).product()
    }

    /// Returns the entries that a window reads, in the order of its taps.
    pub fn entries_of(self, window: usize) -> impl Iterator<Item = usize> {
        let [rows, columns] = self.0;
        let (row, column) = (window / columns.windows, window % columns.windows);
        let along = move |row: usize| columns.entries_of(column).map(move |entry| row * columns.entries + entry);
        rows.entries_of(row).flat_map(along)
    }

    /// Returns the runs of a tap.
    pub fn runs(self, tap: usize) -> impl Iterator<Item = Run> {
        let [rows, columns] = self.0;
        let (row_tap, column_tap) = (tap / columns.taps, tap % columns.taps);
        let along = columns.windows_of(column_tap);
        let place = |axis: &WindowAxis, window: usize, tap: usize| {
            (window * axis.stride + tap * axis.dilation).wrapping_add_signed(-axis.before)
        };
        let above = if along.is_empty() { 0..0 } else { rows.windows_of(row_tap) };
        above.map(move |row| Run {
            tap,
            window: row * columns.windows + along.start,
            entry: place(&rows, row, row_tap) * columns.entries + place(&columns, along.start, column_tap),
            len: along.len(),
            step: columns.stride,
        })
    }

    /// Returns the runs of all taps, tap by tap.
    pub fn all_runs(self) -> impl Iterator<Item = Run> {
        let [rows, columns] = self.0;
        let taps =
            rows.taps_of_any().flat_map(move |row| columns.taps_of_any().map(move |tap| row * columns.taps + tap));
        taps.flat_map(move |tap| self.runs(tap))
    }

    /// Returns the windows in blocks of about `len` or fewer, each with the range of its windows, which are consecutive.
    pub(super) fn blocks(self, len: usize) -> impl Iterator<Item = (Windows, Range<usize>)> {
        let [rows, columns] = self.0;
        let (high, wide) = ((len / columns.windows.max(1)).max(1), columns.windows.min(len).max(1));
        (0..rows.windows).step_by(high).flat_map(move |row| {
            (0..columns.windows).step_by(wide).map(move |column| {
                let (row_end, end) = ((row + high).min(rows.windows), (column + wide).min(columns.windows));
                let first = row * columns.windows + column;
                let block = Windows([rows.part(row..row_end), columns.part(column..end)]);
                (block, first..first + block.count())
            })
        })
    }
}

/// The sizes of a convolution y = Σ x·w, in groups of channels. The arrays are x (samples, groups·inputs, entries), w
/// (groups·outputs, inputs, taps) and y (samples, groups·outputs, windows).
#[derive(Clone, Copy, Debug)]
pub struct Convolution {
    /// Number of samples.
    pub samples: usize,
    /// Number of groups.
    pub groups: usize,
    /// Number of input channels of a group.
    pub inputs: usize,
    /// Number of output channels of a group.
    pub outputs: usize,
    /// The windows.
    pub windows: Windows,
}

/// An array of a convolution: each is, or its gradient is, a sum of products of the two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvolutionArray {
    /// The input x, or its gradient.
    X,
    /// The weights w, or their gradient.
    W,
    /// The output y, or its gradient.
    Y,
}

impl Convolution {
    /// Returns the number of planes of an array, and the elements of a plane.
    pub(super) fn planes(&self, array: ConvolutionArray) -> (usize, usize) {
        let Convolution { samples, groups, inputs, outputs, windows } = *self;
        match array {
            ConvolutionArray::X => (samples * groups * inputs, windows.entries()),
            ConvolutionArray::W => (groups * outputs * inputs, windows.taps()),
            ConvolutionArray::Y => (samples * groups * outputs, windows.count()),
        }
    }

    /// Returns the products that are added in a plane of an array: the element of the plane, and the elements of the two other
    /// arrays, in the order x, w, y.
    pub(super) fn products(&self, array: ConvolutionArray, plane: usize) -> impl Iterator<Item = (usize, [usize; 2])> {
        let Convolution { samples, groups, inputs, outputs, windows } = *self;
        let (entries, taps, count) = (windows.entries(), windows.taps(), windows.count());
        let len = match array {
            ConvolutionArray::X => outputs,
            ConvolutionArray::W => samples,
            ConvolutionArray::Y => inputs,
        };
        // The planes of x, w and y that have products in this plane, all by the same runs.
        let planes = (0..len).map(move |n| {
            let (sample, output, input) = match array {
                ConvolutionArray::X => {
                    let (sample, channel) = (plane / (groups * inputs), plane % (groups * inputs));
                    (sample, channel / inputs * outputs + n, channel % inputs)
                }
                ConvolutionArray::W => (n, plane / inputs, plane % inputs),
                ConvolutionArray::Y => (plane / (groups * outputs), plane % (groups * outputs), n),
            };
            let x = sample * groups * inputs + output / outputs * inputs + input;
            (x * entries, (output * inputs + input) * taps, (sample * groups * outputs + output) * count)
        });
        planes.flat_map(move |(x, w, y)| {
            windows.all_runs().flat_map(move |run| {
                let w = w + run.tap;
                let tap = run.tap;
                run.pairs().map(move |(window, entry)| match array {
                    ConvolutionArray::X => (entry, [w, y + window]),
                    ConvolutionArray::W => (tap, [x + entry, y + window]),
                    ConvolutionArray::Y => (window, [x + entry, w]),
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns every (tap, window, entry) by its definition.
    fn defined(windows: &Windows) -> Vec<(usize, usize, usize)> {
        let along = |axis: WindowAxis| {
            let pairs = (0..axis.taps).flat_map(move |tap| (0..axis.windows).map(move |window| (tap, window)));
            pairs.filter_map(move |(tap, window)| {
                let at = (window * axis.stride + tap * axis.dilation) as isize - axis.before;
                usize::try_from(at).ok().filter(|at| *at < axis.entries).map(|at| (tap, window, at))
            })
        };
        let [rows, columns] = windows.0;
        let mut all: Vec<_> = along(rows)
            .flat_map(|r| along(columns).map(move |c| (r, c)))
            .map(|(r, c)| (r.0 * columns.taps + c.0, r.1 * columns.windows + c.1, r.2 * columns.entries + c.2))
            .collect();
        all.sort_unstable();
        all
    }

    /// Returns every (window, entry) as each window lists its entries.
    fn listed(windows: &Windows) -> Vec<(usize, usize)> {
        let list = |window| windows.entries_of(window).map(move |entry| (window, entry));
        (0..windows.count()).flat_map(list).collect()
    }

    fn found(windows: Windows) -> Vec<(usize, usize, usize)> {
        let runs = windows.all_runs().flat_map(|run| {
            let tap = run.tap;
            run.pairs().map(move |(window, entry)| (tap, window, entry))
        });
        let mut all: Vec<_> = runs.collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn runs_and_blocks_have_every_tap_window_and_entry_once() {
        let axis = |entries, taps, stride, dilation, before, windows| WindowAxis {
            entries,
            taps,
            stride,
            dilation,
            before,
            after: 2,
            windows,
        };
        let axes = [
            axis(7, 3, 1, 1, 0, 5),
            axis(7, 3, 2, 2, 2, 4),
            axis(4, 2, 3, 1, 1, 2),
            axis(5, 1, 1, 1, 0, 5),
            axis(2, 4, 1, 1, 3, 5),
            axis(6, 2, 1, 1, -1, 4),
            WindowAxis::SINGLE,
        ];
        for rows in axes {
            for columns in axes {
                let windows = Windows([rows, columns]);
                let all = defined(&windows);
                assert_eq!(found(windows), all, "{windows:?}");
                let mut by_window: Vec<(usize, usize)> =
                    all.iter().map(|&(_, window, entry)| (window, entry)).collect();
                by_window.sort_by_key(|(window, _)| *window);
                assert_eq!(listed(&windows), by_window, "{windows:?}");
                for len in [1, 2, 5, 12, 100] {
                    let blocks = windows.blocks(len).flat_map(|(block, range)| {
                        assert_eq!(range.len(), block.count());
                        found(block).into_iter().map(move |(tap, window, entry)| (tap, window + range.start, entry))
                    });
                    let mut blocks: Vec<_> = blocks.collect();
                    blocks.sort_unstable();
                    assert_eq!(blocks, all, "{windows:?} {len}");
                }
            }
            for window in 0..rows.windows {
                let inside = defined(&Windows([rows, WindowAxis::SINGLE])).into_iter();
                assert_eq!(inside.filter(|(_, at, _)| *at == window).count(), rows.taps_inside(window));
            }
        }
    }
}
