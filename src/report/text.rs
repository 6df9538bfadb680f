//! Results as text: name, formula and shape, then the values as NumPy prints them.

use super::notation::{Cell, CellWidths, Digits, Notation};
use super::numbers::format_number;
use super::results::ResultHeader;
use crate::core::error::format_shape;
use crate::core::language::translate;
use crate::format::ArrayStream;
use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use std::borrow::Cow;
use std::io;

/// Number of values above which an array is elided.
const MAX_VALUES: usize = 1000;
/// Number of values at each end of an elided axis.
const EDGE_ITEMS: usize = 3;
/// Maximum line width in characters.
const LINE_WIDTH: usize = 75;

/// Writes results with blank lines between them.
pub fn write(
    headers: &[ResultHeader],
    arrays: &mut dyn ArrayStream,
    digits: Digits,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    for (n, header) in headers.iter().enumerate() {
        let Some((name, shape)) = arrays.next_array()? else { break };
        if n > 0 {
            writeln!(out)?;
        }
        if let Some(before) = &header.before {
            writeln!(out, "{}\n", translate(before))?;
        }
        let shape_text = format_shape(&shape);
        let shape_text = translate(shape_text.trim_matches(['(', ')']));
        writeln!(out, "{name} = {}  ({shape_text})", translate(&header.formula))?;
        writeln!(out, "{}", read_entries(shape, arrays)?.format(digits))?;
    }
    Ok(())
}

/// Formats an array of any rank as NumPy does; integers have no decimal point.
pub fn format_array(value: &ArrayD<f64>, digits: Digits) -> String {
    let mut entries = ShownEntries::new(value.shape().to_vec());
    entries.append(Cow::Borrowed(value));
    entries.format(digits)
}

/// Reads the entries of an array that are shown.
fn read_entries(shape: Vec<usize>, arrays: &mut dyn ArrayStream) -> io::Result<ShownEntries> {
    let mut entries = ShownEntries::new(shape);
    while let Some(rows) = arrays.next_rows()? {
        entries.append(rows);
    }
    Ok(entries)
}

/// The entries of an array that are shown: all, or of a long array those at both ends of each axis.
struct ShownEntries {
    shape: Vec<usize>,
    shown: Option<ArrayD<f64>>,
}

impl ShownEntries {
    fn new(shape: Vec<usize>) -> ShownEntries {
        ShownEntries { shape, shown: None }
    }

    /// Returns true if the entries between the ends of an axis are left out.
    fn is_elided(&self, axis: usize) -> bool {
        let count = self.shape.iter().fold(1, |count: usize, &side| count.saturating_mul(side));
        count > MAX_VALUES && self.shape[axis] > 2 * EDGE_ITEMS
    }

    /// Adds the next rows of the array.
    fn append(&mut self, rows: Cow<'_, ArrayD<f64>>) {
        let mut rows = rows;
        for axis in 0..self.shape.len() {
            if self.is_elided(axis) {
                rows = keep_ends(rows, axis);
            }
        }
        let Some(shown) = self.shown.take() else {
            self.shown = Some(rows.into_owned());
            return;
        };
        let both = concatenate(Axis(0), &[shown.view(), rows.view()]);
        let both = both.unwrap_or_else(|_| unreachable!("chunks of rows have the same columns"));
        self.shown = Some(if self.is_elided(0) { keep_ends(Cow::Owned(both), 0).into_owned() } else { both });
    }

    fn format(&self, digits: Digits) -> String {
        let Some(shown) = self.shown.as_ref().filter(|shown| !shown.is_empty()) else { return "[]".to_owned() };
        if shown.ndim() == 0 {
            return format_number(digits.round(shown[[]]));
        }
        let notation = Notation::choose(shown.iter().copied(), digits);
        let cells = shown.map(|value| notation.format(*value));
        let widths = CellWidths::measure(cells.iter());
        self.format_axis(&cells.view(), &widths)
    }

    /// Formats nested brackets, without an indent on the first line. Matrices are separated by a blank line, and arrays of more
    /// axes by more.
    fn format_axis(&self, cells: &ArrayViewD<'_, Cell>, widths: &CellWidths) -> String {
        let axis = self.shape.len() - cells.ndim();
        let is_row = cells.ndim() == 1;
        let items = cells.axis_iter(Axis(0)).map(|item| match item.first() {
            Some(cell) if is_row => widths.pad(cell),
            _ => self.format_axis(&item, widths),
        });
        let mut items: Vec<String> = items.collect();
        if self.is_elided(axis) {
            items.insert(EDGE_ITEMS, "...".to_owned());
        }
        let indent = " ".repeat(axis + 1);
        let content = if is_row {
            wrap(&items, &indent, self.shape.len())
        } else {
            items.join(&format!("{}{indent}", "\n".repeat(cells.ndim() - 1)))
        };
        format!("[{content}]")
    }
}

/// Keeps the entries at both ends of an axis.
fn keep_ends(rows: Cow<'_, ArrayD<f64>>, axis: usize) -> Cow<'_, ArrayD<f64>> {
    let count = rows.shape()[axis];
    if count <= 2 * EDGE_ITEMS {
        return rows;
    }
    let ends: Vec<usize> = (0..EDGE_ITEMS).chain(count - EDGE_ITEMS..count).collect();
    Cow::Owned(rows.select(Axis(axis), &ends))
}

/// Joins the cells of a row with blanks, in lines that leave space for the closing brackets.
fn wrap(cells: &[String], indent: &str, closing: usize) -> String {
    let (mut text, mut width) = (String::new(), indent.len());
    for (n, cell) in cells.iter().enumerate() {
        if n > 0 && width + 1 + cell.len() + closing > LINE_WIDTH {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(indent);
            width = indent.len();
        } else if n > 0 {
            text.push(' ');
            width += 1;
        }
        width += cell.len();
        text.push_str(cell);
    }
    text
}
