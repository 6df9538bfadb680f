//! One record of a stream through a layer or a network: from a line of JSON to a line of results.

use super::stream::{Each, Spot};
use crate::core::error::{Code, Error, Fact, Note, Place, Severity, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::json::{Carried, KeyUse, Line, parse_line};
use crate::format::json::{Node, push_number, push_row, write_value};
use crate::format::{escape, sanitize};
use crate::layer::{AnyLayer, Role, Setting};
use crate::operand::{Operand, Operands, Origin};
use crate::run::dout::Dout;
use crate::run::operands::{is_near, unused_key};
use ndarray::ArrayD;
use std::collections::HashMap;
use subject::{About, Engine, Subject};

mod alike;
mod network;
mod prepare;
mod subject;

/// What all records have in common: the operands and settings that options give, and where the others come from.
pub(super) struct Records {
    subject: Subject,
    given: Operands,
    /// The operands that records give.
    open: Vec<Open>,
    dout: Upstream,
    /// The settings that records may give, each with the place of its key.
    open_settings: Vec<(&'static Setting, usize)>,
    /// The keys that are read, each with its place.
    keys: Vec<String>,
    only: Option<Vec<String>>,
    strict: bool,
}

/// An operand that records give.
struct Open {
    name: Name,
    role: Role,
    doc: &'static str,
    shape: &'static str,
    optional: bool,
    key: Key,
}

/// Where in a record: the first of these keys that is there, and a pointer below it.
struct Key {
    places: Vec<usize>,
    below: String,
    /// Whether an option names it.
    named: bool,
}

/// The upstream gradient.
enum Upstream {
    Unwanted,
    Ones,
    Given(Operand),
    /// A record's; where it has none, and `required` is false, ones.
    Record {
        key: Key,
        required: bool,
    },
}

/// What a thread keeps from record to record.
pub(super) struct Worker {
    engine: Engine,
    at: Tensors<f64>,
    /// Each operand that the record gave.
    served: Vec<Served>,
    /// For keys that were carried before, the operand that they are nearly the name of.
    nearly: HashMap<String, Option<Name>>,
}

/// An operand that a record gave, and the key that did; none where the record is nothing else.
struct Served {
    name: Name,
    place: Option<usize>,
}

impl Records {
    /// What becomes of a key: it is read; carried, also where only a part of it is read; or left out, where it has
    /// the name of a result.
    fn what(&self, key: &str) -> KeyUse {
        let take = self.keys.iter().position(|known| known == key);
        let result = self.subject.gives(key);
        let in_part = |place: usize| self.read().any(|key| key.places.contains(&place) && !key.below.is_empty());
        KeyUse { slot: take, is_carried: !result && take.is_none_or(in_part) }
    }

    /// Where records are read.
    fn read(&self) -> impl Iterator<Item = &Key> {
        let dout = match &self.dout {
            Upstream::Record { key, .. } => Some(key),
            _ => None,
        };
        self.open.iter().map(|open| &open.key).chain(dout)
    }

    /// The value that a key leads to, and the place of the key.
    fn find(&self, key: &Key, taken: &mut Taken) -> Option<(Result<ArrayD<f64>, Error>, usize)> {
        let place = key.places.iter().copied().find(|place| taken.values[*place].is_some())?;
        let node = taken.values[place].take()?;
        // A key that two operands read stays where it is.
        if !key.below.is_empty() || self.read().filter(|key| key.places.contains(&place)).count() > 1 {
            let value = node.find(&key.below).and_then(|node| node.matrix(&self.pointer(place, key)));
            taken.values[place] = Some(node);
            return Some((value, place));
        }
        Some((self.matrix(node, place, key), place))
    }

    fn matrix(&self, node: Node, place: usize, key: &Key) -> Result<ArrayD<f64>, Error> {
        match node {
            Node::Numbers(numbers) => Ok(numbers),
            Node::Number(number) => Ok(ndarray::arr0(number).into_dyn()),
            other => other.matrix(&self.pointer(place, key)),
        }
    }

    fn pointer(&self, place: usize, key: &Key) -> String {
        format!("/{}{}", escape(&self.keys[place]), key.below)
    }

    /// The pointer to an operand that the record gave.
    fn pointer_of(&self, name: &Name, served: &[Served]) -> Option<String> {
        let served = served.iter().find(|served| served.name == *name)?;
        let Some(place) = served.place else { return Some(String::new()) };
        let key = match &self.dout {
            Upstream::Record { key, .. } if *name == Name::DOUT => Some(key),
            _ => self.open.iter().find(|open| open.name == *name).map(|open| &open.key),
        };
        key.map(|key| self.pointer(place, key))
    }

    /// Fills the operands that the record gives; whether x is its y.
    fn fill(&self, worker: &mut Worker, taken: &mut Taken) -> Result<bool, Error> {
        let mut x_was_y = false;
        let required = self.open.iter().filter(|open| !open.optional).count();
        for open in &self.open {
            let bare = if open.optional || required > 1 { None } else { taken.bare.take() };
            let (value, place) = match (bare, self.find(&open.key, taken)) {
                (Some(node), _) => (node.into_matrix(""), None),
                (None, Some((value, place))) => (value, Some(place)),
                (None, None) => {
                    worker.at.take(&open.name);
                    if open.optional {
                        continue;
                    }
                    return Err(self.absent(open, required, taken));
                }
            };
            worker.served.push(Served { name: open.name.clone(), place });
            worker.at.insert(open.name.clone(), value.map_err(|error| error.with_operand(&open.name))?);
            x_was_y |= open.name == Name::X && open.key.places.get(1).is_some_and(|&y| place == Some(y));
        }
        Ok(x_was_y)
    }

    fn absent(&self, open: &Open, required: usize, taken: &Taken) -> Error {
        if taken.bare.is_some() && required > 1 {
            let names = self.open.iter().filter(|open| !open.optional).map(|open| format!("--{}", open.name));
            let names: Vec<String> = names.collect();
            return Error::new(Code::OperandMissing, format!("is one matrix, and {} are open", names.join(" and ")))
                .with_operand(&open.name)
                .tip("a record that gives several operands is an object with a key for each");
        }
        if open.key.named {
            return self.key_missing(&open.key).with_operand(&open.name);
        }
        Error::new(Code::OperandMissing, format!("is not given: {}, {}", open.doc, open.shape))
            .with_operand(&open.name)
            .tip(format!("each record needs it as a key, or --{0} -#/KEY takes another key", open.name))
    }

    fn key_missing(&self, key: &Key) -> Error {
        let name = key.places.first().map_or("", |place| self.keys[*place].as_str());
        Error::new(Code::KeyMissing, format!("the record has no /{}", sanitize(&escape(name))))
            .tip("--keep-going leaves such records out and says so in their place")
    }

    /// The upstream gradient for an output of this shape; `served_by` becomes the place of the key that gives it.
    fn upstream_of(
        &self,
        shape: &[usize],
        taken: &mut Taken,
        served_by: &mut Option<usize>,
    ) -> Result<Option<ArrayD<f64>>, Error> {
        let fitted = |value| Dout::new(self.subject.spec(), shape, value, false).map(|dout| Some(dout.into_array()));
        match &self.dout {
            Upstream::Unwanted => Ok(None),
            Upstream::Ones => Ok(Some(Dout::ones(shape).into_array())),
            Upstream::Given(operand) => fitted(operand.value.clone()),
            Upstream::Record { key, required } => match self.find(key, taken) {
                Some((value, place)) => {
                    *served_by = Some(place);
                    fitted(value.map_err(|error| error.with_operand(&Name::DOUT))?)
                }
                None if *required => {
                    Err(Error::new(Code::KeyMissing, "the record does not have the key that is named")
                        .with_operand(&Name::DOUT)
                        .tip("leave --dout out for ones, or name a key that each record has"))
                }
                None => Ok(Some(Dout::ones(shape).into_array())),
            },
        }
    }

    /// The layer, where the record has settings of its own.
    fn own_layer(&self, taken: &mut Taken) -> Result<Option<Box<dyn AnyLayer>>, Error> {
        let Subject::Layer(layer) = &self.subject else { return Ok(None) };
        let mut settings = None;
        for (setting, place) in &self.open_settings {
            if let Some(node) = taken.values[*place].take() {
                let text = node.word().unwrap_or_else(|| "that".to_owned());
                settings.get_or_insert_with(|| layer.settings.clone()).set(setting.name, setting.parse(&text)?);
            }
        }
        settings.map(|settings| (layer.spec.build)(&settings)).transpose()
    }

    fn compute(
        &self,
        worker: &mut Worker,
        mut taken: Taken,
        carried: &[Carried<'_>],
        out: &mut Vec<u8>,
    ) -> Result<Vec<Note>, Error> {
        let own = self.own_layer(&mut taken)?;
        let x_was_y = self.fill(worker, &mut taken)?;
        let Worker { engine, at, served, .. } = &mut *worker;
        let mut dout_from = None;
        let about = About {
            new: &|name| served.iter().any(|served| served.name == *name),
            rounding: &|name| self.given.rounding(name),
            x_was_y,
        };
        let upstream = |shape: &[usize]| self.upstream_of(shape, &mut taken, &mut dout_from);
        let ran = engine.run(&self.subject, own.as_deref(), at, &about, upstream);
        served.extend(dout_from.map(|place| Served { name: Name::DOUT, place: Some(place) }));
        let (results, mut notes) = ran?;
        notes.extend(self.near_misses(worker, carried));
        if let Some(warning) = notes.iter().find(|note| self.strict && note.severity == Severity::Warning) {
            return Err(warning.error.clone());
        }
        self.write(&results, carried, out)?;
        Ok(notes)
    }

    /// Whether a result is shown.
    fn shows(&self, name: &Name) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|only| only == name.as_str()))
    }

    fn write(&self, results: &[(Name, ArrayD<f64>)], carried: &[Carried<'_>], out: &mut Vec<u8>) -> Result<(), Error> {
        let missing = |name: &&String| !results.iter().any(|(known, _)| known.as_str() == **name);
        if let Some(name) = self.only.iter().flatten().find(missing) {
            return Err(no_result(name, &results.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()));
        }
        let mut mark = b'{';
        for Carried { key_text, value_text, .. } in carried {
            out.push(std::mem::replace(&mut mark, b','));
            out.extend_from_slice(key_text);
            out.push(b':');
            out.extend_from_slice(value_text);
        }
        for (name, value) in results {
            if !self.shows(name) {
                continue;
            }
            out.push(std::mem::replace(&mut mark, b','));
            out.push(b'"');
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b"\":");
            match (value.ndim(), value.as_slice()) {
                (0, Some(value)) => value.iter().for_each(|&value| push_number(value, out)),
                (1, Some(row)) => push_row(row, out),
                // Memory takes what a stream might not.
                _ => drop(write_value(value, out)),
            }
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    /// Warnings for carried keys that are nearly the name of an operand that nobody gave.
    fn near_misses(&self, worker: &mut Worker, carried: &[Carried<'_>]) -> Vec<Note> {
        let Worker { served, nearly, .. } = worker;
        let mut absent =
            self.open.iter().filter(|open| !served.iter().any(|served| served.name == open.name)).peekable();
        if absent.peek().is_none() {
            return Vec::new();
        }
        let absent: Vec<&Name> = absent.map(|open| &open.name).collect();
        // Records of one kind have the same keys; those that all have others are not remembered.
        if nearly.len() > 100 {
            nearly.clear();
        }
        let mut notes = Vec::new();
        for Carried { key, .. } in carried {
            if !nearly.contains_key(&**key) {
                let name = absent.iter().find(|name| is_near(key, name.as_str())).map(|name| (*name).clone());
                nearly.insert(key.to_string(), name);
            }
            if let Some(Some(name)) = nearly.get(&**key) {
                notes.push(Note::warning(unused_key(&sanitize(key), name)));
            }
        }
        notes
    }

    /// Says where in the record, or in which, something is wrong.
    fn at(&self, error: Error, served: &[Served], spot: &Spot<'_>) -> Error {
        let pointer = |name: &Name| self.pointer_of(name, served);
        let facts = error.facts.iter().filter_map(|fact| match fact {
            Fact::Shape(name, sides) if pointer(name).is_some() => {
                Some(Fact::Text(format!("{name} is {}, from {}", format_shape(sides), spot.name())))
            }
            Fact::Shape(name, sides) => {
                let label = self.given.origin(name).and_then(Origin::label)?;
                Some(Fact::Text(format!("{name} is {}, from {label}", format_shape(sides))))
            }
            text @ Fact::Text(_) => Some(text.clone()),
        });
        let facts = facts.collect();
        let error = error.update(|said| said.facts = facts);
        let Some(name) = &error.operand else {
            return match self.subject.label() {
                Some(label) => error.with_origin(label).in_record(spot.file, spot.number),
                None => spot.inside(error, ""),
            };
        };
        if let Some(pointer) = pointer(name) {
            let steps = match &error.at {
                Some(Place::Index(at)) => at.iter().map(|step| format!("/{step}")).collect(),
                _ => String::new(),
            };
            let pointer = format!("{pointer}{steps}");
            return spot.inside(error, &pointer);
        }
        match self.given.origin(name) {
            Some(origin) => {
                origin.label().map_or(error.clone(), |label| error.with_origin(label)).in_record(spot.file, spot.number)
            }
            None => spot.inside(error, ""),
        }
    }
}

impl Each for Records {
    type Worker = Worker;

    fn worker(&self) -> Result<Worker, Error> {
        Ok(Worker { engine: self.engine()?, at: self.given.values.clone(), served: Vec::new(), nearly: HashMap::new() })
    }

    fn record(&self, worker: &mut Worker, spot: &Spot<'_>, out: &mut Vec<u8>) -> Result<Vec<Note>, Error> {
        worker.served.clear();
        let read =
            parse_line(spot.text, self.keys.len(), |key| self.what(key)).map_err(|error| spot.inside(error, ""))?;
        let (taken, carried) = match read {
            Line::Record { values: taken, carried } => (Taken { values: taken, bare: None }, carried),
            Line::Bare(node) => (Taken { values: vec![None; self.keys.len()], bare: Some(node) }, Vec::new()),
        };
        let computed = self.compute(worker, taken, &carried, out);
        let notes = computed.map_err(|error| self.at(error, &worker.served, spot))?;
        let place = |note: Note| Note { error: self.at(note.error, &worker.served, spot), ..note };
        Ok(notes.into_iter().map(place).collect())
    }

    fn alike(&self, worker: &mut Worker, first: &[u8], rest: &[Spot<'_>], out: &mut Vec<u8>) -> Option<()> {
        self.together(worker, first, rest, out)
    }
}

/// What a record gave and nobody has taken yet.
struct Taken {
    values: Vec<Option<Node>>,
    bare: Option<Node>,
}

fn no_result(name: &str, there: &[&str]) -> Error {
    Error::new(Code::Usage, format!("there is no result {name}"))
        .with_operand(&Name::new("only"))
        .tip(format!("the results are {}", there.join(", ")))
}
