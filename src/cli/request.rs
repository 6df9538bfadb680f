//! The options that most commands share, and the request that they make.

use super::args::{choice, flag, flag_of, option, text_of};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format;
use crate::format::Format;
use crate::layer::Precision;
use crate::report::check::CheckFormat;
use crate::run::request::Request;
use clap::{Arg, ArgAction, ArgMatches};
use std::path::Path;

const IN_FORMAT: &str =
    "format of standard input, where its first bytes do not tell: json, npy, npz, csv, tsv, safetensors";

/// The options of every layer command.
pub(super) fn common() -> Vec<Arg> {
    results().into_iter().chain(io_options()).collect()
}

/// The options that say which results, and where they go.
pub(super) fn results() -> [Arg; 7] {
    [
        flag("forward", "compute no gradients").conflicts_with("dout"),
        choice(
            "precision",
            &["f64", "f32", "exact"],
            "f64 (default); f32: inputs rounded to single precision, results of single precision; exact: every number the double nearest to the formula's real value",
        ),
        flag("strict", "warnings are errors"),
        flag("json", "one JSON object on one line"),
        flag("pretty", "indented JSON"),
        option("only", "NAMES", "show these results only: y,dx").value_delimiter(',').action(ArgAction::Append),
        option("out", "FILE", "write results to a .json, .npz, .npy or .csv file instead"),
    ]
}

/// `--check`, `--expect` and `--jacobian`, of a layer.
pub(super) fn checking() -> [Arg; 4] {
    [
        flag("jacobian", "compute the full Jacobians instead, ∂y/∂x and by every parameter: a row for each output entry")
            .conflicts_with_all(["check", "forward", "steps", "graph", "tape", "expect"]),
        check().conflicts_with_all(["expect", "forward"]),
        check_format(),
        option("expect", "FILE",
            "compare the results with yours instead: a JSON object with their names as keys (null is a blank, and rounding to the digits you wrote is right), .npz or .npy",
        ).conflicts_with("out"),
    ]
}

/// `--check`.
pub(super) fn check() -> Arg {
    flag("check", "check the gradients against numerical differentiation in twice the digits, and report that instead")
        .conflicts_with_all(["out", "only"])
}

/// The options of a chain's check.
pub(super) fn chain_check() -> [Arg; 2] {
    [check().conflicts_with("tape"), check_format()]
}

/// How a check is reported.
pub(super) fn check_format() -> Arg {
    choice("format", &["text", "json", "junit", "tap"], "how a check is reported: text (default), json, junit or tap")
}

/// The options of every command: how to read and to speak.
pub(super) fn io_options() -> Vec<Arg> {
    vec![
        choice("in-format", &["json", "npy", "npz", "csv", "tsv", "safetensors"], IN_FORMAT).value_name("FORMAT"),
        flag("no-stdin", "never read standard input"),
        option("threads", "N", "use so many threads at most; all cores by default, and the same output for any")
            .value_parser(clap::value_parser!(u16).range(1..)),
        choice(
            "progress",
            &["auto", "always", "never"],
            "a bar on standard error for what takes over a second; auto (default) on a terminal",
        ),
        choice("error-format", &["text", "json"], "how errors and warnings are written on standard error"),
        choice("color", &["auto", "always", "never"], "colours in messages"),
        Arg::new("help").short('h').long("help").action(ArgAction::Help).help("print this"),
    ]
}

/// The options of a command that has some of them only.
pub(super) fn common_without(names: &[&str]) -> Vec<Arg> {
    common().into_iter().filter(|arg| !names.contains(&arg.get_id().as_str())).collect()
}

/// Parses the options that are not operands or settings.
pub(super) fn parse(matches: &ArgMatches) -> Result<Request, Error> {
    let out = text_of(matches, "out").map(|path| writable(path).map(|format| (path.to_owned(), format))).transpose()?;
    let only = matches.try_get_many::<String>("only").ok().flatten();
    Ok(Request {
        precision: text_of(matches, "precision").and_then(Precision::named).unwrap_or_default(),
        forward: flag_of(matches, "forward"),
        only: only.map(|names| names.cloned().collect()),
        out,
        check: flag_of(matches, "check"),
        check_format: check_form(matches),
        steps: super::steps::form(matches),
        strict: flag_of(matches, "strict"),
        json: flag_of(matches, "json"),
        pretty: flag_of(matches, "pretty"),
    })
}

/// Returns the format of the report of a check; `--json` and `--pretty` are short for one.
pub(super) fn check_form(matches: &ArgMatches) -> CheckFormat {
    let named = text_of(matches, "format").and_then(CheckFormat::named);
    let pretty = flag_of(matches, "pretty");
    match named {
        None | Some(CheckFormat::Json { .. }) if pretty || flag_of(matches, "json") => CheckFormat::Json { pretty },
        _ => named.unwrap_or(CheckFormat::Text),
    }
}

/// Returns the format of standard input.
pub(super) fn in_format(matches: &ArgMatches) -> Option<&'static dyn Format> {
    text_of(matches, "in-format").and_then(format::find_by_extension)
}

fn writable(path: &str) -> Result<&'static dyn Format, Error> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    format::find_by_extension(extension).filter(|format| format.can_write()).ok_or_else(|| {
        Error::new(Code::OutFormat, format!("the extension {extension:?} names no format that can be written"))
            .with_operand(&Name::new("out"))
            .with_origin(path)
            .tip("results are written to .json, .npz, .npy or .csv files")
    })
}
