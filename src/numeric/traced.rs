//! Numbers that record the operations on them, for computational graphs and worked steps.
//!
//! The trace belongs to the thread; [`record`] returns it. Values are double-double, so every digit that is shown of them is
//! right. Where a formula differs from the textbook's for numerical stability, the textbook's operations are recorded with the
//! values of the stable formula.

use super::double_double::DoubleDouble;
use super::operations::{Entry, Op, TextbookName};
use super::scalar::Scalar;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number and the index of the recorded operation that returned it; a constant has none.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    value: DoubleDouble,
    entry: Option<u32>,
}

thread_local! {
    static LOG: RefCell<Log> = const { RefCell::new(Log::new(0, 0)) };
}

struct Log {
    entries: Vec<Entry>,
    /// Largest number of operations.
    capacity: usize,
    is_full: bool,
    /// Number of elements of a matrix product that are recorded, from the first on.
    recorded_elements: usize,
    /// Number of formulas that are not recorded and are being computed.
    pauses: usize,
}

impl Log {
    const fn new(capacity: usize, recorded_elements: usize) -> Log {
        Log { entries: Vec::new(), capacity, is_full: false, recorded_elements, pauses: 0 }
    }
}

/// Runs `work`; returns its trace, unless it had more than `capacity` operations, and its result.
pub fn record<R>(capacity: usize, work: impl FnOnce() -> R) -> (Option<Vec<Entry>>, R) {
    let (log, result) = run_with(Log::new(capacity, usize::MAX), work);
    ((!log.is_full).then_some(log.entries), result)
}

/// Runs `work`; returns its first `capacity` operations, and its result. Of each matrix product, the operations of the first
/// `elements` elements are recorded.
pub fn record_first<R>(elements: usize, capacity: usize, work: impl FnOnce() -> R) -> (Vec<Entry>, R) {
    let (log, result) = run_with(Log::new(capacity, elements), work);
    (log.entries, result)
}

fn run_with<R>(log: Log, work: impl FnOnce() -> R) -> (Log, R) {
    LOG.set(log);
    let result = work();
    (LOG.replace(Log::new(0, 0)), result)
}

/// Returns the number of elements of a matrix product whose operations are recorded.
pub(crate) fn recorded_elements() -> usize {
    LOG.with_borrow(|log| log.recorded_elements)
}

/// Records no operations until it is called with −1 as often as with 1.
pub(super) fn pause(by: isize) {
    LOG.with_borrow_mut(|log| log.pauses = log.pauses.saturating_add_signed(by));
}

impl Traced {
    /// Returns a number that is not recorded.
    pub(crate) fn constant(value: DoubleDouble) -> Traced {
        Traced { value, entry: None }
    }

    /// Records an input.
    pub fn leaf(value: f64) -> Traced {
        Traced::log(Op::Leaf, &[], DoubleDouble::from_f64(value))
    }

    /// Returns the index of the operation that returned it; a constant has none.
    pub fn entry(self) -> Option<usize> {
        self.entry.and_then(|entry| usize::try_from(entry).ok())
    }

    /// Returns the number.
    pub fn value(self) -> DoubleDouble {
        self.value
    }

    fn log(op: Op, reads: &[Traced], value: DoubleDouble) -> Traced {
        let entry = LOG.with_borrow_mut(|log| {
            if log.pauses > 0 {
                return None;
            }
            if log.entries.len() >= log.capacity {
                log.is_full = true;
                return None;
            }
            let reads = reads.iter().map(|read| (read.value, read.entry())).collect();
            log.entries.push(Entry { op, reads, value, named: None });
            u32::try_from(log.entries.len() - 1).ok()
        });
        Traced { value, entry }
    }

    /// Returns this number, recorded as the textbook's operations.
    pub(super) fn recorded_as(self, textbook: Traced) -> Traced {
        LOG.with_borrow_mut(|log| {
            if let Some(entry) = textbook.entry().and_then(|at| log.entries.get_mut(at)) {
                entry.value = self.value;
            }
        });
        Traced { entry: textbook.entry, ..self }
    }

    /// Returns true if it is log 0, −log 0 or log 0 − y; −inf − y is log 0 − y for an input of −inf.
    fn is_infinite_log(self) -> bool {
        fn is_log(entries: &[Entry], at: usize) -> bool {
            let Some(Entry { op, reads, value, .. }) = entries.get(at) else { return false };
            let is_first_log = || reads[0].1.is_some_and(|from| is_log(entries, from));
            let is_input = || reads[0].1.is_some_and(|from| entries[from].op == Op::Leaf);
            match op {
                Op::Ln { .. } => value.to_f64().is_infinite(),
                Op::Negate => is_first_log(),
                Op::Subtract if reads[1].0.is_nan() => false,
                Op::Subtract => is_first_log() || (reads[0].0.to_f64() == f64::NEG_INFINITY && is_input()),
                _ => false,
            }
        }
        self.entry().is_some_and(|at| LOG.with_borrow(|log| is_log(&log.entries, at)))
    }

    /// Records the result of an operation; that of constants is a constant.
    pub(crate) fn result(op: Op, reads: &[Traced], value: DoubleDouble) -> Traced {
        if reads.iter().all(|read| read.entry.is_none()) {
            Traced::constant(value)
        } else {
            Traced::log(op, reads, value)
        }
    }
}

/// An input never equals a constant: a formula must not leave out a term for the graph because its value happens to be 0.
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
        Traced::result(Op::Sum, &[self, other], self.value + other.value)
    }
}

impl Sub for Traced {
    type Output = Traced;
    fn sub(self, other: Traced) -> Traced {
        Traced::result(Op::Subtract, &[self, other], self.value - other.value)
    }
}

impl Mul for Traced {
    type Output = Traced;
    fn mul(self, other: Traced) -> Traced {
        let is_zero = |number: Traced| number.to_f64() == 0.0;
        // 0·log 0 is defined as 0.
        let is_zero_log_zero = (is_zero(self) && other.is_infinite_log()) || (is_zero(other) && self.is_infinite_log());
        let value = if is_zero_log_zero { DoubleDouble::zero() } else { self.value * other.value };
        Traced::result(Op::Multiply, &[self, other], value)
    }
}

impl Div for Traced {
    type Output = Traced;
    fn div(self, other: Traced) -> Traced {
        Traced::result(Op::Divide, &[self, other], self.value / other.value)
    }
}

impl Neg for Traced {
    type Output = Traced;
    fn neg(self) -> Traced {
        Traced::result(Op::Negate, &[self], -self.value)
    }
}

impl Scalar for Traced {
    fn from_f64(value: f64) -> Traced {
        Traced::constant(DoubleDouble::from_f64(value))
    }
    fn to_f64(self) -> f64 {
        self.value.to_f64()
    }
    fn exp(self) -> Traced {
        Traced::result(Op::Exp { shift: 0.0 }, &[self], self.value.exp())
    }
    fn exp_m1(self) -> Traced {
        Traced::stable_or_textbook(|| Traced::constant(self.value.exp_m1()), || self.exp() - Traced::one())
    }
    fn ln(self) -> Traced {
        Traced::result(Op::Ln { eps: 0.0 }, &[self], self.value.ln())
    }
    fn ln_1p(self) -> Traced {
        Traced::result(Op::Ln { eps: 1.0 }, &[self], self.value.ln_1p())
    }
    fn sqrt(self) -> Traced {
        Traced::result(Op::Sqrt, &[self], self.value.sqrt())
    }
    fn tanh(self) -> Traced {
        Traced::result(Op::Tanh, &[self], self.value.tanh())
    }
    fn sin(self) -> Traced {
        Traced::result(Op::Sin, &[self], self.value.sin())
    }
    fn cos(self) -> Traced {
        Traced::result(Op::Cos, &[self], self.value.cos())
    }
    fn normal_cdf(self) -> Traced {
        Traced::result(Op::NormalCdf, &[self], self.value.normal_cdf())
    }
    fn normal_density(self) -> Traced {
        Traced::result(Op::NormalDensity, &[self], self.value.normal_density())
    }

    fn exp_shifted(x: Traced, shift: Traced) -> Traced {
        let value = DoubleDouble::exp_shifted(x.value, shift.value);
        Traced::result(Op::Exp { shift: shift.to_f64() }, &[x], value)
    }

    fn ln_sum(a: Traced, b: Traced) -> Traced {
        Traced::result(Op::Ln { eps: b.to_f64() }, &[a], DoubleDouble::ln_sum(a.value, b.value))
    }

    /// Names the number; of an input, or of a number that has a name, a sum with itself as the only term.
    fn named(self, name: &'static str, meaning: &'static str) -> Traced {
        let Some(entry) = self.entry() else { return self };
        let set_name = |entry: usize| {
            LOG.with_borrow_mut(|log| match log.entries.get_mut(entry) {
                Some(entry) if entry.op != Op::Leaf && entry.named.is_none() => {
                    entry.named = Some(TextbookName { name, meaning });
                    true
                }
                _ => false,
            })
        };
        if set_name(entry) {
            return self;
        }
        let sum = Traced::log(Op::Sum, &[self], self.value);
        sum.entry().map(set_name);
        sum
    }

    /// Returns the value of the stable formula, recorded as the textbook's operations.
    fn stable_or_textbook(stable: impl FnOnce() -> Traced, textbook: impl FnOnce() -> Traced) -> Traced {
        pause(1);
        let stable = stable();
        pause(-1);
        stable.recorded_as(textbook())
    }

    fn if_positive(self, value: Traced) -> Traced {
        let result = self.value.if_positive(value.value);
        match (self.entry, value.entry) {
            (Some(x), Some(value)) if x == value => Traced::result(Op::Relu, &[self], result),
            _ => Traced::result(Op::IfPositive, &[self, value], result),
        }
    }

    fn abs(self) -> Traced {
        Traced::result(Op::Abs, &[self], self.value.abs())
    }

    fn clip(self, least: Traced, most: Traced) -> Traced {
        let (value, least, most) = (self.value.clip(least.value, most.value), least.to_f64(), most.to_f64());
        // Infinite limits change nothing.
        if least == f64::NEG_INFINITY && most == f64::INFINITY {
            return self;
        }
        Traced::result(Op::Clip { least, most }, &[self], value)
    }

    /// Records a single operation for any number of terms. Constants 0 are left out, and a single term is its own sum.
    fn sum(terms: impl Iterator<Item = Traced>) -> Traced {
        let terms: Vec<Traced> = terms.filter(|term| term.entry.is_some() || term.to_f64() != 0.0).collect();
        match terms[..] {
            [] => Traced::zero(),
            [term] => term,
            _ => Traced::result(Op::Sum, &terms, DoubleDouble::sum(terms.iter().map(|term| term.value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::operations::local_derivatives;
    use super::*;

    #[test]
    fn constants_are_not_recorded() {
        let (log, sum) = record(10, || Traced::from_f64(2.0) * Traced::from_f64(3.0) + Traced::one());
        assert_eq!((log.unwrap_or_default().len(), sum.to_f64(), sum.entry()), (0, 7.0, None));
    }

    #[test]
    fn operations_on_inputs_are_recorded_in_order() {
        let (log, _) = record(10, || {
            let x = Traced::leaf(2.0);
            Traced::exp_shifted(x * Traced::from_f64(3.0), Traced::from_f64(6.0))
        });
        let ops: Vec<Op> = log.unwrap_or_default().iter().map(|entry| entry.op).collect();
        assert_eq!(ops, [Op::Leaf, Op::Multiply, Op::Exp { shift: 6.0 }]);
    }

    #[test]
    fn a_trace_that_exceeds_its_capacity_is_not_returned() {
        let (log, value) = record(2, || {
            let x = Traced::leaf(2.0);
            x * x * x
        });
        assert!(log.is_none());
        assert_eq!(value.to_f64(), 8.0);
    }

    #[test]
    fn the_derivative_of_a_clip_is_0_from_the_limits_on_and_nan_for_nan() {
        for (x, slope) in [(-2.0, 0.0), (-1.0, 0.0), (0.5, 1.0), (1.0, 0.0), (f64::INFINITY, 0.0), (f64::NAN, f64::NAN)]
        {
            let clip = || Traced::leaf(x).clip(Traced::from_f64(-1.0), Traced::from_f64(1.0));
            let (log, _) = record(2, clip);
            let derivatives: Vec<f64> =
                local_derivatives(&log.unwrap_or_default()[1]).into_iter().map(Scalar::to_f64).collect();
            assert_eq!(format!("{derivatives:?}"), format!("{:?}", [slope]), "{x}");
        }
    }
}
