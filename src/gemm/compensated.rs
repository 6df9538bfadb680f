//! Products of matrices whose entries know their error: twice the digits of doubles, at a few times the price of one.
//!
//! Each entry has an accumulator that begins at 1.5·2^q, above four times Σ|a·b|, so that it keeps one exponent: adding a
//! product rounds it to a multiple of 2^(q − 52), what was added is the difference of two accumulators without error, and
//! what the rounding left of the product, at most 2^(q − 53), is added up apart. Two fused multiplications and two additions
//! a product, where an error-free sum of products takes ten operations.
//!
//! The error of an entry of n products, in blocks of [`DEPTH`]: every remainder is rounded by at most 2^(q − 106); the sum of a
//! block's remainders stays below DEPTH·2^(q − 53) and each of its additions errs by 2⁻⁵³ of that, the sum over blocks likewise.
//! In all at most n·(1 + DEPTH + n/DEPTH)·2^(q − 106), and what underflows: less than 2⁻¹⁰⁷⁰ a product.

use crate::parallel::progress::Progress;
use crate::parallel::scope;
use microkernel::{Kind, Tile};
use ndarray::ArrayView2;

mod microkernel;

/// Products that are added up before their remainders are.
const DEPTH: usize = 256;
/// Rows that a thread keeps accumulators of.
const ROWS: usize = 48;
/// Fewer products than that are not worth a thread.
const ALONE: usize = 1 << 18;
/// The accumulators' exponents keep clear of overflow and of what underflow drops.
const EXPONENTS: std::ops::RangeInclusive<i32> = -900..=1000;
/// Factors above it cannot be split in halves.
const SPLITS: f64 = f64::from_bits((1023 + 990) << 52);

/// An entry: high + low is within radius of Σ a·b. A radius of infinity says that nothing is known, NaN that a factor is
/// infinite or NaN.
pub type Bounded = (f64, f64, f64);

/// What `make` makes of Σ_k rows[n, k]·columns[m, k] and its place, for every n and m, row by row.
pub fn multiply<T: Send>(
    rows: ArrayView2<'_, f64>,
    columns: ArrayView2<'_, f64>,
    make: impl Fn(usize, Bounded) -> T + Sync,
) -> Vec<T> {
    let Some(kind) = Kind::usable().next() else { return Vec::new() };
    products_of(kind, rows, columns, make)
}

fn products_of<T: Send>(
    kind: Kind,
    rows: ArrayView2<'_, f64>,
    columns: ArrayView2<'_, f64>,
    make: impl Fn(usize, Bounded) -> T + Sync,
) -> Vec<T> {
    let (count, wide) = (rows.nrows(), columns.nrows());
    let right = Right { kind, packed: pack(columns, kind.columns), norms: norms(columns), depth: columns.ncols() };
    let row_norms = norms(rows);
    let threads = if count * wide * right.depth < ALONE { 1 } else { scope::thread_limit() };
    let each = count.div_ceil(threads.max(1)).next_multiple_of(kind.rows);
    let parts = (0..count).step_by(each.max(1)).map(|first| (first, (first + each).min(count))).collect();
    let progress = Progress::new("computing", count);
    let made = scope::map_parts(parts, |(first, last)| {
        let mut made = Vec::with_capacity((last - first) * wide);
        for first in (first..last).step_by(ROWS) {
            let last = last.min(first + ROWS);
            let rows = rows.slice(ndarray::s![first..last, ..]);
            right.times(rows, &row_norms[first..last], |place, bounded| made.push(make(first * wide + place, bounded)));
            progress.advance(last - first);
        }
        made
    });
    made.into_iter()
        .reduce(|mut all, part| {
            all.extend(part);
            all
        })
        .unwrap_or_default()
}

/// Shows every number with its row, in the order that they lie in.
fn visit(m: ArrayView2<'_, f64>, mut see: impl FnMut(usize, usize, f64)) {
    if m.is_standard_layout() {
        for (n, row) in m.rows().into_iter().enumerate() {
            row.iter().enumerate().for_each(|(k, &value)| see(n, k, value));
        }
    } else {
        for (k, column) in m.columns().into_iter().enumerate() {
            column.iter().enumerate().for_each(|(n, &value)| see(n, k, value));
        }
    }
}

/// Of each row at least √Σ v²; NaN where a number is none or infinite, infinite where the bound is not to be trusted.
fn norms(m: ArrayView2<'_, f64>) -> Vec<f64> {
    // A NaN and an infinity are more than any number.
    let size = |v: f64| if v.abs() <= f64::MAX { v.abs() } else { f64::INFINITY };
    let largest = folded(m, &vec![1.0; m.nrows()], size, |a, b| if b > a { b } else { a });
    let scales: Vec<f64> = largest.iter().map(|largest| largest.recip()).collect();
    let squares = folded(m, &scales, |v| v * v, |a, b| a + b);
    let norm = |(largest, squares): (f64, f64)| {
        if largest.is_infinite() {
            f64::NAN
        } else if largest == 0.0 {
            0.0
        } else if largest > SPLITS || largest < SPLITS.recip() {
            f64::INFINITY
        } else {
            // Of a billion terms and a millionth more, no rounding gets below.
            squares.sqrt() * largest * (1.0 + 1e-6)
        }
    };
    largest.into_iter().zip(squares).map(norm).collect()
}

/// Of each row the terms of its numbers, times its scale, joined, in the order that they lie in and several at a time.
fn folded(
    m: ArrayView2<'_, f64>,
    scales: &[f64],
    term: impl Fn(f64) -> f64,
    join: impl Fn(f64, f64) -> f64,
) -> Vec<f64> {
    const LANES: usize = 8;
    let mut all = vec![0.0f64; m.nrows()];
    let joined = |sum: &mut f64, v: f64, scale: f64| *sum = join(*sum, term(v * scale));
    if let Some(numbers) = m.to_slice().filter(|numbers| !numbers.is_empty()) {
        for ((sum, &scale), row) in all.iter_mut().zip(scales).zip(numbers.chunks_exact(m.ncols())) {
            let (mut lanes, chunks) = ([0.0; LANES], row.chunks_exact(LANES));
            chunks.remainder().iter().for_each(|&v| joined(sum, v, scale));
            chunks.for_each(|chunk| (0..LANES).for_each(|k| joined(&mut lanes[k], chunk[k], scale)));
            *sum = lanes.into_iter().fold(*sum, &join);
        }
    } else {
        for column in m.columns() {
            all.iter_mut().zip(column).zip(scales).for_each(|((sum, &v), &scale)| joined(sum, v, scale));
        }
    }
    all
}

/// Rows in groups of `width`, filled up with zeros: number k of each of a group's rows, for every k.
fn pack(rows: ArrayView2<'_, f64>, width: usize) -> Vec<f64> {
    let depth = rows.ncols();
    let mut packed = vec![0.0; rows.nrows().next_multiple_of(width) * depth];
    visit(rows, |n, k, value| packed[n / width * width * depth + k * width + n % width] = value);
    packed
}

/// The right factor, ready.
struct Right {
    kind: Kind,
    packed: Vec<f64>,
    norms: Vec<f64>,
    depth: usize,
}

impl Right {
    /// Shows `see` some rows times the columns, entry by entry.
    fn times(&self, rows: ArrayView2<'_, f64>, norms: &[f64], mut see: impl FnMut(usize, Bounded)) {
        let (height, width, wide) = (self.kind.rows, self.kind.columns, self.norms.len());
        let (groups, panels) = (rows.nrows().div_ceil(height), wide.div_ceil(width));
        let size = height * width;
        let place = |n: usize, m: usize| (m / width * groups + n / height) * size + n % height * width + m % width;
        let (mut sums, mut rests) = (vec![0.0; groups * panels * size], vec![0.0; groups * panels * size]);
        for (n, &row) in norms.iter().enumerate() {
            self.norms.iter().enumerate().for_each(|(m, &column)| sums[place(n, m)] = Start::new(row, column).value());
        }
        for from in (0..self.depth).step_by(DEPTH) {
            let to = (from + DEPTH).min(self.depth);
            let left = pack(rows.slice(ndarray::s![.., from..to]), height);
            let tiles = sums.chunks_exact_mut(size).zip(rests.chunks_exact_mut(size)).enumerate();
            for (at, (sums, rests)) in tiles {
                let (panel, group) = (at / groups, at % groups);
                let a = &left[group * height * (to - from)..(group + 1) * height * (to - from)];
                let b = &self.packed[(panel * self.depth + from) * width..(panel * self.depth + to) * width];
                let (a, b, sums, rests) = (a.as_ptr(), b.as_ptr(), sums.as_mut_ptr(), rests.as_mut_ptr());
                // SAFETY: the kind is usable; the slices have depth times height and width, and height times width numbers.
                unsafe { (self.kind.work)(&Tile { depth: to - from, a, b, sums, rests }) }
            }
        }
        for (n, &row) in norms.iter().enumerate() {
            for (m, &column) in self.norms.iter().enumerate() {
                let (sum, rest) = (sums[place(n, m)], rests[place(n, m)]);
                see(n * wide + m, Start::new(row, column).bounded(sum, rest, self.depth));
            }
        }
    }
}

/// Where an accumulator starts.
enum Start {
    /// At 1.5·2^q.
    At(i32),
    /// At 0: every product is 0.
    Zero,
    /// Nowhere that keeps the bound.
    Nowhere,
    /// There is none among numbers that are none.
    Special,
}

impl Start {
    /// For products whose magnitudes sum to at most row·column.
    fn new(row: f64, column: f64) -> Start {
        if row.is_nan() || column.is_nan() {
            return Start::Special;
        }
        if row == 0.0 || column == 0.0 {
            return Start::Zero;
        }
        // log₂ of 4·row·column, up; each factor lies among the normal numbers.
        let exponent = |v: f64| i32::try_from(v.to_bits() >> 52).unwrap_or(i32::MAX) - 1022;
        let q = exponent(row).saturating_add(exponent(column)) + 2;
        if row.is_finite() && column.is_finite() && EXPONENTS.contains(&q) { Start::At(q) } else { Start::Nowhere }
    }

    fn value(&self) -> f64 {
        match self {
            Start::At(q) => 1.5 * power(*q),
            _ => 0.0,
        }
    }

    fn bounded(&self, sum: f64, rest: f64, depth: usize) -> Bounded {
        #[allow(clippy::cast_precision_loss)] // fewer numbers than 2⁵³ fit in memory
        let (n, block) = (depth as f64, DEPTH as f64);
        match self {
            Start::At(q) => {
                let radius = n * (2.0 + block + n / block) * power(q - 106) + n * f64::from_bits(1 << 4);
                (sum - self.value(), rest, radius * 1.01)
            }
            Start::Zero => (0.0, 0.0, 0.0),
            Start::Nowhere => (0.0, 0.0, f64::INFINITY),
            Start::Special => (0.0, 0.0, f64::NAN),
        }
    }
}

/// 2^exponent, a normal number.
fn power(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(exponent + 1023).unwrap_or_default() << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::Superaccumulator;
    use ndarray::Array2;

    /// Numbers of both signs over so many binades.
    fn numbers(seed: u64, shape: (usize, usize), binades: i32) -> Array2<f64> {
        let mut state = seed;
        Array2::from_shape_simple_fn(shape, || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let whole = (state >> 11) as f64 - 2f64.powi(52);
            whole * 2f64.powi((state % binades as u64) as i32 - 52 - binades / 2)
        })
    }

    /// |high + low − Σ a·b|, rounded up a little.
    fn off(rows: &Array2<f64>, columns: &Array2<f64>, place: usize, (high, low, _): Bounded) -> f64 {
        let (row, column) = (rows.row(place / columns.nrows()), columns.row(place % columns.nrows()));
        let mut sum = Superaccumulator::default();
        row.iter().zip(column).for_each(|(&a, &b)| sum.add_product(-a, b));
        sum.add(high);
        sum.add(low);
        let (_, digits, exponent) = sum.to_digits();
        let last = digits.iter().rposition(|&digit| digit != 0);
        last.map_or(0.0, |k| f64::from(digits[k]) * 1.01 * 2f64.powi(32 * k as i32 + exponent))
    }

    #[test]
    fn every_kind_is_within_its_bound_of_the_sum() {
        for (depth, binades) in [(1, 8), (3, 60), (300, 1), (700, 30), (40, 400)] {
            let (rows, columns) = (numbers(1, (7, depth), binades), numbers(2, (19, depth), binades));
            for kind in microkernel::kinds() {
                let all = products_of(kind, rows.view(), columns.view(), |place, bounded| (place, bounded));
                assert_eq!(all.len(), 7 * 19);
                for (n, (place, bounded)) in all.into_iter().enumerate() {
                    let off = off(&rows, &columns, place, bounded);
                    assert!(
                        n == place && off <= bounded.2 && bounded.2 < 1e-20 * bounded.0.abs().max(1e120),
                        "{bounded:?} {off:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn columns_may_lie_either_way() {
        let (rows, columns) = (numbers(3, (50, 300), 3), numbers(4, (9, 300), 3));
        let turned = columns.t().as_standard_layout().into_owned();
        let high = |columns: ArrayView2<'_, f64>| multiply(rows.view(), columns, |_, (high, ..)| high);
        assert_eq!(high(columns.view()), high(turned.t()));
    }

    #[test]
    fn what_has_no_bound_says_so() {
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
