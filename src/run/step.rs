//! Takes one step of gradient descent: the updated network, from a tape with gradients.

use super::request::Request;
use super::session::Streams;
use super::status::Status;
use super::tape;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::escape;
use crate::network::learn::{Optimizer, Step};
use crate::network::{Stage, Tape, learn};
use crate::operand::{OperandReader, grammar};

/// Arguments of `step`.
pub(crate) struct Arguments {
    /// File of the tape or network, `-` for standard input.
    pub(crate) source: String,
    pub(crate) learning_rate: f64,
    /// File of gradients by layer, for a network that has none.
    pub(crate) gradients: Option<String>,
    pub(crate) request: Request,
}

/// Updates the parameters and writes the network without saved values.
pub(crate) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let source = arguments.source.as_str();
    let mut tape = tape::read(&mut streams.reader, source, true)?;
    let gradients = match arguments.gradients.as_deref() {
        Some("-") if source == "-" => {
            return Err(Error::new(Code::StdinTwice, "standard input is already the network")
                .with_operand(&Name::new("gradients"))
                .tip("name the file of the network: nnlayer step net.json --gradients -")
                .into());
        }
        Some(file) => read_gradients(&tape, file, &mut streams.reader)?,
        None => saved_gradients(&tape).map_err(|error| tape::blame(error, source))?,
    };
    let (lr, precision) = (arguments.learning_rate, tape.precision);
    let step = Step { optimizer: Optimizer::default(), lr, number: 1, precision };
    learn::take_step(&mut tape, &gradients, &step).map_err(|error| tape::blame(error, source))?;
    tape.clear_records();
    tape.clear_training();
    let gradients = arguments.gradients.as_deref().map(|file| ("gradients", grammar::parse(file)));
    let inputs = [("the tape or network", grammar::parse(source))].into_iter().chain(gradients);
    let replaced = arguments.request.warn_of_replaced_input(inputs);
    streams.messages.notes(replaced.as_slice(), arguments.request.strict)?;
    arguments.request.write_document(&tape, &mut streams.out)?;
    Ok(Status::Done)
}

/// Returns the gradients that a tape has.
fn saved_gradients(tape: &Tape) -> Result<Vec<Tensors<f64>>, Error> {
    let gradients = |stage: &Stage| match &stage.record {
        Some(record) if !record.gradients.is_empty() => Ok(record.gradients.clone()),
        _ if stage.learnt().next().is_none() => Ok(Tensors::new()),
        _ => Err(Error::new(Code::Tape, format!("layer {} has no gradients", stage.name))
            .tip("add them to a tape with nnlayer backward --tape, or give them with --gradients FILE")),
    };
    tape.stages.iter().map(gradients).collect()
}

/// Reads gradients from a document that is keyed by layer; other keys are ignored.
fn read_gradients(tape: &Tape, file: &str, reader: &mut OperandReader<'_>) -> Result<Vec<Tensors<f64>>, Error> {
    let option = Name::new("gradients");
    let (document, label) = reader.read_json(file).map_err(|error| error.with_operand(&option))?;
    let gradient = |stage: &Stage, parameter: &Name| -> Result<(Name, _), Error> {
        let name = parameter.gradient();
        let pointer = format!("/{}/{name}", escape(&stage.name));
        Ok((name, document.find(&pointer)?.array(&pointer)?))
    };
    let stages = tape.stages.iter();
    let gradients = stages.map(|stage| stage.learnt().map(|parameter| gradient(stage, parameter)).collect());
    gradients.collect::<Result<_, Error>>().map_err(|error| error.with_operand(&option).with_origin(label.as_str()))
}
