//! Compares results with expected values. A value rounded to the digits it is written with is right, blanks are skipped.

use super::arrays::{max_abs, unravel_index};
use super::compare::Tolerance;
use super::diagnosis::Diagnosis;
use crate::core::error::format_shape;
use crate::core::name::Name;
use crate::format::decimal::{Decimal, DecimalArray};
use ndarray::ArrayD;

/// Number of significant digits from which an array counts as written by a program. Its shorter numbers are then exact.
const PROGRAM_DIGITS: u8 = 8;

/// A result graded against its expected values.
#[derive(Clone, Debug, PartialEq)]
pub struct GradedResult {
    /// Name of the result.
    pub name: Name,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Number of right entries.
    pub right: usize,
    /// Number of blank entries.
    pub blank: usize,
    /// Number of wrong entries.
    pub wrong: usize,
    /// The wrong entries with the largest errors, the largest first.
    pub worst: Vec<WrongEntry>,
    /// The difference in shape, if there is one.
    pub mismatch: Option<ShapeMismatch>,
    /// Known mistakes that explain the wrong entries.
    pub diagnoses: Vec<Diagnosis>,
}

/// A wrong entry.
#[derive(Clone, Debug, PartialEq)]
pub struct WrongEntry {
    /// Its index.
    pub index: Vec<usize>,
    /// The expected value.
    pub yours: f64,
    /// The computed value.
    pub ours: f64,
    /// |yours − ours|.
    pub error: f64,
}

/// A difference between the shapes of the expected values and the result.
#[derive(Clone, Debug, PartialEq)]
pub enum ShapeMismatch {
    /// The expected values have this other shape.
    Shape(Vec<usize>),
    /// The expected values have this shape, and are the result transposed. Square ones have the result's shape.
    Transposed(Vec<usize>),
}

impl GradedResult {
    /// Returns true if nothing is wrong.
    pub fn passes(&self) -> bool {
        self.wrong == 0 && self.mismatch.is_none()
    }

    /// Returns true if the report does not say yet what is wrong.
    pub fn needs_diagnosis(&self) -> bool {
        !self.passes() && !matches!(self.mismatch, Some(ShapeMismatch::Transposed(_)))
    }

    /// Returns true if every entry is blank.
    pub fn is_blank(&self) -> bool {
        self.passes() && self.right == 0 && self.blank > 0
    }
}

impl ShapeMismatch {
    /// Returns a clause for the report, given the result's shape.
    pub fn describe(&self, ours: &[usize]) -> String {
        match self {
            ShapeMismatch::Shape(yours) => {
                format!("your shape is {}, ours is {}", format_shape(yours), format_shape(ours))
            }
            ShapeMismatch::Transposed(yours) if yours == ours => "yours is the correct result transposed".to_owned(),
            ShapeMismatch::Transposed(yours) => {
                let (yours, ours) = (format_shape(yours), format_shape(ours));
                format!("your shape is {yours}, ours is {ours}: yours is the correct result transposed")
            }
        }
    }
}

/// Grades expected values. `unit_roundoff` is that of the arithmetic that computed the result; the `max_worst` worst
/// entries are kept.
pub fn grade(
    name: &Name,
    expected: &DecimalArray,
    ours: &ArrayD<f64>,
    unit_roundoff: f64,
    max_worst: usize,
) -> GradedResult {
    let mut graded = GradedResult {
        name: name.clone(),
        shape: ours.shape().to_vec(),
        right: 0,
        blank: expected.len() - expected.decimals().count(),
        wrong: 0,
        worst: Vec::new(),
        mismatch: None,
        diagnoses: Vec::new(),
    };
    if graded.blank == expected.len() && !expected.is_empty() {
        return graded;
    }
    let tolerance = EntryTolerance::new(expected, ours, unit_roundoff);
    let is_transposed = || {
        let fits = expected.shape.iter().rev().eq(ours.shape());
        fits && expected.transposed().is_some_and(|elements| tolerance.wrong_entries(elements, ours).next().is_none())
    };
    let yours = expected.shape.clone();
    if yours != ours.shape() {
        let is_transposed = is_transposed();
        graded.mismatch =
            Some(if is_transposed { ShapeMismatch::Transposed(yours) } else { ShapeMismatch::Shape(yours) });
        return graded;
    }
    (graded.wrong, graded.worst) = select_worst(tolerance.wrong_entries(expected.elements(), ours), max_worst);
    graded.right = expected.len() - graded.blank - graded.wrong;
    if graded.wrong > 0 && is_transposed() {
        graded.mismatch = Some(ShapeMismatch::Transposed(yours));
    }
    graded
}

/// The largest accepted error of an expected value.
struct EntryTolerance {
    relative: Tolerance,
    /// Half a unit of the finest digit; only for an array that a program wrote.
    finest: Option<f64>,
}

impl EntryTolerance {
    fn new(expected: &DecimalArray, ours: &ArrayD<f64>, unit_roundoff: f64) -> EntryTolerance {
        let relative = Tolerance::for_roundoff(expected.rounding.max(unit_roundoff));
        let is_by_program = expected.decimals().any(|decimal| decimal.significant >= PROGRAM_DIGITS);
        let units = expected.decimals().map(|decimal| decimal.half_unit()).filter(|unit| *unit > 0.0);
        let finest = units.fold(f64::INFINITY, f64::min);
        let finest = is_by_program.then_some(if finest.is_finite() { finest } else { 0.0 });
        EntryTolerance { relative: Tolerance { atol: relative.atol * max_abs(ours), ..relative }, finest }
    }

    fn accepts(&self, decimal: &Decimal, ours: f64) -> bool {
        let half_unit = match self.finest {
            Some(finest) if decimal.significant < PROGRAM_DIGITS => finest,
            _ => decimal.half_unit(),
        };
        Tolerance { atol: self.relative.atol + half_unit, ..self.relative }.accepts(decimal.value, ours)
    }

    /// Returns the wrong entries, in order.
    fn wrong_entries(
        &self,
        elements: impl Iterator<Item = Option<Decimal>>,
        ours: &ArrayD<f64>,
    ) -> impl Iterator<Item = WrongEntry> {
        let shape = ours.shape();
        ours.iter().zip(elements).enumerate().filter_map(move |(n, (&ours, element))| {
            let decimal = element.filter(|decimal| !self.accepts(decimal, ours))?;
            let (yours, error) = (decimal.value, (decimal.value - ours).abs());
            Some(WrongEntry { index: unravel_index(n, shape), yours, ours, error })
        })
    }
}

/// Returns the number of wrong entries, and the `max` worst of them. The buffer is cut whenever it holds twice as many, so
/// that a large array that is wrong everywhere needs no more memory than one that is right.
fn select_worst(wrong: impl Iterator<Item = WrongEntry>, max: usize) -> (usize, Vec<WrongEntry>) {
    // NaN is the worst.
    let size = |wrong: &WrongEntry| if wrong.error.is_nan() { f64::INFINITY } else { wrong.error };
    let cut = |worst: &mut Vec<WrongEntry>| {
        // Stable: of two equally wrong entries the first in order.
        worst.sort_by(|a, b| size(b).total_cmp(&size(a)));
        worst.truncate(max);
    };
    let (mut count, mut worst, mut least) = (0, Vec::new(), -1.0);
    for entry in wrong {
        count += 1;
        if size(&entry) > least {
            worst.push(entry);
        }
        if worst.len() >= max.saturating_mul(2) {
            cut(&mut worst);
            least = worst.last().map_or(f64::INFINITY, size);
        }
    }
    cut(&mut worst);
    (count, worst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_worst_entries_are_the_first_of_all_sorted_by_error(
            errors in prop::collection::vec(prop::sample::select(vec![1.0, 2.0, 3.0, f64::INFINITY, f64::NAN]), 0..60),
            max in 0usize..8,
        ) {
            let entry = |(n, &error): (usize, &f64)| WrongEntry { index: vec![n], yours: 0.0, ours: 0.0, error };
            let select = |max: usize| select_worst(errors.iter().enumerate().map(entry), max);
            let (few, all) = (select(max), select(usize::MAX));
            let indices = |wrong: &[WrongEntry]| wrong.iter().map(|wrong| wrong.index[0]).collect::<Vec<_>>();
            prop_assert_eq!((few.0, all.0, all.1.len()), (errors.len(), errors.len(), errors.len()));
            prop_assert_eq!(indices(&few.1), &indices(&all.1)[..max.min(errors.len())]);
        }
    }
}
