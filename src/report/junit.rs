//! A check as JUnit's XML, as CI services read it: a test case a finding.

use super::checked::{details, summary, title};
use crate::check::{CheckReport, Verdict};
use std::io;

/// Writes the suite.
pub(super) fn write(checked: &CheckReport, out: &mut dyn io::Write) -> io::Result<()> {
    let count = |verdict: Verdict| checked.findings.iter().filter(|finding| finding.verdict == verdict).count();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuite name="nnlayer gradcheck {}" tests="{}" failures="{}" skipped="{}" errors="0">"#,
        escaped(&checked.layer),
        checked.findings.len(),
        count(Verdict::Fail),
        count(Verdict::Inconclusive)
    )?;
    for finding in &checked.findings {
        let name = format!("{} against {}", title(finding), finding.baseline.as_str());
        write!(out, r#"  <testcase classname="{}" name="{}""#, escaped(&checked.layer), escaped(&name))?;
        let tag = match finding.verdict {
            Verdict::Pass => {
                writeln!(out, "/>")?;
                continue;
            }
            Verdict::Fail => "failure",
            Verdict::Inconclusive => "skipped",
        };
        writeln!(out, ">")?;
        writeln!(
            out,
            r#"    <{tag} message="{}">{}</{tag}>"#,
            escaped(&summary(finding)),
            escaped(&details(finding).join("\n"))
        )?;
        writeln!(out, "  </testcase>")?;
    }
    writeln!(out, "</testsuite>")
}

/// Text as XML wants it; characters that XML has no place for are replaced.
fn escaped(text: &str) -> String {
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
