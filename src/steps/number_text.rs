//! Writes numbers as a person does: at most eight digits, integers without a point.

/// Writes a number, and returns true if it was not rounded for that.
pub(super) fn write_number(value: f64) -> (String, bool) {
    let text = number_text(value);
    let is_exact = match text.parse::<f64>() {
        // 0.1 + 0.2 is written 0.3 and counts as exact, though it is the double beside 0.3.
        Ok(read) => read == value || (read - value).abs() <= 1e-14 * value.abs(),
        Err(_) => false,
    };
    (text, is_exact || value.is_nan())
}

fn number_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let magnitude = value.abs();
    if value.fract() == 0.0 && magnitude < 1e16 {
        return format!("{value:.0}");
    }
    let rounded: f64 = format!("{value:.7e}").parse().unwrap_or(value);
    if !(1e-4..1e8).contains(&magnitude) {
        return format!("{rounded:e}");
    }
    let shortest = format!("{rounded}");
    match shortest.split_once('.') {
        Some((_, fraction)) if fraction.len() > 8 => format!("{value:.8}").trim_end_matches('0').to_owned(),
        _ => shortest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_eight_digits_and_rounding_is_reported() {
        let exact = [8.0, -0.25, 0.1 + 0.2, 0.8 - 1.0, 1e-10, 123_456_789.0].map(write_number);
        let texts = ["8", "-0.25", "0.3", "-0.2", "1e-10", "123456789"];
        assert_eq!(exact, texts.map(|text| (text.to_owned(), true)));
        let rounded = [1.0 / 3.0, 0.090_030_573_170_380_46, 1_234.567_890_123, 4.248_354_255_291_589e-18];
        let texts = ["0.33333333", "0.09003057", "1234.5679", "4.2483543e-18"];
        assert_eq!(rounded.map(write_number), texts.map(|text| (text.to_owned(), false)));
        assert_eq!(write_number(f64::NEG_INFINITY), ("-inf".to_owned(), true));
    }
}
