//! Tables of text: `.csv` and `.tsv` as in RFC 4180, and `.txt` with blanks between the columns, as `np.savetxt` writes it. A single
//! column is a vector.

mod cell;
mod columns;
mod first_row;
mod place;
mod table_error;

use super::arrays::{ArrayStream, LoadedArray, OutputDtype};
use super::elements::{is_rounded_integer, rounded_integer};
use super::errors::decode_error;
use super::file_format::Format;
use super::selector::Selector;
use super::source::Source;
use crate::core::error::{Code, Error, format_count, format_shape};
use crate::core::name::Name;
use crate::core::non_finite::numpy_name;
use crate::parallel::progress::Progress;
use ::csv::{ByteRecord, Reader, ReaderBuilder, Terminator, WriterBuilder};
use cell::{OPEN_QUOTE, is_number, parse_cell, unquote};
use ndarray::{ArrayD, ArrayViewD, Axis, Dimension, IxDyn};
use place::{BLANKS, blank_cells};
use std::io;
use table_error::{TableError, explain};

/// Rows of cells with a separator between them.
pub struct Table {
    name: &'static str,
    /// Byte between two cells; [`BLANKS`] for any number of blanks and tabs.
    separator: u8,
    /// True with `--header`: the first row has the names of the columns.
    has_header: bool,
}

/// Columns separated by commas.
pub const CSV: Table = Table { name: ".csv", separator: b',', has_header: false };

/// Columns separated by tabs.
pub const TSV: Table = Table { name: ".tsv", separator: b'\t', has_header: false };

/// Columns separated by blanks; `#` begins a comment.
pub const TXT: Table = Table { name: ".txt", separator: BLANKS, has_header: false };

/// A byte that text does not contain, so that the reader of CSV splits text into lines only.
const NO_DELIMITER: u8 = 0x1f;

impl Format for Table {
    fn name(&self) -> &'static str {
        self.name
    }

    fn with_header(&self) -> Option<&'static dyn Format> {
        Some(match self.separator {
            b',' => &Table { has_header: true, ..CSV },
            b'\t' => &Table { has_header: true, ..TSV },
            _ => &Table { has_header: true, ..TXT },
        })
    }

    fn read_names(&self, source: Source<'_>) -> Result<Vec<String>, Error> {
        if !self.has_header {
            return Ok(Vec::new());
        }
        let mut rows = Rows::new(source, self.separator);
        let header = read_header(&mut rows);
        header.map(|(names, _)| names).map_err(|error| explain(error, rows.reader.into_inner(), self.separator))
    }

    fn read(&self, source: Source<'_>, select: &Selector, _names: &[Name]) -> Result<LoadedArray, Error> {
        let mut rows = Rows::new(source, self.separator);
        let read = if self.has_header { read_named(&mut rows, select) } else { read_all(&mut rows, select) };
        let warn = |(at, double): (usize, f64), value: &ArrayD<f64>| {
            let index = value.indexed_iter().nth(at).map(|(index, _)| index.slice().to_vec());
            rounded_integer(double).at_index(&index.unwrap_or_default())
        };
        match read {
            Ok(value) => {
                let rounded = rows.rounded.map(|rounded| warn(rounded, &value));
                Ok(LoadedArray { rounded, ..LoadedArray::unnamed(value) })
            }
            Err(error) => Err(explain(error, rows.reader.into_inner(), self.separator)),
        }
    }

    fn write(&self, arrays: &mut dyn ArrayStream, _dtype: OutputDtype, out: &mut dyn io::Write) -> io::Result<()> {
        write_tables(arrays, self.separator, out)
    }

    fn can_write(&self) -> bool {
        self.separator != BLANKS
    }
}

/// The rows of a table, one at a time.
struct Rows<'a> {
    reader: Reader<Source<'a>>,
    /// The current row.
    record: ByteRecord,
    separator: u8,
    /// The words of the last comment, which may be the names of the columns.
    comment: Option<Vec<String>>,
    /// Position and value of the first integer that was rounded.
    rounded: Option<(usize, f64)>,
}

impl<'a> Rows<'a> {
    fn new(source: Source<'a>, separator: u8) -> Rows<'a> {
        let is_blank_separated = separator == BLANKS;
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(if is_blank_separated { NO_DELIMITER } else { separator })
            .quoting(!is_blank_separated)
            .buffer_capacity(1 << 16)
            .from_reader(source);
        Rows { reader, record: ByteRecord::new(), separator, comment: None, rounded: None }
    }

    /// Advances to the next row that is neither blank nor a comment.
    fn next(&mut self) -> Result<bool, TableError> {
        while self.reader.read_byte_record(&mut self.record).map_err(read_error)? {
            if self.separator != BLANKS {
                // An empty cell in quotes is a cell, and blanks alone are none.
                if self.record.len() > 1 || self.record[0].is_empty() || !self.record[0].trim_ascii().is_empty() {
                    return Ok(true);
                }
            } else if blank_cells(&self.record).next().is_some() {
                return Ok(true);
            } else if let Some((_, comment)) = String::from_utf8_lossy(&self.record[0]).split_once('#') {
                self.comment = Some(comment.split_ascii_whitespace().map(str::to_owned).collect());
            }
        }
        Ok(false)
    }

    /// Returns the cells of the current row as text.
    fn cells(&self) -> Vec<String> {
        let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
        match self.separator {
            BLANKS => blank_cells(&self.record).map(text).collect(),
            _ => self.record.iter().map(unquote).map(text).collect(),
        }
    }

    /// Returns the position of the current row in bytes.
    fn begin(&self) -> u64 {
        self.record.position().map_or(0, ::csv::Position::byte)
    }

    /// Returns the error of a cell of the current row that is not a number.
    fn cell_error(&self, cell: usize) -> TableError {
        TableError::Cell { begin: self.begin(), cell, row: self.cells() }
    }

    /// Appends the numbers of the current row, and returns their count.
    fn parse(&mut self, values: &mut Vec<f64>) -> Result<usize, TableError> {
        let rounded = &mut self.rounded;
        match self.separator {
            BLANKS => parse_cells(blank_cells(&self.record), values, rounded),
            _ => parse_cells(self.record.iter().map(unquote), values, rounded),
        }
        .map_err(|cell| self.cell_error(cell))
    }

    /// Appends the numbers of some columns of the current row, which has `count` columns.
    fn parse_selected(&mut self, selected: &[usize], count: usize, values: &mut Vec<f64>) -> Result<usize, TableError> {
        let cells = self.cells();
        if cells.len() != count {
            return Ok(cells.len());
        }
        for &column in selected {
            let cell = [cells[column].as_bytes()].into_iter();
            parse_cells(cell, values, &mut self.rounded).map_err(|_| self.cell_error(column))?;
        }
        Ok(count)
    }
}

/// Appends the numbers of cells, and returns their count, or the position of the first cell that is not a number.
fn parse_cells<'c>(
    cells: impl Iterator<Item = &'c [u8]>,
    values: &mut Vec<f64>,
    rounded: &mut Option<(usize, f64)>,
) -> Result<usize, usize> {
    let mut count = 0;
    for cell in cells {
        let value = parse_cell(cell).ok_or(count)?;
        if rounded.is_none() && is_rounded_integer(cell, value) {
            *rounded = Some((values.len(), value));
        }
        values.push(value);
        count += 1;
    }
    Ok(count)
}

fn read_error(error: ::csv::Error) -> TableError {
    TableError::Other(match error.into_kind() {
        ::csv::ErrorKind::Io(error) => decode_error(&error),
        _ => Error::new(Code::Damaged, "is not a table"),
    })
}

/// Reads all rows as a matrix (N, C), or a single column as a vector (N).
fn read_all(rows: &mut Rows<'_>, select: &Selector) -> Result<ArrayD<f64>, TableError> {
    if let Some(name) = select.name() {
        return Err(TableError::Other(columns::nameless(&name)));
    }
    if !rows.next()? {
        return Err(TableError::Other(
            Error::new(Code::EmptyValue, "is empty").tip("write at least one row of numbers"),
        ));
    }
    let mut values = Vec::new();
    let columns = match rows.parse(&mut values) {
        Ok(columns) => columns,
        Err(TableError::Cell { begin, cell, row }) => {
            let next = if rows.next()? { rows.cells() } else { Vec::new() };
            return Err(TableError::FirstRow { begin, cell, row, next });
        }
        Err(error) => return Err(error),
    };
    read_rest(rows, values, 1, columns, None)
}

/// Reads the names of the columns; returns them with the number of rows of numbers that were read, at most one.
fn read_header(rows: &mut Rows<'_>) -> Result<(Vec<String>, usize), TableError> {
    if !rows.next()? {
        return Err(TableError::Other(
            Error::new(Code::EmptyValue, "is empty").tip("write a row of names, and rows of numbers"),
        ));
    }
    let first = rows.cells();
    if first.iter().any(|cell| !is_number(cell)) {
        return Ok((columns::header(first), 0));
    }
    // np.savetxt writes names as a comment.
    let comment = rows.comment.take().filter(|names| names.len() == first.len());
    let names = comment.ok_or_else(|| TableError::Row { begin: rows.begin(), error: columns::no_header() })?;
    Ok((names, 1))
}

/// Reads the columns that are selected by name, or all of them, below a row of names.
fn read_named(rows: &mut Rows<'_>, select: &Selector) -> Result<ArrayD<f64>, TableError> {
    let (names, count) = read_header(rows)?;
    let mut values = Vec::new();
    let selected = columns::select(&names, select).map_err(|error| TableError::Row { begin: rows.begin(), error })?;
    if count == 1 {
        rows.parse_selected(&selected, names.len(), &mut values)?;
    }
    read_rest(rows, values, count, names.len(), Some(&selected))
}

/// Reads the rows after the first `count`, each of `columns` cells.
fn read_rest(
    rows: &mut Rows<'_>,
    mut values: Vec<f64>,
    mut count: usize,
    columns: usize,
    selected: Option<&[usize]>,
) -> Result<ArrayD<f64>, TableError> {
    while rows.next()? {
        let found = match selected {
            Some(selected) => rows.parse_selected(selected, columns, &mut values),
            None => rows.parse(&mut values),
        };
        // A cell too much may not be a number either.
        let found = found.or_else(|error| {
            let found = rows.cells().len();
            if found == columns { Err(error) } else { Ok(found) }
        })?;
        if found != columns {
            let other = if selected.is_some() { "the header" } else { "row 0" };
            let message = format!("row {count} has {}, but {other} has {columns}", format_count(found, "column"));
            let is_open = rows.record.iter().any(|cell| cell.contains(&b'\n'));
            let tip = if is_open {
                OPEN_QUOTE
            } else if selected.is_some() && count == 0 && found == columns + 1 {
                "write the table without the names of rows, in R with row.names = FALSE"
            } else {
                "give every row the same number of columns"
            };
            let error = Error::new(Code::Ragged, message).tip(tip);
            return Err(TableError::Row { begin: rows.begin(), error });
        }
        count += 1;
    }
    let width = selected.map_or(columns, <[usize]>::len);
    let shape = match (count, width) {
        (0, _) => {
            let error = Error::new(Code::EmptyValue, "has names of columns, but no rows");
            return Err(TableError::Other(error.tip("write at least one row of numbers")));
        }
        (count, 1) => vec![count],
        (count, width) => vec![count, width],
    };
    let mismatch = format!("is damaged: {} numbers do not fill the shape {}", values.len(), format_shape(&shape));
    ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|_| TableError::Other(Error::new(Code::Damaged, mismatch)))
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
    use crate::core::error::Place;

    fn read_as(table: &dyn Format, text: &str, select: &str) -> Result<ArrayD<f64>, Error> {
        let source = Source::bytes("standard input", text.as_bytes());
        table.read(source, &Selector::parse(select), &[]).map(|found| found.value)
    }

    fn read(text: &str) -> Result<ArrayD<f64>, Error> {
        read_as(&CSV, text, "")
    }

    fn place(line: usize, column: usize) -> Option<Place> {
        Some(Place::Text { line, column, pointer: String::new() })
    }

    #[test]
    fn byte_order_marks_quotes_and_all_line_ends_are_read() {
        assert_eq!(read("1,2\n3,4\n").unwrap(), ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]]).into_dyn());
        assert_eq!(read("\u{feff}1\r\n2\r\n").unwrap(), ndarray::arr1(&[1.0, 2.0]).into_dyn());
        assert_eq!(read("1\r\"2\"\r 3 \r").unwrap(), ndarray::arr1(&[1.0, 2.0, 3.0]).into_dyn());
        assert_eq!(read("1, \"-inf\"\n  \n\"2\n\",3").unwrap().shape(), [2, 2]);
        assert_eq!(read_as(&TSV, "1\t2", "").unwrap().len(), 2);
    }

    #[test]
    fn blanks_separate_columns_and_comments_are_skipped() {
        let text = "# made by savetxt\n1.0e+00 2\n  # more\n\n\t3   4 # last\n";
        assert_eq!(read_as(&TXT, text, "").unwrap(), ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]]).into_dyn());
        assert_eq!(read_as(&TXT, "1\r\n2\r3", "").unwrap(), ndarray::arr1(&[1.0, 2.0, 3.0]).into_dyn());
        let error = read_as(&TXT, "1 2\n3 #4\n", "").unwrap_err();
        assert_eq!((error.code, error.at.clone()), (Code::Ragged, place(2, 1)));
    }

    #[test]
    fn a_header_names_columns_that_are_selected() {
        let [csv, txt] = [CSV.with_header().unwrap(), TXT.with_header().unwrap()];
        let table = "name,\"height, cm\",weight\nAnn,170,60\n\"B\nC\",180,70\n";
        assert_eq!(read_as(csv, table, "weight").unwrap(), ndarray::arr1(&[60.0, 70.0]).into_dyn());
        let both = ndarray::arr2(&[[60.0, 170.0], [70.0, 180.0]]).into_dyn();
        assert_eq!(read_as(csv, table, "weight,\"height, cm\"").unwrap(), both);
        assert_eq!(read_as(csv, "a,b\n1,2\n3,4\n", "").unwrap().shape(), [2, 2]);
        for text in ["# a b\n60 170\n70 180\n", "a b\n60 170\n70 180\n"] {
            assert_eq!(read_as(txt, text, "").unwrap(), both, "{text}");
            assert_eq!(read_as(txt, text, "a").unwrap(), ndarray::arr1(&[60.0, 70.0]).into_dyn());
        }
        for (text, select, code) in [
            ("1,2\n3,4\n", "", Code::HeaderRow),
            ("a,b\n", "", Code::EmptyValue),
            ("a,a\n1,2\n", "a", Code::DuplicateKey),
            ("a,b\n1,2\n", "c", Code::KeyMissing),
            (",b\n0,2\n", "", Code::HeaderRow),
            ("a,b\n1,2,3\n", "a", Code::Ragged),
            ("a,b\n1,x\n", "b", Code::NotANumber),
        ] {
            assert_eq!(read_as(csv, text, select).unwrap_err().code, code, "{text:?}");
        }
        assert_eq!(read_as(csv, ",b\n0,2\n", "b").unwrap(), ndarray::arr1(&[2.0]).into_dyn());
        assert_eq!(read_as(&CSV, "a,b\n1,2\n", "a").unwrap_err().code, Code::KeyMissing);
    }

    #[test]
    fn errors_have_a_line_and_a_column() {
        for (text, code, line, column) in [
            ("1,2\n3\n", Code::Ragged, 2, 1),
            ("1,2\n3,x\n", Code::NotANumber, 2, 3),
            ("1,2\n3,4,x\n", Code::Ragged, 2, 1),
            ("a,b\n1,2\n", Code::HeaderRow, 1, 1),
            ("1;2\n", Code::NotANumber, 1, 1),
            ("1,\n", Code::EmptyValue, 1, 3),
            ("1,1e400\n", Code::NumberRange, 1, 3),
            ("1,2\r\n3,x\r\n", Code::NotANumber, 2, 3),
            ("1,2\r\n3\r\n", Code::Ragged, 2, 1),
            ("\u{feff}1,2\n\n3,   x\n", Code::NotANumber, 3, 6),
            ("1,2\n\"3\",x\n", Code::NotANumber, 2, 5),
            ("1,2\n\"\n3\",x\n", Code::NotANumber, 3, 4),
            ("1,2x\n3,4\n", Code::NotANumber, 1, 3),
            ("\na\n1\n", Code::HeaderRow, 2, 1),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.code, &error.at), (code, &place(line, column)), "{text}");
        }
        assert_eq!(read("").unwrap_err().code, Code::EmptyValue);
    }
}
