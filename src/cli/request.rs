//! What is asked for, apart from operands and settings: the options that every layer command shares, and where results go.

use super::{choice, flag, flag_of, option, text_of};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format;
use crate::format::{ArrayStream, OutputDtype};
use crate::layer::{LayerSpec, Precision};
use crate::network::{Tape, document};
use crate::report::steps::Form;
use crate::report::{ChainReport, Json, Renderer, Report, ResultHeader, Text, write};
use clap::{Arg, ArgAction, ArgMatches};
use std::io::{BufWriter, Write};
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

/// What is asked for, apart from operands and settings.
pub(super) struct Request {
    pub(super) precision: Precision,
    pub(super) forward: bool,
    pub(super) only: Option<Vec<String>>,
    out: Option<(String, &'static dyn format::Format)>,
    pub(super) strict: bool,
    pub(super) in_format: Option<&'static dyn format::Format>,
    /// `--expect`.
    pub(super) expect: Option<String>,
    /// `--check`.
    pub(super) check: bool,
    /// `--steps`.
    pub(super) steps: Option<Form>,
    pub(super) json: bool,
    pretty: bool,
}

/// `--in-format`.
pub(super) fn in_format(matches: &ArgMatches) -> Option<&'static dyn format::Format> {
    matches.get_one::<String>("in-format").and_then(|name| format::find_by_extension(name))
}

impl Request {
    pub(super) fn parse(matches: &ArgMatches) -> Result<Request, Error> {
        let out = matches
            .get_one::<String>("out")
            .map(|path| writable(path).map(|format| (path.clone(), format)))
            .transpose()?;
        Ok(Request {
            precision: text_of(matches, "precision").and_then(Precision::named).unwrap_or_default(),
            forward: flag_of(matches, "forward"),
            only: only(matches),
            out,
            in_format: text_of(matches, "in-format").and_then(format::find_by_extension),
            expect: matches.try_get_one::<String>("expect").ok().flatten().cloned(),
            check: flag_of(matches, "check"),
            steps: super::steps::form(matches),
            strict: flag_of(matches, "strict"),
            json: flag_of(matches, "json"),
            pretty: flag_of(matches, "pretty"),
        })
    }

    /// Whether a gradient is asked for.
    pub(super) fn backward(&self, spec: &LayerSpec) -> bool {
        let forward_only = |names: &Vec<String>| {
            names
                .iter()
                .all(|name| spec.results.iter().any(|(known, _)| known.as_str() == name && !known.is_gradient()))
        };
        !self.forward && !self.only.as_ref().is_some_and(forward_only)
    }

    /// Whether a report is to be JSON, and then whether indented.
    pub(super) fn as_json(&self) -> Option<bool> {
        (self.json || self.pretty).then_some(self.pretty)
    }

    /// The file of `--out` and its format.
    pub(super) fn file(&self) -> Option<(&str, &'static dyn format::Format)> {
        self.out.as_ref().map(|(path, format)| (path.as_str(), *format))
    }

    /// Whether a result is asked for.
    pub(super) fn wants(&self, result: &Name) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == result.as_str()))
    }

    /// Refuses `--only` of what is not there.
    pub(super) fn admit_only(&self, there: &[&str]) -> Result<(), Error> {
        self.only.as_ref().map_or(Ok(()), |names| crate::report::check_result_names(names, there))
    }

    /// Refuses more than one result for a file that holds one.
    pub(super) fn admit_one(&self, heads: &[ResultHeader]) -> Result<(), Error> {
        let names: Vec<&str> = heads.iter().map(|head| head.name.as_str()).collect();
        let Some((path, format)) = self.file().filter(|(_, format)| names.len() != 1 && !format.has_names()) else {
            return Ok(());
        };
        Err(Error::new(
            Code::OutFormat,
            format!("{} holds one result, there are {}: {}", format.name(), names.len(), names.join(", ")),
        )
        .with_operand(&Name::new("out"))
        .with_origin(path)
        .tip(format!("choose one with --only {}, or write .npz or .json", names.first().unwrap_or(&"y"))))
    }

    pub(super) fn write(&self, report: Report, out: &mut dyn Write) -> anyhow::Result<()> {
        let width = report.width;
        let (heads, mut arrays) = report.into_stream();
        self.write_each(&heads, &mut arrays, width, out)
    }

    /// Writes results as they come.
    pub(super) fn write_each(
        &self,
        heads: &[ResultHeader],
        arrays: &mut dyn ArrayStream,
        width: OutputDtype,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let Some((path, format)) = &self.out else {
            let mut out = BufWriter::new(out);
            let renderer: &dyn Renderer = if self.json || self.pretty { &Json { pretty: self.pretty } } else { &Text };
            renderer.render(heads, arrays, &mut out)?;
            return Ok(out.flush()?);
        };
        self.admit_one(heads)?;
        Ok(write::file(path, |out| format.write(arrays, width, out))
            .map_err(|error| error.with_operand(&Name::new("out")))?)
    }

    /// Writes results by layer.
    pub(super) fn write_sections(&self, mut sections: ChainReport, out: &mut dyn Write) -> anyhow::Result<()> {
        if let Some(only) = &self.only {
            sections.only(only)?;
        }
        let json = |out: &mut dyn Write| sections.json(self.pretty, out);
        match &self.out {
            Some((path, format)) if format.extensions().contains(&"json") => {
                Ok(write::file(path, json).map_err(|error| error.with_operand(&Name::new("out")))?)
            }
            Some(_) => self.write(sections.flat(), out),
            None => {
                let mut out = BufWriter::new(out);
                if self.json || self.pretty {
                    json(&mut out)?
                } else {
                    sections.text(&mut out)?
                }
                Ok(out.flush()?)
            }
        }
    }

    /// Refuses to write a tape or network to a file that cannot hold it.
    pub(super) fn admit_document(&self) -> Result<(), Error> {
        match &self.out {
            Some((path, format)) if !format.extensions().contains(&"json") => {
                Err(Error::new(Code::OutFormat, format!("{} holds no tape and no network", format.name()))
                    .with_operand(&Name::new("out"))
                    .with_origin(path)
                    .tip("tapes and networks are .json"))
            }
            _ => Ok(()),
        }
    }

    /// Writes a tape or network.
    pub(super) fn write_document(&self, tape: &Tape, out: &mut dyn Write) -> anyhow::Result<()> {
        self.admit_document()?;
        let Some((path, _)) = &self.out else {
            let mut out = BufWriter::new(out);
            document::write(tape, &mut out)?;
            return Ok(out.flush()?);
        };
        Ok(write::file(path, |out| document::write(tape, out))
            .map_err(|error| error.with_operand(&Name::new("out")))?)
    }
}

/// `--only`, where the command has it.
fn only(matches: &ArgMatches) -> Option<Vec<String>> {
    let names = matches.try_get_many::<String>("only").ok().flatten()?;
    Some(names.cloned().collect())
}

fn writable(path: &str) -> Result<&'static dyn format::Format, Error> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    format::find_by_extension(extension).filter(|format| format.can_write()).ok_or_else(|| {
        Error::new(Code::OutFormat, format!("the extension {extension:?} names no format that can be written"))
            .with_operand(&Name::new("out"))
            .with_origin(path)
            .tip("results are written to .json, .npz, .npy or .csv files")
    })
}
