//! Two results, entry by entry: |a − b| ≤ atol + rtol·|b|.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::check::compare::{Tolerance, compare};
//!
//! let (a, b) = (array![1.0, 2.0, 3.0].into_dyn(), array![1.0, 2.5, 3.0].into_dyn());
//! let found = compare(&a, &b, Tolerance::default());
//! assert_eq!(found.entries.unwrap().outside, 1);
//! ```

use crate::core::name::Name;
use ndarray::{ArrayD, ArrayViewD, Dimension};

/// How far entries may lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Absolute.
    pub atol: f64,
    /// Relative to b.
    pub rtol: f64,
    /// Or else so many doubles apart.
    pub ulp: Option<u64>,
}

impl Default for Tolerance {
    fn default() -> Tolerance {
        Tolerance::stored(f64::EPSILON / 2.0)
    }
}

impl Tolerance {
    /// For values whose type rounds by so much at 1: doubles 1e-10 and 1e-12, single precision 1e-5 and 1e-7, half
    /// precision 1e-2 and 1e-4.
    pub fn stored(rounding: f64) -> Tolerance {
        let (rtol, atol) = match rounding {
            r if r <= f64::EPSILON / 2.0 => (1e-10, 1e-12),
            r if r <= f64::from(f32::EPSILON) / 2.0 => (1e-5, 1e-7),
            _ => (1e-2, 1e-4),
        };
        Tolerance { atol, rtol, ulp: None }
    }

    /// Whether two entries agree. NaN agrees with NaN, and what is infinite with its like only.
    pub fn holds(&self, a: f64, b: f64) -> bool {
        if !a.is_finite() || !b.is_finite() {
            return a == b || (a.is_nan() && b.is_nan());
        }
        (a - b).abs() <= self.allowed(b) || self.ulp.zip(ulps(a, b)).is_some_and(|(most, apart)| apart <= most)
    }

    fn allowed(&self, b: f64) -> f64 {
        self.atol + self.rtol * b.abs()
    }

    /// How many times too far, for finding the worst.
    fn excess(&self, a: f64, b: f64) -> f64 {
        let error = distance(a, b);
        let by = |allowed: f64| if error == 0.0 { 0.0 } else { error / allowed };
        #[allow(clippy::cast_precision_loss)] // only the order counts
        let by_ulps = self.ulp.zip(ulps(a, b)).map_or(f64::INFINITY, |(most, apart)| apart as f64 / (most as f64));
        let excess = by(self.allowed(b)).min(by_ulps);
        // An infinite entry allows an infinite error by the formula.
        if excess.is_nan() { f64::INFINITY } else { excess }
    }
}

/// |a − b|; 0 for what agrees without being a number, infinite where only one is one.
fn distance(a: f64, b: f64) -> f64 {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) if a == b => 0.0,
        (false, false) => (a - b).abs(),
        _ => f64::INFINITY,
    }
}

/// How many doubles lie between two; nothing where only one is finite. −0 and 0 are the same.
pub fn ulps(a: f64, b: f64) -> Option<u64> {
    let place = |v: f64| {
        let size = i128::from(v.to_bits() & (u64::MAX >> 1));
        if v.is_sign_negative() { -size } else { size }
    };
    if !a.is_finite() || !b.is_finite() {
        return (a == b || (a.is_nan() && b.is_nan())).then_some(0);
    }
    u64::try_from((place(a) - place(b)).abs()).ok()
}

/// What two arrays have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The shape of a.
    pub a: Vec<usize>,
    /// The shape of b.
    pub b: Vec<usize>,
    /// What was allowed.
    pub within: Tolerance,
    /// How the entries lie; nothing where the shapes differ.
    pub entries: Option<Entries>,
    /// Whether a's transpose agrees with b, where the shapes or entries don't.
    pub transposed: bool,
}

/// How the entries of two arrays of one shape lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries {
    /// How many there are.
    pub count: usize,
    /// How many lie too far apart.
    pub outside: usize,
    /// How many are NaN in both.
    pub nan: usize,
    /// The worst of them; nothing where there is none.
    pub worst: Option<Worst>,
    /// The mean of |a − b|.
    pub mean: f64,
    /// The quantiles of |a − b| at 50, 90, 99 and 100 %.
    pub quantiles: [f64; 4],
    /// The largest distance in doubles; nothing where one of a pair is no finite number.
    pub ulps: Option<u64>,
}

/// An entry with both values.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Where.
    pub index: Vec<usize>,
    /// In a.
    pub a: f64,
    /// In b.
    pub b: f64,
    /// |a − b|.
    pub error: f64,
    /// How many doubles apart, where both are numbers.
    pub ulps: Option<u64>,
}

impl Comparison {
    /// Whether all entries agree.
    pub fn agrees(&self) -> bool {
        self.entries.as_ref().is_some_and(|entries| entries.outside == 0)
    }
}

/// Compares two arrays.
pub fn compare(a: &ArrayD<f64>, b: &ArrayD<f64>, within: Tolerance) -> Comparison {
    let entries = (a.shape() == b.shape()).then(|| entries(a, b, &within));
    let agree = entries.as_ref().is_some_and(|entries| entries.outside == 0);
    let transposed = !agree && a.ndim() == 2 && {
        let turned = a.view().reversed_axes();
        turned.shape() == b.shape() && all_hold(&turned, b, &within)
    };
    Comparison { a: a.shape().to_vec(), b: b.shape().to_vec(), within, entries, transposed }
}

fn all_hold(a: &ArrayViewD<'_, f64>, b: &ArrayD<f64>, within: &Tolerance) -> bool {
    a.iter().zip(b).all(|(&a, &b)| within.holds(a, b))
}

fn entries(a: &ArrayD<f64>, b: &ArrayD<f64>, within: &Tolerance) -> Entries {
    let mut errors: Vec<f64> = Vec::with_capacity(a.len());
    let mut found =
        Entries { count: a.len(), outside: 0, nan: 0, worst: None, mean: 0.0, quantiles: [0.0; 4], ulps: Some(0) };
    let mut worst_rank = (false, -1.0);
    for ((index, &a), &b) in a.indexed_iter().zip(b) {
        let (outside, error) = (!within.holds(a, b), distance(a, b));
        found.outside += usize::from(outside);
        found.nan += usize::from(a.is_nan() && b.is_nan());
        found.ulps = found.ulps.zip(ulps(a, b)).map(|(most, apart)| most.max(apart));
        errors.push(error);
        let rank = (outside, within.excess(a, b));
        if rank.partial_cmp(&worst_rank).is_some_and(std::cmp::Ordering::is_gt) {
            worst_rank = rank;
            found.worst = Some(Worst { index: index.slice().to_vec(), a, b, error, ulps: ulps(a, b) });
        }
    }
    errors.sort_unstable_by(f64::total_cmp);
    #[allow(clippy::cast_precision_loss)] // a count of entries
    let count = errors.len().max(1) as f64;
    found.mean = errors.iter().map(|error| error / count).sum();
    found.quantiles = [50, 90, 99, 100].map(|percent| {
        let rank = (errors.len() * percent).div_ceil(100);
        errors.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    });
    found
}

/// Two documents, compared name by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The arrays that both have; without a name where each is a single array.
    pub pairs: Vec<(Option<Name>, Comparison)>,
    /// What only a has.
    pub only_a: Vec<Name>,
    /// What only b has.
    pub only_b: Vec<Name>,
}

impl Compared {
    /// Whether both have the same names, and all entries agree.
    pub fn agrees(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.pairs.iter().all(|(_, pair)| pair.agrees())
    }
}
