//! Normalisation of rows: the entries of a row share a mean and a variance, and each is scaled by gamma and shifted by beta. The
//! bodies here are the definitions.

use crate::numeric::Scalar;
use std::borrow::Cow;

pub(super) mod float64;
pub(super) mod parameters;

/// The parameters of a row's normalisation.
#[derive(Clone, Copy, Debug)]
pub struct RowNorm<'a, S> {
    /// True if the mean is subtracted; false for the root mean square.
    pub is_centred: bool,
    /// Mean and variance, if they are not those of the row.
    pub given: Option<[S; 2]>,
    /// The number that is added to the variance.
    pub eps: S,
    /// The factor of each entry, if it is not 1.
    pub gamma: Option<&'a [S]>,
    /// The number that is added to each entry, if it is not 0.
    pub beta: Option<&'a [S]>,
}

/// The numbers that the entries of a row share.
struct Statistics<S> {
    /// The number that is subtracted, if any.
    mean: Option<S>,
    /// The root of the variance or mean square, with eps.
    std: S,
}

/// Returns Σ terms / n.
fn mean<S: Scalar>(terms: impl ExactSizeIterator<Item = S>) -> S {
    let count = count(terms.len());
    S::sum(terms) / count
}

#[allow(clippy::cast_precision_loss)] // fewer than 2⁵³ numbers fit in memory
fn count<S: Scalar>(count: usize) -> S {
    S::from_f64(count as f64)
}

impl<S: Scalar> RowNorm<'_, S> {
    /// Returns the same norm without gamma and beta.
    pub fn without_parameters(self) -> RowNorm<'static, S> {
        RowNorm { is_centred: self.is_centred, given: self.given, eps: self.eps, gamma: None, beta: None }
    }

    fn statistics(&self, x: &[S]) -> Statistics<S> {
        let (mean, variance) = match self.given {
            Some([mean, variance]) => (Some(mean), variance),
            None if self.is_centred => {
                let [mean, squares] = moments(x);
                (Some(mean), (squares / count(x.len())).named("var", "Σ (x − mean)² / n"))
            }
            None => (None, self::mean(x.iter().map(|&x| x * x)).named("ms", "Σ x² / n")),
        };
        let root = (variance + self.eps).sqrt();
        let std =
            if self.is_centred { root.named("std", "√(var + eps)") } else { root.named("rms", "√(ms + eps)") };
        Statistics { mean, std }
    }
}

impl<S: Scalar> Statistics<S> {
    /// Returns (x − mean)/std.
    fn standardize(&self, x: S) -> S {
        let name = if self.mean.is_some() { "(x − mean) / std" } else { "x / rms" };
        let deviation = self.mean.map_or(x, |mean| x - mean);
        (deviation / self.std).named("xhat", name)
    }
}

/// Returns the mean of a row, and Σ (x − mean)².
pub(super) fn moments<S: Scalar>(x: &[S]) -> [S; 2] {
    let mean = mean(x.iter().copied()).named("mean", "Σ x / n");
    let square = |&x: &S| {
        let deviation = x - mean;
        deviation * deviation
    };
    [mean, S::sum(x.iter().map(square))]
}

/// Computes y = (x − mean)/√(var + eps)·gamma + beta of a row.
pub(super) fn normalize<S: Scalar>(norm: &RowNorm<'_, S>, x: &[S], y: &mut [S]) {
    let statistics = norm.statistics(x);
    for (k, (y, &x)) in y.iter_mut().zip(x).enumerate() {
        let mut normal = statistics.standardize(x);
        if norm.gamma.is_some() || norm.beta.is_some() {
            normal = if norm.is_centred {
                normal.named("xhat", "(x − mean) / std")
            } else {
                normal.named("xhat", "x / rms")
            };
        }
        let scaled = norm.gamma.map_or(normal, |gamma| normal * gamma[k]);
        *y = norm.beta.map_or(scaled, |beta| scaled + beta[k]);
    }
}

/// Computes dx = (g − mean g − xhat·mean(g∘xhat))/std of a row, g = dout∘gamma; without mean g where no mean is subtracted, and
/// g/std where mean and variance are given.
pub(super) fn gradient<S: Scalar>(norm: &RowNorm<'_, S>, x: &[S], dout: &[S], dx: &mut [S]) {
    let statistics = norm.statistics(x);
    let g = |k: usize| norm.gamma.map_or(dout[k], |gamma| (dout[k] * gamma[k]).named("g", "dout·gamma"));
    let g: Vec<S> = (0..x.len()).map(g).collect();
    if norm.given.is_some() {
        dx.iter_mut().zip(g).for_each(|(dx, g)| *dx = g / statistics.std);
        return;
    }
    let g_mean = norm.is_centred.then(|| mean(g.iter().copied()).named("gmean", "Σ g / n"));
    let centred = |g: S| g_mean.map_or(g, |mean| g - mean);
    let normal: Vec<S> = x.iter().map(|&x| statistics.standardize(x)).collect();
    let products = |centred: &dyn Fn(S) -> S| mean(g.iter().zip(&normal).map(|(&g, &normal)| centred(g) * normal));
    // As Σ xhat = 0, the mean of g changes nothing, and without it, a g that is the same everywhere leaves exactly 0.
    let dot = S::stable_or_textbook(|| products(&centred), || products(&|g| g)).named("gdot", "Σ g·xhat / n");
    for ((dx, &g), &normal) in dx.iter_mut().zip(&g).zip(&normal) {
        *dx = (centred(g) - normal * dot) / statistics.std;
    }
}

/// Rows whose entries belong to parameters: entry k of row m to parameter (m mod `period`)·(width/segment) + k/segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterLayout {
    /// Number of rows.
    pub rows: usize,
    /// Number of entries of a row.
    pub width: usize,
    /// Number of neighbouring entries that share a parameter.
    pub segment: usize,
    /// Number of rows after which the parameters repeat.
    pub period: usize,
}

impl ParameterLayout {
    /// Returns the number of parameters of a row.
    pub fn row_parameters(&self) -> usize {
        self.width.checked_div(self.segment).unwrap_or(0)
    }

    /// Returns the number of parameters.
    pub fn parameters(&self) -> usize {
        self.period * self.row_parameters()
    }

    /// Returns the first parameter of a row.
    pub fn first(&self, row: usize) -> usize {
        row % self.period * self.row_parameters()
    }
}

/// A function that returns a row, given its number.
pub type RowOf<'a, S> = dyn Fn(usize) -> Cow<'a, [S]> + Sync + 'a;
/// A function that computes a row, given its number.
pub type ComputeRow<'a, S> = dyn Fn(usize, &mut [S]) + Sync + 'a;

/// Returns for each parameter Σ a∘b over its entries; `b` computes a row, and is 1 if there is none.
pub(super) fn parameter_sums<S: Scalar>(
    layout: &ParameterLayout,
    a: &RowOf<'_, S>,
    b: Option<&ComputeRow<'_, S>>,
) -> Vec<S> {
    let a: Vec<S> = (0..layout.rows).flat_map(|row| a(row).into_owned()).collect();
    let mut factors = vec![S::zero(); if b.is_some() { a.len() } else { 0 }];
    if let Some(b) = b {
        factors.chunks_mut(layout.width.max(1)).enumerate().for_each(|(row, factors)| b(row, factors));
    }
    let term = |at: usize| factors.get(at).map_or(a[at], |&b| a[at] * b);
    let sum = |parameter: usize| {
        let (first, of_row) = (parameter / layout.row_parameters(), parameter % layout.row_parameters());
        let segment = |row: usize| {
            let begin = row * layout.width + of_row * layout.segment;
            begin..begin + layout.segment
        };
        S::sum((first..layout.rows).step_by(layout.period).flat_map(segment).map(term))
    };
    (0..layout.parameters()).map(sum).collect()
}
