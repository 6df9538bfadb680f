//! Recorded expressions: an enclosure of every number of a computation, and the operation that made it, so that a number whose
//! nearest double is in doubt can be evaluated again with more bits.

use super::ball::Ball;
use super::circle;
use super::elementary;
use super::enclosure::Enclosure;
use super::normal;
use crate::numeric::superaccumulator::Superaccumulator;
use ndarray::Array2;
use std::cell::RefCell;
use std::collections::HashMap;

/// A double, or a reference to a recorded result. A double is its own bits; a reference is the payload of a NaN that no
/// arithmetic returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Handle(u64);

/// Bits of a [`Handle`] that is a reference.
const REFERENCE: u64 = 0x7ffc << 48;
/// Bit of a reference to an element of a matrix product.
const PRODUCT: u64 = 1 << 49;
/// Number of bits for the place in a matrix product.
const PLACE_BITS: u32 = 36;

impl Handle {
    pub(crate) fn double(value: f64) -> Handle {
        Handle(if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() })
    }

    /// Returns the double, unless it is a reference.
    pub(crate) fn as_double(self) -> Option<f64> {
        (self.0 & REFERENCE != REFERENCE).then_some(f64::from_bits(self.0))
    }

    fn payload(self) -> u64 {
        self.0 & !REFERENCE
    }

    /// Returns the product and the place in it, if it refers to an element of a matrix product.
    fn product_element(self) -> Option<(usize, usize)> {
        let index = |bits: u64| usize::try_from(bits).unwrap_or(usize::MAX);
        let place = self.payload() & !PRODUCT;
        (self.payload() & PRODUCT != 0).then(|| (index(place >> PLACE_BITS), index(place & ((1 << PLACE_BITS) - 1))))
    }
}

/// A recorded operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Multiply,
    Divide,
    Exp,
    Ln,
    Ln1p,
    Sqrt,
    Tanh,
    Sin,
    Cos,
    NormalCdf,
    NormalDensity,
    Negate,
    /// The sum of consecutive terms; the operands are the index of the first and their number.
    Sum,
}

#[derive(Clone, Copy)]
struct Node {
    op: Op,
    first: u64,
    second: u64,
    enclosure: Enclosure,
}

/// A matrix product: the rows of the left factor, the columns of the right one, and the elements.
struct Product {
    rows: Array2<f64>,
    columns: Array2<f64>,
    elements: Vec<Enclosure>,
}

/// All expressions of a computation.
#[derive(Default)]
struct Expressions {
    nodes: Vec<Node>,
    terms: Vec<Handle>,
    products: Vec<Product>,
}

/// Sums that were evaluated again, by handle and number of bits.
type RefinedSums = HashMap<(Handle, i64), Option<Ball>>;

thread_local! {
    static EXPRESSIONS: RefCell<Expressions> = RefCell::default();
    static REFINED_SUMS: RefCell<RefinedSums> = RefCell::default();
}

/// Runs `work` with expressions of its own. Numbers of it must be rounded before it ends.
pub fn with_expressions<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(Expressions, RefinedSums);
    impl Drop for Restore {
        fn drop(&mut self) {
            EXPRESSIONS.set(std::mem::take(&mut self.0));
            REFINED_SUMS.set(std::mem::take(&mut self.1));
        }
    }
    let _restore = Restore(EXPRESSIONS.take(), REFINED_SUMS.take());
    work()
}

/// Records an operation on one or two numbers.
pub(crate) fn record(op: Op, [first, second]: [Handle; 2], enclosure: Enclosure) -> Handle {
    EXPRESSIONS.with_borrow_mut(|expressions| expressions.push(op, first.0, second.0, enclosure))
}

/// Records a + b. If a is the sum that was recorded last, the longer sum shares its terms.
pub(crate) fn record_sum(terms: [Handle; 2], enclosure: Enclosure) -> Handle {
    EXPRESSIONS.with_borrow_mut(|expressions| {
        let is_last = |node: &&Node| node.op == Op::Sum && node.first + node.second == expressions.terms.len() as u64;
        let first = expressions.nodes.get(node_index(terms[0])).filter(|_| is_node(terms[0])).filter(is_last).copied();
        if let Some(node) = first {
            expressions.terms.push(terms[1]);
            return expressions.push(Op::Sum, node.first, node.second + 1, enclosure);
        }
        expressions.push_terms(terms, enclosure)
    })
}

/// Records Σ terms.
pub(crate) fn record_terms(terms: impl IntoIterator<Item = Handle>, enclosure: Enclosure) -> Handle {
    EXPRESSIONS.with_borrow_mut(|expressions| expressions.push_terms(terms, enclosure))
}

/// Records a matrix product; returns its elements row by row.
pub(crate) fn record_product(
    rows: Array2<f64>,
    columns: Array2<f64>,
    elements: Vec<Enclosure>,
) -> impl Iterator<Item = Handle> {
    let product = EXPRESSIONS.with_borrow(|expressions| expressions.products.len() as u64);
    let handle = |(place, enclosure): (usize, &Enclosure)| {
        if enclosure.is_double() {
            Handle::double(enclosure.high)
        } else {
            Handle(REFERENCE | PRODUCT | product << PLACE_BITS | place as u64)
        }
    };
    let handles: Vec<Handle> = elements.iter().enumerate().map(handle).collect();
    EXPRESSIONS.with_borrow_mut(|expressions| expressions.products.push(Product { rows, columns, elements }));
    handles.into_iter()
}

/// Returns about 100 bits of a recorded result.
#[inline]
pub(crate) fn enclosure(handle: Handle) -> Enclosure {
    EXPRESSIONS.with_borrow(|expressions| match handle.product_element() {
        Some((product, place)) => expressions.products[product].elements[place],
        None => expressions.nodes[node_index(handle)].enclosure,
    })
}

/// Returns the factors of an element of a matrix product.
pub(crate) fn factors(rows: &Array2<f64>, columns: &Array2<f64>, place: usize) -> impl Iterator<Item = (f64, f64)> {
    let (row, column) = (rows.row(place / columns.nrows()), columns.row(place % columns.nrows()));
    row.into_iter().zip(column).map(|(&a, &b)| (a, b))
}

/// Returns an element of a matrix product exactly.
pub(crate) fn exact_element(rows: &Array2<f64>, columns: &Array2<f64>, place: usize) -> Ball {
    let mut sum = Superaccumulator::default();
    factors(rows, columns, place).for_each(|(a, b)| sum.add_product(a, b));
    to_ball(&sum)
}

fn is_node(handle: Handle) -> bool {
    handle.as_double().is_none() && handle.product_element().is_none()
}

fn node_index(handle: Handle) -> usize {
    usize::try_from(handle.payload()).unwrap_or(usize::MAX)
}

impl Expressions {
    fn push(&mut self, op: Op, first: u64, second: u64, enclosure: Enclosure) -> Handle {
        self.nodes.push(Node { op, first, second, enclosure });
        Handle(REFERENCE | (self.nodes.len() as u64 - 1))
    }

    fn push_terms(&mut self, terms: impl IntoIterator<Item = Handle>, enclosure: Enclosure) -> Handle {
        let first = self.terms.len() as u64;
        self.terms.extend(terms);
        self.push(Op::Sum, first, self.terms.len() as u64 - first, enclosure)
    }

    /// Evaluates a number with `bits` bits; returns nothing if these are too few for a result.
    fn evaluate(&self, handle: Handle, bits: i64, refined: &mut RefinedSums) -> Option<Ball> {
        if let Some(value) = handle.as_double() {
            return Some(Ball::from_double(value));
        }
        if let Some((at, place)) = handle.product_element() {
            let Product { rows, columns, .. } = &self.products[at];
            return Some(exact_element(rows, columns, place));
        }
        let node = self.nodes[node_index(handle)];
        if node.op == Op::Sum {
            if let Some(sum) = refined.get(&(handle, bits)) {
                return sum.clone();
            }
            let sum = self.sum(node, bits, refined);
            refined.insert((handle, bits), sum.clone());
            return sum;
        }
        let first = self.evaluate(Handle(node.first), bits, refined)?;
        let mut second = || self.evaluate(Handle(node.second), bits, refined);
        match node.op {
            Op::Multiply => Some(first.times(&second()?, bits)),
            Op::Divide => first.over(&second()?, bits),
            Op::Exp => elementary::exp(&first, bits),
            Op::Ln => elementary::ln(&first, bits),
            Op::Ln1p => elementary::ln_1p(&first, bits),
            Op::Sqrt => elementary::sqrt(&first, bits),
            Op::Tanh => elementary::tanh(&first, bits),
            Op::Sin => circle::sin(&first, bits),
            Op::Cos => circle::cos(&first, bits),
            Op::NormalCdf => normal::cdf(&first, bits),
            Op::NormalDensity => normal::density(&first, bits),
            Op::Negate => Some(first.negated()),
            Op::Sum => None,
        }
    }

    fn sum(&self, node: Node, bits: i64, refined: &mut RefinedSums) -> Option<Ball> {
        let index = |at: u64| usize::try_from(at).unwrap_or_default();
        let terms = &self.terms[index(node.first)..index(node.first + node.second)];
        let mut sum = Ball::from_integer(0);
        // Doubles are added up exactly, other terms to the precision.
        let mut doubles = Superaccumulator::default();
        for &term in terms {
            match term.as_double() {
                Some(value) => doubles.add(value),
                None => sum = sum.plus(&self.evaluate(term, bits, refined)?, bits),
            }
        }
        Some(sum.plus(&to_ball(&doubles), bits))
    }
}

/// Returns the exact sum.
fn to_ball(sum: &Superaccumulator) -> Ball {
    let (value, scale) = sum.to_integer();
    Ball::new(value, scale)
}

/// Evaluates the number with more and more bits, until `answer` returns something. Its second argument is true if there are
/// enough bits for a narrow ball.
///
/// The number of bits is bounded: a formula of a layer multiplies at most four doubles and divides by one, so its terms lie
/// between 2^4200 and 2^−4200 (or are powers e^x below), and printed results need no bits below 2⁻¹⁰⁸⁵.
pub(crate) fn refine<R>(handle: Handle, mut answer: impl FnMut(Ball, bool) -> Option<R>) -> Option<R> {
    const MIN_BITS: i64 = 160;
    const MAX_BITS: i64 = MIN_BITS << 6;
    EXPRESSIONS.with_borrow(|expressions| {
        REFINED_SUMS.with_borrow_mut(|refined| {
            // Sums of other expressions are kept up to this number.
            if refined.len() > 1 << 16 {
                refined.clear();
            }
            std::iter::successors(Some(MIN_BITS), |bits| (*bits < MAX_BITS).then_some(bits * 2))
                .find_map(|bits| answer(expressions.evaluate(handle, bits, refined)?, bits >= MAX_BITS / 2))
        })
    })
}
