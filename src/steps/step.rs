//! Steps: named numbers and the arithmetic that gives them.

use crate::check::expect::ShapeMismatch;
use crate::core::error::format_index;
use crate::core::name::Name;

/// The steps to one result.
#[derive(Clone, Debug)]
pub struct Section {
    /// Name of the result.
    pub name: Name,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Every step; those that are not shown have no arithmetic.
    pub steps: Vec<Step>,
    /// Number of steps that are shown.
    pub shown: usize,
}

/// A named number and the arithmetic that gives it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name without the index.
    pub name: Name,
    /// Definition of an intermediate number; `None` for an entry of a result.
    pub meaning: Option<&'static str>,
    /// Index; empty for a single number.
    pub index: Vec<usize>,
    /// The arithmetic; `None` for an operand or constant.
    pub arithmetic: Option<String>,
    /// The value.
    pub value: f64,
    /// The value as it is written.
    pub written: String,
    /// The grade of the user's number for this step.
    pub grade: Option<Grade>,
    /// True if no number was rounded to be written.
    pub exact: bool,
}

/// The grade of the user's number for a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Grade {
    /// The number is right.
    Right,
    /// The number is this other one.
    Wrong(f64),
    /// The array has another shape; the computed shape comes second.
    Mismatch(ShapeMismatch, Vec<usize>),
}

impl Step {
    /// Returns the name with the index: `y[0,1]`.
    pub fn label(&self) -> String {
        format_label(&self.name, &self.index)
    }
}

/// Returns a name with an index, if it has one.
pub(super) fn format_label(name: &Name, at: &[usize]) -> String {
    if at.is_empty() { name.to_string() } else { format!("{name}{}", format_index(at)) }
}

impl Section {
    /// Returns the names of intermediate numbers and their definitions.
    pub fn meanings(&self) -> Vec<(&str, &'static str)> {
        let mut meanings = Vec::new();
        for step in &self.steps[..self.shown] {
            if let Some(meaning) = step.meaning.filter(|meaning| !meanings.contains(&(step.name.as_str(), *meaning))) {
                meanings.push((step.name.as_str(), meaning));
            }
        }
        meanings
    }

    /// Returns the number of entries of the result that are not shown.
    pub fn count_hidden_entries(&self) -> usize {
        self.steps[self.shown..].iter().filter(|step| step.meaning.is_none()).count()
    }
}
