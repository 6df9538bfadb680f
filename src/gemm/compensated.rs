//! Products of matrices with an error bound for each entry: twice the digits of doubles, at a few times the cost of one.
//!
//! Each entry has an accumulator that begins at 1.5·2^q, above four times Σ|a·b|, so that its exponent stays the same: adding a
//! product rounds it to a multiple of 2^(q − 52), the amount that was added is the exact difference of two accumulators, and
//! the error of the rounding, at most 2^(q − 53), is summed separately. This takes two fused multiply-adds and two additions
//! a product; an error-free dot product (Ogita, Rump and Oishi 2005) takes ten operations.
//!
//! The error of an entry of n products in blocks of [`KC`]: each error is rounded by at most 2^(q − 106); the sum of the errors
//! of a block stays below KC·2^(q − 53), each of its additions errs by 2⁻⁵³ of that, and so does the sum over blocks. In total
//! that is at most n·(1 + KC + n/KC)·2^(q − 106), and for underflow less than 2⁻¹⁰⁷⁰ a product.

use crate::parallel::progress::Progress;
use crate::parallel::scope;
use crate::simd::dispatch::Isa;
use microkernel::{Microkernel, MicrokernelArguments, microkernel_for};
use ndarray::ArrayView2;

mod microkernel;

/// Products whose errors are summed in registers.
const KC: usize = 256;
/// Rows whose accumulators a thread keeps at a time.
const MC: usize = 48;
/// Fewer products are not worth a second thread.
const MIN_PARALLEL_PRODUCTS: usize = 1 << 18;
/// Exponents q of accumulators that keep clear of overflow and of underflowing errors.
const ACCUMULATOR_EXPONENTS: std::ops::RangeInclusive<i32> = -900..=1000;
/// Factors above this have no bound.
const MAX_FACTOR: f64 = f64::from_bits((1023 + 990) << 52);

/// An entry (high, low, radius): high + low is within radius of Σ a·b. The radius is infinite if no bound is known, and NaN if a
/// factor is infinite or NaN.
pub type Bounded = (f64, f64, f64);

/// Returns `function` of each entry number and entry Σ_k rows[n, k]·columns[m, k], for every n and m, row by row.
pub fn multiply<T: Send>(
    rows: ArrayView2<'_, f64>,
    columns: ArrayView2<'_, f64>,
    function: impl Fn(usize, Bounded) -> T + Sync,
) -> Vec<T> {
    let kernel = microkernel_for(Isa::current());
    let (row_count, column_count) = (rows.nrows(), columns.nrows());
    let right = PackedColumns {
        kernel,
        packed: pack(columns, kernel.columns),
        norms: norm_bounds(columns),
        depth: columns.ncols(),
    };
    let row_norms = norm_bounds(rows);
    let products = row_count * column_count * right.depth;
    let threads = if products < MIN_PARALLEL_PRODUCTS { 1 } else { scope::thread_limit() };
    let rows_per_thread = row_count.div_ceil(threads.max(1)).next_multiple_of(kernel.rows);
    let parts = (0..row_count)
        .step_by(rows_per_thread.max(1))
        .map(|start| (start, (start + rows_per_thread).min(row_count)))
        .collect();
    let progress = Progress::new("computing", row_count);
    let mut results = scope::map_parts(parts, |(start, end)| {
        let mut results = Vec::with_capacity((end - start) * column_count);
        for start in (start..end).step_by(MC) {
            let end = end.min(start + MC);
            let rows = rows.slice(ndarray::s![start..end, ..]);
            right.for_each_entry(rows, &row_norms[start..end], |entry, bounded| {
                results.push(function(start * column_count + entry, bounded));
            });
            progress.advance(end - start);
        }
        results
    })
    .into_iter();
    // The results of the first part are not copied.
    let first = results.next().unwrap_or_default();
    results.fold(first, |mut joined, part| {
        joined.extend(part);
        joined
    })
}

/// Calls `visitor` for each number with its row and column, in the order of memory.
fn visit(m: ArrayView2<'_, f64>, mut visitor: impl FnMut(usize, usize, f64)) {
    if m.is_standard_layout() {
        for (n, row) in m.rows().into_iter().enumerate() {
            row.iter().enumerate().for_each(|(k, &value)| visitor(n, k, value));
        }
    } else {
        for (k, column) in m.columns().into_iter().enumerate() {
            column.iter().enumerate().for_each(|(n, &value)| visitor(n, k, value));
        }
    }
}

/// Returns an upper bound of √Σ v² for each row: NaN if a number is infinite or NaN, and infinite if the bound is not reliable.
fn norm_bounds(m: ArrayView2<'_, f64>) -> Vec<f64> {
    // NaN and infinity count as more than any number.
    let magnitude = |v: f64| if v.abs() <= f64::MAX { v.abs() } else { f64::INFINITY };
    let largest = fold_rows(m, &vec![1.0; m.nrows()], magnitude, |a, b| if b > a { b } else { a });
    let scales: Vec<f64> = largest.iter().map(|largest| largest.recip()).collect();
    let squares = fold_rows(m, &scales, |v| v * v, |a, b| a + b);
    let norm = |(largest, squares): (f64, f64)| {
        if largest.is_infinite() {
            f64::NAN
        } else if largest == 0.0 {
            0.0
        } else if largest > MAX_FACTOR || largest < MAX_FACTOR.recip() {
            f64::INFINITY
        } else {
            // The rounding errors of a billion terms are below the added millionth.
            squares.sqrt() * largest * (1.0 + 1e-6)
        }
    };
    largest.into_iter().zip(squares).map(norm).collect()
}

/// Folds the terms of each row, where a term is `term` of a number times the row's scale. Reads the numbers in the order of
/// memory and accumulates several of them independently.
fn fold_rows(
    m: ArrayView2<'_, f64>,
    scales: &[f64],
    term: impl Fn(f64) -> f64,
    join: impl Fn(f64, f64) -> f64,
) -> Vec<f64> {
    const ACCUMULATORS: usize = 8;
    let mut folded = vec![0.0f64; m.nrows()];
    let add = |sum: &mut f64, v: f64, scale: f64| *sum = join(*sum, term(v * scale));
    if let Some(numbers) = m.to_slice().filter(|numbers| !numbers.is_empty()) {
        for ((sum, &scale), row) in folded.iter_mut().zip(scales).zip(numbers.chunks_exact(m.ncols())) {
            let (mut sums, chunks) = ([0.0; ACCUMULATORS], row.chunks_exact(ACCUMULATORS));
            chunks.remainder().iter().for_each(|&v| add(sum, v, scale));
            chunks.for_each(|chunk| (0..ACCUMULATORS).for_each(|k| add(&mut sums[k], chunk[k], scale)));
            *sum = sums.into_iter().fold(*sum, &join);
        }
    } else {
        for column in m.columns() {
            folded.iter_mut().zip(column).zip(scales).for_each(|((sum, &v), &scale)| add(sum, v, scale));
        }
    }
    folded
}

/// Packs rows into panels of `width` rows, filled up with zeros: number k of each row of a panel, for every k.
fn pack(rows: ArrayView2<'_, f64>, width: usize) -> Vec<f64> {
    let depth = rows.ncols();
    let mut packed = vec![0.0; rows.nrows().next_multiple_of(width) * depth];
    visit(rows, |n, k, value| packed[n / width * width * depth + k * width + n % width] = value);
    packed
}

/// The packed columns of the right factor.
struct PackedColumns {
    kernel: Microkernel,
    packed: Vec<f64>,
    norms: Vec<f64>,
    depth: usize,
}

impl PackedColumns {
    /// Calls `visitor` for each entry of some rows times the columns.
    fn for_each_entry(&self, rows: ArrayView2<'_, f64>, norms: &[f64], mut visitor: impl FnMut(usize, Bounded)) {
        let (height, width, column_count) = (self.kernel.rows, self.kernel.columns, self.norms.len());
        let (row_panels, column_panels) = (rows.nrows().div_ceil(height), column_count.div_ceil(width));
        let tile_len = height * width;
        let place =
            |n: usize, m: usize| (m / width * row_panels + n / height) * tile_len + n % height * width + m % width;
        let mut sums = vec![0.0; row_panels * column_panels * tile_len];
        let mut errors = sums.clone();
        for (n, &row) in norms.iter().enumerate() {
            for (m, &column) in self.norms.iter().enumerate() {
                sums[place(n, m)] = Accumulator::new(row, column).initial_value();
            }
        }
        for start in (0..self.depth).step_by(KC) {
            let end = (start + KC).min(self.depth);
            let k = end - start;
            let left = pack(rows.slice(ndarray::s![.., start..end]), height);
            let tiles = sums.chunks_exact_mut(tile_len).zip(errors.chunks_exact_mut(tile_len)).enumerate();
            for (tile, (sums, errors)) in tiles {
                let (column_panel, row_panel) = (tile / row_panels, tile % row_panels);
                let a = &left[row_panel * height * k..(row_panel + 1) * height * k];
                let b_start = column_panel * self.depth;
                let b = &self.packed[(b_start + start) * width..(b_start + end) * width];
                let (a, b, sums, errors) = (a.as_ptr(), b.as_ptr(), sums.as_mut_ptr(), errors.as_mut_ptr());
                // SAFETY: `microkernel_for` took a proof of the instructions; the slices have k times height and width
                // numbers, and sums and errors are exclusive slices of height·width numbers.
                unsafe { (self.kernel.function)(&MicrokernelArguments { k, a, b, sums, errors }) }
            }
        }
        for (n, &row) in norms.iter().enumerate() {
            for (m, &column) in self.norms.iter().enumerate() {
                let (sum, error) = (sums[place(n, m)], errors[place(n, m)]);
                visitor(n * column_count + m, Accumulator::new(row, column).bounded(sum, error, self.depth));
            }
        }
    }
}

/// The accumulator of an entry.
enum Accumulator {
    /// Begins at 1.5·2^q.
    Exponent(i32),
    /// Begins at 0: every product is 0.
    Zero,
    /// Has no bound: the exponent would be out of range.
    Unbounded,
    /// Sums infinities and NaN.
    NonFinite,
}

impl Accumulator {
    /// Selects the accumulator for products whose magnitudes sum to at most row·column.
    fn new(row: f64, column: f64) -> Accumulator {
        if row.is_nan() || column.is_nan() {
            return Accumulator::NonFinite;
        }
        if row == 0.0 || column == 0.0 {
            return Accumulator::Zero;
        }
        // log₂ of 4·row·column, rounded up; both factors are normal numbers.
        let exponent = |v: f64| i32::try_from(v.to_bits() >> 52).unwrap_or(i32::MAX) - 1022;
        let q = exponent(row).saturating_add(exponent(column)) + 2;
        if row.is_finite() && column.is_finite() && ACCUMULATOR_EXPONENTS.contains(&q) {
            Accumulator::Exponent(q)
        } else {
            Accumulator::Unbounded
        }
    }

    fn initial_value(&self) -> f64 {
        match self {
            Accumulator::Exponent(q) => 1.5 * power_of_two(*q),
            _ => 0.0,
        }
    }

    fn bounded(&self, sum: f64, error: f64, depth: usize) -> Bounded {
        #[allow(clippy::cast_precision_loss)] // fewer numbers than 2⁵³ fit in memory
        let (n, block) = (depth as f64, KC as f64);
        match self {
            Accumulator::Exponent(q) => {
                let radius = n * (2.0 + block + n / block) * power_of_two(q - 106) + n * f64::from_bits(1 << 4);
                (sum - self.initial_value(), error, radius * 1.01)
            }
            Accumulator::Zero => (0.0, 0.0, 0.0),
            Accumulator::Unbounded => (0.0, 0.0, f64::INFINITY),
            Accumulator::NonFinite => (0.0, 0.0, f64::NAN),
        }
    }
}

/// Returns 2^exponent, a normal number.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(exponent + 1023).unwrap_or_default() << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::Superaccumulator;
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};
    use ndarray::Array2;

    /// Returns numbers of both signs with exponents in a range of `binades`.
    fn numbers(seed: u64, shape: (usize, usize), binades: i32) -> Array2<f64> {
        let mut state = seed;
        Array2::from_shape_simple_fn(shape, || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let significand = (state >> 11) as f64 - 2f64.powi(52);
            significand * 2f64.powi((state % binades as u64) as i32 - 52 - binades / 2)
        })
    }

    /// Returns |high + low − Σ a·b|, rounded up.
    fn error_of(rows: &Array2<f64>, columns: &Array2<f64>, entry: usize, (high, low, _): Bounded) -> f64 {
        let (row, column) = (rows.row(entry / columns.nrows()), columns.row(entry % columns.nrows()));
        let mut sum = Superaccumulator::default();
        row.iter().zip(column).for_each(|(&a, &b)| sum.add_product(-a, b));
        sum.add(high);
        sum.add(low);
        sum.round().abs() * 1.01
    }

    #[test]
    fn every_kernel_gives_the_same_bits_within_the_bound() {
        for (depth, binades) in [(1, 8), (3, 60), (300, 1), (700, 30), (40, 400)] {
            let (rows, columns) = (numbers(1, (7, depth), binades), numbers(2, (19, depth), binades));
            let entries = || multiply(rows.view(), columns.view(), |entry, bounded| (entry, bounded));
            let expected = entries();
            assert_eq!(expected.len(), 7 * 19);
            for isa in IsaLevel::available() {
                assert_eq!(with_isa_limit(isa, entries), expected, "{isa:?}");
            }
            for (n, (entry, bounded)) in expected.into_iter().enumerate() {
                let error = error_of(&rows, &columns, entry, bounded);
                assert!(
                    n == entry && error <= bounded.2 && bounded.2 < 1e-20 * bounded.0.abs().max(1e120),
                    "{bounded:?} {error:e}"
                );
            }
        }
    }

    #[test]
    fn columns_may_have_either_layout() {
        let (rows, columns) = (numbers(3, (50, 300), 3), numbers(4, (9, 300), 3));
        let column_major = columns.t().as_standard_layout().into_owned();
        let high = |columns: ArrayView2<'_, f64>| multiply(rows.view(), columns, |_, (high, ..)| high);
        assert_eq!(high(columns.view()), high(column_major.t()));
    }

    #[test]
    fn the_radius_of_an_entry_without_a_bound_is_infinite_or_nan() {
        let radius = |a: f64, b: f64| {
            multiply(ndarray::arr2(&[[a, 1.0]]).view(), ndarray::arr2(&[[b, 1.0]]).view(), |_, v| v.2)[0]
        };
        assert!(
            radius(f64::NAN, 1.0).is_nan()
                && radius(1.0, f64::INFINITY).is_nan()
                && radius(f64::NEG_INFINITY, 0.0).is_nan()
        );
        assert!(radius(f64::MAX, 1.0).is_infinite() && radius(1e200, 1e200).is_infinite());
        assert!(radius(0.1, 1.0) > 0.0 && radius(0.1, 1.0) < 1e-26);
    }
}
