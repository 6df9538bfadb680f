//! `nnlayer backward`: every layer's gradients, from a tape.

use super::request::{self, common_without};
use super::{Action, Other, flag, graph, option, steps, tape, text_of};
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::network as chain;
use crate::network::{Inputs, Run, Stage, Tape};
use crate::operand::OperandReader;

use crate::run::Status;
use crate::run::chain::{line_before_gradients, read_dout, save, sections};
use crate::run::check;
use crate::run::messages::Messages;
use clap::{Arg, ArgMatches, Command};
use ndarray::ArrayD;
use std::io::Write;

/// The command.
pub(super) const COMMAND: Other = Other { name: "backward", command, action: Action::Run(run) };

const HELP: &str = "\
Runs the tape again and takes it backward: each layer's upstream gradient is the next one's gradient at
its input. Results are named by layer, affine1.dw; --json is keyed by layer.

--check compares the gradients end to end with numerical differentiation: those that the tape carries, where
it has any, and it names the layer that is wrong. Take the --dout that they were taken with.

Example:
  $ nnlayer affine --x 1,2 --w '1,0;0,1' --tape | nnlayer relu | nnlayer backward --only affine1.dw
  affine1.dw = xᵀ·dout  (2×2)
  [[1 1]
   [2 2]]";

fn command() -> Command {
    Command::new(COMMAND.name)
        .about("every layer's gradients, from a tape")
        .arg(Arg::new("document").value_name("TAPE").help("a tape's file; standard input by default"))
        .arg(dout())
        .arg(flag("tape", "write the tape with its gradients in place of results").conflicts_with("only"))
        .args(request::chain_check())
        .args(graph::options(&["tape"]))
        .arg(steps::option())
        .args(common_without(&["forward", "precision", "in-format"]))
        .disable_help_flag(true)
        .after_help(HELP)
}

/// `--dout` of a chain.
pub(super) fn dout() -> Arg {
    option("dout", "MATRIX", "upstream gradient of the last output, of its shape, or `ones` (default); of a loss, 1")
}

fn run(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<Status> {
    let request = request::parse(matches)?;
    let dout_option = super::args::dout(matches)?;
    let picture = graph::parse(matches)?;
    let source = text_of(matches, "document").unwrap_or("-");
    let mut tape = tape::read(reader, source, true)?;
    let (x, t) = recorded(&tape).map_err(|error| tape::blame(error, source))?;
    let mut dout = None;
    let mut upstream = |last: &Stage, shape: &[usize]| {
        dout = Some(read_dout(&dout_option, reader, last, shape)?);
        Ok(dout.clone())
    };
    let inputs = Inputs { x, t, rounding: &|_| crate::format::DOUBLE_ROUNDING };
    let run = chain::run(&tape, inputs, &mut upstream)?;
    if request.check {
        return check::chain(tape, run, &dout_option, reader, &request, out);
    }
    let stale = stale(&tape, &run).map(|error| Note::warning(tape::blame(error, source)));
    messages.notes(stale.as_slice(), request.strict)?;
    if let Some(picture) = picture {
        let said = text_of(matches, "dout").is_some() || dout.is_none();
        crate::run::graph::chain(&tape, run, dout.as_ref(), said, &picture, out, messages)?;
    } else if let Some(form) = request.steps {
        let said = text_of(matches, "dout").is_some();
        crate::run::steps::chain(&tape, run, dout.as_ref(), said, form, &request, out)?;
    } else if tape::asked_for(matches) {
        save(&mut tape, run);
        request.write_document(&tape, out)?;
    } else {
        let said = text_of(matches, "dout").is_some();
        let mut sections = sections(&tape, &run);
        let layers = tape.stages.iter().zip(&mut sections.sections);
        layers.for_each(|(stage, (_, blocks))| blocks.retain(|block| stage.spec.is_gradient(&block.name)));
        if let Some(first) = sections.sections.first_mut().and_then(|(_, blocks)| blocks.first_mut()) {
            first.before = line_before_gradients(&tape, &run, said);
        }
        request.write_sections(sections, out)?;
    }
    Ok(Status::Done)
}

/// The first input and the targets that a tape has saved.
fn recorded(tape: &Tape) -> Result<(ArrayD<f64>, Option<ArrayD<f64>>), Error> {
    let Some(record) = tape.stages.first().and_then(|stage| stage.record.as_ref().map(|record| (stage, record))) else {
        return Err(Error::new(Code::Tape, "the network has no saved values to go back from")
            .tip("nnlayer net FILE --x … --t … runs a network forward and backward"));
    };
    let (first, record) = record;
    let t = tape.stages.last().and_then(|last| last.record.as_ref()?.inputs.get(&Name::T));
    Ok((record.inputs.known(first.input()).clone(), t.cloned()))
}

/// A warning where saved outputs are not what the layers give, as in a tape that was edited: to 1e-9 of the largest.
fn stale(tape: &Tape, run: &Run) -> Option<Error> {
    let differs = |stage: &Stage, outputs: &Tensors<f64>| {
        let saved = stage.record.as_ref()?.outputs.get(&stage.spec.output)?;
        let now = outputs.get(&stage.spec.output)?;
        let largest = now.iter().filter(|v| v.is_finite()).fold(0.0, |a: f64, v| a.max(v.abs()));
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * largest;
        (!saved.iter().zip(now).all(|(&a, &b)| same(a, b))).then_some(())
    };
    let (stage, _) = tape.stages.iter().zip(&run.outputs).find(|(stage, outputs)| differs(stage, outputs).is_some())?;
    Some(
        Error::new(
            Code::TapeStale,
            format!(
                "layer {}: the saved {} is not what its input and parameters give: computed anew",
                stage.name, stage.spec.output
            ),
        )
        .tip("was the tape edited? the gradients are those of its first input and its parameters"),
    )
}
