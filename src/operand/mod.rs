//! From the text of an option to a matrix and where it came from. Files, standard input and arguments meet here.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format;
use crate::format::npy;
use crate::format::npy::rows::Rows;
use crate::format::{DOUBLE_ROUNDING, Format, LoadedArray, Selector, Source, json};
use ndarray::ArrayD;
use std::fs::File;
use std::io::Read;
use std::path::Path;

mod document;
pub mod grammar;
mod literal;
mod place;
mod spool;
pub mod stdin;
mod suggest;

pub use document::Document;
use grammar::OperandSpec;
use place::locate;
use spool::Kept;
use stdin::Stdin;

/// A matrix, and where it came from.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The values.
    pub value: ArrayD<f64>,
    /// The rounding of the type they were stored in, 2⁻⁵³ for doubles.
    pub rounding: f64,
    /// Where they came from.
    pub origin: Origin,
}

/// Where an operand came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Numbers on the command line.
    Typed,
    /// JSON on the command line.
    TypedJson(String),
    /// A file, and the pointer in it.
    File(String, String),
    /// Standard input, and the pointer in it.
    Stdin(String),
}

impl Origin {
    /// What messages call it; nothing for what stands on the command line.
    pub fn label(&self) -> Option<&str> {
        match self {
            Origin::Typed | Origin::TypedJson(_) => None,
            Origin::File(path, _) => Some(path),
            Origin::Stdin(_) => Some(stdin::LABEL),
        }
    }
}

/// Operands by name.
#[derive(Debug, Default)]
pub struct Operands {
    /// The values, in the order of the layer's slots.
    pub values: Tensors<f64>,
    origins: Vec<(Name, Origin, f64)>,
}

impl Operands {
    /// Adds an operand.
    pub fn insert(&mut self, name: Name, operand: Operand) {
        let value = self.record_origin(&name, operand);
        self.values.insert(name, value);
    }

    /// Keeps where an operand came from, and gives its value back.
    pub fn record_origin(&mut self, name: &Name, operand: Operand) -> ArrayD<f64> {
        self.origins.push((name.clone(), operand.origin, operand.rounding));
        operand.value
    }

    /// Keeps where an operand came from that is read in parts.
    pub fn note(&mut self, name: &Name, origin: Origin, rounding: f64) {
        self.origins.push((name.clone(), origin, rounding));
    }

    /// Where an operand came from.
    pub fn origin(&self, name: &Name) -> Option<&Origin> {
        self.origins.iter().find(|(known, ..)| known == name).map(|(_, origin, _)| origin)
    }

    /// The rounding of the type an operand was stored in.
    pub fn rounding(&self, name: &Name) -> f64 {
        self.origins.iter().find(|(known, ..)| known == name).map_or(DOUBLE_ROUNDING, |(.., rounding)| *rounding)
    }
}

/// Reads operands; a document that serves several is parsed once.
pub struct OperandReader<'a> {
    /// Standard input.
    pub stdin: Stdin<'a>,
    /// `--in-format`: the format of standard input, and of files whose name does not tell.
    pub in_format: Option<&'static dyn format::Format>,
    documents: Vec<(String, json::Document)>,
    /// What came out of files that can be read only once, such as the shell's `<(command)`.
    pipes: Vec<(String, Kept)>,
}

impl<'a> OperandReader<'a> {
    /// A reader that has read nothing.
    pub fn new(stdin: Stdin<'a>) -> OperandReader<'a> {
        OperandReader { stdin, in_format: None, documents: Vec::new(), pipes: Vec::new() }
    }

    /// Reads the operand `name` from its option's text. Of a document of names, the first of `wanted` is taken.
    pub fn read(&mut self, name: &Name, text: &str, wanted: &[Name]) -> Result<Operand, Error> {
        let form = grammar::parse(text).map_err(|error| error.with_operand(name))?;
        self.read_spec(name, form, wanted)
    }

    /// Reads the operand `name` from its parsed text. Of a document of names, the first of `wanted` is taken.
    pub fn read_spec(&mut self, name: &Name, form: OperandSpec, wanted: &[Name]) -> Result<Operand, Error> {
        let operand = match form {
            OperandSpec::Literal(value) => Ok(Operand { value, rounding: DOUBLE_ROUNDING, origin: Origin::Typed }),
            OperandSpec::Json(text) => typed_json(&text),
            OperandSpec::File(path, selector) => self.file(&path, &selector, wanted),
            OperandSpec::Stdin(selector) => {
                if selector == Selector::Default {
                    self.stdin.claim(name)?;
                }
                self.read_stdin(&selector, wanted)
            }
        };
        operand.map_err(|error| error.with_operand(name))
    }

    /// The JSON document in a file, or in standard input where `source` is `-`, and what messages call it.
    pub fn read_json(&mut self, source: &str) -> Result<(json::Node, String), Error> {
        let label = match source.strip_prefix('@').unwrap_or(source) {
            "-" => stdin::LABEL.to_owned(),
            path => grammar::named(path),
        };
        if first_bytes(self.text(&label)?)?.trim_ascii().is_empty() {
            return Err(Error::new(Code::EmptyValue, "is empty")
                .with_origin(label)
                .tip("did the command before it fail?"));
        }
        Ok((json::read(self.text(&label)?)?, label))
    }

    /// The text of a file or of standard input, by what messages call it.
    fn text<'b>(&'b mut self, label: &'b str) -> Result<Source<'b>, Error> {
        if label == stdin::LABEL {
            return self.stdin.source();
        }
        self.keep_pipe(label)?;
        self.open(label)
    }

    /// A file, or standard input where `source` is `-`, to be read as it comes, and what messages call it.
    pub fn open_stream(&mut self, source: &str) -> Result<(Box<dyn Read + '_>, String), Error> {
        let path = source.strip_prefix('@').unwrap_or(source);
        if path == "-" {
            return Ok((Box::new(self.stdin.stream()?), stdin::LABEL.to_owned()));
        }
        Ok((Box::new(open(path)?.0), path.to_owned()))
    }

    fn file(&mut self, path: &str, selector: &Selector, wanted: &[Name]) -> Result<Operand, Error> {
        let format = self.format_of(path)?;
        let found = if format.name() == json::Json.name() {
            self.take(path, selector, wanted).map_err(|error| self.locate(error, path))?
        } else {
            format.read(self.open(path)?, selector, wanted)?
        };
        Ok(operand(found, |pointer| Origin::File(path.to_owned(), pointer)))
    }

    /// The rows of a .npy file of so many bytes or more, to be read in parts; nothing for anything else.
    pub fn open_rows(&mut self, spec: &OperandSpec, least: u64) -> Result<Option<Rows>, Error> {
        let OperandSpec::File(path, Selector::Default) = spec else { return Ok(None) };
        if !Path::new(path).metadata().is_ok_and(|meta| meta.is_file() && meta.len() >= least)
            || self.format_of(path)?.name() != npy::Npy.name()
        {
            return Ok(None);
        }
        let (file, len) = open(path)?;
        Rows::open(path.clone(), file, len)
    }

    /// The format of a file, told by its extension or by its first bytes.
    fn format_of(&mut self, path: &str) -> Result<&'static dyn format::Format, Error> {
        self.keep_pipe(path)?;
        match Path::new(path).extension().and_then(|extension| extension.to_str()).and_then(format::find_by_extension) {
            Some(format) => Ok(format),
            None => self.told_by_content(path),
        }
    }

    /// A JSON document, of a file or of standard input, with what is selected still in it.
    fn tree(&mut self, label: &str, selector: &Selector) -> Result<&mut json::Document, Error> {
        self.documents.retain(|(known, document)| known != label || document.whole(selector).is_some());
        let at = match self.documents.iter().position(|(known, _)| known == label) {
            Some(at) => at,
            None => {
                let node = json::read(self.text(label)?)?;
                self.documents.push((label.to_owned(), json::Document::new(node)));
                self.documents.len() - 1
            }
        };
        Ok(&mut self.documents[at].1)
    }

    /// Takes a matrix out of a document; for a second operand the document is read again.
    fn take(&mut self, label: &str, selector: &Selector, wanted: &[Name]) -> Result<LoadedArray, Error> {
        match self.tree(label, selector)?.take(selector, wanted, label)? {
            Some(found) => Ok(found),
            None => {
                self.documents.retain(|(known, _)| known != label);
                self.take(label, selector, wanted)
            }
        }
    }

    fn open<'b>(&'b self, path: &'b str) -> Result<Source<'b>, Error> {
        match self.pipes.iter().find(|(known, _)| known == path) {
            Some((_, kept)) => kept.source(path),
            None => open(path).map(|(file, len)| Source::file(path, file, len)),
        }
    }

    fn keep_pipe(&mut self, path: &str) -> Result<(), Error> {
        if self.pipes.iter().any(|(known, _)| known == path)
            || !Path::new(path).metadata().is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
        {
            return Ok(());
        }
        let kept = Kept::of(&mut open(path)?.0).map_err(|error| format::read_error(path, &error))?;
        self.pipes.push((path.to_owned(), kept));
        Ok(())
    }

    fn told_by_content(&self, path: &str) -> Result<&'static dyn format::Format, Error> {
        if let Some(format) = self.in_format {
            return Ok(format);
        }
        let first = first_bytes(self.open(path)?)?;
        format::find_by_first_bytes(&first).ok_or_else(|| unknown_format(path, &first))
    }

    /// Reads from standard input.
    pub fn read_stdin(&mut self, selector: &Selector, wanted: &[Name]) -> Result<Operand, Error> {
        let format = self.stdin_format()?;
        let found = match format {
            Some(format) if format.name() == json::Json.name() => {
                let found = self.take(stdin::LABEL, selector, wanted);
                found.map_err(|error| self.locate(error, stdin::LABEL))?
            }
            Some(format) => format.read(self.stdin.source()?, selector, wanted)?,
            None => {
                LoadedArray { value: self.typed_stdin(selector)?, rounding: DOUBLE_ROUNDING, pointer: String::new() }
            }
        };
        Ok(operand(found, Origin::Stdin))
    }

    /// The format of standard input, told by its first bytes; none is the literal grammar.
    fn stdin_format(&mut self) -> Result<Option<&'static dyn format::Format>, Error> {
        if self.in_format.is_some() {
            return Ok(self.in_format);
        }
        Ok(format::find_by_first_bytes(&first_bytes(self.stdin.source()?)?))
    }

    fn typed_stdin(&mut self, selector: &Selector) -> Result<ArrayD<f64>, Error> {
        let bytes = &*self.stdin.source()?.read_all()?;
        if let Selector::Pointer(pointer) = selector {
            return Err(Error::new(Code::KeyMissing, format!("has no {pointer}: it is no JSON object"))
                .with_origin(stdin::LABEL)
                .tip("take it whole: -"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| unknown_format(stdin::LABEL, bytes))?;
        if text.trim().is_empty() {
            return Err(Error::new(Code::EmptyValue, "is empty")
                .with_origin(stdin::LABEL)
                .tip("did the command before it fail?"));
        }
        let text = text.trim_start_matches('\u{feff}').trim();
        match literal::parse(text).map_err(|error| error.with_origin(stdin::LABEL))? {
            Some(values) => Ok(values),
            None if literal::looks_like_one(text) && text.len() < 80 => {
                Err(literal::mistyped(text).with_origin(stdin::LABEL))
            }
            None => Err(unknown_format(stdin::LABEL, bytes)),
        }
    }

    /// The keys of standard input, where it is a document of names.
    pub fn stdin_names(&mut self) -> Result<Option<Vec<String>>, Error> {
        match self.stdin_format()? {
            Some(format) if format.name() == json::Json.name() => {
                Ok(match self.tree(stdin::LABEL, &Selector::Default)?.whole(&Selector::Default) {
                    Some(json::Node::Object(entries)) => Some(entries.iter().map(|(key, _)| key.clone()).collect()),
                    _ => None,
                })
            }
            Some(format) if format.has_names() => format.names(self.stdin.source()?).map(Some),
            _ => Ok(None),
        }
    }

    /// The text of a setting in standard input's object: a word, a number or true.
    pub fn stdin_setting(&self, key: &str) -> Option<String> {
        let (_, document) = self.documents.iter().find(|(known, _)| known == stdin::LABEL)?;
        let json::Node::Object(entries) = document.whole(&Selector::Default)? else { return None };
        let node = &entries.iter().find(|(known, _)| known == key)?.1;
        Some(node.word().unwrap_or_else(|| "that".to_owned()))
    }
}

fn typed_json(text: &str) -> Result<Operand, Error> {
    let node = json::parse(text.as_bytes(), "")?;
    let value = node.matrix("").map_err(|error| locate(error, text))?;
    Ok(Operand { value, rounding: DOUBLE_ROUNDING, origin: Origin::TypedJson(text.to_owned()) })
}

fn operand(found: LoadedArray, origin: impl FnOnce(String) -> Origin) -> Operand {
    Operand { value: found.value, rounding: found.rounding, origin: origin(found.pointer) }
}

/// Opens a file for reading; its length is 0 where it has none.
fn open(path: &str) -> Result<(File, u64), Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(suggest::missing(path)),
        Err(error) => return Err(format::read_error(path, &error)),
    };
    let meta = file.metadata().map_err(|error| format::read_error(path, &error))?;
    if meta.is_dir() {
        return Err(Error::new(Code::FileUnreadable, "is a directory").with_origin(path).tip("name a file in it"));
    }
    Ok((file, meta.len()))
}

/// What it begins with: enough to tell its format.
fn first_bytes(source: Source<'_>) -> Result<Vec<u8>, Error> {
    const MOST: u64 = 1 << 16;
    let (label, mut first) = (source.label, Vec::new());
    source.take(MOST).read_to_end(&mut first).map_err(|error| format::read_error(label, &error))?;
    Ok(first)
}

fn unknown_format(label: &str, first: &[u8]) -> Error {
    let binary = first.iter().any(|byte| (*byte < 32 && !b"\t\n\r\x0c".contains(byte)) || *byte == 127);
    let what = if first.is_empty() {
        "is empty"
    } else if binary {
        "holds bytes of no known format"
    } else {
        "is text of no known format"
    };
    Error::new(Code::FormatUnknown, what).with_origin(label).tip(
        "formats: .json .npy .npz .csv .tsv .safetensors, told by extension, or by first bytes; tables have no first bytes to tell: --in-format csv",
    )
}
