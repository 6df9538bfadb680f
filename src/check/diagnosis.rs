//! Diagnosis of wrong gradients: each is compared with what a known mistake would give.

use super::arrays::{is_same, max_abs};
use super::case::{Case, LayerConfig};
use super::implementation::Point;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Given, Precision, Settings};
use crate::numeric::FloatType;
use ndarray::{ArrayD, IxDyn};

/// A mistake that produces a wrong gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The kind of the mistake: the name of its row in [`super::MISTAKES`].
    pub kind: &'static str,
    /// The explanation.
    pub explanation: String,
}

/// A kind of mistake.
pub struct Mistake {
    /// Its name.
    pub kind: &'static str,
    /// Returns an explanation if a wrong gradient comes from this kind of mistake.
    pub explain: fn(&WrongGradient<'_>) -> Option<String>,
}

/// A wrong gradient and the case in which it was found.
pub struct WrongGradient<'a> {
    /// Name of the gradient.
    pub name: &'a Name,
    /// The right gradient.
    pub right: &'a ArrayD<f64>,
    /// The wrong gradient.
    pub wrong: &'a ArrayD<f64>,
    /// The case.
    pub case: &'a Case,
    /// The point at which the gradient is wrong.
    pub point: &'a Point,
    /// The error that an explanation may have, relative to the largest entry.
    pub tolerance: f64,
    /// The numerical gradient for a dout of ones, of a layer that only the program knows.
    pub for_ones: Option<&'a ArrayD<f64>>,
    /// The largest accepted error of an entry.
    pub allowed: f64,
    /// The type that the implementation computes in.
    pub float_type: FloatType,
}

/// Returns the largest distance between entries of two arrays of the same shape; NaN counts as infinite.
fn max_distance(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    let distance = |(&a, &b): (&f64, &f64)| match (a - b).abs() {
        _ if is_same(a, b) => 0.0,
        distance if distance.is_nan() => f64::INFINITY,
        distance => distance,
    };
    a.iter().zip(b).map(distance).fold(0.0, f64::max)
}

impl WrongGradient<'_> {
    /// Returns true if a candidate explains the wrong gradient: it is equal up to rounding, and much nearer than the right
    /// gradient.
    pub(super) fn matches(&self, candidate: &ArrayD<f64>) -> bool {
        if self.wrong.shape() != candidate.shape() {
            return false;
        }
        let same_shape = self.wrong.shape() == self.right.shape();
        let distance = max_distance(self.wrong, candidate);
        let error = if same_shape { max_distance(self.wrong, self.right) } else { f64::MAX };
        let nearness = if self.tolerance > 1e-3 { 0.25 } else { 0.05 };
        distance <= self.tolerance * max_abs(candidate).max(f64::MIN_POSITIVE) && distance <= nearness * error
    }

    /// Returns the upstream gradient.
    pub(super) fn dout(&self) -> &ArrayD<f64> {
        self.point.dout.as_ref().unwrap_or(&self.case.dout)
    }

    /// Returns true if two entries differ by more than rounding.
    pub(super) fn differs(&self, wrong: f64, right: f64) -> bool {
        let is_near = (wrong - right).abs() <= self.allowed;
        !(is_near || is_same(wrong, right))
    }

    /// Returns the registry row and settings of the reference; `None` for a chain.
    pub(super) fn config(&self) -> Option<&LayerConfig> {
        self.case.reference.as_ref()?.config.as_ref()
    }

    /// Returns a forward result of the reference.
    pub(super) fn output(&self, name: &Name) -> Option<ArrayD<f64>> {
        let layer = &self.case.reference.as_ref()?.layer;
        layer::compute(layer.as_ref(), &self.point.operands, None, Precision::F64).results.get(name).cloned()
    }

    /// Returns the reference's gradient for other settings or operands; `None` if the layer refuses them.
    pub(super) fn recompute(&self, change: impl FnOnce(&mut Settings, &mut Tensors<f64>)) -> Option<ArrayD<f64>> {
        self.recompute_with_dout(change, self.dout())
    }

    /// Returns the reference's gradient for another dout.
    pub(super) fn recompute_with_dout(
        &self,
        change: impl FnOnce(&mut Settings, &mut Tensors<f64>),
        dout: &ArrayD<f64>,
    ) -> Option<ArrayD<f64>> {
        let config = self.config()?;
        let (mut settings, mut operands) = (config.settings.clone(), self.point.operands.clone());
        change(&mut settings, &mut operands);
        let recompute = || -> Result<Option<ArrayD<f64>>, Error> {
            let layer = (config.spec.build)(&settings)?;
            layer.admit(&Given { at: &operands, rounding: &|_| f64::EPSILON, x_was_y: false })?;
            if layer.output_shape(&operands) != dout.shape() {
                return Ok(None);
            }
            let outcome = layer::compute(layer.as_ref(), &operands, Some(dout), Precision::F64);
            Ok(outcome.gradients.get(self.name).cloned())
        };
        recompute().ok().flatten()
    }

    /// Returns the right gradient with other probabilities in the place of y in its formula y·s − E.
    pub(super) fn replace_probabilities(&self, other: &ArrayD<f64>) -> Option<ArrayD<f64>> {
        let (y, factor) = self.probabilities_and_factor()?;
        if other.shape() != y.shape() {
            return None;
        }
        let replaced = |at: IxDyn| self.right[&at] + (other[&at] - y[&at]) * factor[&at];
        Some(ArrayD::from_shape_fn(y.raw_dim(), replaced))
    }

    /// Returns the probabilities y of a loss and their factor s in each entry of its gradient dx = y·s − E: the change of the
    /// gradient divided by that of y.
    pub(super) fn probabilities_and_factor(&self) -> Option<(ArrayD<f64>, ArrayD<f64>)> {
        self.config()?.spec.formula(&Name::LOSS)?;
        if *self.name != Name::DX {
            return None;
        }
        // y is halved, or replaced by the y of equal logits.
        let (operand, y, other, value) = match self.point.operands.get(&Name::Y).cloned() {
            Some(y) => (Name::Y, y.clone(), y.map(|y| y / 2.0), y.map(|y| y / 2.0)),
            None => {
                let y = self.output(&Name::Y)?;
                #[allow(clippy::cast_precision_loss)] // fewer classes than 2⁵³ fit in memory
                let equal = 1.0 / y.shape().last().copied().unwrap_or(1).max(1) as f64;
                (Name::X, y.clone(), y.map(|_| equal), y.map(|_| 0.0))
            }
        };
        let changed = self.recompute(|_, operands| operands.insert(operand, value))?;
        if changed.shape() != y.shape() {
            return None;
        }
        let quotient = |at: IxDyn| (self.right[&at] - changed[&at]) / (y[&at] - other[&at]);
        let mut factor = ArrayD::from_shape_fn(y.raw_dim(), quotient);
        // The factor is the same along a row: entries where y did not change take the row's largest.
        for mut row in factor.rows_mut() {
            let finite = row.iter().copied().filter(|s| s.is_finite());
            let largest = finite.fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            row.mapv_inplace(|s| if s.is_finite() { s } else { largest });
        }
        Some((y, factor))
    }
}
