//! The product of two matrices.
//!
//! Each entry of a·b is a sum over blocks of [`DEPTH`] products, block after block, and in a block product after product,
//! each added with one rounding (on processors that can: the portable kernel rounds twice on those that cannot). That is
//! the whole definition: shapes, layouts and threads decide how it is computed and never what comes out.
//!
//! Around the tiles of [`crate::gemm::microkernel`] it is blocked as K. Goto and R. van de Geijn (2008), Anatomy of high-performance matrix
//! multiplication, have it: strips of the left factor stay in the first cache, a block of the right one in the second. Strips of
//! the left one are copied with the first block of the right one, so many at a time that memory is read in long pieces.
#![allow(unsafe_code)]

pub mod compensated;
pub(crate) mod microkernel;
pub(crate) mod pack;
mod transpose;

use crate::gemm::microkernel::{Element, Kernel, LARGEST, Tile, usable};
use crate::gemm::pack::{Buffer, Cut, Lines, Span, Strip};
use crate::parallel::pages;
use crate::parallel::progress::Progress;
use crate::parallel::scope;
use ndarray::{Array2, ArrayView2};

/// Products in a block of a sum: a strip of so many steps fits the first cache.
const DEPTH: usize = 256;
/// Rows whose strips are kept while all columns go by.
const ROWS: usize = 2048;
/// Columns whose strips are copied at a time: so many times [`DEPTH`] numbers take half of a second cache of 1 MB, where strips of
/// the left factor and the result pass by.
const BLOCK: usize = 240;
/// Strips of these rows that are copied at a time.
const GROUP: usize = 8;
/// Products that are worth a thread, which begins with memory of its own: of fewer than twice as many it takes more time than it saves.
const SHARE: usize = 1 << 23;

/// a·b, (N, K)·(K, M).
pub fn multiply<T: Element>(a: ArrayView2<'_, T>, b: ArrayView2<'_, T>) -> Array2<T> {
    match usable::<T>().next() {
        Some(kernel) => product_by(kernel, a, b),
        None => unreachable!("the last kernel needs nothing"),
    }
}

fn product_by<T: Element>(kernel: &'static Kernel<T>, a: ArrayView2<'_, T>, b: ArrayView2<'_, T>) -> Array2<T> {
    let (rows, depth, columns) = (a.nrows(), a.ncols(), b.ncols());
    // A row times a matrix goes with the lines that the matrix lies in, where there are enough of them to fill vectors.
    let narrow = columns < kernel.columns();
    let swapped = (rows == 1 && (b.strides()[0] == 1 || narrow) && columns > 1)
        || (columns == 1 && a.strides()[0] == 1 && rows >= kernel.columns());
    let mut values = pages::with_capacity(rows * columns);
    if depth == 0 {
        values.resize(rows * columns, T::default());
    } else if rows * columns > 0 {
        let (a, b) = (Lines::of(a), Lines::of(b).flipped());
        let (rows, columns, a, b) = if swapped { (columns, rows, &b, &a) } else { (rows, columns, &a, &b) };
        let count = threads_for(rows, depth, columns);
        // Where there is little to add up, the pages are most of the work, and the threads share it.
        if count > 1 && depth > DEPTH {
            pages::prefault(values.spare_capacity_mut());
        }
        let whole = Part {
            c: values.as_mut_ptr(),
            rows: Span { from: 0, to: rows },
            columns: Span { from: 0, to: columns },
            stride: columns,
        };
        let parts = whole.split(kernel, count);
        let progress = Progress::new("computing", multiplications(rows, depth, columns));
        scope::map_parts(parts, |part| part.multiply(kernel, a, b, depth, &progress));
        // SAFETY: there is room for them, and the parts, which cover all entries, have each written theirs.
        unsafe { values.set_len(rows * columns) };
    }
    match Array2::from_shape_vec((rows, columns), values) {
        Ok(product) => product,
        Err(_) => unreachable!("rows·columns values"),
    }
}

/// How many numbers are multiplied.
fn multiplications(rows: usize, depth: usize, columns: usize) -> usize {
    rows.saturating_mul(depth).saturating_mul(columns)
}

/// How many threads the work is worth.
fn threads_for(rows: usize, depth: usize, columns: usize) -> usize {
    let shares = multiplications(rows, depth, columns) / SHARE;
    if shares < 2 { 1 } else { scope::thread_limit().min(shares) }
}

/// A rectangle of the product.
struct Part<T> {
    /// The first entry of the whole product.
    c: *mut T,
    rows: Span,
    columns: Span,
    /// From a row of the product to the next.
    stride: usize,
}

// SAFETY: parts of one product hold rectangles that do not overlap, and each is given to one thread.
unsafe impl<T: Send> Send for Part<T> {}

impl<T: Element> Part<T> {
    /// Cuts it along tiles into at most so many parts, as square as they come; rather into rows, whose strips are then copied once.
    fn split(&self, kernel: &Kernel<T>, count: usize) -> Vec<Part<T>> {
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let cuts = (1..=count).rev().filter(|high| count.is_multiple_of(*high)).map(|high| (high, count / high));
        let around = |(high, wide): &(usize, usize)| rows.div_ceil(*high) + columns.div_ceil(*wide);
        let (high, wide) = cuts.min_by_key(around).unwrap_or((1, 1));
        let columns = self.columns.by(columns.div_ceil(wide).next_multiple_of(kernel.columns()));
        let rows = || self.rows.by(rows.div_ceil(high).next_multiple_of(kernel.rows()));
        columns.flat_map(|columns| rows().map(move |rows| Part { rows, columns, ..*self })).collect()
    }

    /// Computes it from the rows of the left factor and the columns of the right one.
    fn multiply(&self, kernel: &Kernel<T>, a: &Lines<'_, T>, b: &Lines<'_, T>, depth: usize, progress: &Progress) {
        // What is read once or twice is not worth a copy.
        let by_rows = Cut {
            most: kernel.rows(),
            width: |lines, _| lines.next_power_of_two(),
            unit: 1,
            as_they_lie: self.columns.len() <= 2 * kernel.columns(),
            turn: kernel.turn,
        };
        let by_columns = Cut {
            most: kernel.columns(),
            width: |lines, lanes| if lines == 1 { 1 } else { lines.next_multiple_of(lanes) },
            unit: kernel.lanes,
            as_they_lie: self.columns.len() == 1 || (self.rows.len() <= kernel.rows() && b.beside()),
            turn: kernel.turn,
        };
        let room = |lines: usize, cut: &Cut<T>| Buffer::new(lines.next_multiple_of(cut.most) * depth.min(DEPTH));
        let (wide, high) = (BLOCK.next_multiple_of(kernel.columns()), GROUP * kernel.rows());
        let mut left_room = room(self.rows.len().min(ROWS), &by_rows);
        let mut right_room = room(self.columns.len().min(wide), &by_columns);
        for rows in self.rows.by(ROWS) {
            for products in (Span { from: 0, to: depth }).by(DEPTH) {
                for columns in self.columns.by(wide) {
                    let copied = columns.from > self.columns.from;
                    let right = by_columns.strips(b, columns, products, right_room.all(), false);
                    let rooms = left_room.all().chunks_mut(high * products.len());
                    for (group, room) in rows.by(high).zip(rooms) {
                        for left in by_rows.strips(a, group, products, room, copied) {
                            right.iter().for_each(|right| self.tile(kernel, &left, right, products));
                        }
                        progress.advance(multiplications(group.len(), products.len(), columns.len()));
                    }
                }
            }
        }
    }

    /// A tile of the product, from a strip of either factor: written with the first products, added to with the others.
    fn tile(&self, kernel: &Kernel<T>, a: &Strip<'_, T>, b: &Strip<'_, T>, products: Span) {
        let work = kernel.tile(a.width, b.width);
        // SAFETY: the entry lies in the product.
        let c = unsafe { self.c.add(a.lines.from * self.stride + b.lines.from) };
        let tile = Tile {
            depth: products.len(),
            a: a.values.as_ptr(),
            a_row: a.line,
            a_step: a.step,
            b: b.values.as_ptr(),
            b_step: b.step,
            c,
            c_row: self.stride,
            last: kernel.lanes - (b.width - b.lines.len()),
            add: products.from > 0,
        };
        if a.lines.len() == a.width {
            // SAFETY: the kernel is usable, `strips` asserts that a strip has `width` numbers at each step, and the tile lies
            // in this part.
            return unsafe { work(&tile) };
        }
        let mut whole = [T::default(); LARGEST];
        // SAFETY: as above, but that the tile goes to an array that holds the largest.
        unsafe { work(&Tile { c: whole.as_mut_ptr(), c_row: b.width, add: false, ..tile }) };
        for (r, row) in whole.chunks_exact(b.width).take(a.lines.len()).enumerate() {
            for (n, &sum) in row.iter().take(b.lines.len()).enumerate() {
                // SAFETY: entry (r, n) of the tile lies in this part; with the first products it was written.
                unsafe {
                    let to = c.add(r * self.stride + n);
                    if tile.add { *to += sum } else { to.write(sum) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::backends::FUSED;
    use ndarray::s;
    use proptest::prelude::*;

    /// The definition.
    fn defined(fused: bool, a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(r, c)| {
            let mut total: Option<f64> = None;
            for products in (Span { from: 0, to: a.ncols() }).by(DEPTH) {
                let sum = (products.from..products.to).fold(0.0, |sum, k| {
                    if fused { f64::mul_add(a[[r, k]], b[[k, c]], sum) } else { a[[r, k]] * b[[k, c]] + sum }
                });
                total = Some(total.map_or(sum, |total| total + sum));
            }
            total.unwrap_or(0.0)
        })
    }

    /// Entries that no sum of leaves the same when its order changes.
    fn matrix(rows: usize, columns: usize, seed: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 31 + c * 17 + seed) as f64 * 0.618).sin() / 3.0)
    }

    fn bits(values: &Array2<f64>) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn a_product_counts_what_is_done_up_to_its_end() {
        use crate::parallel::progress::with_listener;
        use std::{cell::RefCell, rc::Rc};
        for threads in [1, 3] {
            let heard = Rc::new(RefCell::new(Vec::new()));
            let ear = Rc::clone(&heard);
            let (a, b) = (matrix(700, 600, 1), matrix(600, 500, 2));
            let multiply = || drop(multiply(a.view(), b.view()));
            scope::with_thread_limit(threads, || {
                with_listener(Some(Rc::new(move |_, part| ear.borrow_mut().push(part))), multiply)
            });
            let heard = heard.take();
            assert!(heard.len() > 10 && heard.is_sorted(), "{heard:?}");
            let (last, before) = (heard[heard.len() - 1], heard[heard.len() - 2]);
            // What other threads still had to do may come after what this one did last.
            assert!(last == 1.0 && before < 1.0 && (threads > 1 || before > 0.99), "{heard:?}");
        }
    }

    fn each_kernel_and_layout_gives_the_definition(rows: usize, depth: usize, columns: usize) {
        let (a, b) = (matrix(rows, depth, 1), matrix(depth, columns, 2));
        let (a_across, b_across) = (a.t().as_standard_layout().into_owned(), b.t().as_standard_layout().into_owned());
        let wider =
            Array2::from_shape_fn((rows + 2, depth + 3), |(r, c)| if r < rows && c < depth { a[[r, c]] } else { 9.0 });
        for kernel in usable::<f64>() {
            let expected = defined(kernel.name != "portable" || FUSED, a.view(), b.view());
            for a in [a.view(), a_across.t(), wider.slice(s![..rows, ..depth])] {
                for b in [b.view(), b_across.t()] {
                    let found = product_by(kernel, a, b);
                    assert_eq!(bits(&found), bits(&expected), "{}: {rows}×{depth}·{depth}×{columns}", kernel.name);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn small_products_are_the_definition_to_the_bit(rows in 0..30usize, depth in 0..20usize, columns in 0..60usize) {
            each_kernel_and_layout_gives_the_definition(rows, depth, columns);
        }
    }

    #[test]
    fn products_of_vectors_and_of_many_blocks_are_the_definition_to_the_bit() {
        for (rows, depth, columns) in [
            (1, 300, 9),
            (1, 300, 70),
            (9, 300, 1),
            (70, 300, 1),
            (9, 300, 49),
            (1, 1, 1),
            (17, 600, 5),
            (1030, 3, 2),
            (3, 5, 1000),
        ] {
            each_kernel_and_layout_gives_the_definition(rows, depth, columns);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let (a, b) = (matrix(310, 270, 1), matrix(270, 310, 2));
        let expected = bits(&scope::with_thread_limit(1, || multiply(a.view(), b.view())));
        assert_eq!(scope::with_thread_limit(7, || threads_for(310, 270, 310)), 3, "the work is split at all");
        for count in 2..=7 {
            assert_eq!(
                bits(&scope::with_thread_limit(count, || multiply(a.view(), b.view()))),
                expected,
                "{count} threads"
            );
        }
    }

    #[test]
    fn single_precision_is_the_definition_too() {
        for (rows, columns) in [(13, 75), (1, 9), (9, 1)] {
            let (a, b) = (matrix(rows, 300, 1).mapv(|v| v as f32), matrix(300, columns, 2).mapv(|v| v as f32));
            for kernel in usable::<f32>().filter(|kernel| kernel.name != "portable") {
                let found = product_by(kernel, a.view(), b.view());
                for ((r, c), &found) in found.indexed_iter() {
                    let sum =
                        |from: usize, to: usize| (from..to).fold(0.0, |sum, k| f32::mul_add(a[[r, k]], b[[k, c]], sum));
                    assert_eq!(found.to_bits(), (sum(0, DEPTH) + sum(DEPTH, 300)).to_bits(), "{}", kernel.name);
                }
            }
        }
    }

    #[test]
    fn infinity_times_nothing_is_nan_and_reaches_its_entries_only() {
        for kernel in usable::<f64>() {
            let (mut a, b) = (matrix(9, 4, 1), Array2::from_shape_fn((4, 9), |(_, c)| c as f64));
            a[[2, 1]] = f64::INFINITY;
            a[[3, 1]] = f64::NAN;
            for ((r, c), value) in product_by(kernel, a.view(), b.view()).indexed_iter() {
                match (r, c) {
                    (2, 0) | (3, _) => assert!(value.is_nan()),
                    (2, _) => assert_eq!(*value, f64::INFINITY),
                    _ => assert!(value.is_finite()),
                }
            }
        }
    }
}
