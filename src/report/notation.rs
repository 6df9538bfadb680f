//! The notation of the numbers of an array: NumPy's rules, or a number of significant digits.

use crate::core::non_finite::numpy_name;

/// Largest number of decimals without `--digits`, as in NumPy.
const MAX_DECIMALS: usize = 8;

/// Number of digits of the numbers in text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digits {
    /// NumPy's: the shortest digits, at most eight decimals.
    #[default]
    Numpy,
    /// The shortest digits, at most this number of significant ones.
    Significant(usize),
}

impl Digits {
    /// Largest number of significant digits: that many distinguish all doubles.
    pub const MAX: usize = 17;

    /// Returns the value rounded to the digits; NumPy's are a matter of the notation.
    pub fn round(self, value: f64) -> f64 {
        match self {
            Digits::Significant(digits) if value.is_finite() => {
                format!("{value:.decimals$e}", decimals = digits.saturating_sub(1)).parse().unwrap_or(value)
            }
            _ => value,
        }
    }

    /// Returns the size from which numbers are written in scientific notation.
    fn first_scientific(self) -> f64 {
        match self {
            Digits::Significant(digits) if digits < MAX_DECIMALS => format!("1e{digits}").parse().unwrap_or(1e8),
            _ => 1e8,
        }
    }

    /// Returns the largest number of decimals in scientific notation.
    fn max_mantissa_decimals(self) -> usize {
        match self {
            Digits::Numpy => MAX_DECIMALS,
            Digits::Significant(digits) => digits.saturating_sub(1),
        }
    }
}

/// A formatted value.
pub(super) enum Cell {
    /// The digits before the decimal point, and the rest from the point on.
    Number(String, String),
    /// A word such as nan, aligned with the last digit.
    Word(String),
}

/// Widths of the cells of an array, so that the decimal points are aligned.
pub(super) struct CellWidths {
    /// Number of characters before the point.
    left: usize,
    /// Number of characters from the point on.
    right: usize,
}

impl CellWidths {
    pub(super) fn measure<'a>(cells: impl Iterator<Item = &'a Cell> + Clone) -> CellWidths {
        let right = |cell: &Cell| if let Cell::Number(_, right) = cell { right.len() } else { 0 };
        let right = cells.clone().map(right).max().unwrap_or(0);
        let left = |cell: &Cell| match cell {
            Cell::Number(left, _) => left.len(),
            Cell::Word(word) => word.len().saturating_sub(right),
        };
        CellWidths { left: cells.map(left).max().unwrap_or(0), right }
    }

    pub(super) fn pad(&self, cell: &Cell) -> String {
        match cell {
            Cell::Number(left, right) => {
                format!("{left:>before$}{right:<after$}", before = self.left, after = self.right)
            }
            Cell::Word(word) => format!("{word:>width$}", width = self.left + self.right),
        }
    }
}

/// Notation of the values of an array.
pub(super) enum Notation {
    /// Whole numbers, without a point.
    Integer,
    /// Decimals as each value needs them.
    Fixed(Digits),
    /// Scientific.
    Scientific {
        /// Number of decimals of every mantissa.
        decimals: usize,
        /// Number of digits of every exponent.
        exponent_digits: usize,
    },
}

impl Notation {
    /// Chooses the notation by NumPy's rules.
    pub(super) fn choose(values: impl Iterator<Item = f64> + Clone, digits: Digits) -> Notation {
        let finite = values.filter(|value| value.is_finite());
        let sizes = || finite.clone().filter(|value| *value != 0.0).map(f64::abs);
        let (largest, smallest) = (sizes().fold(0.0, f64::max), sizes().fold(f64::INFINITY, f64::min));
        let first_scientific = digits.first_scientific();
        if finite.clone().all(|value| value.fract() == 0.0) && largest < first_scientific {
            Notation::Integer
        } else if largest >= first_scientific || smallest < 1e-4 || largest / smallest > 1000.0 {
            let max_decimals = digits.max_mantissa_decimals();
            let parts = || finite.clone().map(|value| scientific_parts(value, max_decimals));
            let exponent_digits = parts().map(|(.., exponent)| exponent.trim_start_matches('-').len()).max();
            Notation::Scientific {
                decimals: parts().map(|(_, right, _)| right.len()).max().unwrap_or(0),
                exponent_digits: exponent_digits.unwrap_or(0).max(2),
            }
        } else {
            Notation::Fixed(digits)
        }
    }

    pub(super) fn format(&self, value: f64) -> Cell {
        if let Some(word) = numpy_name(value) {
            return Cell::Word(word.to_owned());
        }
        match self {
            Notation::Integer => Cell::Number(value.to_string(), String::new()),
            Notation::Fixed(digits) => {
                let (left, right) = match digits {
                    Digits::Numpy => format_decimals(value),
                    Digits::Significant(_) => split_at_point(&format!("{}", digits.round(value))),
                };
                Cell::Number(left, format!(".{right}"))
            }
            Notation::Scientific { decimals, exponent_digits } => {
                let (left, right, exponent) = split_scientific(&format!("{value:.decimals$e}"));
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', &*exponent), |digits| ('-', digits));
                Cell::Number(left, format!(".{right}e{sign}{exponent:0>exponent_digits$}"))
            }
        }
    }
}

/// Returns the shortest digits that distinguish the value, rounded to eight decimals.
fn format_decimals(value: f64) -> (String, String) {
    let (left, right) = split_at_point(&format!("{value}"));
    if right.len() <= MAX_DECIMALS {
        return (left, right);
    }
    let (left, right) = split_at_point(&format!("{value:.MAX_DECIMALS$}"));
    (left, right.trim_end_matches('0').to_owned())
}

/// Returns the digits before and after the point.
fn split_at_point(text: &str) -> (String, String) {
    let (left, right) = text.split_once('.').unwrap_or((text, ""));
    (left.to_owned(), right.to_owned())
}

/// Returns the shortest mantissa that distinguishes the value, rounded to that many decimals, before and after its point, and
/// the exponent.
fn scientific_parts(value: f64, max_decimals: usize) -> (String, String, String) {
    let shortest = split_scientific(&format!("{value:e}"));
    if shortest.1.len() <= max_decimals {
        return shortest;
    }
    let (left, right, exponent) = split_scientific(&format!("{value:.max_decimals$e}"));
    (left, right.trim_end_matches('0').to_owned(), exponent)
}

fn split_scientific(text: &str) -> (String, String, String) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (left, right) = split_at_point(mantissa);
    (left, right, exponent.to_owned())
}
