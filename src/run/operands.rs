//! Operands and settings of a layer command, from options, standard input and a tape.

use super::layer_tape::{Connected, find_tape};
use super::request::{DoutOption, LayerRequest};
use crate::core::error::{Code, Error, Note, join_names};
use crate::core::name::{Name, edit_distance, find_key, fold_spelling};
use crate::format::{Selector, escape};
use crate::layer::{LayerSpec, Settings, Slot};
use crate::network::{Source, Tape, input_of};
use crate::operand::{OperandReader, Operands, stdin};

/// Operands and settings that have been read and not yet admitted.
pub(crate) struct Gathered {
    pub(crate) operands: Operands,
    pub(crate) settings: Settings,
    pub(crate) notes: Vec<Note>,
    /// True if x is the output of another layer.
    pub(crate) x_was_y: bool,
    /// The tape that the layer extends.
    pub(crate) tape: Option<Tape>,
    /// The operands that the tape provides.
    pub(crate) sources: Vec<(Name, Source)>,
}

/// Reads operands and settings.
pub(crate) fn gather(request: &LayerRequest, reader: &mut OperandReader<'_>) -> Result<Gathered, Error> {
    let (spec, settings) = (request.spec, request.settings.clone());
    let mut gathered = Gathered {
        operands: Operands::default(),
        settings,
        notes: Vec::new(),
        x_was_y: false,
        tape: None,
        sources: Vec::new(),
    };
    if let Some((tape, connected)) = find_tape(request, reader)? {
        gathered.tape = Some(tape);
        for Connected { name, source, operand } in connected {
            gathered.x_was_y |= name == *input_of(spec) && source != Source::Input;
            gathered.operands.insert(name.clone(), operand);
            gathered.sources.push((name, source));
        }
    }
    let connected: Vec<Name> = gathered.sources.iter().map(|(name, _)| name.clone()).collect();
    let slots = || spec.slots.iter().filter(|slot| !connected.contains(&slot.name));
    let missing: Vec<&Slot> =
        slots().filter(|slot| !slot.optional && !request.operands.contains_key(&slot.name)).collect();
    let piped = match missing.first() {
        None => Piped::default(),
        Some(slot) if !connected.is_empty() => {
            let fact = "a tape provides the output of its last layer, and those that options name: --x2 %affine1.y";
            return Err(missing_option(spec, slot).fact(fact));
        }
        Some(_) => Piped::read(spec, &missing, reader)?,
    };
    for slot in slots() {
        reader.reads_mask = slot.is_mask();
        let operand = if let Some(spec) = request.operands.get(&slot.name) {
            reader.read_spec(&slot.name, spec.clone(), &accepted_keys(slot))?
        } else if let Some(selector) = piped.selector(slot).filter(|key| !slot.optional || !reader.stdin_is_null(key)) {
            gathered.x_was_y |= slot.name == Name::X && piped.key(&Name::X).is_none() && piped.key(&Name::Y).is_some();
            reader.read_stdin(&selector, &[]).map_err(|error| error.with_operand(&slot.name))?
        } else if slot.optional {
            continue;
        } else {
            return Err(piped.missing_key(slot, &missing));
        };
        gathered.operands.insert(slot.name.clone(), operand);
    }
    reader.reads_mask = false;
    for setting in spec.settings {
        if request.settings.get(setting.name).is_none()
            && piped.has(setting.name)
            && let Some(text) = reader.stdin_setting(setting.name)
        {
            gathered.settings.set(setting.name, setting.parse(&text).map_err(|error| error.with_origin(stdin::LABEL))?);
        }
    }
    adopt_mask_kinds(spec, &gathered.operands, &mut gathered.settings);
    let is_null = |key: &str| reader.stdin_is_null(&key_selector(key));
    gathered.notes.extend(piped.near_misses(spec, &gathered.operands, is_null));
    if matches!(request.dout, DoutOption::Default)
        && !request.common.forward
        && let Some(selector) = piped.key(&Name::DOUT).map(key_selector).filter(|key| !reader.stdin_is_null(key))
    {
        let operand = reader.read_stdin(&selector, &[]).map_err(|error| error.with_operand(&Name::DOUT))?;
        gathered.operands.insert(Name::DOUT, operand);
    }
    Ok(gathered)
}

/// Sets the kind of masks that were stored as booleans, for layers that also read masks of numbers.
pub(crate) fn adopt_mask_kinds(spec: &LayerSpec, operands: &Operands, settings: &mut Settings) {
    for slot in spec.slots.iter().filter(|slot| slot.is_mask() && operands.is_boolean(&slot.name)) {
        let kind = spec.settings.iter().find(|setting| setting.name == format!("{}-kind", slot.name));
        let kind = kind.filter(|kind| settings.get(kind.name).is_none());
        kind.and_then(|kind| kind.parse("boolean").ok().map(|value| settings.set(kind.name, value)));
    }
}

/// Returns the keys of a document that may provide an operand: its name, and for x, or the first of several inputs, also the previous
/// layer's output.
pub(crate) fn accepted_keys(slot: &Slot) -> Vec<Name> {
    if slot.name == Name::X || slot.name == Name::X1 {
        vec![slot.name.clone(), Name::Y]
    } else {
        vec![slot.name.clone()]
    }
}

/// The part of standard input that operands without an option are read from.
#[derive(Default)]
struct Piped {
    has_been_read: bool,
    /// Keys of a document of named arrays.
    names: Option<Vec<String>>,
    /// The operand that an array without a name provides.
    bare: Option<Name>,
}

impl Piped {
    fn read(spec: &LayerSpec, missing: &[&Slot], reader: &mut OperandReader<'_>) -> Result<Piped, Error> {
        if !reader.stdin.is_piped() {
            return Err(missing_option(spec, missing[0]));
        }
        reader.stdin.refuse_blank(&missing[0].name)?;
        let names = reader.stdin_names().map_err(|error| error.with_operand(&missing[0].name))?;
        let bare = match (&names, missing) {
            (None, [slot]) => Some(slot.name.clone()),
            _ => None,
        };
        Ok(Piped { has_been_read: true, names, bare })
    }

    fn has(&self, key: &str) -> bool {
        self.names.as_ref().is_some_and(|names| names.iter().any(|name| name == key))
    }

    /// Returns the key of a value, in whatever case it is written.
    fn key(&self, name: &Name) -> Option<&str> {
        let names = self.names.as_ref()?;
        find_key(names, name.as_str()).map(|at| names[at].as_str())
    }

    fn selector(&self, slot: &Slot) -> Option<Selector> {
        if self.bare.as_ref() == Some(&slot.name) {
            return Some(Selector::Default);
        }
        accepted_keys(slot).iter().find_map(|name| self.key(name)).map(key_selector)
    }

    fn missing_key(&self, slot: &Slot, missing: &[&Slot]) -> Error {
        let error = required(slot);
        match &self.names {
            Some(names) => error
                .with_origin(stdin::LABEL)
                .fact(format!("standard input has the keys {}", join_names(names)))
                .tip(format!("use --{0} -#/KEY to read {0} from another key", slot.name)),
            None if self.has_been_read => {
                let names: Vec<String> = missing.iter().map(|slot| format!("--{}", slot.name)).collect();
                error
                    .fact(format!("standard input holds one matrix, but {} are missing", names.join(" and ")))
                    .tip("give all but one as options, or pipe one object with a key for each")
            }
            None => error,
        }
    }

    /// Returns warnings for keys that are nearly the name of an operand that nothing provides.
    fn near_misses(&self, spec: &LayerSpec, operands: &Operands, is_null: impl Fn(&str) -> bool) -> Vec<Note> {
        let absent = || spec.slots.iter().map(|slot| &slot.name).filter(|name| operands.values.get(name).is_none());
        let names = self.names.iter().flatten().filter(|key| !is_null(key));
        names
            .filter_map(|key| absent().find(|name| is_near(key, name.as_str())).map(|name| (key, name)))
            .map(|(key, name)| Note::warning(unused_key(key, name).with_origin(stdin::LABEL)))
            .collect()
    }
}

fn key_selector(key: &str) -> Selector {
    Selector::parse(&format!("/{}", escape(key)))
}

/// Returns true if a key is nearly a name, but not the name itself.
pub(crate) fn is_near(key: &str, name: &str) -> bool {
    key != name
        && (fold_spelling(key) == fold_spelling(name)
            || (name.len() > 2
                && edit_distance(key, name).is_some_and(|distance| distance <= 2 && 2 * distance < name.len())))
}

/// Returns the warning for such a key.
pub(crate) fn unused_key(key: &str, name: &Name) -> Error {
    Error::new(Code::UnknownKey, format!("unknown key `{key}`; did you mean `{name}`?"))
        .tip(format!("use --{name} -#/{key} to read it as {name}"))
}

/// Returns the error for a required operand that nothing provides.
pub(crate) fn required(slot: &Slot) -> Error {
    Error::new(Code::OperandMissing, format!("is required: {}, {}", slot.doc, slot.shape)).with_operand(&slot.name)
}

fn missing_option(spec: &LayerSpec, slot: &Slot) -> Error {
    required(slot)
        .fact(format!("usage: {}", usage(spec)))
        .fact(format!("example: {}", spec.examples[0].command))
        .tip(format!("see nnlayer {} --help; a JSON object with these keys can be piped in", spec.name))
}

/// Number of columns of the command line of a layer, which leaves room for `Usage:` and `[OPTIONS]`.
const USAGE_COLUMNS: usize = 62;

/// Returns the command line of a layer with its operands: `nnlayer affine --x X --w W [--b B]`. Optional operands are left out of a
/// line that would be too long.
pub(crate) fn usage(spec: &LayerSpec) -> String {
    let operand = |slot: &Slot| {
        let option = format!("--{} {}", slot.name, slot.name.as_str().to_uppercase());
        if slot.optional { format!(" [{option}]") } else { format!(" {option}") }
    };
    let line = |slots: &mut dyn Iterator<Item = &Slot>| {
        format!("nnlayer {}{}", spec.name, slots.map(operand).collect::<String>())
    };
    let full = line(&mut spec.slots.iter());
    if full.len() < USAGE_COLUMNS { full } else { line(&mut spec.slots.iter().filter(|slot| !slot.optional)) }
}
