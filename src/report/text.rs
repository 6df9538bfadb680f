//! Results as text: name, formula and shape, then the values as NumPy prints them.

use super::numbers::format_number;
use super::results::ResultHeader;
use crate::core::error::format_shape;
use crate::core::non_finite::numpy_name;
use crate::format::ArrayStream;
use ndarray::{ArrayD, ArrayView1, Axis, Slice, concatenate};
use std::borrow::Cow;
use std::io;

/// Largest number of decimals.
const MAX_DECIMALS: usize = 8;
/// Number of values above which an array is elided.
const MAX_VALUES: usize = 1000;
/// Number of values at each end of an elided axis.
const EDGE_ITEMS: usize = 3;
/// Maximum line width in characters.
const LINE_WIDTH: usize = 75;

/// Writes results with blank lines between them.
pub fn write(headers: &[ResultHeader], arrays: &mut dyn ArrayStream, out: &mut dyn io::Write) -> io::Result<()> {
    for (n, header) in headers.iter().enumerate() {
        let Some((name, shape)) = arrays.next_array()? else { break };
        if n > 0 {
            writeln!(out)?;
        }
        if let Some(before) = &header.before {
            writeln!(out, "{before}\n")?;
        }
        writeln!(out, "{name} = {}  ({})", header.formula, format_shape(&shape).trim_matches(['(', ')']))?;
        writeln!(out, "{}", format_matrix(&collect_edges(arrays)?))?;
    }
    Ok(())
}

/// Reads the rows of an array that [`format_matrix`] shows. A long array is shortened, but still long enough to be elided.
fn collect_edges(arrays: &mut dyn ArrayStream) -> io::Result<ArrayD<f64>> {
    let mut edges = ArrayD::zeros(vec![0]);
    let mut is_first = true;
    while let Some(rows) = arrays.next_rows()? {
        if std::mem::take(&mut is_first) {
            edges = shorten(rows);
        } else {
            let rows = shorten(rows);
            let both = concatenate(Axis(0), &[edges.view(), rows.view()]);
            let both = both.unwrap_or_else(|_| unreachable!("chunks of rows have the same columns"));
            edges = shorten(Cow::Owned(both));
        }
    }
    Ok(edges)
}

/// Removes rows from the middle of a long array.
fn shorten(rows: Cow<'_, ArrayD<f64>>) -> ArrayD<f64> {
    let Some((&count, columns)) = rows.shape().split_first() else { return rows.into_owned() };
    let front = EDGE_ITEMS.max(MAX_VALUES.div_ceil(columns.iter().product::<usize>().max(1))) + 1;
    if count <= front + EDGE_ITEMS {
        return rows.into_owned();
    }
    let ends = [Slice::from(..front), Slice::from(count - EDGE_ITEMS..)].map(|end| rows.slice_axis(Axis(0), end));
    concatenate(Axis(0), &ends).unwrap_or_else(|_| unreachable!("both ends have the same columns"))
}

/// Formats a scalar, vector or matrix as NumPy does; integers have no decimal point.
pub fn format_matrix(value: &ArrayD<f64>) -> String {
    let rows: Vec<ArrayView1<'_, f64>> = match value.ndim() {
        0 => return format_number(value[[]]),
        1 => value.view().into_dimensionality().into_iter().collect(),
        _ => value.axis_iter(Axis(0)).filter_map(|row| row.into_dimensionality().ok()).collect(),
    };
    let is_elided = value.len() > MAX_VALUES;
    let rows: Vec<Option<Vec<Option<f64>>>> =
        elide(&rows, is_elided).into_iter().map(|row| row.map(|row| elide(&row.to_vec(), is_elided))).collect();
    let notation = Notation::choose(rows.iter().flatten().flatten().flatten().copied());
    let cells: Vec<Option<Vec<Option<Cell>>>> = rows
        .into_iter()
        .map(|row| row.map(|row| row.into_iter().map(|value| value.map(|value| notation.format(value))).collect()))
        .collect();
    let widths = CellWidths::measure(cells.iter().flatten().flatten().flatten());
    if value.ndim() == 1 {
        return cells.iter().flatten().map(|row| format_row(row, &widths, 1, 1)).collect();
    }
    let last = cells.len().saturating_sub(1);
    let lines: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(n, row)| match row {
            Some(row) => format_row(row, &widths, 2, if n == last { 2 } else { 1 }),
            None => "...".to_owned(),
        })
        .collect();
    format!("[{}]", lines.join("\n "))
}

/// Returns the values that are shown, with `None` in place of those that are left out.
fn elide<T: Clone>(values: &[T], is_elided: bool) -> Vec<Option<T>> {
    if !is_elided || values.len() <= 2 * EDGE_ITEMS {
        return values.iter().cloned().map(Some).collect();
    }
    let ends = |range: &[T]| range.iter().cloned().map(Some).collect::<Vec<_>>();
    [ends(&values[..EDGE_ITEMS]), vec![None], ends(&values[values.len() - EDGE_ITEMS..])].concat()
}

/// Formats one row in brackets, wrapped with `indent` blanks; `closing` brackets follow it.
fn format_row(row: &[Option<Cell>], widths: &CellWidths, indent: usize, closing: usize) -> String {
    let (mut text, mut width) = (String::from("["), indent);
    for (n, cell) in row.iter().enumerate() {
        let cell = cell.as_ref().map_or_else(|| "...".to_owned(), |cell| widths.pad(cell));
        if n > 0 {
            if width + 1 + cell.len() + closing > LINE_WIDTH {
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

/// A formatted value.
enum Cell {
    /// The digits before the decimal point, and the rest from the point on.
    Number(String, String),
    /// A word such as nan, aligned with the last digit.
    Word(String),
}

/// Widths of the cells of a matrix, so that the decimal points are aligned.
struct CellWidths {
    /// Number of characters before the point.
    left: usize,
    /// Number of characters from the point on.
    right: usize,
}

impl CellWidths {
    fn measure<'a>(cells: impl Iterator<Item = &'a Cell> + Clone) -> CellWidths {
        let right = |cell: &Cell| if let Cell::Number(_, right) = cell { right.len() } else { 0 };
        let right = cells.clone().map(right).max().unwrap_or(0);
        let left = |cell: &Cell| match cell {
            Cell::Number(left, _) => left.len(),
            Cell::Word(word) => word.len().saturating_sub(right),
        };
        CellWidths { left: cells.map(left).max().unwrap_or(0), right }
    }

    fn pad(&self, cell: &Cell) -> String {
        match cell {
            Cell::Number(left, right) => {
                format!("{left:>before$}{right:<after$}", before = self.left, after = self.right)
            }
            Cell::Word(word) => format!("{word:>width$}", width = self.left + self.right),
        }
    }
}

/// Notation of the values of a matrix.
enum Notation {
    Integer,
    Fixed,
    /// Scientific, with this number of decimals.
    Scientific(usize),
}

impl Notation {
    /// Chooses the notation by NumPy's rules.
    fn choose(values: impl Iterator<Item = f64> + Clone) -> Notation {
        let finite = values.filter(|value| value.is_finite());
        let sizes = || finite.clone().filter(|value| *value != 0.0).map(f64::abs);
        let (largest, smallest) = (sizes().fold(0.0, f64::max), sizes().fold(f64::INFINITY, f64::min));
        if finite.clone().all(|value| value.fract() == 0.0) && largest < 1e8 {
            Notation::Integer
        } else if largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000.0 {
            Notation::Scientific(finite.map(|value| mantissa_decimals(value).min(MAX_DECIMALS)).max().unwrap_or(0))
        } else {
            Notation::Fixed
        }
    }

    fn format(&self, value: f64) -> Cell {
        if let Some(word) = numpy_name(value) {
            return Cell::Word(word.to_owned());
        }
        match self {
            Notation::Integer => Cell::Number(value.to_string(), String::new()),
            Notation::Fixed => {
                let (left, right) = format_fixed(value);
                Cell::Number(left, format!(".{right}"))
            }
            Notation::Scientific(decimals) => {
                let text = format!("{value:.decimals$e}");
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (left, right) = mantissa.split_once('.').unwrap_or((mantissa, ""));
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
                Cell::Number(left.to_owned(), format!(".{right}e{sign}{exponent:0>2}"))
            }
        }
    }
}

/// Returns the shortest digits that distinguish the value, rounded to eight decimals.
fn format_fixed(value: f64) -> (String, String) {
    let shortest = format!("{value}");
    let (left, right) = shortest.split_once('.').unwrap_or((&shortest, ""));
    if right.len() <= MAX_DECIMALS {
        return (left.to_owned(), right.to_owned());
    }
    let rounded = format!("{value:.MAX_DECIMALS$}");
    let (left, right) = rounded.split_once('.').unwrap_or((&rounded, ""));
    (left.to_owned(), right.trim_end_matches('0').to_owned())
}

/// Returns the number of decimals of the shortest mantissa.
fn mantissa_decimals(value: f64) -> usize {
    let text = format!("{value:e}");
    text.split_once('e').and_then(|(mantissa, _)| mantissa.split_once('.')).map_or(0, |(_, right)| right.len())
}
