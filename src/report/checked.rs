//! What a check found, in each form that it is reported in.

use super::{format_number, format_short, json_number, junit, tap, write_json};
use crate::check::{Baseline, CheckReport, EntryCheck, Finding, Verdict};
use crate::core::error::{format_index, format_shape};
use serde_json::{Value, json};
use std::io;

/// How a check is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For a reader: the worst first.
    Text,
    /// One object.
    Json {
        /// Indented.
        pretty: bool,
    },
    /// JUnit's XML, a test case a finding.
    Junit,
    /// Test Anything Protocol, a test a finding.
    Tap,
}

impl Form {
    /// The form of that name.
    pub fn named(name: &str) -> Option<Form> {
        match name {
            "text" => Some(Form::Text),
            "json" => Some(Form::Json { pretty: false }),
            "junit" => Some(Form::Junit),
            "tap" => Some(Form::Tap),
            _ => None,
        }
    }
}

/// Writes the report.
pub fn write(checked: &CheckReport, form: Form, out: &mut dyn io::Write) -> io::Result<()> {
    match form {
        Form::Text => text(checked, out),
        Form::Json { pretty } => write_json(&object(checked), pretty, out),
        Form::Junit => junit::write(checked, out),
        Form::Tap => tap::write(checked, out),
    }
}

fn text(checked: &CheckReport, out: &mut dyn io::Write) -> io::Result<()> {
    let mut findings: Vec<&Finding> = checked.findings.iter().collect();
    // Stable: within a verdict the order of output stays.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let mut left = findings.as_slice();
    while let [finding, rest @ ..] = left {
        // A result that passes both ways is one line.
        let twice = rest.first().filter(|next| {
            next.result == finding.result && next.verdict == Verdict::Pass && finding.verdict == Verdict::Pass
        });
        let also = twice.map_or_else(String::new, |next| format!("; with {}, {}", held(next.baseline), off(next)));
        left = if twice.is_some() { &rest[1..] } else { rest };
        writeln!(out, "{} {}: {}{also}", finding.verdict.as_str(), title(finding), summary(finding))?;
        for line in details(finding).into_iter().chain(twice.into_iter().flat_map(|next| details(next))) {
            writeln!(out, "  {line}")?;
        }
    }
    for note in &checked.notes {
        writeln!(out, "{note}")?;
    }
    if let Some(seed) = checked.seed {
        writeln!(out, "drawn with --seed {seed}")?;
    }
    writeln!(out, "{}: {}", checked.verdict().as_str(), conclusion(checked))
}

/// `dx (4×3)`.
pub(super) fn title(finding: &Finding) -> String {
    format!("{} {}", finding.result, format_shape(&finding.shape))
}

/// What was found, in half a line.
pub(super) fn summary(finding: &Finding) -> String {
    let held = held(finding.baseline);
    let total: usize = finding.shape.iter().product();
    let looked = match (finding.checked, finding.directions) {
        (n, 0) if n == total => format!("{} {}", if n == 1 { "the" } else { "all" }, entries(n)),
        (n, 0) => format!("{n} of {total} entries"),
        (n, directions) => format!("{n} of {total} entries and {directions} random directions"),
    };
    match (finding.verdict, &finding.worst) {
        (Verdict::Fail, None) => finding.notes.first().cloned().unwrap_or_default(),
        (Verdict::Fail, _) => {
            let are = if finding.wrong == 1 { "differs" } else { "differ" };
            let all = finding.checked + finding.directions;
            format!("{} of {all} looked at {are} from {held}", finding.wrong)
        }
        (Verdict::Inconclusive, _) => "cannot be decided".to_owned(),
        (Verdict::Pass, _) if total == 0 => "empty".to_owned(),
        (Verdict::Pass, _) => {
            let agree = if finding.checked == 1 && finding.directions == 0 { "agrees" } else { "agree" };
            format!("{looked} {agree} with {held}, {}", off(finding))
        }
    }
}

fn held(against: Baseline) -> &'static str {
    match against {
        Baseline::NumericalGradient => "differences",
        Baseline::Reference => "nnlayer",
    }
}

fn off(finding: &Finding) -> String {
    match finding.worst.as_ref().map_or(0.0, |worst| (worst.analytic - worst.numeric).abs()) {
        0.0 => "to the last digit".to_owned(),
        off => format!("off by {} at most", format_short(off)),
    }
}

fn entries(count: usize) -> String {
    if count == 1 { "entry".to_owned() } else { format!("{count} entries") }
}

/// What else is known, a line each.
pub(super) fn details(finding: &Finding) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Verdict::Fail | Verdict::Inconclusive, Some(worst)) = (finding.verdict, &finding.worst) {
        lines.push(worst_line(worst, finding.baseline));
    }
    lines.extend(finding.diagnoses.iter().map(|diagnosis| diagnosis.explanation.clone()));
    let said = if finding.verdict == Verdict::Fail && finding.worst.is_none() { 1 } else { 0 };
    lines.extend(finding.notes.iter().skip(said).cloned());
    if !finding.unnoticed.is_empty() {
        lines.push(format!("this check would not notice {}", finding.unnoticed.join(", ")));
    }
    lines
}

fn worst_line(worst: &EntryCheck, against: Baseline) -> String {
    let place = match &worst.index {
        Some(at) if at.is_empty() => "it is".to_owned(),
        Some(at) => format!("worst at {}:", format_index(at)),
        None => "worst in a random direction:".to_owned(),
    };
    let other = match against {
        Baseline::Reference => format!("nnlayer has {}", format_number(worst.numeric)),
        Baseline::NumericalGradient if worst.step == 0.0 => format!("{} is right", format_number(worst.numeric)),
        Baseline::NumericalGradient => {
            let bar = format_short(worst.error_bar);
            format!("differences say {} ± {bar} (step {})", digits(worst), format_short(worst.step))
        }
    };
    format!("{place} {}, {other}", format_number(worst.analytic))
}

/// The digits of a numeric value that its error bar leaves, two more than are sure.
fn digits(worst: &EntryCheck) -> String {
    let value = worst.numeric;
    let sure = libm::log10(value.abs() / worst.error_bar);
    if !sure.is_finite() || sure > 14.0 {
        return format_number(value);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and 16
    let places = (sure + 1.0).clamp(1.0, 16.0) as usize;
    format_number(format!("{value:.places$e}").parse().unwrap_or(value))
}

fn conclusion(checked: &CheckReport) -> String {
    let wrong: Vec<String> = names(checked, Verdict::Fail);
    let open: Vec<String> = names(checked, Verdict::Inconclusive);
    match checked.verdict() {
        Verdict::Pass => match checked.findings.len() {
            0 => "nothing was checked".to_owned(),
            _ => format!("{} right", listed(&names(checked, Verdict::Pass), checked)),
        },
        Verdict::Inconclusive if open.is_empty() => format!("nothing of {} could be checked", checked.layer),
        Verdict::Inconclusive => format!("{} of {} cannot be decided", open.join(", "), checked.layer),
        Verdict::Fail => format!("{} wrong{}", listed(&wrong, checked), blame(checked)),
    }
}

/// `dx of softmax is`, `dx, dw of affine are`.
fn listed(names: &[String], checked: &CheckReport) -> String {
    format!("{} of {} {}", names.join(", "), checked.layer, if names.len() == 1 { "is" } else { "are" })
}

/// Results with that verdict, each once.
fn names(checked: &CheckReport, verdict: Verdict) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for finding in checked.findings.iter().filter(|finding| finding.verdict == verdict) {
        if !names.contains(&finding.result.to_string()) {
            names.push(finding.result.to_string());
        }
    }
    names
}

/// Where a gradient is that of a wrong forward pass.
fn blame(checked: &CheckReport) -> &'static str {
    let by_differences = |finding: &&Finding| finding.is_gradient && finding.baseline == Baseline::NumericalGradient;
    let mut gradients = checked.findings.iter().filter(by_differences).peekable();
    if !checked.differentiates_implementation || !checked.has_wrong_forward() || gradients.peek().is_none() {
        return "";
    }
    if gradients.all(|finding| finding.verdict == Verdict::Pass) {
        ": the forward pass is wrong, and the gradients are its right gradients"
    } else {
        ": the forward pass and the backward pass"
    }
}

fn object(checked: &CheckReport) -> Value {
    json!({
        "verdict": checked.verdict().as_str(),
        "layer": checked.layer,
        "findings": checked.findings.iter().map(finding_object).collect::<Vec<_>>(),
        "notes": checked.notes,
        "seed": checked.seed,
    })
}

fn finding_object(finding: &Finding) -> Value {
    let worst = finding.worst.as_ref().map(|worst| {
        json!({
            "index": worst.index,
            "analytic": json_number(worst.analytic),
            "numeric": json_number(worst.numeric),
            "error_bar": json_number(worst.error_bar),
            "allowed": json_number(worst.allowed),
            "step": json_number(worst.step),
        })
    });
    let diagnoses =
        finding.diagnoses.iter().map(|diagnosis| json!({"kind": diagnosis.kind, "words": diagnosis.explanation}));
    json!({
        "result": finding.result.as_str(),
        "against": finding.baseline.as_str(),
        "verdict": finding.verdict.as_str(),
        "shape": finding.shape,
        "checked": finding.checked,
        "directions": finding.directions,
        "wrong": finding.wrong,
        "worst": worst,
        "diagnoses": diagnoses.collect::<Vec<_>>(),
        "notes": finding.notes,
        "unnoticed": finding.unnoticed,
    })
}
