//! Files that are read whole, for comparing: one array, or all that have names.

use super::{Operand, Reader};
use crate::fault::Fault;
use crate::format::written::{self, Sheet, Sheets};
use crate::format::{Format, Selector, escape, json};
use crate::name::Name;
use crate::operand::grammar::{self, Form};
use crate::operand::stdin;

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
    pub fn document(&mut self, option: &Name, text: &str) -> Result<Document, Fault> {
        let form = grammar::parse(text).map_err(|fault| fault.of(option))?;
        let Some(keys) = self.keys(option, &form).map_err(|fault| fault.of(option))? else {
            return self.form(option, form, &[]).map(Document::Single);
        };
        let named = keys.into_iter().map(|(key, selector)| {
            let form = match &form {
                Form::File(path, _) => Form::File(path.clone(), selector),
                _ => Form::Stdin(selector),
            };
            Ok((Name::new(key), self.form(option, form, &[])?))
        });
        named.collect::<Result<_, _>>().map(Document::Named)
    }

    /// Reads answers: as [`document`](Self::document), with the digits of JSON and typed numbers, and null for blanks.
    pub fn sheets(&mut self, option: &Name, text: &str) -> Result<Sheets, Fault> {
        let form = grammar::parse(text).map_err(|fault| fault.of(option))?;
        let found = match &form {
            Form::Literal(values) => return Ok(Sheets::Single(Sheet::typed(values, text))),
            Form::Json(text) => written::read(text.as_bytes(), "", ""),
            Form::File(path, selector) => match self.format_of(path).map_err(|fault| fault.of(option))? {
                format if format.name() == json::Json.name() => self
                    .open(path)
                    .and_then(|source| source.read_all())
                    .and_then(|bytes| written::read(&bytes, pointer(selector), path)),
                _ => return self.plain_sheets(option, text),
            },
            Form::Stdin(selector) => match self.stdin_format().map_err(|fault| fault.of(option))? {
                Some(format) if format.name() == json::Json.name() => {
                    if *selector == Selector::Whole {
                        self.stdin.take_plain(option)?;
                    }
                    self.stdin.bytes().and_then(|bytes| written::read(bytes, pointer(selector), stdin::LABEL))
                }
                _ => return self.plain_sheets(option, text),
            },
        };
        found.map_err(|fault| fault.of(option))
    }

    fn plain_sheets(&mut self, option: &Name, text: &str) -> Result<Sheets, Fault> {
        let sheet = |operand: &Operand| Sheet::of(&operand.value, operand.rounding);
        Ok(match self.document(option, text)? {
            Document::Single(operand) => Sheets::Single(sheet(&operand)),
            Document::Named(named) => {
                Sheets::Named(named.into_iter().map(|(name, operand)| (name, Ok(sheet(&operand)))).collect())
            }
        })
    }

    /// The keys of a document of names, each with what selects it.
    fn keys(&mut self, option: &Name, form: &Form) -> Result<Option<Vec<(String, Selector)>>, Fault> {
        match form {
            Form::Literal(_) | Form::Json(_) => Ok(None),
            Form::File(path, selector) => {
                let format = self.format_of(path)?;
                if format.name() == json::Json.name() {
                    return self.object_keys(path, selector);
                }
                if !format.holds_names() || *selector != Selector::Whole {
                    return Ok(None);
                }
                format.names(self.open(path)?).map(|names| Some(named(names, "")))
            }
            Form::Stdin(selector) => {
                let Some(format) = self.stdin_format()? else { return Ok(None) };
                if format.name() == json::Json.name() {
                    let keys = self.object_keys(stdin::LABEL, selector)?;
                    if keys.is_some() && *selector == Selector::Whole {
                        self.stdin.take_plain(option)?;
                    }
                    return Ok(keys);
                }
                if !format.holds_names() || *selector != Selector::Whole {
                    return Ok(None);
                }
                self.stdin.take_plain(option)?;
                self.stdin_names().map(|names| names.map(|names| named(names, "")))
            }
        }
    }

    /// The keys of the selected value of a JSON document, where it is an object.
    fn object_keys(&mut self, label: &str, selector: &Selector) -> Result<Option<Vec<(String, Selector)>>, Fault> {
        let Some(node) = self.tree(label, selector)?.whole(selector) else { return Ok(None) };
        let keys = match &*node.find(pointer(selector)).map_err(|fault| fault.from(label))? {
            json::Node::Object(entries) => Some(entries.iter().map(|(key, _)| key.clone()).collect()),
            _ => None,
        };
        Ok(keys.map(|keys| named(keys, pointer(selector))))
    }
}

fn pointer(selector: &Selector) -> &str {
    match selector {
        Selector::Whole => "",
        Selector::At(pointer) => pointer,
    }
}

fn named(keys: Vec<String>, under: &str) -> Vec<(String, Selector)> {
    let selector = |key: &String| Selector::At(format!("{under}/{}", escape(key)));
    keys.into_iter().map(|key| (selector(&key), key)).map(|(selector, key)| (key, selector)).collect()
}
