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

use super::arrays::{axis_pairs, is_same, unravel_index};
use super::similarity::{Similarity, TopAgreement, similarity, top_agreement};
pub use super::ulp_distance::ulp_distance;
use crate::core::name::Name;
use crate::numeric::FloatType;
use ndarray::ArrayD;

/// The largest accepted difference of two entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Absolute tolerance.
    pub atol: f64,
    /// Tolerance relative to b.
    pub rtol: f64,
    /// Distance in units in the last place that is accepted in any case.
    pub ulp: Option<u64>,
    /// The type whose units in the last place are counted.
    pub float_type: FloatType,
}

impl Default for Tolerance {
    fn default() -> Tolerance {
        Tolerance::for_type(FloatType::F64)
    }
}

impl Tolerance {
    /// Returns the tolerance for values of a type, whose units in the last place are counted.
    pub fn for_type(float_type: FloatType) -> Tolerance {
        Tolerance { float_type, ..Tolerance::for_roundoff(float_type.unit_roundoff()) }
    }

    /// Returns the tolerance for values of a type with that unit roundoff: rtol 1e-10 and atol 1e-12 for doubles, 1e-5 and 1e-7
    /// for single precision, 1e-2 and 1e-4 for half precision, and two roundings for types of a byte.
    pub fn for_roundoff(unit_roundoff: f64) -> Tolerance {
        let (rtol, atol) = match unit_roundoff {
            r if r <= FloatType::F64.unit_roundoff() => (1e-10, 1e-12),
            r if r <= FloatType::F32.unit_roundoff() => (1e-5, 1e-7),
            r if r <= FloatType::Bf16.unit_roundoff() => (1e-2, 1e-4),
            r => (2.0 * r, 0.02 * r),
        };
        Tolerance { atol, rtol, ulp: None, float_type: FloatType::F64 }
    }

    /// Returns true if two entries agree. NaN agrees with NaN, and an infinite entry with its equal only.
    pub fn accepts(&self, a: f64, b: f64) -> bool {
        if !a.is_finite() || !b.is_finite() {
            return is_same(a, b);
        }
        let error = (a - b).abs();
        // A difference that exceeds the range of a double is compared at half its size.
        let is_within = if error.is_finite() {
            error <= self.allowed(b)
        } else {
            (a / 2.0 - b / 2.0).abs() <= self.atol / 2.0 + self.rtol * (b.abs() / 2.0)
        };
        is_within || self.ulp.zip(ulp_distance(a, b, self.float_type)).is_some_and(|(max, distance)| distance <= max)
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
        let in_ulps = self
            .ulp
            .zip(ulp_distance(a, b, self.float_type))
            .map_or(f64::INFINITY, |(max, ulps)| ulps as f64 / (max as f64));
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
    /// The axes of a that are exchanged in b, if the arrays differ otherwise.
    pub exchanged_axes: Option<[usize; 2]>,
    /// True if the shapes differ, and the entries agree in order.
    pub is_reshaped: bool,
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
    /// Largest distance in units in the last place; `None` if one entry of a pair is not finite.
    pub ulps: Option<u64>,
    /// The smallest rtol that accepts every entry with an atol of 0; infinite if there is none.
    pub smallest_rtol: f64,
    /// The smallest atol that accepts every entry with an rtol of 0; infinite if there is none.
    pub smallest_atol: f64,
    /// Cosine and correlation; `None` for empty arrays.
    pub similarity: Option<Similarity>,
    /// Places of the largest entry of each row; `None` if there are no rows of two entries.
    pub top: Option<TopAgreement>,
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
    /// Distance in units in the last place; `None` if only one value is finite.
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
    let accepts = |(&a, &b): (&f64, &f64)| tolerance.accepts(a, b);
    let is_exchanged = |[first, second]: &[usize; 2]| {
        let mut exchanged = a.view();
        exchanged.swap_axes(*first, *second);
        exchanged.shape() == b.shape() && exchanged.iter().zip(b).all(accepts)
    };
    let is_reshaped = entries.is_none() && a.len() == b.len() && a.iter().zip(b).all(accepts);
    ArrayComparison {
        a: a.shape().to_vec(),
        b: b.shape().to_vec(),
        tolerance,
        entries,
        exchanged_axes: if agree { None } else { axis_pairs(a.ndim()).find(is_exchanged) },
        is_reshaped,
    }
}

/// Returns the smallest rtol with which two entries agree; infinite if there is none.
fn smallest_rtol(a: f64, b: f64) -> f64 {
    if is_same(a, b) || !a.is_finite() || !b.is_finite() {
        return if is_same(a, b) { 0.0 } else { f64::INFINITY };
    }
    let error = (a - b).abs();
    let mut rtol = if error.is_finite() { error / b.abs() } else { (a / 2.0 - b / 2.0).abs() / (b.abs() / 2.0) };
    // The quotient is rounded, perhaps down.
    while rtol.is_finite() && !(Tolerance { atol: 0.0, rtol, ..Tolerance::default() }).accepts(a, b) {
        rtol = rtol.next_up();
    }
    rtol
}

fn compare_entries(a_array: &ArrayD<f64>, b_array: &ArrayD<f64>, tolerance: &Tolerance) -> EntryStatistics {
    let (shape, count) = (a_array.shape(), a_array.len());
    let mut errors: Vec<f64> = Vec::with_capacity(count);
    let mut statistics = EntryStatistics { count, ulps: Some(0), ..EntryStatistics::default() };
    let mut worst_rank = (false, -1.0);
    for (n, (&a, &b)) in a_array.iter().zip(b_array).enumerate() {
        let (is_outside, error, ulps) =
            (!tolerance.accepts(a, b), absolute_error(a, b), ulp_distance(a, b, tolerance.float_type));
        statistics.outside += usize::from(is_outside);
        statistics.nan += usize::from(a.is_nan() && b.is_nan());
        statistics.ulps = statistics.ulps.zip(ulps).map(|(largest, ulps)| largest.max(ulps));
        statistics.smallest_rtol = statistics.smallest_rtol.max(smallest_rtol(a, b));
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
    statistics.smallest_atol = statistics.quantiles[3];
    statistics.similarity = (count > 0).then(|| similarity(a_array, b_array));
    statistics.top = top_agreement(a_array, b_array);
    statistics
}

/// The comparison of two documents, name by name.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentComparison {
    /// The arrays in both documents; without a name if each document is a single array.
    pub pairs: Vec<(Option<Name>, ArrayPair)>,
    /// Names that only a has.
    pub only_a: Vec<Name>,
    /// Names that only b has.
    pub only_b: Vec<Name>,
}

/// Two arrays that are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayPair {
    /// The types that stored a and b.
    pub types: [FloatType; 2],
    /// Their comparison.
    pub comparison: ArrayComparison,
}

impl DocumentComparison {
    /// Returns true if both documents have the same names, and all entries agree.
    pub fn agrees(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.pairs.iter().all(|(_, pair)| pair.comparison.agrees())
    }

    /// Returns the pairs, those that differ first.
    pub fn ordered_pairs(&self) -> Vec<&(Option<Name>, ArrayPair)> {
        let (differing, agreeing): (Vec<_>, Vec<_>) =
            self.pairs.iter().partition(|(_, pair)| !pair.comparison.agrees());
        [differing, agreeing].concat()
    }
}
