//! `nnlayer schema`: JSON Schemas of the documents that nnlayer writes and reads.
//!
//! Keys that do not depend on the layer are in `schemas`, one file a kind. Layers, operands, results, settings and codes of errors
//! come from their registries. docs/json.md has the rule of which changes are made without a new version.

use super::gradcheck::CUSTOM;
use super::pages;
use super::session::Streams;
use super::status::Status;
use crate::core::error::Code;
use crate::core::name::Name;
use crate::layer::{Kind, LAYERS, LayerSpec, Setting, jacobian_name};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

/// The dialect of the schemas.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

const ARRAYS: &str = include_str!("schemas/arrays.json");
const BASE64: &str = include_str!("schemas/base64.json");
const CHAIN: &str = include_str!("schemas/chain.json");
const ERROR: &str = include_str!("schemas/error.json");

/// A kind of document.
pub(crate) struct SchemaKind {
    /// The name on the command line.
    pub(crate) name: &'static str,
    about: &'static str,
    /// The version, which changes when a document of the version before is no longer valid.
    version: u32,
    /// The parts that do not depend on the registry.
    text: &'static str,
    /// Adds those that do.
    complete: fn(&mut Map<String, Value>),
}

/// All kinds.
pub(crate) const KINDS: &[SchemaKind] = &[
    SchemaKind {
        name: "result",
        about: "what --json, --out FILE.json and --ndjson write",
        version: 1,
        text: include_str!("schemas/result.json"),
        complete: complete_result,
    },
    SchemaKind {
        name: "error",
        about: "errors, warnings and notes of --error-format json",
        version: 1,
        text: ERROR,
        complete: complete_error,
    },
    SchemaKind {
        name: "tape",
        about: "the record of a chain, with saved values",
        version: 1,
        text: CHAIN,
        complete: |schema| complete_chain(schema, &TAPE),
    },
    SchemaKind {
        name: "network",
        about: "network files and checkpoints, without saved values",
        version: 1,
        text: CHAIN,
        complete: |schema| complete_chain(schema, &NETWORK),
    },
    SchemaKind {
        name: "request",
        about: "what gradcheck writes to a program",
        version: 1,
        text: include_str!("schemas/request.json"),
        complete: complete_request,
    },
    SchemaKind {
        name: "reply",
        about: "what the program replies",
        version: 1,
        text: include_str!("schemas/reply.json"),
        complete: complete_reply,
    },
    SchemaKind {
        name: "hello",
        about: "what a program of version 2 replies first",
        version: 1,
        text: include_str!("schemas/hello.json"),
        complete: |_| {},
    },
    SchemaKind {
        name: "vectors",
        about: "test vectors, and the index of a folder of them",
        version: 1,
        text: include_str!("schemas/vectors.json"),
        complete: complete_vectors,
    },
    SchemaKind {
        name: "report",
        about: "reports of --check, gradcheck, compare, --expect, --norms and vectors --verify",
        version: 1,
        text: include_str!("schemas/report.json"),
        complete: |schema| add_definitions(schema, ARRAYS),
    },
    SchemaKind {
        name: "steps",
        about: "what --steps writes with --json",
        version: 1,
        text: include_str!("schemas/steps.json"),
        complete: |schema| add_definitions(schema, ARRAYS),
    },
    SchemaKind {
        name: "epoch",
        about: "each line that train writes with --json",
        version: 1,
        text: include_str!("schemas/epoch.json"),
        complete: |schema| add_definitions(schema, ARRAYS),
    },
    SchemaKind {
        name: "layers",
        about: "what `nnlayer layers` writes",
        version: 1,
        text: include_str!("schemas/layers.json"),
        complete: |_| {},
    },
];

/// Arguments of `schema`.
pub(crate) struct Arguments {
    /// The kind to print; all of them are listed, or written into a folder, if there is none.
    pub(crate) kind: Option<&'static SchemaKind>,
    /// Folder for the schemas.
    pub(crate) folder: Option<String>,
}

/// Writes a schema, all of them, or their list.
pub(crate) fn run(arguments: Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let Arguments { kind, folder } = arguments;
    if kind.is_none() && folder.is_none() {
        for kind in KINDS {
            writeln!(streams.out, "{:<8} {}", kind.name, kind.about)?;
        }
        return Ok(Status::Done);
    }
    let kinds = kind.map_or_else(|| KINDS.iter().collect(), |kind| vec![kind]);
    let pages = kinds.into_iter().map(|kind| (format!("{}.json", kind.name), kind.to_text().into_bytes())).collect();
    pages::run(&pages::Arguments { pages, folder }, streams)
}

impl SchemaKind {
    /// Returns the schema, indented, with what identifies it first and the definitions last.
    fn to_text(&self) -> String {
        let mut schema = parse(self.text);
        (self.complete)(&mut schema);
        schema.insert("$schema".to_owned(), json!(DIALECT));
        schema.insert("$id".to_owned(), json!(format!("urn:nnlayer:schema:{}:{}", self.name, self.version)));
        let first = ["$schema", "$id", "title", "description"].into_iter().filter(|key| schema.contains_key(*key));
        let rest = schema
            .keys()
            .map(String::as_str)
            .filter(|key| !["$schema", "$id", "title", "description", "$defs"].contains(key));
        let last = ["$defs"].into_iter().filter(|key| schema.contains_key(*key));
        let mut text = String::from("{");
        for (n, key) in first.chain(rest).chain(last).enumerate() {
            let value = serde_json::to_string_pretty(&schema[key]).unwrap_or_default().replace('\n', "\n  ");
            let _ = write!(text, "{}\n  \"{key}\": {value}", if n == 0 { "" } else { "," });
        }
        text + "\n}\n"
    }
}

/// Parses a file of this folder, which is an object.
fn parse(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn definitions(schema: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let definitions = schema.entry("$defs").or_insert_with(|| json!({}));
    if !definitions.is_object() {
        *definitions = json!({});
    }
    match definitions {
        Value::Object(definitions) => definitions,
        _ => unreachable!("it is an object"),
    }
}

fn add_definitions(schema: &mut Map<String, Value>, text: &str) {
    definitions(schema).extend(parse(text));
}

fn reference(definition: &str) -> Value {
    json!({"$ref": format!("#/$defs/{definition}")})
}

/// Returns the schema of an object with these keys; others are not described.
fn object(properties: impl IntoIterator<Item = (String, Value)>) -> Value {
    json!({"type": "object", "properties": properties.into_iter().collect::<Map<_, _>>()})
}

/// Returns the schema of an object of named arrays.
fn arrays<'a>(names: impl IntoIterator<Item = &'a Name>) -> Value {
    object(names.into_iter().map(|name| (name.to_string(), reference("array"))))
}

/// Returns the forward results and the divisor of a mean.
fn outputs(spec: &LayerSpec) -> impl Iterator<Item = (Name, &'static str)> {
    let divisor = (spec.is_loss()).then_some((Name::DIVISOR, "the number that the mean divides by"));
    spec.outputs.iter().cloned().chain(divisor)
}

fn complete_result(schema: &mut Map<String, Value>) {
    add_definitions(schema, ARRAYS);
    let described = |(name, formula): (Name, &str)| {
        let array = json!({"description": format!("{name} = {formula}"), "$ref": "#/$defs/array"});
        (name.to_string(), array)
    };
    let of_layer = |spec: &&'static LayerSpec| {
        let results = outputs(spec).chain(spec.gradients()).map(described);
        let jacobians = spec.gradients().map(|(name, _)| (jacobian_name(spec, &name).to_string(), reference("array")));
        (spec.name.to_owned(), object(results.chain(jacobians)))
    };
    let names = LAYERS.iter().flat_map(|spec| outputs(spec).chain(spec.gradients()).map(|(name, _)| name));
    let names: Vec<Name> = names.collect();
    let jacobians = LAYERS.iter().flat_map(|spec| spec.gradients().map(|(name, _)| jacobian_name(spec, &name)));
    let layer = arrays(names.iter().chain(&jacobians.collect::<Vec<_>>()));
    if let Some(Value::Object(of_error)) = parse(ERROR).remove("$defs") {
        definitions(schema).extend(of_error);
    }
    complete_error(schema);
    let definitions = definitions(schema);
    definitions.extend(LAYERS.iter().map(of_layer));
    definitions.insert("layer".to_owned(), layer);
}

/// Adds the forms of arrays that programs send and receive.
fn complete_reply(schema: &mut Map<String, Value>) {
    add_definitions(schema, ARRAYS);
    add_definitions(schema, BASE64);
}

fn complete_error(schema: &mut Map<String, Value>) {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let code = json!({"description": "the broken rule; later versions add codes", "enum": codes});
    definitions(schema).insert("code".to_owned(), code);
}

/// The parts in which the schemas of tapes and of networks differ.
struct ChainForm {
    title: &'static str,
    description: &'static str,
    has_values: bool,
}

const TAPE: ChainForm = ChainForm {
    title: "Tape",
    description: "A chain of layers with the inputs and outputs of each, as --tape writes it.",
    has_values: true,
};

const NETWORK: ChainForm = ChainForm {
    title: "Network",
    description: "A chain of layers without saved values, as net --init and train write it and net reads it.",
    has_values: false,
};

fn complete_chain(schema: &mut Map<String, Value>, form: &ChainForm) {
    add_definitions(schema, ARRAYS);
    schema.insert("title".to_owned(), json!(form.title));
    schema.insert("description".to_owned(), json!(form.description));
    let stage = |spec: &&'static LayerSpec| {
        let slots = || spec.slots.iter().map(|slot| &slot.name);
        let named = |value: Value| object(slots().map(|name| (name.to_string(), value.clone())));
        let mut properties = Map::new();
        properties.insert("kind".to_owned(), json!({"const": spec.name}));
        properties.insert("settings".to_owned(), settings_schema(spec));
        if form.has_values {
            properties.insert("params".to_owned(), arrays(slots()));
            properties.insert("inputs".to_owned(), named(json!({"anyOf": [reference("array"), reference("from")]})));
            let outputs: Vec<Name> = outputs(spec).map(|(name, _)| name).collect();
            let gradients: Vec<Name> = spec.gradients().map(|(name, _)| name).collect();
            properties.insert("outputs".to_owned(), arrays(&outputs));
            properties.insert("gradients".to_owned(), arrays(&gradients));
        } else {
            let file = json!({"description": "path of a file, from the folder of the network", "type": "string"});
            properties.insert("params".to_owned(), named(json!({"anyOf": [reference("array"), file]})));
            properties.insert("inputs".to_owned(), named(reference("from")));
        }
        (spec.name.to_owned(), json!({"type": "object", "properties": properties}))
    };
    let kinds: Vec<&str> = LAYERS.iter().map(|spec| spec.name).collect();
    let by_kind = |kind: &&str| {
        json!({
            "if": {"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": reference(kind),
        })
    };
    let mut properties = Map::new();
    properties.insert("kind".to_owned(), json!({"description": "the command of the layer", "enum": kinds}));
    let name = json!({"description": "unique in the chain; by default the kind and a number", "type": "string"});
    properties.insert("name".to_owned(), name);
    properties.insert("moments".to_owned(), reference("moments"));
    let own: &[&str] = if form.has_values {
        &["settings", "params", "inputs", "outputs", "gradients"]
    } else {
        &["settings", "params", "inputs"]
    };
    properties.extend(own.iter().map(|key| ((*key).to_owned(), json!({"type": "object"}))));
    let required: &[&str] = if form.has_values { &["kind", "inputs", "outputs"] } else { &["kind"] };
    let layer = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "allOf": kinds.iter().map(by_kind).collect::<Vec<_>>(),
    });
    let definitions = definitions(schema);
    definitions.extend(LAYERS.iter().map(stage));
    definitions.insert("layer".to_owned(), layer);
}

fn complete_request(schema: &mut Map<String, Value>) {
    complete_reply(schema);
    let names = LAYERS.iter().map(|spec| spec.name).chain([CUSTOM]);
    let layer = json!({"description": "the layer to compute", "enum": names.collect::<Vec<_>>()});
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("layer".to_owned(), layer);
    }
    let by_layer = |spec: &&'static LayerSpec| {
        json!({
            "if": {"properties": {"layer": {"const": spec.name}}},
            "then": {"properties": {"settings": reference(spec.name)}},
        })
    };
    schema.insert("allOf".to_owned(), LAYERS.iter().map(by_layer).collect());
    definitions(schema).extend(LAYERS.iter().map(|spec| (spec.name.to_owned(), settings_schema(spec))));
}

fn complete_vectors(schema: &mut Map<String, Value>) {
    add_definitions(schema, ARRAYS);
    let names: Vec<&str> = LAYERS.iter().map(|spec| spec.name).collect();
    let of_layer = |spec: &&'static LayerSpec| {
        let outputs: Vec<Name> = outputs(spec).map(|(name, _)| name).collect();
        let gradients: Vec<Name> = spec.gradients().map(|(name, _)| name).collect();
        let properties = [
            ("settings", settings_schema(spec)),
            ("inputs", arrays(spec.slots.iter().map(|slot| &slot.name))),
            ("outputs", arrays(&outputs)),
            ("gradients", arrays(&gradients)),
        ];
        json!({
            "if": {"type": "object", "properties": {"layer": {"const": spec.name}}},
            "then": object(properties.map(|(key, value)| (key.to_owned(), value))),
        })
    };
    let by_layer: Vec<Value> = LAYERS.iter().map(of_layer).collect();
    let definitions = definitions(schema);
    definitions.insert("layer".to_owned(), json!({"enum": names}));
    if let Some(vector) = definitions.get_mut("vector") {
        vector["allOf"] = by_layer.into();
    }
}

/// Returns the schema of the settings of a layer, by the names of its options.
fn settings_schema(spec: &LayerSpec) -> Value {
    object(spec.settings.iter().map(|setting| (setting.name.to_owned(), setting_schema(setting))))
}

fn setting_schema(setting: &Setting) -> Value {
    let integers = json!({"type": "array", "items": {"type": "integer"}});
    let mut schema = match setting.kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Number(_) => reference("number"),
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Integers => integers,
        Kind::IntegerRows(words) => json!({"anyOf": [{"type": "array", "items": integers}, {"enum": words}]}),
    };
    schema["description"] = json!(setting.doc);
    schema
}
