//! A report as text: each result's name, formula and shape, then the matrix as NumPy would print it.

use super::{Renderer, ResultHeader};
use crate::core::error::format_shape;
use crate::format::ArrayStream;
use ndarray::{ArrayD, ArrayView1, Axis, Slice, concatenate};
use std::borrow::Cow;
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
    fn render(&self, heads: &[ResultHeader], arrays: &mut dyn ArrayStream, out: &mut dyn io::Write) -> io::Result<()> {
        for (n, head) in heads.iter().enumerate() {
            let Some((name, sides)) = arrays.next_array()? else { break };
            if n > 0 {
                writeln!(out)?;
            }
            if let Some(before) = &head.before {
                writeln!(out, "{before}\n")?;
            }
            writeln!(out, "{name} = {}  ({})", head.formula, format_shape(&sides).trim_matches(['(', ')']))?;
            writeln!(out, "{}", format_matrix(&ends(arrays)?))?;
        }
        Ok(())
    }
}

/// What is shown of an array that may come in many blocks: of a long one the rows that [`format_matrix`] elides are left out, but for
/// so many that it elides still.
fn ends(arrays: &mut dyn ArrayStream) -> io::Result<ArrayD<f64>> {
    let mut kept = ArrayD::zeros(vec![0]);
    let mut first = true;
    while let Some(rows) = arrays.next_rows()? {
        if std::mem::take(&mut first) {
            kept = shortened(rows);
        } else {
            let rows = shortened(rows);
            kept = match concatenate(Axis(0), &[kept.view(), rows.view()]) {
                Ok(both) => shortened(Cow::Owned(both)),
                Err(_) => unreachable!("blocks of rows have the same columns"),
            };
        }
    }
    Ok(kept)
}

fn shortened(rows: Cow<'_, ArrayD<f64>>) -> ArrayD<f64> {
    let Some((&count, columns)) = rows.shape().split_first() else { return rows.into_owned() };
    let front = EDGE.max(THRESHOLD.div_ceil(columns.iter().product::<usize>().max(1))) + 1;
    if count <= front + EDGE {
        return rows.into_owned();
    }
    let ends = [Slice::from(..front), Slice::from(count - EDGE..)].map(|end| rows.slice_axis(Axis(0), end));
    concatenate(Axis(0), &ends).unwrap_or_else(|_| unreachable!("both have the same columns"))
}

/// A number on its own, with as many digits as tell it from its neighbours.
pub fn format_number(value: f64) -> String {
    if value.is_finite() && value.fract() == 0.0 && value.abs() < 1e16 {
        format!("{value}")
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
pub fn format_matrix(value: &ArrayD<f64>) -> String {
    let rows: Vec<ArrayView1<'_, f64>> = match value.ndim() {
        0 => return format_number(value[[]]),
        1 => value.view().into_dimensionality().into_iter().collect(),
        _ => value.axis_iter(Axis(0)).filter_map(|row| row.into_dimensionality().ok()).collect(),
    };
    let elide = value.len() > THRESHOLD;
    let rows: Vec<Option<Vec<Option<f64>>>> =
        shown(&rows, elide).into_iter().map(|row| row.map(|row| shown(&row.to_vec(), elide))).collect();
    let notation = Notation::of(rows.iter().flatten().flatten().flatten().copied());
    let cells: Vec<Option<Vec<Option<Cell>>>> = rows
        .into_iter()
        .map(|row| row.map(|row| row.into_iter().map(|value| value.map(|value| notation.cell(value))).collect()))
        .collect();
    let widths = Widths::of(cells.iter().flatten().flatten().flatten());
    if value.ndim() == 1 {
        return cells.iter().flatten().map(|row| line(row, &widths, 1, 1)).collect();
    }
    let last = cells.len().saturating_sub(1);
    let lines: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(n, row)| match row {
            Some(row) => line(row, &widths, 2, if n == last { 2 } else { 1 }),
            None => "...".to_owned(),
        })
        .collect();
    format!("[{}]", lines.join("\n "))
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
fn line(row: &[Option<Cell>], widths: &Widths, indent: usize, closing: usize) -> String {
    let (mut text, mut width) = (String::from("["), indent);
    for (n, cell) in row.iter().enumerate() {
        let cell = cell.as_ref().map_or_else(|| "...".to_owned(), |cell| widths.fill(cell));
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

/// A value as it is written.
enum Cell {
    /// What stands before the point, and from it on.
    Number(String, String),
    /// A word such as nan, which ends where the digits end.
    Word(String),
}

/// How wide the cells of one matrix are, so that their points stand below each other.
struct Widths {
    /// Characters before the point.
    left: usize,
    /// Characters from the point on.
    right: usize,
}

impl Widths {
    fn of<'a>(cells: impl Iterator<Item = &'a Cell> + Clone) -> Widths {
        let right = |cell: &Cell| if let Cell::Number(_, right) = cell { right.len() } else { 0 };
        let right = cells.clone().map(right).max().unwrap_or(0);
        let left = |cell: &Cell| match cell {
            Cell::Number(left, _) => left.len(),
            Cell::Word(word) => word.len().saturating_sub(right),
        };
        Widths { left: cells.map(left).max().unwrap_or(0), right }
    }

    fn fill(&self, cell: &Cell) -> String {
        match cell {
            Cell::Number(left, right) => {
                format!("{left:>before$}{right:<behind$}", before = self.left, behind = self.right)
            }
            Cell::Word(word) => format!("{word:>width$}", width = self.left + self.right),
        }
    }
}

/// How the values of one matrix are written.
enum Notation {
    Whole,
    Positional,
    /// With so many digits behind the point.
    Scientific(usize),
}

impl Notation {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Notation {
        let finite = values.filter(|value| value.is_finite());
        let sizes = || finite.clone().filter(|value| *value != 0.0).map(f64::abs);
        let (largest, smallest) = (sizes().fold(0.0, f64::max), sizes().fold(f64::INFINITY, f64::min));
        if finite.clone().all(|value| value.fract() == 0.0) && largest < 1e8 {
            Notation::Whole
        } else if largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000.0 {
            Notation::Scientific(finite.map(|value| mantissa_digits(value).min(DIGITS)).max().unwrap_or(0))
        } else {
            Notation::Positional
        }
    }

    fn cell(&self, value: f64) -> Cell {
        if let Some(word) = special(value) {
            return Cell::Word(word);
        }
        match self {
            Notation::Whole => Cell::Number(value.to_string(), String::new()),
            Notation::Positional => {
                let (left, right) = positional(value);
                Cell::Number(left, format!(".{right}"))
            }
            Notation::Scientific(digits) => {
                let text = format!("{value:.digits$e}");
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (left, right) = mantissa.split_once('.').unwrap_or((mantissa, ""));
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
                Cell::Number(left.to_owned(), format!(".{right}e{sign}{exponent:0>2}"))
            }
        }
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
