//! Expressions, and the notations that they are written in: text, and LaTeX.

use super::step::format_label;
use crate::core::language::phrase;
use crate::core::name::Name;
use crate::core::non_finite::numpy_name;

/// Precedence of an expression's outermost operator, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
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
    pub(super) precedence: Precedence,
}

impl Expression {
    /// Returns a number, and −0 as 0.
    pub(super) fn number(value: f64, notation: Notation) -> Expression {
        let (text, exact) = notation.number(value + 0.0);
        let precedence = match &*text {
            text if text.starts_with('-') => Precedence::Negative,
            text if text.contains('^') => Precedence::Product,
            _ => Precedence::Atom,
        };
        Expression { text, exact, precedence }
    }

    pub(super) fn atom(text: String, exact: bool) -> Expression {
        Expression { text, exact, precedence: Precedence::Atom }
    }

    /// Adds parentheses if the precedence is below the given one.
    pub(super) fn within(self, precedence: Precedence) -> Expression {
        if self.precedence >= precedence { self } else { Expression::atom(format!("({})", self.text), self.exact) }
    }

    /// Adds parentheses around a leading negative number, as behind an operator.
    pub(super) fn with_closed_sign(mut self) -> Expression {
        if self.text.starts_with('-') {
            let end = self.text.find(['·', ' ']).unwrap_or(self.text.len());
            self.text = format!("({}){}", &self.text[..end], &self.text[end..]);
            self.precedence = if self.precedence == Precedence::Negative { Precedence::Atom } else { self.precedence };
        }
        self
    }
}

/// A term of a sum: true for a minus sign, and the term without its sign.
pub(super) type SignedTerm = (bool, Expression);

/// Number of significant digits, and of decimals, where no other number is asked for.
const DEFAULT_DIGITS: usize = 8;

/// Notation of the arithmetic.
#[derive(Clone, Copy, Debug)]
pub struct Notation {
    /// Signs and letters.
    pub markup: Markup,
    /// Largest number of significant digits; `None` for eight, of which at most eight are decimals, as NumPy prints them.
    pub digits: Option<usize>,
}

/// Signs and letters of formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// Text with mathematical signs: `e^(1 − 3) / 1.5`.
    Text,
    /// Formulas for the mathematics mode of LaTeX with amsmath.
    Latex,
}

impl Markup {
    /// Returns the name of an entry: `y[0,1]`.
    pub fn label(self, name: &Name, at: &[usize]) -> String {
        match self {
            Markup::Text => format_label(name, at),
            Markup::Latex => {
                let is_word = name.as_str().chars().all(char::is_alphanumeric);
                let name = match name.as_str() {
                    "Φ" => "\\Phi".to_owned(),
                    "φ" => "\\varphi".to_owned(),
                    letter if letter.chars().count() == 1 => letter.to_owned(),
                    word if is_word => format!("\\mathit{{{word}}}"),
                    other => format!("\\text{{{}}}", other.replace('_', "\\_")),
                };
                let at: Vec<String> = at.iter().map(usize::to_string).collect();
                if at.is_empty() { name } else { format!("{name}_{{{}}}", at.join(",")) }
            }
        }
    }
}

impl Notation {
    /// Returns one of two texts, the second for LaTeX.
    fn either<'a>(self, text: &'a str, latex: &'a str) -> &'a str {
        match self.markup {
            Markup::Text => text,
            Markup::Latex => latex,
        }
    }

    /// Writes a number with at most its digits, integers without a point, and returns true if it was not rounded for that.
    pub(super) fn number(self, value: f64) -> (String, bool) {
        let (text, exact) = write_number(value, self.digits);
        if self.markup == Markup::Text {
            return (text, exact);
        }
        let latex = match text.split_once('e') {
            _ if value.is_infinite() => if value > 0.0 { "\\infty" } else { "-\\infty" }.to_owned(),
            _ if value.is_nan() => "\\mathrm{NaN}".to_owned(),
            Some((mantissa, exponent)) => format!("{mantissa}{{\\times}}10^{{{exponent}}}"),
            None => text,
        };
        (latex, exact)
    }

    /// Returns the sign for terms that are left out.
    pub(super) fn ellipsis(self, count: usize) -> String {
        match self.markup {
            Markup::Text => phrase("… {} more …", &[&count.to_string()]),
            Markup::Latex => format!("\\cdots\\text{{ ({count} more) }}\\cdots"),
        }
    }

    pub(super) fn add(self, sum: Expression, minus: bool, term: Expression) -> Expression {
        join(sum, if minus { self.either(" − ", " - ") } else { " + " }, term, Precedence::Sum)
    }

    pub(super) fn subtract(self, left: Expression, right: Expression) -> Expression {
        join(left, self.either(" − ", " - "), right.with_closed_sign(), Precedence::Sum)
    }

    pub(super) fn multiply(self, left: Expression, right: Expression) -> Expression {
        // A fraction needs no parentheses.
        let right = right.within(if self.markup == Markup::Text { Precedence::Atom } else { Precedence::Product });
        let right = if self.markup == Markup::Text { right } else { right.with_closed_sign() };
        join(left, self.either("·", " \\cdot "), right, Precedence::Product)
    }

    pub(super) fn quotient(self, left: Expression, right: Expression) -> Expression {
        if self.markup == Markup::Text {
            return join(
                left.within(Precedence::Quotient),
                " / ",
                right.within(Precedence::Atom),
                Precedence::Quotient,
            );
        }
        let text = format!("\\frac{{{}}}{{{}}}", left.text, right.text);
        Expression { text, exact: left.exact && right.exact, precedence: Precedence::Product }
    }

    pub(super) fn square(self, base: Expression) -> Expression {
        let base = base.within(Precedence::Atom);
        Expression::atom(format!("{}{}", base.text, self.either("²", "^2")), base.exact)
    }

    /// Returns a power of e. e^-1 needs no parentheses.
    pub(super) fn power_of_e(self, power: Expression) -> Expression {
        match self.markup {
            Markup::Text => {
                let power = power.within(Precedence::Negative);
                Expression::atom(format!("e^{}", power.text), power.exact)
            }
            Markup::Latex => Expression::atom(format!("e^{{{}}}", power.text), power.exact),
        }
    }

    pub(super) fn if_positive(self, x: &Expression, value: &Expression) -> Expression {
        let (x_text, value_text) = (&x.text, &value.text);
        let text = match self.markup {
            Markup::Text => phrase("({} if {} > 0 else 0)", &[value_text, x_text]),
            Markup::Latex => format!("({value_text} \\text{{ if }} {x_text} > 0 \\text{{ else }} 0)"),
        };
        Expression::atom(text, x.exact && value.exact)
    }

    pub(super) fn magnitude(self, x: Expression) -> Expression {
        Expression::atom(format!("|{}|", x.text), x.exact)
    }

    pub(super) fn function(self, name: &str, arguments: &[Expression]) -> Expression {
        let texts: Vec<&str> = arguments.iter().map(|argument| argument.text.as_str()).collect();
        // LaTeX breaks no line at a comma by itself.
        let is_long = self.markup == Markup::Latex && arguments.len() > 4;
        let inside = texts.join(if is_long { ",\\allowbreak " } else { ", " });
        let exact = arguments.iter().all(|argument| argument.exact);
        let text = match (self.markup, name) {
            (Markup::Text, _) => format!("{name}({inside})"),
            (Markup::Latex, "√") => format!("\\sqrt{{{inside}}}"),
            (Markup::Latex, "Φ") => format!("\\Phi({inside})"),
            (Markup::Latex, "φ") => format!("\\varphi({inside})"),
            (Markup::Latex, _) => format!("\\{name}({inside})"),
        };
        Expression::atom(text, exact)
    }

    /// Returns a term with its sign in front.
    pub(super) fn with_sign(self, (minus, term): SignedTerm) -> Expression {
        if !minus {
            return term;
        }
        let term = term.within(Precedence::Quotient).with_closed_sign();
        Expression { text: format!("{}{}", self.either("−", "-"), term.text), precedence: Precedence::Sum, ..term }
    }
}

fn join(left: Expression, operator: &str, right: Expression, precedence: Precedence) -> Expression {
    let text = format!("{}{operator}{}", left.text, right.text);
    Expression { text, exact: left.exact && right.exact, precedence }
}

/// Writes a number with at most this many digits, integers without a point, and returns true if it was not rounded for that.
fn write_number(value: f64, digits: Option<usize>) -> (String, bool) {
    let text = number_text(value, digits);
    let is_exact = match text.parse::<f64>() {
        // 0.1 + 0.2 is written 0.3 and counts as exact, though it is the double beside 0.3.
        Ok(read) => read == value || (read - value).abs() <= 1e-14 * value.abs(),
        Err(_) => false,
    };
    (text, is_exact || value.is_nan())
}

fn number_text(value: f64, digits: Option<usize>) -> String {
    if let Some(name) = numpy_name(value) {
        return name.to_owned();
    }
    let magnitude = value.abs();
    if value.fract() == 0.0 && magnitude < 1e16 {
        return format!("{value:.0}");
    }
    let decimals = digits.unwrap_or(DEFAULT_DIGITS).saturating_sub(1);
    let rounded: f64 = format!("{value:.decimals$e}").parse().unwrap_or(value);
    if !(1e-4..1e8).contains(&magnitude) {
        return format!("{rounded:e}");
    }
    let shortest = format!("{rounded}");
    match shortest.split_once('.') {
        Some((_, fraction)) if digits.is_none() && fraction.len() > DEFAULT_DIGITS => {
            format!("{value:.DEFAULT_DIGITS$}").trim_end_matches('0').to_owned()
        }
        _ => shortest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_eight_digits_and_rounding_is_reported() {
        let exact = [8.0, -0.25, 0.1 + 0.2, 0.8 - 1.0, 1e-10, 123_456_789.0].map(|value| write_number(value, None));
        let texts = ["8", "-0.25", "0.3", "-0.2", "1e-10", "123456789"];
        assert_eq!(exact, texts.map(|text| (text.to_owned(), true)));
        let rounded = [1.0 / 3.0, 0.090_030_573_170_380_46, 1_234.567_890_123, 4.248_354_255_291_589e-18];
        let texts = ["0.33333333", "0.09003057", "1234.5679", "4.2483543e-18"];
        assert_eq!(rounded.map(|value| write_number(value, None)), texts.map(|text| (text.to_owned(), false)));
        let short = [2.0 / 3.0, 0.0012345, 1234.5, 5e-7].map(|value| write_number(value, Some(3)).0);
        assert_eq!(short, ["0.667", "0.00123", "1230", "5e-7"]);
        let long = [0.1 + 0.2, 1.0 / 812.0].map(|value| write_number(value, Some(17)).0);
        assert_eq!(long, ["0.30000000000000004", "0.0012315270935960591"]);
        assert_eq!(write_number(f64::NEG_INFINITY, None), ("-inf".to_owned(), true));
    }
}
