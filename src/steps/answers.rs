//! Steps against what somebody wrote down for them: the first that differs is where their chain departs.

use super::{Section, Step};
use crate::check::expect::{Misfit, judge};
use crate::core::name::Name;
use crate::format::decimal::Sheet;
use ndarray::{ArrayD, IxDyn};

/// What became of somebody's number for a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// Right.
    Right,
    /// Another number.
    Wrong(f64),
    /// Another shape; ours is the second.
    Misfit(Misfit, Vec<usize>),
}

/// What became of all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// How many were compared.
    pub compared: usize,
    /// How many are wrong.
    pub wrong: usize,
    /// The first that is wrong: section and step.
    pub first: Option<(usize, usize)>,
}

/// Marks every step that a sheet has a number for. `rounding` is that of the arithmetic that computed the results.
pub fn mark(sections: &mut [Section], sheets: &[(Name, Sheet)], rounding: f64) -> Tally {
    for (name, sheet) in sheets {
        mark_one(sections, name, sheet, rounding);
    }
    let mut tally = Tally::default();
    for (n, section) in sections.iter().enumerate() {
        for (k, step) in section.steps.iter().enumerate() {
            let wrong = step.mark.as_ref().is_some_and(|mark| *mark != Mark::Right);
            tally.compared += usize::from(step.mark.is_some());
            tally.wrong += usize::from(wrong);
            if wrong && tally.first.is_none() {
                tally.first = Some((n, k));
            }
        }
    }
    tally
}

fn mark_one(sections: &mut [Section], name: &Name, sheet: &Sheet, rounding: f64) {
    let result = sections.iter().find(|section| section.name == *name).map(|section| section.shape.clone());
    let mut steps: Vec<&mut Step> =
        sections.iter_mut().flat_map(|section| section.steps.iter_mut()).filter(|step| step.name == *name).collect();
    let Some(first) = steps.first() else { return };
    let mut shape = result.unwrap_or_else(|| vec![0; first.index.len()]);
    for step in &steps {
        shape.iter_mut().zip(&step.index).for_each(|(size, &at)| *size = (*size).max(at + 1));
    }
    let whole = shape.iter().product::<usize>() == steps.len();
    // Where steps leave out entries, as a loss does those that count 0, there may be more beside them.
    let holds = shape.len() == sheet.shape.len() && shape.iter().zip(&sheet.shape).all(|(ours, yours)| ours <= yours);
    // An array is made of that shape: not where a few numbers stand among rows upon rows that are left out.
    if !whole && holds && sheet.len() / 100 <= sheet.figures().count() {
        shape.clone_from(&sheet.shape);
    }
    let (mut ours, mut compared) = (ArrayD::zeros(IxDyn(&shape)), sheet.clone());
    let flat = |index: &[usize]| index.iter().zip(&shape).fold(0, |flat, (at, size)| flat * size + at);
    let mut stepped = vec![false; ours.len()];
    for step in &steps {
        ours[IxDyn(&step.index)] = step.value;
        stepped[flat(&step.index)] = true;
    }
    if sheet.shape == shape {
        compared.keep(|n| stepped[n]);
    }
    let answer = judge(name, &compared, &ours, rounding, usize::MAX);
    if let Some(misfit) = answer.misfit.filter(|_| answer.wrong == 0) {
        steps[0].mark = Some(Mark::Misfit(misfit, shape));
        return;
    }
    for step in steps {
        if compared.cell(flat(&step.index)).is_some() {
            let wrong = answer.worst.iter().find(|wrong| wrong.index == step.index);
            step.mark = Some(wrong.map_or(Mark::Right, |wrong| Mark::Wrong(wrong.yours)));
        }
    }
}
