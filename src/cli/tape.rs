//! `--tape` and `--name`: tapes on the command line.

use super::args::{option, text_of};
use crate::layer::LayerSpec;
use crate::run::request::TapeOption;
use clap::{Arg, ArgMatches};

/// Returns the options of a layer that extends a tape.
pub(super) fn options(spec: &LayerSpec) -> [Arg; 2] {
    [
        option("tape", "TAPE", "start or extend a tape, and write it in place of the results")
            .long_help(
                "start a tape, or extend TAPE or the tape on standard input, and write it in place of the results",
            )
            .num_args(0..=1)
            .default_missing_value(""),
        option("name", "NAME", "name of the layer in the tape")
            .long_help(format!("name of the layer in the tape; {0}1, {0}2, … by default", spec.name))
            .hide_short_help(true),
    ]
}

/// Parses `--tape` of a layer command.
pub(super) fn parse(matches: &ArgMatches) -> TapeOption {
    match text_of(matches, "tape") {
        None => TapeOption::Default,
        Some("") => TapeOption::Start,
        Some(source) => TapeOption::Extend(source.to_owned()),
    }
}
