//! The type and the digits that the numbers of a program's replies have.

use crate::numeric::FloatType;

/// Number of significand bits up to which a number may be an exact result of short inputs, and tells nothing.
const SHORT_BITS: u32 = 23;
/// Least count of longer numbers from which type and digits are recognised, and the part of all numbers that they must be.
const MIN_EVIDENCE: usize = 3;
const MIN_EVIDENCE_PART: usize = 4;
/// Least count of printed numbers that are all those of a half type, of which about every second decimal of so few digits is one.
const MIN_PRINTED_EVIDENCE: usize = 8;
/// Largest number of significant digits that loses information of a double noticeably.
const MAX_DIGITS: usize = 12;
/// Largest number of significant digits of a number that is taken as single precision.
const MAX_SINGLE_DIGITS: usize = 9;

/// The format of the numbers of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NumberFormat {
    /// The type that the program computes in.
    pub(super) float_type: FloatType,
    /// The largest number of significant digits, and of decimal places, if numbers are printed with few digits.
    pub(super) digits: Option<(usize, usize)>,
}

impl NumberFormat {
    /// Recognises the format of numbers in a program's replies. `declared` is the type that the program is said to have;
    /// `is_rounded` says of a type that holds all of them whether they would have more bits if the program did not round to it.
    pub(super) fn recognise(
        numbers: &[f64],
        declared: Option<FloatType>,
        is_rounded: impl Fn(FloatType) -> bool,
    ) -> NumberFormat {
        let nonzero: Vec<f64> = numbers.iter().copied().filter(|&v| v != 0.0 && v.is_finite()).collect();
        let holds_all = |float_type: &FloatType| nonzero.iter().all(|&v| float_type.holds(v));
        // Short numbers of bf16 are also numbers of f16, and both are numbers of f32.
        let narrow = [FloatType::Bf16, FloatType::F16, FloatType::F32].into_iter().filter(holds_all);
        let long: Vec<f64> = nonzero.iter().copied().filter(|&v| significant_bits(v) > SHORT_BITS).collect();
        let found = narrow.filter(|_| nonzero.len() >= MIN_EVIDENCE).find(|&narrow| is_rounded(narrow));
        if found.is_some() || long.len() < MIN_EVIDENCE.max(nonzero.len() / MIN_EVIDENCE_PART) {
            return NumberFormat { float_type: declared.or(found).unwrap_or_default(), digits: None };
        }
        let printed: Vec<Printed> = long.iter().map(|&v| Printed::shortest(v)).collect();
        let significant = printed.iter().map(|printed| printed.significant).max().unwrap_or(0);
        let places = printed.iter().map(|printed| printed.places).max().unwrap_or(0);
        let is_half = |half: &FloatType| {
            long.iter().zip(&printed).filter(|(v, text)| text.tells_of(**v, *half)).count() >= MIN_PRINTED_EVIDENCE
                && long.iter().zip(&printed).all(|(&v, text)| text.is_of_half(v, *half))
        };
        let half = [FloatType::Bf16, FloatType::F16].into_iter().find(is_half);
        let is_single = long.iter().all(|&v| FloatType::F32.holds(v))
            || long.iter().all(|&v| is_printed_single(v))
            || significant < MAX_SINGLE_DIGITS
            || significant == MAX_SINGLE_DIGITS && long.iter().all(|&v| is_rounded_single(v));
        let found = half.unwrap_or(if is_single { FloatType::F32 } else { FloatType::F64 });
        let float_type = declared.unwrap_or(found);
        NumberFormat { float_type, digits: (significant <= MAX_DIGITS).then_some((significant, places)) }
    }

    /// Returns a note if type or digits were found from the replies.
    pub(super) fn describe(self, declared: Option<FloatType>) -> Option<String> {
        let found = declared.is_none() && self.float_type != FloatType::F64;
        let digits = self.digits.map(|(significant, _)| format!("printed with {significant} digits"));
        match (found, digits) {
            (false, None) => None,
            (false, Some(digits)) => {
                Some(format!("the replies are {digits}, so half a unit of the last digit is accepted"))
            }
            (true, None) => Some(format!("the replies are numbers of {0}: taken as {0}", self.float_type.name())),
            (true, Some(digits)) => Some(format!(
                "the replies are {digits}: taken as {}, and half a unit of the last digit is accepted",
                self.float_type.name()
            )),
        }
    }

    /// Returns the largest error that printing makes: half a unit of the last digit.
    pub(super) fn printing_error(self, value: f64) -> f64 {
        let Some((significant, places)) = self.digits else { return 0.0 };
        if value == 0.0 || !value.is_finite() {
            return power_of_ten(-to_exponent(places)) / 2.0;
        }
        let last = decimal_exponent(value) + 1 - to_exponent(significant);
        power_of_ten(last).max(power_of_ten(-to_exponent(places))) / 2.0
    }
}

/// Returns true if enough numbers, of those that a type holds, have about as many bits as it has.
pub(super) fn fill(numbers: impl Iterator<Item = f64>, float_type: FloatType) -> bool {
    let bits = significant_bits(1.0 + 2.0 * float_type.unit_roundoff());
    let nonzero: Vec<f64> = numbers.filter(|&v| v != 0.0 && v.is_finite()).collect();
    let full = nonzero.iter().filter(|&&v| significant_bits(v) + 1 >= bits).count();
    full >= MIN_EVIDENCE.max(nonzero.len() / MIN_EVIDENCE_PART)
}

/// Returns true if numbers that need not be short are all numbers of single precision.
pub(super) fn are_single(numbers: &[f64]) -> bool {
    let long = || numbers.iter().filter(|v| v.is_finite() && significant_bits(**v) > SHORT_BITS);
    long().count() >= MIN_EVIDENCE && long().all(|v| FloatType::F32.holds(*v))
}

/// A number in decimal.
struct Printed {
    /// Number of significant digits.
    significant: usize,
    /// Number of digits after the decimal point.
    places: usize,
}

impl Printed {
    /// Returns the shortest decimal that reads back as the number.
    fn shortest(value: f64) -> Printed {
        let text = format!("{value:e}");
        let (digits, _) = text.split_once('e').unwrap_or((&text, ""));
        let significant = digits.bytes().filter(u8::is_ascii_digit).count();
        let places = to_exponent(significant) - 1 - decimal_exponent(value);
        Printed { significant, places: usize::try_from(places).unwrap_or(0) }
    }

    /// Returns true if the unit of the last digit is so small that at most every second number is one of a half type, rounded to it.
    fn tells_of(&self, value: f64, half: FloatType) -> bool {
        let last = power_of_ten(decimal_exponent(value) + 1 - to_exponent(self.significant));
        let spacing = 2.0 * half.unit_roundoff() * libm::ldexp(1.0, libm::frexp(value.abs()).1 - 1);
        2.0 * last <= spacing
    }

    /// Returns true if the value, which is printed so, is a number of a half type rounded to these digits.
    fn is_of_half(&self, value: f64, half: FloatType) -> bool {
        self.significant <= MAX_SINGLE_DIGITS
            && format!("{:.*e}", self.significant - 1, half.round(value)).parse() == Ok(value)
    }
}

/// Returns the exponent of a number in scientific notation.
fn decimal_exponent(value: f64) -> i32 {
    let text = format!("{value:e}");
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

fn to_exponent(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(0.0)
}

/// Returns the number of bits from the first to the last that is set.
fn significant_bits(value: f64) -> u32 {
    let significand = value.to_bits() & ((1 << 52) - 1);
    if significand == 0 { 1 } else { 53 - significand.trailing_zeros() }
}

/// Returns true if a number is the shortest decimal of a number in single precision.
#[allow(clippy::cast_possible_truncation)] // rounding to single precision is what is tested
fn is_printed_single(value: f64) -> bool {
    format!("{:e}", value as f32).parse() == Ok(value)
}

/// Returns true if a number is a number in single precision, rounded to nine digits.
fn is_rounded_single(value: f64) -> bool {
    format!("{:.8e}", FloatType::F32.round(value)).parse() == Ok(value)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, clippy::unwrap_used)]
mod tests {
    use super::*;

    fn numbers() -> Vec<f64> {
        (1..40).map(|n| 1.7 / f64::from(n)).collect()
    }

    fn recognised(print: impl Fn(f64) -> String) -> NumberFormat {
        let numbers: Vec<f64> = numbers().into_iter().map(|v| print(v).parse().unwrap()).collect();
        NumberFormat::recognise(&numbers, None, |_| false)
    }

    #[test]
    fn the_type_is_found_from_the_numbers() {
        assert_eq!(recognised(|v| v.to_string()), NumberFormat { float_type: FloatType::F64, digits: None });
        assert_eq!(
            recognised(|v| f64::from(v as f32).to_string()),
            NumberFormat { float_type: FloatType::F32, digits: None }
        );
        for print in [|v: f64| (v as f32).to_string(), |v: f64| format!("{:.8e}", f64::from(v as f32))] {
            assert_eq!(recognised(print).float_type, FloatType::F32);
        }
        let half: Vec<f64> = numbers().into_iter().map(|v| FloatType::Bf16.round(v)).collect();
        assert_eq!(NumberFormat::recognise(&half, None, |_| true).float_type, FloatType::Bf16);
        assert_eq!(NumberFormat::recognise(&half, None, |_| false).float_type, FloatType::F64);
        assert_eq!(NumberFormat::recognise(&half, Some(FloatType::F32), |_| true).float_type, FloatType::F32);
    }

    #[test]
    fn half_types_are_found_from_printed_numbers() {
        // NumPy prints the fewest digits that tell a number of f16 from its neighbours; `ml_dtypes` prints bf16 with `%g`.
        let shortest = |v: f64| {
            let half = FloatType::F16.round(v);
            let text = |digits: usize| format!("{half:.digits$e}");
            let is_enough = |digits: &usize| FloatType::F16.round(text(*digits).parse().unwrap()) == half;
            text((0..6).find(is_enough).unwrap())
        };
        assert_eq!(recognised(shortest).float_type, FloatType::F16);
        assert_eq!(recognised(|v| format!("{:.5e}", FloatType::Bf16.round(v))).float_type, FloatType::Bf16);
        assert_eq!(recognised(|v| format!("{v:.3}")).float_type, FloatType::F32);
        for digits in [2, 3, 4, 5] {
            assert_eq!(recognised(|v| format!("{v:.digits$e}")).float_type, FloatType::F32, "{digits}");
        }
    }

    #[test]
    fn few_digits_allow_half_a_unit_of_the_last() {
        let six = recognised(|v| format!("{v:.5e}"));
        assert!((six.printing_error(1.7) - 5e-6).abs() < 1e-12 && (six.printing_error(0.017) - 5e-8).abs() < 1e-12);
        let fixed = recognised(|v| format!("{v:.11}"));
        assert_eq!(fixed.float_type, FloatType::F64);
        assert!(fixed.printing_error(0.017) >= 5e-12 && fixed.printing_error(0.0) >= 5e-12);
        assert_eq!(recognised(|v| v.to_string()).printing_error(0.3), 0.0);
    }

    #[test]
    fn exact_results_of_short_inputs_tell_nothing() {
        let short: Vec<f64> = (1..40).map(|n| f64::from(n) / 64.0).collect();
        assert_eq!(
            NumberFormat::recognise(&short, None, |_| false),
            NumberFormat { float_type: FloatType::F64, digits: None }
        );
    }
}
