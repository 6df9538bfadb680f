//! Packs the factors of a matrix product into panels for the microkernel.
//!
//! Both factors are seen as rows of K elements: the rows of a, and the rows of bᵀ, which are the columns of b.

use super::microkernel::Element;
use super::transpose::TransposeFn;
use crate::parallel::pages;
use crate::simd::prefetch::prefetch;
use ndarray::ArrayView2;
use std::borrow::Cow;

/// Rows that are transposed together.
const TRANSPOSED_ROWS: usize = 4;
/// Elements that are copied without a call of `memcpy`, which takes longer than so small a copy.
const COPIED_ELEMENTS: usize = 8;
/// Distance of the elements that are prefetched, in steps of k.
const PREFETCH_DISTANCE_STEPS: usize = 8;
/// Size of a cache line.
const CACHE_LINE_BYTES: usize = 64;

/// Indices from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// Returns the number of indices.
    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }

    /// Splits the indices into spans of `size`; the last one may be shorter.
    pub(crate) fn chunks(self, size: usize) -> impl Iterator<Item = Span> {
        (self.start..self.end).step_by(size).map(move |start| Span { start, end: self.end.min(start + size) })
    }
}

/// A factor: element k of row n is `values[n·row_stride + k·k_stride]`, where one of the strides is 1.
pub(crate) struct StridedMatrix<'a, T: Clone> {
    values: Cow<'a, [T]>,
    row_stride: usize,
    k_stride: usize,
}

impl<'a, T: Element> StridedMatrix<'a, T> {
    /// Borrows a matrix, or copies it if neither its rows nor its columns are contiguous.
    pub(crate) fn new(matrix: ArrayView2<'a, T>) -> StridedMatrix<'a, T> {
        let (rows, columns) = matrix.dim();
        if let Some(values) = matrix.to_slice() {
            return StridedMatrix { values: Cow::Borrowed(values), row_stride: columns, k_stride: 1 };
        }
        if let Some(values) = matrix.reversed_axes().to_slice() {
            return StridedMatrix { values: Cow::Borrowed(values), row_stride: 1, k_stride: rows };
        }
        StridedMatrix { values: matrix.iter().copied().collect(), row_stride: columns, k_stride: 1 }
    }

    /// Swaps rows and columns.
    pub(crate) fn transposed(self) -> StridedMatrix<'a, T> {
        StridedMatrix { row_stride: self.k_stride, k_stride: self.row_stride, ..self }
    }

    /// True if the elements of different rows at the same k are contiguous.
    pub(crate) fn has_contiguous_rows_at_k(&self) -> bool {
        self.row_stride == 1
    }

    /// Packs rows into panels: `PackSpec::width` elements at each step of k, zeros where there is no row.
    fn pack(&self, rows: Span, steps: Span, spec: &PackSpec<T>, packed: &mut [T]) {
        if self.has_contiguous_rows_at_k() {
            return self.pack_contiguous(rows, steps, spec, packed);
        }
        for (panel, packed) in rows.chunks(spec.panel_rows).zip(packed.chunks_mut(spec.panel_len(steps))) {
            let width = spec.width(panel);
            self.pack_transposed(panel, steps, width, spec.transpose, &mut packed[..width * steps.len()]);
        }
    }

    /// Packs rows whose elements are contiguous at each k, all panels at one k after the other.
    fn pack_contiguous(&self, rows: Span, steps: Span, spec: &PackSpec<T>, packed: &mut [T]) {
        let (panel_rows, panel_len) = (spec.panel_rows, spec.panel_len(steps));
        let full_panels = rows.len() / panel_rows;
        let last_width = spec.width(Span { start: full_panels * panel_rows, end: rows.len() });
        for k in 0..steps.len() {
            let start = (steps.start + k) * self.k_stride;
            (rows.start..rows.end).step_by(COPIED_ELEMENTS).for_each(|n| {
                prefetch(self.values.as_ptr().wrapping_add(start + PREFETCH_DISTANCE_STEPS * self.k_stride + n));
            });
            let source = &self.values[start + rows.start..start + rows.end];
            let (source, last) = source.split_at(full_panels * panel_rows);
            for (n, panel) in source.chunks_exact(panel_rows).enumerate() {
                let target = &mut packed[n * panel_len + k * panel_rows..][..panel_rows];
                match (panel.as_chunks::<COPIED_ELEMENTS>(), target.as_chunks_mut::<COPIED_ELEMENTS>()) {
                    (([a], []), ([to_a], _)) => *to_a = *a,
                    (([a, b, c], []), ([to_a, to_b, to_c], _)) => (*to_a, *to_b, *to_c) = (*a, *b, *c),
                    _ => target.copy_from_slice(panel),
                }
            }
            if last.is_empty() {
                continue;
            }
            let target = &mut packed[full_panels * panel_len + k * last_width..][..last_width];
            let ((chunks, rest), (target_chunks, target_rest)) = (
                last.as_chunks::<COPIED_ELEMENTS>(),
                target.split_at_mut(last.len() / COPIED_ELEMENTS * COPIED_ELEMENTS),
            );
            target_chunks.as_chunks_mut().0.iter_mut().zip(chunks).for_each(|(target, chunk)| *target = *chunk);
            for (n, target) in target_rest.iter_mut().enumerate() {
                *target = rest.get(n).copied().unwrap_or_default();
            }
        }
    }

    /// Packs a panel of contiguous rows, four rows at a time and the remaining ones alone.
    fn pack_transposed(&self, rows: Span, steps: Span, width: usize, transpose: TransposeFn<T>, packed: &mut [T]) {
        let transposed_rows = rows.len() / TRANSPOSED_ROWS * TRANSPOSED_ROWS;
        for r in (0..transposed_rows).step_by(TRANSPOSED_ROWS) {
            let values = &self.values[(rows.start + r) * self.row_stride + steps.start..];
            assert!(
                (TRANSPOSED_ROWS - 1) * self.row_stride + steps.len() <= values.len()
                    && packed.len() == width * steps.len()
                    && r + TRANSPOSED_ROWS <= width
            );
            // SAFETY: `PackSpec::transpose` belongs to an available kernel, and the assertion bounds all reads and writes.
            unsafe {
                transpose(values.as_ptr(), self.row_stride, packed.as_mut_ptr().add(r), width, steps.len());
            }
        }
        for r in transposed_rows..width {
            let row = self.values.get((rows.start + r) * self.row_stride + steps.start..).filter(|_| r < rows.len());
            for (k, target) in packed.chunks_exact_mut(width).enumerate() {
                target[r] = row.map_or(T::default(), |row| row[k]);
            }
        }
    }
}

/// A buffer of packed panels that begins at a cache line.
pub(crate) struct PackBuffer<T> {
    values: Vec<T>,
    offset: usize,
}

impl<T: Element> PackBuffer<T> {
    /// Allocates a buffer of `len` elements.
    pub(crate) fn new(len: usize) -> PackBuffer<T> {
        let line = CACHE_LINE_BYTES / size_of::<T>();
        let values: Vec<T> = pages::zeros(len + line);
        let offset = values.as_ptr().align_offset(CACHE_LINE_BYTES).min(line);
        PackBuffer { values, offset }
    }

    /// Returns the elements of the buffer.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.values[self.offset..]
    }
}

/// A micro-panel: element k of its row r is `values[r·row_stride + k·k_stride]`.
pub(crate) struct Panel<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) row_stride: usize,
    pub(crate) k_stride: usize,
    /// The rows of the matrix in the panel.
    pub(crate) rows: Span,
    /// The number of rows of the panel, which are zeros beyond `rows`.
    pub(crate) width: usize,
}

/// The width that a panel of fewer rows than the largest one is filled up to.
#[derive(Clone, Copy)]
pub(crate) enum PanelWidth {
    PowerOfTwo,
    OneOrMultipleOf(usize),
}

/// Describes how rows are packed.
pub(crate) struct PackSpec<T> {
    /// Rows of the largest panel: MR or NR.
    pub(crate) panel_rows: usize,
    pub(crate) panel_width: PanelWidth,
    /// True if full panels are read in place: packing is skipped where a panel is reused at most twice.
    pub(crate) in_place: bool,
    /// The transposition of an available kernel.
    pub(crate) transpose: TransposeFn<T>,
}

impl<T: Element> PackSpec<T> {
    /// Returns the length of the largest packed panel.
    fn panel_len(&self, steps: Span) -> usize {
        self.panel_rows * steps.len()
    }

    /// Returns the width of the panel of some rows.
    fn width(&self, rows: Span) -> usize {
        match (self.panel_width, rows.len()) {
            (PanelWidth::PowerOfTwo, rows) => rows.next_power_of_two(),
            (PanelWidth::OneOrMultipleOf(_), 1) => 1,
            (PanelWidth::OneOrMultipleOf(unit), rows) => rows.next_multiple_of(unit),
        }
    }

    /// Returns the panels of some rows. Packs those into `buffer` that cannot be read in place, unless `is_packed` says that the
    /// buffer has them.
    pub(crate) fn panels<'a>(
        &self,
        matrix: &'a StridedMatrix<'_, T>,
        rows: Span,
        steps: Span,
        buffer: &'a mut [T],
        is_packed: bool,
    ) -> Vec<Panel<'a, T>> {
        let is_in_place = |rows: Span| self.in_place && self.width(rows) == rows.len();
        if !is_packed && !is_in_place(rows) {
            let start = if self.in_place { rows.end - rows.len() % self.panel_rows } else { rows.start };
            let buffer = &mut buffer[(start - rows.start) * steps.len()..];
            matrix.pack(Span { start, end: rows.end }, steps, self, buffer);
        }
        let panel = |(rows, buffer): (Span, &'a mut [T])| {
            let width = self.width(rows);
            let panel = if is_in_place(rows) {
                let values = &matrix.values[rows.start * matrix.row_stride + steps.start * matrix.k_stride..];
                Panel { values, row_stride: matrix.row_stride, k_stride: matrix.k_stride, rows, width }
            } else {
                Panel { values: &buffer[..width * steps.len()], row_stride: 1, k_stride: width, rows, width }
            };
            // The microkernel relies on this.
            assert!((width - 1) * panel.row_stride + (steps.len() - 1) * panel.k_stride < panel.values.len());
            panel
        };
        rows.chunks(self.panel_rows).zip(buffer.chunks_mut(self.panel_len(steps))).map(panel).collect()
    }
}
