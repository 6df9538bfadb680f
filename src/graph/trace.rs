//! Runs layers on numbers that remember, and names what was given and what came of it.

use super::Graph;
use super::record::{Traceable, draw, named};
use super::tensor::Staged;
use super::textbook::redrawn;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::Layer;
use crate::numeric::Traced;
use crate::numeric::traced::record;
use ndarray::ArrayD;

/// A graph of scalars has at most so many operations, and each operand at most as many entries.
pub const LIMIT: usize = 2000;

/// The graph of scalars of layers one behind the other; refuses one of more than [`LIMIT`] nodes.
pub fn scalar(stages: &[Staged<'_>]) -> Result<Graph, Error> {
    let large = |value: &ArrayD<f64>| value.len() > LIMIT;
    if stages.iter().any(|stage| stage.at.iter().any(|(_, value)| large(value)) || large(stage.dout)) {
        return Err(too_large(format!("more than {LIMIT}")));
    }
    let mut trace = Traceable::default();
    let (log, ()) = record(4 * LIMIT, || run(stages, &mut trace));
    trace.log = log.ok_or_else(|| too_large(format!("more than {LIMIT}")))?;
    let graph = draw(&redrawn(trace));
    if graph.nodes.len() > LIMIT { Err(too_large(graph.nodes.len().to_string())) } else { Ok(graph) }
}

fn too_large(nodes: String) -> Error {
    Error::new(
        Code::GraphSize,
        format!("the graph of numbers has {nodes} nodes, too many to read: up to {LIMIT} are drawn"),
    )
    .with_operand(&Name::new("level"))
    .tip("--level tensor draws operations on whole matrices, of any size")
}

/// Runs every layer forward.
fn run(stages: &[Staged<'_>], trace: &mut Traceable) {
    let mut before: Option<ArrayD<Traced>> = None;
    for (n, stage) in stages.iter().enumerate() {
        let mut at = Tensors::new();
        for (name, value) in stage.at.iter() {
            let own = match before.take_if(|_| name == crate::network::input_of(stage.spec)) {
                Some(input) => input,
                None => leaves(stage, name, value, trace),
            };
            at.insert(name.clone(), own);
        }
        let results = Layer::<Traced>::forward(stage.layer, &at).results;
        for (name, value) in results.iter() {
            if let Some(shown) = stage.outcome.results.get(name) {
                let named = value.iter().zip(named(&stage.called(name), value)).zip(shown);
                trace.results.extend(named.filter_map(|((made, name), &shown)| Some((made.entry()?, (name, shown)))));
            }
        }
        let output = results.known(&stage.spec.output);
        if n + 1 == stages.len() {
            let names = named(&stage.called(&stage.spec.output), output);
            let shown = stage.outcome.results.known(&stage.spec.output);
            let all = output.iter().zip(names).zip(shown.iter().zip(stage.dout));
            trace
                .outputs
                .extend(all.filter_map(|((made, name), (&shown, &dout))| Some((made.entry()?, name, shown, dout))));
        }
        before = Some(output.clone());
    }
}

/// An operand's entries as numbers that were given. A scalar b stands for a row, as db is one.
fn leaves(stage: &Staged<'_>, name: &Name, value: &ArrayD<f64>, trace: &mut Traceable) -> ArrayD<Traced> {
    let gradient = stage.outcome.gradients.get(&name.gradient());
    let value = match gradient {
        Some(gradient) if value.ndim() == 0 && gradient.ndim() > 0 => ArrayD::from_elem(gradient.raw_dim(), value[[]]),
        _ => value.clone(),
    };
    let traced = value.mapv(Traced::leaf);
    let names = named(&stage.called(name), &value);
    for ((n, made), name) in traced.iter().enumerate().zip(names) {
        let gradient = gradient.and_then(|gradient| gradient.iter().nth(n).copied());
        trace.leaves.extend(made.entry().map(|entry| (entry, (name, gradient))));
    }
    traced
}
