//! The report of the arithmetic step by step.

pub use super::step_lines::WorkedResult;

use super::fold::fold;
use super::latex;
use super::markdown;
use super::notation::Digits;
use super::numbers::{differ, format_number, json_number, pass_or_fail, write_json};
pub(crate) use super::step_lines::equality_sign;
use super::step_lines::{definitions, describe_grade, hidden_entries};
use crate::core::language::translate;
use crate::steps::{Grade, GradeSummary, Markup, Notation, Step};
use serde_json::{Map, Value, json};
use std::io;
use unicode_width::UnicodeWidthStr;

/// Format of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepsFormat {
    /// Lines of text with aligned signs.
    Text,
    /// Headings and tables.
    Markdown,
    /// A document of formulas.
    Latex,
}

impl StepsFormat {
    /// Returns the notation of the arithmetic.
    pub fn notation(self, digits: Digits) -> Notation {
        let markup = match self {
            StepsFormat::Text | StepsFormat::Markdown => Markup::Text,
            StepsFormat::Latex => Markup::Latex,
        };
        let digits = match digits {
            Digits::Numpy => None,
            Digits::Significant(digits) => Some(digits),
        };
        Notation { markup, digits }
    }
}

/// Largest width of a line, in columns, if neither the environment nor the terminal says one.
const DEFAULT_WIDTH: usize = 100;

/// Writes the steps of every result, and the verdict on the user's numbers. Text is folded at `columns`.
pub fn write(
    results: &[WorkedResult],
    grades: Option<&GradeSummary>,
    format: StepsFormat,
    columns: Option<usize>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let max_width = columns.unwrap_or(DEFAULT_WIDTH);
    let first = grades.and_then(|grades| grades.first);
    let is_latex = format == StepsFormat::Latex;
    if is_latex {
        out.write_all(latex::PREAMBLE.as_bytes())?;
    }
    for (n, worked) in results.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        let first_wrong = first.filter(|(section, _)| *section == n).map(|(_, step)| step);
        match format {
            StepsFormat::Text => write_text(worked, first_wrong, max_width, out)?,
            StepsFormat::Markdown => markdown::write(worked, first_wrong, grades.is_some(), out)?,
            StepsFormat::Latex => latex::write(worked, first_wrong, out)?,
        }
    }
    let verdict = grades.map(|grades| translate(&verdict(results, grades)).into_owned());
    match verdict {
        Some(verdict) if is_latex => writeln!(out, "\n{}", latex::to_latex(&verdict))?,
        Some(verdict) => writeln!(out, "\n{verdict}")?,
        None => (),
    }
    if is_latex { out.write_all(latex::END.as_bytes()) } else { Ok(()) }
}

fn verdict(results: &[WorkedResult], grades: &GradeSummary) -> String {
    let count = grades.compared;
    let Some((section, step)) = grades.first else {
        return match count {
            1 => "PASS: your step is right".to_owned(),
            _ => format!("PASS: all your {count} steps are right"),
        };
    };
    let step = &results[section].section.steps[step];
    let first = match &step.grade {
        Some(Grade::Wrong(yours)) => {
            format!("{}: yours {}, ours {}", step.label(), format_number(*yours), format_number(step.value))
        }
        Some(Grade::Mismatch(mismatch, ours)) => format!("{}: {}", step.name, mismatch.describe(ours)),
        _ => step.label(),
    };
    let (wrong, differ) = (grades.wrong, differ(grades.wrong));
    format!("FAIL: {wrong} of your {count} steps {differ}; first difference: {first}")
}

fn write_text(
    worked: &WorkedResult,
    first_wrong: Option<usize>,
    max_width: usize,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let section = &worked.section;
    if let Some(before) = &worked.block.header.before {
        writeln!(out, "{}\n", translate(before))?;
    }
    for text in std::iter::once(worked.title()).chain(definitions(section)) {
        writeln!(out, "{}", fold(&text, 2, max_width).join("\n"))?;
    }
    let visible: Vec<(usize, &Step)> = worked.visible_steps(first_wrong).collect();
    let shown: Vec<&Step> = visible.iter().filter(|(n, _)| *n < section.shown).map(|(_, step)| *step).collect();
    let left_sides = align_left_sides(&shown, max_width);
    let indent = 5 + name_width(&shown);
    let mut hidden = hidden_entries(section);
    let mut next = 0;
    for (line, (n, step)) in visible.into_iter().enumerate() {
        if n > next && n < section.shown {
            writeln!(out, "  …")?;
        }
        next = n + 1;
        let left_side = left_sides.get(line).cloned().unwrap_or_else(|| step.label());
        if n >= section.shown
            && let Some(line) = hidden.take()
        {
            writeln!(out, "  {line}")?;
        }
        let grade = describe_grade(step, first_wrong == Some(n)).map_or_else(String::new, |grade| format!("  {grade}"));
        let text = format!("  {left_side} {} {}{grade}", equality_sign(step), step.written);
        writeln!(out, "{}", fold(&text, indent, max_width).join("\n"))?;
    }
    hidden.map_or(Ok(()), |line| writeln!(out, "  {line}"))
}

/// Returns the width of the longest name.
fn name_width(steps: &[&Step]) -> usize {
    steps.iter().map(|step| step.label().width()).max().unwrap_or(0)
}

/// Returns the text before the last sign of each line: names padded to one width, and arithmetic padded to one width per
/// array, unless that makes a line too wide.
fn align_left_sides(steps: &[&Step], max_width: usize) -> Vec<String> {
    let width = |text: &str| text.width();
    let pad = |text: &str, width: usize| format!("{text}{}", " ".repeat(width.saturating_sub(text.width())));
    let name_width = name_width(steps);
    let mut lines = Vec::new();
    for run in steps.chunk_by(|a, b| a.name == b.name) {
        let arithmetic_width = run.iter().filter_map(|step| step.arithmetic.as_deref()).map(width).max().unwrap_or(0);
        let value_width = run.iter().map(|step| width(&step.written)).max().unwrap_or(0);
        // Blanks and signs between the parts take eight columns.
        let fits = name_width + arithmetic_width + value_width + 8 <= max_width;
        let arithmetic_width = if fits { arithmetic_width } else { 0 };
        lines.extend(run.iter().map(|step| match &step.arithmetic {
            Some(arithmetic) => format!("{:<name_width$} = {}", step.label(), pad(arithmetic, arithmetic_width)),
            None => format!("{:<name_width$}", step.label()),
        }));
    }
    lines
}

/// Writes one object, on one line or indented.
pub fn write_as_json(
    results: &[WorkedResult],
    grades: Option<&GradeSummary>,
    pretty: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut object = json!({ "steps": results.iter().map(result_to_json).collect::<Vec<Value>>() });
    if let Some(grades) = grades {
        let first = grades.first.map(|(section, step)| step_to_json(&results[section].section.steps[step]));
        object["verdict"] = Value::from(pass_or_fail(first.is_none()));
        object["compared"] = Value::from(grades.compared);
        object["wrong"] = Value::from(grades.wrong);
        object["first"] = first.unwrap_or_default();
    }
    write_json(&object, pretty, out)
}

fn result_to_json(worked: &WorkedResult) -> Value {
    let WorkedResult { layer, block, section } = worked;
    let meanings: Map<String, Value> =
        section.meanings().iter().map(|(name, meaning)| ((*name).to_owned(), Value::from(*meaning))).collect();
    let mut object = json!({
        "result": block.header.name.as_str(),
        "formula": block.header.formula,
        "shape": section.shape,
        "names": meanings,
        "steps": section.steps[..section.shown].iter().map(step_to_json).collect::<Value>(),
        "left_out": section.count_hidden_entries(),
    });
    if let Some(layer) = layer {
        object["layer"] = Value::from(layer.as_str());
    }
    object
}

fn step_to_json(step: &Step) -> Value {
    let mut object = json!({
        "name": step.name.as_str(),
        "index": step.index,
        "arithmetic": step.arithmetic,
        "value": json_number(step.value),
    });
    if let Some(grade) = &step.grade {
        object["right"] = Value::from(*grade == Grade::Right);
    }
    match &step.grade {
        Some(Grade::Wrong(yours)) => object["yours"] = json_number(*yours),
        Some(Grade::Mismatch(mismatch, ours)) => object["misfit"] = Value::from(mismatch.describe(ours)),
        Some(Grade::Right) | None => {}
    }
    object
}
