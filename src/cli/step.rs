//! Command line of `nnlayer step`.

use super::args::{keep_indented_lines, option, text_of};
use super::negative::file_name;
use super::request::{self, common_without};
use super::value;
use crate::core::error::Error;
use crate::run::step::Arguments;
use crate::run::{Command as Run, step};
use clap::{Arg, ArgMatches, Command};

const HELP: &str = "\
Computes w ← w − lr·dw for every parameter, and writes the updated network without saved values.

Examples:
  $ nnlayer net net.json --x x.npy --t t.npy --tape | nnlayer step --lr 0.1 --out net.json
  $ nnlayer net net.json --x x.npy --t t.npy --json | nnlayer step net.json --gradients - --lr 0.1";

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    command
        .about("Take one step of gradient descent, from a tape with gradients")
        .arg(
            file_name(Arg::new("document"))
                .value_name("TAPE")
                .help("tape with gradients, or a network; standard input by default"),
        )
        .arg(learning_rate().required(true))
        .arg(option(
            "gradients",
            "FILE",
            "gradients by layer, as written by backward --json and net --json, for a network without gradients; - is standard input",
        ))
        .args(common_without(&["forward", "precision", "in-format", "header", "only", "json", "pretty", "strict", "digits"]))
        .after_long_help(keep_indented_lines(HELP))
}

/// Returns the option `--lr`.
pub(super) fn learning_rate() -> Arg {
    option("lr", "NUMBER", "learning rate")
}

/// Parses `--lr`; 0.1 by default.
pub(super) fn parse_learning_rate(matches: &ArgMatches) -> Result<f64, Error> {
    let number = |text: &str| text.parse().ok().filter(|lr: &f64| lr.is_finite() && *lr >= 0.0);
    let lr = value::parse(matches, "lr", "a non-negative number", "use a learning rate such as 0.1", number)?;
    Ok(lr.unwrap_or(0.1))
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    let arguments = Arguments {
        source: text_of(matches, "document").unwrap_or("-").to_owned(),
        learning_rate: parse_learning_rate(matches)?,
        gradients: text_of(matches, "gradients").map(str::to_owned),
        request: request::parse(matches)?,
    };
    Ok(Box::new(move |streams| step::run(&arguments, streams)))
}
