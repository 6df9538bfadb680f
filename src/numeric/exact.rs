//! Numbers whose nearest double is known: `--precision exact`.
//!
//! A number carries about 100 of its bits with a bound on their error, which decides the double it rounds to in all but a few
//! cases in a billion; and the log remembers how it was made. Where the bound does not decide (a sum that cancels, a result
//! below the normal doubles), the number is computed again as an interval of more bits, and of twice as many, until all of
//! the interval rounds to one double, or is narrower than a thousandth of a unit in the last place around it.
//!
//! The log belongs to the thread, and to the work done in [`exactly`].

use super::Scalar;
use crate::gemm::compensated;
use crate::parallel::{progress, scope};
use enclosure::Enclosure;
use ndarray::{Array2, ArrayView2, Zip};
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Range, Sub};

mod ball;
mod enclosure;
mod functions;
mod log;

use log::{Op, Read};

/// A real number: a double, or where the log says about 100 bits of it and how it was made.
#[derive(Clone, Copy, Debug)]
pub struct Exact(Read);

/// Does `work`, in which numbers are computed and rounded; they must not outlive it.
pub fn exactly<R>(work: impl FnOnce() -> R) -> R {
    log::apart(work)
}

/// Does `work` on so many parts, [`exactly`] on each, over all threads; results come in the order of the parts.
pub fn each<R: Send>(parts: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let workers = scope::thread_limit();
    let progress = progress::Progress::new("computing", parts);
    let part = |n: usize| {
        let made = exactly(|| work(n));
        progress.advance(1);
        made
    };
    let share = |worker: usize| (parts * worker / workers)..(parts * (worker + 1) / workers);
    let shares = (0..workers).map(share).filter(|share| !share.is_empty()).collect();
    let results = scope::map_parts(shares, |share| share.map(part).collect::<Vec<R>>());
    results.into_iter().flatten().collect()
}

impl Exact {
    /// A double; NaN and infinities are doubles too.
    fn double(value: f64) -> Exact {
        Exact(Read::double(value))
    }

    fn as_double(self) -> Option<f64> {
        self.0.as_double()
    }

    /// About 100 bits of it.
    fn near(self) -> Enclosure {
        self.as_double().map_or_else(|| log::near(self.0), Enclosure::exactly)
    }

    /// What is NaN or infinite, as no real number is.
    fn special(self) -> Option<f64> {
        self.as_double().filter(|value| !value.is_finite())
    }

    fn is_special(self) -> bool {
        self.special().is_some()
    }

    /// What an operation made; a double again, where it is one.
    fn made(near: Enclosure, log: impl FnOnce(Enclosure) -> Read) -> Exact {
        if near.is_double() && near.high.is_finite() { Exact::double(near.high) } else { Exact(log(near)) }
    }

    /// Its sign, 1, −1 or 0; that of a NaN is NaN.
    fn sign(self) -> f64 {
        match self.as_double() {
            Some(value) if value == 0.0 || value.is_nan() => value,
            Some(value) => value.signum(),
            None => self.near().sign().unwrap_or_else(|| log::ask(self.0, |ball, _| ball.sign()).unwrap_or(0.0)),
        }
    }

    /// A double in its place where the other operand is NaN, infinite or 0: itself, or one of its sign.
    fn stand_in(self) -> f64 {
        self.as_double().unwrap_or_else(|| self.sign())
    }

    fn function(self, op: Op, plain: fn(f64) -> f64, near: fn(Enclosure) -> Enclosure) -> Exact {
        match self.special() {
            Some(value) => Exact::double(plain(value)),
            None => Exact::made(near(self.near()), |near| log::push(op, [self.0; 2], near)),
        }
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Exact) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Exact) -> Option<Ordering> {
        match (self.as_double(), other.as_double()) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => (*self - *other).sign().partial_cmp(&0.0),
        }
    }
}

impl Add for Exact {
    type Output = Exact;
    fn add(self, other: Exact) -> Exact {
        if self.is_special() || other.is_special() {
            return Exact::double(self.stand_in() + other.stand_in());
        }
        if other.as_double() == Some(0.0) && self.as_double().is_none() {
            return self;
        }
        Exact::made(self.near().plus(other.near()), |near| log::push_sum([self.0, other.0], near))
    }
}

impl Neg for Exact {
    type Output = Exact;
    fn neg(self) -> Exact {
        match self.as_double() {
            Some(value) => Exact::double(-value),
            None => Exact(log::push(Op::Minus, [self.0; 2], self.near().negated())),
        }
    }
}

impl Sub for Exact {
    type Output = Exact;
    fn sub(self, other: Exact) -> Exact {
        self + -other
    }
}

impl Mul for Exact {
    type Output = Exact;
    fn mul(self, other: Exact) -> Exact {
        if self.is_special() || other.is_special() {
            return Exact::double(self.stand_in() * other.stand_in());
        }
        Exact::made(self.near().times(other.near()), |near| log::push(Op::Times, [self.0, other.0], near))
    }
}

impl Div for Exact {
    type Output = Exact;
    fn div(self, other: Exact) -> Exact {
        if self.is_special() || other.is_special() || other.sign() == 0.0 {
            return Exact::double(self.stand_in() / other.stand_in());
        }
        Exact::made(self.near().over(other.near()), |near| log::push(Op::Over, [self.0, other.0], near))
    }
}

impl Scalar for Exact {
    fn from_f64(value: f64) -> Exact {
        Exact::double(value)
    }

    /// The nearest double, to even where two are; of a number that is off a tie by less than a thousandth of a unit in the
    /// last place, maybe the other.
    fn to_f64(self) -> f64 {
        let near = self.near();
        let rounded = || log::ask(self.0, |ball, enough| ball.rounded(enough.then_some(-10))).unwrap_or(near.high);
        near.rounded().unwrap_or_else(rounded)
    }

    /// The nearest double: every layer is computed exactly from the doubles that are shown.
    fn handed_on(self) -> Exact {
        Exact::double(self.to_f64())
    }

    fn exp(self) -> Exact {
        self.function(Op::Exp, <f64 as Scalar>::exp, Enclosure::exp)
    }

    fn ln(self) -> Exact {
        match self.sign() {
            sign if sign > 0.0 => self.function(Op::Ln, <f64 as Scalar>::ln, Enclosure::ln),
            sign => Exact::double(Scalar::ln(sign)),
        }
    }

    fn ln_1p(self) -> Exact {
        match (self + Exact::one()).sign() {
            sign if sign > 0.0 => self.function(Op::Ln1p, <f64 as Scalar>::ln_1p, Enclosure::ln_1p),
            sign => Exact::double(Scalar::ln(sign)),
        }
    }

    fn tanh(self) -> Exact {
        self.function(Op::Tanh, <f64 as Scalar>::tanh, Enclosure::tanh)
    }

    fn sum(terms: impl Iterator<Item = Exact>) -> Exact {
        let terms: Vec<Exact> = terms.collect();
        if let Some(special) = terms.iter().filter_map(|term| term.special()).reduce(|a, b| a + b) {
            return Exact::double(special);
        }
        let near = terms.iter().fold(Enclosure::exactly(0.0), |sum, term| sum.plus(term.near()));
        Exact::made(near, |near| log::push_terms(terms.iter().map(|term| term.0), near))
    }

    /// One part after the other, so that no more is remembered than of one; a product of matrices takes all threads.
    fn in_parts(rows: usize, (together, unit): (usize, usize), work: impl Fn(Range<usize>) + Sync) {
        let step = together.next_multiple_of(unit).max(unit);
        (0..rows).step_by(step).for_each(|row| exactly(|| work(row..rows.min(row + step))));
    }

    /// Of doubles, sums of products that know their error; each entry remembers its row and column.
    fn matmul(a: ArrayView2<'_, Exact>, b: ArrayView2<'_, Exact>) -> Array2<Exact> {
        let doubles = |m: ArrayView2<'_, Exact>| Zip::from(m).all(|value| value.as_double().is_some());
        if !doubles(a) || !doubles(b) {
            return super::matmul(a, b);
        }
        let high = |value: &Exact| value.near().high;
        let (rows, columns) = (a.map(high), b.t().map(high));
        let entry = |place: usize, (high, low, radius): (f64, f64, f64)| {
            let near = Enclosure::new(high, low, radius);
            if radius.is_nan() {
                // What IEEE arithmetic makes of the terms that are no real numbers; the others change nothing.
                let terms = log::factors(&rows, &columns, place);
                Enclosure::exactly(terms.filter(|(a, b)| !(a.is_finite() && b.is_finite())).map(|(a, b)| a * b).sum())
            } else if near.rounded().is_some() {
                near
            } else {
                log::product(&rows, &columns, place).near()
            }
        };
        let near = compensated::multiply(rows.view(), columns.view(), entry);
        let product = log::push_product(rows, columns, near).map(Exact).collect();
        Array2::from_shape_vec((a.nrows(), b.ncols()), product)
            .unwrap_or_else(|_| unreachable!("an entry for each place"))
    }
}
