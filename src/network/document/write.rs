//! Writes documents.

use super::schema::{KEY, VERSION};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::json::Matrix;
use crate::layer::{Precision, Settings, Value};
use crate::network::chain::{Source, Tape, input_readers};
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
        let layers = (0..tape.stages.len()).map(|n| Layer { tape, n });
        map.serialize_entry("layers", &layers.collect::<Vec<_>>())?;
        map.end()
    }
}

struct Layer<'a> {
    tape: &'a Tape,
    n: usize,
}

impl Layer<'_> {
    /// Returns the references to earlier layers and to the network's input. The first layer that reads that input has its value;
    /// without values, an operand that the layer before gives needs no reference.
    fn references(&self) -> Vec<(&Name, String)> {
        let stage = &self.tape.stages[self.n];
        let is_recorded = stage.record.is_some();
        let needs_reference = |(operand, source): &&(Name, Source)| match *source {
            Source::Input if is_recorded => {
                input_readers(&self.tape.stages[..=self.n]).first() != Some(&(self.n, operand))
            }
            Source::Input => self.n > 0 || operand != stage.input(),
            Source::Layer(earlier) => is_recorded || operand != stage.input() || earlier + 1 != self.n,
        };
        let reference = |source: Source| match source {
            Source::Input => Name::X.to_string(),
            Source::Layer(earlier) => self.tape.stages[earlier].output_reference(),
        };
        let named = stage.sources.iter().filter(needs_reference);
        named.map(|(operand, source)| (operand, reference(*source))).collect()
    }
}

impl Serialize for Layer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (stage, references) = (&self.tape.stages[self.n], self.references());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", stage.spec.name)?;
        map.serialize_entry("name", &stage.name)?;
        if stage.settings.iter().next().is_some() {
            map.serialize_entry("settings", &SettingsEntry(&stage.settings))?;
        }
        if !stage.params.is_empty() {
            map.serialize_entry("params", &Arrays(&stage.params, &[]))?;
        }
        if !stage.moments.is_empty() {
            map.serialize_entry("moments", &Arrays(&stage.moments, &[]))?;
        }
        match &stage.record {
            Some(record) => {
                map.serialize_entry("inputs", &Arrays(&record.inputs, &references))?;
                map.serialize_entry("outputs", &Arrays(&record.outputs, &[]))?;
                if !record.gradients.is_empty() {
                    map.serialize_entry("gradients", &Arrays(&record.gradients, &[]))?;
                }
            }
            None if references.is_empty() => {}
            None => map.serialize_entry("inputs", &References(&references))?,
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

/// Arrays by name, some of them written as references.
struct Arrays<'a>(&'a Tensors<f64>, &'a [(&'a Name, String)]);

impl Serialize for Arrays<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            match self.1.iter().find(|(referring, _)| *referring == name) {
                Some((_, from)) => map.serialize_entry(name.as_str(), &From { from })?,
                None => map.serialize_entry(name.as_str(), &Matrix(value.view()))?,
            }
        }
        map.end()
    }
}

/// The references of a layer without values.
struct References<'a>(&'a [(&'a Name, String)]);

impl Serialize for References<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(operand, from)| (operand.as_str(), From { from })))
    }
}

#[derive(serde::Serialize)]
struct From<'a> {
    from: &'a str,
}
