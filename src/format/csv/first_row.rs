//! Explains a first row that is not numbers: another separator, decimal commas, or names of columns. A tip must lose no
//! row and change no number, so a command is given only where it does neither in any row.

use super::cell::{explain_cell, has_thousands, is_decimal_comma, is_number, is_word, resembles_number, unquote};
use super::place::BLANKS;
use crate::core::error::{Code, Error, sanitize};
use crate::format::tips;

/// The first row of a table that is not numbers.
pub(super) struct FirstRow<'a> {
    pub(super) row: &'a [String],
    /// The row after it; empty if there is none.
    pub(super) next: &'a [String],
    /// Position of the first cell that is not a number.
    pub(super) cell: usize,
    pub(super) separator: u8,
    /// Name of the source in messages.
    pub(super) label: &'a str,
    /// True if the table has commas, and true if it has points.
    pub(super) signs: [bool; 2],
}

/// A separator of columns that a table should not have.
struct OtherSeparator {
    sign: u8,
    noun: &'static str,
}

const SEPARATORS: &[OtherSeparator] = &[
    OtherSeparator { sign: b';', noun: "semicolons" },
    OtherSeparator { sign: b'\t', noun: "tabs" },
    OtherSeparator { sign: b'|', noun: "vertical bars" },
    OtherSeparator { sign: b',', noun: "commas" },
    OtherSeparator { sign: BLANKS, noun: "blanks" },
];

/// Returns the error of a first row that is not numbers.
pub(super) fn explain_first_row(first: &FirstRow<'_>) -> Error {
    let (row, next) = (first.row, first.next);
    if first.separator != b',' && row.len() > 1 && row.iter().all(|cell| is_decimal_comma(cell)) {
        return first.decimal_commas();
    }
    if let Some(separator) = SEPARATORS.iter().find(|separator| first.is_separated_by(separator.sign)) {
        return first.other_separator(separator);
    }
    if row[0].starts_with("sep=") {
        let error = Error::new(Code::HeaderRow, "the first line tells Excel the separator");
        return error.tip(first.convert("sed 1d", first.format()));
    }
    if first.is_header() {
        let name = row.iter().find(|cell| !cell.is_empty()).map(|name| sanitize(name)).unwrap_or_default();
        let error = Error::new(Code::HeaderRow, format!("the first line is a header: \"{name}\""));
        return error.tip("use --header, which takes the names of the columns from it");
    }
    if first.has_row_numbers() {
        let error = Error::new(Code::HeaderRow, "the first row and column number the others, as pandas writes them");
        return error.tip(first.convert("sed -e 1d -e 's/^[^,]*,//'", ".csv"));
    }
    if first.ends_in_separators() {
        let error = Error::new(Code::EmptyValue, "a separator ends the first rows");
        let command = format!("sed 's/{}[[:space:]]*$//'", char::from(first.separator).escape_default());
        let tip = first.convert(&command, first.format());
        return error.tip(format!("if no value is missing there, {tip}"));
    }
    if first.separator == b',' && row.iter().any(|cell| cell.contains(',')) {
        return first.quoted_commas();
    }
    if let Some(error) = explain_comment(row, first.label, first.separator) {
        return error;
    }
    let error = explain_cell(&row[first.cell]);
    let has_names = is_word(&row[first.cell]) && next.len() == row.len() && next.iter().all(|cell| is_number(cell));
    if has_names {
        return error.update(|details| {
            details.tip = Some(
                "use --header, if the first row has the names of the columns; otherwise write a number".to_owned(),
            );
        });
    }
    error
}

/// Returns the error of a row that is a comment.
pub(super) fn explain_comment(row: &[String], label: &str, separator: u8) -> Option<Error> {
    let mark = ["#", "%", "//"].into_iter().find(|mark| row[0].starts_with(mark))?;
    let own = format_name(separator);
    let error =
        Error::new(Code::NotANumber, format!("the row is a comment, which {own} files do not have after {mark}"));
    let command = format!("grep -v '^[[:space:]]*{mark}'");
    Some(error.tip(tips::convert(label, &command, own, own)))
}

/// Returns the name of the format with a separator.
fn format_name(separator: u8) -> &'static str {
    match separator {
        b',' => ".csv",
        b'\t' => ".tsv",
        _ => ".txt",
    }
}

/// Returns the cells of a row between other separators than those it was split at.
fn split_again(row: &[String], separator: u8, other: u8) -> Vec<String> {
    let joined = row.join(&char::from(separator).to_string());
    let text = |cell: &str| String::from_utf8_lossy(unquote(cell.as_bytes())).into_owned();
    // One separator may end the row.
    let joined = joined.strip_suffix(char::from(other)).unwrap_or(&joined);
    match other {
        BLANKS => joined.split('#').take(1).flat_map(str::split_ascii_whitespace).map(text).collect(),
        _ => joined.split(char::from(other)).map(text).collect(),
    }
}

impl FirstRow<'_> {
    fn is_separated_by(&self, other: u8) -> bool {
        if other == self.separator {
            return false;
        }
        let cells = split_again(self.row, self.separator, other);
        // A comma between others is part of a number.
        let is_cell = |cell: &String| if other == b',' { is_number(cell) } else { resembles_number(cell) };
        let has_numbers = |cells: &[String]| cells.iter().all(is_cell);
        let is_header = || {
            let next = split_again(self.next, self.separator, other);
            cells.iter().all(|cell| is_word(cell)) && next.len() == cells.len() && has_numbers(&next)
        };
        cells.len() > 1 && (has_numbers(&cells) || is_header())
    }

    /// Returns true if each cell is a word, and a number is below; pandas and R leave the first cell empty.
    fn is_header(&self) -> bool {
        let words = self.row.strip_prefix(&[String::new()]).filter(|rest| !rest.is_empty()).unwrap_or(self.row);
        words.iter().all(|cell| is_word(cell))
            && (self.next.len() == self.row.len() || (self.row.len() > 1 && self.next.len() == self.row.len() + 1))
            && self.next.iter().any(|cell| resembles_number(cell))
    }

    /// Returns true if the first row is the numbers of the columns, beside a column without a name.
    fn has_row_numbers(&self) -> bool {
        let [corner, numbers @ ..] = self.row else { return false };
        self.separator == b','
            && corner.is_empty()
            && !numbers.is_empty()
            && numbers.iter().enumerate().all(|(n, cell)| *cell == n.to_string())
            && self.next.len() == self.row.len()
    }

    /// Returns true if the last cells of the first two rows are empty, and the others numbers.
    fn ends_in_separators(&self) -> bool {
        let ends = |row: &[String]| {
            row.split_last().is_some_and(|(last, rest)| {
                last.is_empty() && !rest.is_empty() && rest.iter().all(|cell| is_number(cell))
            })
        };
        self.separator != BLANKS && ends(self.row) && (self.next.is_empty() || ends(self.next))
    }

    /// Returns the name of the format that the table was read as.
    fn format(&self) -> &'static str {
        format_name(self.separator)
    }

    fn convert(&self, command: &str, format: &str) -> String {
        tips::convert(self.label, command, self.format(), format)
    }

    fn other_separator(&self, separator: &OtherSeparator) -> Error {
        let own = SEPARATORS.iter().find(|own| own.sign == self.separator).map_or("commas", |own| own.noun);
        let message = format!("{} separate the columns; expected {own} in a {} file", separator.noun, self.format());
        let [has_comma, has_point] = self.signs;
        let (format, command) = match separator.sign {
            b'\t' => (".tsv", "tr ',' '.'".to_owned()),
            b',' => (".csv", String::new()),
            BLANKS => (".txt", "tr ',' '.'".to_owned()),
            sign => (".csv", format!("tr ',{}' '.,'", char::from(sign))),
        };
        let tip = match separator.sign {
            b';' | b'|' if !has_comma => self.convert(&format!("tr '{}' ','", char::from(separator.sign)), format),
            b',' if self.row.iter().all(|cell| is_decimal_comma(cell)) => format!(
                "if the commas separate columns, {}; if they are decimal, write points",
                tips::read_as(self.label, self.format(), format)
            ),
            b',' => tips::read_as(self.label, self.format(), format),
            _ if !has_comma => tips::read_as(self.label, self.format(), format),
            _ if !has_point => format!("if the commas are decimal, {}", self.convert(&command, format)),
            _ => format!("save it as a {format} file, with decimal points"),
        };
        Error::new(Code::NotANumber, message).tip(tip)
    }

    /// Returns the error of decimal commas between other separators.
    fn decimal_commas(&self) -> Error {
        let cell = sanitize(&self.row[self.cell]);
        let error =
            Error::new(Code::NotANumber, format!("the number \"{cell}\" has a comma; expected a decimal point"));
        match self.signs {
            [_, true] => error.tip("write decimal points, and no signs between thousands"),
            [_, false] => {
                let command = self.convert("tr ',' '.'", self.format());
                error.tip(format!("if the commas are decimal, {command}"))
            }
        }
    }

    /// Returns the error of commas inside quotes, which are decimal or separate thousands.
    fn quoted_commas(&self) -> Error {
        const THOUSANDS: &str = r#"sed -e :a -e 's/"\([-+]*[0-9][0-9]*\),\([0-9]\)/"\1\2/' -e ta"#;
        const DECIMAL: &str = r#"sed 's/"\([-+0-9]*\),\([0-9]*\)"/\1.\2/g'"#;
        let error = explain_cell(&self.row[self.cell]);
        let has = |is_kind: &dyn Fn(&str) -> bool| {
            self.row.iter().all(|cell| resembles_number(cell)) && self.row.iter().any(|cell| is_kind(cell))
        };
        let is_thousands = has(&|cell| has_thousands(cell, ',') && !is_decimal_comma(cell));
        let is_decimal = has(&|cell| is_decimal_comma(cell) && cell.contains(',') && !has_thousands(cell, ','));
        let tip = match (is_thousands, is_decimal) {
            (true, false) => format!("if the commas separate thousands, {}", self.convert(THOUSANDS, ".csv")),
            (false, true) => format!("if the commas are decimal, {}", self.convert(DECIMAL, ".csv")),
            _ => return error,
        };
        error.update(|details| details.tip = Some(tip))
    }
}
