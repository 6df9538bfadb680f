//! Runs a network from a file forward and backward, and creates new networks.

use super::chain::read_dout;
use super::chain_output;
use super::layer_tape::is_piped;
use super::ndjson::{self, RecordPlan};
use super::request::{OperandSpecs, RecordOptions, Request};
use super::session::Streams;
use super::status::Status;
use super::tape;
use crate::core::error::{Code, Error};
use crate::core::name::{Name, find_key};
use crate::format::Selector;
use crate::layer;
use crate::network;
use crate::network::{Inputs, Scope, Stage, Tape, learn};
use crate::operand::{Operand, OperandReader, Operands, stdin};

/// Arguments of `net NETWORK`.
pub(crate) struct Arguments {
    /// x and t.
    pub(crate) operands: OperandSpecs,
    pub(crate) ndjson: Option<RecordOptions>,
    /// Use of layers that differ in training.
    pub(crate) mode: layer::Mode,
    pub(crate) output: chain_output::Arguments,
}

/// Arguments of `net --init`.
pub(crate) struct InitArguments {
    /// The list of layers.
    pub(crate) layers: String,
    /// Shape of a sample.
    pub(crate) input: Vec<usize>,
    pub(crate) seed: u64,
    pub(crate) request: Request,
}

/// Writes a new network.
pub(crate) fn init(arguments: &InitArguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let InitArguments { layers, input, seed, request } = arguments;
    let tape = learn::init_network(layers, input, *seed);
    let mut tape = tape.map_err(|error| error.with_operand(&Name::new("init")))?;
    tape::set_precision(&mut tape, request);
    request.write_document(&tape, &mut streams.out)?;
    Ok(Status::Done)
}

/// Runs a network and writes its results.
pub(crate) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let chain_output::Arguments { source, dout: dout_option, request, .. } = &arguments.output;
    if let Some(records) = &arguments.ndjson {
        refuse_shared_stdin(source, &records.file)?;
    }
    let reader = &mut streams.reader;
    let mut tape = tape::read(reader, source, true)?;
    tape::set_precision(&mut tape, request);
    tape.clear_records();
    tape.set_mode(arguments.mode)?;
    if let Some(records) = &arguments.ndjson {
        let label = if source == "-" { stdin::LABEL } else { source };
        let plan = RecordPlan::for_network(tape, label, &arguments.operands, dout_option, request, reader)?;
        return ndjson::run(&plan, records, streams);
    }
    let mut operands = read_operands(&arguments.operands, reader, &tape)?;
    let mut dout = None;
    let mut upstream = |last: &Stage, shape: &[usize]| {
        if !request.forward {
            dout = Some(read_dout(dout_option, reader, last, shape)?);
        }
        Ok(dout.clone())
    };
    let values = &mut operands.values;
    let (x, t) = (values.take(&Name::X).unwrap_or_default(), values.take(&Name::T));
    let rounding = |name: &Name| operands.rounding(name);
    let kept = |stage: &Stage| arguments.output.shows(stage);
    let scope = Scope { kept: &kept, forward_only: request.forward };
    let run = network::run(&tape, Inputs { x, t, rounding: &rounding }, &mut upstream, &scope);
    let run = run.map_err(|error| tape::blame(reader.locate_in_source(error, &operands), source))?;
    let replaced = request.warn_of_replaced(&operands).or_else(|| arguments.output.warn_of_replaced());
    streams.messages.notes(&run.notes, request.strict)?;
    streams.messages.notes(replaced.as_slice(), request.strict)?;
    chain_output::write(tape, run, dout.as_ref(), false, &arguments.output, streams)
}

/// Refuses to read both the network and records from standard input.
fn refuse_shared_stdin(source: &str, records: &str) -> Result<(), Error> {
    if [source, records].iter().any(|text| !matches!(*text, "-" | "@-")) {
        return Ok(());
    }
    Err(Error::new(Code::StdinTwice, "standard input is already the network, so it cannot give the records")
        .with_operand(&Name::new("ndjson"))
        .tip("name the file of the network or of the records: nnlayer net net.json --ndjson records.ndjson"))
}

/// Reads x and t from options or from standard input: an object with these keys, or the array that is missing.
fn read_operands(specs: &OperandSpecs, reader: &mut OperandReader<'_>, tape: &Tape) -> Result<Operands, Error> {
    let is_needed = |name: &Name| *name == Name::X || tape.stages.iter().any(Stage::has_target);
    let is_missing = |name: &&Name| is_needed(name) && specs.get(name).is_none();
    let is_alone = [Name::X, Name::T].iter().filter(is_missing).count() == 1;
    let mut operands = Operands::default();
    for name in [Name::X, Name::T] {
        let keys = if name == Name::X { vec![Name::X, Name::Y] } else { vec![name.clone(), Name::Y] };
        if let Some(spec) = specs.get(&name) {
            operands.insert(name.clone(), reader.read_spec(&name, spec.clone(), &keys)?);
        } else if is_needed(&name) {
            operands.insert(name.clone(), read_piped(&name, is_alone, reader)?);
        }
    }
    Ok(operands)
}

/// Reads an operand from standard input. An array without keys is the operand that is missing `is_alone`.
fn read_piped(name: &Name, is_alone: bool, reader: &mut OperandReader<'_>) -> Result<Operand, Error> {
    let missing = || {
        Error::new(Code::OperandMissing, "is required by the network")
            .with_operand(name)
            .tip("give --x and, for a loss, --t, or pipe an object with these keys")
    };
    // A network on standard input has no operands.
    if !reader.stdin.is_piped() || is_piped(reader) {
        return Err(missing());
    }
    reader.stdin.refuse_blank(name)?;
    let selector = match reader.stdin_names().map_err(|error| error.with_operand(name))? {
        Some(names) => {
            let keys: &[Name] = if *name == Name::X { &[Name::X, Name::Y] } else { std::slice::from_ref(name) };
            match keys.iter().find_map(|key| find_key(&names, key.as_str())) {
                Some(at) => Selector::parse(&names[at]),
                None => return Err(missing().fact(format!("standard input has the keys {}", names.join(", ")))),
            }
        }
        None if is_alone => Selector::Default,
        None => return Err(missing().fact("standard input is a single array, but x and t are both missing")),
    };
    reader.read_stdin(&selector, &[]).map_err(|error| error.with_operand(name))
}
