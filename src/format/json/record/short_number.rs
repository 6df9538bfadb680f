//! Numbers of few digits, as most records have, each with the sign behind it: eight bytes at once, and no branch on what they
//! are.

use crate::format::json::number::eight;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// What powers of ten the decimals of seven digits can stand for.
const TENS: [f64; 8] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];

/// The number that a text begins with, and how many bytes it takes with the `SIGN` that is right behind it; nothing where these
/// are more than eight.
#[inline(always)]
pub(super) fn short<const SIGN: u8>(text: &[u8]) -> Option<(f64, usize)> {
    let bytes = u64::from_le_bytes(*text.first_chunk::<8>()?);
    let minus = u32::from(bytes & 0xff == u64::from(b'-'));
    let bytes = bytes >> (8 * minus);
    let ends = equal(bytes, SIGN);
    // The first; only what stands before it is looked at.
    let end = ends & ends.wrapping_neg();
    let length = end.trailing_zeros() / 8;
    let digits = bytes ^ (ONES * u64::from(b'0'));
    // One other is the point; a carry disturbs only what stands behind the first.
    let others = (digits.wrapping_add(ONES * 0x76) | digits) & HIGH & end.wrapping_sub(1);
    let (digits, count, decimals) = if others == 0x8000 && bytes & 0xff00 == u64::from(b'.') << 8 && end != 0 {
        // One digit before the point.
        ((digits >> 8) & !0xff | (digits & 0xff), length - 1, length - 2)
    } else {
        if end == 0 {
            return None;
        }
        let point = u32::from(others != 0);
        let whole = (others | end).trailing_zeros() / 8;
        let is_number = whole > 0
            && others & others.wrapping_sub(1) == 0
            && (whole == 1 || digits & 0xff != 0)
            && (point == 0 || (bytes >> (8 * whole)) & 0xff == u64::from(b'.'));
        if !is_number {
            return None;
        }
        // The decimals move up to the digits before the point.
        let before = (1 << (8 * whole)) - 1;
        ((digits & before) | ((digits >> (8 * point)) & !before), length - point, length - whole - point)
    };
    // A point that nothing follows.
    if decimals == 0 && others != 0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss)] // seven digits
    let value = eight(digits << (64 - 8 * count)) as f64 / TENS[decimals as usize & 7];
    Some((f64::from_bits(value.to_bits() ^ (u64::from(minus) << 63)), (minus + length + 1) as usize))
}

/// The first bit of the first byte that is this one; behind it, of others too.
#[inline(always)]
fn equal(bytes: u64, byte: u8) -> u64 {
    let zero = bytes ^ (ONES * u64::from(byte));
    zero.wrapping_sub(ONES) & !zero & HIGH
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::json::number;
    use proptest::prelude::*;

    /// Whether it is read, and as what any number's reader reads.
    #[track_caller]
    fn same(text: &str) -> bool {
        let text = format!("{text},1234567");
        let read = |found: Option<(f64, usize)>, sign: u8| {
            let Some((value, length)) = found else { return false };
            let known = number(text.as_bytes()).map(|(value, length)| (value.to_bits(), length + 1));
            assert_eq!((Some((value.to_bits(), length)), text.as_bytes()[length - 1]), (known, sign), "{text}");
            true
        };
        read(short::<b','>(text.as_bytes()), b',') | read(short::<b']'>(text.as_bytes()), b']')
    }

    #[test]
    fn ordinary_numbers_are_read() {
        for text in ["0", "0.0", "-0.0", "-1]", "1234567", "12345.6", "0.06250", "-9.9999", "9.99999", "10]"] {
            assert!(same(text), "{text}");
        }
    }

    #[test]
    fn whatever_else_there_is_is_left_to_others() {
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
            assert!(!same(text), "{text}");
        }
    }

    #[test]
    fn fewer_than_eight_bytes_are_left_to_others() {
        assert_eq!(short::<b','>(b"1,2]"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn what_it_reads_is_what_any_reader_of_numbers_does(text in "-?[0-9]{0,4}[.]?[0-9]{0,5}[],e-]?[ -~é]{0,4}") {
            same(&text);
        }

        #[test]
        fn a_few_digits_are_always_read(text in "-?(0|[1-9][0-9]{0,2})([.][0-9]{1,2})?") {
            prop_assert!(same(&text));
        }
    }
}
