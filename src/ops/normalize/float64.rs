//! Normalisation of rows of doubles: means, variances and entries as sums of two doubles, rounded once. Rows of extreme size, whose
//! squares would overflow or lose digits, are computed exactly.

use super::RowNorm;
use crate::numeric::dynamic::{Dynamic, Kind, with_exact, with_kind};
use crate::numeric::{DoubleDouble, Scalar};
use crate::simd::dispatch::dispatch;
use crate::simd::error_free::two_sum;
use crate::simd::f64x8::{SimdF64, load_first};
use crate::simd::map::{Elementwise, map};
use crate::simd::pair::{Pair, Terms, sum_terms};
use crate::simd::scan;

/// Magnitude of the largest entry above which a row is computed exactly.
const MAX_MAGNITUDE: f64 = f64::from_bits((1023 + 200) << 52);
/// Magnitude of the largest entry below which a row is computed exactly, unless it is 0.
const MIN_MAGNITUDE: f64 = 1.0 / MAX_MAGNITUDE;
/// Magnitude of the largest entry below which the mean would be subnormal.
const MIN_MEAN: f64 = f64::from_bits((1023 - 900) << 52);

/// Computes y = (x − mean)/√(var + eps)·gamma + beta of a row.
pub(in crate::ops) fn normalize(norm: &RowNorm<'_, f64>, x: &[f64], y: &mut [f64]) {
    if is_usual(norm, x) {
        let normalized =
            Normalized { row: Row::new(norm, x), has_gamma: norm.gamma.is_some(), has_beta: norm.beta.is_some() };
        normalize_entries(&normalized, [x, norm.gamma.unwrap_or(x), norm.beta.unwrap_or(x)], y);
        if is_finite(y) {
            return;
        }
    }
    by_definition(norm, x, None, y);
}

/// Computes dx = (g − mean g − xhat·mean(g∘xhat))/std of a row.
pub(in crate::ops) fn gradient(norm: &RowNorm<'_, f64>, x: &[f64], dout: &[f64], dx: &mut [f64]) {
    if is_usual(norm, x) && norm.gamma.is_none_or(has_usual_size) && has_usual_size(dout) {
        let row = Row::new(norm, x);
        let mut upstream = Upstream { row, has_gamma: norm.gamma.is_some(), mean: ZERO, slope: ZERO };
        let (inputs, mut sum) = ([x, dout, norm.gamma.unwrap_or(x)], [ZERO]);
        if norm.given.is_none() {
            if norm.is_centred {
                sum_upstream(&upstream, inputs, &mut sum);
                upstream.mean = mean(sum[0], x);
            }
            sum_upstream_products(&upstream, inputs, &mut sum);
            upstream.slope =
                pair(double_double(mean(sum[0], x)) * double_double(row.factor) * double_double(row.factor));
        }
        gradient_entries(&upstream, inputs, dx);
        if is_finite(dx) {
            return;
        }
    }
    by_definition(norm, x, Some(dout), dx);
}

/// Returns the mean of a row, and Σ (x − mean)².
pub(in crate::ops) fn moments(x: &[f64]) -> [f64; 2] {
    if has_usual_size(x) {
        let (mean, squares) = mean_and_squares(x);
        [mean.rounded(), squares.rounded()]
    } else {
        with_exact(|| super::moments(&convert(x)).map(Scalar::to_f64))
    }
}

const ZERO: Pair<f64> = Pair { high: 0.0, low: 0.0 };

/// The number that is subtracted from the entries of a row, if any, and their factor 1/√(var + eps).
#[derive(Clone, Copy)]
struct Row {
    mean: Option<Pair<f64>>,
    factor: Pair<f64>,
}

impl Row {
    fn new(norm: &RowNorm<'_, f64>, x: &[f64]) -> Row {
        let (mean, variance) = match norm.given {
            Some([mean, variance]) => (Some(Pair::new(mean)), Pair::new(variance)),
            None if norm.is_centred => {
                let (mean, squares) = mean_and_squares(x);
                (Some(mean), self::mean(squares, x))
            }
            None => {
                let mut squares = [ZERO];
                sum_squares(x, &mut squares);
                (None, mean(squares[0], x))
            }
        };
        let std = (double_double(variance) + DoubleDouble::from_f64(norm.eps)).sqrt();
        Row { mean, factor: pair(DoubleDouble::one() / std) }
    }

    /// Returns x − mean.
    #[inline(always)]
    fn deviation<V: SimdF64>(&self, x: V) -> Pair<V> {
        match self.mean {
            Some(mean) => Pair::new(x).minus(mean.splat()),
            None => Pair::new(x),
        }
    }
}

/// Returns the mean of a row, and the sum of the squares of the distances from it.
///
/// The entries are taken relative to a number near the mean: Σ (x − mean)² = Σ (x − near)² − (Σ (x − near))²/n. The distance of that
/// number from the mean is at most about √n times the standard deviation, so the difference keeps enough of the 100 bits.
fn mean_and_squares(x: &[f64]) -> (Pair<f64>, Pair<f64>) {
    let (mut near, mut sums) = (0.0, [ZERO; 2]);
    approximate_mean(x, &mut near);
    sum_deviations(near, x, &mut sums);
    let offset = double_double(mean(sums[0], x));
    let squares = double_double(sums[1]) - offset * double_double(sums[0]);
    (pair(DoubleDouble::from_f64(near) + offset), pair(squares))
}

fn double_double(pair: Pair<f64>) -> DoubleDouble {
    DoubleDouble::from_normalized(pair.high, pair.low)
}

fn pair(number: DoubleDouble) -> Pair<f64> {
    let (high, low) = number.high_low();
    Pair { high, low }
}

fn mean(sum: Pair<f64>, x: &[f64]) -> Pair<f64> {
    pair(double_double(sum) / super::count(x.len()))
}

/// Returns true if no square of the row overflows, or has too few digits to be added to eps, and the mean has all of its digits.
fn is_usual(norm: &RowNorm<'_, f64>, x: &[f64]) -> bool {
    let (largest, least_eps) = (largest(x), norm.given.map_or(norm.eps, |[_, variance]| norm.eps + variance));
    let mean = norm.given.map_or(0.0, |[mean, _]| mean.abs());
    largest.max(mean) <= MAX_MAGNITUDE
        && (largest == 0.0 || (largest >= MIN_MEAN && largest.max(least_eps) >= MIN_MAGNITUDE))
}

fn has_usual_size(numbers: &[f64]) -> bool {
    let largest = largest(numbers);
    largest == 0.0 || (MIN_MAGNITUDE..=MAX_MAGNITUDE).contains(&largest)
}

fn largest(numbers: &[f64]) -> f64 {
    let mut largest = 0;
    scan::find_largest_magnitude(numbers, &mut largest);
    f64::from_bits(largest)
}

fn is_finite(numbers: &[f64]) -> bool {
    largest(numbers) < f64::INFINITY
}

/// Computes a row exactly, or its gradient if there is a dout; by IEEE arithmetic if a number is not finite.
fn by_definition(norm: &RowNorm<'_, f64>, x: &[f64], dout: Option<&[f64]>, out: &mut [f64]) {
    if [Some(x), dout, norm.gamma, norm.beta].into_iter().flatten().all(is_finite) {
        with_exact(|| compute(norm, x, dout, out));
    } else {
        with_kind(Kind::DoubleDouble, || compute(norm, x, dout, out));
    }
}

/// Computes a row, or its gradient, by the definition in numbers of the kind of this thread.
fn compute(norm: &RowNorm<'_, f64>, x: &[f64], dout: Option<&[f64]>, out: &mut [f64]) {
    let (gamma, beta, x) = (norm.gamma.map(convert), norm.beta.map(convert), convert(x));
    let norm = RowNorm {
        is_centred: norm.is_centred,
        given: norm.given.map(|given| given.map(Dynamic::from_f64)),
        eps: Dynamic::from_f64(norm.eps),
        gamma: gamma.as_deref(),
        beta: beta.as_deref(),
    };
    let mut results = vec![Dynamic::zero(); out.len()];
    match dout {
        Some(dout) => super::gradient(&norm, &x, &convert(dout), &mut results),
        None => super::normalize(&norm, &x, &mut results),
    }
    out.iter_mut().zip(results).for_each(|(out, result)| *out = result.to_f64());
}

fn convert(numbers: &[f64]) -> Vec<Dynamic> {
    numbers.iter().map(|&number| Dynamic::from_f64(number)).collect()
}

dispatch! {
    /// Computes a number near the mean, from the distances from the first entry; it is exact if all entries are equal.
    #[allow(clippy::cast_precision_loss)] // fewer than 2⁵³ numbers fit in memory
    fn approximate_mean<V>(x: &[f64], mean: &mut f64) {
        let first = x.first().copied().unwrap_or(0.0);
        let mut sums = V::splat(0.0);
        for begin in (0..x.len()).step_by(8) {
            sums = sums + (load_first::<V>(&x[begin..], first) - V::splat(first));
        }
        let mut eight = [0.0; 8];
        sums.store(&mut eight);
        *mean = first + eight.iter().sum::<f64>() / x.len() as f64;
    }
}

/// x − near and its square, as terms.
struct Deviations {
    near: f64,
}

impl Terms<1, 2> for Deviations {
    #[inline(always)]
    fn terms<V: SimdF64>(&self, [x]: [V; 1]) -> [Pair<V>; 2] {
        let (high, low) = two_sum(x, V::splat(-self.near));
        let deviation = Pair { high, low };
        [deviation, deviation.times(deviation)]
    }
}

dispatch! {
    /// Computes Σ (x − near) and Σ (x − near)².
    fn sum_deviations<V>(near: f64, x: &[f64], sums: &mut [Pair<f64>; 2]) {
        *sums = sum_terms::<V, _, 1, 2>(&Deviations { near }, [x]);
    }
}

/// x², as a term.
struct Square;

impl Terms<1, 1> for Square {
    #[inline(always)]
    fn terms<V: SimdF64>(&self, [x]: [V; 1]) -> [Pair<V>; 1] {
        [Pair::new(x).times(Pair::new(x))]
    }
}

dispatch! {
    /// Computes Σ x².
    fn sum_squares<V>(x: &[f64], sum: &mut [Pair<f64>; 1]) {
        *sum = sum_terms::<V, _, 1, 1>(&Square, [x]);
    }
}

/// y as a function of x, gamma and beta.
struct Normalized {
    row: Row,
    has_gamma: bool,
    has_beta: bool,
}

impl Elementwise<3> for Normalized {
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [x, gamma, beta]: [V; 3]) -> V {
        let mut y = self.row.deviation(x).times(self.row.factor.splat());
        if self.has_gamma {
            y = y.times(Pair::new(gamma));
        }
        if self.has_beta {
            y = y.plus(Pair::new(beta));
        }
        y.rounded()
    }
}

dispatch! {
    /// Computes y of each entry.
    fn normalize_entries<V>(normalized: &Normalized, inputs: [&[f64]; 3], y: &mut [f64]) {
        map::<V, _, 3>(normalized, inputs, y);
    }
}

/// The upstream gradient g = dout∘gamma, as a function of x, dout and gamma.
struct Upstream {
    row: Row,
    has_gamma: bool,
    /// The mean of g, or 0 if no mean is subtracted from x.
    mean: Pair<f64>,
    /// mean(g∘xhat)/std.
    slope: Pair<f64>,
}

impl Upstream {
    /// Returns g − mean.
    #[inline(always)]
    fn centred<V: SimdF64>(&self, dout: V, gamma: V) -> Pair<V> {
        let g = if self.has_gamma { Pair::new(dout).times(Pair::new(gamma)) } else { Pair::new(dout) };
        g.minus(self.mean.splat())
    }
}

impl Terms<3, 1> for Upstream {
    #[inline(always)]
    fn terms<V: SimdF64>(&self, [_, dout, gamma]: [V; 3]) -> [Pair<V>; 1] {
        [self.centred(dout, gamma)]
    }
}

dispatch! {
    /// Computes Σ (g − mean).
    fn sum_upstream<V>(upstream: &Upstream, inputs: [&[f64]; 3], sum: &mut [Pair<f64>; 1]) {
        *sum = sum_terms::<V, _, 3, 1>(upstream, inputs);
    }
}

/// (g − mean)∘(x − mean), as a term.
struct UpstreamProducts<'a>(&'a Upstream);

impl Terms<3, 1> for UpstreamProducts<'_> {
    #[inline(always)]
    fn terms<V: SimdF64>(&self, [x, dout, gamma]: [V; 3]) -> [Pair<V>; 1] {
        [self.0.centred(dout, gamma).times(self.0.row.deviation(x))]
    }
}

dispatch! {
    /// Computes Σ (g − mean)∘(x − mean).
    fn sum_upstream_products<V>(upstream: &Upstream, inputs: [&[f64]; 3], sum: &mut [Pair<f64>; 1]) {
        *sum = sum_terms::<V, _, 3, 1>(&UpstreamProducts(upstream), inputs);
    }
}

impl Elementwise<3> for Upstream {
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [x, dout, gamma]: [V; 3]) -> V {
        let along = self.row.deviation(x).times(self.slope.splat());
        self.centred(dout, gamma).minus(along).times(self.row.factor.splat()).rounded()
    }
}

dispatch! {
    /// Computes dx of each entry.
    fn gradient_entries<V>(upstream: &Upstream, inputs: [&[f64]; 3], dx: &mut [f64]) {
        map::<V, _, 3>(upstream, inputs, dx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};

    fn number(n: usize, offset: f64) -> f64 {
        offset + ((n * 7919) % 1009) as f64 / 300.0 - 1.5
    }

    /// Returns y, dx and the moments of a row, computed as doubles.
    fn results(norm: &RowNorm<'_, f64>, x: &[f64], dout: &[f64]) -> (Vec<f64>, Vec<f64>, [f64; 2]) {
        let (mut y, mut dx) = (vec![9.0; x.len()], vec![9.0; x.len()]);
        normalize(norm, x, &mut y);
        gradient(norm, x, dout, &mut dx);
        (y, dx, moments(x))
    }

    #[test]
    fn rows_are_their_definition_and_the_same_bits_on_every_instruction_set() {
        for (width, offset) in [(1, 0.0), (2, 1e9), (7, 0.0), (8, -3.0), (37, 1e12), (300, 1e-3)] {
            let x: Vec<f64> = (0..width).map(|n| number(n, offset)).collect();
            let [dout, gamma, beta] =
                [3, 5, 7].map(|k| (0..width).map(|n| number(k * n + k, 0.0)).collect::<Vec<f64>>());
            for (is_centred, given, has) in
                [(true, None, true), (false, None, true), (true, Some([offset, 2.0]), true), (true, None, false)]
            {
                let (gamma, beta) = (has.then_some(&gamma[..]), has.then_some(&beta[..]));
                let norm = RowNorm { is_centred, given, eps: 1e-5, gamma, beta };
                let found = results(&norm, &x, &dout);
                for isa in IsaLevel::available() {
                    assert_eq!(with_isa_limit(isa, || results(&norm, &x, &dout)), found, "{isa:?} {width}");
                }
                let (mut y, mut dx) = (vec![0.0; width], vec![0.0; width]);
                compute(&norm, &x, None, &mut y);
                compute(&norm, &x, Some(&dout), &mut dx);
                let near = |a: f64, b: f64, size: f64| (a - b).abs() <= 2.0 * f64::EPSILON * b.abs().max(size);
                assert!(found.0.iter().zip(&y).all(|(a, b)| near(*a, *b, 0.0)), "y {width}: {:?} {y:?}", found.0);
                // dx is a difference of numbers of the size of dout∘gamma/std.
                assert!(found.1.iter().zip(&dx).all(|(a, b)| near(*a, *b, 1e-3)), "dx {width}: {:?} {dx:?}", found.1);
                let moments = super::super::moments(&convert(&x)).map(Scalar::to_f64);
                assert!(near(found.2[0], moments[0], 0.0) && near(found.2[1], moments[1], 0.0), "{width}");
            }
        }
    }
}
