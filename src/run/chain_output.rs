//! Writes what is asked for of a chain that was run: results by layer, a tape, a graph, the steps or a check.

use super::chain::{line_before_gradients, save, sections};
use super::messages::Messages;
use super::request::{DoutOption, GraphRequest, Request};
use super::status::Status;
use super::{check, graph, steps};
use crate::network::{Run, Tape};
use ndarray::ArrayD;
use std::io::Write;

/// Arguments that `backward` and `net` share.
pub(crate) struct Arguments {
    /// File of the tape or network, `-` for standard input.
    pub(crate) source: String,
    pub(crate) dout: DoutOption,
    pub(crate) graph: Option<GraphRequest>,
    /// `--tape`: write a tape in place of results.
    pub(crate) writes_tape: bool,
    pub(crate) request: Request,
}

/// Writes the output of a run. `dout` is the upstream gradient, or `None` if the chain was run forward only;
/// `gradients_only` leaves out the results of the forward pass.
pub(super) fn write(
    mut tape: Tape,
    run: Run,
    dout: Option<&ArrayD<f64>>,
    gradients_only: bool,
    arguments: &Arguments,
    out: &mut dyn Write,
    messages: &Messages,
) -> anyhow::Result<Status> {
    let request = &arguments.request;
    let is_explicit = !matches!(arguments.dout, DoutOption::Default);
    if let (true, Some(dout)) = (request.check, dout) {
        return check::chain(tape, run, dout.clone(), request, out);
    }
    if let Some(graph) = &arguments.graph {
        graph::chain(&tape, run, dout, is_explicit || dout.is_none(), graph, out, messages)?;
    } else if let Some(form) = request.steps {
        steps::chain(&tape, run, dout, is_explicit, form, request, out)?;
    } else if arguments.writes_tape {
        save(&mut tape, run);
        request.write_document(&tape, out)?;
    } else {
        let ends_in_loss = tape.stages.last().is_some_and(|last| last.spec.is_loss());
        let mut header = line_before_gradients(&tape, &run, is_explicit).filter(|_| gradients_only || !ends_in_loss);
        let mut sections = sections(&tape, &run);
        for (stage, (_, blocks)) in tape.stages.iter().zip(&mut sections.sections) {
            blocks.retain(|block| !gradients_only || stage.spec.is_gradient(&block.name));
            if let Some(first) = blocks.iter_mut().find(|block| stage.spec.is_gradient(&block.name)) {
                first.before = header.take();
            }
        }
        request.write_sections(sections, out)?;
    }
    Ok(Status::Done)
}
