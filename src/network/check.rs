//! A chain under check: end to end by differences of the whole, and layer by layer to say which one is wrong.
//!
//! The gradients may be those that a tape carries, worked out or edited by anybody. End to end, each is held against
//! differences of the last output by that operand; a layer is called wrong when its own results do not follow from what
//! it read and from the gradient that reached it, so a layer that passes on somebody else's mistake is not accused.

use super::{Feed, Record, Run, Stage, Tape, backward, forward};
use crate::check::{
    Case, Checked, Finding, Gradient, Own, Plan, Recorded, Reference, Reply, Slant, Subject, Verdict, check,
};
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Admit, AnyLayer, Forward, Given, Layer, Precision, Role};
use crate::numeric::Scalar;
use ndarray::ArrayD;
use std::sync::Arc;

/// A chain as one layer: its operands and gradients are called as in `fc1.w`.
struct Chain(Arc<Vec<Stage>>);

impl Chain {
    /// The parameters of each layer, the first layer's input, and the targets.
    #[allow(clippy::type_complexity)] // said in words above
    fn apart<S: Scalar>(&self, at: &Tensors<S>) -> (Vec<Tensors<S>>, ArrayD<S>, Option<ArrayD<S>>) {
        let params = |stage: &Stage| {
            stage.params.names().map(|name| (name.clone(), at.known(&name.in_layer(&stage.name)).clone())).collect()
        };
        let x = at.known(&entry(&self.0)).clone();
        (self.0.iter().map(params).collect(), x, target(&self.0).and_then(|name| at.get(&name)).cloned())
    }
}

/// What the first layer's input is called.
fn entry(stages: &[Stage]) -> Name {
    stages.first().map_or(Name::X, |first| first.input().in_layer(&first.name))
}

/// What the targets are called.
fn target(stages: &[Stage]) -> Option<Name> {
    let last = stages.last()?;
    let slot = last.spec.slots.iter().find(|slot| slot.role == Role::Target)?;
    Some(slot.name.in_layer(&last.name))
}

/// What the last output is called.
fn exit(stages: &[Stage]) -> Name {
    stages.last().map_or(Name::Y, |last| last.spec.output.in_layer(&last.name))
}

impl Admit for Chain {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        let (params, x, t) = self.apart(given.at);
        Ok(forward::<f64>(&self.0, params, &Feed { x: &x, t: t.as_ref(), rounding: given.rounding })?.notes)
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        let outputs = Layer::<f64>::forward(self, at).results;
        outputs.get(&exit(&self.0)).map(|output| output.shape().to_vec()).unwrap_or_default()
    }
}

impl<S: Scalar> Layer<S> for Chain
where
    dyn AnyLayer: Layer<S>,
{
    /// The last output; nothing where a layer refuses what the one before gives.
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let (params, x, t) = self.apart(at);
        let pass = forward(&self.0, params, &Feed { x: &x, t: t.as_ref(), rounding: &|_| f64::EPSILON });
        let output = pass.ok().and_then(|pass| pass.output(&self.0).cloned());
        let results = output.map(|output| Tensors::new().with(exit(&self.0), output)).unwrap_or_default();
        Forward { results, saved: Vec::new() }
    }

    fn backward<'a>(
        &'a self,
        at: &'a Tensors<S>,
        _: &'a layer::Run<'a, S>,
        dout: &'a ArrayD<S>,
    ) -> layer::Gradients<'a, S> {
        let (params, x, t) = self.apart(at);
        let pass = forward(&self.0, params, &Feed { x: &x, t: t.as_ref(), rounding: &|_| f64::EPSILON });
        let gradients = pass.map(|pass| end_to_end(&self.0, backward(&self.0, &pass, dout.clone())));
        gradients.unwrap_or_default().into()
    }
}

/// The gradients by what a chain is given: by its first input and by every parameter.
fn end_to_end<S>(stages: &[Stage], gradients: Vec<Tensors<S>>) -> Tensors<S> {
    let by = |n: usize, stage: &Stage, name: &Name| {
        (n == 0 && *name == stage.input().gradient()) || stage.learnt().any(|learnt| learnt.gradient() == *name)
    };
    let layers = stages.iter().zip(gradients).enumerate();
    layers
        .flat_map(|(n, (stage, gradients))| {
            let own = gradients.into_iter().filter(move |(name, _)| by(n, stage, name));
            own.map(|(name, value)| (name.in_layer(&stage.name), value))
        })
        .collect()
}

/// What a chain computed, and what its tape says it did.
pub struct Claim {
    /// What each layer read and gave, computed here from the first input.
    pub run: Run,
    /// The upstream gradient of the last output.
    pub dout: ArrayD<f64>,
    /// What a tape carries; none where it is a network.
    recorded: Option<Vec<Record>>,
}

impl Claim {
    /// A run of a chain, and what the tape carries.
    pub fn of(tape: &Tape, run: Run, dout: ArrayD<f64>) -> Claim {
        Claim { run, dout, recorded: tape.stages.iter().map(|stage| stage.record.clone()).collect() }
    }

    /// What layer `n` read, gave and made of its upstream gradient, computed here.
    fn own(&self, n: usize) -> Record {
        let gradients = self.run.gradients.as_ref().and_then(|all| all.get(n)).cloned().unwrap_or_default();
        Record { inputs: self.run.inputs[n].clone(), outputs: self.run.outputs[n].clone(), gradients }
    }

    /// The gradients in question.
    fn gradients(&self) -> Vec<Tensors<f64>> {
        match &self.recorded {
            Some(records) if records.iter().all(|record| !record.gradients.is_empty()) => {
                records.iter().map(|record| record.gradients.clone()).collect()
            }
            _ => self.run.gradients.clone().unwrap_or_default(),
        }
    }
}

/// Checks a chain's gradients: `watch` runs each check, and may show how far it is.
pub fn whole(
    tape: Tape,
    claim: &Claim,
    seed: u64,
    watch: impl FnOnce(&mut dyn Subject, &Case, Plan<'static>) -> Result<Checked, Error>,
) -> Result<Checked, Error> {
    let precision = tape.precision;
    let stages = Arc::new(tape.stages);
    let gradients = claim.gradients();
    let case = case(&stages, claim, &gradients);
    let reply = Reply { outputs: Tensors::new(), gradients: end_to_end(&stages, gradients) };
    let chain = Chain(Arc::clone(&stages));
    let own = Own { layer: &chain, precision };
    let mut checked = watch(&mut Recorded { own, reply }, &case, Plan::new(&case, seed, true))?;
    if let Some(records) = &claim.recorded {
        layer_by_layer(&stages, claim, records, precision, &mut checked)?;
    }
    Ok(checked)
}

/// The chain as one case.
fn case(stages: &Arc<Vec<Stage>>, claim: &Claim, gradients: &[Tensors<f64>]) -> Case {
    let mut at = Tensors::new();
    for (n, (stage, inputs)) in stages.iter().zip(&claim.run.inputs).enumerate() {
        let inputs = inputs.iter().filter(|(name, _)| n == 0 || *name != stage.input());
        for (name, value) in inputs.chain(stage.params.iter()) {
            at.insert(name.in_layer(&stage.name), value.clone());
        }
    }
    let mut slants = Vec::new();
    for (n, (stage, gradients)) in stages.iter().zip(gradients).enumerate() {
        for name in (n == 0).then(|| stage.input()).into_iter().chain(stage.learnt()) {
            let operand = name.in_layer(&stage.name);
            if let (Some(value), Some(gradient)) = (at.get(&operand), gradients.get(&name.gradient())) {
                let of = Gradient { name: name.gradient().in_layer(&stage.name), operand };
                slants.push(Slant::new(of, value, gradient));
            }
        }
    }
    let magnitude = if stages.last().is_some_and(|last| last.spec.is_loss()) { 1.0 } else { 0.0 };
    let layer: Box<dyn AnyLayer> = Box::new(Chain(Arc::clone(stages)));
    let reference = Some(Reference { name: "the chain", layer, row: None });
    Case { at, dout: claim.dout.clone(), output: exit(stages), slants, reference, magnitude }
}

/// Adds what is wrong of each layer on its own. Its results may follow from what it read, as the tape has it, or be what
/// they should be where the tape was changed behind its back; a layer is wrong where they are neither.
fn layer_by_layer(
    stages: &[Stage],
    claim: &Claim,
    records: &[Record],
    precision: Precision,
    checked: &mut Checked,
) -> Result<(), Error> {
    let mut wrong = Vec::new();
    for (n, (stage, record)) in stages.iter().zip(records).enumerate().rev() {
        let dout = |of: &dyn Fn(usize) -> Record| {
            let next = stages.get(n + 1).and_then(|next| of(n + 1).gradients.take(&next.input().gradient()));
            next.unwrap_or_else(|| claim.dout.clone())
        };
        let recorded = |n: usize| if records[n].gradients.is_empty() { claim.own(n) } else { records[n].clone() };
        let mut failed = failures(stage, n, &record.inputs, &dout(&recorded), record, precision)?;
        if !failed.is_empty() {
            let own = |n: usize| claim.own(n);
            let also = failures(stage, n, &claim.own(n).inputs, &dout(&own), record, precision)?;
            failed.retain(|finding| also.iter().any(|other| other.result == finding.result));
        }
        if !failed.is_empty() {
            wrong.push(stage.name.as_str());
            place(&mut checked.findings, failed);
        }
    }
    wrong.reverse();
    if !wrong.is_empty() {
        let is = if wrong.len() == 1 { "the layer that is wrong is" } else { "the layers that are wrong are" };
        checked.notes.push(format!("{is} {}: the others follow from what reaches them", wrong.join(", ")));
    }
    Ok(())
}

/// What is wrong of a layer's record, by what it read and by the gradient that reached it.
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
    let case = Case::new(stage.spec, &stage.settings, &at, Some(dout), precision);
    let case = case.map_err(|error| stage.blame(n, error))?;
    let own = Own { layer: stage.layer(), precision };
    let gradients = match record.gradients.is_empty() {
        true => layer::compute(stage.layer(), &at, Some(dout), precision).gradients,
        false => record.gradients.clone(),
    };
    let reply = Reply { outputs: record.outputs.clone(), gradients };
    let found = check(&mut Recorded { own, reply }, &case, &Plan::new(&case, 0, true))?;
    let failed = found.findings.into_iter().filter(|finding| finding.verdict == Verdict::Fail);
    Ok(failed.map(|finding| Finding { result: finding.result.in_layer(&stage.name), ..finding }).collect())
}

/// Puts a layer's own findings first, in place of the same ones of the whole, which know less.
fn place(findings: &mut Vec<Finding>, own: Vec<Finding>) {
    findings.retain(|known| known.verdict != Verdict::Fail || own.iter().all(|finding| finding.result != known.result));
    findings.splice(..0, own);
}
