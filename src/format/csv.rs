//! `.csv` and `.tsv`: a row a line, without a header; one column is a vector.

use super::{DOUBLE_ROUNDING, Format, Found, Selector, Source, Width, printable, refuse_selector, refuse_utf16};
use crate::bundle::Bundle;
use crate::fault::{Code, Fault, Place, count};
use crate::name::Name;
use ::csv::{ByteRecord, ReaderBuilder, Terminator, WriterBuilder};
use ndarray::{ArrayD, Axis, IxDyn};
use std::io;

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

            fn begins(&self, _first: &[u8]) -> bool {
                false
            }

            fn read(&self, source: Source<'_>, select: &Selector, _wanted: &[Name]) -> Result<Found, Fault> {
                let label = source.label;
                let read = || {
                    refuse_selector(select, self)?;
                    read_table(&source.read_all()?, $delimiter)
                };
                let value = read().map_err(|fault| fault.from(label))?;
                Ok(Found { value, rounding: DOUBLE_ROUNDING, pointer: String::new() })
            }

            fn holds_names(&self) -> bool {
                false
            }

            fn write(&self, values: &Bundle<f64>, _wide: Width, out: &mut dyn io::Write) -> io::Result<()> {
                values.iter().try_for_each(|(_, value)| write_table(value, $delimiter, out))
            }
        }
    };
}

table!(Csv, ".csv", "csv", b',');
table!(Tsv, ".tsv", "tsv", b'\t');

fn read_table(bytes: &[u8], delimiter: u8) -> Result<ArrayD<f64>, Fault> {
    refuse_utf16(bytes)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text);
    let (mut values, mut rows, mut columns) = (Vec::new(), 0, 0);
    let mut record = ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| Fault::new(Code::Damaged, format!("is no table: {error}")))?
    {
        let line = record.position().map_or(rows + 1, |position| usize::try_from(position.line()).unwrap_or(0));
        if rows == 0 {
            columns = record.len();
            refuse_header(&record, delimiter)?;
        }
        if record.len() != columns {
            return Err(Fault::new(
                Code::Ragged,
                format!("row {rows} has {}, row 0 has {columns}", count(record.len(), "column")),
            )
            .at(place(line, 1))
            .tip("every line needs the same number of columns"));
        }
        let mut column = 1;
        for cell in &record {
            values.push(number(cell).map_err(|fault| fault.at(place(line, column)))?);
            column += String::from_utf8_lossy(cell).chars().count() + 1;
        }
        rows += 1;
    }
    if rows == 0 {
        return Err(Fault::new(Code::EmptyValue, "is empty").tip("a table has at least one row of numbers"));
    }
    let shape: &[usize] = if columns == 1 { &[rows] } else { &[rows, columns] };
    ArrayD::from_shape_vec(IxDyn(shape), values).map_err(|_| Fault::new(Code::Damaged, "is no table"))
}

fn place(line: usize, column: usize) -> Place {
    Place::Text { line, column, pointer: String::new() }
}

fn number(cell: &[u8]) -> Result<f64, Fault> {
    let text = String::from_utf8_lossy(cell);
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new(Code::EmptyValue, "a cell is empty").tip("write nan for a missing value"));
    }
    let spelled = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_alphabetic());
    match text.parse::<f64>() {
        Ok(number) if number.is_infinite() && !spelled => {
            Err(Fault::new(Code::NumberRange, format!("{} is beyond the largest double, 1.8e308", printable(text)))
                .tip("write inf or -inf if infinity is meant"))
        }
        Ok(number) => Ok(number),
        Err(_) => Err(Fault::new(Code::NotANumber, format!("the cell \"{}\" is not a number", printable(text)))
            .tip("every cell is a number with a decimal point; nan, inf and -inf are numbers too")),
    }
}

/// Refuses a first line of words, and a table that separates its columns by something else.
fn refuse_header(record: &ByteRecord, delimiter: u8) -> Result<(), Fault> {
    let not_numbers: Vec<String> = record
        .iter()
        .filter(|cell| !cell.trim_ascii().is_empty() && number(cell).is_err_and(|fault| fault.code == Code::NotANumber))
        .map(|cell| String::from_utf8_lossy(cell).into_owned())
        .collect();
    let Some(first) = not_numbers.first() else { return Ok(()) };
    let other = [(';', "semicolons"), ('\t', "tabs"), (',', "commas")];
    let split = other.iter().find(|(sign, _)| *sign != char::from(delimiter) && first.contains(*sign));
    if let Some((sign, name)) = split {
        return Err(Fault::new(Code::NotANumber, format!("the cell \"{}\" is not a number", printable(first)))
            .at(place(1, 1))
            .tip(
                format!("the columns look separated by {name}: tr '{sign}' ',' makes a .csv, tabs belong in a .tsv")
                    .replace('\t', "\\t"),
            ));
    }
    Err(Fault::new(Code::HeaderRow, format!("the first line is a header, \"{}\"", printable(first)))
        .at(place(1, 1))
        .tip("only numbers are read: tail -n +2 FILE leaves the header out"))
}

fn write_table(value: &ArrayD<f64>, delimiter: u8, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = WriterBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).from_writer(out);
    if value.ndim() < 2 {
        value.iter().try_for_each(|&number| writer.write_record([cell(number)]))?;
    } else {
        value.axis_iter(Axis(0)).try_for_each(|row| writer.write_record(row.iter().map(|&number| cell(number))))?;
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

    fn read(text: &str) -> Result<ArrayD<f64>, Fault> {
        Csv.read(Source::bytes("t.csv", text.as_bytes()), &Selector::Whole, &[]).map(|found| found.value)
    }

    #[test]
    fn rows_columns_marks_and_line_ends_are_understood() {
        assert_eq!(read("1,2\n3,4\n").unwrap(), ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]]).into_dyn());
        assert_eq!(read("\u{feff}1\r\n2\r\n").unwrap(), ndarray::arr1(&[1.0, 2.0]).into_dyn());
        assert_eq!(read("1, -inf").unwrap().shape(), [1, 2]);
        assert_eq!(Tsv.read(Source::bytes("t", b"1\t2"), &Selector::Whole, &[]).unwrap().value.len(), 2);
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
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!((fault.code, fault.at), (code, Some(place(line, column))), "{text}");
        }
        assert_eq!(read("").unwrap_err().code, Code::EmptyValue);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_bit_for_bit(bits in prop::collection::vec(any::<u64>(), 2..20)) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).map(|v| if v.is_nan() { f64::NAN } else { v }).collect();
            let vector = ndarray::Array1::from(values).into_dyn();
            let mut text = Vec::new();
            write_table(&vector, b',', &mut text).unwrap();
            let back = read(std::str::from_utf8(&text).unwrap()).unwrap();
            prop_assert!(back.iter().zip(&vector).all(|(a, b)| a.to_bits() == b.to_bits()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Csv.read(Source::bytes("t", &bytes), &Selector::Whole, &[]);
        }
    }
}
