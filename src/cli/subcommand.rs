//! A command of the command line that is not a layer.

use crate::core::error::Error;
use crate::run;
use clap::{ArgMatches, Command};

/// A command that is not a layer.
pub(super) struct Subcommand {
    pub(super) name: &'static str,
    pub(super) group: Group,
    /// Declares the options.
    pub(super) command: fn() -> Command,
    pub(super) parse: Parse,
}

/// Heading in the list of commands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Group {
    Chains,
    Checks,
    Tools,
}

/// Parses the options of a command.
pub(super) enum Parse {
    Options(fn(&ArgMatches) -> Result<run::Command, Error>),
    /// Parses the options of a command that describes the whole command line.
    WithTree(fn(&ArgMatches, Command) -> Result<run::Command, Error>),
}
