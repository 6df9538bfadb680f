//! `nnlayer step`: one step down the gradient.

use super::request::{self, common_without};
use super::{Other, option, tape, text_of};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::json::Node;
use crate::network::{Tape, learn};
use crate::operand::OperandReader;
use crate::run::Status;
use crate::run::messages::Messages;
use clap::{Arg, ArgMatches, Command};
use std::io::Write;

/// The command.
pub(super) const COMMAND: Other = Other { name: "step", command, run };

const HELP: &str = "w ← w − lr·dw for every w and b. The updated network is written without saved values.

Examples:
  $ nnlayer net net.json --x x.npy --t t.npy --tape | nnlayer step --lr 0.1 --out net.json
  $ nnlayer net net.json --x x.npy --t t.npy --json | nnlayer step net.json --gradients - --lr 0.1";

fn command() -> Command {
    Command::new(COMMAND.name)
        .about("one step down the gradient: the updated network, from a tape with gradients")
        .arg(Arg::new("document").value_name("TAPE").help("a tape with gradients, or a network; standard input by default"))
        .arg(lr().required(true))
        .arg(option("gradients", "FILE",
            "gradients by layer, as `backward --json` and `net --json` print them, for a network that has none; - is standard input",
        ))
        .args(common_without(&["forward", "precision", "in-format", "only", "json", "pretty", "strict"]))
        .disable_help_flag(true)
        .after_help(HELP)
}

/// `--lr`.
pub(super) fn lr() -> Arg {
    option("lr", "NUMBER", "the learning rate")
}

fn run(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    _: &mut Messages,
) -> anyhow::Result<Status> {
    let request = request::parse(matches)?;
    let lr = read_lr(matches)?;
    let source = text_of(matches, "document").unwrap_or("-");
    let mut tape = tape::read(reader, source, true)?;
    let gradients = match text_of(matches, "gradients") {
        Some("-") if source == "-" => {
            return Err(Error::new(Code::StdinTwice, "standard input is the network already")
                .with_operand(&Name::new("gradients"))
                .tip("name the network's file: nnlayer step net.json --gradients -")
                .into());
        }
        Some(file) => by_layer(&tape, file, reader)?,
        None => saved(&tape).map_err(|error| tape::blame(error, source))?,
    };
    learn::sgd_step(&mut tape, &gradients, lr).map_err(|error| tape::blame(error, source))?;
    tape.clear_records();
    request.write_document(&tape, out)?;
    Ok(Status::Done)
}

/// `--lr`: a finite number.
pub(super) fn read_lr(matches: &ArgMatches) -> Result<f64, Error> {
    let text = text_of(matches, "lr").unwrap_or("0.1");
    text.trim().parse::<f64>().ok().filter(|lr| lr.is_finite() && *lr >= 0.0).ok_or_else(|| {
        Error::new(Code::Setting, format!("{text:?} is no learning rate"))
            .with_operand(&Name::new("lr"))
            .tip("a number from 0, such as 0.1")
    })
}

/// The gradients that a tape has.
fn saved(tape: &Tape) -> Result<Vec<Tensors<f64>>, Error> {
    let learnt = tape.stages.iter().filter(|stage| stage.learnt().next().is_some());
    let without =
        |stage: &&crate::network::Stage| stage.record.as_ref().is_none_or(|record| record.gradients.is_empty());
    if let Some(stage) = learnt.into_iter().find(without) {
        return Err(Error::new(Code::Tape, format!("layer {} has no gradients", stage.name))
            .tip("nnlayer backward --tape adds them to a tape; --gradients FILE gives them to a network"));
    }
    let gradients = |stage: &crate::network::Stage| stage.record.as_ref().map(|record| record.gradients.clone());
    Ok(tape.stages.iter().map(|stage| gradients(stage).unwrap_or_default()).collect())
}

/// The gradients of a document that is keyed by layer; what else stands in it is left alone.
fn by_layer(tape: &Tape, file: &str, reader: &mut OperandReader<'_>) -> Result<Vec<Tensors<f64>>, Error> {
    let option = Name::new("gradients");
    let (document, label) = reader.read_json(file).map_err(|error| error.with_operand(&option))?;
    let read = || -> Result<Vec<Tensors<f64>>, Error> {
        tape.stages.iter().map(|stage| of_layer(&document, &stage.name, stage.learnt())).collect()
    };
    read().map_err(|error| error.with_operand(&option).with_origin(label.as_str()))
}

fn of_layer<'a>(document: &Node, layer: &str, learnt: impl Iterator<Item = &'a Name>) -> Result<Tensors<f64>, Error> {
    learnt
        .map(|name| {
            let gradient = name.gradient();
            let pointer = format!("/{}/{gradient}", crate::format::escape(layer));
            Ok((gradient, document.find(&pointer)?.matrix(&pointer)?))
        })
        .collect()
}
