//! `--jacobian`: every derivative of a layer's output, in place of its results.

use super::job::{Dout, Job};
use super::layer::{blocks, outcome, width};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer::{jacobian_name, jacobians};
use crate::report::{Report, ResultBlock};
use crate::run::request::Request;

/// The Jacobians of an admitted layer, with their formulas.
pub(super) fn report(job: &Job, request: &Request) -> Result<Report, Error> {
    admit(job)?;
    let at = &job.operands.values;
    let all = jacobians(job.spec, job.layer.as_ref(), at, request.precision)?;
    // The Jacobian of a loss is its gradient as a row, and has its formula.
    let gradients = blocks(job.spec, job.layer.as_ref(), at, None, outcome(job, request));
    let of_loss =
        |gradient: &Name| gradients.iter().find(|block| block.name == *gradient).map(|block| block.formula.clone());
    let own = job.layer.jacobians(at);
    let block = |gradient: &Name| {
        let name = jacobian_name(job.spec, gradient);
        let value = all.get(&name)?.clone();
        let operand = gradient.operand()?;
        let known = own.iter().find(|(known, _)| known == gradient).map(|(_, formula)| (*formula).to_owned());
        let formula = if job.spec.is_loss() { of_loss(gradient) } else { known };
        let formula = formula.map_or_else(String::new, |formula| format!(" = {formula}"));
        Some(ResultBlock {
            name, formula: format!("∂{}/∂{operand}{formula}", job.spec.output), value, before: None
        })
    };
    let blocks = job.spec.gradients().filter_map(|(name, _)| block(&name));
    let mut report = Report { blocks: blocks.collect(), width: width(request) };
    if let Some(only) = &request.only {
        report.only(only)?;
    }
    Ok(report)
}

/// Refuses what has no part in it: an upstream gradient, local factors, a tape.
fn admit(job: &Job) -> Result<(), Error> {
    match &job.dout {
        Some(Dout { local: true, given, .. }) => Err(Error::new(
            Code::LocalFactors,
            format!("the number {} scales the local factors, and a Jacobian has true derivatives", given[[]]),
        )
        .with_operand(&Name::DOUT)
        .tip("leave --dout out: the Jacobian is by each entry of the output on its own")),
        Some(Dout { said: true, .. }) => {
            Err(Error::new(Code::Usage, "has no part in a Jacobian, which is by each entry of the output on its own")
                .with_operand(&Name::DOUT)
                .tip("leave it out; dout·Jacobian is what dx, dw and db are"))
        }
        _ if job.tape.is_some() => {
            Err(Error::new(Code::Usage, "a tape is piped, and a Jacobian is that of a single layer")
                .with_operand(&Name::new("jacobian"))
                .tip("give the layer's operands as options or as a plain matrix"))
        }
        _ => Ok(()),
    }
}
