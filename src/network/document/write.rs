//! Writes documents.

use super::schema::{KEY, VERSION, output_reference};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::json::Matrix;
use crate::layer::{Precision, Settings, Value};
use crate::network::chain::{Stage, Tape};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::io;

/// Writes a document on one line.
pub fn write(tape: &Tape, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Document(tape))?;
    out.write_all(b"\n")
}

struct Document<'a>(&'a Tape);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tape = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(KEY, &VERSION)?;
        if tape.precision != Precision::default() {
            map.serialize_entry("precision", tape.precision.name())?;
        }
        if let Some(training) = &tape.training {
            map.serialize_entry("training", training)?;
        }
        let before = |n: usize| n.checked_sub(1).map(|n| &tape.stages[n]);
        let layers = tape.stages.iter().enumerate().map(|(n, stage)| Layer { stage, before: before(n) });
        map.serialize_entry("layers", &layers.collect::<Vec<_>>())?;
        map.end()
    }
}

struct Layer<'a> {
    stage: &'a Stage,
    before: Option<&'a Stage>,
}

impl Serialize for Layer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stage = self.stage;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", stage.spec.name)?;
        map.serialize_entry("name", &stage.name)?;
        if stage.settings.iter().next().is_some() {
            map.serialize_entry("settings", &SettingsEntry(&stage.settings))?;
        }
        if !stage.params.is_empty() {
            map.serialize_entry("params", &Arrays(&stage.params, None))?;
        }
        if let Some(record) = &stage.record {
            let input = self.before.map(|before| (stage.input(), output_reference(before)));
            map.serialize_entry("inputs", &Arrays(&record.inputs, input))?;
            map.serialize_entry("outputs", &Arrays(&record.outputs, None))?;
            if !record.gradients.is_empty() {
                map.serialize_entry("gradients", &Arrays(&record.gradients, None))?;
            }
        }
        map.end()
    }
}

struct SettingsEntry<'a>(&'a Settings);

impl Serialize for SettingsEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter() {
            match value {
                Value::Flag(flag) => map.serialize_entry(name, flag)?,
                Value::Integer(number) => map.serialize_entry(name, number)?,
                Value::Number(number) => {
                    map.serialize_entry(name, &Matrix(ndarray::arr0(*number).into_dyn().view()))?
                }
                Value::Choice(word) => map.serialize_entry(name, word)?,
                Value::Integers(values) => map.serialize_entry(name, values)?,
                Value::IntegerRows(rows) => map.serialize_entry(name, rows)?,
            }
        }
        map.end()
    }
}

/// Arrays by name; the input from the layer before is written as a reference.
struct Arrays<'a>(&'a Tensors<f64>, Option<(&'static Name, String)>);

impl Serialize for Arrays<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            match self.1.as_ref().filter(|(input, _)| *input == name) {
                Some((_, from)) => map.serialize_entry(name.as_str(), &From { from })?,
                None => map.serialize_entry(name.as_str(), &Matrix(value.view()))?,
            }
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct From<'a> {
    from: &'a str,
}
