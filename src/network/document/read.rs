//! Reads and validates.

use super::object::{Object, damaged};
use super::{KEY, VERSION, source};
use crate::core::error::{Code, Error, Place, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::json;
use crate::format::json::Node;
use crate::format::{DOUBLE_ROUNDING, escape};
use crate::layer;
use crate::layer::{Given, LayerSpec, Precision, Role, Settings};
use crate::network::learn::Training;
use crate::network::names::Names;
use crate::network::{Record, Stage, Tape};
use ndarray::ArrayD;

/// Reads an array that a network file names as a string, such as `params.npz#fc1.w`.
pub type Beside<'a> = &'a mut dyn FnMut(&Name, &str) -> Result<ArrayD<f64>, Error>;

/// Reads and validates a document. `beside` reads arrays that lie in other files; without it, a string is no array.
pub fn read(bytes: &[u8], label: &str, beside: Option<Beside<'_>>) -> Result<Tape, Error> {
    of(&json::parse(bytes, label)?, beside).map_err(|error| match (&error.origin, &error.at) {
        (None, Some(Place::Pointer(pointer))) => {
            let pointer = pointer.clone();
            let error = error.with_origin(label);
            match json::locate(bytes, &pointer) {
                Some((line, column)) => error.at(Place::Text { line, column, pointer }),
                None => error,
            }
        }
        (None, _) => error.with_origin(label),
        _ => error,
    })
}

/// The same of a document that was parsed: an error without an origin is one of it, with a pointer for a place.
pub fn of(node: &Node, mut beside: Option<Beside<'_>>) -> Result<Tape, Error> {
    let document = Object::of(node, String::new())?;
    match document.get(KEY) {
        Some(Node::Number(version)) if *version == f64::from(VERSION) => {}
        Some(Node::Number(version)) => {
            return Err(Error::new(Code::TapeVersion, format!("is a tape of version {version}"))
                .at(Place::Pointer(document.to(KEY)))
                .tip(format!("this program reads version {VERSION}; another release of nnlayer wrote this one")));
        }
        Some(_) => return Err(damaged("the version is no number", &document.to(KEY))),
        None => {
            return Err(Error::new(Code::Tape, format!("is no tape and no network: it has no key {KEY}"))
                .tip("nnlayer LAYER … --tape starts a tape, nnlayer net --init 64,32,10 a network"));
        }
    }
    let mut tape = Tape { precision: precision(&document)?, training: training(&document)?, stages: Vec::new() };
    let Some(Node::List(layers)) = document.get("layers") else {
        return Err(damaged("it has no list of layers", &document.to("layers")));
    };
    let mut names = Names::default();
    for (n, node) in layers.iter().enumerate() {
        let object = Object::of(node, format!("/layers/{n}"))?;
        let stage = read_stage(&object, &tape, &mut names, &mut beside)?;
        tape.push_among(&mut names, stage).map_err(|error| error_at(error, &object.to("name")))?;
    }
    Ok(tape)
}

fn precision(document: &Object<'_>) -> Result<Precision, Error> {
    let known = match document.get("precision") {
        None => Some(Precision::default()),
        Some(Node::Text(word)) => Precision::named(word),
        Some(_) => None,
    };
    known
        .ok_or_else(|| damaged("the precision is neither \"f64\" nor \"f32\" nor \"exact\"", &document.to("precision")))
}

fn training(document: &Object<'_>) -> Result<Option<Training>, Error> {
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
fn read_stage(
    object: &Object<'_>,
    before: &Tape,
    names: &mut Names,
    beside: &mut Option<Beside<'_>>,
) -> Result<Stage, Error> {
    let n = before.stages.len();
    object.only(&["kind", "name", "settings", "params", "inputs", "outputs", "gradients"])?;
    let spec = read_kind(object)?;
    let name = match object.get("name") {
        Some(Node::Text(name)) => name.clone(),
        Some(_) => return Err(damaged("the name is no string", &object.to("name"))),
        None => names.fresh(spec),
    };
    let in_layer = |error: Error| match &error.operand {
        None => error.update(|said| said.message.insert_str(0, &format!("layer {name}: "))),
        _ => error,
    };
    let settings = read_settings(object, spec).map_err(in_layer)?;
    let params = read_params(object, spec, beside).map_err(in_layer)?;
    let mut stage = Stage::new(spec, name.clone(), settings, params).map_err(|error| {
        let key = if error.operand == Some(Name::new("name")) {
            "name".to_owned()
        } else {
            error.operand.as_ref().map_or_else(String::new, |setting| format!("settings/{setting}"))
        };
        error_at(error, &format!("{}/{key}", object.pointer))
    })?;
    stage.record = read_record(object, &stage, before).map_err(in_layer)?;
    if let Some(record) = &stage.record {
        validate(&stage, n, record)?;
    }
    Ok(stage)
}

fn read_kind(object: &Object<'_>) -> Result<&'static LayerSpec, Error> {
    let kinds = || layer::LAYERS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ");
    match object.get("kind") {
        Some(Node::Text(kind)) => layer::find(kind).ok_or_else(|| {
            let known = format!("the kinds are {}", kinds());
            damaged(&format!("{kind:?} is no kind of layer"), &object.to("kind")).tip(known)
        }),
        _ => Err(damaged("a layer has no kind", &object.pointer).tip(format!("the kinds are {}", kinds()))),
    }
}

fn read_settings(object: &Object<'_>, spec: &'static LayerSpec) -> Result<Settings, Error> {
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
        settings.set(setting.name, setting.read(&text).map_err(|error| error_at(error, &given.to(setting.name)))?);
    }
    Ok(settings)
}

fn read_params(
    object: &Object<'_>,
    spec: &'static LayerSpec,
    beside: &mut Option<Beside<'_>>,
) -> Result<Tensors<f64>, Error> {
    let mut params = Tensors::new();
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
                let value = beside(&slot.name, path).map_err(|error| error.fact(format!("named at {pointer}")))?;
                params.insert(slot.name.clone(), value);
            }
            (Some((node @ Node::Text(_), pointer)), None) => {
                let tip = "a file is named only in a network given by its path, never on a pipe";
                let value = node.matrix(&pointer).map_err(|error| error.update(|said| said.tip = Some(tip.to_owned())));
                params.insert(slot.name.clone(), value?);
            }
            (Some((node, pointer)), _) => params.insert(slot.name.clone(), node.matrix(&pointer)?),
            (None, _) if slot.optional => {}
            (None, _) => {
                let error =
                    damaged(&format!("{} is missing: {}, {}", slot.name, slot.doc, slot.shape), &object.pointer);
                return Err(error.tip(format!("it stands under \"params\": {{\"{}\": …}}", slot.name)));
            }
        }
    }
    Ok(params)
}

/// Reads what a layer read and computed; none where the document is a network.
fn read_record(object: &Object<'_>, stage: &Stage, before: &Tape) -> Result<Option<Record>, Error> {
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
fn fed(node: &Node, pointer: &str, previous: &Stage) -> Result<ArrayD<f64>, Error> {
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

/// Refuses a record whose shapes do not fit the layer, each other, or the gradients.
fn validate(stage: &Stage, n: usize, record: &Record) -> Result<(), Error> {
    let mut at = stage.params.clone();
    at.extend(record.inputs.clone());
    let given = Given { at: &at, rounding: &|_| DOUBLE_ROUNDING, x_was_y: false };
    stage.layer().admit(&given).map_err(|error| stage.blame(n, error))?;
    let pointer = format!("/layers/{n}");
    let fit = |group: &str, name: &Name, has: &[usize], wanted: &[usize]| {
        if has == wanted {
            return Ok(());
        }
        let text =
            format!("layer {}: {name} is {}, and must be {}", stage.name, format_shape(has), format_shape(wanted));
        let place = format!("{pointer}/{group}/{}", escape(name.as_str()));
        Err(damaged(&text, &place).tip("was the tape edited? shapes follow from the layer's input and parameters"))
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

fn error_at(error: Error, pointer: &str) -> Error {
    let message = error.to_string();
    let unnamed = error.update(|said| (said.operand, said.message) = (None, message));
    unnamed.at(Place::Pointer(pointer.to_owned()))
}
