//! Numbers, verbs and verdicts in reports, as text and as JSON.

use crate::core::non_finite::{json_name, numpy_name};
use serde_json::Value;
use std::io;

/// Formats a number with the digits that distinguish it from its neighbours; integers have no decimal point.
pub fn format_number(value: f64) -> String {
    if value.is_finite() && value.fract() == 0.0 && value.abs() < 1e16 {
        format!("{value}")
    } else {
        numpy_name(value).map_or_else(|| format!("{value:?}"), str::to_owned)
    }
}

/// Formats an error to three significant digits.
pub(super) fn format_short(value: f64) -> String {
    format_number(format!("{value:.2e}").parse().unwrap_or(value))
}

/// Formats a positive number to three significant digits, rounded up.
pub(super) fn format_short_up(value: f64) -> String {
    let text = format!("{value:.2e}");
    let rounded: f64 = text.parse().unwrap_or(value);
    let next = || {
        let (mantissa, exponent) = text.split_once('e')?;
        let digits: u32 = mantissa.replace('.', "").parse().ok()?;
        format!("{}e{exponent}", f64::from(digits + 1) / 100.0).parse().ok()
    };
    format_number(if rounded < value { next().unwrap_or(value) } else { rounded })
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
    json_name(value).map_or_else(|| Value::from(value), Value::from)
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
