//! Steps: named numbers and the arithmetic that gives them.

use crate::check::expect::ShapeMismatch;
use crate::core::error::format_index;
use crate::core::name::Name;
use std::collections::HashMap;

/// Number of steps of one name and form that are shown in a chain.
const MAX_OF_A_FORM: usize = 3;

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
    pub meaning: Option<String>,
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
    /// True if the step differs from steps before it only in its numbers, and is left out for that.
    pub is_folded: bool,
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

/// Returns arithmetic with a sign in place of each number: two lines of the same form differ only in their numbers.
fn form(arithmetic: &str) -> String {
    let mut form = String::new();
    let mut letters = arithmetic.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_number = letter.is_ascii_digit() || (letter == '-' && letters.peek().is_some_and(char::is_ascii_digit));
        if !is_number {
            form.push(letter);
            continue;
        }
        let mut last = letter;
        while let Some(next) =
            letters.next_if(|next| next.is_ascii_digit() || ".e".contains(*next) || (last == 'e' && *next == '-'))
        {
            last = next;
        }
        form.push('#');
    }
    // A negative number may have parentheses.
    form.replace("(#)", "#")
}

/// Folds, of these steps, those that have a name and form of earlier ones.
fn fold_forms(steps: &mut [Step], chosen: &[usize]) {
    let mut by_form: HashMap<(Name, String), Vec<usize>> = HashMap::new();
    for &n in chosen {
        let arithmetic = form(steps[n].arithmetic.as_deref().unwrap_or_default());
        by_form.entry((steps[n].name.clone(), arithmetic)).or_default().push(n);
    }
    for repeated in by_form.values().filter(|repeated| repeated.len() > MAX_OF_A_FORM + 1) {
        repeated[MAX_OF_A_FORM..].iter().for_each(|&n| steps[n].is_folded = true);
    }
}

impl Section {
    /// Returns the names of intermediate numbers and their definitions.
    pub fn meanings(&self) -> Vec<(&str, &str)> {
        let mut meanings = Vec::new();
        for step in &self.steps[..self.shown] {
            if let Some(meaning) =
                step.meaning.as_deref().filter(|meaning| !meanings.contains(&(step.name.as_str(), *meaning)))
            {
                meanings.push((step.name.as_str(), meaning));
            }
        }
        meanings
    }

    /// Returns the number of entries of the result that are not shown.
    pub fn count_hidden_entries(&self) -> usize {
        self.steps[self.shown..].iter().filter(|step| step.meaning.is_none()).count()
    }

    /// Folds the entries that differ from [`MAX_OF_A_FORM`] entries before them only in their numbers, and the steps on the way to them.
    /// Of the other steps, those on the way to one entry are folded in the same manner. A single one is not folded, since the line
    /// in its place would be as long.
    pub fn fold(&mut self) {
        let steps = &mut self.steps[..self.shown];
        let entries: Vec<usize> = (0..steps.len()).filter(|&n| steps[n].meaning.is_none()).collect();
        fold_forms(steps, &entries);
        let mut begin = 0;
        for entry in entries {
            match steps[entry].is_folded {
                true => steps[begin..entry].iter_mut().for_each(|step| step.is_folded = true),
                false => fold_forms(steps, &(begin..entry).collect::<Vec<_>>()),
            }
            begin = entry + 1;
        }
    }
}
