//! The graph of tensors: the parts that each layer says it has, with whole matrices on the edges.

use super::{Edge, Graph, Kind, Level, Node};
use crate::bundle::Bundle;
use crate::layer::{AnyLayer, LayerSpec, Outcome, Part};
use crate::name::Name;
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// A layer that was run: alone, or as one of a chain.
pub struct Staged<'a> {
    /// Its name in the chain; none where it is alone.
    pub name: Option<&'a str>,
    /// The registry's row.
    pub spec: &'static LayerSpec,
    /// Its mathematics.
    pub layer: &'a dyn AnyLayer,
    /// Its operands.
    pub at: &'a Bundle<f64>,
    /// Its results and gradients.
    pub outcome: &'a Outcome,
    /// Its upstream gradient.
    pub dout: &'a ArrayD<f64>,
}

impl Staged<'_> {
    /// What an operand or result of it is called: `w`, in a chain `fc1.w`.
    pub(super) fn called(&self, name: &Name) -> String {
        self.name.map_or_else(|| name.to_string(), |layer| name.of_layer(layer).to_string())
    }
}

/// A value and its gradient, and the node that they come from.
struct Wire {
    from: usize,
    name: String,
    forward: ArrayD<f64>,
    backward: Option<ArrayD<f64>>,
}

/// Draws layers one behind the other.
pub fn tensor(stages: &[Staged<'_>]) -> Graph {
    let mut graph =
        Graph { level: Level::Tensor, backward: true, nodes: Vec::new(), edges: Vec::new(), notes: Vec::new() };
    let mut last: Option<Wire> = None;
    for stage in stages {
        last = Some(draw(&mut graph, stage, last));
    }
    if let Some(wire) = last {
        let label = wire.name.clone();
        let sink = node(&mut graph, Kind::Sink, label);
        connect(&mut graph, &wire, sink);
    }
    graph
}

/// Draws one layer; `before` is what its input comes from. Gives its output.
fn draw(graph: &mut Graph, stage: &Staged<'_>, before: Option<Wire>) -> Wire {
    let own = stage.layer.parts(stage.at, &stage.outcome.results, stage.dout);
    let parts = if own.is_empty() { vec![whole(stage)] } else { own };
    let input = crate::tape::input_of(stage.spec);
    let mut wires: BTreeMap<String, Wire> = BTreeMap::new();
    wires.extend(before.map(|wire| (input.to_string(), wire)));
    let last = parts.len() - 1;
    for (n, part) in parts.into_iter().enumerate() {
        let reads = part.reads.iter().filter_map(|name| {
            let key = name.to_string();
            let wire = match wires.remove(&key) {
                Some(wire) => wire,
                None => leaf(graph, stage, name)?,
            };
            Some(wire)
        });
        let reads: Vec<Wire> = reads.collect();
        let op = node(graph, Kind::Op, part.op.to_owned());
        reads.iter().for_each(|wire| connect(graph, wire, op));
        let (forward, backward) = match part.inner {
            Some(inner) if n != last => inner,
            _ => (stage.outcome.results.known(&stage.spec.output).clone(), stage.dout.clone()),
        };
        let wire = Wire { from: op, name: stage.called(&part.gives), forward, backward: Some(backward) };
        wires.insert(part.gives.to_string(), wire);
    }
    match wires.remove(stage.spec.output.as_str()) {
        Some(wire) => wire,
        None => unreachable!("the last part gives the output"),
    }
}

/// A layer as one operation.
fn whole(stage: &Staged<'_>) -> Part {
    let reads = stage.spec.slots.iter().map(|slot| slot.name.clone()).collect();
    Part { op: stage.spec.name, reads, gives: stage.spec.output.clone(), inner: None }
}

/// An operand as a node of its own. Targets and constants have no gradient.
fn leaf(graph: &mut Graph, stage: &Staged<'_>, name: &Name) -> Option<Wire> {
    let forward = stage.at.get(name)?.clone();
    let backward = stage.outcome.gradients.get(&name.gradient()).cloned();
    let name = stage.called(name);
    let from = node(graph, Kind::Leaf, name.clone());
    Some(Wire { from, name, forward, backward })
}

fn node(graph: &mut Graph, kind: Kind, label: String) -> usize {
    graph.nodes.push(Node { kind, label });
    graph.nodes.len() - 1
}

fn connect(graph: &mut Graph, wire: &Wire, to: usize) {
    graph.edges.push(Edge {
        from: wire.from,
        to,
        name: Some(wire.name.clone()),
        forward: wire.forward.clone(),
        backward: wire.backward.clone(),
        local: None,
    });
}
