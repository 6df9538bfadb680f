//! An entry of a trace as arithmetic with the numbers filled in. What has a name is a number; what has none is written out.

use super::number::written;
use crate::numeric::Scalar;
use crate::numeric::traced::{Entry, Op, Read};

/// Of a sum with more terms than this, the first and the last are shown.
const TERMS: usize = 10;
/// So many at the front.
const FRONT: usize = 7;

/// How tightly an expression holds together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bond {
    /// a + b, −a.
    Sum,
    /// a / b.
    Quotient,
    /// a·b.
    Product,
    /// A negative number.
    Negative,
    /// A number, or a function with its brackets.
    Atom,
}

/// An expression, and whether every number in it stands there as it is.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) text: String,
    pub(super) exact: bool,
    bond: Bond,
}

impl Expression {
    fn number(value: f64) -> Expression {
        let (text, exact) = written(value);
        let bond = if text.starts_with('-') { Bond::Negative } else { Bond::Atom };
        Expression { text, exact, bond }
    }

    /// A number by its name.
    pub(super) fn name(text: String) -> Expression {
        Expression { text, exact: true, bond: Bond::Atom }
    }

    /// In brackets where it holds together less than `bond`.
    fn within(self, bond: Bond) -> Expression {
        if self.bond >= bond { self } else { Expression { text: format!("({})", self.text), bond: Bond::Atom, ..self } }
    }
}

/// Writes entries of one trace.
pub(super) struct Writer<'a> {
    pub(super) log: &'a [Entry],
    /// Whether an entry has a name, and is a number to whoever reads it.
    pub(super) is_named: &'a dyn Fn(usize) -> bool,
}

/// A term of a sum: its sign, and the rest.
type Signed = (bool, Expression);

impl Writer<'_> {
    /// How an entry is made of what it reads.
    pub(super) fn made(&self, entry: usize) -> Expression {
        let made = &self.log[entry];
        let read = |n: usize| made.reads[n];
        match made.op {
            Op::Leaf => Expression::number(made.value.to_f64()),
            Op::Sum => self.sum(entry),
            // A constant 0 is taken off for exactness alone.
            Op::Less if self.is_zero(read(1)) && self.is_plain(read(0)) => self.read(read(0)),
            Op::Less => {
                let (left, right) = (self.read(read(0)), self.read(read(1)).within(Bond::Quotient));
                joined(left, " − ", right.bracketed_negative(), Bond::Sum)
            }
            Op::Times | Op::Minus => signed(self.factors(entry)),
            Op::Over => {
                let (above, below) = (self.read(read(0)).within(Bond::Quotient), self.read(read(1)).within(Bond::Atom));
                joined(above, " / ", below, Bond::Quotient)
            }
            Op::Exp { shift } => {
                let x = self.power(read(0));
                let power = if shift == 0.0 {
                    x
                } else {
                    joined(x, " − ", Expression::number(shift).bracketed_negative(), Bond::Sum)
                };
                // e^-1 needs no brackets.
                let power = if power.bond == Bond::Negative { power } else { power.within(Bond::Atom) };
                Expression { text: format!("e^{}", power.text), bond: Bond::Atom, ..power }
            }
            Op::Ln { eps } => {
                let x = self.read(read(0));
                let inside = if eps == 0.0 { x } else { joined(x, " + ", Expression::number(eps), Bond::Sum) };
                function("log", &[inside])
            }
            Op::Tanh => function("tanh", &[self.read(read(0))]),
            Op::Relu => function("max", &[self.read(read(0)), Expression::number(0.0)]),
            Op::Gate => {
                let (x, value) = (self.read(read(0)), self.read(read(1)));
                let text = format!("({} if {} > 0 else 0)", value.text, x.text);
                Expression { text, exact: x.exact && value.exact, bond: Bond::Atom }
            }
            Op::Max => {
                let all: Vec<Expression> = made.reads.iter().map(|&read| self.read(read)).collect();
                function("max", &shortened(all))
            }
        }
    }

    /// What was read: a number where it has a name or is constant, else how it is made.
    fn read(&self, (value, from): Read) -> Expression {
        match from.filter(|&from| !(self.is_named)(from)) {
            Some(from) => self.made(from),
            None => Expression::number(value.to_f64()),
        }
    }

    /// What stands above e: −2 as a number, which needs no brackets there.
    fn power(&self, read: Read) -> Expression {
        match self.inner(read, |op| op == Op::Minus).map(|minus| self.log[minus].reads[0]) {
            // −0 is written 0.
            Some(inner) if self.is_plain(inner) => Expression::number(0.0 - inner.0.to_f64()),
            _ => self.read(read),
        }
    }

    fn is_plain(&self, (_, from): Read) -> bool {
        from.is_none_or(|from| (self.is_named)(from))
    }

    fn is_zero(&self, (value, from): Read) -> bool {
        from.is_none() && value.to_f64() == 0.0
    }

    /// The unnamed entry behind what was read, where it is of that kind.
    fn inner(&self, (_, from): Read, is: impl Fn(Op) -> bool) -> Option<usize> {
        from.filter(|&from| !(self.is_named)(from) && is(self.log[from].op))
    }

    fn sum(&self, entry: usize) -> Expression {
        let mut terms = Vec::new();
        self.terms(entry, &mut terms);
        let count = terms.len();
        let tail = if count > TERMS { terms.split_off(count - 1) } else { Vec::new() };
        terms.truncate(if count > TERMS { FRONT } else { count });
        let mut all = terms.into_iter();
        let mut sum = all.next().map_or_else(|| Expression::number(0.0), signed);
        let add = |sum: Expression, (minus, term): Signed| {
            joined(sum, if minus { " − " } else { " + " }, term.within(Bond::Quotient).bracketed_negative(), Bond::Sum)
        };
        sum = all.fold(sum, add);
        if let Some(last) = tail.into_iter().next() {
            sum.text = format!("{} + … {} more …", sum.text, count - FRONT - 1);
            sum = add(sum, last);
        }
        sum
    }

    /// The terms of a sum, and of the sums in it that have no name.
    fn terms(&self, entry: usize, terms: &mut Vec<Signed>) {
        for &read in &self.log[entry].reads {
            if let Some(sum) = self.inner(read, |op| op == Op::Sum) {
                self.terms(sum, terms);
            } else if let Some(product) = self.inner(read, |op| matches!(op, Op::Times | Op::Minus)) {
                terms.push(self.factors(product));
            } else if !self.is_zero(read) {
                terms.push((false, self.read(read)));
            }
        }
    }

    /// A product, and whether a minus stands before it.
    fn factors(&self, entry: usize) -> Signed {
        let (mut minus, mut reads) = (false, Vec::new());
        self.gather(entry, &mut minus, &mut reads);
        // A constant 1 is what is left out.
        let is_one = |(value, from): &Read| from.is_none() && value.to_f64() == 1.0;
        let mut factors: Vec<Read> = reads.iter().copied().filter(|read| !is_one(read)).collect();
        if factors.is_empty() {
            factors.extend(reads.first());
        }
        let product = match factors[..] {
            [only] => self.read(only),
            [a, b] if a.1.is_some() && a.1 == b.1 => {
                let base = self.read(a).within(Bond::Atom);
                Expression { text: format!("{}²", base.text), bond: Bond::Atom, ..base }
            }
            _ => {
                let mut all = factors.iter().copied();
                let first = all.next().map_or_else(|| Expression::number(1.0), |first| self.read(first));
                let mut product = all.fold(first.within(Bond::Product), |product, factor| {
                    joined(product, "·", self.read(factor).within(Bond::Atom), Bond::Product)
                });
                // 0 times a rounded number is 0.
                product.exact |= factors.iter().any(|(value, _)| value.to_f64() == 0.0);
                product
            }
        };
        (minus, product)
    }

    /// The factors of a product, and of the products in it that have no name.
    fn gather(&self, entry: usize, minus: &mut bool, reads: &mut Vec<Read>) {
        *minus ^= self.log[entry].op == Op::Minus;
        for &read in &self.log[entry].reads {
            match self.inner(read, |op| matches!(op, Op::Times | Op::Minus)) {
                Some(product) => self.gather(product, minus, reads),
                None => reads.push(read),
            }
        }
    }
}

impl Expression {
    /// A negative number at the front in brackets, as behind a sign.
    fn bracketed_negative(mut self) -> Expression {
        if self.text.starts_with('-') {
            let end = self.text.find(['·', ' ']).unwrap_or(self.text.len());
            self.text = format!("({}){}", &self.text[..end], &self.text[end..]);
            self.bond = if self.bond == Bond::Negative { Bond::Atom } else { self.bond };
        }
        self
    }
}

/// A term with its sign in front.
fn signed((minus, term): Signed) -> Expression {
    if !minus {
        return term;
    }
    let term = term.within(Bond::Quotient).bracketed_negative();
    Expression { text: format!("−{}", term.text), bond: Bond::Sum, ..term }
}

fn joined(left: Expression, sign: &str, right: Expression, bond: Bond) -> Expression {
    Expression { text: format!("{}{sign}{}", left.text, right.text), exact: left.exact && right.exact, bond }
}

fn function(name: &str, of: &[Expression]) -> Expression {
    let inside: Vec<&str> = of.iter().map(|x| x.text.as_str()).collect();
    Expression { text: format!("{name}({})", inside.join(", ")), exact: of.iter().all(|x| x.exact), bond: Bond::Atom }
}

/// The first and the last of many.
fn shortened(mut all: Vec<Expression>) -> Vec<Expression> {
    let count = all.len();
    if count > TERMS {
        let dots = format!("… {} more …", count - FRONT - 1);
        all.splice(FRONT..count - 1, [Expression { text: dots, exact: true, bond: Bond::Atom }]);
    }
    all
}
