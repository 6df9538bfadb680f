//! Names of a table's columns, and their selection.

use crate::core::error::{Code, Error, join_names, sanitize};
use crate::format::errors::missing_array;
use crate::format::selector::Selector;
use ::csv::ReaderBuilder;

/// Returns the names in a header; `np.savetxt` writes `#` before the first.
pub(super) fn header(cells: Vec<String>) -> Vec<String> {
    let cells = cells.into_iter().enumerate();
    cells.map(|(n, cell)| if n == 0 { cell.trim_start_matches(['#', ' ']).to_owned() } else { cell }).collect()
}

/// Returns the error of a table whose first row would be lost as a header.
pub(super) fn no_header() -> Error {
    let error = Error::new(Code::HeaderRow, "the first row has only numbers, and --header would leave it out");
    error.tip("leave out --header; if the numbers are names of columns, remove the row with `tail -n +2`")
}

/// Returns the error of a selection of columns that have no names.
pub(super) fn nameless(name: &str) -> Error {
    let message = format!("has no {}: its columns have names only with --header", sanitize(name));
    Error::new(Code::KeyMissing, message)
        .tip("use --header if the first row has the names; columns are not selected by number")
}

/// Returns the positions of the selected columns, all of them without a selector.
pub(super) fn select(names: &[String], select: &Selector) -> Result<Vec<usize>, Error> {
    let Some(selected) = select.name() else {
        return match names.iter().position(String::is_empty) {
            None => Ok((0..names.len()).collect()),
            Some(at) => {
                let named: Vec<&String> = names.iter().filter(|name| !name.is_empty()).collect();
                let message =
                    format!("column {at} has no name; pandas and R write the numbers of rows in such a column");
                let error = Error::new(Code::HeaderRow, message).fact(format!("the others are {}", join_names(&named)));
                Err(error.tip("select columns by name, as in FILE#height,weight"))
            }
        };
    };
    let wanted = split_names(&selected);
    wanted.iter().map(|name| find(names, name)).collect()
}

/// Splits names at commas; a name with a comma is in quotes.
fn split_names(text: &str) -> Vec<String> {
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let names = reader.records().next().and_then(Result::ok);
    names.map(|names| names.iter().map(|name| name.trim().to_owned()).collect()).unwrap_or_default()
}

fn find(names: &[String], name: &str) -> Result<usize, Error> {
    let mut found = names.iter().enumerate().filter(|(_, known)| *known == name).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (Some(_), Some(_)) => {
            Err(Error::new(Code::DuplicateKey, format!("has two columns with the name {}", sanitize(name)))
                .tip("give every column another name"))
        }
        (None, _) => Err(missing_array(name, names)),
    }
}
