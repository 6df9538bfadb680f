//! Cells of tables: numbers, and what a cell that is not a number is.

use crate::core::error::{Code, Error, sanitize};

/// Tip for a cell with line ends inside.
pub(super) const OPEN_QUOTE: &str =
    "close the quote at the end of its cell, or remove it: a cell in quotes continues on the next line";

/// Removes blanks and quotes around a cell.
pub(super) fn unquote(cell: &[u8]) -> &[u8] {
    match cell.trim_ascii() {
        [b'"', inside @ .., b'"'] => inside.trim_ascii(),
        cell => cell,
    }
}

/// Returns the number in a cell; `None` if there is none, or it is too large for a double.
pub(super) fn parse_cell(cell: &[u8]) -> Option<f64> {
    let number = std::str::from_utf8(cell).ok()?.parse::<f64>().ok()?;
    (number.is_finite() || begins_with_letter(cell)).then_some(number)
}

fn begins_with_letter(cell: &[u8]) -> bool {
    cell.iter().find(|byte| !b"+-".contains(byte)).is_some_and(u8::is_ascii_alphabetic)
}

/// Returns true if a cell is a number.
pub(super) fn is_number(cell: &str) -> bool {
    parse_cell(cell.as_bytes()).is_some()
}

/// Returns true if a cell is a number with a decimal comma, or an integer.
pub(super) fn is_decimal_comma(cell: &str) -> bool {
    cell.matches(',').count() <= 1 && !cell.contains('.') && is_number(&cell.replace(',', "."))
}

/// Returns true if a cell is a number with points between thousands and a decimal comma.
fn is_continental(cell: &str) -> bool {
    cell.split_once(',')
        .is_some_and(|(whole, decimals)| has_thousands(&whole.replace('.', ","), ',') && is_number(decimals))
}

/// Returns true if a cell is a number that may have commas and points for decimals or between thousands.
pub(super) fn resembles_number(cell: &str) -> bool {
    is_number(cell) || is_decimal_comma(cell) || has_thousands(cell, ',') || is_continental(cell)
}

/// Returns true if a cell is a number whose digits are in groups of three with `separator` between them.
pub(super) fn has_thousands(cell: &str, separator: char) -> bool {
    let digits = cell.trim_start_matches(['+', '-']);
    let digits = digits.split_once('.').map_or(digits, |(before, _)| before);
    let mut groups = digits.split(separator);
    let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let is_first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()) && is_digits(first));
    let rest: Vec<&str> = groups.collect();
    is_first && !rest.is_empty() && rest.iter().all(|group| group.len() == 3 && is_digits(group))
}

/// Returns true if a cell is a word, as names of columns are: not empty, and not a number written in another way or a missing value.
pub(super) fn is_word(cell: &str) -> bool {
    let start = cell.trim_start_matches(['#', ' ']);
    start.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !is_number(cell)
        && !is_missing(cell)
        && !is_boolean(cell)
}

fn is_boolean(cell: &str) -> bool {
    ["true", "false"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

fn is_missing(cell: &str) -> bool {
    const WORDS: &[&str] = &["na", "n/a", "#n/a", "null", "none", "nil", "missing", "<na>", "-", "?", ".", "*", "nat"];
    WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Returns the error of a cell that is not a number, with a tip for the way it is written.
pub(super) fn explain_cell(cell: &str) -> Error {
    if cell.is_empty() {
        let error = Error::new(Code::EmptyValue, "a cell is empty");
        return error.tip("write nan for a missing value, or remove a separator too much");
    }
    if cell.parse::<f64>().is_ok() {
        return Error::new(Code::NumberRange, format!("{} is too large for a double", sanitize(cell)))
            .tip("the largest double is 1.8e308; write inf or -inf for infinity");
    }
    Error::new(Code::NotANumber, format!("the cell \"{}\" is not a number", sanitize(cell))).tip(tip_for(cell))
}

/// Returns the tip for a cell that is not a number.
fn tip_for(cell: &str) -> String {
    let lower = cell.to_ascii_lowercase();
    let has_digit = cell.contains(|c: char| c.is_ascii_digit());
    let is_number_without = |signs: &[char]| is_number(cell.trim_matches(signs).trim());
    let ascii_minus = cell.replace(['\u{2212}', '\u{2013}', '\u{ff0d}'], "-");
    let with_e = lower.replacen('d', "e", 1);
    let tip = if cell.contains(['\n', '\r']) {
        OPEN_QUOTE
    } else if is_missing(cell) {
        "write nan for a missing value"
    } else if is_boolean(cell) {
        "write 1 for true and 0 for false"
    } else if cell.contains(',') && (has_thousands(cell, ',') || is_decimal_comma(cell)) {
        return tip_for_comma(cell);
    } else if let Some(sign) =
        ['\'', '_', ' ', '\u{a0}', '\u{202f}'].into_iter().find(|&sign| has_thousands(cell, sign))
    {
        return format!("write it without separators between thousands: {}", cell.replace(sign, ""));
    } else if ascii_minus != cell && is_number(&ascii_minus) {
        return format!("write the minus as on the keyboard: {ascii_minus}");
    } else if has_digit && is_number(&with_e) {
        return format!("write the exponent with e: {with_e}");
    } else if is_number_without(&['\'', '"', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}']) {
        "remove the quotes around the number"
    } else if is_number_without(&['%']) {
        "write percentages as numbers without the sign, such as 0.5"
    } else if is_number_without(&['$', '€', '£', '¥']) {
        "write amounts of money without the sign of the currency"
    } else if lower.trim_start_matches(['+', '-']).starts_with("0x") {
        "write hexadecimal numbers in decimal"
    } else if cell.split_once('/').is_some_and(|(above, below)| is_number(above) && is_number(below)) {
        "write the fraction as a decimal number"
    } else if has_digit && is_number_without(&['f', 'F', 'l', 'L']) {
        "write the number without its suffix"
    } else if has_digit && is_complex(&lower) {
        "write the real and imaginary parts of complex numbers as columns of their own"
    } else if has_digit && cell.chars().all(|c| c.is_ascii_digit() || "-/:. TZ".contains(c)) {
        "write dates and times as numbers, such as days or seconds"
    } else {
        "write numbers with a decimal point, or nan, inf or -inf"
    };
    tip.to_owned()
}

fn is_complex(cell: &str) -> bool {
    let imaginary = cell.trim_matches(['(', ')']).strip_suffix(['i', 'j']);
    imaginary.is_some_and(|part| is_number(part.rsplit(['+', '-']).next().unwrap_or_default()))
}

/// Returns the tip for a number with commas inside, which may separate thousands or be decimal.
fn tip_for_comma(cell: &str) -> String {
    let (whole, decimal) = (cell.replace(',', ""), cell.replace(',', "."));
    match (has_thousands(cell, ','), is_decimal_comma(cell)) {
        (true, true) => format!("write {whole} if the comma separates thousands, {decimal} if it is decimal"),
        (true, false) => format!("write it without commas between thousands: {whole}"),
        _ => format!("write it with a decimal point: {decimal}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_number_has_its_own_tip() {
        for (cell, tip) in [
            ("1,5", "write it with a decimal point: 1.5"),
            ("-1,234.5", "write it without commas between thousands: -1234.5"),
            ("1,234", "write 1234 if the comma separates thousands, 1.234 if it is decimal"),
            ("1'000", "write it without separators between thousands: 1000"),
            ("12 345.5", "write it without separators between thousands: 12345.5"),
            ("\u{2212}2", "write the minus as on the keyboard: -2"),
            ("1.5D+03", "write the exponent with e: 1.5e+03"),
            ("'1'", "remove the quotes around the number"),
            ("50%", "write percentages as numbers without the sign, such as 0.5"),
            ("€5", "write amounts of money without the sign of the currency"),
            ("0x1F", "write hexadecimal numbers in decimal"),
            ("1/3", "write the fraction as a decimal number"),
            ("1.5f", "write the number without its suffix"),
            ("(1+2j)", "write the real and imaginary parts of complex numbers as columns of their own"),
            ("2024-01-31", "write dates and times as numbers, such as days or seconds"),
            ("NA", "write nan for a missing value"),
            ("True", "write 1 for true and 0 for false"),
            ("four", "write numbers with a decimal point, or nan, inf or -inf"),
        ] {
            assert_eq!(explain_cell(cell).tip.as_deref(), Some(tip), "{cell}");
        }
    }

    #[test]
    fn names_of_columns_are_words_and_other_ways_to_write_numbers_are_not() {
        assert!(["height", "# a", "_x", "身長", "e5"].into_iter().all(is_word));
        assert!(
            !["", "1,5", "1st", "-", "NA", "true", "nan", "Infinity", "\u{2212}1", "$5", "'1'"]
                .into_iter()
                .any(is_word)
        );
    }
}
