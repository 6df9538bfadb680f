//! Derivatives by a least-squares fit, for types of so few bits that rounding errors spoil each single difference quotient.

use super::extrapolation::Estimate;

/// Least number of points beyond those that the coefficients take.
const SPARE_POINTS: usize = 4;
/// Standard errors in an error bar.
const STANDARD_ERRORS: f64 = 3.0;
/// Least standard deviation of a change from the fit, in bounds of the rounding error: stairs may fit by chance.
const LEAST_SCATTER: f64 = 0.2;
/// Largest distance from the fit, in bounds of the rounding error.
const LARGE_RESIDUAL: f64 = 1.5;
/// Part of the error bar of a fit of smaller steps that another fit may differ from it beyond its own.
const CONTRADICTION: f64 = 0.8;
/// Most terms of a polynomial.
const MAX_TERMS: usize = 5;

/// Returns the coefficient of h in the polynomial that fits changes of a function best. `powers` are those of the polynomial, of
/// which the last one only measures the error of the rest; `changes` are step sizes h, the largest first, each with the change and its
/// noise. Of the fits without the largest steps, that with the smallest error bar is taken.
pub(super) fn fit(changes: &[[f64; 3]], powers: &[i32]) -> Estimate {
    let mut accepted: Vec<Estimate> = Vec::new();
    let candidates =
        (0..changes.len()).rev().flat_map(|first| [&powers[..powers.len() - 1], powers].map(|powers| (first, powers)));
    for (first, powers) in candidates {
        let part = &changes[first..];
        let fewer = &powers[..powers.len() - 1];
        if part.len() < powers.len() + SPARE_POINTS || part.iter().any(|[_, change, _]| !change.is_finite()) {
            continue;
        }
        let noise = part.iter().map(|[_, _, noise]| *noise).fold(0.0, f64::max);
        if let (Some(Slope { value, error, residual }), Some(coarse)) =
            (slope(part, noise, powers), slope(part, noise, fewer))
        {
            // Rounding errors need not be independent, as where an output stays the same.
            let rounding = noise / part[0][0].abs();
            let error_bar = STANDARD_ERRORS * error + (value - coarse.value).abs() + rounding;
            // A kink within the steps leaves more than rounding errors, or contradicts the fits without the largest steps.
            let is_contradicted = accepted
                .iter()
                .any(|smaller| (value - smaller.value).abs() > error_bar + CONTRADICTION * smaller.error_bar);
            if residual <= LARGE_RESIDUAL * noise && !is_contradicted {
                accepted.push(Estimate { value, error_bar, step: part[part.len() - 1][0].abs() });
            }
        }
    }
    accepted.into_iter().min_by(|a, b| a.error_bar.total_cmp(&b.error_bar)).unwrap_or(Estimate::NONE)
}

/// The coefficient of h of a fit.
struct Slope {
    value: f64,
    /// Its standard error, by the scatter around the fit or a part of the noise.
    error: f64,
    /// The largest distance of a change from the fit.
    residual: f64,
}

/// Returns the coefficient of h in the polynomial with these powers.
fn slope(changes: &[[f64; 3]], noise: f64, powers: &[i32]) -> Option<Slope> {
    let (scale, count) = (changes[0][0].abs(), powers.len());
    let linear = powers.iter().position(|power| *power == 1)?;
    let terms = |h: f64| -> Vec<f64> { powers.iter().map(|&power| (h / scale).powi(power)).collect() };
    // The normal equations, with the unit vector whose solution has the variance of the coefficient.
    let mut rows = [[0.0; MAX_TERMS + 2]; MAX_TERMS];
    for [h, change, _] in changes {
        let terms = terms(*h);
        for (row, a) in rows.iter_mut().zip(&terms) {
            row.iter_mut().zip(&terms).for_each(|(cell, b)| *cell += a * b);
            row[count] += a * change;
        }
    }
    rows[linear][count + 1] = 1.0;
    let rows = &mut rows[..count];
    for pivot in 0..count {
        let row = rows[pivot];
        if row[pivot] <= 0.0 {
            return None;
        }
        for other in (0..count).filter(|&other| other != pivot) {
            let factor = rows[other][pivot] / row[pivot];
            rows[other].iter_mut().zip(row).for_each(|(cell, above)| *cell -= factor * above);
        }
    }
    let solution = |n: usize, column: usize| rows[n][column] / rows[n][n];
    let fitted = |h: f64| terms(h).iter().enumerate().map(|(n, term)| term * solution(n, count)).sum::<f64>();
    let residuals: Vec<f64> = changes.iter().map(|[h, change, _]| (change - fitted(*h)).abs()).collect();
    let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
    #[allow(clippy::cast_precision_loss)] // a small count
    let scatter = squares / (changes.len() - count) as f64;
    let variance = scatter.max((LEAST_SCATTER * noise).powi(2)) * solution(linear, count + 1).max(0.0);
    Some(Slope {
        value: solution(linear, count) / scale,
        error: libm::sqrt(variance) / scale,
        residual: residuals.into_iter().fold(0.0, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rng::SplitMix64;

    /// Changes of x ↦ 2x − 3x³ + x⁵ with errors of at most `noise`.
    fn changes(noise: f64) -> Vec<[f64; 3]> {
        let mut rng = SplitMix64::new(5);
        let steps = (0..24).map(|n| 0.8 / 1.2f64.powi(n));
        steps.map(|h| [h, 2.0 * h - 3.0 * h.powi(3) + h.powi(5) + noise * rng.dyadic() / 2.0, noise]).collect()
    }

    #[test]
    fn the_error_is_within_the_error_bar_and_falls_with_the_noise() {
        for noise in [1e-12, 1e-4, 1e-2] {
            let estimate = fit(&changes(noise), &[1, 3, 5, 7]);
            let error = (estimate.value - 2.0).abs();
            assert!(error <= estimate.error_bar && estimate.error_bar < 60.0 * noise + 1e-9, "{noise} {estimate:?}");
        }
        assert!(fit(&changes(1e-4)[..6], &[1, 3, 5, 7]).error_bar.is_infinite());
    }
}
