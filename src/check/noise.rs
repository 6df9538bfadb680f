//! Noise of a function's outputs, from samples at equal distances.

use crate::numeric::{DoubleDouble, Scalar};

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
