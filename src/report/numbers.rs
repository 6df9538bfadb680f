//! Numbers, verbs and verdicts in reports, as text and as JSON.

use serde_json::Value;
use std::io;

/// Formats a number with the digits that distinguish it from its neighbours; integers have no decimal point.
pub fn format_number(value: f64) -> String {
    if value.is_finite() && value.fract() == 0.0 && value.abs() < 1e16 {
        format!("{value}")
    } else {
        non_finite_name(value).map_or_else(|| format!("{value:?}"), str::to_owned)
    }
}

/// Returns NumPy's name of a number that is not finite.
pub(super) fn non_finite_name(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("nan"),
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => None,
    }
}

/// Formats an error to three significant digits.
pub(super) fn format_short(value: f64) -> String {
    format_number(format!("{value:.2e}").parse().unwrap_or(value))
}

/// Returns "is" for one thing and "are" for several.
pub(super) fn is_or_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Returns "differs" for one thing and "differ" for several.
pub(super) fn differ(count: usize) -> &'static str {
    if count == 1 { "differs" } else { "differ" }
}

/// Returns the verdict of a comparison.
pub(super) fn pass_or_fail(passes: bool) -> &'static str {
    if passes { "PASS" } else { "FAIL" }
}

/// Returns a number as JSON; one that is not finite as a string.
pub(super) fn json_number(value: f64) -> Value {
    match value {
        v if v.is_finite() => Value::from(v),
        v if v.is_nan() => Value::from("NaN"),
        v => Value::from(if v > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// Writes an object on one line, or indented.
pub(super) fn write_json(object: &Value, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    if pretty {
        serde_json::to_writer_pretty(&mut *out, object)?;
    } else {
        serde_json::to_writer(&mut *out, object)?;
    }
    out.write_all(b"\n")
}
