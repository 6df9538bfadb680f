//! Decides from the options where each operand of a record comes from, before the first record is read.

use super::engine::Engine;
use super::layer::LayerEngine;
use super::network::NetworkEngine;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::json::KeyUse;
use crate::format::{Selector, escape, unescape};
use crate::layer::{ScalarDout, Setting, Slot};
use crate::network;
use crate::network::{Stage, Tape};
use crate::operand::grammar::OperandSpec;
use crate::operand::{Operand, OperandReader, Operands, Origin};
use crate::run::dout::local_factors_error;
use crate::run::operands::{accepted_keys, adopt_mask_kinds};
use crate::run::request::{DoutOption, LayerRequest, OperandSpecs, Request};

/// The engine that computes records, the operands that options give, and the keys of records that give the others.
pub(crate) struct RecordPlan {
    pub(super) engine: Box<dyn Engine>,
    pub(super) given: Operands,
    pub(super) record_operands: Vec<RecordOperand>,
    pub(super) dout: DoutSource,
    /// Settings that records may give, each with the index of its key.
    pub(super) record_settings: Vec<(&'static Setting, usize)>,
    /// Keys that are read.
    pub(super) keys: Vec<String>,
    pub(super) strict: bool,
}

/// An operand that records give.
pub(super) struct RecordOperand {
    pub(super) slot: Slot,
    pub(super) key: RecordKey,
}

/// Place of an operand in a record: the first of several keys that the record has, and a pointer inside its value.
pub(super) struct RecordKey {
    /// Indices of the keys.
    pub(super) indices: Vec<usize>,
    pub(super) pointer: String,
    /// True if an option names the key.
    pub(super) is_explicit: bool,
}

/// Origin of the upstream gradient.
pub(super) enum DoutSource {
    /// No gradient is wanted.
    None,
    Ones,
    Option(Operand),
    /// A key of each record; ones if the key is missing and not required.
    Record {
        key: RecordKey,
        is_required: bool,
    },
}

impl RecordPlan {
    /// Plans records for a layer.
    pub(crate) fn for_layer(request: &LayerRequest, reader: &mut OperandReader<'_>) -> Result<RecordPlan, Error> {
        let LayerRequest { spec, settings, common, .. } = request;
        // Settings that the layer refuses are reported before the first record.
        let engine = LayerEngine::new(request, settings)?;
        let results: Vec<Name> = spec.results().map(|(name, _)| name).chain([Name::DIVISOR]).collect();
        common.admit_only(&results.iter().map(Name::as_str).collect::<Vec<_>>())?;
        let mut plan = RecordPlan::new(Box::new(engine), common.strict);
        let dout = common.needs_gradients(spec).then_some(&request.dout);
        plan.read_operands(spec.slots, &request.operands, dout, reader)?;
        let mut settings = settings.clone();
        adopt_mask_kinds(spec, &plan.given, &mut settings);
        plan.engine = Box::new(LayerEngine::new(request, &settings)?);
        let open = spec.settings.iter().filter(|setting| settings.get(setting.name).is_none());
        plan.record_settings = open.map(|setting| (setting, plan.key_index(setting.name))).collect();
        Ok(plan)
    }

    /// Plans records for a network that was read from the file `label`.
    pub(crate) fn for_network(
        tape: Tape,
        label: &str,
        operands: &OperandSpecs,
        dout: &DoutOption,
        request: &Request,
        reader: &mut OperandReader<'_>,
    ) -> Result<RecordPlan, Error> {
        if operands.get(&Name::T).is_some() && !tape.stages.iter().any(Stage::has_target) {
            return Err(network::unused_targets());
        }
        let network = NetworkEngine::new(tape, label, request)?;
        let (slots, dout) = (network.slots(), network.needs_dout().then_some(dout));
        let mut plan = RecordPlan::new(Box::new(network), request.strict);
        plan.read_operands(&slots, operands, dout, reader)?;
        Ok(plan)
    }

    fn new(engine: Box<dyn Engine>, strict: bool) -> RecordPlan {
        RecordPlan {
            engine,
            given: Operands::default(),
            record_operands: Vec::new(),
            dout: DoutSource::None,
            record_settings: Vec::new(),
            keys: Vec::new(),
            strict,
        }
    }

    fn read_operands(
        &mut self,
        slots: &[Slot],
        operands: &OperandSpecs,
        dout: Option<&DoutOption>,
        reader: &mut OperandReader<'_>,
    ) -> Result<(), Error> {
        for slot in slots {
            let selector = match operands.get(&slot.name) {
                None => None,
                Some(OperandSpec::Stdin(selector)) => Some(selector),
                Some(spec) => {
                    reader.reads_mask = slot.is_mask();
                    let operand = reader.read_spec(&slot.name, spec.clone(), &accepted_keys(slot))?;
                    reader.reads_mask = false;
                    self.given.insert(slot.name.clone(), operand);
                    continue;
                }
            };
            let key = self.record_key(&accepted_keys(slot), selector.unwrap_or(&Selector::Default));
            let slot = Slot { optional: slot.optional && selector.is_none(), ..slot.clone() };
            self.record_operands.push(RecordOperand { slot, key });
        }
        if let Some(dout) = dout {
            self.dout = self.dout_source(dout, reader)?;
        }
        Ok(())
    }

    fn dout_source(&mut self, dout: &DoutOption, reader: &mut OperandReader<'_>) -> Result<DoutSource, Error> {
        let names = [Name::DOUT];
        let (selector, is_required) = match dout {
            DoutOption::Default => (&Selector::Default, false),
            DoutOption::Ones => return Ok(DoutSource::Ones),
            DoutOption::Operand(OperandSpec::Stdin(selector)) => (selector, true),
            DoutOption::Operand(spec) => {
                let operand = reader.read_spec(&Name::DOUT, spec.clone(), &names)?;
                let scales_factors = matches!(self.engine.last_layer().scalar_dout, ScalarDout::LocalFactors(_));
                if scales_factors && operand.value.ndim() == 0 && operand.origin == Origin::Typed {
                    return Err(local_factors_error(operand.value[[]], "records need gradients"));
                }
                return Ok(DoutSource::Option(operand));
            }
        };
        Ok(DoutSource::Record { key: self.record_key(&names, selector), is_required })
    }

    /// Returns the index of a key that is read.
    fn key_index(&mut self, key: &str) -> usize {
        self.keys.iter().position(|known| known == key).unwrap_or_else(|| {
            self.keys.push(key.to_owned());
            self.keys.len() - 1
        })
    }

    fn record_key(&mut self, names: &[Name], selector: &Selector) -> RecordKey {
        let Selector::Pointer(pointer) = selector else {
            let indices = names.iter().map(|name| self.key_index(name.as_str())).collect();
            return RecordKey { indices, pointer: String::new(), is_explicit: false };
        };
        let inside = pointer.strip_prefix('/').unwrap_or(pointer);
        let (key, pointer) =
            inside.split_once('/').map_or((inside, String::new()), |(key, rest)| (key, format!("/{rest}")));
        RecordKey { indices: vec![self.key_index(&unescape(key))], pointer, is_explicit: true }
    }

    /// Returns the places that operands of records are read from.
    pub(super) fn record_keys(&self) -> impl Iterator<Item = &RecordKey> {
        let dout = match &self.dout {
            DoutSource::Record { key, .. } => Some(key),
            _ => None,
        };
        self.record_operands.iter().map(|operand| &operand.key).chain(dout)
    }

    /// Returns true if several operands are read from that key.
    pub(super) fn is_shared(&self, index: usize) -> bool {
        self.record_keys().filter(|key| key.indices.contains(&index)).count() > 1
    }

    /// Returns what to do with a key of a record. A key that is not read is copied to the output, and so is one of which only
    /// a part is read; the name of a result is neither.
    pub(super) fn key_use(&self, key: &str) -> KeyUse {
        let slot = self.keys.iter().position(|known| known == key);
        if slot.is_none()
            && let Some(similar) = self.key_in_other_case(key)
        {
            return KeyUse { slot: Some(similar), is_carried: true, is_in_other_case: true };
        }
        let is_read_in_part =
            |index: usize| self.record_keys().any(|key| key.indices.contains(&index) && !key.pointer.is_empty());
        KeyUse {
            slot,
            is_carried: !self.engine.has_result(key) && slot.is_none_or(is_read_in_part),
            is_in_other_case: false,
        }
    }

    /// Returns the index of the operand's key that a key is in another case, unless an option names that key.
    fn key_in_other_case(&self, key: &str) -> Option<usize> {
        let index = self.keys.iter().position(|known| known.eq_ignore_ascii_case(key))?;
        self.record_keys().any(|operand| !operand.is_explicit && operand.indices.contains(&index)).then_some(index)
    }

    /// Returns the indices of the keys whose value may be null, because a record may do without them.
    pub(super) fn optional_keys(&self) -> impl Iterator<Item = usize> {
        let operands = self.record_operands.iter().filter(|operand| operand.slot.optional).map(|operand| &operand.key);
        let dout = match &self.dout {
            DoutSource::Record { key, is_required: false } => Some(key),
            _ => None,
        };
        let settings = self.record_settings.iter().map(|(_, index)| *index);
        operands.chain(dout).flat_map(|key| key.indices.iter().copied()).chain(settings)
    }

    /// Returns the JSON pointer to a value of a record.
    pub(super) fn pointer(&self, index: usize, key: &RecordKey) -> String {
        format!("/{}{}", escape(&self.keys[index]), key.pointer)
    }

    /// Returns true if records can be the rows of a batch, as far as options decide.
    pub(super) fn allows_batches(&self) -> bool {
        // An operand that all records share has no row for each of them.
        let is_common = [Name::X, Name::Y, Name::T].iter().any(|name| self.given.values.get(name).is_some());
        // A value inside a key's value is read with its whole tree, one record at a time.
        let is_plain = self.record_keys().all(|key| key.pointer.is_empty());
        self.engine.can_batch() && !is_common && is_plain && !matches!(self.dout, DoutSource::Option(_))
    }
}
