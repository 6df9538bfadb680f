//! Similarity of two arrays as a whole: cosine, correlation, and the places of the largest entries of their rows.

use super::arrays::max_abs;
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::{ArrayD, ArrayView1, Axis};

/// Cosine and correlation of two arrays of the same shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Σ a·b / √(Σ a² · Σ b²).
    pub cosine: Result<f64, Undefined>,
    /// Pearson correlation: the cosine of a and b without their means.
    pub correlation: Result<f64, Undefined>,
}

/// Reason why two arrays have no cosine or correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undefined {
    /// An entry is NaN or infinite.
    NotFinite,
    /// All entries of one array are 0.
    Zero,
    /// All entries of one array are equal.
    Constant,
}

impl Undefined {
    /// Returns the reason as a clause.
    pub fn reason(self) -> &'static str {
        match self {
            Undefined::NotFinite => "an entry is not finite",
            Undefined::Zero => "one side is 0",
            Undefined::Constant => "one side is constant",
        }
    }
}

/// Agreement of the places of the largest entry of each row along the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopAgreement {
    /// Number of rows without NaN.
    pub rows: usize,
    /// Number of rows that have a largest entry of a and one of b at the same place.
    pub agreeing: usize,
    /// Number of rows with several largest entries, in a or b.
    pub tied: usize,
    /// Number of rows with NaN, which have no largest entry.
    pub nan: usize,
}

/// Returns the similarity of two arrays of the same shape. Sums are taken in double-double arithmetic, in order.
pub(super) fn similarity(a: &ArrayD<f64>, b: &ArrayD<f64>) -> Similarity {
    let undefined = |reason| Similarity { cosine: Err(reason), correlation: Err(reason) };
    if a.iter().chain(b).any(|entry| !entry.is_finite()) {
        return undefined(Undefined::NotFinite);
    }
    let (largest_a, largest_b) = (max_abs(a), max_abs(b));
    if largest_a == 0.0 || largest_b == 0.0 {
        return undefined(Undefined::Zero);
    }
    let (scale_a, scale_b) = (Scale::to_one(largest_a), Scale::to_one(largest_b));
    let pairs = || a.iter().zip(b).map(|(&a, &b)| (scale_a.apply(a), scale_b.apply(b)));
    let is_constant = |array: &ArrayD<f64>| array.iter().all(|entry| array.first() == Some(entry));
    let correlation = if is_constant(a) || is_constant(b) {
        Err(Undefined::Constant)
    } else {
        #[allow(clippy::cast_precision_loss)] // a count of entries
        let count = DoubleDouble::from_f64(a.len() as f64);
        let zero = DoubleDouble::from_f64(0.0);
        let (sum_a, sum_b) = pairs().fold((zero, zero), |(sum_a, sum_b), (a, b)| (sum_a + a, sum_b + b));
        let (mean_a, mean_b) = (sum_a / count, sum_b / count);
        Ok(cosine(pairs().map(|(a, b)| (a - mean_a, b - mean_b))))
    };
    Similarity { cosine: Ok(cosine(pairs())), correlation }
}

/// Returns Σ a·b / √(Σ a² · Σ b²).
fn cosine(pairs: impl Iterator<Item = (DoubleDouble, DoubleDouble)>) -> f64 {
    let zero = DoubleDouble::from_f64(0.0);
    let (ab, aa, bb) = pairs.fold((zero, zero, zero), |(ab, aa, bb), (a, b)| (ab + a * b, aa + a * a, bb + b * b));
    let squared = aa * bb;
    // A Newton step doubles the digits of the root.
    let root = DoubleDouble::from_f64(squared.to_f64().sqrt());
    let root = (root + squared / root) * DoubleDouble::from_f64(0.5);
    (ab / root).to_f64().clamp(-1.0, 1.0)
}

/// A power of two, as two factors because it may exceed the range of a double.
struct Scale(f64, f64);

impl Scale {
    /// Returns the scale that makes a positive number about 1.
    fn to_one(largest: f64) -> Scale {
        let power = |exponent: i32| 2.0_f64.powi(exponent);
        #[allow(clippy::cast_possible_truncation)] // eleven bits
        let exponent = 1023 - (largest.to_bits() >> 52) as i32;
        Scale(power(exponent / 2), power(exponent - exponent / 2))
    }

    fn apply(&self, value: f64) -> DoubleDouble {
        DoubleDouble::from_f64(value * self.0 * self.1)
    }
}

/// Compares the places of the largest entries of rows; `None` for arrays that have no rows of two entries.
pub(super) fn top_agreement(a: &ArrayD<f64>, b: &ArrayD<f64>) -> Option<TopAgreement> {
    let last = a.ndim().checked_sub(1).filter(|last| *last > 0 && a.shape()[*last] > 1)?;
    let mut top = TopAgreement { rows: 0, agreeing: 0, tied: 0, nan: 0 };
    for (a, b) in a.lanes(Axis(last)).into_iter().zip(b.lanes(Axis(last))) {
        let Some((largest_a, largest_b)) = largest(a).zip(largest(b)) else {
            top.nan += 1;
            continue;
        };
        let (mut count_a, mut count_b, mut agrees) = (0, 0, false);
        for (&a, &b) in a.iter().zip(b) {
            count_a += usize::from(a == largest_a);
            count_b += usize::from(b == largest_b);
            agrees |= a == largest_a && b == largest_b;
        }
        top.rows += 1;
        top.agreeing += usize::from(agrees);
        top.tied += usize::from(count_a > 1 || count_b > 1);
    }
    Some(top)
}

/// Returns the largest entry of a row without NaN.
fn largest(row: ArrayView1<'_, f64>) -> Option<f64> {
    row.iter().try_fold(f64::NEG_INFINITY, |largest, &entry| (!entry.is_nan()).then_some(largest.max(entry)))
}
