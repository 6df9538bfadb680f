//! Steps as text, as Markdown for notes, and as one JSON object.

use super::{ResultBlock, format_number, json_number};
use crate::core::error::format_shape;
use crate::steps::{Grade, GradeSummary, Section, Step};
use serde_json::{Value, json};
use std::io;

/// How steps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines whose signs stand below each other.
    Text,
    /// Headings and tables.
    Markdown,
}

/// A result and the steps to it.
pub struct WorkedResult {
    /// The layer, in a chain.
    pub layer: Option<String>,
    /// The result.
    pub block: ResultBlock,
    /// The steps.
    pub section: Section,
}

/// Writes all steps, result by result, and what became of somebody's numbers for them.
pub fn write(
    worked: &[WorkedResult],
    tally: Option<&GradeSummary>,
    form: Form,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let first = tally.and_then(|tally| tally.first);
    for (n, worked) in worked.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        let departs = first.filter(|(section, _)| *section == n).map(|(_, step)| step);
        match form {
            Form::Text => text(worked, departs, out)?,
            Form::Markdown => markdown(worked, departs, tally.is_some(), out)?,
        }
    }
    match tally {
        Some(tally) => writeln!(out, "\n{}", verdict(worked, tally)),
        None => Ok(()),
    }
}

fn verdict(worked: &[WorkedResult], tally: &GradeSummary) -> String {
    let steps = if tally.compared == 1 { "step" } else { "steps" };
    match tally.first {
        None => format!("PASS: {} {steps} that you wrote, all right", tally.compared),
        Some((section, step)) => {
            let step = &worked[section].section.steps[step];
            let ours = format_number(step.value);
            let first = match &step.grade {
                Some(Grade::Wrong(yours)) => format!("{}: yours {}, ours {ours}", step.label(), format_number(*yours)),
                Some(Grade::Mismatch(mismatch, ours)) => format!("{}: {}", step.name, mismatch.describe(ours)),
                _ => step.label(),
            };
            let count = tally.compared;
            format!("FAIL: {} of {count} {steps} that you wrote differ, first {first}", tally.wrong)
        }
    }
}

/// What is said of somebody's number for a step.
fn said(step: &Step, departs: bool) -> Option<String> {
    let here = if departs { ": here yours departs" } else { "" };
    Some(match step.grade.as_ref()? {
        Grade::Right => "✓".to_owned(),
        Grade::Wrong(yours) => format!("✗ yours {}{here}", format_number(*yours)),
        Grade::Mismatch(mismatch, ours) => format!("✗ {}{here}", mismatch.describe(ours)),
    })
}

/// `y = x·W + b  (3×3)`.
fn title(worked: &WorkedResult) -> String {
    let WorkedResult { layer, block, .. } = worked;
    let name = layer.as_ref().map_or_else(|| block.name.clone(), |layer| block.name.in_layer(layer));
    format!("{name} = {}  ({})", block.formula, format_shape(block.value.shape()).trim_matches(['(', ')']))
}

/// `with e = e^(x − max), sum = Σ e`.
fn meanings(section: &Section) -> Option<String> {
    let all: Vec<String> = section.meanings().iter().map(|(name, meaning)| format!("{name} = {meaning}")).collect();
    (!all.is_empty()).then(|| format!("with {}", all.join(", ")))
}

fn left_out(section: &Section) -> Option<String> {
    match section.count_hidden_entries() {
        0 => None,
        1 => Some(format!("… and 1 more entry of {}", section.name)),
        n => Some(format!("… and {n} more entries of {}", section.name)),
    }
}

/// `=` where the numbers stand there as they are, `≈` where some were rounded to be written.
fn sign(step: &Step) -> &'static str {
    if step.exact || step.arithmetic.is_none() { "=" } else { "≈" }
}

fn text(worked: &WorkedResult, departs: Option<usize>, out: &mut dyn io::Write) -> io::Result<()> {
    let section = &worked.section;
    if let Some(before) = &worked.block.before {
        writeln!(out, "{before}\n")?;
    }
    writeln!(out, "{}", title(worked))?;
    if let Some(meanings) = meanings(section) {
        writeln!(out, "{meanings}")?;
    }
    let (shown, hidden) = section.steps.split_at(section.shown);
    let line = |n: usize, step: &Step, line: String| {
        let said = said(step, departs == Some(n)).map_or_else(String::new, |said| format!("  {said}"));
        format!("  {line} {} {}{said}", sign(step), step.written)
    };
    for (n, (step, before)) in shown.iter().zip(lines(shown)).enumerate() {
        writeln!(out, "{}", line(n, step, before))?;
    }
    if let Some(left_out) = left_out(section) {
        writeln!(out, "  {left_out}")?;
    }
    if let Some((n, step)) = departing(hidden, section.shown, departs) {
        writeln!(out, "{}", line(n, step, step.label()))?;
    }
    Ok(())
}

/// The step where somebody's chain departs, where it is not among those that are shown.
fn departing(hidden: &[Step], shown: usize, departs: Option<usize>) -> Option<(usize, &Step)> {
    let n = departs?;
    Some((n, hidden.get(n.checked_sub(shown)?)?))
}

/// What stands before the last sign of each line. Names end below each other, and so does the arithmetic of entries of one
/// array that follow each other.
fn lines(steps: &[Step]) -> Vec<String> {
    let width = |text: &str| text.chars().count();
    let names = steps.iter().map(|step| width(&step.label())).max().unwrap_or(0);
    let mut lines = Vec::new();
    for run in steps.chunk_by(|a, b| a.name == b.name) {
        let widest = run.iter().filter_map(|step| step.arithmetic.as_deref()).map(width).max().unwrap_or(0);
        lines.extend(run.iter().map(|step| match &step.arithmetic {
            Some(arithmetic) => format!("{:<names$} = {arithmetic:<widest$}", step.label()),
            None => format!("{:<names$}", step.label()),
        }));
    }
    lines
}

fn markdown(worked: &WorkedResult, departs: Option<usize>, marked: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let section = &worked.section;
    writeln!(out, "### {}\n", title(worked))?;
    for said in worked.block.before.iter().cloned().chain(meanings(section)) {
        writeln!(out, "{said}\n")?;
    }
    let (head, rule) = if marked { (" yours |", ":--|") } else { ("", "") };
    writeln!(out, "| entry | arithmetic | value |{head}\n|:--|:--|:--|{rule}")?;
    let (shown, hidden) = section.steps.split_at(section.shown);
    for (n, step) in shown.iter().enumerate().chain(departing(hidden, section.shown, departs)) {
        let arithmetic = step.arithmetic.as_ref().map_or_else(String::new, |made| format!("`{made}`"));
        let said = said(step, departs == Some(n)).unwrap_or_default();
        let said = if marked { format!(" {said} |") } else { String::new() };
        writeln!(out, "| `{}` | {arithmetic} | {} {} |{said}", step.label(), sign(step), step.written)?;
    }
    match left_out(section) {
        Some(left_out) => writeln!(out, "\n{left_out}"),
        None => Ok(()),
    }
}

/// One object on one line, or indented.
pub fn json(
    worked: &[WorkedResult],
    tally: Option<&GradeSummary>,
    pretty: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let all: Vec<Value> = worked.iter().map(section_json).collect();
    let mut object = json!({ "steps": all });
    if let Some(tally) = tally {
        let first = tally.first.map(|(section, step)| step_json(&worked[section].section.steps[step]));
        object["verdict"] = Value::from(if first.is_none() { "PASS" } else { "FAIL" });
        object["compared"] = Value::from(tally.compared);
        object["wrong"] = Value::from(tally.wrong);
        object["first"] = first.unwrap_or_default();
    }
    super::write_json(&object, pretty, out)
}

fn section_json(worked: &WorkedResult) -> Value {
    let WorkedResult { layer, block, section } = worked;
    let meanings: serde_json::Map<String, Value> =
        section.meanings().iter().map(|(name, meaning)| ((*name).to_owned(), Value::from(*meaning))).collect();
    let mut object = json!({
        "result": block.name.as_str(),
        "formula": block.formula,
        "shape": section.shape,
        "names": meanings,
        "steps": section.steps[..section.shown].iter().map(step_json).collect::<Value>(),
        "left_out": section.count_hidden_entries(),
    });
    if let Some(layer) = layer {
        object["layer"] = Value::from(layer.as_str());
    }
    object
}

fn step_json(step: &Step) -> Value {
    let mut object = json!({
        "name": step.name.as_str(),
        "index": step.index,
        "arithmetic": step.arithmetic,
        "value": json_number(step.value),
    });
    match &step.grade {
        Some(Grade::Right) => object["right"] = Value::from(true),
        Some(Grade::Wrong(yours)) => {
            object["right"] = Value::from(false);
            object["yours"] = json_number(*yours);
        }
        Some(Grade::Mismatch(mismatch, ours)) => {
            object["right"] = Value::from(false);
            object["misfit"] = Value::from(mismatch.describe(ours));
        }
        None => {}
    }
    object
}
