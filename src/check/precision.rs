//! Rounding and tolerance of each precision.

use crate::layer::Precision;

/// Returns the unit roundoff of a precision: half a unit in the last place of 1.
pub fn unit_roundoff(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => f64::from(f32::EPSILON) / 2.0,
        _ => f64::EPSILON / 2.0,
    }
}

/// Returns the number of a precision that is nearest to a double.
#[allow(clippy::cast_possible_truncation)] // the cast is the rounding
pub fn round_to(value: f64, precision: Precision) -> f64 {
    match precision {
        Precision::F32 => f64::from(value as f32),
        _ => value,
    }
}

/// Returns the relative error that a gradient may have: 1e-10, or 1e-4 in single precision.
pub fn relative_tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-4,
        _ => 1e-10,
    }
}
