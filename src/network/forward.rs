//! A chain forward: every layer is admitted and computed at the output of the one before.

use super::Stage;
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Forward, Given, Layer, Role};
use crate::numeric::Scalar;
use ndarray::ArrayD;
use std::any::Any;

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
    pub at: Vec<Tensors<S>>,
    /// What each layer computed.
    pub runs: Vec<Forward<S>>,
    /// What the layers had to say.
    pub notes: Vec<Note>,
}

impl<S> Pass<S> {
    /// The last layer's output.
    pub fn output(&self, stages: &[Stage]) -> Option<&ArrayD<S>> {
        output(stages, &self.runs)
    }
}

/// The output of the last layer that ran.
pub(super) fn output<'a, S>(stages: &[Stage], runs: &'a [Forward<S>]) -> Option<&'a ArrayD<S>> {
    let (last, run) = stages.iter().zip(runs).next_back()?;
    run.results.get(&last.spec.output)
}

/// Runs a chain at `params`, one bundle a layer, and `feed`.
///
/// A refusal of the first input or of the targets keeps their names, x and t; any other names the layer and the key.
pub fn forward<S: Scalar>(stages: &[Stage], params: Vec<Tensors<S>>, feed: &Feed<'_, S>) -> Result<Pass<S>, Error>
where
    dyn AnyLayer: Layer<S>,
{
    let mut at = params;
    if let (Some(stage), Some(at)) = (stages.first(), at.first_mut()) {
        at.insert(stage.input().clone(), feed.x.clone());
    }
    let (runs, notes) = onward(stages, &mut at, feed.t, feed.rounding, false)?;
    Ok(Pass { at, runs, notes })
}

/// Runs a chain that has its parameters and first input; `again` says that the parameters were looked through before.
pub(super) fn onward<S: Scalar>(
    stages: &[Stage],
    at: &mut [Tensors<S>],
    t: Option<&ArrayD<S>>,
    rounding: &dyn Fn(&Name) -> f64,
    again: bool,
) -> Result<(Vec<Forward<S>>, Vec<Note>), Error>
where
    dyn AnyLayer: Layer<S>,
{
    let (mut runs, mut notes) = (Vec::with_capacity(stages.len()), Vec::new());
    for (n, (stage, at)) in stages.iter().zip(at).enumerate() {
        if let Some(y) = output(stages, &runs) {
            at.insert(stage.input().clone(), y.mapv(S::handed_on));
        }
        for slot in stage.spec.slots.iter().filter(|slot| slot.role == Role::Target) {
            let t = t.ok_or_else(|| {
                Error::new(Code::OperandMissing, format!("is not given: layer {} needs it", stage.name))
                    .with_operand(&slot.name)
                    .tip(slot.doc)
            })?;
            at.insert(slot.name.clone(), t.clone());
        }
        notes.extend(admit(stage, n, doubles(at, &mut None), rounding, again)?);
        runs.push(Layer::<S>::forward(stage.layer(), at));
    }
    if t.is_some() && !stages.iter().any(Stage::has_target) {
        return Err(no_target());
    }
    Ok((runs, notes))
}

/// The refusal of targets that no layer reads.
pub fn no_target() -> Error {
    Error::new(Code::Usage, "is given, but no layer reads it")
        .with_operand(&Name::T)
        .tip("a chain that ends in softmax-xent or xent reads targets; without a loss, leave them out")
}

/// Doubles where they are, other numbers rounded to doubles, which `kept` keeps.
fn doubles<'a, S: Scalar>(at: &'a Tensors<S>, kept: &'a mut Option<Tensors<f64>>) -> &'a Tensors<f64> {
    match (at as &dyn Any).downcast_ref() {
        Some(doubles) => doubles,
        None => kept.insert(at.map(|value| value.to_f64())),
    }
}

fn admit(
    stage: &Stage,
    n: usize,
    at: &Tensors<f64>,
    rounding: &dyn Fn(&Name) -> f64,
    again: bool,
) -> Result<Vec<Note>, Error> {
    let given = Given { at, rounding, x_was_y: n > 0 };
    let place = |error: Error| match &error.operand {
        Some(name) if n == 0 && name == stage.input() => error.update(|said| said.operand = Some(Name::X)),
        Some(name) if *name == Name::T => error,
        _ => stage.blame(n, error),
    };
    // A NaN that comes from the layer before was named there.
    let new = |name: &Name| match name == stage.input() {
        true => n == 0,
        false => !again || *name == Name::T,
    };
    let notes = layer::admit_anew(stage.layer(), &given, new).map_err(place)?;
    Ok(notes.into_iter().map(|note| Note { severity: note.severity, error: place(note.error) }).collect())
}
