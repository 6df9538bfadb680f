//! f32: the definitions in single precision. Functions are computed as doubles and rounded.

use super::scalar::Scalar;

fn through_f64(value: f32, function: impl Fn(f64) -> f64) -> f32 {
    f32::from_f64(function(f64::from(value)))
}

impl Scalar for f32 {
    #[allow(clippy::cast_possible_truncation)] // rounding to f32 is what this scalar is for
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn exp(self) -> Self {
        through_f64(self, Scalar::exp)
    }
    fn ln(self) -> Self {
        through_f64(self, Scalar::ln)
    }
    fn ln_1p(self) -> Self {
        through_f64(self, Scalar::ln_1p)
    }
    fn tanh(self) -> Self {
        through_f64(self, Scalar::tanh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::{E, LN_2, LN_10};

    /// Expected values are by mpmath, rounded once.
    #[test]
    fn functions_round_the_real_value() {
        let exp = [(1.0, E), (-3.0, 0.049_787_067), (0.0, 1.0), (-200.0, 0.0), (200.0, f32::INFINITY)];
        assert!(exp.iter().all(|&(x, y)| Scalar::exp(x) == y));
        let ln = [(2.0, LN_2), (10.0, LN_10), (0.3, -1.203_972_8), (0.0, f32::NEG_INFINITY)];
        assert!(ln.iter().all(|&(x, y)| Scalar::ln(x) == y));
        assert!([(1.0, LN_2), (0.0625, 0.060_624_62)].iter().all(|&(x, y)| Scalar::ln_1p(x) == y));
        assert!(
            [(0.5, 0.462_117_17), (1e-20, 1e-20), (-50.0, -1.0)].iter().all(|&(x, y)| <f32 as Scalar>::tanh(x) == y)
        );
    }
}
