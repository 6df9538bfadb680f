//! `--steps`: the arithmetic of each result with the numbers filled in.

use super::chain::{line_before_gradients, sections};
use super::expect::{rounding, select_sheets};
use super::job::Job;
use super::request::Request;
use super::results::{compute_all, report};
use super::session::Streams;
use super::status::Status;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::decimal::DecimalArrays;
use crate::layer::Precision;
use crate::network::{Run, Tape};
use crate::report::steps;
use crate::report::steps::{StepsFormat, WorkedResult};
use crate::steps::{GradeSummary, LayerRun, grade, trace};
use ndarray::ArrayD;

/// Writes the steps of a layer, compared with `answers` if there are any.
pub(crate) fn layer(
    job: &Job,
    form: StepsFormat,
    answers: Option<DecimalArrays>,
    request: &Request,
    streams: &mut Streams<'_>,
) -> anyhow::Result<Status> {
    if job.tape.is_some() {
        return Err(Error::new(Code::Usage, "cannot be used with a tape on standard input")
            .with_operand(&Name::new("steps"))
            .tip("use nnlayer backward --steps at the end of the pipe for the steps of the whole chain")
            .into());
    }
    let outcome = compute_all(job, request);
    let round = round_to(request.precision);
    let dout = job.dout.as_ref();
    let mut sections = trace(&LayerRun {
        layer: job.layer.as_ref(),
        operands: &job.operands.values.map(&round),
        outcome: &outcome,
        dout: dout.map(|dout| dout.to_array().map(&round)).as_ref(),
        shows_dout: dout.is_some_and(|dout| dout.is_explicit) || !job.spec.is_loss(),
        only: request.only.as_deref(),
        notation: form.notation(request.digits),
    })?;
    let blocks = report(job, request, outcome)?;
    let tally = match answers {
        Some(sheets) => {
            let mut computed: Vec<Name> = Vec::new();
            for step in sections.iter().flat_map(|section| &section.steps) {
                if !computed.contains(&step.name) {
                    computed.push(step.name.clone());
                }
            }
            let sheets = select_sheets(sheets, job.spec, &blocks, &computed, request, &mut streams.messages)?;
            Some(grade(&mut sections, &sheets, rounding(request)))
        }
        None => None,
    };
    let worked = |(block, section)| WorkedResult { layer: None, block, section };
    let worked: Vec<WorkedResult> = blocks.into_iter().zip(sections).map(worked).collect();
    write(&worked, tally.as_ref(), form, request, streams)?;
    Ok(if tally.is_some_and(|tally| tally.first.is_some()) { Status::No } else { Status::Done })
}

/// Writes the steps of a chain in the order of the computation: forward from the first layer, backward from the last.
pub(crate) fn chain(
    tape: &Tape,
    run: Run,
    dout: Option<&ArrayD<f64>>,
    is_explicit: bool,
    form: StepsFormat,
    request: &Request,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    let is_loss = tape.stages.last().is_some_and(|last| last.spec.is_loss());
    let before = if is_loss || dout.is_none() { None } else { line_before_gradients(tape, &run, is_explicit) };
    let mut sections = sections(tape, &run);
    if let Some(only) = &request.only {
        sections.only(only)?;
    }
    // Layers without a result that is asked for have no section.
    let mut sections = sections.sections.into_iter().peekable();
    let round = round_to(tape.precision);
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for (n, (stage, passed)) in tape.stages.iter().zip(run.layers(tape, dout)).enumerate() {
        let Some((layer, blocks)) = sections.next_if(|(layer, _)| *layer == stage.name) else { continue };
        let followed = trace(&LayerRun {
            layer: stage.layer(),
            operands: &passed.at.map(&round),
            outcome: &passed.outcome,
            dout: passed.dout.as_ref().map(|dout| dout.map(&round)).as_ref(),
            shows_dout: is_explicit || !is_loss || n + 1 < tape.stages.len(),
            only: Some(&blocks.iter().map(|block| block.header.name.as_str().to_owned()).collect::<Vec<_>>()),
            notation: form.notation(request.digits),
        })?;
        let worked = blocks.into_iter().filter_map(|block| {
            let mut section = followed.iter().find(|section| section.name == block.header.name)?.clone();
            section.fold();
            Some(WorkedResult { layer: Some(layer.clone()), block, section })
        });
        let (gradients, results): (Vec<WorkedResult>, Vec<WorkedResult>) =
            worked.partition(|worked| stage.spec.is_gradient(&worked.block.header.name));
        forward.extend(results);
        backward.push(gradients);
    }
    backward.reverse();
    if let Some(first) = backward.iter_mut().flatten().next() {
        first.block.header.before = before;
    }
    forward.extend(backward.into_iter().flatten());
    write(&forward, None, form, request, streams)
}

fn write(
    worked: &[WorkedResult],
    tally: Option<&GradeSummary>,
    form: StepsFormat,
    request: &Request,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    match request.as_json() {
        Some(pretty) => steps::write_as_json(worked, tally, pretty, &mut streams.out)?,
        None => steps::write(worked, tally, form, streams.columns, &mut streams.out)?,
    }
    Ok(())
}

/// Returns the function that rounds an operand to the precision in which a layer reads it.
fn round_to(precision: Precision) -> impl Fn(&f64) -> f64 {
    move |value| precision.float_type().round(*value)
}
