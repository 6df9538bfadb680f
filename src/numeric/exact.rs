//! Real numbers that round correctly: `--precision exact`.
//!
//! A number is an enclosure of about 100 bits, which decides the nearest double in all but a few cases in a billion, and the
//! recorded expression that it was computed by. Where the enclosure does not decide (a sum that cancels, a result below the
//! normal doubles), the expression is evaluated again in ball arithmetic, with twice as many bits each time, until the ball
//! rounds to one double, or is narrower than a thousandth of a unit in the last place.
//!
//! The expressions belong to the thread and to the work done in [`with_expressions`].

use super::scalar::Scalar;
use ndarray::{Array2, ArrayView2, Zip};
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

mod ball;
mod circle;
mod elementary;
mod enclosure;
mod expression;
mod normal;

pub(crate) use enclosure::Enclosure;
pub use expression::with_expressions;
use expression::{Handle, Op};

/// A real number: a double, or a handle to a recorded expression.
#[derive(Clone, Copy, Debug)]
pub struct Exact(Handle);

impl Exact {
    fn as_double(self) -> Option<f64> {
        self.0.as_double()
    }

    /// Returns about 100 bits of the number.
    #[inline]
    fn enclosure(self) -> Enclosure {
        self.as_double().map_or_else(|| expression::enclosure(self.0), Enclosure::exactly)
    }

    /// Returns the double if it is NaN or infinite.
    fn as_non_finite(self) -> Option<f64> {
        self.as_double().filter(|value| !value.is_finite())
    }

    fn is_non_finite(self) -> bool {
        self.as_non_finite().is_some()
    }

    /// Returns the result of an operation, recorded by `record` unless it is a double.
    fn result(enclosure: Enclosure, record: impl FnOnce(Enclosure) -> Handle) -> Exact {
        if enclosure.is_double() && enclosure.high.is_finite() {
            Exact::from_f64(enclosure.high)
        } else {
            Exact(record(enclosure))
        }
    }

    /// Returns the sign: 1, −1 or 0, and NaN for NaN.
    fn sign(self) -> f64 {
        match self.as_double() {
            Some(value) if value == 0.0 || value.is_nan() => value,
            Some(value) => value.signum(),
            None => {
                let refined = || expression::refine(self.0, |ball, _| ball.sign()).unwrap_or(0.0);
                self.enclosure().sign().unwrap_or_else(refined)
            }
        }
    }

    /// Returns a double to take the number's place where the other operand is NaN, infinite or 0: itself, or one of its sign.
    fn stand_in(self) -> f64 {
        self.as_double().unwrap_or_else(|| self.sign())
    }

    fn function(self, op: Op, of_double: fn(f64) -> f64, of_enclosure: fn(Enclosure) -> Enclosure) -> Exact {
        match self.as_non_finite() {
            Some(value) => Exact::from_f64(of_double(value)),
            None => Exact::result(of_enclosure(self.enclosure()), |value| expression::record(op, [self.0; 2], value)),
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
            _ if self.0 == other.0 => Some(Ordering::Equal),
            _ => (*self - *other).sign().partial_cmp(&0.0),
        }
    }
}

impl Add for Exact {
    type Output = Exact;
    fn add(self, other: Exact) -> Exact {
        if self.is_non_finite() || other.is_non_finite() {
            return Exact::from_f64(self.stand_in() + other.stand_in());
        }
        if other.as_double() == Some(0.0) && self.as_double().is_none() {
            return self;
        }
        let sum = self.enclosure().plus(other.enclosure());
        Exact::result(sum, |sum| expression::record_sum([self.0, other.0], sum))
    }
}

impl Neg for Exact {
    type Output = Exact;
    fn neg(self) -> Exact {
        match self.as_double() {
            Some(value) => Exact::from_f64(-value),
            None => Exact(expression::record(Op::Negate, [self.0; 2], self.enclosure().negated())),
        }
    }
}

impl Sub for Exact {
    type Output = Exact;
    fn sub(self, other: Exact) -> Exact {
        // No number of bits would show that a number that is not algebraic, less itself, is 0.
        if self.0 == other.0 && self.as_double().is_none() {
            return Exact::from_f64(0.0);
        }
        self + -other
    }
}

impl Mul for Exact {
    type Output = Exact;
    fn mul(self, other: Exact) -> Exact {
        if self.is_non_finite() || other.is_non_finite() {
            return Exact::from_f64(self.stand_in() * other.stand_in());
        }
        let product = self.enclosure().times(other.enclosure());
        Exact::result(product, |product| expression::record(Op::Multiply, [self.0, other.0], product))
    }
}

impl Div for Exact {
    type Output = Exact;
    fn div(self, other: Exact) -> Exact {
        if self.is_non_finite() || other.is_non_finite() || other.sign() == 0.0 {
            return Exact::from_f64(self.stand_in() / other.stand_in());
        }
        let quotient = self.enclosure().over(other.enclosure());
        Exact::result(quotient, |quotient| expression::record(Op::Divide, [self.0, other.0], quotient))
    }
}

impl Scalar for Exact {
    fn from_f64(value: f64) -> Exact {
        Exact(Handle::double(value))
    }

    /// Returns the nearest double, ties to even; of a number that is within a thousandth of a unit in the last place of a tie,
    /// perhaps the other neighbour.
    #[inline]
    fn to_f64(self) -> f64 {
        let enclosure = self.enclosure();
        let refined = || expression::refine(self.0, |ball, is_narrow| ball.to_double(is_narrow.then_some(-10)));
        enclosure.to_double().unwrap_or_else(|| refined().unwrap_or(enclosure.high))
    }

    fn is_nan(self) -> bool {
        self.as_double().is_some_and(f64::is_nan)
    }

    fn exp(self) -> Exact {
        self.function(Op::Exp, <f64 as Scalar>::exp, Enclosure::exp)
    }

    fn ln(self) -> Exact {
        match self.sign() {
            sign if sign > 0.0 => self.function(Op::Ln, <f64 as Scalar>::ln, Enclosure::ln),
            sign => Exact::from_f64(Scalar::ln(sign)),
        }
    }

    fn ln_1p(self) -> Exact {
        match (self + Exact::one()).sign() {
            sign if sign > 0.0 => self.function(Op::Ln1p, <f64 as Scalar>::ln_1p, Enclosure::ln_1p),
            sign => Exact::from_f64(Scalar::ln(sign)),
        }
    }

    fn sqrt(self) -> Exact {
        match self.sign() {
            sign if sign > 0.0 => self.function(Op::Sqrt, <f64 as Scalar>::sqrt, Enclosure::sqrt),
            sign => Exact::from_f64(Scalar::sqrt(sign)),
        }
    }

    fn tanh(self) -> Exact {
        self.function(Op::Tanh, <f64 as Scalar>::tanh, Enclosure::tanh)
    }

    fn sin(self) -> Exact {
        self.function(Op::Sin, <f64 as Scalar>::sin, Enclosure::sin)
    }

    fn cos(self) -> Exact {
        self.function(Op::Cos, <f64 as Scalar>::cos, Enclosure::cos)
    }

    fn normal_cdf(self) -> Exact {
        self.function(Op::NormalCdf, <f64 as Scalar>::normal_cdf, Enclosure::normal_cdf)
    }

    fn normal_density(self) -> Exact {
        self.function(Op::NormalDensity, <f64 as Scalar>::normal_density, Enclosure::normal_density)
    }

    fn sum(terms: impl Iterator<Item = Exact>) -> Exact {
        let terms: Vec<Exact> = terms.collect();
        if let Some(sum) = terms.iter().filter_map(|term| term.as_non_finite()).reduce(|a, b| a + b) {
            return Exact::from_f64(sum);
        }
        let sum = terms.iter().fold(Enclosure::exactly(0.0), |sum, term| sum.plus(term.enclosure()));
        Exact::result(sum, |sum| expression::record_terms(terms.iter().map(|term| term.0), sum))
    }
}

/// Returns the matrix as doubles, if all its elements are.
pub(crate) fn to_doubles(matrix: ArrayView2<'_, Exact>) -> Option<Array2<f64>> {
    let all = Zip::from(matrix).all(|element| element.as_double().is_some());
    all.then(|| matrix.map(|element| element.as_double().unwrap_or_default()))
}

/// Returns the enclosure of an element of a matrix product of `rows` and `columns`, given as high + low within a radius; exactly
/// where that does not decide the nearest double.
#[inline]
pub(crate) fn enclose_element(
    rows: &Array2<f64>,
    columns: &Array2<f64>,
    place: usize,
    (high, low, radius): (f64, f64, f64),
) -> Enclosure {
    let enclosure = Enclosure::new(high, low, radius);
    if radius.is_nan() {
        // Terms that are not finite decide the sum by IEEE arithmetic; the others do not change it.
        let terms = expression::factors(rows, columns, place);
        Enclosure::exactly(terms.filter(|(a, b)| !(a.is_finite() && b.is_finite())).map(|(a, b)| a * b).sum())
    } else if enclosure.to_double().is_some() {
        enclosure
    } else {
        expression::exact_element(rows, columns, place).to_enclosure()
    }
}

/// Returns the matrix product of `rows` and `columns`, whose elements have these enclosures.
pub(crate) fn product(rows: Array2<f64>, columns: Array2<f64>, elements: Vec<Enclosure>) -> Array2<Exact> {
    let shape = (rows.nrows(), columns.nrows());
    let product = expression::record_product(rows, columns, elements).map(Exact).collect();
    Array2::from_shape_vec(shape, product).unwrap_or_else(|_| unreachable!("there is an element for each place"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_a_difference_that_cancels_is_rounded_once() {
        with_expressions(|| {
            let number = Exact::from_f64;
            // (1 + 1e-200) − 1, whose enclosure contains 0 or not, and squares that no double holds.
            for (x, root) in [(1e-200, 1e-100), (1e-300, 1e-150), (4.0, 2.0), (0.0, 0.0)] {
                let third = number(1.0) / number(3.0);
                assert_eq!(((third + number(x)) - third).sqrt().to_f64(), root, "{x}");
            }
            let tiny = number(3e-200);
            assert_eq!((tiny * tiny).sqrt().to_f64(), 3e-200);
            assert!(number(-1.0).sqrt().is_nan() && number(f64::INFINITY).sqrt().to_f64() == f64::INFINITY);
        });
    }

    #[test]
    fn a_number_is_equal_to_itself_without_more_bits() {
        with_expressions(|| {
            let third = (Exact::one() / Exact::from_f64(3.0)).tanh();
            assert_eq!((third - third).as_double(), Some(0.0));
            assert_eq!((third.partial_cmp(&third), (third + third) - third == third), (Some(Ordering::Equal), true));
        });
    }
}
