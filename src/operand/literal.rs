//! `1,2;3,4`: numbers as one types them, and what is refused about them.

use crate::core::error::{Code, Error, format_count};
use ndarray::{ArrayD, IxDyn};

/// Reads numbers; none where the text is something else.
///
/// `,` or blanks separate columns, `;` or newlines rows: `2` is a scalar, `1,2` a vector, `1,2;` a matrix of one row.
pub(super) fn parse(text: &str) -> Result<Option<ArrayD<f64>>, Error> {
    let body = text.trim();
    let (body, closed) = match body.strip_suffix(';') {
        Some(body) => (body, true),
        None => (body, false),
    };
    let Some(rows) = body.split([';', '\n']).map(cells).collect::<Option<Vec<_>>>() else { return Ok(None) };
    for cell in rows.iter().flatten() {
        refuse_range(cell)?;
    }
    let columns = rows[0].len();
    if let Some((n, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != columns) {
        return Err(ragged(n, row.len(), columns));
    }
    let shape: &[usize] = match (rows.len(), columns, closed) {
        (1, 1, false) => &[],
        (1, columns, false) => &[columns],
        (rows, columns, _) => &[rows, columns],
    };
    let values = rows.iter().flatten().filter_map(|cell| cell.parse().ok()).collect();
    Ok(ArrayD::from_shape_vec(IxDyn(shape), values).ok())
}

/// The cells of a row, where each is a number.
fn cells(row: &str) -> Option<Vec<&str>> {
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

fn refuse_range(cell: &str) -> Result<(), Error> {
    let digits = cell.trim_start_matches(['+', '-']);
    if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
        return Err(Error::new(Code::BadLiteral, format!("the cell {cell} begins with a zero")).tip(
            "a comma separates columns, so 1,000 would be 1 and 0: write 1000 without separators, and 7 for 007",
        ));
    }
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && cell.parse::<f64>().is_ok_and(f64::is_infinite) {
        return Err(Error::new(Code::NumberRange, format!("{cell} is beyond the largest double, 1.8e308"))
            .tip("write inf or -inf if infinity is meant"));
    }
    Ok(())
}

fn ragged(n: usize, len: usize, columns: usize) -> Error {
    Error::new(Code::Ragged, format!("row {n} has {}, row 0 has {columns}", format_count(len, "number")))
        .at_index(&[n])
        .tip("every row needs the same number of columns; rows are separated by ;")
}

/// Whether the text begins as a number does and holds nothing that a file's name would need.
pub(super) fn looks_like_one(text: &str) -> bool {
    let start = text.trim_start_matches(|c: char| "+-.".contains(c) || c.is_whitespace());
    start.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "+-.,;/x_e".contains(c))
}

/// The error of a text that is nearly a literal.
pub(super) fn mistyped(text: &str) -> Error {
    let text = text.trim();
    let of_a_file = format!("@{text} or ./{text} names a file");
    let advice = if text.contains('/') {
        format!("write the fraction as a decimal number; {of_a_file}")
    } else if text.contains('x') {
        format!("write hexadecimal numbers as decimal ones; {of_a_file}")
    } else if text.contains('_') {
        format!("leave the underscores out; {of_a_file}")
    } else if text.split([';', '\n']).any(|row| row.split(',').any(|cell| cell.trim().is_empty())) {
        "a comma or semicolon has nothing beside it: take it out, or write the missing number".to_owned()
    } else {
        format!("separate columns by commas and rows by semicolons, '1,2;3,4'; {of_a_file}")
    };
    Error::new(Code::BadLiteral, format!("{text:?} is not a number, nor a matrix of numbers")).tip(advice)
}
