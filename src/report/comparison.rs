//! The report of a comparison of two documents.

use super::numbers::{differ, format_number, format_short, json_number, pass_or_fail, write_json};
use crate::check::compare::{ArrayComparison, DocumentComparison, EntryStatistics, Tolerance, WorstEntry};
use crate::core::error::{format_index, format_shape};
use crate::core::name::Name;
use serde_json::{Map, Value, json};
use std::io;

/// Writes one line per pair that agrees, several per pair that differs, and a last line with the verdict.
pub fn write_text(comparison: &DocumentComparison, out: &mut dyn io::Write) -> io::Result<()> {
    for (name, pair) in order_pairs(comparison) {
        let name = name.as_ref().map_or_else(String::new, |name| format!("{name} "));
        match &pair.entries {
            Some(entries) => write_pair(&name, pair, entries, out)?,
            None => {
                let (a, b) = (format_shape(&pair.a), format_shape(&pair.b));
                let also = if pair.is_transposed { ": a is b transposed" } else { "" };
                writeln!(out, "FAIL {name}shapes differ: a is {a}, b is {b}{also}")?;
            }
        }
    }
    for (names, side) in [(&comparison.only_a, "a"), (&comparison.only_b, "b")] {
        for name in names {
            writeln!(out, "FAIL {name} is only in {side}")?;
        }
    }
    let total = comparison.pairs.len() + comparison.only_a.len() + comparison.only_b.len();
    let agreeing = comparison.pairs.iter().filter(|(_, pair)| pair.agrees()).count();
    if total > 1 {
        writeln!(out, "{}: {agreeing} of {total} arrays agree", pass_or_fail(comparison.agrees()))?;
    }
    Ok(())
}

/// Returns the pairs, those that differ first.
fn order_pairs(comparison: &DocumentComparison) -> Vec<&(Option<Name>, ArrayComparison)> {
    let (differing, agreeing): (Vec<_>, Vec<_>) = comparison.pairs.iter().partition(|(_, pair)| !pair.agrees());
    [differing, agreeing].concat()
}

fn write_pair(
    name: &str,
    pair: &ArrayComparison,
    entries: &EntryStatistics,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let what = match (entries.outside, entries.count) {
        (0, 0) => "there are no entries".to_owned(),
        (0, 1) => "the entry agrees".to_owned(),
        (0, n) => format!("all {n} entries agree"),
        (_, 1) => "the entry differs".to_owned(),
        (outside, n) => format!("{outside} of {n} entries {}", differ(outside)),
    };
    let (verdict, shape) = (pass_or_fail(entries.outside == 0), format_shape(&pair.a));
    writeln!(out, "{verdict} {name}{shape}: {what}, {}", describe_tolerance(&pair.tolerance))?;
    if let Some(worst) = entries.worst.as_ref().filter(|worst| worst.error != 0.0) {
        writeln!(out, "  worst {}", describe_worst(worst))?;
        let [median, p90, p99, max] = entries.quantiles.map(format_short);
        if entries.count > 1 {
            let mean = format_short(entries.mean);
            writeln!(out, "  |a − b|: mean {mean}, median {median}, 90th percentile {p90}, 99th {p99}, maximum {max}")?;
        }
    } else if entries.outside == 0 && entries.count > 0 {
        writeln!(out, "  a and b are equal")?;
    }
    if entries.nan > 0 {
        writeln!(out, "  {} NaN in both, counted as equal", entries.nan)?;
    }
    if pair.is_transposed {
        writeln!(out, "  a is b transposed")?;
    }
    Ok(())
}

fn describe_worst(worst: &WorstEntry) -> String {
    let place = if worst.index.is_empty() { String::new() } else { format!("at {}: ", format_index(&worst.index)) };
    let ulps = worst.ulps.map_or_else(String::new, |ulps| format!(" ({ulps} ulp)"));
    let (a, b) = (format_number(worst.a), format_number(worst.b));
    format!("{place}a {a}, b {b}, error {}{ulps}", format_short(worst.error))
}

fn describe_tolerance(tolerance: &Tolerance) -> String {
    let formula = format!("|a − b| ≤ {:?} + {:?}·|b|", tolerance.atol, tolerance.rtol);
    match tolerance.ulp {
        Some(ulp) if tolerance.atol == 0.0 && tolerance.rtol == 0.0 => format!("at most {ulp} ulp apart"),
        Some(ulp) => format!("{formula} or at most {ulp} ulp apart"),
        None => formula,
    }
}

/// Writes one object, on one line or indented.
pub fn write_as_json(comparison: &DocumentComparison, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let pairs = order_pairs(comparison).into_iter();
    let arrays: Vec<Value> = pairs.map(|(name, pair)| pair_to_json(name.as_ref(), pair)).collect();
    let names = |names: &[Name]| names.iter().map(Name::as_str).map(Value::from).collect::<Value>();
    let object = json!({
        "verdict": pass_or_fail(comparison.agrees()),
        "arrays": arrays,
        "only_a": names(&comparison.only_a),
        "only_b": names(&comparison.only_b),
    });
    write_json(&object, pretty, out)
}

fn pair_to_json(name: Option<&Name>, pair: &ArrayComparison) -> Value {
    let mut object = Map::new();
    let mut insert = |key: &str, value: Value| object.insert(key.to_owned(), value);
    insert("name", json!(name.map(Name::as_str)));
    insert("verdict", json!(pass_or_fail(pair.agrees())));
    insert("shape_a", json!(pair.a));
    insert("shape_b", json!(pair.b));
    insert("transposed", json!(pair.is_transposed));
    insert("atol", json_number(pair.tolerance.atol));
    insert("rtol", json_number(pair.tolerance.rtol));
    insert("ulp", json!(pair.tolerance.ulp));
    if let Some(entries) = &pair.entries {
        let [median, p90, p99, max] = entries.quantiles.map(json_number);
        insert("entries", json!(entries.count));
        insert("outside", json!(entries.outside));
        insert("nan", json!(entries.nan));
        insert("mean", json_number(entries.mean));
        insert("quantiles", json!({"50": median, "90": p90, "99": p99, "100": max}));
        insert("max_ulp", json!(entries.ulps));
        let worst = entries.worst.as_ref().map(|worst| {
            let [a, b, error] = [worst.a, worst.b, worst.error].map(json_number);
            json!({"index": worst.index, "a": a, "b": b, "error": error, "ulp": worst.ulps})
        });
        insert("worst", worst.unwrap_or_default());
    }
    object.into()
}
