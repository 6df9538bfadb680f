//! Grades the user's numbers for the steps. The first one that differs shows where the user's calculation went wrong.

use super::step::{Grade, Section, Step};
use crate::check::expect;
use crate::core::name::Name;
use crate::format::decimal::DecimalArray;
use ndarray::{ArrayD, IxDyn};
use std::collections::HashMap;

/// Number of elements per expected value up to which expected values are compared in an array of their own shape.
const MAX_ELEMENTS_PER_DECIMAL: usize = 100;

/// Summary of all grades.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradeSummary {
    /// Number of steps that were graded.
    pub compared: usize,
    /// Number of wrong steps.
    pub wrong: usize,
    /// Section and step of the first wrong number.
    pub first: Option<(usize, usize)>,
}

/// Grades every step that has an expected value. `unit_roundoff` is that of the arithmetic that computed the results.
pub fn grade(sections: &mut [Section], expected: &[(Name, DecimalArray)], unit_roundoff: f64) -> GradeSummary {
    for (name, array) in expected {
        grade_array(sections, name, array, unit_roundoff);
    }
    let mut summary = GradeSummary::default();
    for (n, section) in sections.iter().enumerate() {
        for (k, step) in section.steps.iter().enumerate() {
            let is_wrong = step.grade.as_ref().is_some_and(|grade| *grade != Grade::Right);
            summary.compared += usize::from(step.grade.is_some());
            summary.wrong += usize::from(is_wrong);
            if is_wrong && summary.first.is_none() {
                summary.first = Some((n, k));
            }
        }
    }
    summary
}

fn grade_array(sections: &mut [Section], name: &Name, expected: &DecimalArray, unit_roundoff: f64) {
    let result = sections.iter().find(|section| section.name == *name).map(|section| section.shape.clone());
    let mut steps: Vec<&mut Step> =
        sections.iter_mut().flat_map(|section| section.steps.iter_mut()).filter(|step| step.name == *name).collect();
    let Some(first) = steps.first() else { return };
    let mut shape = result.unwrap_or_else(|| vec![0; first.index.len()]);
    for step in &steps {
        shape.iter_mut().zip(&step.index).for_each(|(size, &at)| *size = (*size).max(at + 1));
    }
    let is_complete = shape.iter().product::<usize>() == steps.len();
    // Steps may omit entries, as a loss omits those with weight 0, and there may be expected values for those.
    let fits =
        shape.len() == expected.shape.len() && shape.iter().zip(&expected.shape).all(|(ours, yours)| ours <= yours);
    // An array of the expected shape is allocated, so a huge shape with few values is not adopted.
    if !is_complete && fits && expected.len() / MAX_ELEMENTS_PER_DECIMAL <= expected.decimals().count() {
        shape.clone_from(&expected.shape);
    }
    let (mut ours, mut compared) = (ArrayD::zeros(IxDyn(&shape)), expected.clone());
    let flat = |index: &[usize]| index.iter().zip(&shape).fold(0, |flat, (at, size)| flat * size + at);
    let mut has_step = vec![false; ours.len()];
    for step in &steps {
        ours[IxDyn(&step.index)] = step.value;
        has_step[flat(&step.index)] = true;
    }
    if expected.shape == shape {
        compared.retain(|n| has_step[n]);
    }
    let graded = expect::grade(name, &compared, &ours, unit_roundoff, usize::MAX);
    if let Some(mismatch) = graded.mismatch.filter(|_| graded.wrong == 0) {
        steps[0].grade = Some(Grade::Mismatch(mismatch, shape));
        return;
    }
    let wrong: HashMap<&[usize], f64> = graded.worst.iter().map(|wrong| (&wrong.index[..], wrong.yours)).collect();
    for step in steps {
        if compared.element(flat(&step.index)).is_some() {
            step.grade = Some(wrong.get(&step.index[..]).map_or(Grade::Right, |yours| Grade::Wrong(*yours)));
        }
    }
}
