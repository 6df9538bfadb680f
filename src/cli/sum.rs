//! Command line of `nnlayer sum`.

use super::args::keep_indented_lines;
use super::request::{self, common_without};
use crate::core::error::Error;
use crate::run::sum::Arguments;
use crate::run::{Command as Run, sum};
use clap::{Arg, ArgMatches, Command};

const HELP: &str = "\
A shard is the output of a layer, backward or net for a part of the rows: .json, .npz, .safetensors, or one JSON object a line. \
Losses and the gradients of parameters (dw, db) are added exactly and rounded once, so the order of the shards \
changes no bit. Means are weighted by the divisors of the shards, and the divisors are added. A loss with one number \
per row is summed over the rows. Per-row results (y, dx, dy) are left out. --only adds the results that it names, of \
any kind.

Example:
  $ nnlayer affine --x '1,2;3,4' --w '1;1' --only dw --json > a.json
  $ nnlayer affine --x 5,6 --w '1;1' --only dw --json > b.json
  $ nnlayer sum a.json b.json
  dw = Σ of 2 shards  (2×1)
  [[ 9]
   [12]]";

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    let shards = Arg::new("shards").value_name("SHARD").num_args(0..);
    command
        .about("Add the losses and gradients of shards, rounded once")
        .arg(shards.help("results of a part of the rows; standard input by default, one JSON object a line"))
        .args(common_without(&["forward", "precision", "in-format", "header"]))
        .mut_arg("only", |only| only.help("add only these results, of any kind: loss,dw"))
        .after_long_help(keep_indented_lines(HELP))
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    let shards = matches.get_many::<String>("shards").into_iter().flatten();
    let arguments = Arguments { shards: shards.cloned().collect(), request: request::parse(matches)? };
    Ok(Box::new(move |streams| sum::run(arguments, streams)))
}
