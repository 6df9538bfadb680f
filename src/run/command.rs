//! Commands with their arguments, and what runs each of them.

use super::messages::Messages;
use super::request::LayerRequest;
use super::status::Status;
use super::{backward, chain_output, compare, gradcheck, layer, ndjson, net, pages, step, sum, train};
use crate::operand::OperandReader;
use std::io::Write;

/// A command with its arguments.
pub(crate) enum Command {
    Backward(Box<chain_output::Arguments>),
    Compare(compare::Arguments),
    Gradcheck(Box<gradcheck::Arguments>),
    Layer(Box<LayerRequest>),
    /// A layer that computes a stream of records.
    LayerRecords(Box<LayerRequest>, ndjson::Arguments),
    Net(Box<net::Arguments>),
    NewNetwork(Box<net::InitArguments>),
    Pages(pages::Arguments),
    Step(Box<step::Arguments>),
    Sum(Box<sum::Arguments>),
    Train(Box<train::Arguments>),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(
        self,
        reader: &mut OperandReader<'_>,
        out: &mut dyn Write,
        messages: &mut Messages,
    ) -> anyhow::Result<Status> {
        match self {
            Command::Backward(arguments) => backward::run(&arguments, reader, out, messages),
            Command::Compare(arguments) => compare::run(&arguments, reader, out),
            Command::Gradcheck(arguments) => gradcheck::run(&arguments, reader, out),
            Command::Layer(request) => layer::run(&request, reader, out, messages),
            Command::LayerRecords(request, arguments) => ndjson::run_layer(&request, &arguments, reader, out, messages),
            Command::Net(arguments) => net::run(&arguments, reader, out, messages),
            Command::NewNetwork(arguments) => net::init(&arguments, out),
            Command::Pages(arguments) => pages::run(&arguments, out),
            Command::Step(arguments) => step::run(&arguments, reader, out),
            Command::Sum(arguments) => sum::run(*arguments, reader, out, messages),
            Command::Train(arguments) => train::run(&arguments, reader, out, messages),
        }
    }
}
