//! A check as Test Anything Protocol, version 13: a test a finding.

use super::checked::{details, summary, title};
use crate::check::{CheckReport, Verdict};
use std::io;

/// Writes the plan, the tests and what is known about those that are not ok.
pub(super) fn write(checked: &CheckReport, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "TAP version 13\n1..{}", checked.findings.len())?;
    for (n, finding) in checked.findings.iter().enumerate() {
        let ok = if finding.verdict == Verdict::Fail { "not ok" } else { "ok" };
        let name = format!("{} {} against {}", checked.layer, title(finding), finding.baseline.as_str());
        // A # would begin a directive.
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
    for note in &checked.notes {
        writeln!(out, "# {note}")?;
    }
    Ok(())
}
