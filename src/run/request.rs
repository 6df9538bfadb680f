//! Typed requests: what a command line asks for, as plain data, and where results are written.

use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::format::json::write_object;
use crate::format::{ArrayStream, Format, OutputDtype};
use crate::graph::{Level, Picture, PictureOptions};
use crate::layer::{LayerSpec, Precision, Settings};
use crate::network::{Tape, document};
use crate::numeric::FloatType;
use crate::operand::grammar::OperandSpec;
use crate::operand::{Operands, is_same_file};
use crate::report::check::CheckFormat;
use crate::report::results::{check_result_names, into_stream};
use crate::report::steps::StepsFormat;
use crate::report::{ChainReport, Digits, ResultBlock, ResultHeader, text, write_file};
use std::collections::HashMap;
use std::io::Write;

/// The option that names the file of the results.
pub(crate) const OUT: Name = Name::fixed("out");

/// Options that most commands share, apart from operands and settings.
pub(crate) struct Request {
    pub(crate) precision: Precision,
    /// True if no gradients are computed.
    pub(crate) forward: bool,
    /// Names of the results that are shown; all if `None`.
    pub(crate) only: Option<Vec<String>>,
    /// `--out`, with the format of its extension.
    pub(crate) out: Option<(String, &'static dyn Format)>,
    /// True if warnings are errors.
    pub(crate) strict: bool,
    pub(crate) json: bool,
    pub(crate) pretty: bool,
    /// Number of digits in text.
    pub(crate) digits: Digits,
}

/// A layer command.
pub(crate) struct LayerRequest {
    pub(crate) spec: &'static LayerSpec,
    pub(crate) operands: OperandSpecs,
    pub(crate) dout: DoutOption,
    pub(crate) settings: Settings,
    pub(crate) tape: TapeOption,
    /// Name of the layer in a tape.
    pub(crate) layer_name: Option<String>,
    /// `--precision`, if it is given.
    pub(crate) explicit_precision: Option<Precision>,
    pub(crate) mode: Mode,
    /// Options of a stream of records that the layer computes.
    pub(crate) records: Option<RecordOptions>,
    pub(crate) common: Request,
}

/// Options of a stream of records.
pub(crate) struct RecordOptions {
    /// File of the records, `-` for standard input.
    pub(crate) file: String,
    /// `--keep-going`.
    pub(crate) keep_going: bool,
    /// `--unbuffered`.
    pub(crate) unbuffered: bool,
}

/// Kind of output of a layer or chain.
pub(crate) enum Mode {
    /// Results, or a tape if the layer extends one.
    Results,
    /// The Jacobians.
    Jacobian,
    /// The report of a check of the gradients against numerical differentiation.
    Check(CheckFormat),
    /// The comparison of results with those in a file.
    Expect(String),
    /// The arithmetic of each result, compared with the answers in a file.
    Steps(StepsFormat, Option<String>),
    /// The computational graph.
    Graph(GraphRequest),
}

/// The operands that options give, each as the parsed text of its option.
pub(crate) type OperandSpecs = HashMap<Name, OperandSpec>;

/// `--dout`: the upstream gradient.
pub(crate) enum DoutOption {
    /// The option is not given.
    Default,
    /// `--dout ones`.
    Ones,
    /// Any other operand.
    Operand(OperandSpec),
}

/// `--tape` of a layer command.
#[derive(PartialEq)]
pub(crate) enum TapeOption {
    /// The option is not given; a tape on standard input is extended.
    Default,
    /// `--tape` without a value: starts a tape, or extends the one on standard input.
    Start,
    /// Extends the tape in a file, or on standard input if it is `-`.
    Extend(String),
}

/// `--graph`: the computational graph.
pub(crate) struct GraphRequest {
    /// The file to write and its renderer; the terminal if `None`.
    pub(crate) file: Option<(String, &'static Picture)>,
    pub(crate) level: Option<Level>,
    pub(crate) options: PictureOptions,
    /// Number of digits of the arithmetic in a page.
    pub(crate) digits: Digits,
    /// True if colours are used even if standard output is not a terminal.
    pub(crate) always_color: bool,
}

impl Request {
    /// Returns true if gradients are computed: unless only results of the forward pass are shown.
    pub(crate) fn needs_gradients(&self, spec: &LayerSpec) -> bool {
        let is_output = |name: &String| spec.outputs.iter().any(|(known, _)| known.as_str() == name);
        !self.forward && !self.only.as_ref().is_some_and(|names| names.iter().all(is_output))
    }

    /// Returns `Some` if a report is written as JSON, true if it is indented.
    pub(crate) fn as_json(&self) -> Option<bool> {
        (self.json || self.pretty).then_some(self.pretty)
    }

    /// Returns true if a result is shown.
    pub(crate) fn shows(&self, result: &Name) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == result.as_str()))
    }

    /// Retains the results that are shown, in the order of output.
    pub(crate) fn select(&self, blocks: &mut Vec<ResultBlock>) -> Result<(), Error> {
        self.admit_only(&blocks.iter().map(|block| block.header.name.as_str()).collect::<Vec<_>>())?;
        blocks.retain(|block| self.shows(&block.header.name));
        Ok(())
    }

    /// Refuses names in `--only` that are not results.
    pub(crate) fn admit_only(&self, results: &[&str]) -> Result<(), Error> {
        self.only.as_ref().map_or(Ok(()), |names| check_result_names(names, results))
    }

    /// Refuses more than one result for a file format that holds one array.
    pub(crate) fn admit_one(&self, heads: &[ResultHeader]) -> Result<(), Error> {
        let names: Vec<&str> = heads.iter().map(|head| head.name.as_str()).collect();
        let Some((path, format)) = self.out.as_ref().filter(|(_, format)| names.len() != 1 && !format.has_names())
        else {
            return Ok(());
        };
        let message =
            format!("{} holds one array, but there are {} results: {}", format.name(), names.len(), names.join(", "));
        Err(out_error(path, message).tip(format!(
            "select one with --only {}, or write .npz, .safetensors or .json",
            names.first().unwrap_or(&"y")
        )))
    }

    /// Writes results that are in memory.
    pub(crate) fn write(&self, blocks: Vec<ResultBlock>, out: &mut dyn Write) -> anyhow::Result<()> {
        let (headers, mut arrays) = into_stream(blocks);
        self.write_each(&headers, &mut arrays, width(self.precision), out)
    }

    /// Writes results, each as it is computed.
    pub(crate) fn write_each(
        &self,
        headers: &[ResultHeader],
        arrays: &mut dyn ArrayStream,
        width: OutputDtype,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        match (&self.out, self.as_json()) {
            (Some((path, format)), _) => {
                self.admit_one(headers)?;
                // JSON is indented on request.
                let is_pretty = self.pretty && format.name() == ".json";
                write_file(&OUT, path, |out| match is_pretty {
                    true => write_object(&[], arrays, true, out),
                    false => format.write(arrays, width, out),
                })?;
            }
            (None, Some(pretty)) => write_object(&[], arrays, pretty, out)?,
            (None, None) => text::write(headers, arrays, self.digits, out)?,
        }
        Ok(())
    }

    /// Writes results by layer.
    pub(crate) fn write_sections(
        &self,
        mut sections: ChainReport,
        width: OutputDtype,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        if let Some(only) = &self.only {
            sections.only(only)?;
        }
        match &self.out {
            Some((path, format)) if format.name() == ".json" => {
                write_file(&OUT, path, |out| sections.write_json(self.pretty, out))?;
            }
            None if self.as_json().is_some() => sections.write_json(self.pretty, out)?,
            _ => {
                let (headers, mut arrays) = into_stream(sections.flatten());
                self.write_each(&headers, &mut arrays, width, out)?;
            }
        }
        Ok(())
    }

    /// Returns a warning if the file of the results is that of an operand, which it replaces.
    pub(crate) fn warn_of_replaced(&self, operands: &Operands) -> Option<Note> {
        let (path, _) = self.out.as_ref()?;
        operands.read_from(path).map(|operand| replaced(path, operand.as_str()))
    }

    /// Returns a warning if the file of the results is that of one of these inputs, each with its name in messages.
    pub(crate) fn warn_of_replaced_input<'a>(
        &self,
        inputs: impl IntoIterator<Item = (&'a str, Result<OperandSpec, Error>)>,
    ) -> Option<Note> {
        let (path, _) = self.out.as_ref()?;
        let is_replaced = |spec: &_| matches!(spec, Ok(OperandSpec::File(file, _)) if is_same_file(file, path));
        inputs.into_iter().find(|(_, spec)| is_replaced(spec)).map(|(name, _)| replaced(path, name))
    }

    /// Refuses to write a tape or network to a file that is not JSON.
    pub(crate) fn admit_document(&self) -> Result<(), Error> {
        match &self.out {
            Some((path, format)) if format.name() != ".json" => {
                Err(out_error(path, format!("{} cannot hold a tape or network", format.name()))
                    .tip("write tapes and networks to .json files"))
            }
            _ => Ok(()),
        }
    }

    /// Writes a tape or network.
    pub(crate) fn write_document(&self, tape: &Tape, out: &mut dyn Write) -> anyhow::Result<()> {
        self.admit_document()?;
        match &self.out {
            Some((path, _)) => write_file(&OUT, path, |out| document::write(tape, out))?,
            None => document::write(tape, out)?,
        }
        Ok(())
    }
}

/// Returns the element type of results of that precision in binary files.
pub(crate) fn width(precision: Precision) -> OutputDtype {
    match precision.float_type() {
        FloatType::F32 => OutputDtype::F32,
        FloatType::F16 => OutputDtype::F16,
        FloatType::Bf16 => OutputDtype::Bf16,
        _ => OutputDtype::F64,
    }
}

fn replaced(path: &str, input: &str) -> Note {
    let error = Error::new(Code::ReplacedOperand, format!("replaces the file that {input} is read from"));
    Note::warning(error.with_operand(&OUT).with_origin(path).tip("write to another file to keep it"))
}

fn out_error(path: &str, message: String) -> Error {
    Error::new(Code::OutFormat, message).with_operand(&OUT).with_origin(path)
}
