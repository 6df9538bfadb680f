//! All arrays of a file or text at once, for comparisons.

use super::grammar::{self, OperandSpec};
use super::operands::{Operand, Origin};
use super::reader::{OperandReader, is_json, locate_in_text};
use super::stdin;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::decimal;
use crate::format::decimal::{DecimalArray, DecimalArrays};
use crate::format::{LoadedArray, Selector, Source, escape, json, unescape};

/// The arrays of a file or text.
#[derive(Debug)]
pub enum OperandSet {
    /// One array without a name.
    Single(Operand),
    /// Several arrays by name.
    Named(Vec<(Name, Operand)>),
}

impl OperandReader<'_> {
    /// Reads all arrays of a text; `option` names it in messages.
    pub fn read_document(&mut self, option: &Name, text: &str) -> Result<OperandSet, Error> {
        let spec = grammar::parse(text).map_err(|error| error.with_operand(option))?;
        match self.read_named(option, &spec).map_err(|error| error.with_operand(option))? {
            Some(named) => Ok(OperandSet::Named(named)),
            None => self.read_spec(option, spec, &[]).map(OperandSet::Single),
        }
    }

    /// Returns the names of the arrays in a file, those of a table in its header; in JSON pointers to the values at `pointer`.
    pub fn read_names(&mut self, path: &str, pointer: &str) -> Result<Vec<String>, Error> {
        match self.format_of(path)? {
            Some(format) if is_json(format) => Ok(self.read_node::<f64>(path)?.find(pointer)?.child_pointers(pointer)),
            Some(format) => format.with_header().unwrap_or(format).read_names(self.open_text(path)?),
            None => Ok(Vec::new()),
        }
    }

    /// Reads expected results: like [`read_document`](Self::read_document), with the decimal digits of JSON and typed numbers, and
    /// null for entries left blank. A JSON object may stand in the text itself.
    pub fn read_answers(&mut self, option: &Name, text: &str) -> Result<DecimalArrays, Error> {
        // Elsewhere an object would have to be one array.
        let is_object = text.trim_start().starts_with('{');
        let spec = if is_object { Ok(OperandSpec::Json(text.to_owned())) } else { grammar::parse(text) };
        let spec = spec.map_err(|error| error.with_operand(option))?;
        self.read_sheets(option, text, &spec).map_err(|error| error.with_operand(option))
    }

    fn read_sheets(&mut self, option: &Name, text: &str, spec: &OperandSpec) -> Result<DecimalArrays, Error> {
        match spec {
            OperandSpec::Literal(values) => {
                return Ok(DecimalArrays::Single(DecimalArray::from_literal(&values.value, text)));
            }
            OperandSpec::Json(text) => {
                let node = json::read(Source::bytes("", text.as_bytes()))?;
                return decimal::decimal_arrays(node, "", |error| locate_in_text(error.with_origin(""), text));
            }
            OperandSpec::File(path, selector) if self.format_of(path)?.is_some_and(is_json) => {
                return self.read_decimal(path, selector);
            }
            OperandSpec::Stdin(selector) if self.format_of(stdin::LABEL)?.is_some_and(is_json) => {
                if *selector == Selector::Default {
                    self.stdin.claim(option)?;
                }
                return self.read_decimal(stdin::LABEL, selector);
            }
            OperandSpec::File(..) | OperandSpec::Stdin(_) | OperandSpec::Layer(_) => {}
        }
        let sheet = |operand: Operand| DecimalArray::from_values(operand.value, operand.element.unit_roundoff());
        Ok(match self.read_document(option, text)? {
            OperandSet::Single(operand) => DecimalArrays::Single(sheet(operand)),
            OperandSet::Named(named) => {
                DecimalArrays::Named(named.into_iter().map(|(name, operand)| (name, Ok(sheet(operand)))).collect())
            }
        })
    }

    fn read_decimal(&mut self, label: &str, selector: &Selector) -> Result<DecimalArrays, Error> {
        let node = self.read_node(label)?;
        decimal::decimal_arrays(node, selector.pointer(), |error| self.locate(error, label))
    }

    /// Reads all arrays of a document with names in one pass; `None` for anything else.
    fn read_named(&mut self, option: &Name, spec: &OperandSpec) -> Result<Option<Vec<(Name, Operand)>>, Error> {
        let (format, label, selector) = match spec {
            OperandSpec::Literal(_) | OperandSpec::Json(_) | OperandSpec::Layer(_) => return Ok(None),
            OperandSpec::File(path, selector) => (self.format_of(path)?, path.as_str(), selector),
            OperandSpec::Stdin(selector) => (self.format_of(stdin::LABEL)?, stdin::LABEL, selector),
        };
        let Some(format) = format else { return Ok(None) };
        let arrays = if is_json(format) {
            let read =
                self.document(label, selector)?.remaining(selector).map(|document| read_values(document, selector));
            read.transpose().map_err(|error| self.locate(error, label))?.flatten()
        } else if format.has_names() && *selector == Selector::Default {
            let arrays = format.read_all_arrays(self.open_text(label)?);
            Some(arrays.map_err(|error| error.with_origin(label))?)
        } else {
            None
        };
        let Some(mut arrays) = arrays else { return Ok(None) };
        for array in &mut arrays {
            self.admit_integers(array, label, is_json(format))?;
        }
        if matches!(spec, OperandSpec::Stdin(Selector::Default)) {
            self.stdin.claim(option)?;
        }
        let origin = |pointer: String| match spec {
            OperandSpec::File(path, _) => Origin::File(path.clone(), pointer),
            _ => Origin::Stdin(pointer),
        };
        let name = |array: &LoadedArray| match array.pointer.rsplit_once('/') {
            Some((_, key)) if is_json(format) => Name::new(unescape(key)),
            _ => Name::new(array.pointer.clone()),
        };
        Ok(Some(arrays.into_iter().map(|array| (name(&array), Operand::new(array, origin))).collect()))
    }
}

/// Returns the arrays of an object with their pointers; `None` if the value is a single array.
fn read_values(document: &json::Node, selector: &Selector) -> Result<Option<Vec<LoadedArray>>, Error> {
    let parent = selector.pointer();
    let node = document.find(parent)?;
    let Some(entries) = node.entries() else { return Ok(None) };
    let arrays = entries.iter().map(|(key, node)| {
        let pointer = format!("{parent}/{}", escape(key));
        Ok(LoadedArray { pointer: pointer.clone(), ..LoadedArray::unnamed(node.array(&pointer)?) })
    });
    arrays.collect::<Result<_, _>>().map(Some)
}
