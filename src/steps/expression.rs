//! Writes an entry of a trace as arithmetic with the numbers filled in. Named entries appear as numbers, others as
//! sub-expressions.

use super::notation::{Expression, Notation, Precedence, SignedTerm};
use crate::numeric::Scalar;
use crate::numeric::operations::{Entry, Op, Operand};

/// Number of terms up to which a sum is written in full.
const MAX_TERMS: usize = 10;
/// Number of terms at the front of a longer sum, which ends with its last term.
const LEADING_TERMS: usize = 7;

/// Writes entries of one trace.
pub(super) struct Writer<'a> {
    pub(super) log: &'a [Entry],
    /// Returns true if an entry has a name, so that it appears as a number in other expressions.
    pub(super) is_named: &'a dyn Fn(usize) -> bool,
    pub(super) notation: Notation,
}

impl Writer<'_> {
    /// Returns an entry's operation as an expression of its operands.
    pub(super) fn express(&self, entry: usize) -> Expression {
        let operation = &self.log[entry];
        let read = |n: usize| operation.reads[n];
        match operation.op {
            Op::Leaf => self.number(operation.value.to_f64()),
            Op::Sum => self.sum(entry),
            // The constant 0 is subtracted for exactness only.
            Op::Subtract if self.is_zero(read(1)) => self.read(read(0)),
            Op::Subtract => self.notation.subtract(self.read(read(0)), self.read(read(1)).within(Precedence::Quotient)),
            Op::Multiply | Op::Negate => self.notation.with_sign(self.product(entry)),
            Op::Divide => self.notation.quotient(self.read(read(0)), self.read(read(1))),
            Op::Exp { shift } => {
                let x = self.exponent(read(0));
                self.notation.power_of_e(if shift == 0.0 { x } else { self.notation.subtract(x, self.number(shift)) })
            }
            Op::Ln { eps } => {
                let x = self.read(read(0));
                let inside = if eps == 0.0 { x } else { self.notation.add(x, false, self.number(eps)) };
                self.notation.function("log", &[inside])
            }
            Op::Square => self.notation.square(self.read(read(0))),
            Op::Sqrt => self.notation.function("√", &[self.read(read(0))]),
            Op::Tanh => self.notation.function("tanh", &[self.read(read(0))]),
            Op::Sin => self.notation.function("sin", &[self.read(read(0))]),
            Op::Cos => self.notation.function("cos", &[self.read(read(0))]),
            Op::NormalCdf => self.notation.function("Φ", &[self.read(read(0))]),
            Op::NormalDensity => self.notation.function("φ", &[self.read(read(0))]),
            Op::Relu => self.notation.function("max", &[self.read(read(0)), self.number(0.0)]),
            Op::Abs => self.notation.magnitude(self.read(read(0))),
            Op::Clip { least, most } => {
                let above = self.notation.function("max", &[self.read(read(0)), self.number(least)]);
                let is_limited = most < f64::INFINITY;
                if is_limited { self.notation.function("min", &[above, self.number(most)]) } else { above }
            }
            Op::IfPositive => {
                let (x, value) = (self.read(read(0)), self.read(read(1)));
                self.notation.if_positive(&x, &value)
            }
            Op::Max => {
                let operands: Vec<Expression> = operation.reads.iter().map(|&read| self.read(read)).collect();
                self.notation.function("max", &self.shorten(operands))
            }
        }
    }

    fn number(&self, value: f64) -> Expression {
        Expression::number(value, self.notation)
    }

    /// Returns an operand: a number if it is named or constant, else its own expression.
    fn read(&self, (value, from): Operand) -> Expression {
        match from.filter(|&from| !(self.is_named)(from)) {
            Some(from) => self.express(from),
            None => self.number(value.to_f64()),
        }
    }

    /// Returns the exponent of e. −2 is a number, which needs no parentheses there.
    fn exponent(&self, read: Operand) -> Expression {
        match self.unnamed(read, |op| op == Op::Negate).map(|minus| self.log[minus].reads[0]) {
            // 0 − 0 is written 0, −0 would be -0.
            Some(inner) if self.is_plain(inner) => self.number(0.0 - inner.0.to_f64()),
            _ => self.read(read),
        }
    }

    /// Returns true if an operand appears as a number.
    fn is_plain(&self, (_, from): Operand) -> bool {
        from.is_none_or(|from| (self.is_named)(from))
    }

    /// Returns true for the constant 0.
    fn is_zero(&self, (value, from): Operand) -> bool {
        from.is_none() && value.to_f64() == 0.0
    }

    /// Returns the entry of an unnamed operand whose operation is of a kind.
    fn unnamed(&self, (_, from): Operand, is_kind: impl Fn(Op) -> bool) -> Option<usize> {
        from.filter(|&from| !(self.is_named)(from) && is_kind(self.log[from].op))
    }

    fn sum(&self, entry: usize) -> Expression {
        let mut terms = Vec::new();
        self.collect_terms(entry, &mut terms);
        let count = terms.len();
        let last = if count > MAX_TERMS { terms.pop() } else { None };
        terms.truncate(if count > MAX_TERMS { LEADING_TERMS } else { count });
        let add = |sum: Expression, (minus, term): SignedTerm| {
            let term = term.within(Precedence::Quotient).with_closed_sign();
            self.notation.add(sum, minus, term)
        };
        let mut terms = terms.into_iter();
        let first = terms.next().map_or_else(|| self.number(0.0), |term| self.notation.with_sign(term));
        let mut sum = terms.fold(first, add);
        if let Some(last) = last {
            let ellipsis = Expression::atom(self.notation.ellipsis(count - LEADING_TERMS - 1), true);
            sum = self.notation.add(sum, false, ellipsis);
            sum = add(sum, last);
        }
        sum
    }

    /// Collects the terms of a sum and of the unnamed sums in it.
    fn collect_terms(&self, entry: usize, terms: &mut Vec<SignedTerm>) {
        for &read in &self.log[entry].reads {
            if let Some(sum) = self.unnamed(read, |op| op == Op::Sum) {
                self.collect_terms(sum, terms);
            } else if let Some(product) = self.unnamed(read, |op| matches!(op, Op::Multiply | Op::Negate)) {
                terms.push(self.product(product));
            } else if !self.is_zero(read) {
                terms.push((false, self.read(read)));
            }
        }
    }

    /// Returns a product as a signed term.
    fn product(&self, entry: usize) -> SignedTerm {
        let (mut minus, mut reads) = (false, Vec::new());
        self.collect_factors(entry, &mut minus, &mut reads);
        // The constant 1 is omitted.
        let is_one = |(value, from): &Operand| from.is_none() && value.to_f64() == 1.0;
        let mut factors: Vec<Operand> = reads.iter().copied().filter(|read| !is_one(read)).collect();
        if factors.is_empty() {
            factors.extend(reads.first());
        }
        let product = match factors[..] {
            [only] => self.read(only),
            [a, b] if a.1.is_some() && a.1 == b.1 => self.notation.square(self.read(a)),
            _ => {
                let mut rest = factors.iter().copied();
                let first = rest.next().map_or_else(|| self.number(1.0), |first| self.read(first));
                let mut product = rest.fold(first.within(Precedence::Product), |product, factor| {
                    self.notation.multiply(product, self.read(factor))
                });
                // 0 times a rounded number is 0.
                product.exact |= factors.iter().any(|(value, _)| value.to_f64() == 0.0);
                product
            }
        };
        (minus, product)
    }

    /// Collects the factors of a product and of the unnamed products in it.
    fn collect_factors(&self, entry: usize, minus: &mut bool, reads: &mut Vec<Operand>) {
        *minus ^= self.log[entry].op == Op::Negate;
        for &read in &self.log[entry].reads {
            match self.unnamed(read, |op| matches!(op, Op::Multiply | Op::Negate)) {
                Some(product) => self.collect_factors(product, minus, reads),
                None => reads.push(read),
            }
        }
    }

    /// Replaces the middle of a long list by an ellipsis.
    fn shorten(&self, mut list: Vec<Expression>) -> Vec<Expression> {
        let count = list.len();
        if count > MAX_TERMS {
            let ellipsis = self.notation.ellipsis(count - LEADING_TERMS - 1);
            list.splice(LEADING_TERMS..count - 1, [Expression::atom(ellipsis, true)]);
        }
        list
    }
}
