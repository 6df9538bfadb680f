//! Prints a program to start from: complete for some layers, and for all others with two functions to fill in.
//!
//! Lines of a template that begin with `@` direct what is printed:
//! - the lines from `@layer NAME` to the next `@layer` or `@end` are those of one layer, or of every `other` layer;
//! - the lines from `@each KIND` to `@end` are printed once for each item of that kind, such as an operand.
//!
//! Words between two `@` are replaced.

use super::gradcheck::CUSTOM;
use super::session::Streams;
use super::status::Status;
use crate::check::inputs::NamedShape;
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::layer::{LayerSpec, Slot};
use std::io::Write;

/// A template in a programming language.
pub(crate) struct Template {
    /// The value of `--template`.
    pub(crate) language: &'static str,
    text: &'static str,
}

/// A template for each language.
pub(crate) const TEMPLATES: &[Template] = &[
    Template { language: "python", text: include_str!("templates/python.txt") },
    Template { language: "numpy", text: include_str!("templates/numpy.txt") },
    Template { language: "c", text: include_str!("templates/c.txt") },
    Template { language: "cuda", text: include_str!("templates/cuda.txt") },
    Template { language: "js", text: include_str!("templates/js.txt") },
    Template { language: "rust", text: include_str!("templates/rust.txt") },
    Template { language: "go", text: include_str!("templates/go.txt") },
];

/// Arguments of `gradcheck --template`.
pub(crate) struct Arguments {
    pub(crate) template: &'static Template,
    /// The layer; `None` for a custom one.
    pub(crate) layer: Option<&'static LayerSpec>,
    /// Operands of a custom layer.
    pub(crate) shapes: Vec<NamedShape>,
}

/// Writes the program to standard output.
pub(crate) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let description = match arguments.layer {
        Some(spec) if arguments.shapes.is_empty() => LayerDescription::registered(spec),
        Some(spec) => return Err(refuse_shape(spec).into()),
        None => LayerDescription::custom(&arguments.shapes)?,
    };
    streams.out.write_all(render(arguments.template.text, &description).as_bytes())?;
    Ok(Status::Done)
}

fn refuse_shape(spec: &LayerSpec) -> Error {
    let names: Vec<&str> = spec.slots.iter().map(|slot| slot.name.as_str()).collect();
    let message = format!("names the operands of a custom layer; {} has its own: {}", spec.name, names.join(", "));
    Error::new(Code::Usage, message)
        .with_operand(&Name::new("shape"))
        .tip("leave it out, and give it when you check the program")
}

/// Words of a template, without their `@`, and the texts in their place.
type Words = Vec<(&'static str, String)>;

/// The layer that a program computes.
struct LayerDescription {
    /// The layer's name and other words that are the same everywhere.
    common: Words,
    /// Items of each kind, in the order of the registry.
    items: Vec<(&'static str, Words)>,
}

impl LayerDescription {
    fn registered(spec: &'static LayerSpec) -> LayerDescription {
        let mut description = LayerDescription::new(spec.name, spec.about, &spec.output, String::new());
        for slot in spec.slots {
            let note = if slot.optional { "; may be absent" } else { "" };
            description.add_input(&slot.name, format!("{}, {}{note}", slot.shape, slot.doc));
        }
        for setting in spec.settings {
            let doc = setting.doc.strip_prefix(&format!("{}: ", setting.name)).unwrap_or(setting.doc).to_owned();
            description.items.push(("setting", vec![("name", setting.name.to_owned()), ("doc", doc)]));
        }
        let settings: Vec<&str> = spec.settings.iter().map(|setting| setting.name).collect();
        if !settings.is_empty() {
            description.items.push(("settings", vec![("settings", settings.join(", "))]));
        }
        let find_slot = |name: &Name| spec.slots.iter().find(|slot| slot.name == *name);
        let first = spec.slots.first().map_or(Name::X, |slot| slot.name.clone());
        for (name, formula) in spec.outputs {
            description.add_result("output", name, &first, formula);
        }
        for (name, formula) in spec.gradients() {
            let slot = name.operand().as_ref().and_then(find_slot);
            let kind = if slot.is_some_and(|slot| slot.optional) { "optional-gradient" } else { "gradient" };
            // The gradient at the logits, which are no slot, has the shape of the first operand.
            description.add_result(kind, &name, slot.map_or(&first, |slot: &Slot| &slot.name), formula);
        }
        description
    }

    fn custom(shapes: &[NamedShape]) -> Result<LayerDescription, Error> {
        let Some((first, _)) = shapes.first() else {
            return Err(Error::new(Code::OperandMissing, "is required for the program of a custom layer")
                .with_operand(&Name::new("shape"))
                .tip("name its operands, with shapes to check it with: --shape q=4x3 k=5x3"));
        };
        let mut options = String::from(" --shape");
        for (name, lengths) in shapes {
            let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
            options.push_str(&format!(" {name}={}", lengths.join("x")));
        }
        let mut description = LayerDescription::new(CUSTOM, "a layer of your own", &Name::Y, options);
        for (name, shape) in shapes {
            if !name.as_str().chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
                let message =
                    format!("the name of an operand has letters, digits, _, - and ., got {:?}", name.as_str());
                return Err(Error::new(Code::Setting, message)
                    .with_operand(&Name::new("shape"))
                    .tip("use a name such as q, as in --shape q=4x3"));
            }
            description.add_input(name, format_shape(shape));
        }
        description.add_result("output", &Name::Y, first, "your formula");
        for (name, _) in shapes {
            description.add_result("gradient", &name.gradient(), name, &format!("∂/∂{name} of Σ dout·{}", Name::Y));
        }
        Ok(description)
    }

    fn new(layer: &str, about: &str, output: &Name, options: String) -> LayerDescription {
        let common = vec![
            ("layer", layer.to_owned()),
            ("file", layer.replace('-', "_")),
            ("about", about.to_owned()),
            ("options", options),
            ("upstream", output.to_string()),
        ];
        LayerDescription { common, items: Vec::new() }
    }

    fn add_input(&mut self, name: &Name, doc: String) {
        self.items.push(("input", vec![("name", name.to_string()), ("doc", doc)]));
    }

    /// Adds an output or gradient that has the shape of an operand until its formula is filled in.
    fn add_result(&mut self, kind: &'static str, name: &Name, operand: &Name, formula: &str) {
        let words = [("name", name.as_str()), ("operand", operand.as_str()), ("formula", formula)];
        self.items.push((kind, words.map(|(word, text)| (word, text.to_owned())).to_vec()));
    }
}

/// Returns the program that a template describes.
fn render(template: &str, description: &LayerDescription) -> String {
    let layer = description.common.first().map_or("", |(_, layer)| layer);
    let layer = if template.contains(&format!("@layer {layer}\n")) { layer } else { "other" };
    let mut program = String::new();
    let mut is_printed = true;
    let mut repeated: Option<(&str, String)> = None;
    for line in template.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("@layer ") {
            is_printed = name.trim_end() == layer;
        } else if let Some(kind) = line.strip_prefix("@each ") {
            repeated = Some((kind.trim_end(), String::new()));
        } else if line != "@end\n" {
            repeated.as_mut().map_or(&mut program, |(_, lines)| lines).push_str(if is_printed { line } else { "" });
        } else if let Some((kind, lines)) = repeated.take() {
            for (_, words) in description.items.iter().filter(|(known, _)| *known == kind) {
                program.push_str(&replace(&lines, words));
            }
        } else {
            is_printed = true;
        }
    }
    replace(&program, &description.common)
}

/// Returns the text with each word between two `@` replaced.
fn replace(text: &str, words: &Words) -> String {
    words.iter().fold(text.to_owned(), |text, (word, replacement)| text.replace(&format!("@{word}@"), replacement))
}
