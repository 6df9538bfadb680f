//! The forward pass of a chain: every layer is admitted and computed at the outputs of earlier ones.

use super::chain::{Source, Stage, readers};
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Forward, Given, Layer, Precision, Role};
use crate::numeric::{FloatType, Scalar};
use ndarray::ArrayD;
use std::any::Any;
use std::sync::Arc;

/// The inputs of a chain.
pub struct Inputs<'a, S> {
    /// The first layer's input.
    pub x: ArrayD<S>,
    /// The targets of the loss.
    pub t: Option<ArrayD<S>>,
    /// Returns the unit roundoff of the type that an operand was stored in.
    pub rounding: &'a dyn Fn(&Name) -> f64,
}

impl<'a> Inputs<'a, f64> {
    /// Rounds the inputs to the type of a precision.
    pub(super) fn rounded(mut self, precision: Precision) -> Inputs<'a, f64> {
        precision.round(&mut self.x);
        self.t.iter_mut().for_each(|t| precision.round_operand(&Name::T, t));
        self
    }

    /// Converts the inputs to another scalar type.
    pub(super) fn convert<S: Scalar>(self) -> Inputs<'a, S> {
        let convert = |value: ArrayD<f64>| value.map(|&value| S::from_f64(value));
        Inputs { x: convert(self.x), t: self.t.map(convert), rounding: self.rounding }
    }
}

/// A forward pass, with all that the backward pass needs.
pub(super) struct ForwardPass<S> {
    /// Operands of each layer, parameters included.
    pub(super) at: Vec<Tensors<S>>,
    /// Results of each layer.
    pub(super) runs: Vec<Forward<S>>,
    /// Warnings and notes of the layers.
    pub(super) notes: Vec<Note>,
}

/// Returns true for a layer whose results are kept; those of others are dropped when no layer needs them any more.
pub type Kept<'a> = &'a dyn Fn(&Stage) -> bool;

/// Returns the output of the last layer that was computed.
pub(super) fn output<S>(stages: &[Stage], runs: &[Forward<S>]) -> Option<Arc<ArrayD<S>>> {
    let (last, run) = stages.iter().zip(runs).next_back()?;
    run.results.get_shared(&last.spec.output)
}

/// Returns what an earlier or later layer reads of a result: the result rounded to the type of a precision.
pub(super) fn between_layers<S: Scalar>(value: Arc<ArrayD<S>>, precision: Precision) -> Arc<ArrayD<S>> {
    let float_type = precision.float_type();
    match S::round_between_layers() {
        Some(round) => Arc::new(value.map(|&value| round(value))),
        None if float_type != FloatType::F64 => {
            Arc::new(value.map(|&value| S::from_f64(float_type.round(value.to_f64()))))
        }
        None => value,
    }
}

/// Computes a chain at `params`, the parameters of each layer, and `inputs`.
///
/// # Errors
/// A layer's refusal. Its operand is x or t if the first input or the targets are at fault; any other refusal names the
/// layer, the operand and its place in the document.
pub(super) fn forward<S: Scalar>(
    stages: &[Stage],
    params: Vec<Tensors<S>>,
    inputs: Inputs<'_, S>,
) -> Result<ForwardPass<S>, Error>
where
    dyn AnyLayer: Layer<S>,
{
    let mut at = params;
    let (runs, notes) = forward_in_place(stages, &mut at, inputs, Precision::F64, (&|_| true, false))?;
    Ok(ForwardPass { at, runs, notes })
}

/// Computes a chain whose operands `at` contain the parameters, and adds the inputs of each layer to them.
///
/// Layers that are not `kept` have no results and operands in the end, but for the last one's results.
///
/// `params_checked` skips the search for NaN in parameters that an earlier run has searched.
pub(super) fn forward_in_place<S: Scalar>(
    stages: &[Stage],
    at: &mut [Tensors<S>],
    inputs: Inputs<'_, S>,
    precision: Precision,
    (kept, params_checked): (Kept<'_>, bool),
) -> Result<(Vec<Forward<S>>, Vec<Note>), Error>
where
    dyn AnyLayer: Layer<S>,
{
    let Inputs { x, t, rounding } = inputs;
    let x = Arc::new(x);
    let mut x_was_read = false;
    let last_readers: Vec<Option<usize>> = readers(stages).iter().map(|all| Some(all.last()?.0)).collect();
    // The output of each layer until its last reader has it.
    let mut outputs: Vec<Option<Arc<ArrayD<S>>>> = Vec::with_capacity(stages.len());
    let (mut runs, mut notes) = (Vec::<Forward<S>>::with_capacity(stages.len()), Vec::new());
    for (n, (stage, at)) in stages.iter().zip(at).enumerate() {
        for (operand, source) in &stage.sources {
            let value = match *source {
                Source::Input => Some(&x),
                Source::Layer(earlier) => outputs[earlier].as_ref(),
            };
            let value = value.unwrap_or_else(|| unreachable!("earlier layers were computed"));
            at.insert_shared(operand.clone(), Arc::clone(value));
        }
        for (_, source) in &stage.sources {
            if let Source::Layer(earlier) = *source
                && last_readers[earlier] == Some(n)
            {
                outputs[earlier] = None;
            }
        }
        for slot in stage.spec.slots.iter().filter(|slot| slot.role == Role::Target) {
            let t = t.as_ref().ok_or_else(|| {
                Error::new(Code::OperandMissing, format!("is required by layer {}", stage.name))
                    .with_operand(&slot.name)
                    .tip(slot.doc)
            })?;
            at.insert(slot.name.clone(), t.clone());
        }
        let checked = Checked { params: params_checked, x: x_was_read };
        notes.extend(admit(stage, n, as_doubles(at, &mut None), rounding, checked)?);
        x_was_read |= stage.network_inputs().next().is_some();
        let mut run = Layer::<S>::forward(stage.layer(), at);
        let output = run.results.get_shared(&stage.spec.output).filter(|_| last_readers[n].is_some());
        outputs.push(output.map(|y| between_layers(y, precision)));
        if !kept(stage) {
            *at = Tensors::new();
            if n + 1 < stages.len() {
                run = Forward { results: Tensors::new(), saved: Vec::new() };
            }
        }
        runs.push(run);
    }
    if t.is_some() && !stages.iter().any(Stage::has_target) {
        return Err(unused_targets());
    }
    Ok((runs, notes))
}

/// Returns the error for targets that no layer reads.
pub fn unused_targets() -> Error {
    Error::new(Code::Usage, "no layer of the network reads targets")
        .with_operand(&Name::T)
        .tip("leave targets out, or end the chain in softmax-xent or xent")
}

/// Returns operands as doubles: as they are, or rounded into `rounded`.
pub(super) fn as_doubles<'a, S: Scalar>(at: &'a Tensors<S>, rounded: &'a mut Option<Tensors<f64>>) -> &'a Tensors<f64> {
    match (at as &dyn Any).downcast_ref() {
        Some(doubles) => doubles,
        None => rounded.insert(at.map(|value| value.to_f64())),
    }
}

/// The operands that an earlier layer or run has searched for NaN.
struct Checked {
    params: bool,
    x: bool,
}

fn admit(
    stage: &Stage,
    n: usize,
    at: &Tensors<f64>,
    rounding: &dyn Fn(&Name) -> f64,
    checked: Checked,
) -> Result<Vec<Note>, Error> {
    let x_was_y = matches!(stage.source(stage.input()), Some(Source::Layer(_)));
    let given = Given { at, rounding, x_was_y };
    let locate = |error: Error| match &error.operand {
        Some(name) if stage.source(name) == Some(Source::Input) => {
            error.update(|details| details.operand = Some(Name::X))
        }
        Some(name) if *name == Name::T => error,
        _ => stage.document_error(n, error),
    };
    // A NaN in the output of an earlier layer was reported at its source.
    let is_new = |name: &Name| match stage.source(name) {
        Some(Source::Layer(_)) => false,
        Some(Source::Input) => !checked.x,
        None => !checked.params || *name == Name::T,
    };
    let notes = layer::admit_new(stage.layer(), &given, is_new).map_err(locate)?;
    layer::check_output_memory(stage.layer(), at).map_err(locate)?;
    Ok(notes.into_iter().map(|note| Note { severity: note.severity, error: locate(note.error) }).collect())
}
