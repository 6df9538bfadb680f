//! The document of a tape or network: versioned JSON that any tool can read and edit.
//!
//! ```json
//! {"nnlayer-tape":1,"layers":[
//!   {"kind":"affine","name":"affine1","params":{"w":[[1,2],[3,4]],"b":[0,0]},
//!    "inputs":{"x":[[1,1]]},"outputs":{"y":[[4,6]]}},
//!   {"kind":"softmax-xent","name":"softmax-xent1","settings":{"reduction":"mean"},
//!    "inputs":{"x":{"from":"affine1.y"},"t":[1]},"outputs":{"y":[[0.12,0.88]],"loss":0.13,"divisor":1}}]}
//! ```
//!
//! `inputs`, `outputs` and `gradients` are a layer's record; a network has none. Every document is validated as it is
//! read: after that, its layers can be run.

use super::learn::Training;
use super::{Record, Stage, Tape};
use crate::bundle::Bundle;
use crate::fault::{Code, Fault, Place, shape};
use crate::format::json::{self, Matrix, Node};
use crate::format::{DOUBLE_ROUNDING, escape};
use crate::layer::{self, Given, LayerSpec, Role, Settings, Value};
use crate::name::Name;
use ndarray::ArrayD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::io;

/// The key that a document is known by; its value is the version.
pub const KEY: &str = "nnlayer-tape";

/// The version that is written, and the only one that is read.
const VERSION: f64 = 1.0;

/// Reads an array that a network file names as a string, such as `params.npz#fc1.w`.
pub type Beside<'a> = &'a mut dyn FnMut(&Name, &str) -> Result<ArrayD<f64>, Fault>;

/// Reads and validates a document. `beside` reads arrays that lie in other files; without it, a string is no array.
pub fn read(bytes: &[u8], label: &str, beside: Option<Beside<'_>>) -> Result<Tape, Fault> {
    let node = json::parse(bytes, label)?;
    read_tape(&node, beside).map_err(|fault| match (&fault.origin, &fault.at) {
        (None, Some(Place::Pointer(pointer))) => {
            let pointer = pointer.clone();
            let fault = fault.from(label);
            match json::locate(bytes, &pointer) {
                Some((line, column)) => fault.at(Place::Text { line, column, pointer }),
                None => fault,
            }
        }
        (None, _) => fault.from(label),
        _ => fault,
    })
}

fn read_tape(node: &Node, mut beside: Option<Beside<'_>>) -> Result<Tape, Fault> {
    let document = Object::of(node, String::new())?;
    match document.get(KEY) {
        Some(Node::Number(version)) if *version == VERSION => {}
        Some(Node::Number(version)) => {
            return Err(Fault::new(Code::TapeVersion, format!("is a tape of version {version}"))
                .at(Place::Pointer(document.to(KEY)))
                .tip(format!("this program reads version {VERSION}; another release of nnlayer wrote this one")));
        }
        Some(_) => return Err(damaged("the version is no number", &document.to(KEY))),
        None => {
            return Err(Fault::new(Code::Tape, format!("is no tape and no network: it has no key {KEY}"))
                .tip("nnlayer LAYER … --tape starts a tape, nnlayer net --init 64,32,10 a network"));
        }
    }
    let mut tape = Tape { single: single(&document)?, training: training(&document)?, stages: Vec::new() };
    let Some(Node::List(layers)) = document.get("layers") else {
        return Err(damaged("it has no list of layers", &document.to("layers")));
    };
    for (n, node) in layers.iter().enumerate() {
        let object = Object::of(node, format!("/layers/{n}"))?;
        let stage = read_stage(&object, &tape, &mut beside)?;
        tape.push(stage).map_err(|fault| fault_at(fault, &object.to("name")))?;
    }
    Ok(tape)
}

fn single(document: &Object<'_>) -> Result<bool, Fault> {
    match document.get("precision") {
        None => Ok(false),
        Some(Node::Text(word)) if word == "f64" => Ok(false),
        Some(Node::Text(word)) if word == "f32" => Ok(true),
        Some(_) => Err(damaged("the precision is neither \"f64\" nor \"f32\"", &document.to("precision"))),
    }
}

fn training(document: &Object<'_>) -> Result<Option<Training>, Fault> {
    let Some(node) = document.get("training") else { return Ok(None) };
    let object = Object::of(node, document.to("training"))?;
    object.only(&["epoch", "seed", "batch", "lr", "shuffle"])?;
    let number = |key: &str| match object.get(key) {
        Some(Node::Number(number)) => Ok(*number),
        _ => Err(damaged(&format!("{key} is no number"), &object.to(key))),
    };
    let count = |key: &str| {
        let count = number(key)?;
        let whole = count.fract() == 0.0 && (0.0..=9_007_199_254_740_991.0).contains(&count);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a whole number below 2⁵³
        whole.then_some(count as u64).ok_or_else(|| damaged(&format!("{key} is no count"), &object.to(key)))
    };
    let shuffle = match object.get("shuffle") {
        Some(Node::Bool(shuffle)) => *shuffle,
        _ => return Err(damaged("shuffle is neither true nor false", &object.to("shuffle"))),
    };
    Ok(Some(Training {
        epoch: count("epoch")?,
        seed: count("seed")?,
        batch: count("batch")?,
        lr: number("lr")?,
        shuffle,
    }))
}

/// Reads layer `n` = the number of layers before it, and holds its record against the one before.
fn read_stage(object: &Object<'_>, before: &Tape, beside: &mut Option<Beside<'_>>) -> Result<Stage, Fault> {
    let n = before.stages.len();
    object.only(&["kind", "name", "settings", "params", "inputs", "outputs", "gradients"])?;
    let spec = read_kind(object)?;
    let name = match object.get("name") {
        Some(Node::Text(name)) => name.clone(),
        Some(_) => return Err(damaged("the name is no string", &object.to("name"))),
        None => before.fresh_name(spec),
    };
    let in_layer = |fault: Fault| match &fault.operand {
        None => Fault { message: format!("layer {name}: {}", fault.message), ..fault },
        _ => fault,
    };
    let settings = read_settings(object, spec).map_err(in_layer)?;
    let params = read_params(object, spec, beside).map_err(in_layer)?;
    let mut stage = Stage::new(spec, name.clone(), settings, params).map_err(|fault| {
        let key = if fault.operand == Some(Name::new("name")) {
            "name".to_owned()
        } else {
            fault.operand.as_ref().map_or_else(String::new, |setting| format!("settings/{setting}"))
        };
        fault_at(fault, &format!("{}/{key}", object.pointer))
    })?;
    stage.record = read_record(object, &stage, before).map_err(in_layer)?;
    if let Some(record) = &stage.record {
        validate(&stage, n, record)?;
    }
    Ok(stage)
}

fn read_kind(object: &Object<'_>) -> Result<&'static LayerSpec, Fault> {
    let kinds = || layer::LAYERS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ");
    match object.get("kind") {
        Some(Node::Text(kind)) => layer::find(kind).ok_or_else(|| {
            let known = format!("the kinds are {}", kinds());
            damaged(&format!("{kind:?} is no kind of layer"), &object.to("kind")).tip(known)
        }),
        _ => Err(damaged("a layer has no kind", &object.pointer).tip(format!("the kinds are {}", kinds()))),
    }
}

fn read_settings(object: &Object<'_>, spec: &'static LayerSpec) -> Result<Settings, Fault> {
    let mut settings = Settings::default();
    let Some(given) = object.child("settings")? else { return Ok(settings) };
    given.only(&spec.settings.iter().map(|setting| setting.name).collect::<Vec<_>>())?;
    for setting in spec.settings {
        let text = match given.get(setting.name) {
            None => continue,
            Some(Node::Text(text)) => text.clone(),
            Some(Node::Number(number)) => number.to_string(),
            Some(Node::Bool(flag)) => flag.to_string(),
            Some(_) => {
                return Err(damaged(
                    &format!("the setting {} is no word and no number", setting.name),
                    &given.to(setting.name),
                ));
            }
        };
        settings.set(setting.name, setting.read(&text).map_err(|fault| fault_at(fault, &given.to(setting.name)))?);
    }
    Ok(settings)
}

fn read_params(
    object: &Object<'_>,
    spec: &'static LayerSpec,
    beside: &mut Option<Beside<'_>>,
) -> Result<Bundle<f64>, Fault> {
    let mut params = Bundle::new();
    let given = object.child("params")?;
    let own: Vec<_> = spec.slots.iter().filter(|slot| matches!(slot.role, Role::Parameter | Role::Constant)).collect();
    if let Some(given) = &given {
        given.only(&own.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>())?;
    }
    for slot in own {
        let found = given
            .as_ref()
            .and_then(|given| given.get(slot.name.as_str()).map(|node| (node, given.to(slot.name.as_str()))));
        match (found, beside.as_mut()) {
            (Some((Node::Text(path), pointer)), Some(beside)) => {
                let value = beside(&slot.name, path).map_err(|fault| fault.fact(format!("named at {pointer}")))?;
                params.insert(slot.name.clone(), value);
            }
            (Some((node @ Node::Text(_), pointer)), None) => {
                let tip = "a file is named only in a network given by its path, never on a pipe";
                let value = node.matrix(&pointer).map_err(|fault| Fault { tip: Some(tip.to_owned()), ..fault });
                params.insert(slot.name.clone(), value?);
            }
            (Some((node, pointer)), _) => params.insert(slot.name.clone(), node.matrix(&pointer)?),
            (None, _) if slot.optional => {}
            (None, _) => {
                let fault =
                    damaged(&format!("{} is missing: {}, {}", slot.name, slot.doc, slot.shape), &object.pointer);
                return Err(fault.tip(format!("it stands under \"params\": {{\"{}\": …}}", slot.name)));
            }
        }
    }
    Ok(params)
}

/// Reads what a layer read and computed; none where the document is a network.
fn read_record(object: &Object<'_>, stage: &Stage, before: &Tape) -> Result<Option<Record>, Fault> {
    let previous = before.stages.last();
    let recorded = previous.map(|stage| stage.record.is_some());
    let Some(inputs) = object.child("inputs")? else {
        return match (recorded, object.get("outputs").or(object.get("gradients"))) {
            (Some(true), _) | (_, Some(_)) => Err(damaged("its inputs are missing", &object.pointer)
                .tip("a tape has inputs and outputs for every layer, a network for none")),
            _ => Ok(None),
        };
    };
    if recorded == Some(false) {
        return Err(damaged("it has inputs, and the layer before it has none", &object.to("inputs"))
            .tip("a tape has inputs and outputs for every layer, a network for none"));
    }
    let spec = stage.spec;
    let read: Vec<_> = spec.slots.iter().filter(|slot| matches!(slot.role, Role::Input | Role::Target)).collect();
    inputs.only(&read.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>())?;
    let mut record = Record::default();
    for slot in read {
        let key = slot.name.as_str();
        let Some(node) = inputs.get(key) else {
            return Err(damaged(&format!("the input {key} is missing"), &inputs.pointer));
        };
        let value = match previous.filter(|_| slot.role == Role::Input) {
            Some(previous) => fed(node, &inputs.to(key), previous)?,
            None => node.matrix(&inputs.to(key))?,
        };
        record.inputs.insert(slot.name.clone(), value);
    }
    let outputs = object.child("outputs")?.ok_or_else(|| damaged("its outputs are missing", &object.pointer))?;
    record.outputs = outputs.matrices()?;
    if record.outputs.get(&spec.output).is_none() {
        return Err(damaged(&format!("the output {} is missing", spec.output), &outputs.pointer));
    }
    if let Some(gradients) = object.child("gradients")? {
        record.gradients = gradients.matrices()?;
    }
    Ok(Some(record))
}

/// The input that `{"from": "affine1.y"}` names: it must be the output of the layer before.
fn fed(node: &Node, pointer: &str, previous: &Stage) -> Result<ArrayD<f64>, Fault> {
    let wanted = source(previous);
    let object = match node {
        Node::Object(_) => Object::of(node, pointer.to_owned())?,
        _ => return Err(damaged(&format!("the input names no layer: {{\"from\": {wanted:?}}} feeds it"), pointer)),
    };
    match (object.get("from"), previous.record.as_ref().and_then(|record| record.outputs.get(&previous.spec.output))) {
        (Some(Node::Text(from)), Some(value)) if *from == wanted => Ok(value.clone()),
        (Some(Node::Text(from)), _) => Err(damaged(
            &format!("the input comes from {from:?}, the layer before gives {wanted:?}"),
            &object.to("from"),
        )
        .tip("in a chain, each layer reads the output of the one before; rename both ends together")),
        _ => Err(damaged(&format!("the input names no layer: {{\"from\": {wanted:?}}} feeds it"), pointer)),
    }
}

/// What the layer after `stage` reads: `affine1.y`.
fn source(stage: &Stage) -> String {
    format!("{}.{}", stage.name, stage.spec.output)
}

/// Refuses a record whose shapes do not fit the layer, each other, or the gradients.
fn validate(stage: &Stage, n: usize, record: &Record) -> Result<(), Fault> {
    let mut at = stage.params.clone();
    at.extend(record.inputs.clone());
    let given = Given { at: &at, rounding: &|_| DOUBLE_ROUNDING, x_was_y: false };
    stage.layer().admit(&given).map_err(|fault| stage.blame(n, fault))?;
    let pointer = format!("/layers/{n}");
    let fit = |group: &str, name: &Name, has: &[usize], wanted: &[usize]| {
        if has == wanted {
            return Ok(());
        }
        let text = format!("layer {}: {name} is {}, and must be {}", stage.name, shape(has), shape(wanted));
        let place = format!("{pointer}/{group}/{}", escape(name.as_str()));
        Err(damaged(&text, &place).shape(stage.input(), at.known(stage.input()).shape()))
    };
    let wanted = stage.layer().output_shape(&at);
    fit("outputs", &stage.spec.output, record.outputs.known(&stage.spec.output).shape(), &wanted)?;
    for (name, value) in record.gradients.iter() {
        let operand = at.iter().find(|(operand, _)| operand.gradient() == *name).map(|(_, value)| value);
        // A scalar b stands for a row, and its gradient is that row.
        if let Some(operand) = operand.filter(|operand| operand.ndim() > 0) {
            fit("gradients", name, value.shape(), operand.shape())?;
        }
    }
    Ok(())
}

fn damaged(what: &str, pointer: &str) -> Fault {
    Fault::new(Code::Tape, what).at(Place::Pointer(pointer.to_owned()))
}

fn fault_at(fault: Fault, pointer: &str) -> Fault {
    let message = fault.operand.as_ref().map_or_else(String::new, |operand| format!("{operand}: ")) + &fault.message;
    Fault { operand: None, message, ..fault }.at(Place::Pointer(pointer.to_owned()))
}

/// An object of a document, and where it stands.
struct Object<'a> {
    entries: &'a [(String, Node)],
    pointer: String,
}

impl<'a> Object<'a> {
    fn of(node: &'a Node, pointer: String) -> Result<Object<'a>, Fault> {
        match node {
            Node::Object(entries) => Ok(Object { entries, pointer }),
            _ => Err(damaged("an object is expected here", &pointer)
                .tip("a tape or network is an object with a list of layers, each an object")),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(known, _)| known == key).map(|(_, node)| node)
    }

    fn to(&self, key: &str) -> String {
        format!("{}/{}", self.pointer, escape(key))
    }

    fn child(&self, key: &str) -> Result<Option<Object<'a>>, Fault> {
        self.get(key).map(|node| Object::of(node, self.to(key))).transpose()
    }

    /// Refuses keys that mean nothing: a misspelt parameter must not be left out without a word.
    fn only(&self, known: &[&str]) -> Result<(), Fault> {
        let Some((odd, _)) = self.entries.iter().find(|(key, _)| !known.contains(&key.as_str())) else { return Ok(()) };
        let fault = damaged(&format!("the key {odd:?} means nothing here"), &self.to(odd));
        Err(match known.iter().find(|known| strsim::damerau_levenshtein(known, odd) <= 2 && known.len() > 2) {
            Some(near) => fault.tip(format!("did you mean {near}?")),
            None if known.is_empty() => fault.tip("there are no keys here"),
            None => fault.tip(format!("the keys are {}", known.join(", "))),
        })
    }

    fn matrices(&self) -> Result<Bundle<f64>, Fault> {
        self.entries.iter().map(|(key, node)| Ok((Name::new(key.as_str()), node.matrix(&self.to(key))?))).collect()
    }
}

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
        map.serialize_entry(KEY, &1)?;
        if tape.single {
            map.serialize_entry("precision", "f32")?;
        }
        if let Some(training) = &tape.training {
            map.serialize_entry("training", &TrainingEntry(training))?;
        }
        let before = |n: usize| n.checked_sub(1).map(|n| &tape.stages[n]);
        let layers = tape.stages.iter().enumerate().map(|(n, stage)| Layer { stage, before: before(n) });
        map.serialize_entry("layers", &layers.collect::<Vec<_>>())?;
        map.end()
    }
}

struct TrainingEntry<'a>(&'a Training);

impl Serialize for TrainingEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("epoch", &self.0.epoch)?;
        map.serialize_entry("seed", &self.0.seed)?;
        map.serialize_entry("batch", &self.0.batch)?;
        map.serialize_entry("lr", &self.0.lr)?;
        map.serialize_entry("shuffle", &self.0.shuffle)?;
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
            let fed = self.before.map(|before| (stage.input(), source(before)));
            map.serialize_entry("inputs", &Arrays(&record.inputs, fed))?;
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
            }
        }
        map.end()
    }
}

/// Arrays by name; the one that the layer before feeds is named instead.
struct Arrays<'a>(&'a Bundle<f64>, Option<(&'static Name, String)>);

impl Serialize for Arrays<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            match self.1.as_ref().filter(|(fed, _)| *fed == name) {
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
