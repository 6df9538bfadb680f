//! Results against what somebody worked out: "rounded to the digits you wrote" counts as right, blanks are left alone.

use super::compare::Tolerance;
use crate::fault::shape;
use crate::format::written::{Figure, Sheet};
use crate::name::Name;
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
    /// Those that are wrong, the worst first.
    pub wrong: Vec<Wrong>,
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
        self.wrong.is_empty() && self.misfit.is_none()
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
            Misfit::Shape(yours) => format!("yours is {}, ours {}", shape(yours), shape(ours)),
            Misfit::Transposed(yours) if yours == ours => "yours is the right answer transposed".to_owned(),
            Misfit::Transposed(yours) => {
                format!("yours is {}, ours {}: the right answer transposed", shape(yours), shape(ours))
            }
        }
    }
}

/// Compares an answer with the result. `rounding` is that of the arithmetic which computed the result.
pub fn judge(name: &Name, sheet: &Sheet, ours: &ArrayD<f64>, rounding: f64) -> Answer {
    let mut answer = Answer {
        name: name.clone(),
        shape: ours.shape().to_vec(),
        right: 0,
        blank: sheet.cells().filter(Option::is_none).count(),
        wrong: Vec::new(),
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
    answer.wrong = rule.wrong(sheet.cells(), ours).collect();
    worst_first(&mut answer.wrong);
    answer.right = sheet.len() - answer.blank - answer.wrong.len();
    if !answer.wrong.is_empty() && turned() {
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
        let figures = || sheet.cells().flatten();
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
        let figures = ours.iter().zip(cells).enumerate().filter_map(|(n, (&ours, cell))| Some((n, ours, cell?)));
        figures.filter(|(_, ours, figure)| !self.holds(figure, *ours)).map(|(n, number, figure)| Wrong {
            index: place(n, ours.shape()),
            yours: figure.value,
            ours: number,
            error: (figure.value - number).abs(),
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

fn worst_first(wrong: &mut [Wrong]) {
    // Stable: of two equally wrong entries the first in order. NaN is the worst.
    let size = |wrong: &Wrong| if wrong.error.is_nan() { f64::INFINITY } else { wrong.error };
    wrong.sort_by(|a, b| size(b).total_cmp(&size(a)));
}
