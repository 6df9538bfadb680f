//! What comparing two documents found, as text and as one JSON object.

use super::{format_number, format_short, json_number};
use crate::check::compare::{ArrayComparison, DocumentComparison, EntryStatistics, Tolerance, WorstEntry};
use crate::core::error::{format_index, format_shape};
use crate::core::name::Name;
use serde_json::{Map, Value, json};
use std::io;

/// One line a pair that agrees, some more for one that doesn't, a line at the end.
pub fn text(compared: &DocumentComparison, out: &mut dyn io::Write) -> io::Result<()> {
    for (name, pair) in ordered(compared) {
        let name = name.as_ref().map_or_else(String::new, |name| format!("{name} "));
        match &pair.entries {
            Some(entries) => pair_text(&name, pair, entries, out)?,
            None => {
                let also = if pair.is_transposed { ": a is b transposed" } else { "" };
                writeln!(
                    out,
                    "FAIL {name}shapes differ: a is {}, b is {}{also}",
                    format_shape(&pair.a),
                    format_shape(&pair.b)
                )?;
            }
        }
    }
    for (names, there, other) in [(&compared.only_a, "a", "b"), (&compared.only_b, "b", "a")] {
        for name in names {
            writeln!(out, "FAIL {name} is in {there} only, not in {other}")?;
        }
    }
    let all = compared.pairs.len() + compared.only_a.len() + compared.only_b.len();
    let agree = compared.pairs.iter().filter(|(_, pair)| pair.agrees()).count();
    if all > 1 {
        writeln!(out, "{}: {agree} of {all} agree", verdict(compared.agrees()))?;
    }
    Ok(())
}

/// Those that differ first.
fn ordered(compared: &DocumentComparison) -> Vec<&(Option<Name>, ArrayComparison)> {
    let (bad, good): (Vec<_>, Vec<_>) = compared.pairs.iter().partition(|(_, pair)| !pair.agrees());
    [bad, good].concat()
}

fn pair_text(name: &str, pair: &ArrayComparison, entries: &EntryStatistics, out: &mut dyn io::Write) -> io::Result<()> {
    let what = match (entries.outside, entries.count) {
        (0, 0) => "nothing to compare".to_owned(),
        (0, 1) => "the entry agrees".to_owned(),
        (0, n) => format!("all {n} entries agree"),
        (_, 1) => "the entry differs".to_owned(),
        (outside, n) => format!("{outside} of {n} entries {}", if outside == 1 { "differs" } else { "differ" }),
    };
    writeln!(
        out,
        "{} {name}{}: {what}, {}",
        verdict(entries.outside == 0),
        format_shape(&pair.a),
        rule(&pair.tolerance)
    )?;
    if let Some(worst) = entries.worst.as_ref().filter(|worst| worst.error != 0.0) {
        writeln!(out, "  worst {}", worst_text(worst))?;
        let [half, nine, ninety_nine, most] = entries.quantiles.map(format_short);
        if entries.count > 1 {
            let mean = format_short(entries.mean);
            writeln!(out, "  |a − b| mean {mean}, 50 % {half}, 90 % {nine}, 99 % {ninety_nine}, largest {most}")?;
        }
    } else if entries.outside == 0 && entries.count > 0 {
        writeln!(out, "  equal to the last digit")?;
    }
    if entries.nan > 0 {
        writeln!(out, "  {} NaN in both, taken for equal", entries.nan)?;
    }
    if pair.is_transposed {
        writeln!(out, "  a is b transposed")?;
    }
    Ok(())
}

fn worst_text(worst: &WorstEntry) -> String {
    let place = if worst.index.is_empty() { String::new() } else { format!("{}: ", format_index(&worst.index)) };
    let ulps = worst.ulps.map_or_else(String::new, |ulps| format!(" ({ulps} ulp)"));
    format!(
        "{place}a {}, b {}, apart by {}{ulps}",
        format_number(worst.a),
        format_number(worst.b),
        format_short(worst.error)
    )
}

fn rule(within: &Tolerance) -> String {
    let formula = format!("|a − b| ≤ {:?} + {:?}·|b|", within.atol, within.rtol);
    match within.ulp {
        Some(ulp) if within.atol == 0.0 && within.rtol == 0.0 => format!("at most {ulp} ulp apart"),
        Some(ulp) => format!("{formula} or at most {ulp} ulp apart"),
        None => formula,
    }
}

fn verdict(good: bool) -> &'static str {
    if good { "PASS" } else { "FAIL" }
}

/// One object on one line, or indented.
pub fn json(compared: &DocumentComparison, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let arrays: Vec<Value> = ordered(compared).into_iter().map(|(name, pair)| pair_json(name.as_ref(), pair)).collect();
    let names = |names: &[Name]| names.iter().map(Name::as_str).map(Value::from).collect::<Value>();
    let object = json!({
        "verdict": verdict(compared.agrees()),
        "arrays": arrays,
        "only_a": names(&compared.only_a),
        "only_b": names(&compared.only_b),
    });
    super::write_json(&object, pretty, out)
}

fn pair_json(name: Option<&Name>, pair: &ArrayComparison) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), json!(name.map(Name::as_str)));
    object.insert("verdict".into(), json!(verdict(pair.agrees())));
    object.insert("shape_a".into(), json!(pair.a));
    object.insert("shape_b".into(), json!(pair.b));
    object.insert("transposed".into(), json!(pair.is_transposed));
    object.insert("atol".into(), json_number(pair.tolerance.atol));
    object.insert("rtol".into(), json_number(pair.tolerance.rtol));
    object.insert("ulp".into(), json!(pair.tolerance.ulp));
    if let Some(entries) = &pair.entries {
        let [half, nine, ninety_nine, most] = entries.quantiles.map(json_number);
        object.insert("entries".into(), json!(entries.count));
        object.insert("outside".into(), json!(entries.outside));
        object.insert("nan".into(), json!(entries.nan));
        object.insert("mean".into(), json_number(entries.mean));
        object.insert("quantiles".into(), json!({"50": half, "90": nine, "99": ninety_nine, "100": most}));
        object.insert("max_ulp".into(), json!(entries.ulps));
        object.insert(
            "worst".into(),
            entries.worst.as_ref().map_or(Value::Null, |worst| {
                json!({"index": worst.index, "a": json_number(worst.a), "b": json_number(worst.b), "error": json_number(worst.error), "ulp": worst.ulps})
            }),
        );
    }
    object.into()
}
