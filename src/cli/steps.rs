//! `--steps`: the arithmetic with the numbers filled in, in place of the results.

use super::backward::{before, sections};
use super::expect;
use super::expect::EXPECT;
use super::job::Job;
use super::layer::{outcome, report};
use super::text_of;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::decimal::{Sheet, Sheets};
use crate::layer::Precision;
use crate::network::{Run, Tape};
use crate::numeric::Scalar;
use crate::report::steps;
use crate::report::steps::{Form, WorkedResult};
use crate::run::Status;
use crate::run::messages::Messages;
use crate::run::request::Request;
use crate::steps::{Followed, Tally, follow, mark};
use clap::{Arg, ArgMatches};
use ndarray::ArrayD;
use std::ffi::OsString;
use std::io::{BufWriter, Write};

const FORMS: &[&str] = &["text", "markdown"];

/// `--steps`.
pub(super) fn option() -> Arg {
    super::choice(
        "steps",
        FORMS,
        "write out the arithmetic with the numbers filled in, as text (default) or markdown; with --json as an object",
    )
    .num_args(0..=1)
    .default_missing_value("text")
    .conflicts_with_all(["tape", "check", "out", "graph"])
}

/// The form that is asked for.
pub(super) fn form(matches: &ArgMatches) -> Option<Form> {
    let markdown = text_of(matches, "steps")? == "markdown";
    Some(if markdown { Form::Markdown } else { Form::Text })
}

/// Leaves what follows `--steps` to others, unless it is a form: `backward --steps tape.json` names a file.
pub(super) fn guard(mut args: Vec<OsString>) -> Vec<OsString> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    for n in (0..end).filter(|&n| args[n] == "--steps").collect::<Vec<_>>() {
        let next = args.get(n + 1).and_then(|arg| arg.to_str());
        if !next.is_some_and(|next| FORMS.contains(&next)) {
            args[n] = OsString::from("--steps=text");
        }
    }
    args
}

/// Writes the steps of a layer, held against `answers` where there are some.
pub(super) fn layer(
    job: Job,
    form: Form,
    answers: Option<Sheets>,
    request: &Request,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<Status> {
    if job.tape.is_some() {
        return Err(Error::new(Code::Usage, "a tape is piped, and its steps are those of the whole chain")
            .with_operand(&Name::new("steps"))
            .tip("nnlayer backward --steps at the end of the pipe shows them")
            .into());
    }
    let outcome = outcome(&job, request);
    let read = reader(request.precision);
    let dout = job.dout.as_ref();
    let mut sections = follow(&Followed {
        layer: job.layer.as_ref(),
        at: &job.operands.values.map(read),
        outcome: &outcome,
        dout: dout.map(|dout| dout.to_whole().map(read)).as_ref(),
        says_dout: dout.is_some_and(|dout| dout.said) || !job.spec.is_loss(),
    })?;
    let report = report(&job, request, outcome)?;
    sections.retain(|section| report.blocks.iter().any(|block| block.name == section.name));
    let tally = match answers {
        Some(sheets) => {
            let named = expect::named(sheets, &report.blocks)?;
            let mut computed: Vec<Name> = Vec::new();
            for step in sections.iter().flat_map(|section| &section.steps) {
                if !computed.contains(&step.name) {
                    computed.push(step.name.clone());
                }
            }
            expect::warn(&named, job.spec, &computed, request, messages)?;
            let wanted = named.iter().filter(|(name, _)| computed.contains(name));
            let sheets: Vec<(Name, Sheet)> = wanted
                .map(|(name, sheet)| {
                    Ok((name.clone(), sheet.clone().map_err(|error: Error| error.with_operand(&EXPECT))?))
                })
                .collect::<Result<_, Error>>()?;
            if sheets.is_empty() {
                return Err(expect::nothing(&named, &computed).into());
            }
            Some(mark(&mut sections, &sheets, expect::rounding(request)))
        }
        None => None,
    };
    let worked: Vec<WorkedResult> = report
        .blocks
        .into_iter()
        .zip(sections)
        .map(|(block, section)| WorkedResult { layer: None, block, section })
        .collect();
    write(&worked, tally.as_ref(), form, request, out)?;
    Ok(if tally.is_some_and(|tally| tally.first.is_some()) { Status::No } else { Status::Done })
}

/// Writes the steps of a chain in the order of the computation: forward from the first layer, backward from the last.
pub(super) fn chain(
    tape: &Tape,
    run: Run,
    dout: Option<&ArrayD<f64>>,
    said: bool,
    form: Form,
    request: &Request,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let is_loss = tape.stages.last().is_some_and(|last| last.spec.is_loss());
    let before = if is_loss || dout.is_none() { None } else { before(tape, &run, said) };
    let mut sections = sections(tape, &run);
    if let Some(only) = &request.only {
        sections.only(only)?;
    }
    let read = reader(tape.precision);
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for (n, (stage, passed)) in tape.stages.iter().zip(run.layers(tape, dout)).enumerate() {
        let Some(at) = sections.sections.iter().position(|(layer, _)| *layer == stage.name) else { continue };
        let (layer, blocks) = sections.sections.remove(at);
        let followed = follow(&Followed {
            layer: stage.layer(),
            at: &passed.at.map(read),
            outcome: &passed.outcome,
            dout: passed.dout.as_ref().map(|dout| dout.map(read)).as_ref(),
            says_dout: said || !is_loss || n + 1 < tape.stages.len(),
        })?;
        let worked = blocks.into_iter().filter_map(|block| {
            let section = followed.iter().find(|section| section.name == block.name)?.clone();
            Some(WorkedResult { layer: Some(layer.clone()), block, section })
        });
        let (gradients, results): (Vec<WorkedResult>, Vec<WorkedResult>) =
            worked.partition(|worked| stage.spec.is_gradient(&worked.block.name));
        forward.extend(results);
        backward.push(gradients);
    }
    backward.reverse();
    if let Some(first) = backward.iter_mut().flatten().next() {
        first.block.before = before;
    }
    forward.extend(backward.into_iter().flatten());
    write(&forward, None, form, request, out)
}

fn write(
    worked: &[WorkedResult],
    tally: Option<&Tally>,
    form: Form,
    request: &Request,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(out);
    match request.as_json() {
        Some(pretty) => steps::json(worked, tally, pretty, &mut out)?,
        None => steps::write(worked, tally, form, &mut out)?,
    }
    Ok(out.flush()?)
}

/// A number as a layer reads it.
fn reader(precision: Precision) -> fn(&f64) -> f64 {
    match precision {
        Precision::F32 => |value| f32::from_f64(*value).to_f64(),
        Precision::F64 | Precision::Exact => |value| *value,
    }
}
