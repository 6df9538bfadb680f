//! The options that most commands share, and how they are parsed.

use super::args::{choice, flag, flag_of, option, text_of};
use super::graph;
use super::negative::{as_given, file_name};
use super::steps;
use super::value;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format;
use crate::format::Format;
use crate::layer::Precision;
use crate::report::Digits;
use crate::report::check::CheckFormat;
use crate::run::request::{Mode, Request};
use clap::{Arg, ArgAction, ArgMatches};
use std::path::Path;

/// Names of the precisions.
const PRECISIONS: [&str; 5] = ["f64", "f32", "f16", "bf16", "exact"];

/// Returns the options of every layer command that select results and say where they go.
pub(super) fn result_options() -> [Arg; 8] {
    [
        flag("forward", "compute only the forward pass").conflicts_with("dout"),
        choice("precision", "TYPE", &PRECISIONS, "type: f64 (default), f32, f16, bf16 or exact").long_help(
            "type of operands and results: f64 (default); f32, f16 and bf16 round the operands to that type, compute \
                 in double precision and round each result once; exact returns for each result the double closest to \
                 the true value of its formula",
        ),
        option("only", "NAMES", "show only these results: y,dx").value_delimiter(',').action(ArgAction::Append),
        flag("json", "write one JSON object on one line"),
        flag("pretty", "write indented JSON").hide_short_help(true),
        digits(),
        file_name(option("out", "FILE", "write to a .json, .npz, .npy, .csv or .safetensors file")).short('o'),
        flag("strict", "treat warnings as errors").hide_short_help(true),
    ]
}

/// Returns the options of a layer that compare results and gradients.
pub(super) fn check_options() -> [Arg; 4] {
    [
        check().conflicts_with_all(["expect", "forward"]),
        option("expect", "VALUES", "compare the results with expected values")
            .long_help(
                "compare the results with expected values: a JSON object with the results' names as keys, in a file or as it \
                 is, .npz, .npy or numbers; null is not compared, and a value may be rounded to the digits that it is written \
                 with",
            )
            .conflicts_with("out"),
        flag("jacobian", "compute the Jacobians")
            .long_help(
                "compute the Jacobian of the output with respect to each input and parameter, with a row for each \
                 output entry",
            )
            .hide_short_help(true)
            .conflicts_with_all(["check", "forward", "steps", "graph", "tape", "expect"]),
        check_format().help("format of the report of a check: text (default), json, junit or tap; of --expect: text or json"),
    ]
}

fn check() -> Arg {
    flag("check", "check the gradients numerically")
        .long_help(
            "compare the gradients with numerical differentiation in double-double arithmetic, and report that in \
             place of the results",
        )
        .conflicts_with_all(["out", "only"])
}

/// Returns the options of a chain that check its gradients and measure them.
pub(super) fn chain_checks() -> [Arg; 3] {
    let norms = flag("norms", "measure the gradients of each layer, and say where they vanish or explode")
        .long_help(
            "print the L2 norm and the largest magnitude of each gradient in place of the results, with bars on a logarithmic \
             scale; a layer's gradients vanish or explode if their largest norm, of parameters or of inputs, is below 1e-3 or \
             above 1e3 of that of the last layer that has some, or is exactly 0 or not finite",
        )
        .conflicts_with_all(["tape", "check", "steps", "graph", "out", "only"]);
    [check().conflicts_with("tape"), check_format(), norms]
}

/// Returns `--format`.
pub(super) fn check_format() -> Arg {
    choice(
        "format",
        "FORMAT",
        &["text", "json", "junit", "tap"],
        "format of the report of a check: text (default), json, junit or tap",
    )
    .hide_short_help(true)
}

/// Returns the options of every command that say how it reads and reports.
pub(super) fn io_options() -> Vec<Arg> {
    let formats = &["json", "npy", "npz", "csv", "tsv", "txt", "safetensors", "idx"];
    let options = [
        choice(
            "in-format",
            "FORMAT",
            formats,
            "format of standard input: json, npy, npz, csv, tsv, txt, safetensors or idx",
        )
        .long_help(
            "format of standard input if its first bytes do not show it: json, npy, npz, csv, tsv, txt, \
                 safetensors or idx; also of files without an extension of these",
        ),
        flag("header", "take the names of columns from the first row of tables").long_help(
            "take the names of columns from the first row of tables (.csv, .tsv, .txt), and leave that row out; \
             FILE#NAME,NAME selects columns",
        ),
        flag("no-stdin", "never read standard input"),
        option("threads", "N", "maximum number of threads")
            .long_help("maximum number of threads, all cores by default; the results are the same for any number")
            .value_parser(clap::value_parser!(u16).range(1..)),
        choice("progress", "WHEN", &["auto", "always", "never"], "when to show a progress bar").long_help(
            "when to show a progress bar on standard error, for work of more than a second: auto (default; on a \
                 terminal), always or never",
        ),
        choice("error-format", "FORMAT", &["text", "json"], "format of errors and warnings: text (default) or json"),
        choice("lang", "LANGUAGE", &["en", "ja"], "language of steps, pictures, verdicts and help: en (default) or ja")
            .long_help(
                "language of steps, pictures, verdicts and help: en (default) or ja; also by the environment, NNLAYER_LANG=ja",
            ),
        choice("color", "WHEN", &["auto", "always", "never"], "when to use colours: auto (default), always or never"),
    ];
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let help = help.help("print a summary with -h, and everything with --help");
    options.map(|option| option.hide_short_help(true)).into_iter().chain([help]).collect()
}

/// Returns the options of every layer command without those of these names.
pub(super) fn common_without(names: &[&str]) -> Vec<Arg> {
    let all = result_options().into_iter().chain(io_options());
    all.filter(|arg| !names.contains(&arg.get_id().as_str())).collect()
}

/// Parses the options that are not operands or settings.
pub(super) fn parse(matches: &ArgMatches) -> Result<Request, Error> {
    let out = text_of(matches, "out").map(|path| writable(path).map(|format| (path.to_owned(), format))).transpose()?;
    let only = matches.try_get_many::<String>("only").ok().flatten();
    Ok(Request {
        precision: text_of(matches, "precision").and_then(Precision::named).unwrap_or_default(),
        forward: flag_of(matches, "forward"),
        only: only.map(|names| names.map(|name| as_given(name).to_owned()).collect()),
        out,
        strict: flag_of(matches, "strict"),
        // A check has its own form of the report.
        json: flag_of(matches, "json") || text_of(matches, "format") == Some("json"),
        pretty: flag_of(matches, "pretty"),
        digits: parse_digits(matches)?,
    })
}

/// Parses the options of which each replaces the results by another output.
pub(super) fn mode(matches: &ArgMatches) -> Result<Mode, Error> {
    let expect = text_of(matches, "expect").map(str::to_owned);
    Ok(match (graph::parse(matches, parse_digits(matches)?)?, steps::form(matches), expect) {
        (Some(graph), ..) => Mode::Graph(graph),
        (None, Some(form), expect) => Mode::Steps(form, expect),
        (None, None, Some(expect)) => Mode::Expect(expect),
        (None, None, None) if flag_of(matches, "jacobian") => Mode::Jacobian,
        (None, None, None) if flag_of(matches, "check") => Mode::Check(check_form(matches)),
        (None, None, None) => Mode::Results,
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

/// Returns `--digits`.
pub(super) fn digits() -> Arg {
    option("digits", "N", "number of significant digits in text, 1 to 17")
        .long_help("write at most N significant digits of each number in text, 1 to 17; JSON and files have them all")
        .hide_short_help(true)
}

/// Parses `--digits`.
pub(super) fn parse_digits(matches: &ArgMatches) -> Result<Digits, Error> {
    let tip = "17 digits distinguish all doubles; without --digits, numbers have as many as NumPy prints";
    let number = |text: &str| text.parse().ok().filter(|digits| (1..=Digits::MAX).contains(digits));
    let digits = value::parse(matches, "digits", "an integer from 1 to 17", tip, number)?;
    Ok(digits.map_or(Digits::Numpy, Digits::Significant))
}

fn writable(path: &str) -> Result<&'static dyn Format, Error> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    format::find_by_extension(extension).filter(|format| format.can_write()).ok_or_else(|| {
        Error::new(Code::OutFormat, format!("unsupported output format {extension:?}"))
            .with_operand(&Name::new("out"))
            .with_origin(path)
            .tip("write to a .json, .npz, .npy, .csv or .safetensors file")
    })
}
