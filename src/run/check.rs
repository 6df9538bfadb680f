//! `--check`: gradients against numerical differentiation.

use super::dout::Dout;
use super::job::Job;
use super::session::Streams;
use super::status::Status;
use crate::check::{BuiltinLayer, Case, CheckOptions, CheckReport, Implementation, Verdict, check};
use crate::core::error::Error;
use crate::layer::Precision;
use crate::network::check::{Claim, check_chain};
use crate::network::{Run, Tape};
use crate::parallel::progress::Progress;
use crate::report::check::{self, CheckFormat};
use ndarray::ArrayD;

/// The random seed without `--seed`.
pub(crate) const SEED: u64 = 1;

/// Checks an admitted layer.
pub(crate) fn layer(
    job: &Job,
    precision: Precision,
    format: CheckFormat,
    streams: &mut Streams<'_>,
) -> anyhow::Result<Status> {
    let dout = job.dout.as_ref().map(Dout::to_array);
    let case = Case::new(job.spec, &job.settings, &job.operands.values, dout.as_deref(), precision.float_type())?;
    let mut own = BuiltinLayer { layer: job.layer.as_ref(), precision };
    let checked = run(&mut own, &case, CheckOptions::own(&case, SEED, precision.float_type()))?;
    report(&checked, format, streams)
}

/// Checks a chain that was run: the gradients that its tape carries, or those of the run if it carries none.
pub(crate) fn chain(
    tape: Tape,
    run: Run,
    dout: ArrayD<f64>,
    format: CheckFormat,
    streams: &mut Streams<'_>,
) -> anyhow::Result<Status> {
    let claim = Claim::new(&tape, run, dout);
    let checked = check_chain(tape, &claim, SEED, self::run)?;
    report(&checked, format, streams)
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
pub(crate) fn report(checked: &CheckReport, format: CheckFormat, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    check::write(checked, format, &mut streams.out)?;
    Ok(match checked.verdict() {
        Verdict::Pass => Status::Done,
        Verdict::Fail => Status::No,
        Verdict::Inconclusive => Status::Undecided,
    })
}
