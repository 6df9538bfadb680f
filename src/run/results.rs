//! The results of a layer, with the formulas that are shown above them.

use super::dout::{Dout, ones_line};
use super::job::Job;
use super::request::Request;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, LayerSpec, Outcome, ScalarDout, Wanted};
use crate::report::{ResultBlock, ResultHeader};

/// Computes the results that are shown, and nothing that only others need.
pub(crate) fn compute_shown(job: &Job, request: &Request) -> Result<Vec<ResultBlock>, Error> {
    let Some(only) = &request.only else { return report(job, request, compute_all(job, request)) };
    let only: Vec<Name> = only.iter().map(Name::new).collect();
    let (at, dout) = (&job.operands.values, job.dout.as_ref().map(Dout::to_array));
    let wanted = Wanted::Only(&only);
    let mut outcome = layer::compute_only(job.layer.as_ref(), at, dout.as_deref(), request.precision, wanted);
    if only.iter().any(|name| outcome.results.get(name).or_else(|| outcome.gradients.get(name)).is_none()) {
        // The error lists all results.
        outcome = compute_all(job, request);
    }
    report(job, request, outcome)
}

/// Computes all results and gradients.
pub(crate) fn compute_all(job: &Job, request: &Request) -> Outcome {
    let dout = job.dout.as_ref().map(Dout::to_array);
    layer::compute(job.layer.as_ref(), &job.operands.values, dout.as_deref(), request.precision)
}

/// Returns the results that are shown, with their formulas.
pub(crate) fn report(job: &Job, request: &Request, outcome: Outcome) -> Result<Vec<ResultBlock>, Error> {
    let (at, dout) = (&job.operands.values, job.dout.as_ref());
    let mut blocks = blocks(job.spec, job.layer.as_ref(), at, dout, outcome);
    request.select(&mut blocks)?;
    Ok(blocks)
}

/// Returns the heading of each named result: its formula, and before the first gradient a line that `dout` is ones by default.
pub(crate) fn headers<'a>(
    spec: &'static LayerSpec,
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&Dout>,
    names: impl Iterator<Item = &'a Name>,
) -> Vec<ResultHeader> {
    let names: Vec<&Name> = names.collect();
    let is_mean = names.contains(&&Name::DIVISOR);
    let local = match &spec.scalar_dout {
        ScalarDout::LocalFactors(formulas) if dout.is_some_and(|dout| dout.is_local) => *formulas,
        _ => &[],
    };
    let registered: Vec<_> = spec.results().collect();
    let formulas = [local, &layer.formulas(at), &registered, &[(Name::DIVISOR, "divisor of the mean")]].concat();
    let formula = |name: &Name| {
        let formula = formulas.iter().find(|(known, _)| known == name).map_or("", |(_, formula)| *formula);
        if is_mean && (*name == Name::LOSS || spec.is_gradient(name)) {
            format!("({formula}) / divisor")
        } else {
            formula.to_owned()
        }
    };
    let mut ones = dout.filter(|dout| !dout.is_explicit && !spec.is_loss()).map(|_| ones_line(&spec.output));
    let mut before = |name: &Name| if spec.is_gradient(name) { ones.take() } else { None };
    names
        .into_iter()
        .map(|name| ResultHeader { name: name.clone(), formula: formula(name), before: before(name) })
        .collect()
}

/// Returns results and gradients with their headings.
pub(crate) fn blocks(
    spec: &'static LayerSpec,
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&Dout>,
    outcome: Outcome,
) -> Vec<ResultBlock> {
    let headers = headers(spec, layer, at, dout, outcome.results.names().chain(outcome.gradients.names()));
    let values = outcome.results.into_iter().chain(outcome.gradients);
    headers.into_iter().zip(values).map(|(header, (_, value))| ResultBlock { header, value }).collect()
}
