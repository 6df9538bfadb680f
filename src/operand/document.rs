//! Files that are read whole, for comparing: one array, or all that have names.

use super::grammar;
use super::grammar::OperandSpec;
use super::stdin;
use super::{Operand, OperandReader, Origin, locate, operand};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::decimal;
use crate::format::decimal::{Sheet, Sheets};
use crate::format::{DOUBLE_ROUNDING, Format, LoadedArray, Selector, Source, escape, json, unescape};

/// What a file or text holds.
#[derive(Debug)]
pub enum Document {
    /// One array.
    Single(Operand),
    /// Several, by name.
    Named(Vec<(Name, Operand)>),
}

impl OperandReader<'_> {
    /// Reads all that a text stands for. `option` is what messages call it.
    pub fn read_document(&mut self, option: &Name, text: &str) -> Result<Document, Error> {
        let form = grammar::parse(text).map_err(|error| error.with_operand(option))?;
        match self.named(option, &form).map_err(|error| error.with_operand(option))? {
            Some(named) => Ok(Document::Named(named)),
            None => self.read_spec(option, form, &[]).map(Document::Single),
        }
    }

    /// Reads answers: as [`document`](Self::document), with the digits of JSON and typed numbers, and null for blanks.
    pub fn read_answers(&mut self, option: &Name, text: &str) -> Result<Sheets, Error> {
        let form = grammar::parse(text).map_err(|error| error.with_operand(option))?;
        let found = match &form {
            OperandSpec::Literal(values) => return Ok(Sheets::Single(Sheet::typed(values, text))),
            OperandSpec::Json(text) => json::read(Source::bytes("", text.as_bytes()))
                .and_then(|node| decimal::sheets(node, "", |error| locate(error.with_origin(""), text))),
            OperandSpec::File(path, selector) => {
                match self.format_of(path).map_err(|error| error.with_operand(option))? {
                    format if format.name() == json::Json.name() => self.written(path, selector),
                    _ => return self.plain_sheets(option, text),
                }
            }
            OperandSpec::Stdin(selector) => match self.stdin_format().map_err(|error| error.with_operand(option))? {
                Some(format) if format.name() == json::Json.name() => {
                    if *selector == Selector::Default {
                        self.stdin.claim(option)?;
                    }
                    self.written(stdin::LABEL, selector)
                }
                _ => return self.plain_sheets(option, text),
            },
        };
        found.map_err(|error| error.with_operand(option))
    }

    fn written(&mut self, label: &str, selector: &Selector) -> Result<Sheets, Error> {
        let node = json::read(self.text(label)?)?;
        decimal::sheets(node, pointer(selector), |error| self.locate(error, label))
    }

    fn plain_sheets(&mut self, option: &Name, text: &str) -> Result<Sheets, Error> {
        let sheet = |operand: Operand| Sheet::of(operand.value, operand.rounding);
        Ok(match self.read_document(option, text)? {
            Document::Single(operand) => Sheets::Single(sheet(operand)),
            Document::Named(named) => {
                Sheets::Named(named.into_iter().map(|(name, operand)| (name, Ok(sheet(operand)))).collect())
            }
        })
    }

    /// All arrays of a document of names, each read in one pass over it.
    fn named(&mut self, option: &Name, form: &OperandSpec) -> Result<Option<Vec<(Name, Operand)>>, Error> {
        let (format, selector) = match form {
            OperandSpec::Literal(_) | OperandSpec::Json(_) => return Ok(None),
            OperandSpec::File(path, selector) => (Some(self.format_of(path)?), selector),
            OperandSpec::Stdin(selector) => (self.stdin_format()?, selector),
        };
        let Some(format) = format else { return Ok(None) };
        let is_json = format.name() == json::Json.name();
        if !is_json && (!format.has_names() || *selector != Selector::Default) {
            return Ok(None);
        }
        let label = match form {
            OperandSpec::File(path, _) => path.as_str(),
            _ => stdin::LABEL,
        };
        let found = if is_json {
            let read = self.tree(label, selector)?.whole(selector).map(|document| values(document, selector));
            read.transpose().map_err(|error| self.locate(error, label))?.flatten()
        } else {
            let source = match form {
                OperandSpec::File(..) => self.open(label)?,
                _ => self.stdin.source()?,
            };
            Some(format.read_all_arrays(source)?)
        };
        let Some(found) = found else { return Ok(None) };
        if matches!(form, OperandSpec::Stdin(Selector::Default)) {
            self.stdin.claim(option)?;
        }
        let origin = |pointer: String| match form {
            OperandSpec::File(path, _) => Origin::File(path.clone(), pointer),
            _ => Origin::Stdin(pointer),
        };
        let name = |found: &LoadedArray| match found.pointer.rsplit_once('/') {
            Some((_, key)) if is_json => Name::new(unescape(key)),
            _ => Name::new(found.pointer.clone()),
        };
        Ok(Some(found.into_iter().map(|found| (name(&found), operand(found, origin))).collect()))
    }
}

/// The arrays of an object, each with its pointer; none where the value is no object.
fn values(document: &json::Node, selector: &Selector) -> Result<Option<Vec<LoadedArray>>, Error> {
    let under = pointer(selector);
    let node = document.find(under)?;
    let json::Node::Object(entries) = &*node else { return Ok(None) };
    let found = entries.iter().map(|(key, node)| {
        let pointer = format!("{under}/{}", escape(key));
        Ok(LoadedArray { value: node.matrix(&pointer)?, rounding: DOUBLE_ROUNDING, pointer })
    });
    found.collect::<Result<_, _>>().map(Some)
}

fn pointer(selector: &Selector) -> &str {
    match selector {
        Selector::Default => "",
        Selector::Pointer(pointer) => pointer,
    }
}
