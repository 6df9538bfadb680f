//! Norms of the gradients of a chain, and where they vanish or explode.

use super::chain::{Stage, Tape};
use super::run::Run;
use crate::core::name::Name;
use ndarray::ArrayD;

/// Ratio to the last layer's gradients below which those of a layer are said to vanish.
pub const VANISHING_RATIO: f64 = 1e-3;
/// Ratio to the last layer's gradients above which those of a layer are said to explode.
pub const EXPLODING_RATIO: f64 = 1e3;

/// Norms of one gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientNorm {
    /// Name of the layer; `x` for the input of the network.
    pub layer: String,
    /// Name of the gradient.
    pub gradient: Name,
    /// Shape of the gradient.
    pub shape: Vec<usize>,
    /// The kind of operand that it is the gradient of; `None` for the gradient of something else, as that by the logits of `xent`.
    pub kind: Option<GradientKind>,
    /// The square root of the sum of squares.
    pub l2: f64,
    /// The largest magnitude.
    pub max: f64,
}

/// The kinds of operands that have gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientKind {
    /// Learnt or constant arrays of the layer.
    Parameters,
    /// Outputs of earlier layers, or the network's input.
    Inputs,
}

/// A layer whose gradients differ from those of the last layer by orders of magnitude.
#[derive(Clone, Debug, PartialEq)]
pub struct NormFinding {
    /// Name of the layer.
    pub layer: String,
    /// The gradients that are meant.
    pub kind: GradientKind,
    /// The finding.
    pub flow: Flow,
    /// Largest L2 norm of these gradients.
    pub l2: f64,
    /// Ratio of the norm to the largest one of the last layer that has gradients of this kind.
    pub ratio: f64,
    /// Name of that layer.
    pub last: String,
}

/// Kinds of unusual gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// Every entry is 0.
    Zero,
    /// The ratio is below [`VANISHING_RATIO`].
    Vanishes,
    /// The ratio is above [`EXPLODING_RATIO`].
    Explodes,
    /// An entry is NaN or infinite.
    NotFinite,
}

/// Returns the norms of every gradient of a run, in the order of output.
pub fn gradient_norms(tape: &Tape, run: &Run) -> Vec<GradientNorm> {
    let gradients = run.gradients.as_deref().unwrap_or_default();
    let layers = tape.stages.iter().zip(gradients).flat_map(|(stage, gradients)| {
        let norm = |(name, value): (&Name, &ArrayD<f64>)| norm(&stage.name, name, operand_kind(stage, name), value);
        gradients.iter().map(norm).collect::<Vec<_>>()
    });
    let input = run.input_gradient.iter().map(|value| norm(Name::X.as_str(), &Name::DX, None, value));
    layers.chain(input).collect()
}

fn operand_kind(stage: &Stage, gradient: &Name) -> Option<GradientKind> {
    let operand = stage.spec.slots.iter().map(|slot| &slot.name).find(|operand| operand.gradient() == *gradient)?;
    if stage.params.get(operand).is_some() {
        return Some(GradientKind::Parameters);
    }
    stage.source(operand).map(|_| GradientKind::Inputs)
}

fn norm(layer: &str, gradient: &Name, kind: Option<GradientKind>, value: &ArrayD<f64>) -> GradientNorm {
    // f64::max would drop NaN.
    let max =
        value.iter().map(|entry| entry.abs()).fold(0.0, |max: f64, v| if v > max || v.is_nan() { v } else { max });
    // Entries are scaled so that their squares neither overflow nor underflow.
    let l2 = match max {
        max if max == 0.0 || !max.is_finite() => max,
        max => max * value.iter().map(|entry| (entry / max) * (entry / max)).sum::<f64>().sqrt(),
    };
    GradientNorm { layer: layer.to_owned(), gradient: gradient.clone(), shape: value.shape().to_vec(), kind, l2, max }
}

/// Returns, by kind of finding, the layers whose largest gradient of a kind is exactly 0, is not finite, or has an L2 norm beyond the limits, relative to
/// that of the last layer with gradients of this kind. Gradients flow from there to the first layer.
pub fn find_unusual(norms: &[GradientNorm]) -> Vec<NormFinding> {
    let mut findings = Vec::new();
    let layers: Vec<&[GradientNorm]> = norms.chunk_by(|a, b| a.layer == b.layer).collect();
    for kind in [GradientKind::Parameters, GradientKind::Inputs] {
        let largest = |layer: &[GradientNorm]| {
            let norms =
                layer.iter().filter(|norm| norm.kind == Some(kind) && !norm.shape.contains(&0)).map(|norm| norm.l2);
            norms.reduce(|a, b| if b > a || b.is_nan() { b } else { a })
        };
        let layers: Vec<(&str, f64)> =
            layers.iter().filter_map(|&layer| Some((&*layer[0].layer, largest(layer)?))).collect();
        let Some(&(last, reference)) = layers.last() else { continue };
        let begin = findings.len();
        for &(layer, l2) in &layers {
            let ratio = l2 / reference;
            let flow = match l2 {
                l2 if !l2.is_finite() => Flow::NotFinite,
                0.0 => Flow::Zero,
                _ if ratio < VANISHING_RATIO => Flow::Vanishes,
                _ if ratio > EXPLODING_RATIO && reference > 0.0 => Flow::Explodes,
                _ => continue,
            };
            findings.push(NormFinding { layer: layer.to_owned(), kind, flow, l2, ratio, last: last.to_owned() });
        }
        findings[begin..].sort_by_key(|finding| finding.flow);
    }
    findings
}
