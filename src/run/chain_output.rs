//! Writes what is asked for of a chain that was run: results by layer, a tape, a graph, the steps or a check.

use super::chain::{line_before_gradients, save, sections};
use super::request::{DoutOption, Mode, Request, width};
use super::session::Streams;
use super::status::Status;
use super::{check, graph, steps};
use crate::core::error::Note;
use crate::core::name::Name;
use crate::network::{Run, Stage, Tape, find_unusual, gradient_norms};
use crate::operand::grammar;
use crate::report::norms;
use ndarray::ArrayD;

/// Arguments that `backward` and `net` share.
pub(crate) struct Arguments {
    /// File of the tape or network, `-` for standard input.
    pub(crate) source: String,
    pub(crate) dout: DoutOption,
    pub(crate) mode: Mode,
    /// `--tape`: write a tape in place of results.
    pub(crate) writes_tape: bool,
    /// `--norms`: write the norms of the gradients in place of results.
    pub(crate) writes_norms: bool,
    pub(crate) request: Request,
}

impl Arguments {
    /// Returns a warning if the file of the results is that of the tape or of the upstream gradient, which it replaces.
    pub(super) fn warn_of_replaced(&self) -> Option<Note> {
        let dout = match &self.dout {
            DoutOption::Operand(spec) => Some(("dout", Ok(spec.clone()))),
            _ => None,
        };
        let source = ("the tape or network", grammar::parse(&self.source));
        self.request.warn_of_replaced_input([source].into_iter().chain(dout))
    }

    /// Returns true if results of this layer may be shown.
    pub(super) fn shows(&self, stage: &Stage) -> bool {
        let shows_results = matches!(self.mode, Mode::Results) && !self.writes_tape && !self.writes_norms;
        let Some(only) = self.request.only.as_ref().filter(|_| shows_results) else { return true };
        let is_named = |name: &str| only.iter().any(|only| only == name);
        let results = || stage.spec.results().map(|(name, _)| name).chain([Name::DIVISOR]);
        is_named(&stage.name)
            || results().any(|name| is_named(name.as_str()) || is_named(name.in_layer(&stage.name).as_str()))
    }
}

/// Writes the output of a run. `dout` is the upstream gradient, or `None` if the chain was run forward only;
/// `gradients_only` leaves out the results of the forward pass.
pub(super) fn write(
    mut tape: Tape,
    run: Run,
    dout: Option<&ArrayD<f64>>,
    gradients_only: bool,
    arguments: &Arguments,
    streams: &mut Streams<'_>,
) -> anyhow::Result<Status> {
    let request = &arguments.request;
    let is_explicit = !matches!(arguments.dout, DoutOption::Default);
    match (&arguments.mode, dout) {
        (Mode::Check(format), Some(dout)) => return check::chain(tape, run, dout.clone(), *format, streams),
        (Mode::Graph(graph), _) => graph::chain(&tape, run, dout, is_explicit || dout.is_none(), graph, streams)?,
        (Mode::Steps(form, _), _) => steps::chain(&tape, run, dout, is_explicit, *form, request, streams)?,
        _ if arguments.writes_norms => {
            let norms = gradient_norms(&tape, &run);
            let findings = find_unusual(&norms);
            match request.as_json() {
                Some(pretty) => norms::write_as_json(&norms, &findings, pretty, &mut streams.out)?,
                None => norms::write(&norms, &findings, graph::is_ascii_terminal(), &mut streams.out)?,
            }
        }
        _ if arguments.writes_tape => {
            save(&mut tape, run);
            request.write_document(&tape, &mut streams.out)?;
        }
        _ => {
            let ends_in_loss = tape.stages.last().is_some_and(|last| last.spec.is_loss());
            let mut line = line_before_gradients(&tape, &run, is_explicit).filter(|_| gradients_only || !ends_in_loss);
            let mut sections = sections(&tape, &run);
            for (stage, (_, blocks)) in tape.stages.iter().zip(&mut sections.sections) {
                blocks.retain(|block| !gradients_only || stage.spec.is_gradient(&block.header.name));
                if let Some(first) = blocks.iter_mut().find(|block| stage.spec.is_gradient(&block.header.name)) {
                    first.header.before = line.take();
                }
            }
            request.write_sections(sections, width(tape.precision), &mut streams.out)?;
        }
    }
    Ok(Status::Done)
}
