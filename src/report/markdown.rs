//! Steps as Markdown: a heading and a table per result.

use super::step_lines::{WorkedResult, definitions, describe_grade, equality_sign, hidden_entries};
use crate::core::language::translate;
use std::io;

/// Writes the steps of a result; the table has a column for the user's numbers if there `has_grades`.
pub(super) fn write(
    worked: &WorkedResult,
    first_wrong: Option<usize>,
    has_grades: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    writeln!(out, "### {}\n", worked.title())?;
    let before = worked.block.header.before.as_ref().map(|before| translate(before).into_owned());
    for line in before.into_iter().chain(definitions(&worked.section)) {
        writeln!(out, "{line}\n")?;
    }
    let rule = if has_grades { ":--|" } else { "" };
    let names = ["entry", "arithmetic", "value", "yours"].map(translate);
    let names = &names[..if has_grades { 4 } else { 3 }];
    writeln!(out, "| {} |\n|:--|:--|:--|{rule}", names.join(" | "))?;
    let mut next = 0;
    for (n, step) in worked.visible_steps(first_wrong) {
        if n > next && n < worked.section.shown {
            writeln!(out, "| … | | |")?;
        }
        next = n + 1;
        let arithmetic = step.arithmetic.as_ref().map_or_else(String::new, |arithmetic| format!("`{arithmetic}`"));
        let grade = describe_grade(step, first_wrong == Some(n)).unwrap_or_default();
        let grade = if has_grades { format!(" {grade} |") } else { String::new() };
        writeln!(out, "| `{}` | {arithmetic} | {} {} |{grade}", step.label(), equality_sign(step), step.written)?;
    }
    match hidden_entries(&worked.section) {
        Some(line) => writeln!(out, "\n{line}"),
        None => Ok(()),
    }
}
