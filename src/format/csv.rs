//! `.csv` and `.tsv`: a row a line, without a header; one column is a vector.

use super::elements::cut_off;
use super::{
    ArrayStream, DOUBLE_ROUNDING, Format, LoadedArray, OutputDtype, Selector, Source, refuse_selector, refuse_utf16,
    sanitize,
};
use crate::core::error::{Code, Error, Place, format_count};
use crate::core::name::Name;
use crate::parallel::progress::Progress;
use ::csv::{Terminator, WriterBuilder};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use std::io::{self, BufRead, BufReader};

/// Columns separated by commas.
pub struct Csv;

/// Columns separated by tabs.
pub struct Tsv;

macro_rules! table {
    ($format:ident, $name:literal, $extension:literal, $delimiter:literal) => {
        impl Format for $format {
            fn name(&self) -> &'static str {
                $name
            }

            fn extensions(&self) -> &'static [&'static str] {
                &[$extension]
            }

            fn recognizes(&self, _first: &[u8]) -> bool {
                false
            }

            fn read(&self, source: Source<'_>, select: &Selector, _wanted: &[Name]) -> Result<LoadedArray, Error> {
                let label = source.label;
                let read = move || {
                    refuse_selector(select, self)?;
                    read_table(source, $delimiter)
                };
                let value = read().map_err(|error| error.with_origin(label))?;
                Ok(LoadedArray { value, rounding: DOUBLE_ROUNDING, pointer: String::new() })
            }

            fn has_names(&self) -> bool {
                false
            }

            fn write(
                &self,
                arrays: &mut dyn ArrayStream,
                _wide: OutputDtype,
                out: &mut dyn io::Write,
            ) -> io::Result<()> {
                write_tables(arrays, $delimiter, out)
            }
        }
    };
}

table!(Csv, ".csv", "csv", b',');
table!(Tsv, ".tsv", "tsv", b'\t');

/// Reads all rows; one column is a vector (N), anything else a matrix (N, C). Numbers hide no delimiters and no line ends
/// in quotes: a line is a row, and the place of every cell is exact.
fn read_table(source: Source<'_>, delimiter: u8) -> Result<ArrayD<f64>, Error> {
    let mut table = Table { delimiter, values: Vec::new(), rows: 0, columns: 0 };
    let (mut source, mut text, mut line) = (BufReader::with_capacity(1 << 16, source), Vec::new(), 0);
    while source.read_until(b'\n', &mut text).map_err(|error| cut_off(&error))? > 0 {
        if line == 0 {
            refuse_utf16(&text)?;
        }
        let row = text.strip_suffix(b"\n").unwrap_or(&text);
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        // Old Macs end a line with a lone carriage return.
        for row in row.split(|&byte| byte == b'\r') {
            line += 1;
            table.read_row(row.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(row), line)?;
        }
        text.clear();
    }
    table.array()
}

/// What was read so far.
struct Table {
    delimiter: u8,
    values: Vec<f64>,
    rows: usize,
    columns: usize,
}

impl Table {
    /// Appends a row; blank lines are none.
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
            let (row, these) = (self.rows, format_count(cells().count(), "column"));
            return Err(Error::new(Code::Ragged, format!("row {row} has {these}, row 0 has {}", self.columns))
                .at(place(line, 1))
                .tip("every line needs the same number of columns"));
        }
        let mut column = 1;
        for cell in text.split(|&byte| byte == self.delimiter) {
            let blanks = cell.len() - cell.trim_ascii_start().len();
            self.values.push(number(cell).map_err(|error| error.at(place(line, column + blanks)))?);
            column += String::from_utf8_lossy(cell).chars().count() + 1;
        }
        self.rows += 1;
        Ok(())
    }

    fn array(self) -> Result<ArrayD<f64>, Error> {
        let shape = match (self.rows, self.columns) {
            (0, _) => {
                return Err(Error::new(Code::EmptyValue, "is empty").tip("a table has at least one row of numbers"));
            }
            (rows, 1) => vec![rows],
            (rows, columns) => vec![rows, columns],
        };
        ArrayD::from_shape_vec(IxDyn(&shape), self.values).map_err(|_| Error::new(Code::Damaged, "is no table"))
    }
}

fn place(line: usize, column: usize) -> Place {
    Place::Text { line, column, pointer: String::new() }
}

/// A cell without blanks and the quotes around it.
fn bare(cell: &[u8]) -> &[u8] {
    match cell.trim_ascii() {
        [b'"', inside @ .., b'"'] => inside.trim_ascii(),
        cell => cell,
    }
}

fn number(cell: &[u8]) -> Result<f64, Error> {
    let text = String::from_utf8_lossy(bare(cell));
    if text.is_empty() {
        return Err(Error::new(Code::EmptyValue, "a cell is empty").tip("write nan for a missing value"));
    }
    let spelled = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_alphabetic());
    match text.parse::<f64>() {
        Ok(number) if number.is_infinite() && !spelled => {
            Err(Error::new(Code::NumberRange, format!("{} is beyond the largest double, 1.8e308", sanitize(&text)))
                .tip("write inf or -inf if infinity is meant"))
        }
        Ok(number) => Ok(number),
        Err(_) => Err(Error::new(Code::NotANumber, format!("the cell \"{}\" is not a number", sanitize(&text)))
            .tip("every cell is a number with a decimal point; nan, inf and -inf are numbers too")),
    }
}

/// Refuses a first line of words alone, and a table that separates its columns by something else.
fn refuse_header<'a, C: Iterator<Item = &'a [u8]>>(
    cells: impl Fn() -> C,
    delimiter: u8,
    line: usize,
) -> Result<(), Error> {
    let word = |cell: &&[u8]| !bare(cell).is_empty() && number(cell).is_err_and(|error| error.code == Code::NotANumber);
    let Some(first) = cells().find(word).map(bare) else { return Ok(()) };
    let other = [(b';', "semicolons"), (b'\t', "tabs"), (b',', "commas")];
    let split = other.iter().find(|(sign, _)| *sign != delimiter && first.contains(sign));
    let shown = sanitize(&String::from_utf8_lossy(first));
    if let Some((sign, name)) = split {
        let sign = char::from(*sign).escape_default();
        return Err(Error::new(Code::NotANumber, format!("the cell \"{shown}\" is not a number"))
            .at(place(line, 1))
            .tip(format!(
                "the columns look separated by {name}: tr '{sign}' ',' makes a .csv, tabs belong in a .tsv"
            )));
    }
    // A number beside the word: a mistyped row, which nobody should be told to cut off.
    if cells().any(|cell| number(cell).is_ok()) {
        return Ok(());
    }
    Err(Error::new(Code::HeaderRow, format!("the first line is a header, \"{shown}\""))
        .at(place(line, 1))
        .tip(format!("only numbers are read: tail -n +{} FILE leaves the header out", line + 1)))
}

fn write_tables(arrays: &mut dyn ArrayStream, delimiter: u8, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = WriterBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).from_writer(out);
    while let Some((_, shape)) = arrays.next_array()? {
        let progress = Progress::new("writing", shape.iter().product());
        let mut write = |row: ArrayViewD<'_, f64>| {
            writer.write_record(row.iter().map(|&number| cell(number)))?;
            progress.advance(row.len());
            Ok::<(), csv::Error>(())
        };
        while let Some(rows) = arrays.next_rows()? {
            if rows.ndim() == 0 {
                write(rows.view())?;
            } else {
                rows.axis_iter(Axis(0)).try_for_each(&mut write)?;
            }
        }
    }
    writer.flush()
}

/// The shortest digits that read back to the same double.
fn cell(number: f64) -> String {
    match number {
        number if number.is_nan() => "nan".to_owned(),
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        number => format!("{number:?}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<ArrayD<f64>, Error> {
        Csv.read(Source::bytes("t.csv", text.as_bytes()), &Selector::Default, &[]).map(|found| found.value)
    }

    #[test]
    fn rows_columns_marks_and_line_ends_are_understood() {
        assert_eq!(read("1,2\n3,4\n").unwrap(), ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]]).into_dyn());
        assert_eq!(read("\u{feff}1\r\n2\r\n").unwrap(), ndarray::arr1(&[1.0, 2.0]).into_dyn());
        assert_eq!(read("1\r\"2\"\r 3 \r").unwrap(), ndarray::arr1(&[1.0, 2.0, 3.0]).into_dyn());
        assert_eq!(read("1, -inf").unwrap().shape(), [1, 2]);
        assert_eq!(Tsv.read(Source::bytes("t", b"1\t2"), &Selector::Default, &[]).unwrap().value.len(), 2);
    }

    #[test]
    fn refusals_name_line_and_column() {
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

    proptest! {
        #[test]
        fn what_is_written_is_read_back_bit_for_bit(bits in prop::collection::vec(any::<u64>(), 2..20)) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).map(|v| if v.is_nan() { f64::NAN } else { v }).collect();
            let vector = ndarray::Array1::from(values).into_dyn();
            let mut text = Vec::new();
            let arrays = crate::core::tensors::Tensors::new().with(Name::Y, vector.clone());
            write_tables(&mut crate::format::InMemoryArrays::from(&arrays), b',', &mut text).unwrap();
            let back = read(std::str::from_utf8(&text).unwrap()).unwrap();
            prop_assert!(back.iter().zip(&vector).all(|(a, b)| a.to_bits() == b.to_bits()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Csv.read(Source::bytes("t", &bytes), &Selector::Default, &[]);
        }
    }
}
