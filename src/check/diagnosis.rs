//! Diagnosis of wrong gradients: each is compared with what a known mistake would give.

use super::arrays::{is_same, max_abs};
use super::case::{Case, LayerConfig};
use super::implementation::Point;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{GradientCase, Settings};
use crate::numeric::FloatType;
use ndarray::ArrayD;

/// Unit roundoffs of an entry that it may differ by.
const ENTRY_ROUNDINGS: f64 = 64.0;

/// A mistake that produces a wrong gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The kind of the mistake: the name of its row in [`super::MISTAKES`], or of one of the layer's conventions.
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

impl Mistake {
    /// Returns the diagnosis if a wrong gradient comes from this kind of mistake.
    pub(super) fn diagnose(&self, gradient: &WrongGradient<'_>) -> Option<Diagnosis> {
        let mut explanation = (self.explain)(gradient)?;
        if gradient.config().is_some_and(|config| !config.spec.is_gradient(gradient.name)) {
            explanation =
                explanation.replace("the gradient", "the result").replace("the correct gradient", "the correct result");
        }
        Some(Diagnosis { kind: self.kind, explanation })
    }
}

/// Numerical gradients of a layer that only the program knows, in cases that a mistake may have taken for the given one.
#[derive(Default)]
pub struct OtherGradients {
    /// For a dout of ones.
    pub for_ones: Option<ArrayD<f64>>,
    /// With a square operand transposed, by its name.
    pub transposed: Vec<(Name, ArrayD<f64>)>,
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
    /// Numerical gradients in other cases, of a layer that only the program knows.
    pub others: &'a OtherGradients,
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
    /// Returns true if a candidate explains the wrong gradient.
    pub(super) fn matches(&self, candidate: &ArrayD<f64>) -> bool {
        self.explained_distance(candidate).is_some()
    }

    /// Returns the distance of a candidate that explains the wrong gradient: it is equal up to rounding, and much nearer than the
    /// right gradient.
    pub(super) fn explained_distance(&self, candidate: &ArrayD<f64>) -> Option<f64> {
        if self.wrong.shape() != candidate.shape() {
            return None;
        }
        let same_shape = self.wrong.shape() == self.right.shape();
        let distance = max_distance(self.wrong, candidate);
        let error = if same_shape { max_distance(self.wrong, self.right) } else { f64::MAX };
        let nearness = if self.tolerance > 1e-3 { 0.25 } else { 0.05 };
        let is_near = distance <= self.tolerance * max_abs(candidate).max(f64::MIN_POSITIVE);
        (is_near && distance <= nearness * error).then_some(distance)
    }

    /// Returns the upstream gradient.
    pub(super) fn dout(&self) -> &ArrayD<f64> {
        self.point.dout.as_ref().unwrap_or(&self.case.dout)
    }

    /// Returns true if two entries differ by more than rounding.
    pub(super) fn differs(&self, wrong: f64, right: f64) -> bool {
        // The accepted error is that of the worst entry; larger entries may be off by more.
        let rounding = ENTRY_ROUNDINGS * self.float_type.unit_roundoff() * right.abs();
        let is_near = (wrong - right).abs() <= self.allowed + rounding;
        !(is_near || is_same(wrong, right))
    }

    /// Returns the registry row and settings of the reference; `None` for a chain.
    pub(super) fn config(&self) -> Option<&LayerConfig> {
        self.case.reference.as_ref()?.config.as_ref()
    }

    /// Returns this gradient of the reference, for the conventions of its layer; `None` for a chain.
    pub(super) fn case_of_layer(&self) -> Option<GradientCase<'_>> {
        self.case_with_dout(self.dout())
    }

    /// Returns this gradient of the reference for another dout.
    pub(super) fn case_with_dout<'b>(&'b self, dout: &'b ArrayD<f64>) -> Option<GradientCase<'b>> {
        let LayerConfig { spec, settings } = self.config()?;
        let (operands, name, right) = (&self.point.operands, self.name, self.right);
        Some(GradientCase { build: spec.build, settings, operands, dout, name, right })
    }

    /// Returns the reference's gradient or result for other settings or operands; `None` if the layer refuses them.
    pub(super) fn recompute(&self, change: impl FnOnce(&mut Settings, &mut Tensors<f64>)) -> Option<ArrayD<f64>> {
        let outcome = self.case_of_layer()?.recompute_all(change)?;
        outcome.gradients.get(self.name).or_else(|| outcome.results.get(self.name)).cloned()
    }
}
