//! Compares two arrays entry by entry: |a − b| ≤ atol + rtol·|b|.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::check::compare::{Tolerance, compare};
//!
//! let (a, b) = (array![1.0, 2.0, 3.0].into_dyn(), array![1.0, 2.5, 3.0].into_dyn());
//! let comparison = compare(&a, &b, Tolerance::default());
//! assert_eq!(comparison.entries.unwrap().outside, 1);
//! ```

use super::arrays::{is_same, unravel_index};
use crate::core::name::Name;
use ndarray::{ArrayD, ArrayViewD};

/// The largest accepted difference of two entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Absolute tolerance.
    pub atol: f64,
    /// Tolerance relative to b.
    pub rtol: f64,
    /// Distance in doubles (units in the last place) that is accepted in any case.
    pub ulp: Option<u64>,
}

impl Default for Tolerance {
    fn default() -> Tolerance {
        Tolerance::for_roundoff(f64::EPSILON / 2.0)
    }
}

impl Tolerance {
    /// Returns the tolerance for values of a type with that unit roundoff: 1e-10 and 1e-12 for doubles, 1e-5 and 1e-7 for
    /// single precision, 1e-2 and 1e-4 for half precision.
    pub fn for_roundoff(unit_roundoff: f64) -> Tolerance {
        let (rtol, atol) = match unit_roundoff {
            r if r <= f64::EPSILON / 2.0 => (1e-10, 1e-12),
            r if r <= f64::from(f32::EPSILON) / 2.0 => (1e-5, 1e-7),
            _ => (1e-2, 1e-4),
        };
        Tolerance { atol, rtol, ulp: None }
    }

    /// Returns true if two entries agree. NaN agrees with NaN, and an infinite entry with its equal only.
    pub fn accepts(&self, a: f64, b: f64) -> bool {
        if !a.is_finite() || !b.is_finite() {
            return is_same(a, b);
        }
        let is_near = self.ulp.zip(ulp_distance(a, b)).is_some_and(|(max, distance)| distance <= max);
        (a - b).abs() <= self.allowed(b) || is_near
    }

    /// Returns the largest accepted error of a value whose right value is b.
    pub(super) fn allowed(&self, b: f64) -> f64 {
        self.atol + self.rtol * b.abs()
    }

    /// Returns the error of an entry relative to its tolerance, by which the worst entry is found.
    fn excess(&self, a: f64, b: f64) -> f64 {
        let error = absolute_error(a, b);
        let relative = if error == 0.0 { 0.0 } else { error / self.allowed(b) };
        #[allow(clippy::cast_precision_loss)] // only the order matters
        let in_ulps = self.ulp.zip(ulp_distance(a, b)).map_or(f64::INFINITY, |(max, ulps)| ulps as f64 / (max as f64));
        let excess = relative.min(in_ulps);
        // An infinite entry allows an infinite error by the formula.
        if excess.is_nan() { f64::INFINITY } else { excess }
    }
}

/// Returns |a − b|: 0 for equal infinities and two NaN, infinite if one is NaN.
fn absolute_error(a: f64, b: f64) -> f64 {
    match (a.is_nan(), b.is_nan()) {
        _ if is_same(a, b) => 0.0,
        (false, false) => (a - b).abs(),
        _ => f64::INFINITY,
    }
}

/// Returns the distance of two values in doubles; `None` if only one is finite. −0 and 0 are the same double.
pub fn ulp_distance(a: f64, b: f64) -> Option<u64> {
    let rank = |v: f64| {
        let magnitude = i128::from(v.to_bits() & (u64::MAX >> 1));
        if v.is_sign_negative() { -magnitude } else { magnitude }
    };
    if !a.is_finite() || !b.is_finite() {
        return is_same(a, b).then_some(0);
    }
    u64::try_from((rank(a) - rank(b)).abs()).ok()
}

/// The comparison of two arrays.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayComparison {
    /// The shape of a.
    pub a: Vec<usize>,
    /// The shape of b.
    pub b: Vec<usize>,
    /// The tolerance.
    pub tolerance: Tolerance,
    /// The comparison of the entries; `None` if the shapes differ.
    pub entries: Option<EntryStatistics>,
    /// True if the arrays differ, and a's transpose agrees with b.
    pub is_transposed: bool,
}

/// Statistics of the differences between the entries of two arrays of the same shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntryStatistics {
    /// Number of entries.
    pub count: usize,
    /// Number of entries outside the tolerance.
    pub outside: usize,
    /// Number of entries that are NaN in both arrays.
    pub nan: usize,
    /// The entry with the largest error relative to its tolerance; `None` for empty arrays.
    pub worst: Option<WorstEntry>,
    /// Mean of |a − b|.
    pub mean: f64,
    /// Quantiles of |a − b| at 50, 90, 99 and 100 %.
    pub quantiles: [f64; 4],
    /// Largest distance in doubles; `None` if one entry of a pair is not finite.
    pub ulps: Option<u64>,
}

/// An entry with its values in both arrays.
#[derive(Clone, Debug, PartialEq)]
pub struct WorstEntry {
    /// Its index.
    pub index: Vec<usize>,
    /// Its value in a.
    pub a: f64,
    /// Its value in b.
    pub b: f64,
    /// |a − b|.
    pub error: f64,
    /// Distance in doubles; `None` if only one value is finite.
    pub ulps: Option<u64>,
}

impl ArrayComparison {
    /// Returns true if all entries agree.
    pub fn agrees(&self) -> bool {
        self.entries.as_ref().is_some_and(|entries| entries.outside == 0)
    }
}

/// Compares two arrays.
pub fn compare(a: &ArrayD<f64>, b: &ArrayD<f64>, tolerance: Tolerance) -> ArrayComparison {
    let entries = (a.shape() == b.shape()).then(|| compare_entries(a, b, &tolerance));
    let agree = entries.as_ref().is_some_and(|entries| entries.outside == 0);
    let transposed: ArrayViewD<'_, f64> = a.view().reversed_axes();
    let is_transposed = !agree
        && a.ndim() == 2
        && transposed.shape() == b.shape()
        && transposed.iter().zip(b).all(|(&a, &b)| tolerance.accepts(a, b));
    ArrayComparison { a: a.shape().to_vec(), b: b.shape().to_vec(), tolerance, entries, is_transposed }
}

fn compare_entries(a: &ArrayD<f64>, b: &ArrayD<f64>, tolerance: &Tolerance) -> EntryStatistics {
    let mut errors: Vec<f64> = Vec::with_capacity(a.len());
    let (shape, count) = (a.shape(), a.len());
    let mut statistics = EntryStatistics { count, ulps: Some(0), ..EntryStatistics::default() };
    let mut worst_rank = (false, -1.0);
    for (n, (&a, &b)) in a.iter().zip(b).enumerate() {
        let (is_outside, error, ulps) = (!tolerance.accepts(a, b), absolute_error(a, b), ulp_distance(a, b));
        statistics.outside += usize::from(is_outside);
        statistics.nan += usize::from(a.is_nan() && b.is_nan());
        statistics.ulps = statistics.ulps.zip(ulps).map(|(largest, ulps)| largest.max(ulps));
        errors.push(error);
        let rank = (is_outside, tolerance.excess(a, b));
        if rank.partial_cmp(&worst_rank).is_some_and(std::cmp::Ordering::is_gt) {
            worst_rank = rank;
            statistics.worst = Some(WorstEntry { index: unravel_index(n, shape), a, b, error, ulps });
        }
    }
    errors.sort_unstable_by(f64::total_cmp);
    #[allow(clippy::cast_precision_loss)] // a count of entries
    let divisor = errors.len().max(1) as f64;
    statistics.mean = errors.iter().map(|error| error / divisor).sum();
    statistics.quantiles = [50, 90, 99, 100].map(|percent| {
        let rank = (errors.len() * percent).div_ceil(100);
        errors.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    });
    statistics
}

/// The comparison of two documents, name by name.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentComparison {
    /// The arrays in both documents; without a name if each document is a single array.
    pub pairs: Vec<(Option<Name>, ArrayComparison)>,
    /// Names that only a has.
    pub only_a: Vec<Name>,
    /// Names that only b has.
    pub only_b: Vec<Name>,
}

impl DocumentComparison {
    /// Returns true if both documents have the same names, and all entries agree.
    pub fn agrees(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.pairs.iter().all(|(_, pair)| pair.agrees())
    }
}
