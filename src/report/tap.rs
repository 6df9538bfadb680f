//! The report of a check as Test Anything Protocol, version 13: a test per finding.

use super::check_summary::{details, summary, title};
use crate::check::{CheckReport, Verdict};
use std::io;

/// Writes the plan, the tests, and comments on those that did not pass.
pub(super) fn write(report: &CheckReport, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "TAP version 13\n1..{}", report.findings.len())?;
    for (n, finding) in report.findings.iter().enumerate() {
        let ok = if finding.verdict == Verdict::Fail { "not ok" } else { "ok" };
        let name = format!("{} {} against {}", report.layer, title(finding), finding.baseline.as_str());
        // An unescaped # would begin a directive.
        let name = name.replace('#', "\\#");
        let skip = if finding.verdict == Verdict::Inconclusive { " # SKIP inconclusive" } else { "" };
        writeln!(out, "{ok} {} - {name}{skip}", n + 1)?;
        if finding.verdict != Verdict::Pass {
            writeln!(out, "# {}", summary(finding))?;
        }
        for line in details(finding) {
            writeln!(out, "#   {line}")?;
        }
    }
    for note in &report.notes {
        writeln!(out, "# {note}")?;
    }
    Ok(())
}
