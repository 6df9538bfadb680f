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

use super::threads;
use ndarray::{ArrayView1, ArrayView2};
use std::array;

/// Products that are added up before their remainders are.
const DEPTH: usize = 256;
/// Rows and columns of a tile.
const HEIGHT: usize = 2;
const WIDTH: usize = 8;
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

/// Σ_k rows[n, k]·columns[m, k] for every n and m, row by row.
pub fn products(rows: ArrayView2<'_, f64>, columns: ArrayView2<'_, f64>) -> Vec<Bounded> {
    let (count, wide) = (rows.nrows(), columns.nrows());
    if count == 0 || wide == 0 {
        return Vec::new();
    }
    let norms = |m: &ArrayView2<'_, f64>| m.rows().into_iter().map(norm).collect::<Vec<f64>>();
    let right = Right { packed: pack(columns, WIDTH), norms: norms(&columns), depth: columns.ncols() };
    let row_norms = norms(&rows);
    let mut all = vec![(0.0, 0.0, 0.0); count * wide];
    let threads = if count * wide * right.depth < ALONE { 1 } else { threads::count() };
    let each = count.div_ceil(threads.max(1)).next_multiple_of(HEIGHT);
    threads::each(all.chunks_mut(each * wide).enumerate().collect(), |(part, out)| {
        for (block, out) in out.chunks_mut(ROWS * wide).enumerate() {
            let first = part * each + block * ROWS;
            let last = first + out.len() / wide;
            right.times(rows.slice(ndarray::s![first..last, ..]), &row_norms[first..last], out);
        }
    });
    all
}

/// At least √Σ v²; NaN where a number is none or infinite, infinite where the bound below is not to be trusted.
fn norm(values: ArrayView1<'_, f64>) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
    if values.iter().any(|v| !v.is_finite()) {
        f64::NAN
    } else if largest == 0.0 {
        0.0
    } else if largest > SPLITS || largest < SPLITS.recip() {
        f64::INFINITY
    } else {
        let scale = largest.recip();
        // Of a million terms and a millionth more, no rounding gets below.
        values.iter().map(|v| (v * scale) * (v * scale)).sum::<f64>().sqrt() * largest * (1.0 + 1e-6)
    }
}

/// Rows in groups of `width`, filled up with zeros: number k of each of a group's rows, for every k.
fn pack(rows: ArrayView2<'_, f64>, width: usize) -> Vec<f64> {
    let depth = rows.ncols();
    let mut packed = vec![0.0; rows.nrows().next_multiple_of(width) * depth];
    for (n, row) in rows.rows().into_iter().enumerate() {
        let group = &mut packed[n / width * width * depth..];
        row.iter().enumerate().for_each(|(k, &value)| group[k * width + n % width] = value);
    }
    packed
}

/// The right factor, ready.
struct Right {
    packed: Vec<f64>,
    norms: Vec<f64>,
    depth: usize,
}

/// A tile's accumulators and the sums of their remainders.
type Tile = ([[f64; WIDTH]; HEIGHT], [[f64; WIDTH]; HEIGHT]);

impl Right {
    /// Some rows times the columns.
    fn times(&self, rows: ArrayView2<'_, f64>, norms: &[f64], out: &mut [Bounded]) {
        let (groups, panels) = (rows.nrows().div_ceil(HEIGHT), self.norms.len().div_ceil(WIDTH));
        let start = |n: usize, m: usize| match (norms.get(n), self.norms.get(m)) {
            (Some(&row), Some(&column)) => Start::new(row, column),
            _ => Start::Zero,
        };
        let mut tiles = Vec::with_capacity(groups * panels);
        for (panel, group) in (0..panels).flat_map(|panel| (0..groups).map(move |group| (panel, group))) {
            let begin = |r: usize, c: usize| start(group * HEIGHT + r, panel * WIDTH + c).value();
            let sums: [[f64; WIDTH]; HEIGHT] = array::from_fn(|r| array::from_fn(|c| begin(r, c)));
            tiles.push((sums, [[0.0; WIDTH]; HEIGHT]));
        }
        for from in (0..self.depth).step_by(DEPTH) {
            let to = (from + DEPTH).min(self.depth);
            let left = pack(rows.slice(ndarray::s![.., from..to]), HEIGHT);
            for (place, tile) in tiles.iter_mut().enumerate() {
                let (panel, group) = (place / groups, place % groups);
                let b = &self.packed[(panel * self.depth + from) * WIDTH..(panel * self.depth + to) * WIDTH];
                let size = HEIGHT * (to - from);
                add(&left[group * size..(group + 1) * size], b, tile);
            }
        }
        for (place, entry) in out.iter_mut().enumerate() {
            let (n, m) = (place / self.norms.len(), place % self.norms.len());
            let (sums, rests) = &tiles[m / WIDTH * groups + n / HEIGHT];
            let (sum, rest) = (sums[n % HEIGHT][m % WIDTH], rests[n % HEIGHT][m % WIDTH]);
            *entry = start(n, m).bounded(sum, rest, self.depth);
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

/// Adds a block of products to a tile.
fn add(a: &[f64], b: &[f64], (sums, rests): &mut Tile) {
    let mut left = [[0.0; WIDTH]; HEIGHT];
    for (a, b) in a.chunks_exact(HEIGHT).zip(b.chunks_exact(WIDTH)) {
        for r in 0..HEIGHT {
            for c in 0..WIDTH {
                let (product, error) = two_product(a[r], b[c]);
                let next = sums[r][c] + product;
                left[r][c] += (product - (next - sums[r][c])) + error;
                sums[r][c] = next;
            }
        }
    }
    rests.as_flattened_mut().iter_mut().zip(left.as_flattened()).for_each(|(rest, left)| *rest += left);
}

/// a·b = product + error, exactly where nothing underflows (Dekker, Veltkamp).
fn two_product(a: f64, b: f64) -> (f64, f64) {
    const HALVES: f64 = (1u32 << 27) as f64 + 1.0;
    let split = |v: f64| {
        let high = v * HALVES - (v * HALVES - v);
        (high, v - high)
    };
    let ((a_high, a_low), (b_high, b_low), product) = (split(a), split(b), a * b);
    (product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)
}
