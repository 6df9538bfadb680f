//! Noise of a function's outputs, from samples at equal distances.

use crate::numeric::{DoubleDouble, Scalar};

/// Returns the largest step between two plateaus. The outputs of a quantised function form a staircase. A kink has a plateau
/// on one side only, and does not count.
pub(super) fn quantisation_step(values: &[DoubleDouble]) -> f64 {
    let is_level = |n: &usize| values[*n] == values[*n + 1];
    let steps = 0..values.len().saturating_sub(1);
    let (Some(first), Some(last)) = (steps.clone().find(is_level), steps.clone().rfind(is_level)) else { return 0.0 };
    let between = steps.filter(|n| (first..last).contains(n) && !is_level(n));
    between.map(|n| (values[n + 1] - values[n]).to_f64().abs()).filter(|rise| rise.is_finite()).fold(0.0, f64::max)
}

/// Returns the noise of seven values: the part of their fourth differences that a smooth function does not have (ECnoise,
/// Moré and Wild 2011, for one order).
pub(super) fn fourth_difference_noise(mut values: Vec<DoubleDouble>) -> f64 {
    const ORDER: usize = 4;
    if values.len() <= ORDER {
        return 0.0;
    }
    for _ in 0..ORDER {
        values = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    }
    // The variance of a fourth difference is (8 choose 4) = 70 times that of a value.
    let largest = values.iter().map(|v| v.to_f64().abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
    largest / 70f64.sqrt()
}
