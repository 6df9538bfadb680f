//! A command of the command line that is not a layer.

use crate::core::error::Error;
use crate::run;
use clap::{ArgMatches, Command};

/// A command that is not a layer.
pub(super) struct Subcommand {
    pub(super) name: &'static str,
    /// Declares the options.
    pub(super) command: fn() -> Command,
    pub(super) parse: Parse,
}

/// Parses the options of a command.
pub(super) enum Parse {
    Options(fn(&ArgMatches) -> Result<run::Command, Error>),
    /// Parses the options of a command that describes the whole command line.
    WithTree(fn(&ArgMatches, Command) -> Result<run::Command, Error>),
}
