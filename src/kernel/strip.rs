//! The factors of a matrix product, cut into strips that a tile walks along.

use super::memory;
use super::tile::Element;
use ndarray::ArrayView2;
use std::borrow::Cow;

/// The rows of the left factor, or the columns of the right one.
pub(super) struct Lines<'a, T: Clone> {
    values: Cow<'a, [T]>,
    /// How far a line is from the next, and an entry of a line from the next; one of the two is 1.
    line: usize,
    step: usize,
}

impl<'a, T: Element> Lines<'a, T> {
    /// The rows of a matrix; it is copied where neither rows nor columns lie one after the other.
    pub(super) fn of(matrix: ArrayView2<'a, T>) -> Lines<'a, T> {
        let (rows, columns) = matrix.dim();
        if let Some(values) = matrix.to_slice() {
            return Lines { values: Cow::Borrowed(values), line: columns, step: 1 };
        }
        if let Some(values) = matrix.reversed_axes().to_slice() {
            return Lines { values: Cow::Borrowed(values), line: 1, step: rows };
        }
        Lines { values: matrix.iter().copied().collect(), line: columns, step: 1 }
    }

    /// The columns of the matrix whose rows these are.
    pub(super) fn flipped(self) -> Lines<'a, T> {
        Lines { line: self.step, step: self.line, ..self }
    }

    /// Whether the lines lie beside each other: the numbers of one step one after the other.
    pub(super) fn beside(&self) -> bool {
        self.line == 1
    }

    /// Copies a strip: `width` numbers a step, 0 where there is no line.
    fn pack(&self, strip: &Span, steps: Span, width: usize, to: &mut [T]) {
        if self.line == 1 {
            self.pack_beside(strip, steps, width, to)
        } else {
            self.pack_across(strip, steps, width, to)
        }
    }

    fn pack_beside(&self, lines: &Span, steps: Span, width: usize, to: &mut [T]) {
        for (k, to) in (steps.from..steps.to).zip(to.chunks_exact_mut(width)) {
            let values = &self.values[k * self.step + lines.from..][..lines.len()];
            let (to, zeros) = to.split_at_mut(values.len());
            // Eight at a time: calling for a copy of so few takes longer than it.
            let ((eights, rest), (to_eights, to_rest)) = (values.as_chunks::<EIGHT>(), to.as_chunks_mut::<EIGHT>());
            match (eights, to_eights) {
                ([a, b, c], [to_a, to_b, to_c]) => (*to_a, *to_b, *to_c) = (*a, *b, *c),
                (eights, to_eights) => to_eights.copy_from_slice(eights),
            }
            to_rest.copy_from_slice(rest);
            zeros.fill(T::default());
        }
    }

    /// By squares of eight lines and eight steps, so that both sides are read and written in one go.
    fn pack_across(&self, lines: &Span, steps: Span, width: usize, to: &mut [T]) {
        for from in (steps.from..steps.to).step_by(EIGHT) {
            let some = EIGHT.min(steps.to - from);
            let to = &mut to[(from - steps.from) * width..];
            for at in (0..width).step_by(EIGHT) {
                let mut square = [[T::default(); EIGHT]; EIGHT];
                for (line, square) in (lines.from + at..lines.to).zip(&mut square) {
                    let values = &self.values[line * self.line + from..];
                    match values.first_chunk::<EIGHT>() {
                        Some(values) if some == EIGHT => *square = *values,
                        _ => square[..some].copy_from_slice(&values[..some]),
                    }
                }
                for (k, to) in to.chunks_exact_mut(width).take(some).enumerate() {
                    let to = &mut to[at..];
                    match to.first_chunk_mut::<EIGHT>() {
                        Some(to) => *to = std::array::from_fn(|n| square[n][k]),
                        None => to.iter_mut().zip(&square).for_each(|(to, line)| *to = line[k]),
                    }
                }
            }
        }
    }
}

const EIGHT: usize = 8;

/// From one to before another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Span {
    pub(super) fn len(self) -> usize {
        self.to - self.from
    }

    /// It in spans of `most`.
    pub(super) fn by(self, most: usize) -> impl Iterator<Item = Span> {
        (self.from..self.to).step_by(most).map(move |from| Span { from, to: self.to.min(from + most) })
    }
}

/// Room for packed strips, where a cache line begins.
pub(super) struct Buffer<T> {
    values: Vec<T>,
    start: usize,
}

impl<T: Element> Buffer<T> {
    pub(super) fn new(len: usize) -> Buffer<T> {
        const LINE: usize = 64;
        let spare = LINE / size_of::<T>();
        let values: Vec<T> = memory::zeros(len + spare);
        let start = values.as_ptr().align_offset(LINE).min(spare);
        Buffer { values, start }
    }
}

/// What a tile walks along: entry (line, step) is `values[line·self.line + step·self.step]`.
pub(super) struct Strip<'a, T> {
    pub(super) values: &'a [T],
    pub(super) line: usize,
    pub(super) step: usize,
    /// The lines that it stands for.
    pub(super) lines: Span,
    /// The lines that it has: what is beyond `lines` is 0.
    pub(super) width: usize,
}

/// How lines are cut: strips of `most`, the last one of as many as `width` makes of what is left.
pub(super) struct Cut {
    pub(super) most: usize,
    pub(super) width: fn(usize, usize) -> usize,
    pub(super) unit: usize,
    /// Whether strips of full width are taken as they lie.
    pub(super) as_they_lie: bool,
}

/// Lines cut into strips: those that a tile cannot walk along as they lie are copied.
pub(super) fn strips<'a, T: Element>(
    of: &'a Lines<'_, T>,
    lines: Span,
    steps: Span,
    cut: &Cut,
    room: &'a mut Buffer<T>,
) -> Vec<Strip<'a, T>> {
    let mut room = &mut room.values[room.start..];
    let strip = |lines: Span| {
        let width = (cut.width)(lines.len(), cut.unit);
        if cut.as_they_lie && width == lines.len() {
            let values = &of.values[lines.from * of.line + steps.from * of.step..];
            return Strip { values, line: of.line, step: of.step, lines, width };
        }
        let (packed, rest) = std::mem::take(&mut room).split_at_mut(width * steps.len());
        room = rest;
        of.pack(&lines, steps, width, packed);
        Strip { values: packed, line: 1, step: width, lines, width }
    };
    let strips: Vec<_> = lines.by(cut.most).map(strip).collect();
    for strip in &strips {
        // What a tile relies on.
        assert!((strip.width - 1) * strip.line + (steps.len() - 1) * strip.step < strip.values.len());
    }
    strips
}
