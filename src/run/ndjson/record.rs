//! Computes one record: from a line of JSON to a line of results.

use super::engine::RecordInputs;
use super::plan::{DoutSource, RecordKey, RecordOperand, RecordPlan};
use crate::core::error::{Code, Error, Fact, Note, Place, Severity, format_shape, sanitize};
use crate::core::name::Name;
use crate::core::size::MAX_RANK;
use crate::core::tensors::Tensors;
use crate::format::json::{self, Carried, Line, Node, parse_line};
use crate::format::{InMemoryArrays, Source, escape, tip_to_convert};
use crate::layer::{Slot, Value};
use crate::network::runner::PreparedParams;
use crate::operand::Origin;
use crate::run::dout::Dout;
use crate::run::operands::{is_near, unused_key};
use ndarray::ArrayD;
use std::borrow::Cow;

/// A record and its place in the stream.
pub(super) struct RecordRef<'a> {
    /// The file, or standard input.
    pub(super) file: &'a str,
    /// Line number, from 1.
    pub(super) line: usize,
    pub(super) text: &'a [u8],
}

impl RecordRef<'_> {
    /// Adds the place in the record to an error, unless the error has a more precise one.
    fn locate(&self, error: Error, pointer: &str) -> Error {
        let column = |pointer: &str| json::locate(self.text, pointer).map_or(1, |(_, column)| column);
        let (column, pointer) = match &error.at {
            Some(Place::Text { column, pointer, .. }) => (*column, pointer.clone()),
            Some(Place::Pointer(pointer)) => (column(pointer), pointer.clone()),
            _ => (column(pointer), pointer.to_owned()),
        };
        error.with_origin(self.file).at(Place::Text { line: self.line, column, pointer })
    }
}

impl RecordRef<'_> {
    /// Returns true for an array of objects.
    fn is_list_of_records(&self) -> bool {
        let text = self.text.trim_ascii_start();
        text.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"))
    }

    fn list_error(&self) -> Error {
        let error = Error::new(Code::NotANumber, "is an array of records; expected one record on each line");
        error.tip(tip_to_convert(self.file, "jq -c '.[]'", ".json", ".ndjson"))
    }

    /// Adds to a syntax error of the first record that its document continues on the next line, as indented JSON does, or that its
    /// records are in an array.
    fn explain_lines(&self, error: Error) -> Error {
        let text = self.text.trim_ascii();
        let is_open = text.starts_with(b"[") || text.starts_with(b"{");
        let continues = matches!(text.last(), Some(b'{' | b'[' | b','));
        if self.line > 1 || error.code != Code::JsonSyntax || !is_open || !continues {
            return error;
        }
        let command = if text.starts_with(b"[") { "jq -c '.[]'" } else { "jq -c ." };
        let tip = tip_to_convert(self.file, command, ".json", ".ndjson");
        error.update(|details| {
            details.message = "the JSON continues on the next line; expected a whole record on each line".to_owned();
            details.tip = Some(tip);
        })
    }
}

/// Computes the records of a thread, and keeps buffers from record to record.
pub(super) struct RecordWorker<'p> {
    pub(super) plan: &'p RecordPlan,
    /// Parameters of a network, converted to its precision.
    pub(super) params: Option<PreparedParams>,
    pub(super) at: Tensors<f64>,
    /// Operands that the current record gives.
    pub(super) sources: Vec<OperandSource>,
}

/// An operand that a record gives, and the index of its key; `None` if the record is a single array.
pub(super) struct OperandSource {
    pub(super) name: Name,
    pub(super) key: Option<usize>,
}

/// Values of a record that no operand has taken yet.
struct RecordValues {
    /// Values of the keys that are read.
    keyed: Vec<Option<Node>>,
    /// The record, if it is a single array and not an object.
    single: Option<Node>,
}

impl<'p> RecordWorker<'p> {
    pub(super) fn new(plan: &'p RecordPlan) -> RecordWorker<'p> {
        let (params, at) = (plan.engine.prepare_params(), plan.given.values.clone());
        RecordWorker { plan, params, at, sources: Vec::new() }
    }

    /// Computes a record and appends its results and a line break to `out`. After an error, `out` may have a part of them.
    pub(super) fn compute(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>) -> Result<Vec<Note>, Error> {
        self.sources.clear();
        let key_count = self.plan.keys.len();
        let line = parse_line(record.text, key_count, |key| self.plan.key_use(key));
        let (values, copied) = match line.map_err(|error| record.locate(record.explain_lines(error), ""))? {
            Line::Record { values, carried } => (RecordValues { keyed: values, single: None }, carried),
            Line::Bare(_) if record.is_list_of_records() => return Err(record.locate(record.list_error(), "")),
            Line::Bare(node) => (RecordValues { keyed: vec![None; key_count], single: Some(node) }, Vec::new()),
        };
        let rounded = self.rounded_integer(&values, record);
        if let Some(warning) = rounded.as_ref().filter(|_| self.plan.strict) {
            return Err(warning.clone());
        }
        let computed = self.compute_values(values, &copied, out);
        let notes = computed.map_err(|error| self.locate(error, record))?;
        let locate = |note: Note| Note { error: self.locate(note.error, record), ..note };
        Ok(rounded.map(Note::warning).into_iter().chain(notes.into_iter().map(locate)).collect())
    }

    /// Returns the warning of the first integer that a double cannot represent, of the values that are read.
    fn rounded_integer(&self, values: &RecordValues, record: &RecordRef<'_>) -> Option<Error> {
        let keyed = values.keyed.iter().zip(&self.plan.keys).map(|(node, key)| (node, format!("/{}", escape(key))));
        let read = keyed.chain([(&values.single, String::new())]);
        let large = read
            .filter_map(|(node, pointer)| node.as_ref().filter(|node| json::may_have_rounded(node)).map(|_| pointer));
        let mut found =
            large.filter_map(|pointer| json::find_rounded(Source::bytes(record.file, record.text), &pointer));
        found.next().map(|error| record.locate(error, ""))
    }

    fn compute_values(
        &mut self,
        mut values: RecordValues,
        copied: &[Carried<'_>],
        out: &mut Vec<u8>,
    ) -> Result<Vec<Note>, Error> {
        let plan = self.plan;
        for index in plan.optional_keys() {
            values.keyed[index].take_if(|node| *node == Node::Null);
        }
        let settings = plan.record_settings.iter().filter_map(|(setting, index)| {
            let text = values.keyed[*index].take()?.setting().unwrap_or_else(|| "that".to_owned());
            Some(setting.parse(&text).map(|value| (setting.name, value)))
        });
        let mut settings = settings.collect::<Result<Vec<_>, _>>()?;
        settings.extend(self.mask_kinds(&mut values));
        let configured = plan.engine.configure(settings)?;
        let x_was_y = self.take_operands(&mut values)?;
        let mut dout_key = None;
        let inputs = RecordInputs {
            at: &mut self.at,
            is_new: &|name| self.sources.iter().any(|source| source.name == *name),
            rounding: &|name| plan.given.rounding(name),
            x_was_y,
            dout: &mut |shape| plan.take_dout(shape, &mut values, &mut dout_key),
        };
        let computed = plan.engine.compute(inputs, configured.as_deref(), self.params.as_mut());
        self.sources.extend(dout_key.map(|key| OperandSource { name: Name::DOUT, key: Some(key) }));
        let (results, mut notes) = computed?;
        notes.extend(self.similar_keys(copied));
        if let Some(warning) = notes.iter().find(|note| plan.strict && note.severity == Severity::Warning) {
            return Err(warning.error.clone());
        }
        let mut arrays = InMemoryArrays::new(results.into_iter().map(|(name, value)| (name, Cow::Owned(value))));
        // Writing to memory cannot fail.
        let _ = json::write_object(copied, &mut arrays, false, out);
        Ok(notes)
    }

    /// Turns masks of booleans into numbers; returns the kinds of masks, where records may give them.
    fn mask_kinds(&self, values: &mut RecordValues) -> Vec<(&'static str, Value)> {
        let mut kinds = Vec::new();
        for RecordOperand { slot, key } in self.plan.record_operands.iter().filter(|operand| operand.slot.is_mask()) {
            let value = key.indices.first().and_then(|&index| values.keyed[index].as_mut());
            let booleans = value.filter(|_| key.pointer.is_empty()).and_then(|node| Some((node.booleans()?, node)));
            let Some((booleans, node)) = booleans else { continue };
            *node = Node::Numbers(booleans);
            let name = format!("{}-kind", slot.name);
            let setting = self.plan.record_settings.iter().find(|(setting, _)| setting.name == name);
            kinds.extend(setting.and_then(|(setting, _)| Some((setting.name, setting.parse("boolean").ok()?))));
        }
        kinds
    }

    /// Takes the operands that the record gives. Returns true if x is the record's y.
    fn take_operands(&mut self, values: &mut RecordValues) -> Result<bool, Error> {
        let mut x_was_y = false;
        let required = self.plan.record_operands.iter().filter(|operand| !operand.slot.optional).count();
        for RecordOperand { slot, key } in &self.plan.record_operands {
            let single = if slot.optional || required > 1 { None } else { values.single.take() };
            let (value, index) = match (single, self.plan.take_value(key, values)) {
                (Some(node), _) => (node.into_array(""), None),
                (None, Some((value, index))) => (value, Some(index)),
                (None, None) => {
                    self.at.take(&slot.name);
                    if slot.optional {
                        continue;
                    }
                    return Err(self.plan.missing(slot, key, values));
                }
            };
            self.sources.push(OperandSource { name: slot.name.clone(), key: index });
            self.at.insert(slot.name.clone(), value.map_err(|error| error.with_operand(&slot.name))?);
            x_was_y |= slot.name == Name::X && key.indices.get(1).is_some_and(|&y| index == Some(y));
        }
        Ok(x_was_y)
    }

    /// Returns warnings for copied keys that resemble the name of an operand that the record does not give.
    fn similar_keys(&self, copied: &[Carried<'_>]) -> Vec<Note> {
        let operands = self.plan.record_operands.iter().map(|operand| &operand.slot.name);
        let missing: Vec<&Name> =
            operands.filter(|name| !self.sources.iter().any(|source| source.name == **name)).collect();
        let similar = |Carried { key, value_text, .. }: &Carried<'_>| {
            if *value_text == b"null" {
                return None;
            }
            let name = missing.iter().find(|name| is_near(key, name.as_str()))?;
            Some(Note::warning(unused_key(&sanitize(key), name)))
        };
        copied.iter().filter_map(similar).collect()
    }

    /// Adds the place of an error: in the record, or in a file of an option and which record it occurred with.
    fn locate(&self, error: Error, record: &RecordRef<'_>) -> Error {
        let plan = self.plan;
        let facts = error.facts.iter().filter_map(|fact| match fact {
            Fact::Shape(name, sides) => {
                let origin = match self.pointer(name) {
                    Some(_) => format!("{}:{}", record.file, record.line),
                    None => plan.given.origin(name).and_then(Origin::label)?.to_owned(),
                };
                Some(Fact::Text(format!("{name} is {}, from {origin}", format_shape(sides))))
            }
            text @ Fact::Text(_) => Some(text.clone()),
        });
        let facts = facts.collect();
        let error = error.update(|parts| parts.facts = facts);
        let label = match &error.operand {
            None => plan.engine.label().map(Some),
            Some(name) => match self.pointer(name) {
                Some(pointer) => {
                    let steps: String = match &error.at {
                        Some(Place::Index(at)) => at.iter().map(|step| format!("/{step}")).collect(),
                        _ => String::new(),
                    };
                    return record.locate(error, &format!("{pointer}{steps}"));
                }
                None => plan.given.origin(name).map(Origin::label),
            },
        };
        match label {
            None => record.locate(error, ""),
            Some(None) => error.in_record(record.file, record.line),
            Some(Some(label)) => error.with_origin(label).in_record(record.file, record.line),
        }
    }

    /// Returns the pointer to an operand that the record gives.
    fn pointer(&self, name: &Name) -> Option<String> {
        let source = self.sources.iter().find(|source| source.name == *name)?;
        let Some(index) = source.key else { return Some(String::new()) };
        let key = match &self.plan.dout {
            DoutSource::Record { key, .. } if *name == Name::DOUT => key,
            _ => &self.plan.record_operands.iter().find(|operand| operand.slot.name == *name)?.key,
        };
        Some(self.plan.pointer(index, key))
    }
}

impl RecordPlan {
    /// Takes the value at a place, and returns it with the index of its key.
    fn take_value(&self, key: &RecordKey, values: &mut RecordValues) -> Option<(Result<ArrayD<f64>, Error>, usize)> {
        let index = key.indices.iter().copied().find(|index| values.keyed[*index].is_some())?;
        let node = values.keyed[index].take()?;
        if !key.pointer.is_empty() || self.is_shared(index) {
            let value = node.find(&key.pointer).and_then(|node| node.array(&self.pointer(index, key)));
            values.keyed[index] = Some(node);
            return Some((value, index));
        }
        let value = match node {
            Node::Numbers(numbers) if numbers.ndim() <= MAX_RANK => Ok(numbers),
            Node::Number(number) => Ok(ndarray::arr0(number).into_dyn()),
            other => other.array(&self.pointer(index, key)),
        };
        Some((value, index))
    }

    /// Returns the upstream gradient for an output of that shape; `used_key` becomes the index of the key that gives it.
    fn take_dout(
        &self,
        shape: &[usize],
        values: &mut RecordValues,
        used_key: &mut Option<usize>,
    ) -> Result<Option<ArrayD<f64>>, Error> {
        let value = match &self.dout {
            DoutSource::None => return Ok(None),
            DoutSource::Ones => None,
            DoutSource::Option(operand) => Some(operand.value.clone()),
            DoutSource::Record { key, is_required } => match self.take_value(key, values) {
                Some((value, index)) => {
                    *used_key = Some(index);
                    Some(value.map_err(|error| error.with_operand(&Name::DOUT))?)
                }
                None if *is_required => return Err(self.missing_key(key).with_operand(&Name::DOUT)),
                None => None,
            },
        };
        self.fill_dout(shape, value)
    }

    /// Returns the upstream gradient of that value, or ones, for an output of that shape.
    pub(super) fn fill_dout(&self, shape: &[usize], value: Option<ArrayD<f64>>) -> Result<Option<ArrayD<f64>>, Error> {
        let dout = match value {
            Some(value) => Dout::new(self.engine.last_layer(), shape, value, false)?,
            None => Dout::ones(shape),
        };
        Ok(Some(dout.into_array()))
    }

    fn missing(&self, slot: &Slot, key: &RecordKey, values: &RecordValues) -> Error {
        if values.single.is_some() {
            let required = self.record_operands.iter().filter(|operand| !operand.slot.optional);
            let names: Vec<String> = required.map(|operand| format!("--{}", operand.slot.name)).collect();
            return Error::new(
                Code::OperandMissing,
                format!("the record is a single array, but {} are required", names.join(" and ")),
            )
            .with_operand(&slot.name)
            .tip("write a record that gives several operands as an object with a key for each");
        }
        if key.is_explicit {
            return self.missing_key(key).with_operand(&slot.name);
        }
        Error::new(
            Code::OperandMissing,
            format!("the record has no key `{}` ({}, {})", slot.name, slot.doc, slot.shape),
        )
        .with_operand(&slot.name)
        .tip(format!("add the key to each record, or select another one with --{} -#/KEY", slot.name))
    }

    fn missing_key(&self, key: &RecordKey) -> Error {
        let name = key.indices.first().map_or("", |index| self.keys[*index].as_str());
        Error::new(Code::KeyMissing, format!("the record has no key `{}`", sanitize(name)))
            .tip("use --keep-going to report such records in their place and continue")
    }
}
