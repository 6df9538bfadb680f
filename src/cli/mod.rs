//! The command line: options derived from the registry, requests, exit status. Input and output meet the rooms below here.

use crate::core::error::{Code, Error};
use crate::layer::LAYERS;
use crate::operand::OperandReader;
use crate::operand::stdin::Stdin;
use crate::parallel;
use crate::run::messages::Messages;
use crate::run::progress::{Bar, BarWriter};
use crate::run::{self, Io, Status};
use args::flag_of;
use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Command};
use std::ffi::OsString;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;
use subcommand::{Parse, Subcommand};

mod args;
mod backward;
mod compare;
mod gradcheck;
mod graph;
mod layer;
mod ndjson;
mod net;
mod request;
mod shell;
mod step;
mod steps;
mod subcommand;
mod sum;
mod tape;
mod train;
mod usage;
mod value;

/// Runs one command line, the program's name in front.
pub fn run(args: impl IntoIterator<Item = OsString>, io: Io<'_>) -> Status {
    let args: Vec<OsString> = steps::guard(guard_negative_numbers(args.into_iter().collect()));
    let as_json = usage::peek(&args, "--error-format") == Some("json");
    let Io { stdin, stdin_is_terminal, stdout, stdout_is_terminal, stderr, stderr_is_terminal } = io;
    let terminal = match usage::peek(&args, "--progress") {
        Some("always") => true,
        Some("never") => false,
        _ => stderr_is_terminal,
    };
    let bar = (terminal && !as_json).then(|| Bar::new(Rc::clone(&stderr), Duration::from_secs(1)));
    let mut beside;
    let stdout: &mut dyn Write = match &bar {
        Some(bar) if stdout_is_terminal => {
            beside = BarWriter { out: stdout, bar: Rc::clone(bar) };
            &mut beside
        }
        _ => stdout,
    };
    let mut messages = Messages { stream: stderr, as_json, stdout_is_terminal };
    let colour = stdout_is_terminal || usage::peek(&args, "--color") == Some("always");
    let named = args.get(1).and_then(|name| name.to_str()).map(str::to_owned);
    let (name, matches) = match parse(named.as_deref(), args) {
        Ok(parsed) => parsed,
        Err(error) if !error.use_stderr() => {
            let text = if colour { error.render().ansi().to_string() } else { error.to_string() };
            return match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
                Ok(()) => Status::Done,
                Err(_) => Status::ClosedPipe,
            };
        }
        Err(error) => return usage::report(&error, &mut messages),
    };
    let mut reader = OperandReader::new(Stdin::new(stdin, stdin_is_terminal));
    reader.stdin.closed = flag_of(&matches, "no-stdin");
    reader.in_format = request::in_format(&matches);
    let threads = matches.try_get_one::<u16>("threads").ok().flatten().copied();
    let run = || {
        let ran = parse_command(&name, &matches).map_err(anyhow::Error::from);
        ran.and_then(|command| command.run(&mut reader, stdout, &mut messages))
            .unwrap_or_else(|error| ended(&error, &mut messages))
    };
    parallel::scope::with_thread_limit(threads.map_or(0, usize::from), || {
        parallel::progress::with_listener(bar.map(Bar::listener), run)
    })
}

/// How a run ends that could not go on.
fn ended(error: &anyhow::Error, messages: &mut Messages) -> Status {
    if let Some(error) = error.downcast_ref::<Error>() {
        return messages.error(error);
    }
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Status::ClosedPipe;
    }
    messages.error(&Error::new(Code::WriteFailed, format!("cannot be written: {error}")).with_origin("standard output"))
}

/// The commands that are not layers.
const COMMANDS: &[Subcommand] = &[
    gradcheck::COMMAND,
    compare::COMMAND,
    backward::COMMAND,
    net::COMMAND,
    step::COMMAND,
    train::COMMAND,
    sum::COMMAND,
    shell::COMPLETIONS,
    shell::MAN,
];

/// Parses a command line; `named` is its second word.
fn parse(named: Option<&str>, args: Vec<OsString>) -> Result<(String, ArgMatches), clap::Error> {
    let with_help = args.iter().any(|arg| arg.to_str().is_some_and(|arg| arg.starts_with("-h") || arg == "--help"));
    match line(named, with_help).try_get_matches_from(args)?.remove_subcommand() {
        Some(found) => Ok(found),
        None => unreachable!("clap asks for a command"),
    }
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

/// The whole command line, derived from the registry.
pub fn command() -> Command {
    line(None, true)
}

/// The command line that has only the named command, if there is one of that name, `told` with what help says of layers:
/// building all others, and the texts, takes longer than a small job.
fn line(named: Option<&str>, told: bool) -> Command {
    let known =
        named.filter(|name| crate::layer::find(name).is_some() || COMMANDS.iter().any(|other| other.name == *name));
    let wanted = |name: &str| known.is_none_or(|known| known == name);
    let layers = LAYERS.iter().filter(|spec| wanted(spec.name)).map(|spec| layer::command(spec, told));
    let others = COMMANDS.iter().filter(|other| wanted(other.name)).map(|other| (other.command)());
    let tree = Command::new("nnlayer")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Computes, checks and shows the forward and backward passes of neural-network layers, from a shell.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .term_width(100)
        .disable_help_subcommand(true)
        .subcommands(layers)
        .subcommands(others)
        .after_help(concat!(
            "Matrices: 1,2;3,4 or [[1,2],[3,4]] or a file (.json .npy .npz .csv .tsv .safetensors), FILE#KEY for one of several,\n",
            "- for standard input. `nnlayer COMMAND --help` gives formulas, shapes and examples.\n\n",
            "Example:\n  $ nnlayer softmax --x 1,2,3 --forward\n  y = softmax(x)  (3)\n  [0.09003057 0.24472847 0.66524096]",
        ));
    if !wanted(shell::MAN.name) {
        return tree;
    }
    let names = LAYERS.iter().map(|spec| spec.name).chain(COMMANDS.iter().map(|other| other.name));
    let names = PossibleValuesParser::new(names);
    tree.mut_subcommand(shell::MAN.name, |man| man.mut_arg("page", |page| page.value_parser(names)))
}

/// What `--color` says, for the streams that a program opens before it runs a command line.
pub fn color(args: &[OsString]) -> anstream::ColorChoice {
    match usage::peek(args, "--color") {
        Some("always") => anstream::ColorChoice::Always,
        Some("never") => anstream::ColorChoice::Never,
        _ => anstream::ColorChoice::Auto,
    }
}

/// Puts a blank before `-1,2`, `-.5` or `-inf`, and before `-#key`: it means nothing to the grammar of operands, and
/// keeps clap from taking the value for an option. What follows `--` is left alone.
fn guard_negative_numbers(args: Vec<OsString>) -> Vec<OsString> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let guard = |(n, arg): (usize, OsString)| match arg.to_str() {
        Some(text) if n < end && is_negative(text) => OsString::from(format!(" {text}")),
        _ => arg,
    };
    args.into_iter().enumerate().map(guard).collect()
}

fn is_negative(text: &str) -> bool {
    let first = text.split(|c: char| ",;".contains(c) || c.is_whitespace()).next().unwrap_or_default();
    text.starts_with("-#") || (first.starts_with('-') && first.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn negative_numbers_are_guarded_and_options_are_not() {
        for text in ["-1,2", "-.5", "-1e-3", "-inf", "-1;2", "-1 2", "-#x", "-#/x"] {
            assert!(is_negative(text), "{text}");
        }
        for text in ["-", "--x", "-h", "1,-2", "-infer", "--1"] {
            assert!(!is_negative(text), "{text}");
        }
    }

    #[test]
    fn what_follows_two_dashes_is_left_alone() {
        let args = ["nnlayer", "-1", "--", "-1"].map(OsString::from).to_vec();
        assert_eq!(guard_negative_numbers(args), ["nnlayer", " -1", "--", "-1"]);
    }
}
