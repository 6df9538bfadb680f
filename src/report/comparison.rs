//! The report of a comparison of two documents.

use super::notation::Digits;
use super::numbers::{differ, format_number, format_short, format_short_up, json_number, pass_or_fail, write_json};
use crate::check::compare::{ArrayComparison, ArrayPair, DocumentComparison, EntryStatistics, Tolerance, WorstEntry};
use crate::check::similarity::{Similarity, TopAgreement, Undefined};
use crate::core::error::{format_count, format_index, format_shape};
use crate::core::name::Name;
use serde_json::{Map, Value, json};
use std::io;

/// Maximum line width of the text in characters.
const LINE_WIDTH: usize = 80;

/// Writes one line per pair that is equal, several per pair that differs, and a last line with the verdict.
pub fn write_text(comparison: &DocumentComparison, digits: Digits, out: &mut dyn io::Write) -> io::Result<()> {
    for (name, pair) in comparison.ordered_pairs() {
        let name = name.as_ref().map_or_else(String::new, |name| format!("{name} "));
        match &pair.comparison.entries {
            Some(entries) => write_pair(&name, pair, entries, digits, out)?,
            None => {
                let (a, b) = (format_shape(&pair.comparison.a), format_shape(&pair.comparison.b));
                let mut clauses = vec![format!("FAIL {name}shapes differ: a is {a}, b is {b}")];
                clauses.extend(describe_rearrangement(&pair.comparison));
                write_wrapped(": ", &clauses, out)?;
            }
        }
    }
    for (names, side) in [(&comparison.only_a, "a"), (&comparison.only_b, "b")] {
        for name in names {
            writeln!(out, "FAIL {name} is only in {side}")?;
        }
    }
    let total = comparison.pairs.len() + comparison.only_a.len() + comparison.only_b.len();
    let agreeing = comparison.pairs.iter().filter(|(_, pair)| pair.comparison.agrees()).count();
    if total > 1 {
        writeln!(out, "{}: {agreeing} of {total} arrays agree", pass_or_fail(comparison.agrees()))?;
    }
    Ok(())
}

fn write_pair(
    name: &str,
    pair: &ArrayPair,
    entries: &EntryStatistics,
    digits: Digits,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let what = match (entries.outside, entries.count) {
        (0, 0) => "there are no entries".to_owned(),
        (0, 1) => "the entry agrees".to_owned(),
        (0, n) => format!("all {n} entries agree"),
        (_, 1) => "the entry differs".to_owned(),
        (outside, n) => format!("{outside} of {n} entries {}", differ(outside)),
    };
    let (verdict, shape) = (pass_or_fail(entries.outside == 0), format_shape(&pair.comparison.a));
    let mut clauses = vec![format!("{verdict} {name}{shape}: {what}")];
    clauses.extend(describe_tolerance(&pair.comparison.tolerance));
    write_wrapped(", ", &clauses, out)?;
    match entries.worst.as_ref().filter(|worst| worst.error != 0.0) {
        Some(worst) => write_differences(pair, entries, worst, digits, out)?,
        None if entries.count > 0 => writeln!(out, "  a and b are equal")?,
        None => {}
    }
    if entries.nan > 0 {
        writeln!(out, "  {} NaN in both, counted as equal", entries.nan)?;
    }
    if let Some(rearrangement) = describe_rearrangement(&pair.comparison) {
        writeln!(out, "  {rearrangement}")?;
    }
    Ok(())
}

/// Writes how large the differences are.
fn write_differences(
    pair: &ArrayPair,
    entries: &EntryStatistics,
    worst: &WorstEntry,
    digits: Digits,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let short = |value: f64| match digits {
        Digits::Numpy => format_short(value),
        Digits::Significant(_) => format_number(digits.round(value)),
    };
    let place = if worst.index.is_empty() { String::new() } else { format!(" at {}:", format_index(&worst.index)) };
    let [a, b] = [worst.a, worst.b].map(|value| format_number(digits.round(value)));
    let ulps = worst.ulps.map_or_else(String::new, |ulps| format!(" ({ulps} ulp)"));
    let error = format!("error {}{ulps}", short(worst.error));
    write_wrapped(", ", &[format!("  worst{place} a {a}"), format!("b {b}"), error], out)?;
    if entries.count > 1 {
        let mean = format!("  |a − b|: mean {}", short(entries.mean));
        let [median, p90, p99, max] = entries.quantiles.map(short);
        let quantiles = [
            format!("median {median}"),
            format!("90th percentile {p90}"),
            format!("99th {p99}"),
            format!("maximum {max}"),
        ];
        write_wrapped(", ", &[&[mean][..], &quantiles].concat(), out)?;
    }
    writeln!(out, "  {}", describe_ulps(pair, entries))?;
    let share =
        (entries.count > 1 && entries.outside > 0).then(|| format!("{} of the entries agree", percent_within(entries)));
    let clauses: Vec<String> = share.into_iter().chain([describe_smallest(entries)]).collect();
    write_wrapped(", ", &indent(clauses), out)?;
    if entries.count > 1 {
        write_wrapped(", ", &indent(describe_similarity(entries)), out)?;
    }
    match &entries.top {
        Some(top) => write_wrapped(", ", &indent(describe_top(top)), out),
        None => Ok(()),
    }
}

/// Indents the first of several clauses.
fn indent(mut clauses: Vec<String>) -> Vec<String> {
    if let Some(first) = clauses.first_mut() {
        first.insert_str(0, "  ");
    }
    clauses
}

/// Writes clauses, in as many lines as the width requires.
fn write_wrapped(separator: &str, clauses: &[String], out: &mut dyn io::Write) -> io::Result<()> {
    let mut line = String::new();
    for (n, clause) in clauses.iter().enumerate() {
        let end = if n + 1 < clauses.len() { separator.trim_end() } else { "" };
        if n > 0 && line.chars().count() + clause.chars().count() + end.len() > LINE_WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            line = "    ".to_owned();
        }
        line.push_str(clause);
        if n + 1 < clauses.len() {
            line.push_str(separator);
        }
    }
    writeln!(out, "{line}")
}

/// Returns the rule by which entries agree, in clauses.
fn describe_tolerance(tolerance: &Tolerance) -> Vec<String> {
    let formula = format!("|a − b| ≤ {:?} + {:?}·|b|", tolerance.atol, tolerance.rtol);
    let ulps = tolerance.ulp.map(|ulp| format!("at most {ulp} ulp of {} apart", tolerance.float_type.name()));
    match ulps {
        Some(ulps) if tolerance.atol == 0.0 && tolerance.rtol == 0.0 => vec![ulps],
        Some(ulps) => vec![formula, format!("or {ulps}")],
        None => vec![formula],
    }
}

/// Returns a clause about axes that are exchanged, or a shape that is another one's.
fn describe_rearrangement(comparison: &ArrayComparison) -> Option<String> {
    match comparison.exchanged_axes {
        Some(_) if comparison.a.len() == 2 => Some("a is b transposed".to_owned()),
        Some([first, second]) => Some(format!("a is b with the axes {first} and {second} exchanged")),
        None => comparison.is_reshaped.then(|| "the entries agree in order".to_owned()),
    }
}

fn describe_ulps(pair: &ArrayPair, entries: &EntryStatistics) -> String {
    let unit = pair.comparison.tolerance.float_type;
    let reason = match pair.types {
        [a, b] if a == b => String::new(),
        [a, b] => format!(" (a is {}, b is {})", a.name(), b.name()),
    };
    match entries.ulps {
        Some(ulps) => format!("maximum distance {ulps} ulp of {}{reason}", unit.name()),
        None => format!("no distance in ulps of {}, because an entry is not finite{reason}", unit.name()),
    }
}

fn describe_smallest(entries: &EntryStatistics) -> String {
    let (rtol, atol) = (entries.smallest_rtol, entries.smallest_atol);
    match (rtol.is_finite(), atol.is_finite()) {
        (true, true) => {
            format!("would pass with rtol {} or atol {} alone", format_short_up(rtol), format_short_up(atol))
        }
        (false, true) => format!("would pass with atol {} alone, and with no rtol", format_short_up(atol)),
        (true, false) => format!("would pass with rtol {} alone, and with no atol", format_short_up(rtol)),
        (false, false) => "would pass with no tolerance".to_owned(),
    }
}

/// Returns the share of entries within the tolerance, rounded down so that 100 % are all.
fn percent_within(entries: &EntryStatistics) -> String {
    let per_mille = (entries.count - entries.outside).saturating_mul(1000) / entries.count.max(1);
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// Returns cosine and correlation, or why there are none.
fn describe_similarity(entries: &EntryStatistics) -> Vec<String> {
    let Some(Similarity { cosine, correlation }) = entries.similarity else { return vec![] };
    let describe = |name: &str, value: Result<f64, Undefined>| match value {
        Ok(value) => format!("{name} {}", format_number(value)),
        Err(undefined) => format!("no {name} because {}", undefined.reason()),
    };
    vec![describe("cosine", cosine), describe("correlation", correlation)]
}

fn describe_top(top: &TopAgreement) -> Vec<String> {
    let rows = format_count(top.rows, "row");
    let mut clauses = vec![format!("the largest entry is at the same place in {} of {rows}", top.agreeing)];
    if top.tied > 0 {
        clauses.push(format!("{} with ties, of which one has to agree", top.tied));
    }
    if top.nan > 0 {
        clauses.push(format!("{} with NaN left out", format_count(top.nan, "row")));
    }
    clauses
}

/// Writes one object, on one line or indented.
pub fn write_as_json(comparison: &DocumentComparison, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let pairs = comparison.ordered_pairs().into_iter();
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

fn pair_to_json(name: Option<&Name>, pair: &ArrayPair) -> Value {
    let ArrayPair { types: [type_a, type_b], comparison } = pair;
    let mut object = Map::new();
    let mut insert = |key: &str, value: Value| object.insert(key.to_owned(), value);
    insert("name", json!(name.map(Name::as_str)));
    insert("verdict", json!(pass_or_fail(comparison.agrees())));
    insert("shape_a", json!(comparison.a));
    insert("shape_b", json!(comparison.b));
    insert("type_a", json!(type_a.name()));
    insert("type_b", json!(type_b.name()));
    insert("transposed", json!(comparison.exchanged_axes.is_some()));
    insert("exchanged_axes", json!(comparison.exchanged_axes));
    insert("atol", json_number(comparison.tolerance.atol));
    insert("rtol", json_number(comparison.tolerance.rtol));
    insert("ulp", json!(comparison.tolerance.ulp));
    insert("ulp_type", json!(comparison.tolerance.float_type.name()));
    if let Some(entries) = &comparison.entries {
        let [median, p90, p99, max] = entries.quantiles.map(json_number);
        insert("entries", json!(entries.count));
        insert("outside", json!(entries.outside));
        insert("within", json_number(share_within(entries)));
        insert("nan", json!(entries.nan));
        insert("mean", json_number(entries.mean));
        insert("quantiles", json!({"50": median, "90": p90, "99": p99, "100": max}));
        insert("max_ulp", json!(entries.ulps));
        insert("smallest_rtol", json_number(entries.smallest_rtol));
        insert("smallest_atol", json_number(entries.smallest_atol));
        let similarity = |value: fn(&Similarity) -> Option<f64>| {
            json_number(entries.similarity.as_ref().and_then(value).unwrap_or(f64::NAN))
        };
        insert("cosine", similarity(|similarity| similarity.cosine.ok()));
        insert("correlation", similarity(|similarity| similarity.correlation.ok()));
        let undefined = entries.similarity.as_ref().and_then(|similarity| similarity.correlation.err());
        insert("undefined", json!(undefined.map(Undefined::reason)));
        let top =
            entries.top.map(|top| json!({"rows": top.rows, "agree": top.agreeing, "tied": top.tied, "nan": top.nan}));
        insert("top1", top.unwrap_or_default());
        let worst = entries.worst.as_ref().map(|worst| {
            let [a, b, error] = [worst.a, worst.b, worst.error].map(json_number);
            json!({"index": worst.index, "a": a, "b": b, "error": error, "ulp": worst.ulps})
        });
        insert("worst", worst.unwrap_or_default());
    }
    object.into()
}

/// Returns the share of entries within the tolerance; 1 for empty arrays, of which no entry differs.
#[allow(clippy::cast_precision_loss)] // counts of entries
fn share_within(entries: &EntryStatistics) -> f64 {
    if entries.count == 0 { 1.0 } else { (entries.count - entries.outside) as f64 / entries.count as f64 }
}
