//! Content without a known extension that no first bytes show: numbers as they are typed, or a table.

use super::grammar::{self, OperandSpec};
use super::literal;
use crate::core::error::{Code, Error};
use crate::format::json::JsonNumber;
use crate::format::{Format, LoadedArray, Selector, Source, printed, read_error, table_for, without_extension};
use ndarray::ArrayD;
use std::io::Read;
use std::path::Path;

/// Returns the extension of a file's name, without the `.gz` of a compressed one.
pub(super) fn extension(path: &str) -> Option<&str> {
    let path = Path::new(path);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(last) if last.eq_ignore_ascii_case("gz") => {
            path.file_stem().and_then(|stem| Path::new(stem).extension()?.to_str())
        }
        last => last,
    }
}

/// Returns the format of a table, by the separator in its first row.
pub(super) fn table_of(first: &[u8]) -> &'static dyn Format {
    let text = String::from_utf8_lossy(first);
    table_for(text.lines().find(|line| !is_comment(line)).unwrap_or_default())
}

/// Returns true for a line without cells.
fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Reads numbers as they are typed, among comments; other text is read as a table, which has a place for its error.
pub(super) fn read(mut source: Source<'_>, selector: &Selector) -> Result<LoadedArray, Error> {
    let (label, mut bytes) = (source.label.to_owned(), Vec::new());
    source.read_to_end(&mut bytes).map_err(|error| read_error(&label, &error))?;
    if let Selector::Pointer(pointer) = selector {
        let error = Error::new(Code::KeyMissing, format!("has no {pointer}: it is not a JSON object"));
        return Err(error.tip("leave out the selector; in a table, select columns by name with --header"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| format_error(&label))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(empty_error(&label));
    }
    let has_comments = text.lines().any(|line| line.trim_start().starts_with('#'));
    let without_comments: String;
    let numbers = if has_comments {
        without_comments = text.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join("\n");
        &without_comments
    } else {
        text
    };
    if !has_semicolon_columns(numbers)
        && let Some(values) = literal::parse(numbers)?
    {
        return Ok(values);
    }
    if literal::resembles_number(text) && text.len() < 80 && !text.contains('\n') {
        return Err(literal::invalid_literal(text));
    }
    let table = table_of(&bytes).read(Source::bytes(&label, &bytes), &Selector::Default, &[]);
    match table {
        Ok(array) => Ok(array),
        Err(error) if has_numbers(text) => Err(error),
        Err(_) => Err(format_error(&label)),
    }
}

/// Reads an array that a program printed; `None` if the content is something else.
pub(super) fn read_printed<T: JsonNumber>(mut source: Source<'_>) -> Result<Option<ArrayD<T>>, Error> {
    let (label, mut text) = (source.label.to_owned(), Vec::new());
    source.read_to_end(&mut text).map_err(|error| read_error(&label, &error))?;
    let printed = std::str::from_utf8(&text).map_or(Ok(None), printed::parse);
    printed.map_err(|error| error.with_origin(&label))
}

/// The tip to read text as what a program printed, though `--in-format` says that it is JSON.
pub(super) const OMIT_IN_FORMAT: &str = "omit --in-format for an array as NumPy or MATLAB prints it";

/// Returns the tip to read a .json file as what a program printed.
pub(super) fn rename_printed(label: &str) -> String {
    let name = without_extension(label, ".json").unwrap_or_default();
    let folder = if matches!(grammar::parse(&name), Ok(OperandSpec::File(..))) { "" } else { "./" };
    format!("for an array as NumPy or MATLAB prints it, rename the file to {folder}{name}")
}

/// Returns true for several lines with semicolons inside each, which separate columns there and not rows.
fn has_semicolon_columns(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_inside = |line: &str| line.trim().trim_matches(';').contains(';');
    lines.clone().nth(1).is_some() && lines.all(is_inside)
}

/// Returns true if one of the first two rows has a number.
fn has_numbers(text: &str) -> bool {
    let rows = text.lines().filter(|line| !is_comment(line)).take(2);
    let mut cells = rows.flat_map(|row| row.split([',', ';', '|', '"', ' ', '\t']));
    cells.any(|cell| cell.trim().starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)))
}

/// Refuses several JSON documents, one on each line.
pub(super) fn refuse_lines(label: &str, first: &[u8], extension: Option<&str>) -> Result<(), Error> {
    let is_named = extension
        .is_some_and(|extension| ["jsonl", "ndjson"].iter().any(|known| extension.eq_ignore_ascii_case(known)));
    let text = String::from_utf8_lossy(first);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (one, two) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    // A line of a printed matrix, `[[1. 2.]`, leaves a bracket open.
    let count = |bracket| one.matches(bracket).count();
    let is_complete = |open, close| {
        one.starts_with(open) && one.ends_with(close) && two.starts_with(open) && count(open) == count(close)
    };
    let error = || Error::new(Code::FormatUnknown, "has a JSON document on each line").with_origin(label);
    let file = if label == super::stdin::LABEL { "" } else { label };
    if is_complete('[', ']') {
        return Err(error().tip(format!("make one array of them: `jq -cs . {file}`")));
    }
    if is_named || is_complete('{', '}') {
        return Err(error().tip(format!("read them as records: --ndjson {file}").trim_end().to_owned()));
    }
    Ok(())
}

pub(super) fn empty_error(label: &str) -> Error {
    let error = Error::new(Code::EmptyValue, "is empty").with_origin(label);
    error.tip("check that the command that writes it succeeds")
}

fn format_error(label: &str) -> Error {
    Error::new(Code::FormatUnknown, "unrecognised file format")
        .with_origin(label)
        .tip("use the extension .json, .npy, .npz, .csv, .tsv, .txt, .safetensors or .idx, or name the format with --in-format")
}
