//! Numbers typed as an operand: `1,2;3,4`.

use crate::core::error::{Code, Error, format_count, sanitize};
use crate::format::LoadedArray;
use crate::format::elements::{is_rounded_integer, rounded_integer};
use crate::format::printed::check_number;
use ndarray::{ArrayD, IxDyn};

/// Parses numbers; `None` if the text is something else.
///
/// `,` or blanks separate columns, `;` or newlines rows: `2` is a scalar, `1,2` a vector, `1,2;` a matrix of one row.
pub(super) fn parse(text: &str) -> Result<Option<LoadedArray>, Error> {
    let body = text.trim();
    let (body, has_end) = match body.strip_suffix(';') {
        Some(body) => (body, true),
        None => (body, false),
    };
    let Some(rows) = body.split([';', '\n']).map(split_cells).collect::<Option<Vec<_>>>() else { return Ok(None) };
    for cell in rows.iter().flatten() {
        check_number(cell)?;
    }
    let columns = rows[0].len();
    if let Some((n, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != columns) {
        return Err(ragged_error(n, row.len(), columns));
    }
    let shape: &[usize] = match (rows.len(), columns, has_end) {
        (1, 1, false) => &[],
        (1, columns, false) => &[columns],
        (rows, columns, _) => &[rows, columns],
    };
    let values: Vec<f64> = rows.iter().flatten().filter_map(|cell| cell.parse().ok()).collect();
    let rounded = rows.iter().flatten().zip(&values).find(|(cell, value)| is_rounded_integer(cell.as_bytes(), **value));
    let rounded = rounded.map(|(_, &value)| rounded_integer(value));
    let array = ArrayD::from_shape_vec(IxDyn(shape), values).ok();
    Ok(array.map(|array| LoadedArray { rounded, ..LoadedArray::unnamed(array) }))
}

/// Splits a row into cells; `None` unless each is a number.
fn split_cells(row: &str) -> Option<Vec<&str>> {
    let mut cells = Vec::new();
    for between_commas in row.split(',') {
        let before = cells.len();
        for cell in between_commas.split_ascii_whitespace() {
            cell.parse::<f64>().ok()?;
            cells.push(cell);
        }
        if cells.len() == before {
            return None;
        }
    }
    Some(cells)
}

fn ragged_error(n: usize, len: usize, columns: usize) -> Error {
    Error::new(Code::Ragged, format!("row {n} has {}, but row 0 has {columns}", format_count(len, "number")))
        .at_index(&[n])
        .tip("give every row the same number of columns; a semicolon separates rows")
}

/// Returns the error of numbers or JSON in quotes that belong to the value: cmd.exe passes single quotes on, and word processors make
/// curved ones.
pub(super) fn quoted(text: &str) -> Option<Error> {
    const QUOTES: &[char] = &['\'', '"', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{201e}'];
    let inside = text.trim().strip_prefix(QUOTES)?;
    // cmd.exe also splits a value at its blanks, so that the last quote is missing.
    let inside = inside.strip_suffix(QUOTES).unwrap_or(inside).trim();
    if !inside.starts_with('[') && !resembles_number(inside) && !matches!(parse(inside), Ok(Some(_))) {
        return None;
    }
    let message = format!("the value has quotes that the shell passed on: {}", sanitize(text.trim()));
    let value = if inside.len() < 60 { sanitize(inside) } else { "1,2;3,4".to_owned() };
    Some(
        Error::new(Code::BadLiteral, message)
            .tip(format!("write \"{value}\", in the straight double quotes of cmd.exe")),
    )
}

/// Returns the error of numbers with characters of typography or of East Asian keyboards, such as a long minus or a full-width comma.
pub(super) fn typographic(text: &str) -> Option<Error> {
    let plain: String = text.trim().chars().map(plain_character).collect();
    if plain == text.trim() || !matches!(parse(&plain), Ok(Some(_))) {
        return None;
    }
    let shown = sanitize(text.trim());
    let message = format!("{shown:?} has characters that only resemble digits, signs or commas");
    Some(Error::new(Code::BadLiteral, message).tip(format!("write '{}'", sanitize(&plain))))
}

fn plain_character(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{3001}' => ',',
        '\u{a0}' | '\u{3000}' => ' ',
        // Full-width forms of the characters from ! to ~.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

/// Returns true if the text begins like a number and has only characters of numbers, so that it is probably not a file name.
pub(super) fn resembles_number(text: &str) -> bool {
    let start = text.trim_start_matches(|c: char| "+-.".contains(c) || c.is_whitespace());
    start.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "+-.,;/x_e".contains(c))
}

/// Returns the error of a text that resembles numbers.
pub(super) fn invalid_literal(text: &str) -> Error {
    let text = text.trim();
    let file = format!("to name a file, write @{text} or ./{text}");
    let tip = if text.contains('/') {
        format!("write the fraction as a decimal number; {file}")
    } else if text.contains('x') {
        format!("write hexadecimal numbers in decimal; {file}")
    } else if text.contains('_') {
        format!("remove the underscores; {file}")
    } else if text.split([';', '\n']).any(|row| row.split(',').any(|cell| cell.trim().is_empty())) {
        "remove the extra comma or semicolon, or write the missing number".to_owned()
    } else {
        format!("separate columns by commas and rows by semicolons, '1,2;3,4'; {file}")
    };
    Error::new(Code::BadLiteral, format!("{text:?} is not a number, vector or matrix")).tip(tip)
}
