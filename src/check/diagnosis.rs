//! What kind of mistake a wrong gradient is: it is held against what each known mistake would have given.

use super::case::{Case, Row};
use super::mistakes::MISTAKES;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Given, Precision, Settings};
use ndarray::{ArrayD, IxDyn};

/// A mistake that gives just the wrong gradient at hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Its kind: the name of its row in [`MISTAKES`].
    pub kind: &'static str,
    /// What probably happened.
    pub words: String,
}

/// A kind of mistake.
pub struct Mistake {
    /// Its name.
    pub kind: &'static str,
    /// A sentence on it, for the documentation.
    pub about: &'static str,
    /// What probably happened, where a wrong gradient is of this kind.
    pub explain: fn(&Context<'_>) -> Option<String>,
}

/// A wrong gradient and all that is known around it.
pub struct Context<'a> {
    /// The gradient.
    pub name: &'a Name,
    /// As it should be.
    pub right: &'a ArrayD<f64>,
    /// As it is.
    pub wrong: &'a ArrayD<f64>,
    /// Where it was taken.
    pub case: &'a Case,
    /// How far an explanation may be off, in parts of the largest entry.
    pub relative: f64,
}

/// Every known mistake that explains the wrong gradient, the most specific first.
pub fn diagnose(context: &Context<'_>) -> Vec<Diagnosis> {
    let explained = |mistake: &Mistake| {
        let words = (mistake.explain)(context)?;
        Some(Diagnosis { kind: mistake.kind, words })
    };
    MISTAKES.iter().filter_map(explained).collect()
}

/// The largest distance of two arrays of one shape; NaN counts as infinite.
fn distance(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    let off = |(a, b): (&f64, &f64)| {
        let off = (a - b).abs();
        if a == b || (a.is_nan() && b.is_nan()) {
            0.0
        } else if off.is_nan() {
            f64::INFINITY
        } else {
            off
        }
    };
    a.iter().zip(b).map(off).fold(0.0, f64::max)
}

/// The largest finite magnitude.
pub(super) fn largest(value: &ArrayD<f64>) -> f64 {
    value.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max)
}

impl Context<'_> {
    /// Whether the wrong gradient is what a mistake would have given: nearer to it, by far, than to the right one.
    pub(super) fn is(&self, candidate: &ArrayD<f64>) -> bool {
        if self.wrong.shape() != candidate.shape() {
            return false;
        }
        let off = distance(self.wrong, candidate);
        let misses = if self.wrong.shape() == self.right.shape() { distance(self.wrong, self.right) } else { f64::MAX };
        off <= self.relative * largest(candidate).max(f64::MIN_POSITIVE) && off <= 0.05 * misses
    }

    /// Whether two entries are apart by more than rounding.
    pub(super) fn differ(&self, wrong: f64, right: f64) -> bool {
        let off = (wrong - right).abs();
        let same =
            off <= 0.01 * self.relative * largest(self.right) || (wrong.is_nan() && right.is_nan()) || wrong == right;
        !same
    }

    pub(super) fn row(&self) -> Option<&Row> {
        self.case.reference.as_ref()?.row.as_ref()
    }

    /// A forward result, of the reference.
    pub(super) fn output(&self, name: &Name) -> Option<ArrayD<f64>> {
        let layer = &self.case.reference.as_ref()?.layer;
        layer::compute(layer.as_ref(), &self.case.at, None, Precision::F64).results.get(name).cloned()
    }

    /// The gradient of the reference with other settings, operands or upstream gradient; none where it refuses them.
    pub(super) fn rerun(&self, change: impl FnOnce(&mut Settings, &mut Tensors<f64>)) -> Option<ArrayD<f64>> {
        self.rerun_with(change, &self.case.dout)
    }

    pub(super) fn rerun_with(
        &self,
        change: impl FnOnce(&mut Settings, &mut Tensors<f64>),
        dout: &ArrayD<f64>,
    ) -> Option<ArrayD<f64>> {
        let row = self.row()?;
        let (mut settings, mut at) = (row.settings.clone(), self.case.at.clone());
        change(&mut settings, &mut at);
        let changed = || -> Result<Option<ArrayD<f64>>, Error> {
            let layer = (row.spec.build)(&settings)?;
            layer.admit(&Given { at: &at, rounding: &|_| f64::EPSILON, x_was_y: false })?;
            if layer.output_shape(&at) != dout.shape() {
                return Ok(None);
            }
            let outcome = layer::compute(layer.as_ref(), &at, Some(dout), Precision::F64);
            Ok(outcome.gradients.get(self.name).cloned())
        };
        changed().ok().flatten()
    }

    /// The right gradient with another y in its formula, for gradients y·s − E whose s is known row by row.
    pub(super) fn with_probabilities(&self, other: &ArrayD<f64>) -> Option<ArrayD<f64>> {
        let (y, slope) = self.slope()?;
        if other.shape() != y.shape() {
            return None;
        }
        let changed = |at: IxDyn| self.right[&at] + (other[&at] - y[&at]) * slope[&at];
        Some(ArrayD::from_shape_fn(y.raw_dim(), changed))
    }

    /// y, and the factor it has in each entry of the gradient: what changes with y, over the change.
    pub(super) fn slope(&self) -> Option<(ArrayD<f64>, ArrayD<f64>)> {
        self.row()?.spec.formula(&Name::LOSS)?;
        if *self.name != Name::DX {
            return None;
        }
        let of_operand = self.case.at.get(&Name::Y).cloned();
        let (y, operand) = match of_operand {
            Some(y) => (y, Name::Y),
            None => (self.output(&Name::Y)?, Name::X),
        };
        // y halved, or the y of equal logits.
        #[allow(clippy::cast_precision_loss)] // fewer classes than 2⁵³ fit in memory
        let equal = 1.0 / y.shape().last().copied().unwrap_or(1).max(1) as f64;
        let other = if operand == Name::Y { y.map(|y| y / 2.0) } else { y.map(|_| equal) };
        let moved = self.rerun(|_, at| {
            let value = if operand == Name::Y { other.clone() } else { other.map(|_| 0.0) };
            at.insert(operand, value);
        })?;
        if moved.shape() != y.shape() {
            return None;
        }
        let by_entry = |at: IxDyn| (self.right[&at] - moved[&at]) / (y[&at] - other[&at]);
        let mut slope = ArrayD::from_shape_fn(y.raw_dim(), by_entry);
        // The factor belongs to the row: where y did not move, the largest of the row's others tells.
        for mut row in slope.rows_mut() {
            let known = row
                .iter()
                .copied()
                .filter(|s| s.is_finite())
                .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            row.mapv_inplace(|s| if s.is_finite() { s } else { known });
        }
        Some((y, slope))
    }
}

/// A factor as one would say it: whole numbers and simple fractions, else five digits.
pub(super) fn plain(factor: f64) -> String {
    if (factor - factor.round()).abs() < 1e-6 * factor.abs() {
        return format!("{factor:.0}");
    }
    let inverse = 1.0 / factor;
    if (inverse - inverse.round()).abs() < 1e-6 * inverse.abs() && inverse.abs() < 1e6 {
        return format!("{}1/{:.0}", if inverse < 0.0 { "−" } else { "" }, inverse.abs());
    }
    let text = format!("{factor:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
