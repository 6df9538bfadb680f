//! The registry of layers as JSON, for programs that offer the layers to a person.

use super::numbers::write_json;
use crate::layer::{Kind, LAYERS, LayerSpec, Precision, Role, Setting, Slot, Values, elsewhere};
use serde_json::{Value, json};
use std::io;

/// Writes every layer with its operands, settings, results and examples as one object.
pub fn write(pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let object = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "precisions": Precision::ALL.map(Precision::name),
        "layers": LAYERS.iter().map(|spec| layer_to_json(spec)).collect::<Vec<_>>(),
    });
    write_json(&object, pretty, out)
}

fn layer_to_json(spec: &LayerSpec) -> Value {
    let results = spec.results().map(
        |(name, formula)| json!({ "name": name.as_str(), "formula": formula, "is_gradient": spec.is_gradient(&name) }),
    );
    let others = elsewhere(spec.name).iter().map(
        |other| json!({ "library": other.library, "call": other.call, "options": other.options, "note": other.note }),
    );
    json!({
        "name": spec.name,
        "about": spec.about,
        "output": spec.output.as_str(),
        "operands": spec.slots.iter().map(operand_to_json).collect::<Vec<_>>(),
        "settings": spec.settings.iter().map(setting_to_json).collect::<Vec<_>>(),
        "results": results.collect::<Vec<_>>(),
        "examples": spec.examples.iter().map(|example| example.command).collect::<Vec<_>>(),
        "elsewhere": others.collect::<Vec<_>>(),
        "source": spec.source,
    })
}

fn operand_to_json(slot: &Slot) -> Value {
    let role = match slot.role {
        Role::Input => "input",
        Role::Parameter => "parameter",
        Role::Target => "target",
        Role::Constant => "constant",
    };
    let values = match slot.values {
        Values::Numbers => "numbers",
        Values::Indices(_) => "indices",
        Values::Mask => "mask",
    };
    json!({
        "name": slot.name.as_str(),
        "role": role,
        "values": values,
        "shape": slot.shape,
        "optional": slot.optional,
        "gradient": slot.gradient.map(|_| slot.name.gradient().as_str().to_owned()),
        "about": slot.doc,
    })
}

fn setting_to_json(setting: &Setting) -> Value {
    let (kind, words): (&str, &[&str]) = match setting.kind {
        Kind::Flag => ("flag", &[]),
        Kind::Integer => ("integer", &[]),
        Kind::Number(_) => ("number", &[]),
        Kind::Choice(words) => ("choice", words),
        Kind::Integers => ("integers", &[]),
        Kind::IntegerRows(words) => ("integer-rows", words),
    };
    json!({ "name": setting.name, "kind": kind, "words": words, "about": setting.doc })
}
