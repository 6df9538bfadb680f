//! The gradient check of a chain: end to end, and layer by layer to find the one that is wrong.
//!
//! The gradients may be those of a tape, which another program may have computed or edited. End to end, each is compared
//! with numerical derivatives of the last output. A layer is wrong if its recorded values do not follow from its own
//! inputs and upstream gradient, so a layer that passes on the mistake of another is not blamed.

use super::backward::{ChainGradients, Needed, backward};
use super::chain::{Record, Source, Stage, Tape, input_readers, readers, sum_of_gradients};
use super::forward::{Inputs, forward, output};
use super::run::Run;
use crate::check::{
    Case, CheckOptions, CheckReport, Evaluation, Finding, GradientTarget, Implementation, RecordedLayer, Reference,
    Verdict, check,
};
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Admit, AnyLayer, Forward, Given, Layer, Precision, Role};
use crate::numeric::Scalar;
use ndarray::ArrayD;
use std::sync::Arc;

/// A chain as one layer, whose operands and gradients have names such as `fc1.w`.
struct Chain(Arc<Vec<Stage>>);

impl Chain {
    /// Splits operands into the parameters of each layer and the inputs of the chain.
    fn split<'a, S: Scalar>(
        &self,
        at: &Tensors<S>,
        rounding: &'a dyn Fn(&Name) -> f64,
    ) -> (Vec<Tensors<S>>, Inputs<'a, S>) {
        let params = |stage: &Stage| {
            stage.params.names().map(|name| (name.clone(), at.known(&name.in_layer(&stage.name)).clone())).collect()
        };
        let x = at.known(&input_name(&self.0)).clone();
        let t = target_name(&self.0).and_then(|name| at.get(&name)).cloned();
        (self.0.iter().map(params).collect(), Inputs { x, t, rounding })
    }
}

/// Returns the name of the network's input: that of the operand that reads it, or x if there are several.
fn input_name(stages: &[Stage]) -> Name {
    match input_readers(stages)[..] {
        [(n, operand)] => operand.in_layer(&stages[n].name),
        _ => Name::X,
    }
}

/// Returns the name of the gradient of the network's input.
fn input_gradient_name(stages: &[Stage]) -> Name {
    match input_readers(stages)[..] {
        [(n, operand)] => operand.gradient().in_layer(&stages[n].name),
        _ => Name::DX,
    }
}

/// Returns the name of the targets.
fn target_name(stages: &[Stage]) -> Option<Name> {
    let last = stages.last()?;
    let slot = last.spec.slots.iter().find(|slot| slot.role == Role::Target)?;
    Some(slot.name.in_layer(&last.name))
}

/// Returns the name of the last output.
fn output_name(stages: &[Stage]) -> Name {
    stages.last().map_or(Name::Y, |last| last.spec.output.in_layer(&last.name))
}

impl Admit for Chain {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (params, inputs) = self.split(given.at, given.rounding);
        Ok(forward::<f64>(&self.0, params, inputs)?.notes)
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        let outputs = Layer::<f64>::forward(self, at).results;
        outputs.get(&output_name(&self.0)).map(|output| output.shape().to_vec()).unwrap_or_default()
    }
}

impl<S: Scalar> Layer<S> for Chain
where
    dyn AnyLayer: Layer<S>,
{
    /// Returns the last output, or no result if a layer refuses the output of the one before.
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let (params, inputs) = self.split(at, &|_| f64::EPSILON);
        let pass = forward(&self.0, params, inputs);
        let mut results = Tensors::new();
        if let Some(output) = pass.ok().and_then(|pass| output(&self.0, &pass.runs)) {
            results.insert_shared(output_name(&self.0), output);
        }
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(
        &'a self,
        at: &'a Tensors<S>,
        _: &'a layer::Run<'a, S>,
        dout: &'a ArrayD<S>,
    ) -> layer::Gradients<'a, S> {
        let (params, inputs) = self.split(at, &|_| f64::EPSILON);
        let pass = forward(&self.0, params, inputs);
        let gradients =
            pass.map(|pass| backward(&self.0, &pass.at, &pass.runs, (dout.clone(), Precision::F64), &Needed::ALL));
        let end_to_end = gradients.map(|ChainGradients { layers, input }| {
            end_to_end(&self.0, layers, input.map(|gradient| ArrayD::clone(&gradient)))
        });
        end_to_end.unwrap_or_default().into()
    }
}

/// Returns the gradients of a chain's input and of every parameter.
fn end_to_end<S: Clone>(stages: &[Stage], gradients: Vec<Tensors<S>>, input_gradient: Option<ArrayD<S>>) -> Tensors<S> {
    let layers = stages.iter().zip(gradients).flat_map(|(stage, gradients)| {
        let is_learnt = |name: &Name| stage.learnt().any(|learnt| learnt.gradient() == *name);
        let own = gradients.into_iter().filter(move |(name, _)| is_learnt(name));
        own.map(|(name, value)| (name.in_layer(&stage.name), value))
    });
    input_gradient.map(|gradient| (input_gradient_name(stages), gradient)).into_iter().chain(layers).collect()
}

/// The values to check: those computed here, and those recorded in a tape.
pub struct Claim {
    /// The values computed here from the first input.
    pub run: Run,
    /// Upstream gradient of the last output.
    pub dout: ArrayD<f64>,
    /// Records of the tape; a network has none.
    recorded: Option<Vec<Record>>,
}

impl Claim {
    /// Combines a run of a chain with the records of its tape.
    pub fn new(tape: &Tape, run: Run, dout: ArrayD<f64>) -> Claim {
        Claim { run, dout, recorded: tape.stages.iter().map(|stage| stage.record.clone()).collect() }
    }

    /// Returns the gradients to check: those of the tape if it has any.
    fn gradients(&self) -> Vec<Tensors<f64>> {
        match &self.recorded {
            Some(records) if records.iter().all(|record| !record.gradients.is_empty()) => {
                records.iter().map(|record| record.gradients.clone()).collect()
            }
            _ => self.run.gradients.clone().unwrap_or_default(),
        }
    }
}

/// Checks a chain's gradients; `watch` runs the end-to-end check, and may show its progress.
pub fn check_chain(
    tape: Tape,
    claim: &Claim,
    seed: u64,
    watch: impl FnOnce(&mut dyn Implementation, &Case, CheckOptions<'static>) -> Result<CheckReport, Error>,
) -> Result<CheckReport, Error> {
    let precision = tape.precision;
    let stages = Arc::new(tape.stages);
    let gradients = claim.gradients();
    let input_gradient = sum_of_gradients(&input_readers(&stages), |n| gradients.get(n));
    let gradients = end_to_end(&stages, gradients, input_gradient);
    let case = case(&stages, claim, &gradients);
    let recorded = Evaluation { outputs: Tensors::new(), gradients };
    let mut checked =
        watch(&mut RecordedLayer { recorded }, &case, CheckOptions::own(&case, seed, precision.float_type()))?;
    if let Some(records) = &claim.recorded {
        layer_by_layer(&stages, claim, records, precision, &mut checked)?;
    }
    Ok(checked)
}

/// Returns the chain as a case of the gradient check.
fn case(stages: &Arc<Vec<Stage>>, claim: &Claim, gradients: &Tensors<f64>) -> Case {
    let input = input_name(stages);
    let mut at = Tensors::new();
    for (stage, inputs) in stages.iter().zip(&claim.run.inputs) {
        for (name, value) in inputs.iter().chain(stage.params.iter()) {
            match stage.source(name) {
                Some(Source::Input) => at.insert(input.clone(), value.clone()),
                Some(Source::Layer(_)) => {}
                None => at.insert(name.in_layer(&stage.name), value.clone()),
            }
        }
    }
    let learnt = stages.iter().flat_map(|stage| {
        let names = |name: &Name| (name.in_layer(&stage.name), name.gradient().in_layer(&stage.name));
        stage.learnt().map(names).collect::<Vec<_>>()
    });
    let ends = [(input, input_gradient_name(stages))].into_iter().chain(learnt);
    let targets = ends.filter_map(|(operand, name)| {
        let (value, gradient) = (at.get(&operand)?, gradients.get(&name)?);
        Some(GradientTarget::new(name, operand, value, gradient))
    });
    let targets = targets.collect();
    let layer: Box<dyn AnyLayer> = Box::new(Chain(Arc::clone(stages)));
    let reference = Some(Reference { name: "the chain", layer, config: None });
    Case { operands: at, dout: claim.dout.clone(), output: output_name(stages), targets, reference }
}

/// Adds the findings of each layer on its own. Recorded results may follow from the recorded inputs, or be correct even
/// though the tape's inputs were edited; a layer is wrong if neither holds.
fn layer_by_layer(
    stages: &[Stage],
    claim: &Claim,
    records: &[Record],
    precision: Precision,
    checked: &mut CheckReport,
) -> Result<(), Error> {
    let mut wrong = Vec::new();
    let readers = readers(stages);
    for (n, (stage, record)) in stages.iter().zip(records).enumerate().rev() {
        let computed = |n: usize| claim.run.gradients.as_ref().and_then(|layers| layers.get(n));
        let recorded = |n: usize| match records[n].gradients.is_empty() {
            true => computed(n),
            false => Some(&records[n].gradients),
        };
        let dout = |sum: Option<ArrayD<f64>>| match n + 1 == stages.len() {
            true => claim.dout.clone(),
            false => sum.unwrap_or_else(|| claim.run.outputs[n].known(&stage.spec.output).map(|_| 0.0)),
        };
        let (dout_recorded, dout_computed) =
            (dout(sum_of_gradients(&readers[n], recorded)), dout(sum_of_gradients(&readers[n], computed)));
        let mut failed = failures(stage, n, &record.inputs, &dout_recorded, record, precision)?;
        if !failed.is_empty() {
            let also = failures(stage, n, &claim.run.inputs[n], &dout_computed, record, precision)?;
            failed.retain(|finding| also.iter().any(|other| other.result == finding.result));
        }
        if !failed.is_empty() {
            wrong.push(stage.name.as_str());
            put_first(&mut checked.findings, failed);
        }
    }
    wrong.reverse();
    if !wrong.is_empty() {
        let prefix = if wrong.len() == 1 { "the layer that is wrong is" } else { "the layers that are wrong are" };
        let others = "the values of the others follow from their inputs and upstream gradients";
        checked.notes.push(format!("{prefix} {}: {others}", wrong.join(", ")));
    }
    Ok(())
}

/// Returns the failed findings of a layer's record, checked at the given inputs and upstream gradient.
fn failures(
    stage: &Stage,
    n: usize,
    inputs: &Tensors<f64>,
    dout: &ArrayD<f64>,
    record: &Record,
    precision: Precision,
) -> Result<Vec<Finding>, Error> {
    let mut at = stage.params.clone();
    at.extend(inputs.clone());
    let case = Case::new(stage.spec, &stage.settings, &at, Some(dout), precision.float_type());
    let case = case.map_err(|error| stage.document_error(n, error))?;
    let gradients = match record.gradients.is_empty() {
        true => layer::compute(stage.layer(), &at, Some(dout), precision).gradients,
        false => record.gradients.clone(),
    };
    let recorded = Evaluation { outputs: record.outputs.clone(), gradients };
    let found = check(&mut RecordedLayer { recorded }, &case, &CheckOptions::own(&case, 0, precision.float_type()))?;
    let failed = found.findings.into_iter().filter(|finding| finding.verdict == Verdict::Fail);
    Ok(failed.map(|finding| Finding { result: finding.result.in_layer(&stage.name), ..finding }).collect())
}

/// Puts a layer's findings first, and drops the end-to-end failures of the same results, which are less specific.
fn put_first(findings: &mut Vec<Finding>, own: Vec<Finding>) {
    findings.retain(|known| known.verdict != Verdict::Fail || own.iter().all(|finding| finding.result != known.result));
    findings.splice(..0, own);
}
