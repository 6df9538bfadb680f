//! Conventions: what programs of a layer compute by another book's formula or a usual mistake, each listed in the layer's registry
//! row. A check compares a wrong gradient with them.

use super::compute::compute;
use super::interface::{AnyLayer, Given};
use super::lanes::class_lanes;
use super::precision::Precision;
use super::run::Outcome;
use super::settings::Settings;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use ndarray::{ArrayD, Axis, Zip};

/// Another convention of a layer, or a usual mistake in its gradients.
pub struct Convention {
    /// Kind of the mistake in reports.
    pub kind: &'static str,
    /// Explanation in reports.
    pub explanation: &'static str,
    /// Returns the gradient that a program of this convention computes; `None` for a gradient that it does not concern.
    pub gradient: fn(&GradientCase<'_>) -> Option<ArrayD<f64>>,
}

/// A gradient of a layer at some operands.
pub struct GradientCase<'a> {
    /// Builds the layer from its settings.
    pub build: fn(&Settings) -> Result<Box<dyn AnyLayer>, Error>,
    /// The settings.
    pub settings: &'a Settings,
    /// The operands.
    pub operands: &'a Tensors<f64>,
    /// The upstream gradient.
    pub dout: &'a ArrayD<f64>,
    /// Name of the gradient.
    pub name: &'a Name,
    /// The gradient itself, right by the layer's own formula.
    pub right: &'a ArrayD<f64>,
}

impl GradientCase<'_> {
    /// Returns a forward result.
    pub fn output(&self, name: &Name) -> Option<ArrayD<f64>> {
        self.output_at(name, self.operands)
    }

    /// Returns a forward result at other operands, which the layer must admit.
    pub fn output_at(&self, name: &Name, operands: &Tensors<f64>) -> Option<ArrayD<f64>> {
        let layer = (self.build)(self.settings).ok()?;
        compute(layer.as_ref(), operands, None, Precision::F64).results.get(name).cloned()
    }

    /// Returns the gradient for other settings or operands; `None` if the layer refuses them.
    pub fn recompute(&self, change: impl FnOnce(&mut Settings, &mut Tensors<f64>)) -> Option<ArrayD<f64>> {
        self.recompute_all(change)?.gradients.get(self.name).cloned()
    }

    /// Returns all results for other settings or operands; `None` if the layer refuses them.
    pub fn recompute_all(&self, change: impl FnOnce(&mut Settings, &mut Tensors<f64>)) -> Option<Outcome> {
        let (mut settings, mut operands) = (self.settings.clone(), self.operands.clone());
        change(&mut settings, &mut operands);
        let admitted = || -> Result<Box<dyn AnyLayer>, Error> {
            let layer = (self.build)(&settings)?;
            layer.admit(&Given { at: &operands, rounding: &|_| f64::EPSILON, x_was_y: false })?;
            Ok(layer)
        };
        let layer = admitted().ok()?;
        let has_shape = layer.output_shape(&operands) == self.dout.shape();
        has_shape.then(|| compute(layer.as_ref(), &operands, Some(self.dout), Precision::F64))
    }

    /// Returns the gradient at the output y in the place of x: that of a layer applied twice.
    pub fn at_output(&self) -> Option<ArrayD<f64>> {
        let y = self.output(&Name::Y)?;
        self.recompute(|_, operands| operands.insert(Name::X, y))
    }

    /// Returns dout times a slope of x and y, for a layer of single entries.
    pub fn elementwise(&self, slope: impl Fn(f64, f64) -> f64) -> Option<ArrayD<f64>> {
        let (x, y) = (self.operands.get(&Name::X)?, self.output(&Name::Y)?);
        let is_dx = *self.name == Name::DX && x.shape() == self.dout.shape() && y.shape() == x.shape();
        is_dx.then(|| Zip::from(self.dout).and(x).and(&y).map_collect(|dout, &x, &y| dout * slope(x, y)))
    }

    /// Returns the gradient of a loss with other probabilities in the place of y in its formula dx = y·s − E.
    pub fn with_probabilities(&self, other: &ArrayD<f64>) -> Option<ArrayD<f64>> {
        let (y, factor) = self.probabilities_and_factor()?;
        let is_same_shape = other.shape() == y.shape();
        is_same_shape
            .then(|| Zip::from(self.right).and(other).and(&y).and(&factor).map_collect(|dx, p, y, s| dx + (p - y) * s))
    }

    /// Returns the probabilities y of a loss and their factor s in each entry of its gradient dx = y·s − E: the change of the
    /// gradient divided by that of y.
    pub fn probabilities_and_factor(&self) -> Option<(ArrayD<f64>, ArrayD<f64>)> {
        if *self.name != Name::DX {
            return None;
        }
        // y is halved, or replaced by the y of equal logits.
        let (operand, y, other, value) = match self.operands.get(&Name::Y).cloned() {
            Some(y) => (Name::Y, y.clone(), y.map(|y| y / 2.0), y.map(|y| y / 2.0)),
            None => {
                let y = self.output(&Name::Y)?;
                #[allow(clippy::cast_precision_loss)] // fewer classes than 2⁵³ fit in memory
                let equal = 1.0 / class_lanes(y.shape(), self.settings)?.len().max(1) as f64;
                (Name::X, y.clone(), y.map(|_| equal), y.map(|_| 0.0))
            }
        };
        let changed = self.recompute(|_, operands| operands.insert(operand, value))?;
        if changed.shape() != y.shape() || self.right.shape() != y.shape() {
            return None;
        }
        let quotient = |dx: &f64, changed: &f64, y: &f64, other: &f64| (dx - changed) / (y - other);
        let mut factor = Zip::from(self.right).and(&changed).and(&y).and(&other).map_collect(quotient);
        // The factor is the same for all classes: entries where y did not change take the largest of the others.
        let axis = class_lanes(y.shape(), self.settings)?.axis();
        for mut row in factor.lanes_mut(Axis(axis.min(y.ndim().checked_sub(1)?))) {
            let finite = row.iter().copied().filter(|s| s.is_finite());
            let largest = finite.fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            row.mapv_inplace(|s| if s.is_finite() { s } else { largest });
        }
        Some((y, factor))
    }
}
