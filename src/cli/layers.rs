//! Command line of `nnlayer layers`.

use super::args::{flag, flag_of};
use super::shell::message_options;
use crate::core::error::Error;
use crate::report;
use crate::run::{self, Status};
use clap::{ArgMatches, Command};

/// Declares the options of `layers`.
pub(super) fn command(command: Command) -> Command {
    command
        .about("List all layers with their operands, settings and results as JSON")
        .arg(flag("pretty", "write indented JSON"))
        .args(message_options())
}

/// Parses the options of `layers`.
pub(super) fn parse(matches: &ArgMatches) -> Result<run::Command, Error> {
    let pretty = flag_of(matches, "pretty");
    Ok(Box::new(move |streams| {
        report::layers::write(pretty, &mut streams.out)?;
        Ok(Status::Done)
    }))
}
