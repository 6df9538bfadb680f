//! Operands and settings of a layer, from options and from standard input.

use super::tape;
use crate::core::error::{Code, Error, Note, edit_distance, join_names};
use crate::core::name::Name;
use crate::format::Selector;
use crate::layer::{Kind, LayerSpec, Settings, Slot};
use crate::network::{Tape, input_of};
use crate::operand::{OperandReader, Operands, stdin};
use clap::ArgMatches;

/// Operands and settings, from options and from standard input.
pub(super) struct Gathered {
    pub(super) operands: Operands,
    pub(super) settings: Settings,
    pub(super) notes: Vec<Note>,
    pub(super) x_was_y: bool,
    /// The tape that the layer goes to the end of.
    pub(super) tape: Option<Tape>,
}

pub(super) fn gather(
    spec: &'static LayerSpec,
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
) -> Result<Gathered, Error> {
    let settings = settings(spec, matches)?;
    let mut given = Gathered { operands: Operands::default(), settings, notes: Vec::new(), x_was_y: false, tape: None };
    let mut fed = false;
    if let Some((tape, input)) = tape::wanted(spec, matches, reader)? {
        fed = input.is_some();
        input.into_iter().for_each(|input| tape::feed(spec, &mut given, input));
        given.tape = Some(tape);
    }
    let open = |slot: &&Slot| {
        matches.get_one::<String>(slot.name.as_str()).is_none() && !(fed && slot.name == *input_of(spec))
    };
    let missing: Vec<&Slot> = spec.slots.iter().filter(open).filter(|slot| !slot.optional).collect();
    let piped = match missing.first() {
        None => Piped::default(),
        Some(slot) if fed => {
            return Err(
                operand_missing(spec, slot).fact("a tape gives the output of the layer before, and nothing else")
            );
        }
        Some(_) => Piped::look(spec, &missing, reader)?,
    };
    for slot in spec.slots.iter().filter(|slot| !(fed && slot.name == *input_of(spec))) {
        if let Some(text) = matches.get_one::<String>(slot.name.as_str()) {
            let operand = reader.read(&slot.name, text, &stand_ins(slot))?;
            given.operands.insert(slot.name.clone(), operand);
        } else if let Some(key) = piped.key(slot) {
            given.x_was_y |= slot.name == Name::X && key == Some(Name::Y);
            let selector = key.map_or(Selector::Default, |key| Selector::parse(key.as_str()));
            let operand = reader.read_stdin(&selector, &[]).map_err(|error| error.with_operand(&slot.name))?;
            given.operands.insert(slot.name.clone(), operand);
        } else if !slot.optional {
            return Err(piped.without(slot, &missing));
        }
    }
    for setting in spec.settings.iter().filter(|setting| given.settings.get(setting.name).is_none()).collect::<Vec<_>>()
    {
        if let (true, Some(text)) = (piped.has(setting.name), reader.stdin_setting(setting.name)) {
            given.settings.set(setting.name, setting.read(&text).map_err(|error| error.with_origin(stdin::LABEL))?);
        }
    }
    given.notes.extend(piped.near_misses(spec, &given));
    if matches.get_one::<String>("dout").is_none() && !matches.get_flag("forward") && piped.has("dout") {
        let operand =
            reader.read_stdin(&Selector::parse("dout"), &[]).map_err(|error| error.with_operand(&Name::DOUT))?;
        given.operands.insert(Name::DOUT, operand);
    }
    Ok(given)
}

/// The settings that options give.
pub(super) fn settings(spec: &'static LayerSpec, matches: &ArgMatches) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    for setting in spec.settings {
        let text = match setting.kind {
            Kind::Flag => matches.get_flag(setting.name).then(|| "true".to_owned()),
            _ => matches.get_one::<String>(setting.name).cloned(),
        };
        if let Some(text) = text {
            settings.set(setting.name, setting.read(&text)?);
        }
    }
    Ok(settings)
}

/// The keys that may stand for an operand in a document of names: its own, and the previous layer's output for x.
pub(super) fn stand_ins(slot: &Slot) -> Vec<Name> {
    if slot.name == Name::X { vec![Name::X, Name::Y] } else { vec![slot.name.clone()] }
}

/// What standard input offers to the operands that no option gave.
#[derive(Default)]
struct Piped {
    /// Whether standard input was looked at.
    read: bool,
    /// The keys of a document of names.
    names: Option<Vec<String>>,
    /// The one operand that a bare array goes to.
    bare: Option<Name>,
}

impl Piped {
    fn look(spec: &LayerSpec, missing: &[&Slot], reader: &mut OperandReader<'_>) -> Result<Piped, Error> {
        if !reader.stdin.is_piped() {
            return Err(operand_missing(spec, missing[0]));
        }
        let names = reader.stdin_names().map_err(|error| error.with_operand(&missing[0].name))?;
        let bare = match (&names, missing) {
            (None, [only]) => Some(only.name.clone()),
            _ => None,
        };
        Ok(Piped { read: true, names, bare })
    }

    fn has(&self, key: &str) -> bool {
        self.names.as_ref().is_some_and(|names| names.iter().any(|name| name == key))
    }

    /// The key that serves an operand, or all of standard input.
    #[allow(clippy::option_option)] // nothing, everything, or a key
    fn key(&self, slot: &Slot) -> Option<Option<Name>> {
        if self.bare.as_ref() == Some(&slot.name) {
            return Some(None);
        }
        stand_ins(slot).into_iter().find(|name| self.has(name.as_str())).map(Some)
    }

    fn without(&self, slot: &Slot, missing: &[&Slot]) -> Error {
        let error = Error::new(Code::OperandMissing, format!("is not given: {}, {}", slot.doc, slot.shape))
            .with_operand(&slot.name);
        match &self.names {
            Some(names) => error
                .with_origin(stdin::LABEL)
                .fact(format!("standard input has the keys {}", join_names(names)))
                .tip(format!("--{0} -#/KEY takes another key of it for {0}", slot.name)),
            None if self.read => {
                let names: Vec<String> = missing.iter().map(|slot| format!("--{}", slot.name)).collect();
                error
                    .fact(format!("standard input holds one matrix, and {} are open", names.join(" and ")))
                    .tip("give all but one as options, or pipe one object with a key for each")
            }
            None => error,
        }
    }

    /// Warnings for keys that are nearly an open operand's name.
    fn near_misses(&self, spec: &LayerSpec, given: &Gathered) -> Vec<Note> {
        let open: Vec<&str> = spec
            .slots
            .iter()
            .map(|slot| slot.name.as_str())
            .filter(|name| given.operands.values.get(&Name::new(*name)).is_none())
            .collect();
        let names = self.names.as_deref().unwrap_or_default();
        names
            .iter()
            .filter_map(|key| open.iter().find(|name| near(key, name)).map(|name| (key, name)))
            .map(|(key, name)| Note::warning(unused(key, &Name::new(*name)).with_origin(stdin::LABEL)))
            .collect()
    }
}

/// Whether a key is nearly a name, and not the name itself.
pub(super) fn near(key: &str, name: &str) -> bool {
    key != name
        && (key.eq_ignore_ascii_case(name)
            || (name.len() > 2 && edit_distance(key, name).is_some_and(|slips| slips <= 2)))
}

/// What is said of such a key.
pub(super) fn unused(key: &str, name: &Name) -> Error {
    Error::new(Code::UnknownKey, format!("the key {key} is not used: did you mean {name}?"))
        .tip(format!("--{name} -#/{key} takes it as it is"))
}

fn operand_missing(spec: &LayerSpec, slot: &Slot) -> Error {
    let required: Vec<String> =
        spec.slots.iter().filter(|slot| !slot.optional).map(|slot| format!("--{} MATRIX", slot.name)).collect();
    Error::new(Code::OperandMissing, format!("is not given: {}, {}", slot.doc, slot.shape))
        .with_operand(&slot.name)
        .fact(format!("usage: nnlayer {} {}", spec.name, required.join(" ")))
        .fact(format!("example: {}", spec.examples[0].command))
        .tip(format!("nnlayer {} --help explains each; a JSON object with these keys can be piped in", spec.name))
}
