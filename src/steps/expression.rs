//! Writes an entry of a trace as arithmetic with the numbers filled in. Named entries appear as numbers, others as
//! sub-expressions.

use crate::core::non_finite::numpy_name;
use crate::numeric::Scalar;
use crate::numeric::traced::{Entry, Op, Operand};

/// Number of terms up to which a sum is written in full.
const MAX_TERMS: usize = 10;
/// Number of terms at the front of a longer sum, which ends with its last term.
const LEADING_TERMS: usize = 7;

/// Precedence of an expression's outermost operator, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    /// a + b, −a.
    Sum,
    /// a / b.
    Quotient,
    /// a·b.
    Product,
    /// A negative number.
    Negative,
    /// A number, a name, or a function with its parentheses.
    Atom,
}

/// An expression as text.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) text: String,
    /// True if no number in it was rounded to be written.
    pub(super) exact: bool,
    precedence: Precedence,
}

impl Expression {
    fn number(value: f64) -> Expression {
        let (text, exact) = write_number(value);
        let precedence = if text.starts_with('-') { Precedence::Negative } else { Precedence::Atom };
        Expression { text, exact, precedence }
    }

    pub(super) fn atom(text: String, exact: bool) -> Expression {
        Expression { text, exact, precedence: Precedence::Atom }
    }

    /// Adds parentheses if the precedence is below the given one.
    fn within(self, precedence: Precedence) -> Expression {
        if self.precedence >= precedence { self } else { Expression::atom(format!("({})", self.text), self.exact) }
    }

    /// Adds parentheses around a leading negative number, as behind an operator.
    fn with_closed_sign(mut self) -> Expression {
        if self.text.starts_with('-') {
            let end = self.text.find(['·', ' ']).unwrap_or(self.text.len());
            self.text = format!("({}){}", &self.text[..end], &self.text[end..]);
            self.precedence = if self.precedence == Precedence::Negative { Precedence::Atom } else { self.precedence };
        }
        self
    }
}

/// Writes entries of one trace.
pub(super) struct Writer<'a> {
    pub(super) log: &'a [Entry],
    /// Returns true if an entry has a name, so that it appears as a number in other expressions.
    pub(super) is_named: &'a dyn Fn(usize) -> bool,
}

/// A term of a sum: true for a minus sign, and the term without its sign.
type SignedTerm = (bool, Expression);

impl Writer<'_> {
    /// Returns an entry's operation as an expression of its operands.
    pub(super) fn express(&self, entry: usize) -> Expression {
        let operation = &self.log[entry];
        let read = |n: usize| operation.reads[n];
        match operation.op {
            Op::Leaf => Expression::number(operation.value.to_f64()),
            Op::Sum => self.sum(entry),
            // The constant 0 is subtracted for exactness only.
            Op::Subtract if self.is_zero(read(1)) && self.is_plain(read(0)) => self.read(read(0)),
            Op::Subtract => subtract(self.read(read(0)), self.read(read(1)).within(Precedence::Quotient)),
            Op::Multiply | Op::Negate => with_sign(self.product(entry)),
            Op::Divide => {
                let divisor = self.read(read(1)).within(Precedence::Atom);
                join(self.read(read(0)).within(Precedence::Quotient), " / ", divisor, Precedence::Quotient)
            }
            Op::Exp { shift } => {
                let x = self.exponent(read(0));
                let power = if shift == 0.0 { x } else { subtract(x, Expression::number(shift)) };
                // e^-1 needs no parentheses.
                let power = power.within(Precedence::Negative);
                Expression::atom(format!("e^{}", power.text), power.exact)
            }
            Op::Ln { eps } => {
                let x = self.read(read(0));
                let inside = if eps == 0.0 { x } else { join(x, " + ", Expression::number(eps), Precedence::Sum) };
                function("log", &[inside])
            }
            Op::Sqrt => function("√", &[self.read(read(0))]),
            Op::Tanh => function("tanh", &[self.read(read(0))]),
            Op::Sin => function("sin", &[self.read(read(0))]),
            Op::Cos => function("cos", &[self.read(read(0))]),
            Op::NormalCdf => function("Φ", &[self.read(read(0))]),
            Op::NormalDensity => function("φ", &[self.read(read(0))]),
            Op::Relu => function("max", &[self.read(read(0)), Expression::number(0.0)]),
            Op::IfPositive => {
                let (x, value) = (self.read(read(0)), self.read(read(1)));
                Expression::atom(format!("({} if {} > 0 else 0)", value.text, x.text), x.exact && value.exact)
            }
            Op::Max => {
                let operands: Vec<Expression> = operation.reads.iter().map(|&read| self.read(read)).collect();
                function("max", &shorten(operands))
            }
        }
    }

    /// Returns an operand: a number if it is named or constant, else its own expression.
    fn read(&self, (value, from): Operand) -> Expression {
        match from.filter(|&from| !(self.is_named)(from)) {
            Some(from) => self.express(from),
            None => Expression::number(value.to_f64()),
        }
    }

    /// Returns the exponent of e. −2 is a number, which needs no parentheses there.
    fn exponent(&self, read: Operand) -> Expression {
        match self.unnamed(read, |op| op == Op::Negate).map(|minus| self.log[minus].reads[0]) {
            // 0 − 0 is written 0, −0 would be -0.
            Some(inner) if self.is_plain(inner) => Expression::number(0.0 - inner.0.to_f64()),
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
            join(sum, if minus { " − " } else { " + " }, term, Precedence::Sum)
        };
        let mut terms = terms.into_iter();
        let first = terms.next().map_or_else(|| Expression::number(0.0), with_sign);
        let mut sum = terms.fold(first, add);
        if let Some(last) = last {
            sum.text = format!("{} + … {} more …", sum.text, count - LEADING_TERMS - 1);
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
            [a, b] if a.1.is_some() && a.1 == b.1 => {
                let base = self.read(a).within(Precedence::Atom);
                Expression::atom(format!("{}²", base.text), base.exact)
            }
            _ => {
                let mut rest = factors.iter().copied();
                let first = rest.next().map_or_else(|| Expression::number(1.0), |first| self.read(first));
                let mut product = rest.fold(first.within(Precedence::Product), |product, factor| {
                    join(product, "·", self.read(factor).within(Precedence::Atom), Precedence::Product)
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
}

/// Returns a term with its sign in front.
fn with_sign((minus, term): SignedTerm) -> Expression {
    if !minus {
        return term;
    }
    let term = term.within(Precedence::Quotient).with_closed_sign();
    Expression { text: format!("−{}", term.text), precedence: Precedence::Sum, ..term }
}

fn join(left: Expression, operator: &str, right: Expression, precedence: Precedence) -> Expression {
    let text = format!("{}{operator}{}", left.text, right.text);
    Expression { text, exact: left.exact && right.exact, precedence }
}

fn subtract(left: Expression, right: Expression) -> Expression {
    join(left, " − ", right.with_closed_sign(), Precedence::Sum)
}

fn function(name: &str, arguments: &[Expression]) -> Expression {
    let texts: Vec<&str> = arguments.iter().map(|argument| argument.text.as_str()).collect();
    Expression::atom(format!("{name}({})", texts.join(", ")), arguments.iter().all(|argument| argument.exact))
}

/// Replaces the middle of a long list by an ellipsis.
fn shorten(mut list: Vec<Expression>) -> Vec<Expression> {
    let count = list.len();
    if count > MAX_TERMS {
        let ellipsis = format!("… {} more …", count - LEADING_TERMS - 1);
        list.splice(LEADING_TERMS..count - 1, [Expression::atom(ellipsis, true)]);
    }
    list
}

/// Writes a number with at most eight digits, integers without a point, and returns true if it was not rounded for that.
pub(super) fn write_number(value: f64) -> (String, bool) {
    let text = number_text(value);
    let is_exact = match text.parse::<f64>() {
        // 0.1 + 0.2 is written 0.3 and counts as exact, though it is the double beside 0.3.
        Ok(read) => read == value || (read - value).abs() <= 1e-14 * value.abs(),
        Err(_) => false,
    };
    (text, is_exact || value.is_nan())
}

fn number_text(value: f64) -> String {
    if let Some(name) = numpy_name(value) {
        return name.to_owned();
    }
    let magnitude = value.abs();
    if value.fract() == 0.0 && magnitude < 1e16 {
        return format!("{value:.0}");
    }
    let rounded: f64 = format!("{value:.7e}").parse().unwrap_or(value);
    if !(1e-4..1e8).contains(&magnitude) {
        return format!("{rounded:e}");
    }
    let shortest = format!("{rounded}");
    match shortest.split_once('.') {
        Some((_, fraction)) if fraction.len() > 8 => format!("{value:.8}").trim_end_matches('0').to_owned(),
        _ => shortest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_eight_digits_and_rounding_is_reported() {
        let exact = [8.0, -0.25, 0.1 + 0.2, 0.8 - 1.0, 1e-10, 123_456_789.0].map(write_number);
        let texts = ["8", "-0.25", "0.3", "-0.2", "1e-10", "123456789"];
        assert_eq!(exact, texts.map(|text| (text.to_owned(), true)));
        let rounded = [1.0 / 3.0, 0.090_030_573_170_380_46, 1_234.567_890_123, 4.248_354_255_291_589e-18];
        let texts = ["0.33333333", "0.09003057", "1234.5679", "4.2483543e-18"];
        assert_eq!(rounded.map(write_number), texts.map(|text| (text.to_owned(), false)));
        assert_eq!(write_number(f64::NEG_INFINITY), ("-inf".to_owned(), true));
    }
}
