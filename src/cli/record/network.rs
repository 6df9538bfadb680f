//! A network that records go through. It answers as one layer does, with its own y, loss and gradient by x; what lies
//! inside has its layer's name in front and is there when it is named.

use super::subject::{About, Computed, by_rows};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{LayerSpec, Precision, Role, Slot};
use crate::network::runner::{OutputSelection, PreparedParams};
use crate::network::{Inputs, Stage, Tape};
use crate::run::request::Request;
use ndarray::{ArrayD, IxDyn};

/// What a network gives as one layer would, in the order of output.
const OWN: [Name; 4] = [Name::Y, Name::LOSS, Name::DIVISOR, Name::DX];

/// A network, and what is wanted of it.
pub(super) struct Network {
    /// Where it was read from.
    label: String,
    alone: OutputSelection,
    /// For a row a record; nothing where a record's results are not those of a row.
    rows: Option<OutputSelection>,
    /// What each wanted result is called.
    keys: Vec<Name>,
    /// What results are called, wanted or not.
    all: Vec<String>,
}

/// A result, by the name that records have for it: of which layer, and what the layer calls it.
struct Entry {
    key: Name,
    layer: usize,
    name: Name,
}

impl Entry {
    fn is_gradient(&self, tape: &Tape) -> bool {
        tape.stages[self.layer].spec.is_gradient(&self.name)
    }
}

impl Network {
    pub(super) fn new(tape: Tape, label: &str, request: &Request) -> Result<Network, Error> {
        let mut entries = entries(&tape);
        let all = entries.iter().map(|entry| entry.key.to_string()).chain(OWN.map(|name| name.to_string()));
        let all = all.collect();
        entries.retain(|entry| !(request.forward && entry.is_gradient(&tape)));
        match &request.only {
            Some(names) => choose(&mut entries, names, &tape)?,
            None => entries.retain(|entry| OWN.contains(&entry.key)),
        }
        // Targets are for a loss.
        let last = tape.stages.len() - 1;
        let lossless = |entry: &Entry| !entry.is_gradient(&tape) && (entry.layer < last || entry.name == Name::Y);
        let tape = if entries.iter().all(lossless) { tape.without_loss()? } else { tape };
        let rows = rows(&tape, &entries)?;
        let selected = entries.iter().map(|entry| (entry.layer, entry.name.clone())).collect();
        let keys = entries.into_iter().map(|entry| entry.key).collect();
        Ok(Network { label: label.to_owned(), alone: OutputSelection { tape, selected }, rows, keys, all })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Whether a key is the name of a result.
    pub(super) fn gives(&self, key: &str) -> bool {
        self.all.iter().any(|name| name == key)
    }

    /// The layer that the upstream gradient comes to.
    pub(super) fn last(&self) -> &'static LayerSpec {
        match self.alone.tape.stages.last() {
            Some(last) => last.spec,
            None => unreachable!("a network has a layer"),
        }
    }

    /// What it reads of records.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let x = Slot {
            name: Name::X,
            role: Role::Input,
            shape: "(N×in) or (in)",
            optional: false,
            gradient: None,
            doc: "input of the first layer",
        };
        let t = Slot {
            name: Name::T,
            role: Role::Target,
            shape: "one-hot or soft, or a class index",
            optional: false,
            gradient: None,
            doc: "targets of the loss; --only y does without",
        };
        let needs_targets = self.alone.tape.stages.iter().any(Stage::has_target);
        [x].into_iter().chain(needs_targets.then_some(t)).collect()
    }

    /// Whether a gradient is wanted.
    pub(super) fn backward(&self) -> bool {
        self.alone.has_gradients()
    }

    pub(super) fn ready(&self) -> PreparedParams {
        self.alone.prepare_params()
    }

    pub(super) fn has_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// Computes a record.
    pub(super) fn run(
        &self,
        ready: &mut PreparedParams,
        at: &mut Tensors<f64>,
        about: &About<'_>,
        upstream: impl FnOnce(&[usize]) -> Result<Option<ArrayD<f64>>, Error>,
    ) -> Result<Computed, Error> {
        let (values, notes) = self.alone.run(ready, fed(at, about), |_, shape| wanted(upstream(shape)?, shape))?;
        Ok((self.keys.iter().cloned().zip(values).collect(), notes))
    }

    /// Computes records as rows.
    pub(super) fn run_rows(
        &self,
        ready: &mut PreparedParams,
        at: &mut Tensors<f64>,
        about: &About<'_>,
        upstream: impl FnOnce(&[usize]) -> Result<Option<ArrayD<f64>>, Error>,
    ) -> Option<Result<Computed, Error>> {
        let rows = self.rows.as_ref()?;
        let fed = fed(at, about);
        let count = fed.x.shape().first().copied()?;
        let ran = rows.run(ready, fed, |_, shape| wanted(upstream(shape)?, shape));
        // Each record whose layers might be told that they were given probabilities is looked at on its own.
        if rows.might_be_probabilities(ready) {
            return None;
        }
        Some(ran.map(|(values, notes)| {
            let mut values = values.into_iter();
            let named = self.keys.iter().zip(&self.alone.selected).map(|(key, (_, name))| {
                // The mean over a row divides by 1.
                let value = if *name == Name::DIVISOR { None } else { values.next() };
                (key.clone(), value.unwrap_or_else(|| ArrayD::ones(IxDyn(&[count]))))
            });
            (named.collect(), notes)
        }))
    }
}

/// The operands: those that a record gave are not needed again.
fn fed<'a>(at: &mut Tensors<f64>, about: &About<'a>) -> Inputs<'a, f64> {
    let mut take = |name: &Name| if (about.new)(name) { at.take(name) } else { at.get(name).cloned() };
    Inputs { x: take(&Name::X).unwrap_or_default(), t: take(&Name::T), rounding: about.rounding }
}

fn wanted(dout: Option<ArrayD<f64>>, shape: &[usize]) -> Result<ArrayD<f64>, Error> {
    Ok(dout.unwrap_or_else(|| ArrayD::ones(IxDyn(shape))))
}

/// Every result there is, first the network's own.
fn entries(tape: &Tape) -> Vec<Entry> {
    let of = |layer: usize, stage: &Stage| {
        let there = |name: &Name| {
            let parameter = stage.spec.slots.iter().find(|slot| slot.name.gradient() == *name);
            parameter.is_none_or(|slot| slot.role == Role::Input || stage.params.get(&slot.name).is_some())
        };
        let mean = stage.settings.choice("reduction") == Some("mean");
        let names = stage.spec.results().map(|(name, _)| name).filter(there).flat_map(move |name| {
            let divisor = (mean && name == Name::LOSS).then_some(Name::DIVISOR);
            [name].into_iter().chain(divisor)
        });
        names.map(|name| (layer, name)).collect::<Vec<_>>()
    };
    let all: Vec<(usize, Name)> = tape.stages.iter().enumerate().flat_map(|(layer, stage)| of(layer, stage)).collect();
    let first = tape.stages.first().map(|first| (0, first.input().gradient()));
    let own = OWN.into_iter().filter_map(|key| {
        let last = || all.iter().rfind(|(_, name)| *name == key).cloned();
        let (layer, name) = if key == Name::DX { first.clone() } else { last() }?;
        Some(Entry { key, layer, name })
    });
    let own: Vec<Entry> = own.collect();
    let inner = all.iter().map(|(layer, name)| (name.in_layer(&tape.stages[*layer].name), *layer, name.clone()));
    own.into_iter().chain(inner.map(|(key, layer, name)| Entry { key, layer, name })).collect()
}

/// Keeps what is named: y, loss or dx of the network, a layer `fc1`, one of its results `fc1.dw`, or a result of every
/// layer, `dw`.
fn choose(entries: &mut Vec<Entry>, names: &[String], tape: &Tape) -> Result<(), Error> {
    let own: Vec<String> =
        entries.iter().filter(|entry| OWN.contains(&entry.key)).map(|entry| entry.key.to_string()).collect();
    let means = |name: &String, entry: &Entry| {
        if own.contains(name) {
            return entry.key.as_str() == name;
        }
        !OWN.contains(&entry.key)
            && (entry.key.as_str() == name || tape.stages[entry.layer].name == *name || entry.name.as_str() == name)
    };
    if let Some(unknown) = names.iter().find(|name| !entries.iter().any(|entry| means(name, entry))) {
        return Err(Error::new(Code::Usage, format!("there is no layer and no result {unknown}"))
            .with_operand(&Name::new("only"))
            .tip(format!(
                "the network gives {}; the layers are {}: dw means all of that name, {}.dw one",
                own.join(", "),
                tape.names().join(", "),
                tape.names().first().unwrap_or(&"fc1")
            )));
    }
    entries.retain(|entry| names.iter().any(|name| means(name, entry)));
    Ok(())
}

/// The network for a row a record; nothing where a record's results are not those of a row.
fn rows(tape: &Tape, entries: &[Entry]) -> Result<Option<OutputSelection>, Error> {
    let learnt = |entry: &Entry| tape.stages[entry.layer].spec.is_parameter_gradient(&entry.name);
    // A gradient of a parameter is a sum over rows.
    if tape.precision == Precision::Exact || entries.iter().any(learnt) {
        return Ok(None);
    }
    let mut rows = Tape { precision: tape.precision, ..Tape::default() };
    for stage in &tape.stages {
        let weighted = stage.params.get(&Name::WEIGHT).is_some();
        let Some(settings) = by_rows(stage.spec, &stage.settings, weighted)? else { return Ok(None) };
        // Parameters are where they were made ready.
        let stage = Stage::new(stage.spec, stage.name.clone(), settings, Tensors::new())?;
        if !stage.layer().independent_rows() {
            return Ok(None);
        }
        rows.push(stage)?;
    }
    let selected = entries.iter().filter(|entry| entry.name != Name::DIVISOR);
    let selected = selected.map(|entry| (entry.layer, entry.name.clone())).collect();
    Ok(Some(OutputSelection { tape: rows, selected }))
}
