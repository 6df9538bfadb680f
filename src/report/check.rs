//! The report of a check.

use super::check_summary::{describe_agreement, describe_other, details, summary, title, write_conclusion};
use super::numbers::{json_number, write_json};
use super::{junit, tap};
use crate::check::{CheckReport, Finding, Verdict};
use crate::core::language::{phrase, translate};
use serde_json::{Value, json};
use std::io;

/// Format of the report of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckFormat {
    /// Text, the worst finding first.
    Text,
    /// One JSON object.
    Json {
        /// True if indented.
        pretty: bool,
    },
    /// JUnit XML with a test case per finding.
    Junit,
    /// Test Anything Protocol with a test per finding.
    Tap,
}

impl CheckFormat {
    /// Returns the format with that name.
    pub fn named(name: &str) -> Option<CheckFormat> {
        match name {
            "text" => Some(CheckFormat::Text),
            "json" => Some(CheckFormat::Json { pretty: false }),
            "junit" => Some(CheckFormat::Junit),
            "tap" => Some(CheckFormat::Tap),
            _ => None,
        }
    }
}

/// Writes the report.
pub fn write(report: &CheckReport, format: CheckFormat, out: &mut dyn io::Write) -> io::Result<()> {
    match format {
        CheckFormat::Text => write_text(report, out),
        CheckFormat::Json { pretty } => write_json(&to_json(report), pretty, out),
        CheckFormat::Junit => junit::write(report, out),
        CheckFormat::Tap => tap::write(report, out),
    }
}

fn write_text(report: &CheckReport, out: &mut dyn io::Write) -> io::Result<()> {
    let fails = |finding: &Finding| finding.verdict == Verdict::Fail;
    // A wrong result that agrees with its other baseline is named once.
    let is_other = |finding: &&Finding| {
        finding.verdict == Verdict::Pass
            && report.findings.iter().any(|other| fails(other) && other.result == finding.result)
    };
    let mut findings: Vec<&Finding> = report.findings.iter().filter(|finding| !is_other(finding)).collect();
    // The sort is stable, so findings with the same verdict keep the order of output.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let mut rest = findings.as_slice();
    while let [finding, others @ ..] = rest {
        // A result that passes against both baselines takes one line.
        let second = others.first().filter(|next| {
            next.result == finding.result && next.verdict == Verdict::Pass && finding.verdict == Verdict::Pass
        });
        let summary = translate(&summary(finding)).into_owned();
        let summary = match second {
            Some(next) => phrase("{} and {}", &[&summary, &translate(&describe_agreement(next))]),
            None => summary,
        };
        rest = if second.is_some() { &others[1..] } else { others };
        writeln!(out, "{} {}: {summary}", finding.verdict.as_str(), title(finding))?;
        for line in details(finding).into_iter().chain(second.into_iter().flat_map(|next| details(next))) {
            writeln!(out, "  {}", translate(&line))?;
        }
        let others = report.findings.iter().filter(|other| fails(finding) && other.result == finding.result);
        for other in others.filter(is_other) {
            writeln!(out, "  {}", describe_other(other))?;
        }
    }
    for note in &report.notes {
        writeln!(out, "{}", translate(note))?;
    }
    if let Some(seed) = report.seed {
        writeln!(out, "{}", translate(&format!("random seed: {seed}")))?;
    }
    write_conclusion(report, out)
}

fn to_json(report: &CheckReport) -> Value {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_text(report, &mut text);
    json!({
        "text": String::from_utf8_lossy(&text),
        "verdict": report.verdict().as_str(),
        "layer": report.layer,
        "findings": report.findings.iter().map(finding_to_json).collect::<Vec<_>>(),
        "unchecked": report.unchecked,
        "notes": report.notes,
        "seed": report.seed,
    })
}

fn finding_to_json(finding: &Finding) -> Value {
    let worst = finding.worst.as_ref().map(|worst| {
        json!({
            "index": worst.index,
            "yours": json_number(worst.analytic),
            "reference": json_number(worst.numeric),
            "analytic": json_number(worst.analytic),
            "numeric": json_number(worst.numeric),
            "error_bar": json_number(worst.error_bar),
            "allowed": json_number(worst.allowed),
            "step": json_number(worst.step),
        })
    });
    let accuracy = finding.accuracy.as_ref().map(|accuracy| {
        json!({
            "type": accuracy.float_type.name(),
            "ulps": json_number(accuracy.ulps),
            "allowed_ulps": json_number(accuracy.allowed_ulps),
            "rtol": json_number(accuracy.rtol),
            "atol": json_number(accuracy.atol),
            "insensitive": accuracy.insensitive,
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
        "accuracy": accuracy,
        "diagnoses": diagnoses.collect::<Vec<_>>(),
        "notes": finding.notes,
        "unnoticed": finding.unnoticed,
    })
}
