//! Reads and validates documents.

use super::object::{Object, damaged};
use super::schema::{KEY, VERSION};
use crate::core::error::{Code, Error, Place, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::json::Node;
use crate::format::{DOUBLE_ROUNDING, escape};
use crate::layer;
use crate::layer::{Given, LayerSpec, Precision, Role, Settings, Slot};
use crate::network::chain::{Record, Source, Stage, Tape, Training, input_of};
use crate::network::layer_names::LayerNames;
use crate::network::optimizer::{Optimizer, Rule};
use ndarray::ArrayD;
use std::sync::Arc;

const RECORD_TIP: &str = "a tape has inputs and outputs for every layer, a network for none";

/// Reads an array from the file that a network names by a string, such as `params.npz#fc1.w`.
pub type LoadArray<'a> = &'a mut dyn FnMut(&Name, &str) -> Result<Arc<ArrayD<f64>>, Error>;

/// Reads a document and validates it. Without `load_array`, strings in place of arrays are refused.
///
/// # Errors
/// An error without an origin is one of the document, and has a JSON pointer as its place.
pub fn from_json(node: &Node, mut load_array: Option<LoadArray<'_>>) -> Result<Tape, Error> {
    let document = Object::new(node, String::new())?;
    match document.get(KEY) {
        Some(Node::Number(version)) if *version == f64::from(VERSION) => {}
        Some(Node::Number(version)) => {
            return Err(Error::new(Code::TapeVersion, format!("unsupported tape version {version}"))
                .at(Place::Pointer(document.pointer_to(KEY)))
                .tip(format!("this release reads version {VERSION}; use the release of nnlayer that wrote the tape")));
        }
        Some(_) => return Err(document.error("the version must be a number", KEY)),
        None => {
            return Err(Error::new(Code::Tape, format!("not a tape or network: the key {KEY} is missing"))
                .tip("start a tape with nnlayer LAYER … --tape, or a network with nnlayer net --init 64,32,10"));
        }
    }
    let mut tape =
        Tape { precision: read_precision(&document)?, training: read_training(&document)?, stages: Vec::new() };
    let Some(Node::List(layers)) = document.get("layers") else {
        return Err(document.error("expected a list of layers", "layers"));
    };
    let mut names = LayerNames::default();
    for (n, node) in layers.iter().enumerate() {
        let object = Object::new(node, format!("/layers/{n}"))?;
        let stage = read_stage(&object, &tape, &mut names, &mut load_array)?;
        tape.push_named(&mut names, stage).map_err(|error| document_error(error, &object.pointer_to("name")))?;
    }
    Ok(tape)
}

fn read_precision(document: &Object<'_>) -> Result<Precision, Error> {
    let precision = match document.get("precision") {
        None => Some(Precision::default()),
        Some(Node::Text(word)) => Precision::named(word),
        Some(_) => None,
    };
    precision.ok_or_else(|| {
        document.error("the precision must be \"f64\", \"f32\", \"f16\", \"bf16\" or \"exact\"", "precision")
    })
}

fn read_training(document: &Object<'_>) -> Result<Option<Training>, Error> {
    let Some(object) = document.child("training")? else { return Ok(None) };
    let keys = ["epoch", "seed", "batch", "lr", "shuffle", "optimizer", "momentum", "weight-decay", "step"];
    object.allow_only(&keys)?;
    let number = |key: &str| match object.get(key) {
        Some(Node::Number(number)) => Ok(*number),
        _ => Err(object.error(&format!("{key} must be a number"), key)),
    };
    let count = |key: &str| {
        let count = number(key)?;
        let is_count = count.fract() == 0.0 && (0.0..=9_007_199_254_740_991.0).contains(&count);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an integer below 2⁵³
        is_count
            .then_some(count as u64)
            .ok_or_else(|| object.error(&format!("{key} must be a non-negative integer"), key))
    };
    let Some(Node::Bool(shuffle)) = object.get("shuffle") else {
        return Err(object.error("shuffle must be true or false", "shuffle"));
    };
    let or_zero = |key: &str| if object.get(key).is_some() { number(key) } else { Ok(0.0) };
    let rule = match object.get("optimizer") {
        None => Some(Rule::default()),
        Some(Node::Text(word)) => Rule::named(word),
        Some(_) => None,
    };
    let words = Rule::WORDS.map(|(word, _)| word).join(", ");
    let optimizer = Optimizer {
        rule: rule.ok_or_else(|| object.error(&format!("the optimizer must be one of {words}"), "optimizer"))?,
        momentum: or_zero("momentum")?,
        weight_decay: or_zero("weight-decay")?,
    };
    Ok(Some(Training {
        epoch: count("epoch")?,
        seed: count("seed")?,
        batch: count("batch")?,
        lr: number("lr")?,
        shuffle: *shuffle,
        optimizer,
        // Written since steps are counted.
        step: if object.get("step").is_some() { count("step")? } else { 0 },
    }))
}

/// Reads the layer after those of `before`, and compares its record with theirs.
fn read_stage(
    object: &Object<'_>,
    before: &Tape,
    names: &mut LayerNames,
    load_array: &mut Option<LoadArray<'_>>,
) -> Result<Stage, Error> {
    object.allow_only(&["kind", "name", "settings", "params", "moments", "inputs", "outputs", "gradients"])?;
    let spec = read_kind(object)?;
    let name = match object.get("name") {
        Some(Node::Text(name)) => name.clone(),
        Some(_) => return Err(object.error("the name must be a string", "name")),
        None => names.fresh(spec),
    };
    let in_layer = |error: Error| match &error.operand {
        None => error.update(|details| details.message.insert_str(0, &format!("layer {name}: "))),
        _ => error,
    };
    let settings = read_settings(object, spec).map_err(in_layer)?;
    let sources = read_sources(object, spec, before).map_err(in_layer)?;
    let params = read_params(object, spec, &sources, load_array).map_err(in_layer)?;
    let mut stage = Stage::new(spec, name.clone(), settings, params).map_err(|error| {
        let key = match &error.operand {
            Some(operand) if *operand == Name::new("name") => "name".to_owned(),
            Some(setting) => format!("settings/{setting}"),
            None => String::new(),
        };
        document_error(error, &format!("{}/{key}", object.pointer))
    })?;
    stage.moments = read_moments(object, &stage, before).map_err(in_layer)?;
    stage.sources = sources;
    before.connect(&mut stage);
    stage.record = read_record(object, &stage, before).map_err(in_layer)?;
    if let Some(record) = &stage.record {
        validate(&stage, before.stages.len(), record)?;
    }
    Ok(stage)
}

fn read_kind(object: &Object<'_>) -> Result<&'static LayerSpec, Error> {
    let kinds: Vec<&str> = layer::LAYERS.iter().map(|spec| spec.name).collect();
    let tip = format!("the kinds are {}", kinds.join(", "));
    match object.get("kind") {
        Some(Node::Text(kind)) => {
            let elsewhere = layer::layer_elsewhere(kind).map(|here| format!("did you mean {here}? {tip}"));
            layer::find(kind).ok_or_else(|| {
                object.error(&format!("unknown layer kind {kind:?}"), "kind").tip(elsewhere.unwrap_or(tip))
            })
        }
        _ => Err(damaged("the kind of the layer is missing", &object.pointer).tip(tip)),
    }
}

fn read_settings(object: &Object<'_>, spec: &'static LayerSpec) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    let Some(given) = object.child("settings")? else { return Ok(settings) };
    given.allow_only(&spec.settings.iter().map(|setting| setting.name).collect::<Vec<_>>())?;
    for setting in spec.settings {
        let text = match given.get(setting.name) {
            None | Some(Node::Null) => continue,
            Some(node) => node.setting().ok_or_else(|| {
                let problem =
                    format!("the setting {} must be a string, a number, numbers, true or false", setting.name);
                given.error(&problem, setting.name)
            })?,
        };
        let value = setting.parse(&text).map_err(|error| document_error(error, &given.pointer_to(setting.name)))?;
        settings.set(setting.name, value);
    }
    Ok(settings)
}

/// Returns true for an operand that the network's input or an earlier layer may give.
fn may_be_connected(spec: &'static LayerSpec, slot: &Slot) -> bool {
    slot.role == Role::Input || slot.name == *input_of(spec)
}

/// Reads the sources that the inputs name, as in `{"from": "affine1.y"}`.
fn read_sources(object: &Object<'_>, spec: &'static LayerSpec, before: &Tape) -> Result<Vec<(Name, Source)>, Error> {
    let Some(inputs) = object.child("inputs")? else { return Ok(Vec::new()) };
    let mut sources = Vec::new();
    for slot in spec.slots.iter().filter(|slot| may_be_connected(spec, slot)) {
        let key = slot.name.as_str();
        let Some(node @ Node::Object(_)) = inputs.get(key) else { continue };
        let reference = Object::new(node, inputs.pointer_to(key))?;
        // Any other object is an array with its shape.
        let Some(from) = reference.get("from") else { continue };
        reference.allow_only(&["from"])?;
        let Node::Text(from) = from else {
            return Err(reference.error("expected the name of an output, such as \"affine1.y\"", "from"));
        };
        let source = before.resolve(from).map_err(|error| error.at(Place::Pointer(reference.pointer_to("from"))))?;
        sources.push((slot.name.clone(), source));
    }
    Ok(sources)
}

fn read_params(
    object: &Object<'_>,
    spec: &'static LayerSpec,
    sources: &[(Name, Source)],
    load_array: &mut Option<LoadArray<'_>>,
) -> Result<Tensors<f64>, Error> {
    let mut params = Tensors::new();
    let given = object.child("params")?;
    let is_connected = |slot: &Slot| slot.name == *input_of(spec) || sources.iter().any(|(name, _)| *name == slot.name);
    let own: Vec<_> = spec.slots.iter().filter(|slot| slot.role != Role::Target && !is_connected(slot)).collect();
    if let Some(given) = &given {
        given.allow_only(&own.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>())?;
    }
    for slot in own {
        let key = slot.name.as_str();
        let found = given.as_ref().and_then(|given| Some((given.get(key)?, given.pointer_to(key))));
        let found = found.filter(|(node, _)| !slot.optional || **node != Node::Null);
        let value = match (found, load_array.as_mut()) {
            (Some((Node::Text(path), pointer)), Some(load_array)) => {
                load_array(&slot.name, path).map_err(|error| error.fact(format!("named at {pointer}")))?
            }
            (Some((node @ Node::Text(_), pointer)), None) => {
                let tip = "name a file only in a network that is given by its path, not on a pipe";
                let refuse = |error: Error| error.update(|details| details.tip = Some(tip.to_owned()));
                Arc::new(node.array(&pointer).map_err(refuse)?)
            }
            (Some((node, pointer)), _) if slot.is_mask() => Arc::new(node.mask(&pointer)?.0),
            (Some((node, pointer)), _) => Arc::new(node.array(&pointer)?),
            (None, _) if slot.optional => continue,
            (None, _) => {
                let problem = format!("{key} is missing: {}, {}", slot.doc, slot.shape);
                let tip = match slot.role {
                    Role::Input => {
                        format!("name the layer that gives it: \"inputs\": {{\"{key}\": {{\"from\": \"NAME.y\"}}}}")
                    }
                    _ => format!("add it under \"params\": {{\"{key}\": …}}"),
                };
                return Err(damaged(&problem, &object.pointer).tip(tip));
            }
        };
        params.insert_shared(slot.name.clone(), value);
    }
    Ok(params)
}

/// Reads the running means of an optimizer, which have the shapes of their parameters.
fn read_moments(object: &Object<'_>, stage: &Stage, before: &Tape) -> Result<Tensors<f64>, Error> {
    let (Some(given), Some(training)) = (object.child("moments")?, &before.training) else { return Ok(Tensors::new()) };
    let known: Vec<(Name, &Name)> = stage
        .learnt()
        .flat_map(|name| training.optimizer.moments(name).into_iter().map(move |moment| (moment, name)))
        .collect();
    given.allow_only(&known.iter().map(|(moment, _)| moment.as_str()).collect::<Vec<_>>())?;
    let moments = given.arrays()?;
    for (moment, parameter) in &known {
        let (Some(value), Some(parameter)) = (moments.get(moment), stage.params.get(parameter)) else { continue };
        if value.shape() != parameter.shape() {
            let (shape, expected) = (format_shape(value.shape()), format_shape(parameter.shape()));
            let problem = format!("{moment} has shape {shape}, and its parameter {expected}");
            return Err(given.error(&problem, moment.as_str()).tip("start a new training without --resume"));
        }
    }
    Ok(moments)
}

/// Reads the record of a layer; a network has none.
fn read_record(object: &Object<'_>, stage: &Stage, before: &Tape) -> Result<Option<Record>, Error> {
    let previous_is_recorded = before.stages.last().map(|stage| stage.record.is_some());
    let results = object.get("outputs").or(object.get("gradients"));
    let Some(inputs) = object.child("inputs")? else {
        return match (previous_is_recorded, results) {
            (Some(true), _) | (_, Some(_)) => Err(damaged("its inputs are missing", &object.pointer).tip(RECORD_TIP)),
            _ => Ok(None),
        };
    };
    let spec = stage.spec;
    let slots: Vec<_> = spec
        .slots
        .iter()
        .filter(|slot| slot.role == Role::Target || may_be_connected(spec, slot))
        .filter(|slot| stage.params.get(&slot.name).is_none())
        .collect();
    inputs.allow_only(&slots.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>())?;
    let is_reference =
        |node: &Node| matches!(node, Node::Object(entries) if entries.iter().any(|(key, _)| key == "from"));
    let has_values = slots.iter().any(|slot| inputs.get(slot.name.as_str()).is_some_and(|node| !is_reference(node)));
    match previous_is_recorded {
        Some(true) => {}
        _ if !has_values && results.is_none() => return Ok(None),
        Some(false) => {
            return Err(object.error("it has inputs, but the layer before it has none", "inputs").tip(RECORD_TIP));
        }
        None => {}
    }
    let mut record = Record::default();
    for slot in slots {
        let key = slot.name.as_str();
        let node = match inputs.get(key) {
            Some(node) => node,
            None if slot.optional && stage.source(&slot.name).is_none() => continue,
            None => return Err(damaged(&format!("the input {key} is missing"), &inputs.pointer)),
        };
        let pointer = inputs.pointer_to(key);
        let source = stage.source(&slot.name);
        let value = match source.filter(|_| is_reference(node)) {
            Some(source) => before
                .recorded(source)
                .cloned()
                .ok_or_else(|| damaged("the value that it names is not saved", &pointer))?,
            None if matches!(source, Some(Source::Layer(_))) => return Err(not_a_reference(&pointer, before)),
            None => node.array(&pointer)?,
        };
        record.inputs.insert(slot.name.clone(), value);
    }
    let outputs = object.child("outputs")?.ok_or_else(|| damaged("its outputs are missing", &object.pointer))?;
    record.outputs = outputs.arrays()?;
    if record.outputs.get(&spec.output).is_none() {
        return Err(damaged(&format!("the output {} is missing", spec.output), &outputs.pointer));
    }
    if let Some(gradients) = object.child("gradients")? {
        record.gradients = gradients.arrays()?;
    }
    Ok(Some(record))
}

/// Returns the error for an input that is not `{"from": "affine1.y"}`.
fn not_a_reference(pointer: &str, before: &Tape) -> Error {
    let expected = before.stages.last().map(Stage::output_reference).unwrap_or_default();
    damaged(&format!("expected {{\"from\": {expected:?}}}, or another output of an earlier layer"), pointer)
}

/// Refuses a record whose shapes do not fit the layer.
fn validate(stage: &Stage, n: usize, record: &Record) -> Result<(), Error> {
    let mut at = stage.params.clone();
    at.extend(record.inputs.clone());
    let given = Given { at: &at, rounding: &|_| DOUBLE_ROUNDING, x_was_y: false };
    stage.layer().admit(&given).map_err(|error| stage.document_error(n, error))?;
    let check_shape = |group: &str, name: &Name, shape: &[usize], expected: &[usize]| {
        if shape == expected {
            return Ok(());
        }
        let (shape, expected) = (format_shape(shape), format_shape(expected));
        let problem = format!("layer {}: {name} has shape {shape}, expected {expected}", stage.name);
        Err(damaged(&problem, &format!("/layers/{n}/{group}/{}", escape(name.as_str())))
            .tip("shapes follow from the layer's input and parameters; was the tape edited?"))
    };
    let output = record.outputs.known(&stage.spec.output);
    check_shape("outputs", &stage.spec.output, output.shape(), &stage.layer().output_shape(&at))?;
    for (name, value) in record.gradients.iter() {
        let operand = at.iter().find(|(operand, _)| operand.gradient() == *name).map(|(_, value)| value);
        // A scalar b stands for a row, and its gradient is that row.
        if let Some(operand) = operand.filter(|operand| operand.ndim() > 0) {
            check_shape("gradients", name, value.shape(), operand.shape())?;
        }
    }
    Ok(())
}

/// Moves an error of a layer or setting to its place in the document; the message keeps the name of its operand.
fn document_error(error: Error, pointer: &str) -> Error {
    let message = error.to_string();
    let unnamed = error.update(|details| (details.operand, details.message) = (None, message));
    unnamed.at(Place::Pointer(pointer.to_owned()))
}
