//! The sentences and signs of steps, for text and Markdown.

use super::numbers::format_number;
use super::results::ResultBlock;
use crate::core::error::format_shape;
use crate::core::language::{list, phrase, translate};
use crate::steps::{Grade, Section, Step};

/// A result with its steps.
pub struct WorkedResult {
    /// Name of the layer, in a chain.
    pub layer: Option<String>,
    /// The result.
    pub block: ResultBlock,
    /// Its steps.
    pub section: Section,
}

impl WorkedResult {
    /// Returns name, formula and shape: `y = x·W + b  (3×3)`.
    pub(super) fn title(&self) -> String {
        let WorkedResult { layer, block, .. } = self;
        let name = layer.as_ref().map_or_else(|| block.header.name.clone(), |layer| block.header.name.in_layer(layer));
        let shape = format_shape(block.value.shape());
        let (formula, shape) = (translate(&block.header.formula), translate(shape.trim_matches(['(', ')'])));
        format!("{name} = {formula}  ({shape})")
    }

    /// Returns the shown steps, followed by the `first_wrong` one if it is hidden, each with its number.
    pub(super) fn visible_steps(&self, first_wrong: Option<usize>) -> impl Iterator<Item = (usize, &Step)> {
        let shown = self.section.shown;
        let is_visible = move |n: usize, step: &Step| (n < shown && !step.is_folded) || first_wrong == Some(n);
        self.section.steps.iter().enumerate().filter(move |(n, step)| is_visible(*n, step))
    }
}

/// Returns the definitions of the named intermediate numbers: `with e = e^(x − max), sum = Σ e`.
pub(super) fn definitions(section: &Section) -> Option<String> {
    let meanings = section.meanings();
    let definitions: Vec<String> =
        meanings.iter().map(|(name, meaning)| format!("{name} = {}", translate(meaning))).collect();
    (!definitions.is_empty()).then(|| phrase("with {}", &[&list(&definitions)]))
}

/// Returns the line that stands for hidden entries.
pub(super) fn hidden_entries(section: &Section) -> Option<String> {
    let folded = section.steps[..section.shown].iter().filter(|step| step.is_folded && step.meaning.is_none()).count();
    let form = if folded > 0 { ", of the same form" } else { "" };
    let line = match section.count_hidden_entries() + folded {
        0 => return None,
        1 => format!("… and 1 more entry of {}{form}", section.name),
        n => format!("… and {n} more entries of {}{form}", section.name),
    };
    Some(translate(&line).into_owned())
}

/// Returns `=`, or `≈` if the line has rounded numbers.
pub(crate) fn equality_sign(step: &Step) -> &'static str {
    if step.exact || step.arithmetic.is_none() { "=" } else { "≈" }
}

/// Returns the grade without signs that a font may not have.
pub(super) fn describe_grade_in_words(step: &Step, is_first_wrong: bool) -> Option<String> {
    let grade = describe_grade(step, is_first_wrong)?;
    Some(match grade.strip_prefix("✗ ") {
        Some(difference) => phrase("wrong: {}", &[difference]),
        None => translate("right").into_owned(),
    })
}

/// Returns the grade of the user's number for a step.
pub(super) fn describe_grade(step: &Step, is_first_wrong: bool) -> Option<String> {
    let first = if is_first_wrong { ": first difference" } else { "" };
    let grade = match step.grade.as_ref()? {
        Grade::Right => return Some("✓".to_owned()),
        Grade::Wrong(yours) => format!("✗ yours {}{first}", format_number(*yours)),
        Grade::Mismatch(mismatch, ours) => format!("✗ {}{first}", translate(&mismatch.describe(ours))),
    };
    Some(translate(&grade).into_owned())
}
