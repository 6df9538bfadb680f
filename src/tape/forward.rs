//! A chain forward: every layer is admitted and computed at the output of the one before.

use super::Stage;
use crate::bundle::Bundle;
use crate::fault::{Code, Fault, Note};
use crate::layer::{self, AnyLayer, Forward, Given, Layer, Role};
use crate::name::Name;
use crate::scalar::Scalar;
use ndarray::ArrayD;

/// What a chain is fed with.
pub struct Feed<'a, S> {
    /// The first layer's input.
    pub x: &'a ArrayD<S>,
    /// The loss's targets.
    pub t: Option<&'a ArrayD<S>>,
    /// The rounding of the types that x and t were stored in.
    pub rounding: &'a dyn Fn(&Name) -> f64,
}

/// A forward pass, with all that the backward pass needs.
pub struct Pass<S> {
    /// What each layer read, parameters included.
    pub at: Vec<Bundle<S>>,
    /// What each layer computed.
    pub runs: Vec<Forward<S>>,
    /// What the layers had to say.
    pub notes: Vec<Note>,
}

impl<S> Pass<S> {
    /// The last layer's output.
    pub fn output(&self, stages: &[Stage]) -> Option<&ArrayD<S>> {
        self.runs.last()?.results.get(&stages.last()?.spec.output)
    }
}

/// Runs a chain at `params`, one bundle a layer, and `feed`.
///
/// A refusal of the first input or of the targets keeps their names, x and t; any other names the layer and the key.
pub fn forward<S: Scalar>(stages: &[Stage], params: Vec<Bundle<S>>, feed: &Feed<'_, S>) -> Result<Pass<S>, Fault>
where
    dyn AnyLayer: Layer<S>,
{
    let mut pass = Pass { at: Vec::new(), runs: Vec::new(), notes: Vec::new() };
    for (n, (stage, mut at)) in stages.iter().zip(params).enumerate() {
        let input = pass.output(&stages[..n]).map_or_else(|| feed.x.clone(), |y| y.mapv(S::handed_on));
        at.insert(stage.input().clone(), input);
        for slot in stage.spec.slots.iter().filter(|slot| slot.role == Role::Target) {
            let t = feed.t.ok_or_else(|| {
                Fault::new(Code::OperandMissing, format!("is not given: layer {} needs it", stage.name))
                    .of(&slot.name)
                    .tip(slot.doc)
            })?;
            at.insert(slot.name.clone(), t.clone());
        }
        pass.notes.extend(admit(stage, n, &at, feed)?);
        pass.runs.push(Layer::<S>::forward(stage.layer(), &at));
        pass.at.push(at);
    }
    if feed.t.is_some() && !stages.iter().any(Stage::has_target) {
        return Err(Fault::new(Code::Usage, "is given, but no layer reads it")
            .of(&Name::T)
            .tip("a chain that ends in softmax-xent or xent reads targets; without a loss, leave them out"));
    }
    Ok(pass)
}

fn admit<S: Scalar>(stage: &Stage, n: usize, at: &Bundle<S>, feed: &Feed<'_, S>) -> Result<Vec<Note>, Fault> {
    let at = at.map(|value| value.to_f64());
    let given = Given { at: &at, rounding: feed.rounding, x_was_y: n > 0 };
    let place = |fault: Fault| match &fault.operand {
        Some(name) if n == 0 && name == stage.input() => Fault { operand: Some(Name::X), ..fault },
        Some(name) if *name == Name::T => fault,
        _ => stage.blame(n, fault),
    };
    let mut notes = layer::admit(stage.layer(), &given).map_err(place)?;
    // A NaN that comes from the layer before was named there.
    notes.retain(|note| {
        note.fault.code != Code::NanInput || n == 0 || note.fault.operand.as_ref() != Some(stage.input())
    });
    Ok(notes.into_iter().map(|note| Note { severity: note.severity, fault: place(note.fault) }).collect())
}
