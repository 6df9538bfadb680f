//! The reader of operands. The position of an error in a text is looked up only after the error, so that reading stores none.

use super::grammar::{self, OperandSpec};
use super::operands::{Operand, Operands, Origin};
use super::spool::Spool;
use super::stdin::{self, Stdin};
use super::suggest;
use super::text;
use crate::core::error::{Code, Error, Fact, Place, format_shape};
use crate::core::name::Name;
use crate::format::json::JsonNumber;
use crate::format::npy::Npy;
use crate::format::npy::rows::RowReader;
use crate::format::{
    Format, LoadedArray, Selector, Source, decompressed, find_by_extension, find_by_first_bytes, is_gzip, json,
    may_be_rounded, read_error, refuse_lookalike,
};
use crate::numeric::FloatType;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Returns the error for the output of a layer where there is no tape.
fn no_layer(reference: &str) -> Error {
    Error::new(Code::Usage, format!("%{reference} is the output of a layer, and there is no tape to take it from"))
        .tip(format!("extend a tape: nnlayer … --tape | nnlayer …; a file of that name is @%{reference}"))
}

/// A reader of operands, which parses a document only once for all of them.
pub struct OperandReader<'a> {
    /// Standard input.
    pub stdin: Stdin<'a>,
    /// `--in-format`: the format of standard input, and of files without a known extension.
    pub in_format: Option<&'static dyn Format>,
    /// `--header`: the first row of a table has the names of its columns.
    pub has_header: bool,
    /// True while a mask is read: JSON's true and false are then numbers.
    pub reads_mask: bool,
    /// True if a table has been read with [`has_header`](Self::has_header).
    pub has_read_header: bool,
    /// `--strict`: a warning is an error.
    pub strict: bool,
    /// Warnings of what has been read.
    pub warnings: Vec<Error>,
    documents: Vec<(String, json::Document)>,
    /// Content of files that can be read only once, such as the shell's `<(command)`.
    pipes: Vec<(String, Spool)>,
}

impl<'a> OperandReader<'a> {
    /// Returns a reader that has read nothing.
    pub fn new(stdin: Stdin<'a>) -> OperandReader<'a> {
        OperandReader {
            stdin,
            in_format: None,
            has_header: false,
            reads_mask: false,
            has_read_header: false,
            strict: false,
            warnings: Vec::new(),
            documents: Vec::new(),
            pipes: Vec::new(),
        }
    }

    /// Reads the operand `name` from its option's text; from a document with names, the first of `keys`.
    pub fn read(&mut self, name: &Name, text: &str, keys: &[Name]) -> Result<Operand, Error> {
        let spec = grammar::parse(text).map_err(|error| error.with_operand(name))?;
        self.read_spec(name, spec, keys)
    }

    /// Reads the operand `name` from its parsed text; from a document with names, the first of `keys`.
    pub fn read_spec(&mut self, name: &Name, spec: OperandSpec, keys: &[Name]) -> Result<Operand, Error> {
        let warnings_before = self.warnings.len();
        let operand = match spec {
            OperandSpec::Literal(array) => {
                array.rounded.map_or(Ok(()), |warning| self.warn(warning.with_operand(name)))?;
                Ok(Operand { value: array.value, element: array.element, is_boolean: false, origin: Origin::Typed })
            }
            OperandSpec::Json(text) => self.parse_json(name, text),
            OperandSpec::Layer(reference) => Err(no_layer(&reference)),
            OperandSpec::File(path, selector) => self.read_file(&path, &selector, keys),
            OperandSpec::Stdin(selector) => {
                if selector == Selector::Default {
                    self.stdin.claim(name)?;
                }
                self.read_stdin(&selector, keys)
            }
        };
        for warning in &mut self.warnings[warnings_before..] {
            warning.operand.get_or_insert_with(|| name.clone());
        }
        operand.map_err(|error| error.with_operand(name))
    }

    /// Reads the JSON document in a file, or in standard input for `-`; returns it with its name in messages.
    pub fn read_json(&mut self, source: &str) -> Result<(json::Node, String), Error> {
        let label = match source.strip_prefix('@').unwrap_or(source) {
            "-" => stdin::LABEL.to_owned(),
            path => grammar::path_label(path),
        };
        let first = read_first_bytes(self.open_text(&label)?)?;
        if first.trim_ascii().is_empty() {
            return Err(text::empty_error(&label));
        }
        refuse_lookalike(&label, &first, None)?;
        let node = json::read(self.open_text(&label)?)?;
        if json::may_have_rounded(&node) {
            self.warn_of_rounded(&label, "")?;
        }
        Ok((node, label))
    }

    /// Warns of the first integer, in a part of a JSON document, that a double cannot represent.
    fn warn_of_rounded(&mut self, label: &str, pointer: &str) -> Result<(), Error> {
        let rounded = json::first_rounded(&self.read_node(label)?, pointer);
        rounded.map_or(Ok(()), |warning| self.warn(self.locate(warning, label)))
    }

    /// Keeps a warning, which is an error if warnings are errors.
    fn warn(&mut self, warning: Error) -> Result<(), Error> {
        if self.strict {
            return Err(warning);
        }
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
        Ok(())
    }

    /// Warns of the first integer of an array that a double cannot represent.
    pub(super) fn admit_integers(&mut self, array: &mut LoadedArray, label: &str, is_json: bool) -> Result<(), Error> {
        match array.rounded.take() {
            Some(warning) => self.warn(warning.with_origin(label)),
            None if is_json && array.value.iter().any(|value| may_be_rounded(*value)) => {
                self.warn_of_rounded(label, &array.pointer)
            }
            None => Ok(()),
        }
    }

    fn parse_json(&mut self, name: &Name, text: String) -> Result<Operand, Error> {
        let node = json::parse(text.as_bytes(), "")?;
        let read = if self.reads_mask { node.mask("") } else { node.array("").map(|value| (value, false)) };
        let (value, is_boolean) = read.map_err(|error| locate_in_text(error, &text))?;
        if json::may_have_rounded(&node)
            && let Some(warning) = json::find_rounded(Source::bytes("", text.as_bytes()), "")
        {
            self.warn(locate_in_text(warning.with_operand(name), &text))?;
        }
        Ok(Operand { value, element: FloatType::F64, is_boolean, origin: Origin::TypedJson(text) })
    }

    /// Opens a file or standard input by its name in messages.
    pub(super) fn open_text<'b>(&'b mut self, label: &'b str) -> Result<Source<'b>, Error> {
        if label == stdin::LABEL {
            return self.stdin.source();
        }
        self.spool_pipe(label)?;
        self.open(label)
    }

    /// Opens a file, or standard input for `-`, as a stream; returns it with its name in messages.
    pub fn open_stream(&mut self, source: &str) -> Result<(Box<dyn Read + '_>, String), Error> {
        let path = source.strip_prefix('@').unwrap_or(source);
        if path == "-" {
            let content = decompressed(self.stdin.stream()?).map_err(|error| read_error(stdin::LABEL, &error))?;
            return Ok((content, stdin::LABEL.to_owned()));
        }
        let content = decompressed(open_file(path)?.0).map_err(|error| read_error(path, &error))?;
        Ok((content, path.to_owned()))
    }

    fn read_file(&mut self, path: &str, selector: &Selector, keys: &[Name]) -> Result<Operand, Error> {
        let array = self.read_array(path, selector, keys)?;
        Ok(Operand::new(array, |pointer| Origin::File(path.to_owned(), pointer)))
    }

    /// Reads an array of a file or of standard input.
    fn read_array(&mut self, label: &str, selector: &Selector, keys: &[Name]) -> Result<LoadedArray, Error> {
        let format = self.format_of(label)?;
        let array = match format {
            Some(format) if is_json(format) => self.take_array(label, selector, keys),
            Some(format) => format.read(self.open_text(label)?, selector, keys),
            None => text::read(self.open_text(label)?, selector),
        };
        let mut array = array.map_err(|error| self.locate(error, label))?;
        self.admit_integers(&mut array, label, format.is_some_and(is_json))?;
        Ok(array)
    }

    /// Opens a `.npy` file of at least `min_bytes` for reading in chunks of rows; `None` for anything else.
    pub fn open_rows(&mut self, spec: &OperandSpec, min_bytes: u64) -> Result<Option<RowReader>, Error> {
        let OperandSpec::File(path, Selector::Default) = spec else { return Ok(None) };
        if !Path::new(path).metadata().is_ok_and(|meta| meta.is_file() && meta.len() >= min_bytes)
            || self.format_of(path)?.is_none_or(|format| format.name() != Npy.name())
            || self.pipes.iter().any(|(known, _)| known == path)
        {
            return Ok(None);
        }
        let (file, len) = open_file(path)?;
        RowReader::open(path.clone(), file, len)
    }

    /// Returns the format of a file or of standard input, by its extension, `--in-format` or its first bytes; `None` for numbers as
    /// they are typed. Content that is something else than its name says is refused.
    pub(super) fn format_of(&mut self, label: &str) -> Result<Option<&'static dyn Format>, Error> {
        let first = read_first_bytes(self.open_text(label)?)?;
        let extension = text::extension(label);
        let named = extension.and_then(find_by_extension);
        refuse_lookalike(label, &first, named.or(self.in_format))?;
        let format = named.or(self.in_format).or_else(|| find_by_first_bytes(&first));
        if format.is_none_or(is_json) {
            text::refuse_lines(label, &first, extension)?;
        }
        if !self.has_header {
            return Ok(format);
        }
        let format = format.unwrap_or_else(|| text::table_of(&first));
        let table = format.with_header();
        self.has_read_header |= table.is_some();
        Ok(Some(table.unwrap_or(format)))
    }

    /// Returns the JSON document of a file or of standard input, read again if the selected part has been taken out of it.
    pub(super) fn document(&mut self, label: &str, selector: &Selector) -> Result<&mut json::Document, Error> {
        self.documents.retain(|(known, document)| known != label || document.remaining(selector).is_some());
        let at = match self.documents.iter().position(|(known, _)| known == label) {
            Some(at) => at,
            None => {
                let node = self.read_node(label)?;
                self.documents.push((label.to_owned(), json::Document::new(node)));
                self.documents.len() - 1
            }
        };
        Ok(&mut self.documents[at].1)
    }

    /// Reads a JSON document, or an array that a program printed where neither an extension nor `--in-format` says that it is JSON.
    pub(super) fn read_node<T: JsonNumber>(&mut self, label: &str) -> Result<json::Node<T>, Error> {
        let has_extension = text::extension(label).and_then(find_by_extension).is_some();
        let tip = if has_extension { text::rename_printed(label) } else { text::OMIT_IN_FORMAT.to_owned() };
        let is_named = has_extension || self.in_format.is_some();
        let read = json::read(self.open_text(label)?);
        match read {
            Err(error) if error.code == Code::JsonSyntax => match text::read_printed::<T>(self.open_text(label)?) {
                Ok(Some(_)) if is_named => Err(error.update(|parts| parts.tip = Some(tip))),
                _ if is_named => Err(error),
                printed => printed?.map(json::Node::Numbers).ok_or(error),
            },
            read => read,
        }
    }

    /// Takes an array out of a document, which is read again if the array has been taken before.
    fn take_array(&mut self, label: &str, selector: &Selector, keys: &[Name]) -> Result<LoadedArray, Error> {
        let is_mask = self.reads_mask;
        match self.document(label, selector)?.take(selector, keys, is_mask)? {
            Some(array) => Ok(array),
            None => {
                self.documents.retain(|(known, _)| known != label);
                self.take_array(label, selector, keys)
            }
        }
    }

    fn open<'b>(&'b self, path: &'b str) -> Result<Source<'b>, Error> {
        match self.pipes.iter().find(|(known, _)| known == path) {
            Some((_, spool)) => spool.source(path),
            None => open_file(path).map(|(file, len)| Source::file(path, file, len)),
        }
    }

    /// Copies the content of a file that can be read only once, or is compressed.
    fn spool_pipe(&mut self, path: &str) -> Result<(), Error> {
        let Ok(meta) = Path::new(path).metadata() else { return Ok(()) };
        if self.pipes.iter().any(|(known, _)| known == path)
            || meta.is_dir()
            || (meta.is_file() && !is_compressed(path)?)
        {
            return Ok(());
        }
        let spool = Spool::read(&mut open_file(path)?.0).map_err(|error| read_error(path, &error))?;
        self.pipes.push((path.to_owned(), spool));
        Ok(())
    }

    /// Reads an operand from standard input.
    pub fn read_stdin(&mut self, selector: &Selector, keys: &[Name]) -> Result<Operand, Error> {
        Ok(Operand::new(self.read_array(stdin::LABEL, selector, keys)?, Origin::Stdin))
    }

    /// Returns the keys of standard input, if it is a document with names.
    pub fn stdin_names(&mut self) -> Result<Option<Vec<String>>, Error> {
        match self.format_of(stdin::LABEL)? {
            Some(format) if is_json(format) => {
                let document = self.document(stdin::LABEL, &Selector::Default)?.remaining(&Selector::Default);
                let entries = document.and_then(json::Node::entries);
                Ok(entries.map(|entries| entries.iter().map(|(key, _)| key.clone()).collect()))
            }
            Some(format) if format.has_names() => {
                let names = format.read_names(self.stdin.source()?);
                names.map(Some).map_err(|error| error.with_origin(stdin::LABEL))
            }
            _ => Ok(None),
        }
    }

    /// Returns true if a value of standard input's object is null, which stands for an absent operand.
    pub fn stdin_is_null(&self, selector: &Selector) -> bool {
        let document = self.documents.iter().find(|(known, _)| known == stdin::LABEL);
        let node = document.and_then(|(_, document)| document.remaining(selector)?.find(selector.pointer()).ok());
        node.is_some_and(|node| *node == json::Node::Null)
    }

    /// Returns the text of a setting in standard input's object: a word, a number, a list or true.
    pub fn stdin_setting(&self, key: &str) -> Option<String> {
        let (_, document) = self.documents.iter().find(|(known, _)| known == stdin::LABEL)?;
        let entries = document.remaining(&Selector::Default)?.entries()?;
        let node = &entries.iter().find(|(known, node)| known == key && *node != json::Node::Null)?.1;
        Some(node.setting().unwrap_or_else(|| "an array or object".to_owned()))
    }

    /// Turns an index or pointer of an error into a position in the text that the operand was read from.
    pub fn locate_in_source(&self, mut error: Error, operands: &Operands) -> Error {
        // The message has the shapes already; a fact adds only the file.
        let with_file = |fact: Fact| match fact {
            Fact::Shape(name, sides) => {
                let label = operands.origin(&name).and_then(Origin::label)?;
                Some(Fact::Text(format!("{name} is {}, from {label}", format_shape(&sides))))
            }
            text @ Fact::Text(_) => Some(text),
        };
        error.facts = std::mem::take(&mut error.facts).into_iter().filter_map(with_file).collect();
        let Some(origin) = error.operand.as_ref().and_then(|name| operands.origin(name)) else { return error };
        if let Some(label) = origin.label() {
            error = error.with_origin(label);
        }
        let Some(Place::Index(at)) = &error.at else { return error };
        let tokens: String = at.iter().map(|token| format!("/{token}")).collect();
        match origin {
            Origin::File(path, pointer) if has_pointers(path, pointer) => {
                self.locate_pointer(error, path, format!("{pointer}{tokens}"))
            }
            Origin::Stdin(pointer) => self.locate_pointer(error, stdin::LABEL, format!("{pointer}{tokens}")),
            _ => error,
        }
    }

    /// Turns a pointer of an error into a position in a file or standard input, which is read again.
    pub fn locate(&self, error: Error, label: &str) -> Error {
        let error = error.with_origin(label);
        match &error.at {
            Some(Place::Pointer(pointer)) => {
                let pointer = pointer.clone();
                self.locate_pointer(error, label, pointer)
            }
            _ => error,
        }
    }

    fn locate_pointer(&self, error: Error, label: &str, pointer: String) -> Error {
        let text = match label {
            stdin::LABEL => self.stdin.reopen(),
            path => Some(self.open(path)),
        };
        let position = text.and_then(|text| json::locate_in(text.ok()?, &pointer));
        set_position(error, position, pointer)
    }
}

/// Returns true for the JSON format.
pub(super) fn is_json(format: &dyn Format) -> bool {
    format.name() == json::Json.name()
}

/// Returns true if a file is JSON, so that pointers lead to positions in it.
fn has_pointers(path: &str, pointer: &str) -> bool {
    pointer.starts_with('/')
        || Path::new(path).extension().is_none_or(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Turns the pointer of an error into a position in `text`.
pub(super) fn locate_in_text(error: Error, text: &str) -> Error {
    let Some(Place::Pointer(pointer)) = &error.at else { return error };
    let pointer = pointer.clone();
    let position = json::locate(text.as_bytes(), &pointer);
    set_position(error, position, pointer)
}

/// Sets the line and column of an error, if they were found.
fn set_position(error: Error, position: Option<(usize, usize)>, pointer: String) -> Error {
    match position {
        Some((line, column)) => error.at(Place::Text { line, column, pointer }),
        None => error,
    }
}

/// Opens a file for reading; its length is 0 if it has none.
fn open_file(path: &str) -> Result<(File, u64), Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(suggest::missing_file(path)),
        // A link to itself, as a rule.
        Err(error) if error.kind() != ErrorKind::PermissionDenied && suggest::is_broken_link(path) => {
            return Err(read_error(path, &error).tip("name the file itself: this symbolic link does not lead to one"));
        }
        Err(error) => return Err(read_error(path, &error)),
    };
    let meta = file.metadata().map_err(|error| read_error(path, &error))?;
    if meta.is_dir() {
        let error = Error::new(Code::FileUnreadable, "is a directory");
        return Err(error.with_origin(path).tip("name a file in the directory"));
    }
    Ok((file, meta.len()))
}

/// Reads enough bytes to recognize the format.
fn read_first_bytes(source: Source<'_>) -> Result<Vec<u8>, Error> {
    const MAX_BYTES: u64 = 1 << 16;
    let (label, mut first) = (source.label, Vec::new());
    source.take(MAX_BYTES).read_to_end(&mut first).map_err(|error| read_error(label, &error))?;
    Ok(first)
}

/// Returns true if a file begins as a compressed one does.
fn is_compressed(path: &str) -> Result<bool, Error> {
    let mut first = Vec::new();
    open_file(path)?.0.take(2).read_to_end(&mut first).map_err(|error| read_error(path, &error))?;
    Ok(is_gzip(&first))
}
