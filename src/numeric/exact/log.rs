//! About 100 bits of every number of a computation, and how it was made, so that one whose digits are in doubt can be computed
//! again with more.

use super::ball::Ball;
use super::enclosure::Enclosure;
use super::functions;
use crate::numeric::superaccumulator::Accumulator;
use ndarray::Array2;
use num_bigint::{BigInt, Sign};
use std::cell::RefCell;
use std::collections::HashMap;

/// A number that an operation reads: a double, or what an earlier operation made. Doubles are their own bits; the place of
/// an operation is the payload of a NaN that no arithmetic makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Read(u64);

/// The bits of a [`Read`] that is no double.
const MADE: u64 = 0x7ffc << 48;
/// Marks an entry of a product of matrices.
const PRODUCT: u64 = 1 << 49;
/// Bits for the place in a product of matrices.
const PLACE: u32 = 36;

impl Read {
    pub(crate) fn double(value: f64) -> Read {
        Read(if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() })
    }

    /// The double, where it is one.
    pub(crate) fn as_double(self) -> Option<f64> {
        (self.0 & MADE != MADE).then_some(f64::from_bits(self.0))
    }

    fn payload(self) -> u64 {
        self.0 & !MADE
    }

    /// Of an entry of a product of matrices, which product and where in it.
    fn place(self) -> Option<(usize, usize)> {
        let whole = |bits: u64| usize::try_from(bits).unwrap_or(usize::MAX);
        let place = self.payload() & !PRODUCT;
        (self.payload() & PRODUCT != 0).then(|| (whole(place >> PLACE), whole(place & ((1 << PLACE) - 1))))
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Times,
    Over,
    Exp,
    Ln,
    Ln1p,
    Tanh,
    Minus,
    /// Σ of terms that lie together: from the first place, so many.
    Sum,
}

#[derive(Clone, Copy)]
struct Entry {
    op: Op,
    first: u64,
    second: u64,
    near: Enclosure,
}

/// A product of matrices: rows of the first, columns of the second as rows, and its entries.
struct Product {
    rows: Array2<f64>,
    columns: Array2<f64>,
    near: Vec<Enclosure>,
}

/// All that was done since a computation began.
#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    terms: Vec<Read>,
    products: Vec<Product>,
}

/// Sums that were computed with more digits, by precision.
type Known = HashMap<(Read, i64), Option<Ball>>;

thread_local! {
    static LOG: RefCell<Log> = RefCell::default();
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Does `work` with a log of its own, which ends with it.
pub(crate) fn apart<R>(work: impl FnOnce() -> R) -> R {
    struct Back(Log, Known);
    impl Drop for Back {
        fn drop(&mut self) {
            LOG.set(std::mem::take(&mut self.0));
            KNOWN.set(std::mem::take(&mut self.1));
        }
    }
    let _back = Back(LOG.take(), KNOWN.take());
    work()
}

/// Logs an operation of one or two numbers.
pub(crate) fn push(op: Op, [first, second]: [Read; 2], near: Enclosure) -> Read {
    LOG.with_borrow_mut(|log| log.push(op, first.0, second.0, near))
}

/// Logs a + b; where a is the sum that was logged last, the longer sum shares its terms.
pub(crate) fn push_sum(terms: [Read; 2], near: Enclosure) -> Read {
    LOG.with_borrow_mut(|log| {
        let last = |entry: &&Entry| entry.op == Op::Sum && entry.first + entry.second == log.terms.len() as u64;
        let first = log.entries.get(at(terms[0])).filter(|_| is_entry(terms[0])).filter(last).copied();
        if let Some(entry) = first {
            log.terms.push(terms[1]);
            return log.push(Op::Sum, entry.first, entry.second + 1, near);
        }
        log.push_terms(terms, near)
    })
}

/// Logs Σ terms.
pub(crate) fn push_terms(terms: impl IntoIterator<Item = Read>, near: Enclosure) -> Read {
    LOG.with_borrow_mut(|log| log.push_terms(terms, near))
}

/// Logs a product of matrices; gives its entries.
pub(crate) fn push_product(
    rows: Array2<f64>,
    columns: Array2<f64>,
    near: Vec<Enclosure>,
) -> impl Iterator<Item = Read> {
    let block = LOG.with_borrow(|log| log.products.len() as u64);
    let entry = |(place, near): (usize, &Enclosure)| {
        if near.is_double() { Read::double(near.high) } else { Read(MADE | PRODUCT | block << PLACE | place as u64) }
    };
    let entries: Vec<Read> = near.iter().enumerate().map(entry).collect();
    LOG.with_borrow_mut(|log| log.products.push(Product { rows, columns, near }));
    entries.into_iter()
}

/// About 100 bits of what an operation made.
pub(crate) fn near(read: Read) -> Enclosure {
    LOG.with_borrow(|log| match read.place() {
        Some((product, place)) => log.products[product].near[place],
        None => log.entries[at(read)].near,
    })
}

/// The factors of an entry of a product of matrices.
pub(crate) fn factors(rows: &Array2<f64>, columns: &Array2<f64>, place: usize) -> impl Iterator<Item = (f64, f64)> {
    let (row, column) = (rows.row(place / columns.nrows()), columns.row(place % columns.nrows()));
    row.into_iter().zip(column).map(|(&a, &b)| (a, b))
}

/// An entry of a product of matrices, exactly.
pub(crate) fn product(rows: &Array2<f64>, columns: &Array2<f64>, place: usize) -> Ball {
    let mut sum = Accumulator::default();
    factors(rows, columns, place).for_each(|(a, b)| sum.add_product(a, b));
    total(sum)
}

fn is_entry(read: Read) -> bool {
    read.as_double().is_none() && read.place().is_none()
}

fn at(read: Read) -> usize {
    usize::try_from(read.payload()).unwrap_or(usize::MAX)
}

impl Log {
    fn push(&mut self, op: Op, first: u64, second: u64, near: Enclosure) -> Read {
        self.entries.push(Entry { op, first, second, near });
        Read(MADE | (self.entries.len() as u64 - 1))
    }

    fn push_terms(&mut self, terms: impl IntoIterator<Item = Read>, near: Enclosure) -> Read {
        let first = self.terms.len() as u64;
        self.terms.extend(terms);
        self.push(Op::Sum, first, self.terms.len() as u64 - first, near)
    }

    /// The number with so many bits; none where so many tell nothing.
    fn value(&self, read: Read, bits: i64, known: &mut Known) -> Option<Ball> {
        if let Some(value) = read.as_double() {
            return Some(Ball::of(value));
        }
        if let Some((at, place)) = read.place() {
            let Product { rows, columns, .. } = &self.products[at];
            return Some(product(rows, columns, place));
        }
        let entry = self.entries[at(read)];
        if entry.op == Op::Sum {
            if let Some(sum) = known.get(&(read, bits)) {
                return sum.clone();
            }
            let sum = self.sum(entry, bits, known);
            known.insert((read, bits), sum.clone());
            return sum;
        }
        let first = self.value(Read(entry.first), bits, known)?;
        let mut second = || self.value(Read(entry.second), bits, known);
        match entry.op {
            Op::Times => Some(first.times(&second()?, bits)),
            Op::Over => first.over(&second()?, bits),
            Op::Exp => functions::exp(&first, bits),
            Op::Ln => functions::ln(&first, bits),
            Op::Ln1p => functions::ln_1p(&first, bits),
            Op::Tanh => functions::tanh(&first, bits),
            Op::Minus => Some(first.negated()),
            Op::Sum => None,
        }
    }

    fn sum(&self, entry: Entry, bits: i64, known: &mut Known) -> Option<Ball> {
        let range = |at: u64| usize::try_from(at).unwrap_or_default();
        let terms = &self.terms[range(entry.first)..range(entry.first + entry.second)];
        let mut sum = Ball::whole(0);
        // Doubles are added up exactly; of all else, to the precision.
        let mut doubles = Accumulator::default();
        for &term in terms {
            match term.as_double() {
                Some(value) => doubles.add(value),
                None => sum = sum.plus(&self.value(term, bits, known)?, bits),
            }
        }
        Some(sum.plus(&total(doubles), bits))
    }
}

fn total(sum: Accumulator) -> Ball {
    let (negative, digits, scale) = sum.total();
    Ball::new(BigInt::from_slice(if negative { Sign::Minus } else { Sign::Plus }, &digits), scale.into())
}

/// Asks the number, with more and more bits, until there is an answer. `last` says that no more bits will come.
///
/// The bits are bounded: a formula of a layer multiplies at most four doubles and divides by one, so its terms lie between
/// 2^4200 and 2^−4200 (or are some e^x below all that), and what is printed needs no place below 2⁻¹⁰⁸⁵.
pub(crate) fn ask<R>(read: Read, mut question: impl FnMut(Ball, bool) -> Option<R>) -> Option<R> {
    const FEWEST: i64 = 160;
    const MOST: i64 = FEWEST << 6;
    LOG.with_borrow(|log| {
        KNOWN.with_borrow_mut(|known| {
            // What was computed for other entries is worth keeping as long as there is room.
            if known.len() > 1 << 16 {
                known.clear();
            }
            std::iter::successors(Some(FEWEST), |bits| (*bits < MOST).then_some(bits * 2))
                .find_map(|bits| question(log.value(read, bits, known)?, bits >= MOST / 2))
        })
    })
}
