//! JSON values of reports.

use serde_json::Value;
use std::io;

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
