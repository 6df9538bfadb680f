//! What a command is asked for, apart from operands and settings, and where its results go.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::{ArrayStream, Format, OutputDtype};
use crate::layer::{LayerSpec, Precision};
use crate::network::{Tape, document};
use crate::report::checked;
use crate::report::steps::Form;
use crate::report::{ChainReport, Json, Renderer, Report, ResultHeader, Text, write};
use std::io::{BufWriter, Write};

/// What is asked for, apart from operands and settings.
pub(crate) struct Request {
    pub(crate) precision: Precision,
    pub(crate) forward: bool,
    pub(crate) only: Option<Vec<String>>,
    /// `--out`, with the format of its extension.
    pub(crate) out: Option<(String, &'static dyn Format)>,
    pub(crate) strict: bool,
    /// `--expect`.
    pub(crate) expect: Option<String>,
    /// `--check`.
    pub(crate) check: bool,
    /// Format of the report of a check.
    pub(crate) check_format: checked::Form,
    /// `--steps`.
    pub(crate) steps: Option<Form>,
    pub(crate) json: bool,
    pub(crate) pretty: bool,
}

impl Request {
    /// Whether a gradient is asked for.
    pub(crate) fn backward(&self, spec: &LayerSpec) -> bool {
        let is_output = |name: &String| spec.outputs.iter().any(|(known, _)| known.as_str() == name);
        let forward_only = |names: &Vec<String>| names.iter().all(is_output);
        !self.forward && !self.only.as_ref().is_some_and(forward_only)
    }

    /// Whether a report is to be JSON, and then whether indented.
    pub(crate) fn as_json(&self) -> Option<bool> {
        (self.json || self.pretty).then_some(self.pretty)
    }

    /// The file of `--out` and its format.
    pub(crate) fn file(&self) -> Option<(&str, &'static dyn Format)> {
        self.out.as_ref().map(|(path, format)| (path.as_str(), *format))
    }

    /// Whether a result is asked for.
    pub(crate) fn wants(&self, result: &Name) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == result.as_str()))
    }

    /// Refuses `--only` of what is not there.
    pub(crate) fn admit_only(&self, there: &[&str]) -> Result<(), Error> {
        self.only.as_ref().map_or(Ok(()), |names| crate::report::check_result_names(names, there))
    }

    /// Refuses more than one result for a file that holds one.
    pub(crate) fn admit_one(&self, heads: &[ResultHeader]) -> Result<(), Error> {
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

    pub(crate) fn write(&self, report: Report, out: &mut dyn Write) -> anyhow::Result<()> {
        let width = report.width;
        let (heads, mut arrays) = report.into_stream();
        self.write_each(&heads, &mut arrays, width, out)
    }

    /// Writes results as they come.
    pub(crate) fn write_each(
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
    pub(crate) fn write_sections(&self, mut sections: ChainReport, out: &mut dyn Write) -> anyhow::Result<()> {
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
    pub(crate) fn admit_document(&self) -> Result<(), Error> {
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
    pub(crate) fn write_document(&self, tape: &Tape, out: &mut dyn Write) -> anyhow::Result<()> {
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
