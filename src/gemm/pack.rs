//! The factors of a matrix product, cut into strips that a tile walks along.

use super::microkernel::Element;
use super::transpose::Turn;
use crate::parallel::pages;
use crate::simd::backends::expect;
use ndarray::ArrayView2;
use std::borrow::Cow;

/// The rows of the left factor, or the columns of the right one.
pub(crate) struct Lines<'a, T: Clone> {
    values: Cow<'a, [T]>,
    /// How far a line is from the next, and an entry of a line from the next; one of the two is 1.
    line: usize,
    step: usize,
}

impl<'a, T: Element> Lines<'a, T> {
    /// The rows of a matrix; it is copied where neither rows nor columns lie one after the other.
    pub(crate) fn of(matrix: ArrayView2<'a, T>) -> Lines<'a, T> {
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
    pub(crate) fn flipped(self) -> Lines<'a, T> {
        Lines { line: self.step, step: self.line, ..self }
    }

    /// Whether the lines lie beside each other: the numbers of one step one after the other.
    pub(crate) fn beside(&self) -> bool {
        self.line == 1
    }

    /// Copies strips, each to its room: `width` numbers a step, 0 where there is no line.
    fn pack(&self, lines: Span, steps: Span, cut: &Cut<T>, to: &mut [T]) {
        if self.beside() {
            return self.pack_beside(lines, steps, cut, to);
        }
        for (strip, room) in lines.by(cut.most).zip(to.chunks_mut(cut.room(steps))) {
            let width = cut.width(strip);
            self.pack_across(&strip, steps, width, cut.turn, &mut room[..width * steps.len()]);
        }
    }

    /// A step of all of them after the other: they lie one after the other.
    fn pack_beside(&self, lines: Span, steps: Span, cut: &Cut<T>, to: &mut [T]) {
        let (whole, room) = (lines.len() / cut.most, cut.room(steps));
        let width = cut.width(Span { from: whole * cut.most, to: lines.len() });
        for k in 0..steps.len() {
            let from = (steps.from + k) * self.step;
            (lines.from..lines.to).step_by(EIGHT).for_each(|n| {
                expect(self.values.as_ptr().wrapping_add(from + AHEAD * self.step + n));
            });
            let (strips, last) = self.values[from + lines.from..from + lines.to].split_at(whole * cut.most);
            for n in 0..whole {
                let (strip, to) = (&strips[n * cut.most..][..cut.most], &mut to[n * room + k * cut.most..][..cut.most]);
                // Eight at a time: calling for a copy of so few takes longer than it.
                match (strip.as_chunks::<EIGHT>(), to.as_chunks_mut::<EIGHT>()) {
                    (([a], []), ([to_a], _)) => *to_a = *a,
                    (([a, b, c], []), ([to_a, to_b, to_c], _)) => (*to_a, *to_b, *to_c) = (*a, *b, *c),
                    _ => to.copy_from_slice(strip),
                }
            }
            if last.is_empty() {
                continue;
            }
            let to = &mut to[whole * room + k * width..][..width];
            let ((eights, last), (to_eights, to_last)) =
                (last.as_chunks::<EIGHT>(), to.split_at_mut(last.len() / EIGHT * EIGHT));
            to_eights.as_chunks_mut::<EIGHT>().0.iter_mut().zip(eights).for_each(|(to, eight)| *to = *eight);
            for (n, to) in to_last.iter_mut().enumerate() {
                *to = if n < last.len() { last[n] } else { T::default() };
            }
        }
    }

    /// By four lines, and the rest of them one by one.
    fn pack_across(&self, lines: &Span, steps: Span, width: usize, turn: Turn<T>, to: &mut [T]) {
        let fours = lines.len() / FOUR * FOUR;
        for l in (0..fours).step_by(FOUR) {
            let values = &self.values[(lines.from + l) * self.line + steps.from..];
            assert!(
                (FOUR - 1) * self.line + steps.len() <= values.len()
                    && to.len() == width * steps.len()
                    && l + FOUR <= width
            );
            // SAFETY: the kernel is usable; as was just asserted, the lines have so many numbers, and there is a place for each.
            unsafe { turn(values.as_ptr(), self.line, to.as_mut_ptr().add(l), width, steps.len()) };
        }
        for l in fours..width {
            let line = self.values.get((lines.from + l) * self.line + steps.from..).filter(|_| l < lines.len());
            for (k, to) in to.chunks_exact_mut(width).enumerate() {
                to[l] = line.map_or(T::default(), |line| line[k]);
            }
        }
    }
}

const EIGHT: usize = 8;
const FOUR: usize = 4;
/// How many copies ahead of it a number is asked for.
const AHEAD: usize = 8;

/// From one to before another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Span {
    pub(crate) fn len(self) -> usize {
        self.to - self.from
    }

    /// It in spans of `most`.
    pub(crate) fn by(self, most: usize) -> impl Iterator<Item = Span> {
        (self.from..self.to).step_by(most).map(move |from| Span { from, to: self.to.min(from + most) })
    }
}

/// Room for packed strips, where a cache line begins.
pub(crate) struct Buffer<T> {
    values: Vec<T>,
    start: usize,
}

impl<T: Element> Buffer<T> {
    pub(crate) fn new(len: usize) -> Buffer<T> {
        const LINE: usize = 64;
        let spare = LINE / size_of::<T>();
        let values: Vec<T> = pages::zeros(len + spare);
        let start = values.as_ptr().align_offset(LINE).min(spare);
        Buffer { values, start }
    }

    /// All of it.
    pub(crate) fn all(&mut self) -> &mut [T] {
        &mut self.values[self.start..]
    }
}

/// What a tile walks along: entry (line, step) is `values[line·self.line + step·self.step]`.
pub(crate) struct Strip<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) line: usize,
    pub(crate) step: usize,
    /// The lines that it stands for.
    pub(crate) lines: Span,
    /// The lines that it has: what is beyond `lines` is 0.
    pub(crate) width: usize,
}

/// How lines are cut: strips of `most`, the last one of as many as `width` makes of what is left.
pub(crate) struct Cut<T> {
    pub(crate) most: usize,
    pub(crate) width: fn(usize, usize) -> usize,
    pub(crate) unit: usize,
    /// Whether strips of full width are taken as they lie.
    pub(crate) as_they_lie: bool,
    /// How four lines are turned, in instructions that the processor has.
    pub(crate) turn: Turn<T>,
}

impl<T: Element> Cut<T> {
    /// The room that a strip takes at most.
    fn room(&self, steps: Span) -> usize {
        self.most * steps.len()
    }

    fn width(&self, lines: Span) -> usize {
        (self.width)(lines.len(), self.unit)
    }

    /// Some lines, cut into strips: copied to `room` where a tile cannot walk along them as they lie, unless they are there
    /// already.
    pub(crate) fn strips<'a>(
        &self,
        of: &'a Lines<'_, T>,
        lines: Span,
        steps: Span,
        room: &'a mut [T],
        copied: bool,
    ) -> Vec<Strip<'a, T>> {
        let lies = |lines: Span| self.as_they_lie && self.width(lines) == lines.len();
        if !copied && !lies(lines) {
            let whole = if self.as_they_lie { lines.to - lines.len() % self.most } else { lines.from };
            of.pack(Span { from: whole, to: lines.to }, steps, self, &mut room[(whole - lines.from) * steps.len()..]);
        }
        let strip = |(lines, room): (Span, &'a mut [T])| {
            let width = self.width(lines);
            let strip = if lies(lines) {
                let values = &of.values[lines.from * of.line + steps.from * of.step..];
                Strip { values, line: of.line, step: of.step, lines, width }
            } else {
                Strip { values: &room[..width * steps.len()], line: 1, step: width, lines, width }
            };
            // What a tile relies on.
            assert!((width - 1) * strip.line + (steps.len() - 1) * strip.step < strip.values.len());
            strip
        };
        lines.by(self.most).zip(room.chunks_mut(self.room(steps))).map(strip).collect()
    }
}
