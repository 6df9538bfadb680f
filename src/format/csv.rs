//! `.csv` and `.tsv`: one row per line, without a header; a single column is a vector.

use super::arrays::{ArrayStream, LoadedArray, OutputDtype};
use super::errors::{decode_error, refuse_selector, refuse_utf16};
use super::file_format::Format;
use super::selector::Selector;
use super::source::Source;
use crate::core::error::{Code, Error, Place, format_count, format_shape, sanitize};
use crate::core::name::Name;
use crate::core::non_finite::numpy_name;
use crate::parallel::progress::Progress;
use ::csv::{Terminator, WriterBuilder};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use std::io::{self, BufRead, BufReader};

/// Text with a delimiter between columns.
pub struct DelimitedText {
    name: &'static str,
    delimiter: u8,
}

/// Columns separated by commas.
pub const CSV: DelimitedText = DelimitedText { name: ".csv", delimiter: b',' };

/// Columns separated by tabs.
pub const TSV: DelimitedText = DelimitedText { name: ".tsv", delimiter: b'\t' };

impl Format for DelimitedText {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&self, source: Source<'_>, select: &Selector, _names: &[Name]) -> Result<LoadedArray, Error> {
        refuse_selector(select, self.name())?;
        read_table(source, self.delimiter).map(LoadedArray::unnamed)
    }

    fn write(&self, arrays: &mut dyn ArrayStream, _dtype: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
        write_tables(arrays, self.delimiter, out)
    }
}

/// Reads all rows as a matrix (N, C), or a single column as a vector (N). Quotes cannot contain delimiters or line ends, so
/// every line is a row and the line and column of every cell are known.
fn read_table(source: Source<'_>, delimiter: u8) -> Result<ArrayD<f64>, Error> {
    let mut table = Table { delimiter, values: Vec::new(), rows: 0, columns: 0 };
    let (mut source, mut text, mut line) = (BufReader::with_capacity(1 << 16, source), Vec::new(), 0);
    while source.read_until(b'\n', &mut text).map_err(|error| decode_error(&error))? > 0 {
        if line == 0 {
            refuse_utf16(&text)?;
        }
        let row = text.strip_suffix(b"\n").unwrap_or(&text);
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        // Classic Mac OS ends a line with a lone carriage return.
        for row in row.split(|&byte| byte == b'\r') {
            line += 1;
            table.read_row(row.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(row), line)?;
        }
        text.clear();
    }
    table.into_array()
}

/// The rows read so far.
struct Table {
    delimiter: u8,
    values: Vec<f64>,
    rows: usize,
    columns: usize,
}

impl Table {
    /// Appends a row; blank lines are skipped.
    fn read_row(&mut self, text: &[u8], line: usize) -> Result<(), Error> {
        if text.iter().all(|&byte| byte == b' ') {
            return Ok(());
        }
        let cells = || text.split(|&byte| byte == self.delimiter);
        if self.rows == 0 {
            self.columns = cells().count();
            refuse_header(cells, self.delimiter, line)?;
        }
        if cells().count() != self.columns {
            let (row, columns) = (self.rows, format_count(cells().count(), "column"));
            return Err(Error::new(Code::Ragged, format!("row {row} has {columns}, but row 0 has {}", self.columns))
                .at(place(line, 1))
                .tip("give every row the same number of columns"));
        }
        let mut column = 1;
        for cell in text.split(|&byte| byte == self.delimiter) {
            let blanks = cell.len() - cell.trim_ascii_start().len();
            self.values.push(parse_cell(cell).map_err(|error| error.at(place(line, column + blanks)))?);
            column += String::from_utf8_lossy(cell).chars().count() + 1;
        }
        self.rows += 1;
        Ok(())
    }

    fn into_array(self) -> Result<ArrayD<f64>, Error> {
        let shape = match (self.rows, self.columns) {
            (0, _) => return Err(Error::new(Code::EmptyValue, "is empty").tip("write at least one row of numbers")),
            (rows, 1) => vec![rows],
            (rows, columns) => vec![rows, columns],
        };
        ArrayD::from_shape_vec(IxDyn(&shape), self.values).map_err(|_| Error::new(Code::Damaged, "is not a table"))
    }
}

fn place(line: usize, column: usize) -> Place {
    Place::Text { line, column, pointer: String::new() }
}

/// Removes blanks and quotes around a cell.
fn unquote(cell: &[u8]) -> &[u8] {
    match cell.trim_ascii() {
        [b'"', inside @ .., b'"'] => inside.trim_ascii(),
        cell => cell,
    }
}

fn parse_cell(cell: &[u8]) -> Result<f64, Error> {
    let text = String::from_utf8_lossy(unquote(cell));
    if text.is_empty() {
        return Err(Error::new(Code::EmptyValue, "a cell is empty").tip("write nan for a missing value"));
    }
    let is_word = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_alphabetic());
    match text.parse::<f64>() {
        Ok(number) if number.is_infinite() && !is_word => {
            Err(Error::new(Code::NumberRange, format!("{} is too large for a double", sanitize(&text)))
                .tip("the largest double is 1.8e308; write inf or -inf for infinity"))
        }
        Ok(number) => Ok(number),
        Err(_) => Err(Error::new(Code::NotANumber, format!("the cell \"{}\" is not a number", sanitize(&text)))
            .tip("write numbers with a decimal point, or nan, inf or -inf")),
    }
}

/// Refuses a first line that has only words, and a table with another delimiter.
fn refuse_header<'a, C: Iterator<Item = &'a [u8]>>(
    cells: impl Fn() -> C,
    delimiter: u8,
    line: usize,
) -> Result<(), Error> {
    let is_word =
        |cell: &&[u8]| !unquote(cell).is_empty() && parse_cell(cell).is_err_and(|error| error.code == Code::NotANumber);
    let Some(first) = cells().find(is_word).map(unquote) else { return Ok(()) };
    let delimiters = [
        (b';', "semicolons: replace them by commas with `tr ';' ','`"),
        (b'\t', "tabs: name the file .tsv"),
        (b',', "commas: name the file .csv"),
    ];
    let other = delimiters.iter().find(|(sign, _)| *sign != delimiter && first.contains(sign));
    let shown = sanitize(&String::from_utf8_lossy(first));
    if let Some((_, advice)) = other {
        return Err(Error::new(Code::NotANumber, format!("the cell \"{shown}\" is not a number"))
            .at(place(line, 1))
            .tip(format!("the columns look separated by {advice}")));
    }
    // A number beside the word means a mistyped row, which must not be removed.
    if cells().any(|cell| parse_cell(cell).is_ok()) {
        return Ok(());
    }
    Err(Error::new(Code::HeaderRow, format!("the first line is a header: \"{shown}\""))
        .at(place(line, 1))
        .tip(format!("remove the header with `tail -n +{} FILE`", line + 1)))
}

fn write_tables(arrays: &mut dyn ArrayStream, delimiter: u8, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = WriterBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).from_writer(out);
    while let Some((_, shape)) = arrays.next_array()? {
        if shape.len() > 2 {
            let message = format!("a table has at most 2 axes, but the result is {}", format_shape(&shape));
            let error = Error::new(Code::OutFormat, message).tip("write it to a .npy, .npz or .json file");
            return Err(io::Error::other(error));
        }
        let progress = Progress::new("writing", shape.iter().product());
        let mut write_row = |row: ArrayViewD<'_, f64>| {
            writer.write_record(row.iter().map(|&number| format_cell(number)))?;
            progress.advance(row.len());
            Ok::<(), csv::Error>(())
        };
        while let Some(rows) = arrays.next_rows()? {
            if rows.ndim() == 0 {
                write_row(rows.view())?;
            } else {
                rows.axis_iter(Axis(0)).try_for_each(&mut write_row)?;
            }
        }
    }
    writer.flush()
}

/// Returns the shortest digits that are read as the same double.
fn format_cell(number: f64) -> String {
    numpy_name(number).map_or_else(|| format!("{number:?}"), str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ArrayD<f64>, Error> {
        CSV.read(Source::bytes("t.csv", text.as_bytes()), &Selector::Default, &[]).map(|found| found.value)
    }

    #[test]
    fn byte_order_marks_quotes_and_all_line_ends_are_read() {
        assert_eq!(read("1,2\n3,4\n").unwrap(), ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]]).into_dyn());
        assert_eq!(read("\u{feff}1\r\n2\r\n").unwrap(), ndarray::arr1(&[1.0, 2.0]).into_dyn());
        assert_eq!(read("1\r\"2\"\r 3 \r").unwrap(), ndarray::arr1(&[1.0, 2.0, 3.0]).into_dyn());
        assert_eq!(read("1, -inf").unwrap().shape(), [1, 2]);
        assert_eq!(TSV.read(Source::bytes("t", b"1\t2"), &Selector::Default, &[]).unwrap().value.len(), 2);
    }

    #[test]
    fn errors_have_a_line_and_a_column() {
        for (text, code, line, column) in [
            ("1,2\n3\n", Code::Ragged, 2, 1),
            ("1,2\n3,x\n", Code::NotANumber, 2, 3),
            ("a,b\n1,2\n", Code::HeaderRow, 1, 1),
            ("1;2\n", Code::NotANumber, 1, 1),
            ("1,\n", Code::EmptyValue, 1, 3),
            ("1,1e400\n", Code::NumberRange, 1, 3),
            ("1,2\r\n3,x\r\n", Code::NotANumber, 2, 3),
            ("1,2\r\n3\r\n", Code::Ragged, 2, 1),
            ("\u{feff}1,2\n\n3,   x\n", Code::NotANumber, 3, 6),
            ("1,2\n\"3\",x\n", Code::NotANumber, 2, 5),
            ("1,2x\n3,4\n", Code::NotANumber, 1, 3),
            ("\na\n1\n", Code::HeaderRow, 2, 1),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.code, &error.at), (code, &Some(place(line, column))), "{text}");
        }
        assert_eq!(read("").unwrap_err().code, Code::EmptyValue);
    }
}
