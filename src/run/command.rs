//! Commands with their arguments, and what runs each of them.

use super::messages::Messages;
use super::status::Status;
use super::{compare, pages, step, sum, train};
use crate::operand::OperandReader;
use std::io::Write;

/// A command with its arguments.
pub(crate) enum Command {
    Compare(compare::Arguments),
    Pages(pages::Arguments),
    Step(step::Arguments),
    Sum(sum::Arguments),
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
            Command::Compare(arguments) => compare::run(&arguments, reader, out),
            Command::Pages(arguments) => pages::run(&arguments, out),
            Command::Step(arguments) => step::run(&arguments, reader, out),
            Command::Sum(arguments) => sum::run(arguments, reader, out, messages),
            Command::Train(arguments) => train::run(&arguments, reader, out, messages),
        }
    }
}
