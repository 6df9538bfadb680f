//! `--jacobian`: all derivatives of a layer's output.

use super::job::Job;
use super::request::Request;
use super::results::{blocks, compute_all};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer::{jacobian_name, jacobians};
use crate::report::{ResultBlock, ResultHeader};

/// Computes the Jacobians of an admitted layer, with their formulas.
pub(crate) fn report(job: &Job, request: &Request) -> Result<Vec<ResultBlock>, Error> {
    let at = &job.operands.values;
    let values = jacobians(job.spec, job.layer.as_ref(), at, request.precision)?;
    // The Jacobian of a loss is its gradient as a row, and has the gradient's formula.
    let gradients = blocks(job.spec, job.layer.as_ref(), at, None, compute_all(job, request));
    let formulas = job.layer.jacobians(at);
    let formula = |gradient: &Name| match job.spec.is_loss() {
        true => gradients.iter().find(|block| block.header.name == *gradient).map(|block| block.header.formula.clone()),
        false => formulas.iter().find(|(known, _)| known == gradient).map(|(_, formula)| (*formula).to_owned()),
    };
    let block = |gradient: &Name| {
        let name = jacobian_name(job.spec, gradient);
        let value = values.get(&name)?.clone();
        let operand = gradient.operand()?;
        let formula = formula(gradient).map_or_else(String::new, |formula| format!(" = {formula}"));
        let formula = format!("∂{}/∂{operand}{formula}", job.spec.output);
        Some(ResultBlock { header: ResultHeader { name, formula, before: None }, value })
    };
    let mut blocks = job.spec.gradients().filter_map(|(name, _)| block(&name)).collect();
    request.select(&mut blocks)?;
    Ok(blocks)
}

/// Refuses an upstream gradient and a tape, which a Jacobian does not use.
pub(crate) fn admit(job: &Job) -> Result<(), Error> {
    if let Some(dout) = &job.dout {
        dout.require_gradients("a Jacobian has true derivatives")?;
        if dout.is_explicit {
            return Err(Error::new(
                Code::Usage,
                "cannot be used with --jacobian, which has a row for each output entry",
            )
            .with_operand(&Name::DOUT)
            .tip("leave --dout out; each gradient is dout times its Jacobian"));
        }
    }
    if job.tape.is_some() {
        return Err(Error::new(
            Code::Usage,
            "cannot be used with a tape on standard input: it is computed for one layer",
        )
        .with_operand(&Name::new("jacobian"))
        .tip("give the layer's operands as options or as a plain matrix"));
    }
    Ok(())
}
