//! The tree of all commands, and the parsing of a command line with it.

use super::args::{flag_of, keep_indented_lines, text_of};
use super::backward;
use super::compare;
use super::gradcheck;
use super::layer;
use super::net;
use super::request;
use super::shell;
use super::step;
use super::subcommand::{Group, Parse, Subcommand};
use super::sum;
use super::train;
use crate::core::error::Error;
use crate::layer::LAYERS;
use crate::run;
use crate::run::session::Options;
use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Command};
use std::ffi::OsString;

/// The commands that are not layers.
const COMMANDS: &[Subcommand] = &[
    net::COMMAND,
    train::COMMAND,
    step::COMMAND,
    backward::COMMAND,
    gradcheck::COMMAND,
    compare::COMMAND,
    sum::COMMAND,
    shell::COMPLETIONS,
    shell::MAN,
];

const HELP: &str = "\
An operand is numbers (1,2;3,4), JSON ([[1,2],[3,4]]), a file (.json .npy .npz .csv .tsv .safetensors), one array of a file \
(FILE#KEY), or - for standard input. `nnlayer help COMMAND` shows options, formulas, shapes and examples.

Example:
  $ nnlayer softmax --x 1,2,3 --forward
  y = softmax(x)  (3)
  [0.09003057 0.24472847 0.66524096]";

/// Reason why a command line could not be parsed.
pub(super) enum Failure {
    /// Help is asked for, or the arguments are not those of a command.
    Arguments(clap::Error),
    /// An option has an invalid value.
    Value(Error),
}

/// Parses a command line. Help is `columns` wide, or as wide as the terminal.
pub(super) fn parse(args: Vec<OsString>, columns: Option<usize>) -> Result<(run::Command, Options), Failure> {
    let named = args.get(1).and_then(|name| name.to_str()).map(str::to_owned);
    let tree = build(named.as_deref());
    let tree = match columns {
        Some(columns) => tree.term_width(columns),
        None => tree.max_term_width(100),
    };
    let mut matches = tree.try_get_matches_from(args).map_err(Failure::Arguments)?;
    let Some((name, matches)) = matches.remove_subcommand() else { unreachable!("clap requires a command") };
    let options = Options {
        threads: matches.try_get_one::<u16>("threads").ok().flatten().map_or(0, |&threads| threads.into()),
        no_stdin: flag_of(&matches, "no-stdin"),
        in_format: request::in_format(&matches),
        progress: match text_of(&matches, "progress") {
            Some("always") => Some(true),
            Some("never") => Some(false),
            _ => None,
        },
    };
    Ok((parse_command(&name, &matches).map_err(Failure::Value)?, options))
}

fn parse_command(name: &str, matches: &ArgMatches) -> Result<run::Command, Error> {
    if let Some(spec) = crate::layer::find(name) {
        return layer::parse(spec, matches);
    }
    match COMMANDS.iter().find(|command| command.name == name).map(|command| &command.parse) {
        Some(Parse::Options(parse)) => parse(matches),
        Some(Parse::WithTree(parse)) => parse(matches, command()),
        None => unreachable!("clap knows only registered commands"),
    }
}

/// Returns the command line with all commands.
pub fn command() -> Command {
    build(None)
}

/// Returns the command line with only the named command, or with all commands if there is none of that name: to build all of
/// them takes longer than to compute a small layer.
fn build(named: Option<&str>) -> Command {
    let layer_names = LAYERS.iter().map(|spec| spec.name);
    let names = layer_names.chain(COMMANDS.iter().map(|command| command.name));
    let named = named.filter(|named| names.clone().any(|name| name == *named));
    let is_built = |name: &str| named.is_none_or(|named| named == name);
    let layers = LAYERS.iter().filter(|spec| is_built(spec.name)).map(|spec| layer::command(spec));
    let others = COMMANDS.iter().filter(|other| is_built(other.name)).map(|other| (other.command)());
    let tree = Command::new("nnlayer")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Compute, check and show forward and backward passes of neural-network layers")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(layers)
        .subcommands(others)
        .after_help("`nnlayer help COMMAND` shows options, formulas, shapes and examples.")
        .after_long_help(keep_indented_lines(HELP));
    if named.is_none() {
        let template = format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{}\n{HEADING}Options:{HEADING:#}\n{{options}}{{after-help}}",
            list_commands(&tree)
        );
        let names = PossibleValuesParser::new(names);
        return tree
            .help_template(template)
            .mut_subcommand(shell::MAN.name, |man| man.mut_arg("page", |page| page.value_parser(names)));
    }
    if named == Some(shell::MAN.name) {
        let names = PossibleValuesParser::new(names);
        return tree.mut_subcommand(shell::MAN.name, |man| man.mut_arg("page", |page| page.value_parser(names)));
    }
    tree
}

const HEADING: anstyle::Style = anstyle::Style::new().bold().underline();

/// Returns the commands with what each does, in their groups.
fn list_commands(tree: &Command) -> String {
    let about = |name: &str| tree.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
    let line = |name: &str| format!("  {name:<12}  {}\n", about(name).unwrap_or_default());
    let layers: String = LAYERS.iter().map(|spec| line(spec.name)).collect();
    let group = |group: Group| -> String {
        let commands = COMMANDS.iter().filter(|command| command.group == group);
        let lines: String = commands.map(|command| line(command.name)).collect();
        format!("\n{HEADING}{group:?}:{HEADING:#}\n{lines}")
    };
    let others: String = [Group::Chains, Group::Checks, Group::Tools].map(group).concat();
    format!("\n{HEADING}Layers:{HEADING:#}\n{layers}{others}")
}
