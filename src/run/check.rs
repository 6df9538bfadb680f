//! `--check`: gradients against numerical differentiation.

use super::dout::Dout;
use super::job::Job;
use super::request::Request;
use super::status::Status;
use crate::check::{BuiltinLayer, Case, CheckOptions, CheckReport, Implementation, Verdict, check};
use crate::core::error::Error;
use crate::network::check::{Claim, check_chain};
use crate::network::{Run, Tape};
use crate::parallel::progress::Progress;
use crate::report::check::{self, CheckFormat};
use ndarray::ArrayD;
use std::io::{BufWriter, Write};

/// The random seed without `--seed`.
pub(crate) const SEED: u64 = 1;

/// Checks an admitted layer.
pub(crate) fn layer(job: &Job, request: &Request, out: &mut dyn Write) -> anyhow::Result<Status> {
    let dout = job.dout.as_ref().map(Dout::to_array);
    let case = Case::new(job.spec, &job.settings, &job.operands.values, dout.as_deref(), request.precision)?;
    let mut own = BuiltinLayer { layer: job.layer.as_ref(), precision: request.precision };
    let checked = run(&mut own, &case, CheckOptions::new(&case, SEED, true))?;
    report(&checked, request.check_format, out)
}

/// Checks a chain that was run: the gradients that its tape carries, or those of the run if it carries none.
pub(crate) fn chain(
    tape: Tape,
    run: Run,
    dout: ArrayD<f64>,
    request: &Request,
    out: &mut dyn Write,
) -> anyhow::Result<Status> {
    let claim = Claim::new(&tape, run, dout);
    let checked = check_chain(tape, &claim, SEED, self::run)?;
    report(&checked, request.check_format, out)
}

/// Checks a case and reports the progress.
pub(crate) fn run(
    implementation: &mut dyn Implementation,
    case: &Case,
    options: CheckOptions<'_>,
) -> Result<CheckReport, Error> {
    let progress = Progress::new("checking", options.count_forward_passes(case));
    check(implementation, case, &CheckOptions { on_forward: &|| progress.advance(1), ..options })
}

/// Writes the report; the status is that of the verdict.
pub(crate) fn report(checked: &CheckReport, format: CheckFormat, out: &mut dyn Write) -> anyhow::Result<Status> {
    let mut out = BufWriter::new(out);
    check::write(checked, format, &mut out)?;
    out.flush()?;
    Ok(match checked.verdict() {
        Verdict::Pass => Status::Done,
        Verdict::Fail => Status::No,
        Verdict::Inconclusive => Status::Undecided,
    })
}
