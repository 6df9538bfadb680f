//! `--check`: a layer's gradients against numerical differentiation, in place of its results.

use super::Status;
use super::error::Messages;
use super::job::Job;
use super::progress::Progress;
use super::request::Request;
use crate::check::{Case, Checked, Own, Plan, Subject, Verdict, check};
use crate::fault::Fault;
use crate::report::checked::{self, Form};
use clap::ArgMatches;
use std::io::{BufWriter, Write};

/// The seed where none is given.
pub(super) const SEED: u64 = 1;

/// Checks an admitted layer.
pub(super) fn layer(
    job: &Job,
    request: &Request,
    matches: &ArgMatches,
    out: &mut dyn Write,
    messages: &mut Messages<'_>,
) -> anyhow::Result<Status> {
    let dout = job.dout.as_ref().map(|dout| &dout.value);
    let case = Case::new(job.spec, &job.settings, &job.operands.values, dout, request.precision)?;
    let mut own = Own { layer: job.layer.as_ref(), precision: request.precision };
    let checked = watched(&mut own, &case, Plan::new(&case, SEED, true), messages)?;
    report(&checked, form(request.as_json(), matches), out)
}

/// Checks, with a bar where it takes long.
pub(super) fn watched(
    subject: &mut dyn Subject,
    case: &Case,
    plan: Plan<'_>,
    messages: &mut Messages<'_>,
) -> Result<Checked, Fault> {
    let progress = Progress::new(messages, plan.passes(case));
    check(subject, case, &Plan { tick: &|| progress.tick(), ..plan })
}

/// The form that options ask for; `--json` and `--pretty` are short for one.
pub(super) fn form(json: Option<bool>, matches: &ArgMatches) -> Form {
    let named = matches.get_one::<String>("format").and_then(|name| Form::named(name));
    match (json, named) {
        (Some(pretty), None | Some(Form::Json { .. })) => Form::Json { pretty },
        (_, named) => named.unwrap_or(Form::Text),
    }
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
