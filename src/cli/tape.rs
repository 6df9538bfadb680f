//! `--tape` and `--name`: tapes on the command line.

use super::args::{option, text_of};
use crate::run::request::TapeOption;
use clap::{Arg, ArgMatches};

/// The options of every layer command.
pub(super) fn options() -> [Arg; 2] {
    [
        option("tape", "TAPE", "start a tape, or extend TAPE (- is standard input), and write it in place of results")
            .num_args(0..=1)
            .default_missing_value(""),
        option("name", "NAME", "what a tape calls this layer; affine1, affine2 by default"),
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
