//! Command line of `nnlayer schema`.

use super::args::{keep_indented_lines, text_of};
use super::negative::file_name;
use super::shell::message_options;
use crate::core::error::Error;
use crate::run::schema::{Arguments, KINDS};
use crate::run::{Command as Run, schema};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};

const HELP: &str = "\
Each schema (JSON Schema, draft 2020-12) has a version in its $id. Within a version, keys are added but none is removed, \
renamed or given another type; docs/json.md has the rule.

Examples:
  $ nnlayer schema                          # the list
  $ nnlayer schema error > error.schema.json
  $ nnlayer schema --out schemas            # a file for each";

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    command
        .about("Print JSON Schemas of what nnlayer writes and reads")
        .arg(
            Arg::new("kind")
                .value_name("KIND")
                .value_parser(PossibleValuesParser::new(KINDS.iter().map(|kind| kind.name)))
                .hide_possible_values(true)
                .help(format!("{}; their list by default", join(KINDS.iter().map(|kind| kind.name)))),
        )
        .arg(
            file_name(Arg::new("out"))
                .long("out")
                .value_name("FOLDER")
                .conflicts_with("kind")
                .help("write all schemas into a directory: result.json, error.json, …"),
        )
        .args(message_options())
        .after_help(keep_indented_lines(HELP))
}

fn join(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    let name = text_of(matches, "kind");
    let kind = KINDS.iter().find(|kind| Some(kind.name) == name);
    let arguments = Arguments { kind, folder: text_of(matches, "out").map(str::to_owned) };
    Ok(Box::new(move |streams| schema::run(arguments, streams)))
}
