//! The loops around the microkernel.
//!
//! For each block of MC rows, KC products and NC columns, panels of b are packed into the second-level cache; panels of a are
//! packed with the first block of columns, several at a time so that memory is read in long runs, and stay in the first-level
//! cache while the panels of b pass by.

use super::microkernel::{Element, MAX_TILE_ELEMENTS, MicrokernelArguments, Microkernels, microkernels_for};
use super::pack::{PackBuffer, PackSpec, Panel, PanelWidth, Span, StridedMatrix};
use crate::parallel::{pages, progress::Progress, scope};
use crate::simd::dispatch::Isa;
use ndarray::{Array2, ArrayView2};

/// Products of a block; a panel of a with so many steps fits the first-level cache.
const KC: usize = 256;
/// Rows whose panels are kept while the columns pass by.
const MC: usize = 2048;
/// Columns whose panels are packed at a time: KC·NC doubles take half of a second-level cache of 1 MB, which panels of a and the
/// result pass through.
const NC: usize = 240;
/// Panels of a that are packed at a time.
const PANELS_PER_GROUP: usize = 8;
/// Products per thread that are worth starting it, with buffers of its own. In unoptimized builds, which tests use, it is small.
const THREAD_PRODUCTS: usize = if cfg!(debug_assertions) { 1 << 18 } else { 1 << 23 };

/// Returns the product a·b of an (N, K) and a (K, M) matrix.
pub fn multiply<T: Element>(a: ArrayView2<'_, T>, b: ArrayView2<'_, T>) -> Array2<T> {
    let kernels = microkernels_for(Isa::current());
    let (rows, depth, columns) = (a.nrows(), a.ncols(), b.ncols());
    // A row times a matrix is computed as bᵀ·aᵀ if the elements of b are then read in the order of memory, or if there are too
    // few columns to fill vectors; likewise a matrix times a column.
    let is_narrow = columns < kernels.nr();
    let is_swapped = (rows == 1 && (b.strides()[0] == 1 || is_narrow) && columns > 1)
        || (columns == 1 && a.strides()[0] == 1 && rows >= kernels.nr());
    let mut values = pages::with_capacity(rows * columns);
    if depth == 0 {
        values.resize(rows * columns, T::default());
    } else if rows * columns > 0 {
        let (a, b) = (StridedMatrix::new(a), StridedMatrix::new(b).transposed());
        let (rows, columns, a, b) = if is_swapped { (columns, rows, &b, &a) } else { (rows, columns, &a, &b) };
        let threads = thread_count(rows, depth, columns);
        // With few products per entry the page faults are most of the work, and the threads share them.
        if threads > 1 && depth > KC {
            pages::prefault(values.spare_capacity_mut());
        }
        let result = Block {
            c: values.as_mut_ptr(),
            rows: Span { start: 0, end: rows },
            columns: Span { start: 0, end: columns },
            row_stride: columns,
        };
        let blocks = result.split(kernels, threads);
        let progress = Progress::new("computing", product_count(rows, depth, columns));
        scope::map_parts(blocks, |block| block.multiply(kernels, a, b, depth, &progress));
        // SAFETY: the capacity is rows·columns, and the blocks, which cover all entries, have each been written.
        unsafe { values.set_len(rows * columns) };
    }
    Array2::from_shape_vec((rows, columns), values).unwrap_or_else(|_| unreachable!("rows·columns values"))
}

/// Returns the number of products of two elements.
fn product_count(rows: usize, depth: usize, columns: usize) -> usize {
    rows.saturating_mul(depth).saturating_mul(columns)
}

/// Returns the number of threads that the work is worth: one for fewer than twice THREAD_PRODUCTS.
fn thread_count(rows: usize, depth: usize, columns: usize) -> usize {
    let shares = product_count(rows, depth, columns) / THREAD_PRODUCTS;
    if shares < 2 { 1 } else { scope::thread_limit().min(shares) }
}

/// A rectangle of the result.
struct Block<T> {
    /// The first entry of the whole result.
    c: *mut T,
    rows: Span,
    columns: Span,
    /// Distance of two rows of the result.
    row_stride: usize,
}

// SAFETY: `split` makes the blocks of a result disjoint, and `multiply` gives each to one thread.
unsafe impl<T: Send> Send for Block<T> {}

impl<T: Element> Block<T> {
    /// Splits the block along tiles into at most `count` blocks that are as square as possible. Among equals it prefers a split
    /// into rows, which packs each row of a once.
    fn split(&self, kernels: &Microkernels<T>, count: usize) -> Vec<Block<T>> {
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let grids = (1..=count).rev().filter(|high| count.is_multiple_of(*high)).map(|high| (high, count / high));
        let half_perimeter = |(high, wide): &(usize, usize)| rows.div_ceil(*high) + columns.div_ceil(*wide);
        let (high, wide) = grids.min_by_key(half_perimeter).unwrap_or((1, 1));
        let column_spans = self.columns.chunks(columns.div_ceil(wide).next_multiple_of(kernels.nr()));
        let row_spans = || self.rows.chunks(rows.div_ceil(high).next_multiple_of(kernels.mr()));
        column_spans.flat_map(|columns| row_spans().map(move |rows| Block { rows, columns, ..*self })).collect()
    }

    /// Computes the block from the rows of a and of bᵀ.
    fn multiply(
        &self,
        kernels: &Microkernels<T>,
        a: &StridedMatrix<'_, T>,
        b: &StridedMatrix<'_, T>,
        depth: usize,
        progress: &Progress,
    ) {
        let (mr, nr) = (kernels.mr(), kernels.nr());
        let a_spec = PackSpec {
            panel_rows: mr,
            panel_width: PanelWidth::PowerOfTwo,
            in_place: self.columns.len() <= 2 * nr,
            transpose: kernels.transpose,
        };
        let b_spec = PackSpec {
            panel_rows: nr,
            panel_width: PanelWidth::OneOrMultipleOf(kernels.vector_width),
            in_place: self.columns.len() == 1 || (self.rows.len() <= mr && b.has_contiguous_rows_at_k()),
            transpose: kernels.transpose,
        };
        let buffer = |rows: usize, unit: usize| PackBuffer::new(rows.next_multiple_of(unit) * depth.min(KC));
        let (block_columns, group_rows) = (NC.next_multiple_of(nr), PANELS_PER_GROUP * mr);
        let mut a_buffer = buffer(self.rows.len().min(MC), mr);
        let mut b_buffer = buffer(self.columns.len().min(block_columns), nr);
        for rows in self.rows.chunks(MC) {
            for steps in (Span { start: 0, end: depth }).chunks(KC) {
                for columns in self.columns.chunks(block_columns) {
                    let is_packed = columns.start > self.columns.start;
                    let b_panels = b_spec.panels(b, columns, steps, b_buffer.as_mut_slice(), false);
                    let buffers = a_buffer.as_mut_slice().chunks_mut(group_rows * steps.len());
                    for (group, buffer) in rows.chunks(group_rows).zip(buffers) {
                        for a_panel in a_spec.panels(a, group, steps, buffer, is_packed) {
                            b_panels.iter().for_each(|b_panel| self.multiply_panels(kernels, &a_panel, b_panel, steps));
                        }
                        progress.advance(product_count(group.len(), steps.len(), columns.len()));
                    }
                }
            }
        }
    }

    /// Computes a tile from two panels: the first products are written, the others are added.
    fn multiply_panels(&self, kernels: &Microkernels<T>, a: &Panel<'_, T>, b: &Panel<'_, T>, steps: Span) {
        let microkernel = kernels.of_size(a.width, b.width);
        // SAFETY: `split` keeps the rows and columns of the panels within the result.
        let c = unsafe { self.c.add(a.rows.start * self.row_stride + b.rows.start) };
        let arguments = MicrokernelArguments {
            k: steps.len(),
            a: a.values.as_ptr(),
            a_row_stride: a.row_stride,
            a_k_stride: a.k_stride,
            b: b.values.as_ptr(),
            b_k_stride: b.k_stride,
            c,
            c_row_stride: self.row_stride,
            last_vector_entries: kernels.vector_width - (b.width - b.rows.len()),
            add: steps.start > 0,
        };
        if a.rows.len() == a.width {
            // SAFETY: `microkernels_for` took a proof of the instructions, `PackSpec::panels` has asserted that a panel has
            // `width` elements at each step, and the tile lies in this block, which no other thread writes.
            return unsafe { microkernel(&arguments) };
        }
        // The tile has more rows than the block, so it is computed in a buffer.
        let mut tile = [T::default(); MAX_TILE_ELEMENTS];
        let buffered = MicrokernelArguments { c: tile.as_mut_ptr(), c_row_stride: b.width, add: false, ..arguments };
        // SAFETY: as above, except that the tile is the buffer, which has room for the largest one.
        unsafe { microkernel(&buffered) };
        for (r, row) in tile.chunks_exact(b.width).take(a.rows.len()).enumerate() {
            for (n, &sum) in row.iter().take(b.rows.len()).enumerate() {
                // SAFETY: entry (r, n) of the tile lies in this block, and was written with the first products.
                unsafe {
                    let target = c.add(r * self.row_stride + n);
                    if arguments.add { *target += sum } else { target.write(sum) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};
    use ndarray::s;
    use proptest::prelude::*;

    /// Returns the product by its definition.
    fn definition(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(r, c)| {
            let block =
                |steps: Span| (steps.start..steps.end).fold(0.0, |sum, k| f64::mul_add(a[[r, k]], b[[k, c]], sum));
            (Span { start: 0, end: a.ncols() }).chunks(KC).map(block).reduce(|total, sum| total + sum).unwrap_or(0.0)
        })
    }

    /// Returns a matrix whose products depend on the order of addition.
    fn matrix(rows: usize, columns: usize, seed: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 31 + c * 17 + seed) as f64 * 0.618).sin() / 3.0)
    }

    fn bits(values: &Array2<f64>) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn progress_is_reported_up_to_the_end() {
        use crate::parallel::progress::with_listener;
        use std::{cell::RefCell, rc::Rc};
        for threads in [1, 3] {
            let fractions = Rc::new(RefCell::new(Vec::new()));
            let log = Rc::clone(&fractions);
            let (a, b) = (matrix(140, 300, 1), matrix(300, 250, 2));
            let work = || drop(multiply(a.view(), b.view()));
            let listener = Rc::new(move |_: &str, fraction| log.borrow_mut().push(fraction));
            scope::with_thread_limit(threads, || with_listener(Some(listener), work));
            let fractions = fractions.take();
            assert!(fractions.len() > 10 && fractions.is_sorted(), "{fractions:?}");
            let (last, previous) = (fractions[fractions.len() - 1], fractions[fractions.len() - 2]);
            // Other threads may end after the last report of this one.
            assert!(last == 1.0 && previous < 1.0 && (threads > 1 || previous > 0.99), "{fractions:?}");
        }
    }

    fn assert_every_kernel_and_layout_gives_the_definition(rows: usize, depth: usize, columns: usize) {
        let (a, b) = (matrix(rows, depth, 1), matrix(depth, columns, 2));
        let expected = bits(&definition(a.view(), b.view()));
        let column_major = |matrix: &Array2<f64>| matrix.t().as_standard_layout().into_owned();
        let (a_columns, b_columns) = (column_major(&a), column_major(&b));
        let padded =
            Array2::from_shape_fn((rows + 2, depth + 3), |(r, c)| if r < rows && c < depth { a[[r, c]] } else { 9.0 });
        for isa in IsaLevel::available() {
            for a in [a.view(), a_columns.t(), padded.slice(s![..rows, ..depth])] {
                for b in [b.view(), b_columns.t()] {
                    let found = with_isa_limit(isa, || multiply(a, b));
                    assert_eq!(bits(&found), expected, "{isa:?}: {rows}×{depth}·{depth}×{columns}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn small_products_equal_the_definition(rows in 0..30usize, depth in 0..20usize, columns in 0..60usize) {
            assert_every_kernel_and_layout_gives_the_definition(rows, depth, columns);
        }
    }

    #[test]
    fn products_of_vectors_and_of_several_blocks_equal_the_definition() {
        let sizes = [
            (1, 300, 9),
            (1, 300, 70),
            (9, 300, 1),
            (70, 300, 1),
            (9, 300, 49),
            (1, 1, 1),
            (17, 600, 5),
            (1030, 3, 2),
            (3, 5, 1000),
        ];
        for (rows, depth, columns) in sizes {
            assert_every_kernel_and_layout_gives_the_definition(rows, depth, columns);
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (a, b) = (matrix(60, 270, 1), matrix(270, 50, 2));
        let product = |threads| bits(&scope::with_thread_limit(threads, || multiply(a.view(), b.view())));
        assert_eq!(scope::with_thread_limit(7, || thread_count(60, 270, 50)), 3, "the work is split");
        let alone = product(1);
        for threads in [2, 3, 7] {
            assert_eq!(product(threads), alone, "{threads} threads");
        }
    }

    #[test]
    fn infinity_times_zero_is_nan_in_the_entries_that_it_reaches_only() {
        for isa in IsaLevel::available() {
            let (mut a, b) = (matrix(9, 4, 1), Array2::from_shape_fn((4, 9), |(_, c)| c as f64));
            a[[2, 1]] = f64::INFINITY;
            a[[3, 1]] = f64::NAN;
            for ((r, c), value) in with_isa_limit(isa, || multiply(a.view(), b.view())).indexed_iter() {
                match (r, c) {
                    (2, 0) | (3, _) => assert!(value.is_nan()),
                    (2, _) => assert_eq!(*value, f64::INFINITY),
                    _ => assert!(value.is_finite()),
                }
            }
        }
    }
}
