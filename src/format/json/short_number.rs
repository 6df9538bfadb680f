//! Fast reader of numbers of at most seven characters, each with the byte after it: eight bytes at once, with few branches.

use super::number::parse_eight_digits;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Powers of ten by the number of decimals.
const TENS: [f64; 8] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/// Returns the number that a text begins with, and its length including the byte `AFTER` it. Returns `None` if they are longer
/// than eight bytes.
#[inline(always)]
pub(super) fn short_number<const AFTER: u8>(text: &[u8]) -> Option<(f64, usize)> {
    let bytes = u64::from_le_bytes(*text.first_chunk::<8>()?);
    let minus = u32::from(bytes & 0xff == u64::from(b'-'));
    let bytes = bytes >> (8 * minus);
    let ends = bytes_equal_to(bytes, AFTER);
    // Only the bytes before the first end matter.
    let end = ends & ends.wrapping_neg();
    let length = end.trailing_zeros() / 8;
    let digits = bytes ^ (ONES * u64::from(b'0'));
    // At most one byte, the decimal point, is not a digit. A carry changes only bytes after the first of them.
    let non_digits = (digits.wrapping_add(ONES * 0x76) | digits) & HIGH_BITS & end.wrapping_sub(1);
    let (digits, count, decimals) = if non_digits == 0x8000 && bytes & 0xff00 == u64::from(b'.') << 8 && end != 0 {
        // One digit before the point.
        ((digits >> 8) & !0xff | (digits & 0xff), length - 1, length - 2)
    } else {
        if end == 0 {
            return None;
        }
        let point = u32::from(non_digits != 0);
        let integer_length = (non_digits | end).trailing_zeros() / 8;
        let is_number = integer_length > 0
            && non_digits & non_digits.wrapping_sub(1) == 0
            && (integer_length == 1 || digits & 0xff != 0)
            && (point == 0 || (bytes >> (8 * integer_length)) & 0xff == u64::from(b'.'));
        if !is_number {
            return None;
        }
        // The decimals are moved next to the digits before the point.
        let before = (1 << (8 * integer_length)) - 1;
        ((digits & before) | ((digits >> (8 * point)) & !before), length - point, length - integer_length - point)
    };
    // No digit follows the point.
    if decimals == 0 && non_digits != 0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss)] // seven digits
    let value = parse_eight_digits(digits << (64 - 8 * count)) as f64 / TENS[decimals as usize & 7];
    Some((f64::from_bits(value.to_bits() ^ (u64::from(minus) << 63)), (minus + length + 1) as usize))
}

/// Returns the high bit of the first byte that is equal to `byte`. Bits of later bytes may be set too.
#[inline(always)]
fn bytes_equal_to(bytes: u64, byte: u8) -> u64 {
    let zero = bytes ^ (ONES * u64::from(byte));
    zero.wrapping_sub(ONES) & !zero & HIGH_BITS
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::json::number;
    use proptest::prelude::*;

    /// Returns true if the text is read, and compares the number with that of the general reader.
    #[track_caller]
    fn is_read(text: &str) -> bool {
        let text = format!("{text},1234567");
        let read = |found: Option<(f64, usize)>, after: u8| {
            let Some((value, length)) = found else { return false };
            let known = number(text.as_bytes()).map(|(value, length)| (value.to_bits(), length + 1));
            assert_eq!((Some((value.to_bits(), length)), text.as_bytes()[length - 1]), (known, after), "{text}");
            true
        };
        read(short_number::<b','>(text.as_bytes()), b',') | read(short_number::<b']'>(text.as_bytes()), b']')
    }

    #[test]
    fn short_numbers_are_read() {
        for text in ["0", "0.0", "-0.0", "-1]", "1234567", "12345.6", "0.06250", "-9.9999", "9.99999", "10]"] {
            assert!(is_read(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_left_to_the_general_reader() {
        for text in [
            "00",
            "01.5",
            ".5",
            "5.",
            "-",
            "-.5",
            "-.",
            ".",
            "1.2.3",
            "1e5",
            "1 ",
            "",
            ",",
            "]",
            "0x1",
            "1/2",
            "1:2",
            "--1",
            "+1",
            "é1",
            "1é",
            "1.é",
            "12345678",
            "\u{1}1",
            "1.5\u{7f}",
        ] {
            assert!(!is_read(text), "{text}");
        }
    }

    #[test]
    fn fewer_than_eight_bytes_are_left_to_the_general_reader() {
        assert_eq!(short_number::<b','>(b"1,2]"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn numbers_are_read_as_by_the_general_reader(text in "-?[0-9]{0,4}[.]?[0-9]{0,5}[],e-]?[ -~é]{0,4}") {
            is_read(&text);
        }

        #[test]
        fn numbers_of_few_digits_are_always_read(text in "-?(0|[1-9][0-9]{0,2})([.][0-9]{1,2})?") {
            prop_assert!(is_read(&text));
        }
    }
}
