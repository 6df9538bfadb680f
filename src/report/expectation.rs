//! What became of somebody's answers, as text and as one JSON object.

use super::{format_number, format_short, json_number};
use crate::check::expect::GradedResult;
use crate::core::error::{format_index, format_shape};
use serde_json::{Map, Value, json};
use std::io;

/// So many wrong entries are shown.
const SHOWN: usize = 10;
/// So many are listed in JSON: more are never looked at.
pub const LISTED: usize = 1000;

/// A line an answer with its wrong entries below it, and a line at the end where there are several.
pub fn text(answers: &[GradedResult], out: &mut dyn io::Write) -> io::Result<()> {
    for answer in answers {
        let blank = if answer.blank > 0 { format!(", {} blank", answer.blank) } else { String::new() };
        let all = answer.right + answer.wrong;
        let what = match &answer.mismatch {
            Some(mismatch) => mismatch.describe(&answer.shape),
            None if answer.is_blank() => "left blank".to_owned(),
            None if answer.wrong == 0 && all == 1 => format!("right{blank}"),
            None if answer.wrong == 0 => format!("all {all} entries are right{blank}"),
            None => format!("{} of {all} entries {} wrong{blank}", answer.wrong, are(answer.wrong)),
        };
        writeln!(out, "{} {} {}: {what}", verdict(answer), answer.name, format_shape(&answer.shape))?;
        for wrong in answer.worst.iter().take(SHOWN) {
            let place =
                if wrong.index.is_empty() { String::new() } else { format!("{}: ", format_index(&wrong.index)) };
            let apart = format_short(wrong.error);
            writeln!(
                out,
                "  {place}yours {}, ours {}, apart by {apart}",
                format_number(wrong.yours),
                format_number(wrong.ours)
            )?;
        }
        if answer.wrong > SHOWN {
            writeln!(out, "  and {} more", answer.wrong - SHOWN)?;
        }
    }
    let wrong = answers.iter().filter(|answer| !answer.passes()).count();
    if answers.len() > 1 {
        let what = if wrong == 0 {
            format!("all {} results are right", answers.len())
        } else {
            format!("{wrong} of {} results {} wrong", answers.len(), are(wrong))
        };
        writeln!(out, "{}: {what}", if wrong == 0 { "PASS" } else { "FAIL" })?;
    }
    Ok(())
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn verdict(answer: &GradedResult) -> &'static str {
    if answer.is_blank() {
        "BLANK"
    } else if answer.passes() {
        "PASS"
    } else {
        "FAIL"
    }
}

/// One object on one line, or indented.
pub fn json(answers: &[GradedResult], pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let results: Map<String, Value> =
        answers.iter().map(|answer| (answer.name.to_string(), answer_json(answer))).collect();
    let good = answers.iter().all(GradedResult::passes);
    let object = json!({"verdict": if good { "PASS" } else { "FAIL" }, "results": results});
    super::write_json(&object, pretty, out)
}

fn answer_json(answer: &GradedResult) -> Value {
    let wrong = answer.worst.iter().take(LISTED).map(|wrong| {
        json!({"index": wrong.index, "yours": json_number(wrong.yours), "ours": json_number(wrong.ours), "error": json_number(wrong.error)})
    });
    json!({
        "verdict": verdict(answer),
        "shape": answer.shape,
        "right": answer.right,
        "blank": answer.blank,
        "wrong": answer.wrong,
        "misfit": answer.mismatch.as_ref().map(|mismatch| mismatch.describe(&answer.shape)),
        "entries": wrong.collect::<Value>(),
    })
}
