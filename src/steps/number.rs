//! Numbers as somebody writes them down: eight digits at most, whole ones without a point.

/// A number as it is written, and whether it was rounded for that.
pub(super) fn written(value: f64) -> (String, bool) {
    let text = text(value);
    let exact = match text.parse::<f64>() {
        // 0.1 + 0.2 is 0.3 to whoever writes it down, also where it is a double beside it.
        Ok(read) => read == value || (read - value).abs() <= 1e-14 * value.abs(),
        Err(_) => false,
    };
    (text, exact || value.is_nan())
}

fn text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e16 {
        return format!("{value:.0}");
    }
    let rounded: f64 = format!("{value:.7e}").parse().unwrap_or(value);
    if !(1e-4..1e8).contains(&size) {
        return format!("{rounded:e}");
    }
    let shortest = format!("{rounded}");
    match shortest.split_once('.') {
        Some((_, behind)) if behind.len() > 8 => format!("{value:.8}").trim_end_matches('0').to_owned(),
        _ => shortest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_eight_digits_and_say_when_they_were_rounded() {
        let shown = [8.0, -0.25, 0.1 + 0.2, 0.8 - 1.0, 1e-10, 123_456_789.0].map(written);
        let exact = ["8", "-0.25", "0.3", "-0.2", "1e-10", "123456789"];
        assert_eq!(shown, exact.map(|text| (text.to_owned(), true)));
        let shown = [1.0 / 3.0, 0.090_030_573_170_380_46, 1_234.567_890_123, 4.248_354_255_291_589e-18].map(written);
        let cut = ["0.33333333", "0.09003057", "1234.5679", "4.2483543e-18"];
        assert_eq!(shown, cut.map(|text| (text.to_owned(), false)));
        assert_eq!(written(f64::NEG_INFINITY), ("-inf".to_owned(), true));
    }
}
