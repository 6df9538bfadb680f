//! Files that are read whole, for comparing: one array, or all that have names.

use super::grammar;
use super::grammar::Form;
use super::stdin;
use super::{Operand, Origin, Reader, locate, operand};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::decimal;
use crate::format::decimal::{Sheet, Sheets};
use crate::format::{DOUBLE_ROUNDING, Format, Found, Selector, Source, escape, json, unescape};

/// What a file or text holds.
#[derive(Debug)]
pub enum Document {
    /// One array.
    Single(Operand),
    /// Several, by name.
    Named(Vec<(Name, Operand)>),
}

impl Reader<'_> {
    /// Reads all that a text stands for. `option` is what messages call it.
    pub fn document(&mut self, option: &Name, text: &str) -> Result<Document, Error> {
        let form = grammar::parse(text).map_err(|error| error.of(option))?;
        match self.named(option, &form).map_err(|error| error.of(option))? {
            Some(named) => Ok(Document::Named(named)),
            None => self.form(option, form, &[]).map(Document::Single),
        }
    }

    /// Reads answers: as [`document`](Self::document), with the digits of JSON and typed numbers, and null for blanks.
    pub fn sheets(&mut self, option: &Name, text: &str) -> Result<Sheets, Error> {
        let form = grammar::parse(text).map_err(|error| error.of(option))?;
        let found = match &form {
            Form::Literal(values) => return Ok(Sheets::Single(Sheet::typed(values, text))),
            Form::Json(text) => json::read(Source::bytes("", text.as_bytes()))
                .and_then(|node| decimal::sheets(node, "", |error| locate(error.from(""), text))),
            Form::File(path, selector) => match self.format_of(path).map_err(|error| error.of(option))? {
                format if format.name() == json::Json.name() => self.written(path, selector),
                _ => return self.plain_sheets(option, text),
            },
            Form::Stdin(selector) => match self.stdin_format().map_err(|error| error.of(option))? {
                Some(format) if format.name() == json::Json.name() => {
                    if *selector == Selector::Whole {
                        self.stdin.take_plain(option)?;
                    }
                    self.written(stdin::LABEL, selector)
                }
                _ => return self.plain_sheets(option, text),
            },
        };
        found.map_err(|error| error.of(option))
    }

    fn written(&mut self, label: &str, selector: &Selector) -> Result<Sheets, Error> {
        let node = json::read(self.text(label)?)?;
        decimal::sheets(node, pointer(selector), |error| self.locate(error, label))
    }

    fn plain_sheets(&mut self, option: &Name, text: &str) -> Result<Sheets, Error> {
        let sheet = |operand: Operand| Sheet::of(operand.value, operand.rounding);
        Ok(match self.document(option, text)? {
            Document::Single(operand) => Sheets::Single(sheet(operand)),
            Document::Named(named) => {
                Sheets::Named(named.into_iter().map(|(name, operand)| (name, Ok(sheet(operand)))).collect())
            }
        })
    }

    /// All arrays of a document of names, each read in one pass over it.
    fn named(&mut self, option: &Name, form: &Form) -> Result<Option<Vec<(Name, Operand)>>, Error> {
        let (format, selector) = match form {
            Form::Literal(_) | Form::Json(_) => return Ok(None),
            Form::File(path, selector) => (Some(self.format_of(path)?), selector),
            Form::Stdin(selector) => (self.stdin_format()?, selector),
        };
        let Some(format) = format else { return Ok(None) };
        let is_json = format.name() == json::Json.name();
        if !is_json && (!format.holds_names() || *selector != Selector::Whole) {
            return Ok(None);
        }
        let label = match form {
            Form::File(path, _) => path.as_str(),
            _ => stdin::LABEL,
        };
        let found = if is_json {
            let read = self.tree(label, selector)?.whole(selector).map(|document| values(document, selector));
            read.transpose().map_err(|error| self.locate(error, label))?.flatten()
        } else {
            let source = match form {
                Form::File(..) => self.open(label)?,
                _ => self.stdin.source()?,
            };
            Some(format.read_each(source)?)
        };
        let Some(found) = found else { return Ok(None) };
        if matches!(form, Form::Stdin(Selector::Whole)) {
            self.stdin.take_plain(option)?;
        }
        let origin = |pointer: String| match form {
            Form::File(path, _) => Origin::File(path.clone(), pointer),
            _ => Origin::Stdin(pointer),
        };
        let name = |found: &Found| match found.pointer.rsplit_once('/') {
            Some((_, key)) if is_json => Name::new(unescape(key)),
            _ => Name::new(found.pointer.clone()),
        };
        Ok(Some(found.into_iter().map(|found| (name(&found), operand(found, origin))).collect()))
    }
}

/// The arrays of an object, each with its pointer; none where the value is no object.
fn values(document: &json::Node, selector: &Selector) -> Result<Option<Vec<Found>>, Error> {
    let under = pointer(selector);
    let node = document.find(under)?;
    let json::Node::Object(entries) = &*node else { return Ok(None) };
    let found = entries.iter().map(|(key, node)| {
        let pointer = format!("{under}/{}", escape(key));
        Ok(Found { value: node.matrix(&pointer)?, rounding: DOUBLE_ROUNDING, pointer })
    });
    found.collect::<Result<_, _>>().map(Some)
}

fn pointer(selector: &Selector) -> &str {
    match selector {
        Selector::Whole => "",
        Selector::At(pointer) => pointer,
    }
}
