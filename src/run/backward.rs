//! Computes the gradients of a recorded chain.

use super::chain::read_dout;
use super::chain_output::{Arguments, write};
use super::request::Mode;
use super::session::Streams;
use super::status::Status;
use super::tape;
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::DOUBLE_ROUNDING;
use crate::network;
use crate::network::{Inputs, Run, Scope, Source, Stage, Tape};
use ndarray::ArrayD;

/// Relative difference, to the largest output, above which a saved output is reported as stale.
const STALE_TOLERANCE: f64 = 1e-9;

/// Runs the tape again from its first input, and writes its gradients.
pub(crate) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let source = arguments.source.as_str();
    let tape = tape::read(&mut streams.reader, source, true)?;
    let (x, t) = saved_inputs(&tape).map_err(|error| tape::blame(error, source))?;
    let mut dout = None;
    let mut upstream = |last: &Stage, shape: &[usize]| {
        dout = Some(read_dout(&arguments.dout, &mut streams.reader, last, shape)?);
        Ok(dout.clone())
    };
    let inputs = Inputs { x, t, rounding: &|_| DOUBLE_ROUNDING };
    let run = network::run(&tape, inputs, &mut upstream, &Scope::ALL)?;
    if !matches!(arguments.mode, Mode::Check(_)) {
        let stale = stale_output(&tape, &run).map(|error| Note::warning(tape::blame(error, source)));
        streams.messages.notes(stale.as_slice(), arguments.request.strict)?;
    }
    streams.messages.notes(arguments.warn_of_replaced().as_slice(), arguments.request.strict)?;
    write(tape, run, dout.as_ref(), true, arguments, streams)
}

/// Returns the first input and the targets that a tape has saved.
fn saved_inputs(tape: &Tape) -> Result<(ArrayD<f64>, Option<ArrayD<f64>>), Error> {
    let x = tape.recorded(Source::Input).cloned();
    let t = tape.stages.last().and_then(|last| last.record.as_ref()?.inputs.get(&Name::T)).cloned();
    let x = x.ok_or_else(|| {
        Error::new(Code::Tape, "the network has no saved values to compute gradients from")
            .tip("run a network forward and backward with nnlayer net FILE --x … --t …")
    })?;
    Ok((x, t))
}

/// Returns a warning if a saved output differs from that of the layer, as in a tape that was edited.
fn stale_output(tape: &Tape, run: &Run) -> Option<Error> {
    let is_stale = |stage: &Stage, outputs: &Tensors<f64>| {
        let saved = stage.record.as_ref()?.outputs.get(&stage.spec.output)?;
        let now = outputs.get(&stage.spec.output)?;
        let largest = now.iter().filter(|v| v.is_finite()).fold(0.0, |a: f64, v| a.max(v.abs()));
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= STALE_TOLERANCE * largest;
        Some(!saved.iter().zip(now).all(|(&a, &b)| same(a, b)))
    };
    let (Stage { name, spec, .. }, _) =
        tape.stages.iter().zip(&run.outputs).find(|(stage, outputs)| is_stale(stage, outputs) == Some(true))?;
    let message =
        format!("layer {name}: the saved {} differs from what the layer computes, which is used instead", spec.output);
    Some(
        Error::new(Code::TapeStale, message)
            .tip("check whether the tape was edited: gradients follow from its first input and its parameters"),
    )
}
