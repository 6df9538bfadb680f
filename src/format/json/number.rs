//! Reader of the number at the beginning of a text, rounded to the nearest double.
//!
//! Digits are read eight at a time. At most nineteen of them are an integer w below 2⁶⁴, and w·10^e is one 128-bit product
//! with 5^e from a table (D. Lemire, *Number parsing at a gigabyte per second*, 2021). The table is truncated, so the
//! product is too small by less than 2 units of its last bit. Where that could change the rounding, and for powers outside
//! the table, the standard library reads the number.

/// Strings that stand for the numbers that JSON cannot write.
pub(super) const NON_FINITE: [(&str, f64); 3] =
    [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

/// Returns the number that is not finite which a string stands for.
pub(crate) fn parse_non_finite(text: &str) -> Option<f64> {
    NON_FINITE.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

/// Type that the numbers of a document are read into.
pub trait JsonNumber: Copy + Default + Send {
    /// Returns the number `value` that is written as `token`; the name of a number that is not finite has no quotes.
    fn from_token(token: &[u8], value: f64) -> Self;
    /// Returns what null is read as in an array of numbers, if it may be there.
    fn missing() -> Option<Self>;
}

impl JsonNumber for f64 {
    #[inline(always)]
    fn from_token(_: &[u8], value: f64) -> f64 {
        value
    }

    fn missing() -> Option<f64> {
        None
    }
}

/// Checks the syntax of numbers without storing them.
impl JsonNumber for () {
    fn from_token(_: &[u8], _: f64) {}

    fn missing() -> Option<()> {
        None
    }
}

/// Largest power of five, positive or negative, in the table.
const LARGEST: i32 = 54;

/// 5^e = (128 bits)·2^(exponent − 127), truncated; the first bit is 1.
#[derive(Clone, Copy)]
struct Power {
    high: u64,
    low: u64,
    exponent: i32,
}

static POWERS: [Power; 2 * LARGEST as usize + 1] = powers();

const fn powers() -> [Power; 2 * LARGEST as usize + 1] {
    let mut table = [Power { high: 0, low: 0, exponent: 0 }; 2 * LARGEST as usize + 1];
    let (mut n, mut power) = (0, 1u128);
    while n <= LARGEST as usize {
        let bits = 127 - power.leading_zeros() as i32;
        table[LARGEST as usize + n] = split(power << power.leading_zeros(), bits);
        // Long division gives 1/5ⁿ bit by bit. 5⁵⁴ is below 2¹²⁶, so that the doubled remainder fits.
        let (mut remainder, mut quotient, mut exponent) = (1u128, 0u128, 0);
        while quotient >> 127 == 0 {
            quotient <<= 1;
            if remainder >= power {
                remainder -= power;
                quotient |= 1;
            }
            remainder <<= 1;
            exponent += 1;
        }
        table[LARGEST as usize - n] = split(quotient, 128 - exponent);
        power = power.wrapping_mul(5);
        n += 1;
    }
    table
}

#[allow(clippy::cast_possible_truncation)] // the two halves
const fn split(bits: u128, exponent: i32) -> Power {
    Power { high: (bits >> 64) as u64, low: bits as u64, exponent }
}

/// Returns the number that the text begins with, and its length in bytes. Returns `None` if the text does not begin with a
/// JSON number, or if the number is larger than the largest double.
///
/// ```
/// use nnlayer::format::json::number;
/// assert_eq!(number(b"-1.5e3, 2"), Some((-1500.0, 6)));
/// assert_eq!(number(b".5"), None);
/// assert_eq!(number(b"1e400"), None);
/// ```
#[inline(always)]
pub fn number(text: &[u8]) -> Option<(f64, usize)> {
    let begin = usize::from(text.first() == Some(&b'-'));
    let (mut digits, mut exponent) = (0, 0);
    let mut end = match text.get(begin..begin + 2) {
        // Most numbers begin with one digit and the point.
        Some([first @ b'0'..=b'9', b'.']) => {
            digits = u64::from(*first - b'0');
            begin + 1
        }
        _ => read_digits(text, begin, &mut digits),
    };
    let mut count = end - begin;
    if count == 0 || (count > 1 && text[begin] == b'0') {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        let point = end + 1;
        end = read_digits(text, point, &mut digits);
        if end == point {
            return None;
        }
        count += end - point;
        exponent = -i64::try_from(end - point).ok()?;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let sign = text.get(end + 1);
        let first = end + 1 + usize::from(matches!(sign, Some(b'-' | b'+')));
        let mut power = 0;
        end = read_digits(text, first, &mut power);
        if end == first || end - first > 9 {
            return if end == first { None } else { parse_with_std(&text[..end]) };
        }
        let power = i64::try_from(power).ok()?;
        exponent += if sign == Some(&b'-') { -power } else { power };
    }
    // Leading zeros are not digits of w.
    if count > 19 {
        count -= text[begin..end].iter().take_while(|byte| matches!(byte, b'0' | b'.')).count().saturating_sub(1);
    }
    let value = if count > 19 { None } else { scale(digits, exponent) };
    match value {
        Some(value) => Some((if begin == 1 { -value } else { value }, end)),
        None => parse_with_std(&text[..end]),
    }
}

/// Returns digits·10^exponent, rounded to the nearest double.
pub(crate) fn scale_by_power_of_ten(digits: u64, exponent: i64) -> f64 {
    scale(digits, exponent).unwrap_or_else(|| format!("{digits}e{exponent}").parse().unwrap_or(0.0))
}

#[cold]
fn parse_with_std(token: &[u8]) -> Option<(f64, usize)> {
    let value: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    value.is_finite().then_some((value, token.len()))
}

/// Appends the decimal digits at `at` to an integer, modulo 2⁶⁴, and returns the position after them.
#[inline(always)]
fn read_digits(text: &[u8], mut at: usize, number: &mut u64) -> usize {
    const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
    while let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let digits = u64::from_le_bytes(*chunk) ^ 0x3030_3030_3030_3030;
        // The high bit of each byte above 9. A carry changes only bytes after the first of them.
        let non_digits = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
        if non_digits == 0 {
            *number = number.wrapping_mul(100_000_000).wrapping_add(parse_eight_digits(digits));
            at += 8;
            continue;
        }
        // The number of digits is hard to predict, so there is no branch on it. A shift by 64 would overflow, two do not.
        let bits = non_digits.trailing_zeros() & 56;
        let count = bits as usize / 8;
        *number = number.wrapping_mul(TENS[count]).wrapping_add(parse_eight_digits((digits << 1) << (63 - bits)));
        return at + count;
    }
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// Returns the integer whose eight decimal digits are the bytes, the first digit in the lowest byte. Neighbours are combined
/// three times.
#[inline(always)]
pub(super) fn parse_eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first = (pairs & 0xff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let second = ((pairs >> 16) & 0xff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    first.wrapping_add(second) >> 32
}

/// Returns the double nearest to w·10^e, or `None` if the table cannot decide which it is.
#[inline(always)]
fn scale(w: u64, e: i64) -> Option<f64> {
    if w == 0 {
        return Some(0.0);
    }
    let power = POWERS.get(usize::try_from(e + i64::from(LARGEST)).ok()?)?;
    let zeros = w.leading_zeros();
    let w = w << zeros;
    let product = u128::from(w) * u128::from(power.high) + ((u128::from(w) * u128::from(power.low)) >> 64);
    // 53 bits are kept. The `cut` bits below them are compared with half a unit.
    let cut = 74 + (product >> 127) as u32;
    let (mantissa, rest, half) = (product >> cut, product & ((1 << cut) - 1), 1u128 << (cut - 1));
    if rest == half || rest == half - 1 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)] // 53 bits
    let mantissa = mantissa as u64;
    let exponent = i64::from(cut) + i64::from(power.exponent) + e - i64::from(zeros) - 11;
    let bits = (u64::try_from(exponent + 1023).ok()? << 52) + (mantissa - (1 << 52)) + u64::from(rest > half);
    Some(f64::from_bits(bits))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn assert_as_std(text: &str) {
        let expected: f64 = text.parse().unwrap();
        let expected = expected.is_finite().then_some((expected.to_bits(), text.len()));
        for after in ["", ",", " ", "]", ",1234567890123456789"] {
            let read = number(format!("{text}{after}").as_bytes());
            assert_eq!(read.map(|(value, length)| (value.to_bits(), length)), expected, "{text}{after}");
        }
    }

    #[test]
    fn hard_numbers_are_read_as_the_standard_library_reads_them() {
        for text in [
            "0",
            "-0",
            "0.0",
            "-0.0e5",
            "1",
            "-1",
            "10",
            "0.1",
            "123456789",
            "12345678.87654321",
            "9007199254740993",
            "9007199254740992.5",
            "9007199254740993.0000000000000000000000001",
            "18446744073709551615",
            "18446744073709551616",
            "1e22",
            "1e23",
            "8.5e54",
            "8.5e-54",
            "1e55",
            "1e-55",
            "4.9e-324",
            "2e-324",
            "2.2250738585072011e-308",
            "1.7976931348623157e308",
            "1.7976931348623159e308",
            "1e309",
            "-1e400",
            "0.000000000000000000000000000000000000000012345678901234567",
            "0.00012345678901234567",
            "1e0000000000000000000001",
            "1e99999999999",
            "0e99999999999",
            "0.500000000000000166533453693773481063544750213623046875",
        ] {
            assert_as_std(text);
        }
    }

    #[test]
    fn other_notations_are_not_numbers() {
        for text in
            ["", "-", "+1", ".5", "-.5", "1.", "1.e5", "1e", "1e+", "01", "-01", "00", "x", "NaN", "Infinity", "--1"]
        {
            assert_eq!(number(text.as_bytes()), None, "{text}");
            assert_eq!(number(format!("{text},        ").as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn midpoints_are_rounded_to_even() {
        for n in 0..2000u64 {
            assert_as_std(&format!("{}", (1 << 53) + 2 * n + 1));
            assert_as_std(&format!("{}.5", (1u64 << 52) + n));
            assert_as_std(&format!("{}.25", (1u64 << 51) + n));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_double_in_any_notation_is_read_back(bits: u64, digits in 0usize..25) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                for text in [format!("{value:?}"), format!("{value:e}"), format!("{value:.digits$e}")] {
                    assert_as_std(&text);
                }
            }
        }

        #[test]
        fn digits_of_any_length_are_rounded_to_nearest(integer in "0|[1-9][0-9]{0,22}", fraction in "[0-9]{1,24}", power in -90..90) {
            assert_as_std(&format!("{integer}.{fraction}"));
            assert_as_std(&format!("-{integer}.{fraction}e{power}"));
            assert_as_std(&format!("{integer}E{power:+}"));
        }

        /// Midpoints between two doubles, and numbers just above and below them.
        #[test]
        fn numbers_near_a_midpoint_are_rounded_correctly(mantissa in 1u64 << 52..1 << 53, tail in "[0-9]{1,3}") {
            for midpoint in [format!("{mantissa}.5"), format!("{}.75", mantissa >> 1), format!("{}.125", mantissa >> 2)] {
                assert_as_std(&midpoint);
                assert_as_std(&format!("{midpoint}{tail}"));
                assert_as_std(&format!("{}9{tail}", &midpoint[..midpoint.len() - 1].to_owned()));
                assert_as_std(&format!("{midpoint}0000000000000000000000000000{tail}"));
            }
        }
    }
}
