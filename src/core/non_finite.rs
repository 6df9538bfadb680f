//! The names of numbers that are not finite.

/// Returns NumPy's name of a number that is not finite.
pub fn numpy_name(number: f64) -> Option<&'static str> {
    match number {
        number if number.is_finite() => None,
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => Some("nan"),
    }
}

/// Returns the string that stands for a number that is not finite in JSON.
#[inline]
pub fn json_name(number: f64) -> Option<&'static str> {
    match number {
        number if number.is_finite() => None,
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => Some("NaN"),
    }
}
