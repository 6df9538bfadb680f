//! `nnlayer backward`: every layer's gradients, from a tape.

use super::job::Dout;
use super::request::{self, common_without};
use super::{Action, Other, flag, graph, layer, option, steps, tape, text_of};
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::OutputDtype;
use crate::layer::{Outcome, Precision};
use crate::network as chain;
use crate::network::{Inputs, Run, Stage, Tape};
use crate::operand::{OperandReader, Operands, Origin};
use crate::report::{ChainReport, format_number};
use crate::run::Status;
use crate::run::messages::Messages;
use clap::{Arg, ArgMatches, Command};
use ndarray::{ArrayD, IxDyn};
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
        .args(super::check::chain_options())
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
    let picture = graph::wanted(matches, messages)?;
    let source = text_of(matches, "document").unwrap_or("-");
    let mut tape = tape::read(reader, source, true)?;
    let (x, t) = recorded(&tape).map_err(|error| tape::blame(error, source))?;
    let mut dout = None;
    let mut upstream = |last: &Stage, shape: &[usize]| {
        dout = Some(upstream(matches, reader, last, shape)?);
        Ok(dout.clone())
    };
    let inputs = Inputs { x, t, rounding: &|_| crate::format::DOUBLE_ROUNDING };
    let run = chain::run(&tape, inputs, &mut upstream)?;
    if request.check {
        return super::check::chain(tape, run, matches, reader, &request, out);
    }
    let stale = stale(&tape, &run).map(|error| Note::warning(tape::blame(error, source)));
    messages.notes(stale.as_slice(), request.strict)?;
    if let Some(picture) = picture {
        let said = text_of(matches, "dout").is_some() || dout.is_none();
        graph::chain(&tape, run, dout.as_ref(), said, &picture, out)?;
    } else if let Some(form) = request.steps {
        let said = text_of(matches, "dout").is_some();
        steps::chain(&tape, run, dout.as_ref(), said, form, &request, out)?;
    } else if tape::asked_for(matches) {
        keep(&mut tape, run);
        request.write_document(&tape, out)?;
    } else {
        let said = text_of(matches, "dout").is_some();
        let mut sections = sections(&tape, &run);
        let layers = tape.stages.iter().zip(&mut sections.sections);
        layers.for_each(|(stage, (_, blocks))| blocks.retain(|block| stage.spec.is_gradient(&block.name)));
        if let Some(first) = sections.sections.first_mut().and_then(|(_, blocks)| blocks.first_mut()) {
            first.before = before(&tape, &run, said);
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

/// The upstream gradient of the last output: what `--dout` says, else ones.
pub(super) fn upstream(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    last: &Stage,
    shape: &[usize],
) -> Result<ArrayD<f64>, Error> {
    match text_of(matches, "dout") {
        None | Some("ones") => Ok(ArrayD::from_elem(IxDyn(shape), 1.0)),
        Some(text) => {
            let operand = reader.read(&Name::DOUT, text, &[Name::DOUT])?;
            let dout = Dout::new(last.spec, shape, operand.value, operand.origin == Origin::Typed);
            let dout = dout.map_err(|error| reader.locate_in_source(error, &Operands::default()))?;
            if dout.local { Err(tape::local_factors(text)) } else { Ok(dout.whole()) }
        }
    }
}

/// Each layer's results and gradients, with their formulas.
pub(super) fn sections(tape: &Tape, run: &Run) -> ChainReport {
    let none = Vec::new();
    let gradients = run.gradients.as_ref().unwrap_or(&none);
    let layers = tape.stages.iter().enumerate().map(|(n, stage)| {
        let mut at = stage.params.clone();
        at.extend(run.inputs[n].clone());
        let outcome =
            Outcome { results: run.outputs[n].clone(), gradients: gradients.get(n).cloned().unwrap_or_default() };
        (stage.name.clone(), layer::blocks(stage.spec, stage.layer(), &at, None, outcome))
    });
    ChainReport {
        sections: layers.collect(),
        width: if tape.precision == Precision::F32 { OutputDtype::F32 } else { OutputDtype::F64 },
    }
}

/// What is said before the gradients: the loss, or that dout is ones.
pub(super) fn before(tape: &Tape, run: &Run, said: bool) -> Option<String> {
    let last = tape.stages.last()?;
    match run.outputs.last()?.get(&Name::LOSS).filter(|loss| loss.ndim() == 0) {
        Some(loss) => Some(format!("{} = {}, of {}", Name::LOSS, format_number(loss[[]]), last.name)),
        None if said => None,
        None => Some(format!("{} = ones: the gradients of L = Σ{}", Name::DOUT, last.spec.output)),
    }
}

/// Keeps a run's values in the tape.
pub(super) fn keep(tape: &mut Tape, run: Run) {
    let gradients = run.gradients.unwrap_or_default();
    let none = std::iter::repeat_with(Tensors::new);
    let layers = run.inputs.into_iter().zip(run.outputs).zip(gradients.into_iter().chain(none));
    for (stage, ((inputs, outputs), gradients)) in tape.stages.iter_mut().zip(layers) {
        stage.record = Some(chain::Record { inputs, outputs, gradients });
    }
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
