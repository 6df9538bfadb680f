//! The sentences of a check's report.

use super::numbers::{differ, format_number, format_short, is_or_are};
use crate::check::{Accuracy, Baseline, CheckReport, EntryCheck, Finding, Verdict};
use crate::core::error::{format_index, format_shape};
use crate::core::language::{list, phrase, translate};
use std::io;

/// Returns the result and its shape: `dx (4×3)`.
pub(super) fn title(finding: &Finding) -> String {
    format!("{} {}", finding.result, translate(&format_shape(&finding.shape)))
}

/// Summarizes a finding in half a line.
pub(super) fn summary(finding: &Finding) -> String {
    let total: usize = finding.shape.iter().product();
    match (finding.verdict, &finding.worst) {
        (Verdict::Fail, None) => finding.notes.first().cloned().unwrap_or_default(),
        (Verdict::Fail, _) => {
            let checked = finding.checked + finding.directions;
            let what = if finding.directions > 0 { "entries and directions" } else { "entries" };
            let (wrong, differ) = (finding.wrong, differ(finding.wrong));
            format!("{wrong} of {checked} checked {what} {differ} from {}", baseline(finding.baseline))
        }
        (Verdict::Inconclusive, _) => "cannot be decided".to_owned(),
        (Verdict::Pass, _) if total == 0 => "has no entries".to_owned(),
        (Verdict::Pass, _) => {
            let checked = match (finding.checked, finding.directions) {
                (1, 0) if total == 1 => "the entry".to_owned(),
                (n, 0) if n == total => format!("all {n} entries"),
                (n, 0) => format!("{n} of {total} entries"),
                (n, directions) => format!("{n} of {total} entries and {directions} random directions"),
            };
            let agree = if finding.checked == 1 && finding.directions == 0 { "agrees" } else { "agree" };
            format!("{checked} {agree} {}", describe_agreement(finding))
        }
    }
}

fn baseline(baseline: Baseline) -> &'static str {
    match baseline {
        Baseline::NumericalGradient => "the numerical gradient",
        Baseline::Reference => "nnlayer",
    }
}

/// Returns how well entries agree with their baseline.
pub(super) fn describe_agreement(finding: &Finding) -> String {
    let baseline = baseline(finding.baseline);
    let error = |worst: &EntryCheck| (worst.analytic - worst.numeric).abs();
    let worst = finding.worst.as_ref().map_or(0.0, error);
    match finding.accuracy.map_or(worst, |accuracy| accuracy.atol.max(worst)) {
        0.0 => format!("exactly with {baseline}"),
        error => format!("with {baseline} (maximum error {})", format_short(error)),
    }
}

/// Says that a wrong result agrees with its other baseline.
pub(super) fn describe_other(finding: &Finding) -> String {
    let own = "the numerical gradient of the program's own forward pass";
    let agreement = describe_agreement(finding).replace(baseline(Baseline::NumericalGradient), own);
    phrase("it agrees {}", &[&translate(&agreement)])
}

/// Returns further lines about a finding.
pub(super) fn details(finding: &Finding) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Verdict::Fail | Verdict::Inconclusive, Some(worst)) = (finding.verdict, &finding.worst) {
        lines.push(describe_worst(worst, finding.baseline));
    }
    lines.extend(finding.accuracy.as_ref().and_then(|accuracy| describe_accuracy(accuracy, finding)));
    lines.extend(finding.diagnoses.iter().map(|diagnosis| diagnosis.explanation.clone()));
    let in_summary = usize::from(finding.verdict == Verdict::Fail && finding.worst.is_none());
    lines.extend(finding.notes.iter().skip(in_summary).cloned());
    lines.extend(finding.accuracy.as_ref().and_then(|accuracy| describe_sensitivity(accuracy, finding)));
    if !finding.unnoticed.is_empty() {
        lines.push(phrase("this check cannot detect {}", &[&list(&finding.unnoticed)]));
    }
    lines
}

/// Says how large the errors are, and which tolerances accept them.
fn describe_accuracy(accuracy: &Accuracy, finding: &Finding) -> Option<String> {
    if finding.verdict == Verdict::Inconclusive
        || finding.directions > 0
        || accuracy.atol == 0.0
        || accuracy.atol.is_infinite()
    {
        return None;
    }
    let rtol =
        if accuracy.rtol.is_finite() { format!("rtol {} or ", format_short(accuracy.rtol)) } else { String::new() };
    let tolerances = format!("{rtol}atol {}", format_short(accuracy.atol));
    let name = accuracy.float_type.name();
    Some(match (finding.verdict, finding.baseline) {
        (Verdict::Pass, Baseline::Reference) => format!(
            "largest error {} ulp of {name} ({} accepted); smallest tolerance that passes: {tolerances}",
            format_ulps(accuracy.ulps),
            format_ulps(accuracy.allowed_ulps)
        ),
        _ => format!("smallest tolerance that passes: {tolerances}"),
    })
}

fn format_ulps(ulps: f64) -> String {
    if (0.1..1e4).contains(&ulps) { format!("{ulps:.1}") } else { format_short(ulps) }
}

/// Says in how many entries an error of 1 % would pass, and in which type it would be noticed.
fn describe_sensitivity(accuracy: &Accuracy, finding: &Finding) -> Option<String> {
    if finding.verdict != Verdict::Pass || accuracy.insensitive == 0 {
        return None;
    }
    let remedy = match accuracy.sufficient_type() {
        Some(float_type) => format!("in {} it would be", float_type.name()),
        None => "the terms that cancel in them are much larger".to_owned(),
    };
    let (entries, checked) = (accuracy.insensitive, finding.checked);
    Some(format!("an error of 1 % would not be noticed in {entries} of {checked} entries; {remedy}"))
}

fn describe_worst(worst: &EntryCheck, baseline: Baseline) -> String {
    let place = match &worst.index {
        Some(at) if at.is_empty() => "value".to_owned(),
        Some(at) => format!("worst at {}", format_index(at)),
        None => "worst in a random direction".to_owned(),
    };
    let expected = match baseline {
        Baseline::Reference => format!("nnlayer: {}", format_number(worst.numeric)),
        Baseline::NumericalGradient if worst.step == 0.0 => format!("correct: {}", format_number(worst.numeric)),
        Baseline::NumericalGradient => {
            let (value, bar) = (format_significant(worst), format_short(worst.error_bar));
            format!("numerical: {value} ± {bar} (step size {})", format_short(worst.step))
        }
    };
    format!("{place}: {}, {expected}", format_number(worst.analytic))
}

/// Formats a numerical derivative with two digits more than its error bar makes certain.
fn format_significant(worst: &EntryCheck) -> String {
    let value = worst.numeric;
    let certain = libm::log10(value.abs() / worst.error_bar);
    if !certain.is_finite() || certain > 14.0 {
        return format_number(value);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and 16
    let places = (certain + 1.0).clamp(1.0, 16.0) as usize;
    format_number(format!("{value:.places$e}").parse().unwrap_or(value))
}

/// Writes the last line: the verdict on all results.
pub(super) fn write_conclusion(report: &CheckReport, out: &mut dyn io::Write) -> io::Result<()> {
    let names = |verdict| names_with(report, verdict);
    let list = |names: &[String]| format!("{} of {} {}", names.join(", "), report.layer, is_or_are(names.len()));
    let conclusion = match report.verdict() {
        Verdict::Pass => match names(Verdict::Pass) {
            names if names.is_empty() => "nothing was checked".to_owned(),
            names => format!("{} correct", list(&names)),
        },
        Verdict::Inconclusive => match names(Verdict::Inconclusive) {
            names if names.is_empty() => format!("no result of {} could be checked", report.layer),
            names => format!("{} of {} cannot be decided", names.join(", "), report.layer),
        },
        Verdict::Fail => format!("{} wrong{}", list(&names(Verdict::Fail)), wrong_pass(report)),
    };
    let unchecked: String = report.unchecked.iter().map(|what| phrase("; {}", &[&translate(what)])).collect();
    writeln!(out, "{}: {}{unchecked}", report.verdict().as_str(), translate(&conclusion))
}

/// Returns the results with that verdict, each once.
fn names_with(report: &CheckReport, verdict: Verdict) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.verdict == verdict) {
        if !names.contains(&finding.result.to_string()) {
            names.push(finding.result.to_string());
        }
    }
    names
}

/// Tells an error in the forward pass from one in the backward pass.
fn wrong_pass(report: &CheckReport) -> &'static str {
    let is_numerical = |finding: &&Finding| finding.is_gradient && finding.baseline == Baseline::NumericalGradient;
    let mut gradients = report.findings.iter().filter(is_numerical).peekable();
    if !report.differentiates_implementation || !report.has_wrong_forward() || gradients.peek().is_none() {
        return "";
    }
    if gradients.all(|finding| finding.verdict == Verdict::Pass) {
        ": the forward pass is wrong, and the backward pass matches it"
    } else {
        ": the forward pass and the backward pass are wrong"
    }
}
