//! A number that remembers how it was made: what the computational graph and the arithmetic step by step are drawn from.
//!
//! The log of operations belongs to the thread and is taken with [`record`]. Values are double-double, so what is shown of
//! them is right to the last digit. Where a formula takes a detour for exactness alone (a logarithm that does not go through
//! the probability, a constant that is taken off and added again), the trace takes the way of the textbook.

use super::{DoubleDouble, Scalar, dot};
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number, and the entry of the log that made it; a constant has none.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    value: DoubleDouble,
    entry: Option<u32>,
}

/// What an operation reads: a number, and the entry that made it.
pub type Read = (DoubleDouble, Option<usize>);

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// A number that was given.
    Leaf,
    /// Σ of all that it reads.
    Sum,
    /// The first less the second.
    Less,
    /// The product of two.
    Times,
    /// The first over the second.
    Over,
    /// −x.
    Minus,
    /// e^(x − shift); the shift is the largest of its softmax, and changes no quotient.
    Exp {
        /// What is taken off first.
        shift: f64,
    },
    /// log(x + eps).
    Ln {
        /// What is added first.
        eps: f64,
    },
    /// tanh x.
    Tanh,
    /// x where it is positive, else 0.
    Relu,
    /// The second where the first is positive, else 0.
    Gate,
    /// The largest of all that it reads.
    Max,
}

/// What the textbook calls a number, and how it is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// Its name, `e`.
    pub name: &'static str,
    /// What it stands for, `e^(x − max)`.
    pub meaning: &'static str,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What was done.
    pub op: Op,
    /// To what, in order.
    pub reads: Vec<Read>,
    /// What came of it.
    pub value: DoubleDouble,
    /// Its name, where the formula gives it one.
    pub called: Option<Called>,
}

thread_local! {
    static LOG: RefCell<Log> = const { RefCell::new(Log::new(0, 0)) };
}

struct Log {
    entries: Vec<Entry>,
    room: usize,
    full: bool,
    /// So many entries of a product are followed, from the first on.
    focus: usize,
    /// While it is above 0, nothing is written down.
    paused: usize,
}

impl Log {
    const fn new(room: usize, focus: usize) -> Log {
        Log { entries: Vec::new(), room, full: false, focus, paused: 0 }
    }
}

/// What was recorded while `work` ran, and its result; no log where it had more than `room` operations.
pub fn record<R>(room: usize, work: impl FnOnce() -> R) -> (Option<Vec<Entry>>, R) {
    let (log, result) = recorded(Log::new(room, usize::MAX), work);
    ((!log.full).then_some(log.entries), result)
}

/// The first operations, up to `room`, and of every product of matrices those of its first `focus` entries.
pub fn record_first<R>(focus: usize, room: usize, work: impl FnOnce() -> R) -> (Vec<Entry>, R) {
    let (log, result) = recorded(Log::new(room, focus), work);
    (log.entries, result)
}

fn recorded<R>(log: Log, work: impl FnOnce() -> R) -> (Log, R) {
    LOG.set(log);
    let result = work();
    (LOG.replace(Log::new(0, 0)), result)
}

impl Traced {
    /// A number that is given, as an entry of its own.
    pub fn leaf(value: f64) -> Traced {
        Traced::log(Op::Leaf, &[], DoubleDouble::from_f64(value))
    }

    /// The entry that made it; a constant has none.
    pub fn entry(self) -> Option<usize> {
        self.entry.and_then(|entry| usize::try_from(entry).ok())
    }

    /// The number.
    pub fn value(self) -> DoubleDouble {
        self.value
    }

    fn log(op: Op, reads: &[Traced], value: DoubleDouble) -> Traced {
        let entry = LOG.with_borrow_mut(|log| {
            if log.paused > 0 {
                return None;
            }
            if log.entries.len() >= log.room {
                log.full = true;
                return None;
            }
            let reads = reads.iter().map(|read| (read.value, read.entry())).collect();
            log.entries.push(Entry { op, reads, value, called: None });
            u32::try_from(log.entries.len() - 1).ok()
        });
        Traced { value, entry }
    }

    /// Whether it is log 0, or −log 0.
    fn is_infinite_log(self) -> bool {
        let log = |op: Op| matches!(op, Op::Ln { .. } | Op::Minus);
        let made =
            self.entry().and_then(|entry| LOG.with_borrow(|all| all.entries.get(entry).map(|made| log(made.op))));
        self.to_f64().is_infinite() && made == Some(true)
    }

    /// The result of an operation; of constants, a constant.
    fn made(op: Op, reads: &[Traced], value: DoubleDouble) -> Traced {
        if reads.iter().all(|read| read.entry.is_none()) {
            Traced { value, entry: None }
        } else {
            Traced::log(op, reads, value)
        }
    }
}

/// A number that was given is never the constant that it equals: what a formula leaves out because it is 0 stays in the
/// picture.
impl PartialEq for Traced {
    fn eq(&self, other: &Traced) -> bool {
        self.value == other.value && self.entry == other.entry
    }
}

impl PartialOrd for Traced {
    fn partial_cmp(&self, other: &Traced) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl Add for Traced {
    type Output = Traced;
    fn add(self, other: Traced) -> Traced {
        Traced::made(Op::Sum, &[self, other], self.value + other.value)
    }
}

impl Sub for Traced {
    type Output = Traced;
    fn sub(self, other: Traced) -> Traced {
        Traced::made(Op::Less, &[self, other], self.value - other.value)
    }
}

impl Mul for Traced {
    type Output = Traced;
    fn mul(self, other: Traced) -> Traced {
        let zero = |number: Traced| number.to_f64() == 0.0;
        // 0·log 0 is 0.
        let nothing = (zero(self) && other.is_infinite_log()) || (zero(other) && self.is_infinite_log());
        let value = if nothing { DoubleDouble::zero() } else { self.value * other.value };
        Traced::made(Op::Times, &[self, other], value)
    }
}

impl Div for Traced {
    type Output = Traced;
    fn div(self, other: Traced) -> Traced {
        Traced::made(Op::Over, &[self, other], self.value / other.value)
    }
}

impl Neg for Traced {
    type Output = Traced;
    fn neg(self) -> Traced {
        Traced::made(Op::Minus, &[self], -self.value)
    }
}

impl Scalar for Traced {
    fn from_f64(value: f64) -> Traced {
        Traced { value: DoubleDouble::from_f64(value), entry: None }
    }
    fn to_f64(self) -> f64 {
        self.value.to_f64()
    }
    fn exp(self) -> Traced {
        Traced::made(Op::Exp { shift: 0.0 }, &[self], self.value.exp())
    }
    fn ln(self) -> Traced {
        Traced::made(Op::Ln { eps: 0.0 }, &[self], self.value.ln())
    }
    fn ln_1p(self) -> Traced {
        Traced::made(Op::Ln { eps: 1.0 }, &[self], self.value.ln_1p())
    }
    fn tanh(self) -> Traced {
        Traced::made(Op::Tanh, &[self], self.value.tanh())
    }

    fn exp_shifted(x: Traced, shift: Traced) -> Traced {
        let value = DoubleDouble::exp_shifted(x.value, shift.value);
        Traced::made(Op::Exp { shift: shift.to_f64() }, &[x], value)
    }

    /// Through the probability, as it is taught; the number is the one that keeps its digits.
    fn log_probability(x: Traced, shift: Traced, log: Traced, y: Traced) -> Traced {
        let value = DoubleDouble::log_shifted(x.value, shift.value, log.value);
        Traced::made(Op::Ln { eps: 0.0 }, &[y], value)
    }

    fn ln_sum(a: Traced, b: Traced) -> Traced {
        Traced::made(Op::Ln { eps: b.to_f64() }, &[a], DoubleDouble::ln_sum(a.value, b.value))
    }

    /// A number that has a name already, or was given, gets the new one as the sum of itself alone.
    fn called(self, name: &'static str, meaning: &'static str) -> Traced {
        let Some(entry) = self.entry() else { return self };
        let name_it = |entry: usize| {
            LOG.with_borrow_mut(|log| match log.entries.get_mut(entry) {
                Some(made) if made.op != Op::Leaf && made.called.is_none() => {
                    made.called = Some(Called { name, meaning });
                    true
                }
                _ => false,
            })
        };
        if name_it(entry) {
            return self;
        }
        let again = Traced::log(Op::Sum, &[self], self.value);
        again.entry().map(name_it);
        again
    }

    /// The number that keeps its digits, made as it is taught.
    fn detour(exact: impl FnOnce() -> Traced, taught: impl FnOnce() -> Traced) -> Traced {
        let pause = |by: isize| LOG.with_borrow_mut(|log| log.paused = log.paused.saturating_add_signed(by));
        pause(1);
        let value = exact().value;
        pause(-1);
        let entry = taught().entry;
        LOG.with_borrow_mut(|log| {
            let made = entry.and_then(|entry| usize::try_from(entry).ok()).and_then(|entry| log.entries.get_mut(entry));
            if let Some(made) = made {
                made.value = value;
            }
        });
        Traced { value, entry }
    }

    fn largest(lane: ArrayView1<'_, Traced>, at: usize) -> Traced {
        Traced::made(Op::Max, &lane.to_vec(), lane[at].value)
    }

    fn matmul(a: ArrayView2<'_, Traced>, b: ArrayView2<'_, Traced>) -> Array2<Traced> {
        let focus = LOG.with_borrow(|log| log.focus);
        let plain = |n: usize, m: usize| {
            let products = a.row(n).into_iter().zip(b.column(m)).map(|(a, b)| a.value * b.value);
            Traced { value: DoubleDouble::sum(products), entry: None }
        };
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(n, m)| {
            if n * b.ncols() + m < focus { dot(a.row(n), b.column(m)) } else { plain(n, m) }
        })
    }

    fn pivot(_: Traced) -> Traced {
        Traced::zero()
    }

    fn gate(self, value: Traced) -> Traced {
        let open = DoubleDouble::gate(self.value, value.value);
        match (self.entry, value.entry) {
            (Some(x), Some(value)) if x == value => Traced::made(Op::Relu, &[self], open),
            _ => Traced::made(Op::Gate, &[self, value], open),
        }
    }

    /// One node however many terms there are; what is 0 by definition is none, and a single term is its own sum.
    fn sum(terms: impl Iterator<Item = Traced>) -> Traced {
        let terms: Vec<Traced> = terms.filter(|term| term.entry.is_some() || term.to_f64() != 0.0).collect();
        match terms[..] {
            [] => Traced::zero(),
            [term] => term,
            _ => Traced::made(Op::Sum, &terms, DoubleDouble::sum(terms.iter().map(|term| term.value))),
        }
    }
}

/// The derivative of each entry by what it reads, in order.
pub fn local(entry: &Entry) -> Vec<DoubleDouble> {
    let one = DoubleDouble::one();
    let read = |n: usize| entry.reads[n].0;
    match entry.op {
        Op::Leaf => Vec::new(),
        Op::Sum => vec![one; entry.reads.len()],
        Op::Less => vec![one, -one],
        Op::Times => vec![read(1), read(0)],
        Op::Over => vec![one / read(1), -(entry.value / read(1))],
        Op::Minus => vec![-one],
        Op::Exp { .. } => vec![entry.value],
        Op::Ln { eps } => vec![one / (read(0) + DoubleDouble::from_f64(eps))],
        Op::Tanh => vec![one - entry.value * entry.value],
        Op::Relu => vec![DoubleDouble::gate(read(0), one)],
        Op::Gate => vec![DoubleDouble::zero(), DoubleDouble::gate(read(0), one)],
        Op::Max => {
            let at = (0..entry.reads.len()).find(|&n| read(n) == entry.value);
            (0..entry.reads.len()).map(|n| if Some(n) == at { one } else { DoubleDouble::zero() }).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_leave_no_entries() {
        let (log, sum) = record(10, || Traced::from_f64(2.0) * Traced::from_f64(3.0) + Traced::one());
        assert_eq!((log.unwrap_or_default().len(), sum.to_f64(), sum.entry()), (0, 7.0, None));
    }

    #[test]
    fn what_is_made_of_leaves_is_logged_in_order() {
        let (log, _) = record(10, || {
            let x = Traced::leaf(2.0);
            Traced::exp_shifted(x * Traced::from_f64(3.0), Traced::from_f64(6.0))
        });
        let ops: Vec<Op> = log.unwrap_or_default().iter().map(|entry| entry.op).collect();
        assert_eq!(ops, [Op::Leaf, Op::Times, Op::Exp { shift: 6.0 }]);
    }

    #[test]
    fn a_log_that_has_no_room_is_none() {
        let (log, value) = record(2, || {
            let x = Traced::leaf(2.0);
            x * x * x
        });
        assert!(log.is_none());
        assert_eq!(value.to_f64(), 8.0);
    }
}
