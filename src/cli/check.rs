//! `--check`: a layer's gradients against numerical differentiation, in place of its results.

use super::backward::upstream;
use super::job::{Dout, Job};
use super::request::{check as check_option, check_format};
use crate::check::{Case, Checked, Own, Plan, Subject, Verdict, check};
use crate::core::error::Error;
use crate::network::check::{Claim, check_chain};
use crate::network::{Run, Tape};
use crate::operand::OperandReader;
use crate::parallel::progress::Progress;
use crate::report::checked;
use crate::report::checked::Form;
use crate::run::Status;
use crate::run::request::Request;
use clap::{Arg, ArgMatches};
use std::io::{BufWriter, Write};

/// The seed where none is given.
pub(super) const SEED: u64 = 1;

/// Checks an admitted layer.
pub(super) fn layer(job: &Job, request: &Request, out: &mut dyn Write) -> anyhow::Result<Status> {
    let dout = job.dout.as_ref().map(Dout::to_whole);
    let case = Case::new(job.spec, &job.settings, &job.operands.values, dout.as_deref(), request.precision)?;
    let mut own = Own { layer: job.layer.as_ref(), precision: request.precision };
    let checked = watched(&mut own, &case, Plan::new(&case, SEED, true))?;
    report(&checked, request.check_format, out)
}

/// The options of a chain's check.
pub(super) fn chain_options() -> [Arg; 2] {
    [check_option().conflicts_with("tape"), check_format()]
}

/// Checks a chain that was run: what its tape carries, or where that is nothing what the run gave.
pub(super) fn chain(
    tape: Tape,
    run: Run,
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    request: &Request,
    out: &mut dyn Write,
) -> anyhow::Result<Status> {
    let Some(last) = tape.stages.last() else { unreachable!("a document has layers") };
    let shape = run.outputs.last().and_then(|outputs| outputs.get(&last.spec.output));
    let shape = shape.map(|output| output.shape().to_vec()).unwrap_or_default();
    let dout = upstream(matches, reader, last, &shape)?;
    let claim = Claim::new(&tape, run, dout);
    let checked = check_chain(tape, &claim, SEED, watched)?;
    report(&checked, request.check_format, out)
}

/// Checks, with a bar where it takes long.
pub(super) fn watched(subject: &mut dyn Subject, case: &Case, plan: Plan<'_>) -> Result<Checked, Error> {
    let progress = Progress::new("checking", plan.passes(case));
    check(subject, case, &Plan { tick: &|| progress.advance(1), ..plan })
}

/// Writes the report, and says by the status how the check ended.
pub(super) fn report(checked: &Checked, form: Form, out: &mut dyn Write) -> anyhow::Result<Status> {
    let mut out = BufWriter::new(out);
    checked::write(checked, form, &mut out)?;
    out.flush()?;
    Ok(match checked.verdict() {
        Verdict::Pass => Status::Done,
        Verdict::Fail => Status::No,
        Verdict::Inconclusive => Status::Undecided,
    })
}
