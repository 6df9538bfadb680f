//! `--steps`: the arithmetic with the numbers filled in.

use super::args::{choice, text_of};
use crate::report::steps::StepsFormat;
use clap::{Arg, ArgMatches};
use std::ffi::OsString;

const FORMS: &[&str] = &["text", "markdown", "latex"];

/// Returns the option `--steps`.
pub(super) fn option() -> Arg {
    choice("steps", "FORM", FORMS, "write out the arithmetic with the numbers filled in")
        .long_help(
            "write out the arithmetic with the numbers filled in, as text (default), markdown or latex, or with --json as \
             an object; of the lines of a chain that differ only in their numbers, text shows the first three",
        )
        .num_args(0..=1)
        .default_missing_value("text")
        .conflicts_with_all(["tape", "check", "out", "graph"])
}

/// Parses `--steps`.
pub(super) fn form(matches: &ArgMatches) -> Option<StepsFormat> {
    Some(match text_of(matches, "steps")? {
        "markdown" => StepsFormat::Markdown,
        "latex" => StepsFormat::Latex,
        _ => StepsFormat::Text,
    })
}

/// Inserts the default value of `--steps` unless the next argument is one: in `backward --steps tape.json` it is a file.
pub(super) fn guard(mut args: Vec<OsString>) -> Vec<OsString> {
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    for n in (0..end).filter(|&n| args[n] == "--steps").collect::<Vec<_>>() {
        let next = args.get(n + 1).and_then(|arg| arg.to_str());
        if !next.is_some_and(|next| FORMS.contains(&next)) {
            args[n] = OsString::from("--steps=text");
        }
    }
    args
}
