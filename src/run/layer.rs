//! Layer commands: from operands to results, checks, steps, graphs and tapes.

use super::chunked::{self, ChunkedJob};
use super::expect::EXPECT;
use super::job::Job;
use super::ndjson::{self, RecordPlan};
use super::request::{LayerRequest, Mode, TapeOption};
use super::results::compute_shown;
use super::session::Streams;
use super::status::Status;
use super::{check, expect, graph, jacobian, steps};
use crate::core::error::Error;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Role, Slot};
use crate::network::{Record, Stage, Tape, input_of};
use std::io::Write;

/// Runs a layer command.
pub(crate) fn run(request: &LayerRequest, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let common = &request.common;
    if let Some(records) = &request.records {
        let plan = RecordPlan::for_layer(request, &mut streams.reader)?;
        return ndjson::run(&plan, records, streams);
    }
    if let (Mode::Results, TapeOption::Default) = (&request.mode, &request.tape)
        && let Some(job) = chunked::open(request, &mut streams.reader)?
        && chunked::run(job, common, streams)?
    {
        return Ok(Status::Done);
    }
    let job = Job::prepare(request, &mut streams.reader)?;
    admit_mode(&job, &request.mode)?;
    streams.messages.notes(&job.notes, common.strict)?;
    match &request.mode {
        Mode::Check(format) => return check::layer(&job, common.precision, *format, streams),
        Mode::Expect(file) => {
            let answers = streams.reader.read_answers(&EXPECT, file)?;
            return expect::run(answers, &job, &compute_shown(&job, common)?, common, streams);
        }
        Mode::Steps(form, file) => {
            let answers = file.as_ref().map(|file| streams.reader.read_answers(&EXPECT, file)).transpose()?;
            return steps::layer(&job, *form, answers, common, streams);
        }
        Mode::Graph(graph) => graph::layer(&job, graph, common.precision, streams)?,
        Mode::Jacobian => common.write(jacobian::report(&job, common)?, &mut streams.out)?,
        Mode::Results => write_results(job, request, &mut streams.out)?,
    }
    Ok(Status::Done)
}

/// Refuses an output that does not fit into memory as a whole.
fn check_memory(job: &Job) -> Result<(), Error> {
    layer::check_output_memory(job.layer.as_ref(), &job.operands.values)
}

/// Refuses what a mode cannot show: local factors in place of gradients, or a tape, and what does not fit into memory.
fn admit_mode(job: &Job, mode: &Mode) -> Result<(), Error> {
    let require_gradients = |needed: &str| job.dout.as_ref().map_or(Ok(()), |dout| dout.require_gradients(needed));
    match mode {
        Mode::Check(_) => require_gradients("a check needs gradients")?,
        Mode::Expect(_) | Mode::Steps(_, Some(_)) => require_gradients("only gradients can be compared")?,
        Mode::Graph(_) => graph::admit(job)?,
        // Results may be computed in chunks, and few Jacobians are computed.
        Mode::Jacobian => return jacobian::admit(job),
        Mode::Results => return Ok(()),
        Mode::Steps(_, None) => (),
    }
    check_memory(job)
}

/// Writes the results, in chunks if there are many rows, or the tape that the layer extends.
fn write_results(mut job: Job, request: &LayerRequest, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(tape) = job.tape.take() {
        check_memory(&job)?;
        let tape = extend(tape, job, request.layer_name.clone())?;
        return request.common.write_document(&tape, out);
    }
    match ChunkedJob::in_memory(job, &request.common) {
        Ok(job) => chunked::write_in_memory(job, &request.common, out),
        Err(job) => {
            check_memory(&job)?;
            let report = compute_shown(&job, &request.common)?;
            drop(job);
            request.common.write(report, out)
        }
    }
}

/// Computes the layer and appends it to the tape.
fn extend(mut tape: Tape, job: Job, name: Option<String>) -> Result<Tape, Error> {
    let outcome = layer::compute(job.layer.as_ref(), &job.operands.values, None, tape.precision);
    // An input that neither the tape nor the network's input gives belongs to the layer.
    let is_input = |slot: &Slot| match slot.role {
        Role::Target => true,
        _ => slot.name == *input_of(job.spec) || job.sources.iter().any(|(name, _)| *name == slot.name),
    };
    let (inputs, params): (Vec<_>, Vec<_>) = job
        .operands
        .values
        .into_iter()
        .partition(|(name, _)| job.spec.slots.iter().any(|slot| slot.name == *name && is_input(slot)));
    let name = name.unwrap_or_else(|| tape.fresh_name(job.spec));
    let mut stage = Stage::new(job.spec, name, job.settings, params.into_iter().collect())?;
    let inputs = inputs.into_iter().collect();
    stage.record = Some(Record { inputs, outputs: outcome.results, gradients: Tensors::new() });
    stage.sources = job.sources;
    tape.push(stage)?;
    Ok(tape)
}
