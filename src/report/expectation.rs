//! The report of a comparison of results with expected values.

use super::notation::Digits;
use super::numbers::{format_number, format_short, is_or_are, json_number, pass_or_fail, write_json};
use crate::check::expect::GradedResult;
use crate::core::error::{format_index, format_shape};
use crate::core::language::translate;
use serde_json::{Map, Value, json};
use std::io;

/// Number of wrong entries per result that text shows.
const MAX_SHOWN_ENTRIES: usize = 10;
/// Number of wrong entries per result that JSON lists.
pub const MAX_LISTED_ENTRIES: usize = 1000;

/// Writes a line per result with its wrong entries below it, and a last line with the verdict on several results.
pub fn write_text(results: &[GradedResult], digits: Digits, out: &mut dyn io::Write) -> io::Result<()> {
    for result in results {
        let blank = if result.blank > 0 { format!(", {} blank", result.blank) } else { String::new() };
        let total = result.right + result.wrong;
        let what = match &result.mismatch {
            Some(mismatch) => mismatch.describe(&result.shape),
            None if result.is_blank() => "left blank".to_owned(),
            None if result.wrong == 0 && total == 1 => format!("right{blank}"),
            None if result.wrong == 0 => format!("all {total} entries are right{blank}"),
            None => format!("{} of {total} entries {} wrong{blank}", result.wrong, is_or_are(result.wrong)),
        };
        writeln!(
            out,
            "{} {} {}: {}",
            verdict(result),
            result.name,
            translate(&format_shape(&result.shape)),
            translate(&what)
        )?;
        for wrong in result.worst.iter().take(MAX_SHOWN_ENTRIES) {
            let place = match wrong.index.as_slice() {
                [] => String::new(),
                index => format!("{}: ", format_index(index)),
            };
            let [yours, ours] = [wrong.yours, wrong.ours].map(|value| format_number(digits.round(value)));
            let line = format!("yours {yours}, ours {ours}, error {}", format_short(wrong.error));
            writeln!(out, "  {place}{}", translate(&line))?;
        }
        if result.wrong > MAX_SHOWN_ENTRIES {
            writeln!(out, "  {}", translate(&format!("and {} more", result.wrong - MAX_SHOWN_ENTRIES)))?;
        }
        for diagnosis in &result.diagnoses {
            writeln!(out, "  {}", translate(&diagnosis.explanation))?;
        }
    }
    if results.len() > 1 {
        let wrong = results.iter().filter(|result| !result.passes()).count();
        let line = match wrong {
            0 => format!("PASS: all {} results are right", results.len()),
            _ => format!("FAIL: {wrong} of {} results {} wrong", results.len(), is_or_are(wrong)),
        };
        writeln!(out, "{}", translate(&line))?;
    }
    Ok(())
}

fn verdict(result: &GradedResult) -> &'static str {
    if result.is_blank() { "BLANK" } else { pass_or_fail(result.passes()) }
}

/// Writes one object, on one line or indented.
pub fn write_as_json(results: &[GradedResult], pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let by_name: Map<String, Value> =
        results.iter().map(|result| (result.name.as_str().to_owned(), result_to_json(result))).collect();
    let verdict = pass_or_fail(results.iter().all(GradedResult::passes));
    let object = json!({"verdict": verdict, "results": by_name});
    write_json(&object, pretty, out)
}

fn result_to_json(result: &GradedResult) -> Value {
    let wrong = result.worst.iter().take(MAX_LISTED_ENTRIES).map(|wrong| {
        let [yours, ours, error] = [wrong.yours, wrong.ours, wrong.error].map(json_number);
        json!({"index": wrong.index, "yours": yours, "ours": ours, "error": error})
    });
    let diagnoses =
        result.diagnoses.iter().map(|diagnosis| json!({"kind": diagnosis.kind, "words": diagnosis.explanation}));
    json!({
        "verdict": verdict(result),
        "shape": result.shape,
        "right": result.right,
        "blank": result.blank,
        "wrong": result.wrong,
        "misfit": result.mismatch.as_ref().map(|mismatch| mismatch.describe(&result.shape)),
        "entries": wrong.collect::<Value>(),
        "diagnoses": diagnoses.collect::<Value>(),
    })
}
