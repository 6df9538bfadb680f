//! A report as text: each result's name, formula and shape, then the matrix as NumPy would print it.

use super::{Renderer, Report};
use crate::fault::shape;
use ndarray::{ArrayD, ArrayView1, Axis};
use std::io;

/// Digits behind the point, at most.
const DIGITS: usize = 8;
/// More values than this are elided.
const THRESHOLD: usize = 1000;
/// So many values stay at each end of an axis that is elided.
const EDGE: usize = 3;
/// The longest line, whatever the terminal's width.
const LINE: usize = 75;

/// Blocks with a blank line between them.
pub struct Text;

impl Renderer for Text {
    fn render(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        for (n, block) in report.blocks.iter().enumerate() {
            if n > 0 {
                writeln!(out)?;
            }
            if let Some(before) = &block.before {
                writeln!(out, "{before}\n")?;
            }
            writeln!(
                out,
                "{} = {}  ({})",
                block.name,
                block.formula,
                shape(block.value.shape()).trim_matches(['(', ')'])
            )?;
            writeln!(out, "{}", matrix(&block.value))?;
        }
        Ok(())
    }
}

/// A number on its own, with as many digits as tell it from its neighbours.
pub fn number(value: f64) -> String {
    if value.is_finite() && value.fract() == 0.0 && value.abs() < 1e16 {
        format!("{value:.0}")
    } else {
        special(value).unwrap_or_else(|| format!("{value:?}"))
    }
}

fn special(value: f64) -> Option<String> {
    match value {
        v if v.is_nan() => Some("nan".to_owned()),
        f64::INFINITY => Some("inf".to_owned()),
        f64::NEG_INFINITY => Some("-inf".to_owned()),
        _ => None,
    }
}

/// A scalar, vector or matrix, as NumPy prints it; whole numbers without a point.
pub fn matrix(value: &ArrayD<f64>) -> String {
    let elide = value.len() > THRESHOLD;
    match value.ndim() {
        0 => number(value[[]]),
        1 => {
            let row: Vec<f64> = value.iter().copied().collect();
            let style = Style::of(shown(&row, elide).into_iter().flatten());
            line(ArrayView1::from(&row), elide, &style, 1, 1)
        }
        _ => {
            let all = value
                .axis_iter(Axis(0))
                .filter_map(|row| row.into_dimensionality().ok())
                .collect::<Vec<ArrayView1<'_, f64>>>();
            let shown_rows = shown(&all, elide);
            let style = Style::of(shown_rows.iter().flatten().flat_map(|row| shown(&row.to_vec(), elide)).flatten());
            let last = shown_rows.len().saturating_sub(1);
            let lines: Vec<String> = shown_rows
                .iter()
                .enumerate()
                .map(|(n, row)| {
                    row.map_or_else(
                        || "...".to_owned(),
                        |row| line(row, elide, &style, 2, if n == last { 2 } else { 1 }),
                    )
                })
                .collect();
            format!("[{}]", lines.join("\n "))
        }
    }
}

/// The values that are shown; none stands for those left out.
fn shown<T: Clone>(values: &[T], elide: bool) -> Vec<Option<T>> {
    if !elide || values.len() <= 2 * EDGE {
        return values.iter().cloned().map(Some).collect();
    }
    let ends = |range: &[T]| range.iter().cloned().map(Some).collect::<Vec<_>>();
    [ends(&values[..EDGE]), vec![None], ends(&values[values.len() - EDGE..])].concat()
}

/// One row in brackets, continued with `indent` blanks where it is long; `closing` brackets follow it.
fn line(row: ArrayView1<'_, f64>, elide: bool, style: &Style, indent: usize, closing: usize) -> String {
    let (mut text, mut width) = (String::from("["), indent);
    for (n, value) in shown(&row.to_vec(), elide).into_iter().enumerate() {
        let cell = value.map_or_else(|| "...".to_owned(), |value| style.cell(value));
        if n > 0 {
            if width + 1 + cell.len() + closing > LINE {
                text.push('\n');
                text.push_str(&" ".repeat(indent));
                width = indent;
            } else {
                text.push(' ');
                width += 1;
            }
        }
        width += cell.len();
        text.push_str(&cell);
    }
    text.push(']');
    text
}

/// How the values of one matrix are written, so that their points stand below each other.
struct Style {
    kind: Kind,
    /// Digits behind the point.
    digits: usize,
    /// Characters before the point.
    left: usize,
    /// Characters from the point on.
    right: usize,
}

enum Kind {
    Whole,
    Positional,
    Scientific,
}

impl Style {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Style {
        let finite = values.clone().filter(|value| value.is_finite());
        let sizes = || finite.clone().filter(|value| *value != 0.0).map(f64::abs);
        let (largest, smallest) = (sizes().fold(0.0, f64::max), sizes().fold(f64::INFINITY, f64::min));
        let kind = if finite.clone().all(|value| value.fract() == 0.0) && largest < 1e8 {
            Kind::Whole
        } else if largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000.0 {
            Kind::Scientific
        } else {
            Kind::Positional
        };
        let digits = finite.clone().map(|value| mantissa_digits(value).min(DIGITS)).max().unwrap_or(0);
        let mut style = Style { kind, digits, left: 0, right: 0 };
        style.right = finite.map(|value| style.text(value).1.len()).max().unwrap_or(0);
        // A word such as nan ends where the digits end.
        let left = |value: f64| {
            special(value).map_or_else(|| style.text(value).0.len(), |word| word.len().saturating_sub(style.right))
        };
        style.left = values.map(left).max().unwrap_or(0);
        style
    }

    /// What stands before the point of a finite value, and from it on.
    fn text(&self, value: f64) -> (String, String) {
        match self.kind {
            Kind::Whole => (format!("{value:.0}"), String::new()),
            Kind::Positional => {
                let (left, right) = positional(value);
                (left, format!(".{right}"))
            }
            Kind::Scientific => {
                let text = format!("{value:.*e}", self.digits);
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (left, right) = mantissa.split_once('.').unwrap_or((mantissa, ""));
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
                (left.to_owned(), format!(".{right}e{sign}{exponent:0>2}"))
            }
        }
    }

    fn cell(&self, value: f64) -> String {
        if let Some(word) = special(value) {
            return format!("{word:>width$}", width = self.left + self.right);
        }
        let (left, right) = self.text(value);
        format!("{left:>before$}{right:<behind$}", before = self.left, behind = self.right)
    }
}

/// The shortest digits that tell the value, cut to eight behind the point.
fn positional(value: f64) -> (String, String) {
    let shortest = format!("{value}");
    let (left, right) = shortest.split_once('.').unwrap_or((&shortest, ""));
    if right.len() <= DIGITS {
        return (left.to_owned(), right.to_owned());
    }
    let cut = format!("{value:.DIGITS$}");
    let (left, right) = cut.split_once('.').unwrap_or((&cut, ""));
    (left.to_owned(), right.trim_end_matches('0').to_owned())
}

/// The digits behind the point of the shortest mantissa.
fn mantissa_digits(value: f64) -> usize {
    let text = format!("{value:e}");
    text.split_once('e').and_then(|(mantissa, _)| mantissa.split_once('.')).map_or(0, |(_, right)| right.len())
}
