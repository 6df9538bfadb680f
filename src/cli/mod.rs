//! The command line: argument vectors become commands with typed arguments, which `run` executes.

use crate::core::language::{Language, with_language};
use crate::run::messages::Messages;
use crate::run::{self, Io, Status};
use std::ffi::OsString;
use std::path::Path;
use tree::Failure;

mod args;
mod backward;
mod compare;
mod complete;
mod effect;
mod gradcheck;
mod graph;
mod japanese;
mod layer;
mod layers;
mod ndjson;
mod negative;
mod net;
mod request;
mod schema;
mod shell;
mod step;
mod steps;
mod sum;
mod train;
mod tree;
mod usage;
mod value;
mod vectors;

pub use tree::command;

/// Width of help in columns if neither the environment nor a terminal defines one.
const HELP_COLUMNS: usize = 80;

/// Runs one command line, whose first argument is the name of the program.
pub fn run(args: impl IntoIterator<Item = OsString>, io: Io<'_>) -> Status {
    let args = expand_help(steps::guard(negative::guard(args.into_iter().collect())));
    with_language(language(&args, io.language.as_deref()), || run_in_language(args, io))
}

/// Returns the language of the text: that of `--lang`, else that of the environment. JSON, reports for programs and LaTeX, whose
/// usual fonts have no Japanese, are English.
fn language(args: &[OsString], environment: Option<&str>) -> Language {
    let is_for_programs = usage::peek(args, "--format").is_some_and(|format| format != "text")
        || usage::peek(args, "--steps") == Some("latex")
        || args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json" || arg == "--pretty");
    let asks_for_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    let code = usage::peek(args, "--lang").or(environment);
    code.filter(|_| !is_for_programs || asks_for_help).and_then(Language::named).unwrap_or_default()
}

fn run_in_language(args: Vec<OsString>, io: Io<'_>) -> Status {
    let as_json = usage::peek(&args, "--error-format") == Some("json");
    let always_color = usage::peek(&args, "--color") == Some("always");
    // Without a width, clap asks the terminal.
    let columns = io.columns.or((!io.stdout_is_terminal).then_some(HELP_COLUMNS));
    let named = args.get(1).and_then(|name| name.to_str()).map(str::to_owned);
    let failure = match tree::parse(args, columns) {
        Ok((command, options)) => return run::session::run(command, &options, as_json, io),
        Err(failure) => failure,
    };
    let mut messages = Messages { stream: io.stderr, as_json, stdout_is_terminal: io.stdout_is_terminal };
    match failure {
        Failure::Arguments(error) if !error.use_stderr() => {
            let has_color = io.stdout_is_terminal || always_color;
            let text = if has_color { error.render().ansi().to_string() } else { error.to_string() };
            let written =
                writeln!(io.stdout, "{}", args::restore_spaces(text.trim_end())).and_then(|()| io.stdout.flush());
            match written {
                Ok(()) => Status::Done,
                Err(error) => run::session::report_output_error(&error, &mut messages),
            }
        }
        Failure::Arguments(error) => usage::report(&error, named.as_deref(), &mut messages),
        Failure::Value(error) => messages.error(&error),
    }
}

/// Answers a shell that asks for completions in this directory, as the script of `nnlayer completions` does; returns false if none
/// asks.
pub fn answer_shell(args: &[OsString], directory: Option<&Path>) -> bool {
    complete::answer(command, args, directory)
}

/// Returns the value of `--color`, for the streams that a program opens before it runs a command line.
pub fn color(args: &[OsString]) -> anstream::ColorChoice {
    match usage::peek(args, "--color") {
        Some("always") => anstream::ColorChoice::Always,
        Some("never") => anstream::ColorChoice::Never,
        _ => anstream::ColorChoice::Auto,
    }
}

/// Rewrites `help COMMAND` as `COMMAND --help`.
fn expand_help(mut args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_some_and(|name| name == "help") {
        args.remove(1);
        args.push(OsString::from("--help"));
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_well_formed() {
        command().debug_assert();
    }
}
