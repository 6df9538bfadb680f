//! Results against what somebody worked out: "rounded to the digits you wrote" counts as right, blanks are left alone.

use super::compare::Tolerance;
use crate::core::error::format_shape;
use crate::core::name::Name;
use crate::format::decimal::{Figure, Sheet};
use ndarray::ArrayD;

/// An array with a number of this many digits was written by a program: its short numbers are exact.
const BY_A_PROGRAM: u8 = 8;

/// What became of one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The result.
    pub name: Name,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How many entries are right.
    pub right: usize,
    /// How many were left out.
    pub blank: usize,
    /// How many are wrong.
    pub wrong: usize,
    /// The worst of those, the worst first.
    pub worst: Vec<Wrong>,
    /// What is wrong as a whole.
    pub misfit: Option<Misfit>,
}

/// A wrong entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    /// Where.
    pub index: Vec<usize>,
    /// What was expected.
    pub yours: f64,
    /// What was computed.
    pub ours: f64,
    /// Their distance.
    pub error: f64,
}

/// What is wrong as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Misfit {
    /// Another shape.
    Shape(Vec<usize>),
    /// Rows and columns exchanged; in the other shape, or this one.
    Transposed(Vec<usize>),
}

impl Answer {
    /// Whether nothing is wrong.
    pub fn passes(&self) -> bool {
        self.wrong == 0 && self.misfit.is_none()
    }

    /// Whether nothing was written.
    pub fn is_blank(&self) -> bool {
        self.passes() && self.right == 0 && self.blank > 0
    }
}

impl Misfit {
    /// In words, behind the result's name.
    pub fn words(&self, ours: &[usize]) -> String {
        match self {
            Misfit::Shape(yours) => format!("yours is {}, ours {}", format_shape(yours), format_shape(ours)),
            Misfit::Transposed(yours) if yours == ours => "yours is the right answer transposed".to_owned(),
            Misfit::Transposed(yours) => {
                format!("yours is {}, ours {}: the right answer transposed", format_shape(yours), format_shape(ours))
            }
        }
    }
}

/// Compares an answer with the result. `rounding` is that of the arithmetic which computed the result; of the wrong
/// entries, `most` are kept.
pub fn judge(name: &Name, sheet: &Sheet, ours: &ArrayD<f64>, rounding: f64, most: usize) -> Answer {
    let mut answer = Answer {
        name: name.clone(),
        shape: ours.shape().to_vec(),
        right: 0,
        blank: sheet.len() - sheet.figures().count(),
        wrong: 0,
        worst: Vec::new(),
        misfit: None,
    };
    if answer.blank == sheet.len() && !sheet.is_empty() {
        return answer;
    }
    let rule = Rule::new(sheet, ours, rounding);
    let turned = || {
        let fits = sheet.shape.iter().rev().eq(ours.shape());
        fits && sheet.turned().is_some_and(|cells| rule.wrong(cells, ours).next().is_none())
    };
    if sheet.shape != ours.shape() {
        let yours = sheet.shape.clone();
        answer.misfit = Some(if turned() { Misfit::Transposed(yours) } else { Misfit::Shape(yours) });
        return answer;
    }
    (answer.wrong, answer.worst) = worst(rule.wrong(sheet.cells(), ours), most);
    answer.right = sheet.len() - answer.blank - answer.wrong;
    if answer.wrong > 0 && turned() {
        answer.misfit = Some(Misfit::Transposed(sheet.shape.clone()));
    }
    answer
}

/// How far an entry may be off.
struct Rule {
    within: Tolerance,
    /// Half a unit of the smallest digit, in an array that a program wrote.
    finest: Option<f64>,
}

impl Rule {
    fn new(sheet: &Sheet, ours: &ArrayD<f64>, rounding: f64) -> Rule {
        let largest = ours.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
        let plain = Tolerance::stored(sheet.rounding.max(rounding));
        let figures = || sheet.figures();
        let by_a_program = figures().any(|figure| figure.significant >= BY_A_PROGRAM);
        let units = figures().map(|figure| figure.half_unit()).filter(|unit| *unit > 0.0);
        let finest = by_a_program
            .then(|| units.fold(f64::INFINITY, f64::min))
            .map(|unit| if unit.is_finite() { unit } else { 0.0 });
        Rule { within: Tolerance { atol: plain.atol * largest, ..plain }, finest }
    }

    fn holds(&self, figure: &Figure, ours: f64) -> bool {
        let written = match self.finest {
            Some(finest) if figure.significant < BY_A_PROGRAM => finest,
            _ => figure.half_unit(),
        };
        Tolerance { atol: self.within.atol + written, ..self.within }.holds(figure.value, ours)
    }

    /// The entries that are wrong, in order.
    fn wrong(&self, cells: impl Iterator<Item = Option<Figure>>, ours: &ArrayD<f64>) -> impl Iterator<Item = Wrong> {
        let shape = ours.shape();
        ours.iter().zip(cells).enumerate().filter_map(move |(n, (&ours, cell))| {
            let figure = cell.filter(|figure| !self.holds(figure, ours))?;
            let (yours, error) = (figure.value, (figure.value - ours).abs());
            Some(Wrong { index: place(n, shape), yours, ours, error })
        })
    }
}

/// The index of the entry of that number, row by row.
fn place(mut n: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (at, size) in index.iter_mut().zip(shape).rev() {
        (n, *at) = (n / size, n % size);
    }
    index
}

/// How many entries are wrong, and the worst of them. They are cut back whenever twice as many are there, so that a large
/// answer that is wrong everywhere takes no more room than one that is right.
fn worst(wrong: impl Iterator<Item = Wrong>, most: usize) -> (usize, Vec<Wrong>) {
    // NaN is the worst.
    let size = |wrong: &Wrong| if wrong.error.is_nan() { f64::INFINITY } else { wrong.error };
    let cut = |kept: &mut Vec<Wrong>| {
        // Stable: of two equally wrong entries the first in order.
        kept.sort_by(|a, b| size(b).total_cmp(&size(a)));
        kept.truncate(most);
    };
    let (mut count, mut kept, mut least) = (0, Vec::new(), -1.0);
    for entry in wrong {
        count += 1;
        if size(&entry) > least {
            kept.push(entry);
        }
        if kept.len() >= most.saturating_mul(2) {
            cut(&mut kept);
            least = kept.last().map_or(f64::INFINITY, size);
        }
    }
    cut(&mut kept);
    (count, kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_worst_of_many_are_the_first_of_all(errors in prop::collection::vec(prop::sample::select(vec![1.0, 2.0, 3.0, f64::INFINITY, f64::NAN]), 0..60), most in 0usize..8) {
            let wrong = || errors.iter().enumerate().map(|(n, &error)| Wrong { index: vec![n], yours: 0.0, ours: 0.0, error });
            let (few, all) = (worst(wrong(), most), worst(wrong(), usize::MAX));
            let places = |wrong: &[Wrong]| wrong.iter().map(|wrong| wrong.index[0]).collect::<Vec<_>>();
            prop_assert_eq!((few.0, all.0, all.1.len()), (errors.len(), errors.len(), errors.len()));
            prop_assert_eq!(places(&few.1), &places(&all.1)[..most.min(errors.len())]);
        }
    }
}
