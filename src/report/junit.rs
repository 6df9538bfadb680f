//! The report of a check as JUnit XML: a test case per finding.

use super::check_summary::{details, summary, title};
use crate::check::{CheckReport, Verdict};
use std::io;

/// Writes the test suite.
pub(super) fn write(report: &CheckReport, out: &mut dyn io::Write) -> io::Result<()> {
    let count = |verdict: Verdict| report.findings.iter().filter(|finding| finding.verdict == verdict).count();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuite name="nnlayer gradcheck {}" tests="{}" failures="{}" skipped="{}" errors="0">"#,
        escape_xml(&report.layer),
        report.findings.len(),
        count(Verdict::Fail),
        count(Verdict::Inconclusive)
    )?;
    for finding in &report.findings {
        let name = format!("{} against {}", title(finding), finding.baseline.as_str());
        write!(out, r#"  <testcase classname="{}" name="{}""#, escape_xml(&report.layer), escape_xml(&name))?;
        let tag = match finding.verdict {
            Verdict::Pass => {
                writeln!(out, "/>")?;
                continue;
            }
            Verdict::Fail => "failure",
            Verdict::Inconclusive => "skipped",
        };
        let (message, text) = (escape_xml(&summary(finding)), escape_xml(&details(finding).join("\n")));
        writeln!(out, ">\n    <{tag} message=\"{message}\">{text}</{tag}>\n  </testcase>")?;
    }
    writeln!(out, "</testsuite>")
}

/// Escapes text for XML, and replaces characters that XML does not allow.
fn escape_xml(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\n' | '\t' => c.to_string(),
            c if c.is_control() || ['\u{fffe}', '\u{ffff}'].contains(&c) => '\u{fffd}'.to_string(),
            c => c.to_string(),
        })
        .collect()
}
