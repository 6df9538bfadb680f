//! Computes records with a network. It answers as a single layer does, with its own y, loss and gradient of x. A result
//! inside the network has the name of its layer in front, and is computed only if it is named.

use super::engine::{Computed, Engine, RecordInputs, is_mean, per_row_settings};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, LayerSpec, Precision, Role, Slot};
use crate::network::runner::{OutputSelection, PreparedParams, Results, Selected};
use crate::network::{Inputs, Stage, Tape};
use crate::run::request::Request;
use ndarray::{ArrayD, IxDyn};

/// Results that a network gives as a layer would, in the order of output.
const NETWORK_RESULTS: [Name; 4] = [Name::Y, Name::LOSS, Name::DIVISOR, Name::DX];

/// A network and the results that are selected of it.
pub(super) struct NetworkEngine {
    /// File that the network was read from.
    label: String,
    selection: OutputSelection,
    /// Selection that computes records as rows; `None` if the results of a record are not those of a row.
    per_row: Option<OutputSelection>,
    /// Keys of the selected results.
    keys: Vec<Name>,
    /// Keys of all results.
    all_keys: Vec<String>,
}

/// A result, and its key in records.
struct KeyedResult {
    key: Name,
    result: Selected,
}

impl KeyedResult {
    /// Returns true if it is a result of the network, not of a layer inside.
    fn is_networks(&self) -> bool {
        NETWORK_RESULTS.contains(&self.key)
    }
}

impl NetworkEngine {
    pub(super) fn new(tape: Tape, label: &str, request: &Request) -> Result<NetworkEngine, Error> {
        let mut results = list_results(&tape);
        let all_keys = results.iter().map(|result| result.key.to_string());
        let all_keys = all_keys.chain(NETWORK_RESULTS.map(|name| name.to_string())).collect();
        let is_gradient = |result: &KeyedResult| result.result.is_gradient(&tape);
        results.retain(|result| !(request.forward && is_gradient(result)));
        match &request.only {
            Some(names) => select(&mut results, names, &tape)?,
            None => results.retain(KeyedResult::is_networks),
        }
        let last = tape.stages.len() - 1;
        let is_of_loss =
            |result: &Selected| matches!(result, Selected::OfLayer(layer, name) if *layer == last && *name != Name::Y);
        let needs_loss = |result: &KeyedResult| is_gradient(result) || is_of_loss(&result.result);
        let tape = if results.iter().any(needs_loss) { tape } else { tape.without_loss()? };
        let per_row = per_row(&tape, &results)?;
        let selected = results.iter().map(|result| result.result.clone()).collect();
        let keys = results.into_iter().map(|result| result.key).collect();
        Ok(NetworkEngine {
            label: label.to_owned(),
            selection: OutputSelection { tape, selected },
            per_row,
            keys,
            all_keys,
        })
    }

    /// Returns the operands that records give.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let x = Slot::input(Name::X, "(N×in) or (in)", "", "input of the first layer");
        let doc = "targets of the loss; not required with --only y";
        let t = Slot { doc, ..Slot::targets("one-hot or soft, or a class index") };
        let needs_targets = self.selection.tape.stages.iter().any(Stage::has_target);
        [x].into_iter().chain(needs_targets.then_some(t)).collect()
    }

    /// Returns true if a gradient is selected.
    pub(super) fn needs_dout(&self) -> bool {
        self.selection.has_gradients()
    }
}

impl Engine for NetworkEngine {
    fn last_layer(&self) -> &'static LayerSpec {
        match self.selection.tape.stages.last() {
            Some(last) => last.spec,
            None => unreachable!("a network has a layer"),
        }
    }

    fn has_result(&self, key: &str) -> bool {
        self.all_keys.iter().any(|name| name == key)
    }

    fn label(&self) -> Option<&str> {
        Some(&self.label)
    }

    fn prepare_params(&self) -> Option<PreparedParams> {
        Some(self.selection.prepare_params())
    }

    fn compute(
        &self,
        inputs: RecordInputs<'_>,
        _configured: Option<&dyn AnyLayer>,
        params: Option<&mut PreparedParams>,
    ) -> Result<Computed, Error> {
        let (values, notes) = run(&self.selection, inputs, params)?;
        Ok((self.keys.iter().cloned().zip(values).collect(), notes))
    }

    fn can_batch(&self) -> bool {
        self.per_row.is_some()
    }

    fn compute_batch(&self, inputs: RecordInputs<'_>, mut params: Option<&mut PreparedParams>) -> Option<Computed> {
        let per_row = self.per_row.as_ref()?;
        let count = inputs.at.get(&Name::X)?.shape().first().copied()?;
        let ran = run(per_row, inputs, params.as_deref_mut());
        // A layer may warn that it was given probabilities; only a record on its own shows which record that concerns.
        if per_row.might_be_probabilities(params?) {
            return None;
        }
        let (values, notes) = ran.ok()?;
        let mut values = values.into_iter();
        let keyed = self.keys.iter().zip(&self.selection.selected).map(|(key, selected)| {
            // The mean over a row divides by 1.
            let value = if is_divisor(selected) { None } else { values.next() };
            (key.clone(), value.unwrap_or_else(|| ArrayD::ones(IxDyn(&[count]))))
        });
        Some((keyed.collect(), notes))
    }
}

/// Computes a selection of results. Operands of the record are moved; those that options give are copied, because later
/// records need them too.
fn run(
    selection: &OutputSelection,
    inputs: RecordInputs<'_>,
    params: Option<&mut PreparedParams>,
) -> Result<Results, Error> {
    let RecordInputs { at, is_new, rounding, dout, .. } = inputs;
    let mut take = |name: &Name| if is_new(name) { at.take(name) } else { at.get(name).cloned() };
    let inputs = Inputs { x: take(&Name::X).unwrap_or_default(), t: take(&Name::T), rounding };
    let dout_or_ones = |_: &Stage, shape: &[usize]| Ok(dout(shape)?.unwrap_or_else(|| ArrayD::ones(IxDyn(shape))));
    match params {
        Some(params) => selection.run(params, inputs, dout_or_ones),
        None => unreachable!("each thread prepares the parameters"),
    }
}

fn is_divisor(result: &Selected) -> bool {
    matches!(result, Selected::OfLayer(_, name) if *name == Name::DIVISOR)
}

/// Returns every result that the network has, its own first.
fn list_results(tape: &Tape) -> Vec<KeyedResult> {
    let of_stage = |(layer, stage): (usize, &Stage)| {
        let exists = |name: &Name| {
            let slot = stage.spec.slots.iter().find(|slot| slot.name.gradient() == *name);
            slot.is_none_or(|slot| slot.role == Role::Input || stage.params.get(&slot.name).is_some())
        };
        let is_mean = is_mean(&stage.settings);
        let names = stage.spec.results().map(|(name, _)| name).filter(exists).flat_map(move |name| {
            let divisor = (is_mean && name == Name::LOSS).then_some(Name::DIVISOR);
            [name].into_iter().chain(divisor)
        });
        names.map(|name| (layer, name)).collect::<Vec<_>>()
    };
    let inner: Vec<(usize, Name)> = tape.stages.iter().enumerate().flat_map(of_stage).collect();
    let of_layer = |(layer, name): &(usize, Name)| Selected::OfLayer(*layer, name.clone());
    let networks = NETWORK_RESULTS.into_iter().filter_map(|key| {
        let result = match key == Name::DX {
            true => Selected::InputGradient,
            false => of_layer(inner.iter().rfind(|(_, name)| *name == key)?),
        };
        Some(KeyedResult { key, result })
    });
    let key = |(layer, name): &(usize, Name)| name.in_layer(&tape.stages[*layer].name);
    let inner = inner.iter().map(|result| KeyedResult { key: key(result), result: of_layer(result) });
    networks.chain(inner).collect()
}

/// Keeps the named results: y, loss or dx of the network, all of a layer (`fc1`), one of them (`fc1.dw`), or the result of
/// that name of every layer (`dw`).
fn select(results: &mut Vec<KeyedResult>, names: &[String], tape: &Tape) -> Result<(), Error> {
    let networks: Vec<String> =
        results.iter().filter(|result| result.is_networks()).map(|result| result.key.to_string()).collect();
    let is_named = |name: &String, result: &KeyedResult| {
        if networks.contains(name) {
            return result.key.as_str() == name;
        }
        let Selected::OfLayer(layer, own) = &result.result else { return false };
        let layer = &tape.stages[*layer].name;
        !result.is_networks() && [result.key.as_str(), layer, own.as_str()].contains(&name.as_str())
    };
    if let Some(unknown) = names.iter().find(|name| !results.iter().any(|result| is_named(name, result))) {
        return Err(Error::new(Code::UnknownResult, format!("unknown layer or result `{unknown}`"))
            .with_operand(&Name::new("only"))
            .tip(format!(
                "use {} of the network, dw for every layer, or {}.dw for one; the layers are {}",
                networks.join(", "),
                tape.names().first().unwrap_or(&"fc1"),
                tape.names().join(", ")
            )));
    }
    results.retain(|result| names.iter().any(|name| is_named(name, result)));
    Ok(())
}

/// Returns the selection that computes records as rows, or `None` if the results of a record are not those of a row.
fn per_row(tape: &Tape, results: &[KeyedResult]) -> Result<Option<OutputSelection>, Error> {
    let is_parameters = |result: &KeyedResult| match &result.result {
        Selected::OfLayer(layer, name) => tape.stages[*layer].spec.is_parameter_gradient(name),
        Selected::InputGradient => false,
    };
    // The gradient of a parameter is a sum over rows.
    if tape.precision == Precision::Exact || results.iter().any(is_parameters) {
        return Ok(None);
    }
    let mut rows = Tape { precision: tape.precision, ..Tape::default() };
    for stage in &tape.stages {
        let is_weighted = stage.params.get(&Name::WEIGHT).is_some();
        let Some(settings) = per_row_settings(stage.spec, &stage.settings, is_weighted) else { return Ok(None) };
        // Each thread has the parameters.
        let mut row = Stage::new(stage.spec, stage.name.clone(), settings, Tensors::new())?;
        if !row.layer().independent_rows(2) {
            return Ok(None);
        }
        row.sources = stage.sources.clone();
        rows.stages.push(row);
    }
    let selected = results.iter().map(|result| &result.result).filter(|result| !is_divisor(result)).cloned().collect();
    Ok(Some(OutputSelection { tape: rows, selected }))
}
