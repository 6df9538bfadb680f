//! The tree of all commands, and the parsing of a command line with it.

use super::args::{flag_of, keep_indented_lines, text_of};
use super::backward;
use super::compare;
use super::effect;
use super::gradcheck;
use super::japanese;
use super::layer;
use super::layers;
use super::net;
use super::request;
use super::schema;
use super::shell;
use super::step;
use super::sum;
use super::train;
use super::vectors;
use crate::core::error::Error;
use crate::core::language::Language;
use crate::layer::LAYERS;
use crate::run;
use crate::run::session::Options;
use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Command};
use std::ffi::OsString;

/// A command that is not a layer.
struct Subcommand {
    name: &'static str,
    group: Group,
    /// Declares the options.
    command: fn(Command) -> Command,
    /// Parses the options.
    parse: fn(&ArgMatches) -> Result<run::Command, Error>,
}

/// Heading in the list of commands.
#[derive(Debug, PartialEq)]
enum Group {
    Chains,
    Checks,
    Tools,
}

/// The commands that are not layers.
const COMMANDS: &[Subcommand] = &[
    Subcommand { name: "net", group: Group::Chains, command: net::command, parse: net::parse },
    Subcommand { name: "train", group: Group::Chains, command: train::command, parse: train::parse },
    Subcommand { name: "step", group: Group::Chains, command: step::command, parse: step::parse },
    Subcommand { name: "backward", group: Group::Chains, command: backward::command, parse: backward::parse },
    Subcommand { name: "gradcheck", group: Group::Checks, command: gradcheck::command, parse: gradcheck::parse },
    Subcommand { name: "compare", group: Group::Checks, command: compare::command, parse: compare::parse },
    Subcommand { name: "vectors", group: Group::Checks, command: vectors::command, parse: vectors::parse },
    Subcommand { name: "sum", group: Group::Tools, command: sum::command, parse: sum::parse },
    Subcommand { name: "layers", group: Group::Tools, command: layers::command, parse: layers::parse },
    Subcommand { name: "schema", group: Group::Tools, command: schema::command, parse: schema::parse },
    Subcommand {
        name: "completions",
        group: Group::Tools,
        command: shell::completions,
        parse: shell::parse_completions,
    },
    Subcommand {
        name: "man",
        group: Group::Tools,
        command: shell::man,
        parse: |matches| shell::parse_man(matches, command()),
    },
];

const HELP: &str = "\
An operand is numbers (1,2;3,4), JSON ([[1,2],[3,4]]), a file (.json .npy .npz .csv .tsv .txt .safetensors .idx, also .gz), one array of a file \
(FILE#KEY), or - for standard input. `nnlayer help COMMAND` shows options, formulas, shapes and examples.

Example:
  $ nnlayer softmax --x 1,2,3 --forward
  y = softmax(x)  (3)
  [0.09003057 0.24472847 0.66524096]";

/// Width of translated help in columns if neither the environment nor a terminal defines one.
const HELP_COLUMNS: usize = 80;

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
    let tree = match Language::current() {
        Language::English => tree,
        Language::Japanese => {
            tree.mut_subcommands(|command| japanese::help_of(command, columns.unwrap_or(HELP_COLUMNS)))
        }
    };
    let mut tree = match columns {
        Some(columns) => tree.term_width(columns),
        None => tree.max_term_width(100),
    };
    let mut matches = tree.try_get_matches_from_mut(args).map_err(Failure::Arguments)?;
    let Some((name, matches)) = matches.remove_subcommand() else { unreachable!("clap requires a command") };
    let options = Options {
        threads: matches.try_get_one::<u16>("threads").ok().flatten().map_or(0, |&threads| threads.into()),
        no_stdin: flag_of(&matches, "no-stdin"),
        in_format: request::in_format(&matches),
        has_header: flag_of(&matches, "header"),
        strict: flag_of(&matches, "strict"),
        progress: match text_of(&matches, "progress") {
            Some("always") => Some(true),
            Some("never") => Some(false),
            _ => None,
        },
    };
    if let Some(command) = tree.find_subcommand(&name) {
        effect::refuse(command, &matches).map_err(Failure::Value)?;
    }
    Ok((parse_command(&name, &matches).map_err(Failure::Value)?, options))
}

fn parse_command(name: &str, matches: &ArgMatches) -> Result<run::Command, Error> {
    if let Some(spec) = crate::layer::find(name) {
        return layer::parse(spec, matches);
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.parse)(matches),
        None => unreachable!("clap knows only registered commands"),
    }
}

/// Returns the command line with all commands.
pub fn command() -> Command {
    build(None)
}

/// Returns true if there is a command of this name.
pub(super) fn is_command(name: &str) -> bool {
    crate::layer::find(name).is_some() || COMMANDS.iter().any(|command| command.name == name)
}

/// Returns true if the named command has the option.
pub(super) fn has_option(named: &str, option: &str) -> bool {
    let tree = build(Some(named));
    let command = tree.find_subcommand(named);
    command.is_some_and(|command| command.get_arguments().any(|arg| arg.get_long() == Some(option)))
}

/// Returns the command line with only the named command, or with all commands if there is none of that name: to build all of
/// them takes longer than to compute a small layer.
fn build(named: Option<&str>) -> Command {
    let named = named.filter(|named| is_command(named));
    let is_built = |name: &str| named.is_none_or(|named| named == name);
    let new = |name: &'static str| Command::new(name).disable_help_flag(true);
    let layers = LAYERS.iter().filter(|spec| is_built(spec.name)).map(|spec| layer::command(spec, new(spec.name)));
    let others = COMMANDS.iter().filter(|other| is_built(other.name)).map(|other| (other.command)(new(other.name)));
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
    let tree = if named.is_some() {
        tree
    } else {
        let template = format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{{before-help}}{HEADING}Options:{HEADING:#}\n{{options}}{{after-help}}"
        );
        let (summary, full) = (list_commands(&tree, &wrapped_layer_names()), list_commands(&tree, &layer_formulas()));
        tree.before_help(summary).before_long_help(full).help_template(template)
    };
    if !is_built("man") {
        return tree;
    }
    let names = LAYERS.iter().map(|spec| spec.name).chain(COMMANDS.iter().map(|command| command.name));
    tree.mut_subcommand("man", |man| man.mut_arg("page", |page| page.value_parser(PossibleValuesParser::new(names))))
}

const HEADING: anstyle::Style = anstyle::Style::new().bold().underline();

/// Number of layers that the first screen names.
const FIRST_LAYERS: usize = 6;

/// Returns the screen of a command line without arguments: at most 24 lines of 80 characters.
pub(super) fn first_screen() -> String {
    let first: Vec<&str> = LAYERS.iter().take(FIRST_LAYERS).map(|spec| spec.name).collect();
    let layers = format!("{} and {} more", first.join(", "), LAYERS.len() - FIRST_LAYERS);
    let group = |group: Group| {
        let commands = COMMANDS.iter().filter(|command| command.group == group).map(|command| command.name);
        format!("  {HEADING}{:<6}{HEADING:#}  {}\n", format!("{group:?}"), commands.collect::<Vec<_>>().join(", "))
    };
    let others: String = [Group::Chains, Group::Checks, Group::Tools].map(group).concat();
    format!(
        "\
nnlayer computes, checks and shows the forward and backward passes of
neural-network layers.

{HEADING}Try:{HEADING:#}
  nnlayer softmax-xent --x 2,1,0.1 --t 0          a loss and its gradient
  nnlayer softmax-xent --x 2,1,0.1 --t 0 --graph  drawn as a graph; or --steps
  nnlayer gradcheck --template python > layer.py  a program of your own to check

{HEADING}Commands:{HEADING:#}
  {HEADING}Layers{HEADING:#}  {layers}
{others}
{HEADING}Help:{HEADING:#}
  nnlayer -h            lists all commands
  nnlayer help softmax  has the formulas, options and examples of a command
"
    )
}

/// Returns the names of the layers, in lines of at most 80 characters.
fn wrapped_layer_names() -> String {
    let mut lines = vec![String::from(" ")];
    for (n, spec) in LAYERS.iter().enumerate() {
        let comma = if n + 1 < LAYERS.len() { "," } else { "" };
        if lines[lines.len() - 1].chars().count() + spec.name.len() + 2 > 80 {
            lines.push(String::from(" "));
        }
        let last = lines.len() - 1;
        lines[last] += &format!(" {}{comma}", spec.name);
    }
    lines.join("\n") + "\n"
}

/// Returns the layers with their formulas, a line each.
fn layer_formulas() -> String {
    LAYERS.iter().map(|spec| format!("  {:<12}  {}\n", spec.name, spec.about)).collect()
}

/// Returns the commands with what each does, in their groups, after the layers.
fn list_commands(tree: &Command, layers: &str) -> String {
    let about = |name: &str| tree.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
    let line = |name: &str| format!("  {name:<12}  {}\n", about(name).unwrap_or_default());
    let group = |group: Group| -> String {
        let commands = COMMANDS.iter().filter(|command| command.group == group);
        let lines: String = commands.map(|command| line(command.name)).collect();
        format!("\n{HEADING}{group:?}:{HEADING:#}\n{lines}")
    };
    let others: String = [Group::Chains, Group::Checks, Group::Tools].map(group).concat();
    format!("\n{HEADING}Layers:{HEADING:#}\n{layers}{others}")
}
