//! What options say of all records, before the first is read.

use super::network::Network;
use super::subject::{Layer, Subject};
use super::{Key, Open, Records, Upstream, no_result};
use crate::cli::layer::settings;
use crate::cli::text_of;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::{Selector, unescape};
use crate::layer::{LayerSpec, ScalarDout, Slot};
use crate::network;
use crate::network::{Stage, Tape};
use crate::operand::grammar;
use crate::operand::grammar::OperandSpec;
use crate::operand::{OperandReader, Operands, Origin};
use crate::run::operands::accepted_keys;
use crate::run::request::Request;
use clap::ArgMatches;

impl Records {
    /// Records for a layer: reads what the options give.
    pub(in crate::cli) fn of_layer(
        spec: &'static LayerSpec,
        matches: &ArgMatches,
        request: &Request,
        reader: &mut OperandReader<'_>,
    ) -> Result<Records, Error> {
        let settings = settings(spec, matches)?;
        // What is wrong with them is said before the first record.
        (spec.build)(&settings)?;
        let open: Vec<_> = spec.settings.iter().filter(|setting| settings.get(setting.name).is_none()).collect();
        let mut records = Records::new(Subject::Layer(Layer { spec, settings, precision: request.precision }), request);
        records.only.clone_from(&request.only);
        records.only.iter().flatten().try_for_each(|name| records.admit_name(spec, name))?;
        records.read_operands(spec.slots, request.needs_gradients(spec), matches, reader)?;
        for setting in open {
            let place = records.place(setting.name);
            records.open_settings.push((setting, place));
        }
        Ok(records)
    }

    /// Records for a network that was read from `label`.
    pub(in crate::cli) fn of_network(
        tape: Tape,
        label: &str,
        matches: &ArgMatches,
        request: &Request,
        reader: &mut OperandReader<'_>,
    ) -> Result<Records, Error> {
        if text_of(matches, Name::T.as_str()).is_some() && !tape.stages.iter().any(Stage::has_target) {
            return Err(network::unused_targets());
        }
        let network = Network::new(tape, label, request)?;
        let (slots, backward) = (network.slots(), network.backward());
        let mut records = Records::new(Subject::Network(Box::new(network)), request);
        records.read_operands(&slots, backward, matches, reader)?;
        Ok(records)
    }

    fn new(subject: Subject, request: &Request) -> Records {
        Records {
            subject,
            given: Operands::default(),
            open: Vec::new(),
            dout: Upstream::Unwanted,
            open_settings: Vec::new(),
            keys: Vec::new(),
            only: None,
            strict: request.strict,
        }
    }

    fn read_operands(
        &mut self,
        slots: &[Slot],
        backward: bool,
        matches: &ArgMatches,
        reader: &mut OperandReader<'_>,
    ) -> Result<(), Error> {
        for slot in slots {
            let text = text_of(matches, slot.name.as_str());
            let (key, said) = match text.map(|text| selector(&slot.name, text)).transpose()? {
                Some(None) => {
                    let operand = reader.read(&slot.name, text.unwrap_or_default(), &accepted_keys(slot))?;
                    self.given.insert(slot.name.clone(), operand);
                    continue;
                }
                Some(Some(selector)) => (self.key(&accepted_keys(slot), &selector), true),
                None => (self.key(&accepted_keys(slot), &Selector::Default), false),
            };
            let (name, optional) = (slot.name.clone(), slot.optional && !said);
            self.open.push(Open { name, role: slot.role, doc: slot.doc, shape: slot.shape, optional, key });
        }
        if backward {
            self.dout = self.upstream(text_of(matches, Name::DOUT.as_str()), reader)?;
        }
        Ok(())
    }

    fn admit_name(&self, spec: &LayerSpec, name: &str) -> Result<(), Error> {
        let there: Vec<Name> = spec.results().map(|(name, _)| name).collect();
        let there: Vec<&str> = there.iter().map(Name::as_str).collect();
        if there.contains(&name) || name == Name::DIVISOR.as_str() {
            return Ok(());
        }
        Err(no_result(name, &there))
    }

    fn upstream(&mut self, text: Option<&str>, reader: &mut OperandReader<'_>) -> Result<Upstream, Error> {
        let own = [Name::DOUT];
        let Some(text) = text else {
            return Ok(Upstream::Record { key: self.key(&own, &Selector::Default), required: false });
        };
        if text == "ones" {
            return Ok(Upstream::Ones);
        }
        if let Some(selector) = selector(&Name::DOUT, text)? {
            return Ok(Upstream::Record { key: self.key(&own, &selector), required: true });
        }
        let operand = reader.read(&Name::DOUT, text, &own)?;
        let typed = operand.value.ndim() == 0 && operand.origin == Origin::Typed;
        if typed && matches!(self.subject.spec().scalar_dout, ScalarDout::LocalFactors(_)) {
            return Err(Error::new(
                Code::LocalFactors,
                format!("the number {} scales local factors, and records are given gradients", text.trim()),
            )
            .with_operand(&Name::DOUT)
            .tip("--dout ones gives the gradients of L = Σy"));
        }
        Ok(Upstream::Given(operand))
    }

    /// The place of a key that is read.
    fn place(&mut self, key: &str) -> usize {
        self.keys.iter().position(|known| known == key).unwrap_or_else(|| {
            self.keys.push(key.to_owned());
            self.keys.len() - 1
        })
    }

    fn key(&mut self, own: &[Name], selector: &Selector) -> Key {
        let Selector::Pointer(pointer) = selector else {
            let places = own.iter().map(|name| self.place(name.as_str())).collect();
            return Key { places, below: String::new(), named: false };
        };
        let inside = pointer.strip_prefix('/').unwrap_or(pointer);
        let (key, below) =
            inside.split_once('/').map_or((inside, String::new()), |(key, rest)| (key, format!("/{rest}")));
        Key { places: vec![self.place(&unescape(key))], below, named: true }
    }
}

/// What an option selects of each record; nothing where it names a value for all.
fn selector(name: &Name, text: &str) -> Result<Option<Selector>, Error> {
    Ok(match grammar::parse(text).map_err(|error| error.with_operand(name))? {
        OperandSpec::Stdin(selector) => Some(selector),
        _ => None,
    })
}
