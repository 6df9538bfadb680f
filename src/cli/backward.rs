//! Command line of `nnlayer backward`.

use super::args::{self, flag, flag_of, keep_indented_lines, option, text_of, under};
use super::graph;
use super::negative::file_name;
use super::request::{self, common_without};
use super::steps;
use crate::core::error::Error;
use crate::run::chain_output::Arguments;
use crate::run::{Command as Run, backward};
use clap::{Arg, ArgMatches, Command};

const HELP: &str = "\
Recomputes the forward pass of the tape, then the backward pass from the last layer to the first: the upstream \
gradient of a layer is the gradient at the input of the next. Results are named by their layer, as in affine1.dw; --json writes an object for each layer.

--check compares the gradients end to end with numerical differentiation, and names the layer that is wrong. It \
checks the gradients that the tape has, if any; give the --dout that they were computed with.

Example:
  $ nnlayer affine --x 1,2 --w '1,0;0,1' --tape | nnlayer relu | nnlayer backward --only affine1.dw
  affine1.dw = xᵀ·dout  (2×2)
  [[1 1]
   [2 2]]";

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    let tape = flag("tape", "write the tape with its gradients in place of the results").conflicts_with("only");
    let command = command
        .about("Compute all gradients of a recorded chain")
        .arg(file_name(Arg::new("document")).value_name("TAPE").help("file of the tape; standard input by default"))
        .arg(dout())
        .after_long_help(keep_indented_lines(HELP));
    let modes = [tape, steps::option()].into_iter().chain(graph::options(&["tape"]));
    let command = under("Checks", request::chain_checks(), command);
    let command = under("Modes", modes, command);
    command.args(common_without(&["forward", "precision", "in-format", "header"]))
}

/// Returns the option `--dout` of a chain.
pub(super) fn dout() -> Arg {
    option("dout", "DOUT", "upstream gradient of the last output, or `ones` (default)")
        .long_help("upstream gradient of the last output, of its shape, or `ones` (default); 1 for a loss")
}

/// Parses the options that `backward` and `net` share.
pub(super) fn parse_chain(matches: &ArgMatches) -> Result<Arguments, Error> {
    Ok(Arguments {
        request: request::parse(matches)?,
        source: text_of(matches, "document").unwrap_or("-").to_owned(),
        dout: args::dout(matches)?,
        mode: request::mode(matches)?,
        writes_tape: flag_of(matches, "tape"),
        writes_norms: flag_of(matches, "norms"),
    })
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    let arguments = parse_chain(matches)?;
    Ok(Box::new(move |streams| backward::run(&arguments, streams)))
}
