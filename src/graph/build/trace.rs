//! Runs layers on numbers that record their operations, and names the operands and results among them.

use super::computed_layer::{ComputedLayer, ReaderCounts, input_gradient};
use crate::core::error::{Code, Error, format_index};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::run_in_kind;
use crate::network::Source;
use crate::numeric::Traced;
use crate::numeric::operations::Entry;
use crate::numeric::traced::record;
use ndarray::{ArrayD, Dimension};
use std::collections::BTreeMap;

/// Largest graph of numbers, in nodes, and largest operand of one, in entries.
pub(super) const MAX_NODES: usize = 2000;

/// The operations of a computation, and the names of the numbers among them. Numbers are known by their entry in the log.
#[derive(Default)]
pub(super) struct Trace {
    /// The operations.
    pub(super) log: Vec<Entry>,
    /// Name of each operand, and its computed gradient if there is one.
    pub(super) leaves: BTreeMap<usize, (String, Option<f64>)>,
    /// Name and value of each intermediate result.
    pub(super) results: BTreeMap<usize, (String, f64)>,
    /// Entry, name, value and upstream gradient of each output.
    pub(super) outputs: Vec<(usize, String, f64, f64)>,
}

/// Runs a chain of layers forward; refuses one of far more than [`MAX_NODES`] operations.
pub(super) fn trace_layers(layers: &[ComputedLayer<'_>]) -> Result<Trace, Error> {
    let is_large = |value: &ArrayD<f64>| value.len() > MAX_NODES;
    if layers.iter().any(|layer| layer.at.iter().any(|(_, value)| is_large(value)) || is_large(layer.dout)) {
        return Err(too_large(&format!("more than {MAX_NODES}")));
    }
    let mut trace = Trace::default();
    let (log, ()) = record(4 * MAX_NODES, || run(layers, &mut trace));
    trace.log = log.ok_or_else(|| too_large(&format!("more than {MAX_NODES}")))?;
    Ok(trace)
}

/// Returns the error for a graph that has too many nodes.
pub(super) fn too_large(nodes: &str) -> Error {
    Error::new(Code::GraphSize, format!("the graph of numbers has {nodes} nodes; at most {MAX_NODES} can be drawn"))
        .with_operand(&Name::new("level"))
        .tip("draw operations on whole matrices with --level tensor")
}

fn run(layers: &[ComputedLayer<'_>], trace: &mut Trace) {
    let mut outputs: Vec<ArrayD<Traced>> = Vec::new();
    // An input that several operands are, and its gradient.
    let (mut input, gradient) = (None, input_gradient(layers));
    let is_shared = ReaderCounts::new(layers).input > 1;
    for (n, layer) in layers.iter().enumerate() {
        let mut at = Tensors::new();
        for (name, value) in layer.at.iter() {
            let source = layer.sources.iter().find(|(operand, _)| operand == name).map(|(_, source)| *source);
            let traced = match source {
                Some(Source::Layer(earlier)) => outputs[earlier].clone(),
                Some(Source::Input) if is_shared => input
                    .get_or_insert_with(|| trace_operand((Name::X.as_str(), gradient.as_ref()), value, trace))
                    .clone(),
                _ => trace_operand((&layer.qualified_name(name), layer.gradient(name)), value, trace),
            };
            at.insert(name.clone(), traced);
        }
        let results = run_in_kind(layer.layer, &at, None).results;
        for (name, traced) in results.iter() {
            if let Some(shown) = layer.outcome.results.get(name) {
                let names = entry_names(&layer.qualified_name(name), traced);
                for ((traced, name), &shown) in traced.iter().zip(names).zip(shown) {
                    trace.results.extend(traced.entry().map(|entry| (entry, (name, shown))));
                }
            }
        }
        let output = results.known(&layer.spec.output);
        if n + 1 == layers.len() {
            let names = entry_names(&layer.qualified_name(&layer.spec.output), output);
            let shown = layer.outcome.results.known(&layer.spec.output);
            for ((traced, name), (&shown, &dout)) in output.iter().zip(names).zip(shown.iter().zip(layer.dout)) {
                trace.outputs.extend(traced.entry().map(|entry| (entry, name, shown, dout)));
            }
        }
        outputs.push(output.clone());
    }
}

/// Records an operand's entries as leaves. A scalar b stands for a row, as its gradient does.
fn trace_operand(
    (name, gradient): (&str, Option<&ArrayD<f64>>),
    value: &ArrayD<f64>,
    trace: &mut Trace,
) -> ArrayD<Traced> {
    let value = match gradient {
        Some(gradient) if value.ndim() == 0 && gradient.ndim() > 0 => ArrayD::from_elem(gradient.raw_dim(), value[[]]),
        _ => value.clone(),
    };
    let traced = value.mapv(Traced::leaf);
    let names = entry_names(name, &value);
    for ((n, traced), name) in traced.iter().enumerate().zip(names) {
        let gradient = gradient.and_then(|gradient| gradient.iter().nth(n).copied());
        trace.leaves.extend(traced.entry().map(|entry| (entry, (name, gradient))));
    }
    traced
}

/// Returns the names of an array's entries, such as `x[0,1]`; that of a scalar has no index.
fn entry_names<T>(name: &str, value: &ArrayD<T>) -> Vec<String> {
    let entry_name = |index: &[usize]| match index {
        [] => name.to_owned(),
        index => format!("{name}{}", format_index(index)),
    };
    value.indexed_iter().map(|(index, _)| entry_name(index.slice())).collect()
}
