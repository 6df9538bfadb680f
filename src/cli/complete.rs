//! Completions: what a shell offers at a press of Tab. The script of a shell asks this program, with an environment variable set.

use crate::layer;
use crate::layer::LAYERS;
use crate::operand::OperandReader;
use crate::operand::stdin::Stdin;
use crate::run::gradcheck::CUSTOM;
use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::Shells;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Environment variable by which the script of a shell asks for completions; its value is the name of the shell.
const VARIABLE: &str = "NNLAYER_COMPLETE";

/// Value names of the arguments that are no arrays and no files.
const WITHOUT_FILES: [&str; 11] =
    ["N", "NUMBER", "SECONDS", "LIST", "SHAPE", "NAME", "NAME=RxC", "NAME=X", "LAYERS", "COMMAND", "SHELL"];

/// Size in bytes of the largest file that is read for the names of its arrays: a press of a key should be answered at once.
const MAX_BYTES: u64 = 1 << 26;

/// Returns the names of the shells.
pub(super) fn shells() -> Vec<&'static str> {
    Shells::builtins().names().collect()
}

/// Returns the script that tells a shell to ask nnlayer for completions.
pub(super) fn script(shell: &str) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(shell) {
        // Writing to memory cannot fail.
        let _ = shell.write_registration(VARIABLE, "nnlayer", "nnlayer", "nnlayer", &mut script);
    }
    script
}

/// Answers on standard output a shell that asks for completions of the command line `tree`; returns false if none asks.
pub(super) fn answer(tree: fn() -> Command, args: &[OsString], directory: Option<&Path>) -> bool {
    let environment = CompleteEnv::with_factory(|| complete_values(tree())).var(VARIABLE);
    // A shell shows nothing where there is an error.
    environment.try_complete(args.iter().cloned(), directory).unwrap_or(true)
}

/// Adds to the command line what completes the values of its options.
fn complete_values(tree: Command) -> Command {
    tree.mut_subcommands(|command| {
        let results: Vec<String> = match layer::find(command.get_name()) {
            Some(spec) => spec.results().map(|(name, _)| name.to_string()).collect(),
            None => Vec::new(),
        };
        command.mut_args(|arg| complete_value(arg, &results))
    })
}

/// Adds to an argument what completes its values. Words that it is limited to are completed without it.
fn complete_value(arg: Arg, results: &[String]) -> Arg {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    match (value.as_str(), arg.get_id().as_str()) {
        ("", _) => arg,
        ("NAMES", _) => {
            let results = results.to_vec();
            arg.add(ArgValueCandidates::new(move || results.iter().map(CompletionCandidate::new).collect()))
        }
        ("LAYER", "layer") => arg.add(ArgValueCandidates::new(|| {
            LAYERS.iter().map(|spec| spec.name).chain([CUSTOM]).map(CompletionCandidate::new).collect()
        })),
        (name, _) if WITHOUT_FILES.contains(&name) => arg,
        _ if !arg.get_possible_values().is_empty() => arg,
        _ => arg.add(ArgValueCompleter::new(complete_file)),
    }
}

/// Returns the files whose names begin with `text`, or after `FILE#` the names of the arrays in that file.
fn complete_file(text: &OsStr) -> Vec<CompletionCandidate> {
    match text.to_str().and_then(|text| text.rsplit_once('#')) {
        Some((file, begun)) => {
            let selectors = selectors(file, begun).into_iter().filter(|selector| selector.starts_with(begun));
            selectors.map(|selector| CompletionCandidate::new(format!("{file}#{selector}"))).collect()
        }
        None => PathCompleter::any().complete(text),
    }
}

/// Returns the selectors of the arrays in a file; in JSON those of the values that are as deep as `begun`, a pointer or key.
fn selectors(file: &str, begun: &str) -> Vec<String> {
    let path = file.strip_prefix('@').unwrap_or(file);
    if !std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES) {
        return Vec::new();
    }
    let mut no_input = std::io::empty();
    let pointer = begun.rsplit_once('/').map_or("", |(pointer, _)| pointer);
    let names = OperandReader::new(Stdin::new(&mut no_input, false)).read_names(path, pointer).unwrap_or_default();
    let key = |name: String| match name.strip_prefix('/') {
        Some(key) if !begun.starts_with('/') => key.to_owned(),
        _ => name,
    };
    names.into_iter().map(key).collect()
}
