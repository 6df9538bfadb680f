//! The graph of tensors: the parts that each layer says it has, with whole matrices on the edges.

use super::{Edge, Graph, Kind, Level, Node};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, LayerSpec, MatrixOperation, Outcome};
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
    pub at: &'a Tensors<f64>,
    /// Its results and gradients.
    pub outcome: &'a Outcome,
    /// Its upstream gradient.
    pub dout: &'a ArrayD<f64>,
}

impl Staged<'_> {
    /// What an operand or result of it is called: `w`, in a chain `fc1.w`.
    pub(super) fn called(&self, name: &Name) -> String {
        self.name.map_or_else(|| name.to_string(), |layer| name.in_layer(layer).to_string())
    }
}

/// A value and its gradient, and the node that they come from.
struct Wire {
    from: usize,
    name: String,
    forward: ArrayD<f64>,
    backward: Option<ArrayD<f64>>,
    slope: Option<String>,
    rule: Option<String>,
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
    let own = stage.layer.matrix_operations(stage.at, &stage.outcome.results, stage.dout);
    let parts = if own.is_empty() { vec![whole(stage)] } else { own };
    let input = crate::network::input_of(stage.spec);
    let mut wires: BTreeMap<String, Wire> = BTreeMap::new();
    let slope = Some(stage.called(&input.gradient()));
    wires.extend(before.map(|wire| (input.to_string(), Wire { slope, rule: rule(stage, input), ..wire })));
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
        let note = part.note.map(str::to_owned);
        graph.notes.extend(note.filter(|note| !graph.notes.contains(note)));
        reads.iter().for_each(|wire| connect(graph, wire, op));
        let (forward, backward) = match part.inner {
            Some(inner) if n != last => inner,
            _ => (stage.outcome.results.known(&stage.spec.output).clone(), stage.dout.clone()),
        };
        // What is a step on the way belongs to no option and no key.
        let output = part.gives == stage.spec.output || stage.outcome.results.get(&part.gives).is_some();
        let (name, slope) = if output {
            (
                stage.called(&part.gives),
                if n == last { Name::DOUT.to_string() } else { stage.called(&part.gives.gradient()) },
            )
        } else {
            (part.gives.to_string(), format!("d({})", part.gives))
        };
        let wire = Wire { from: op, name, slope: Some(slope), forward, backward: Some(backward), rule: None };
        wires.insert(part.gives.to_string(), wire);
    }
    match wires.remove(stage.spec.output.as_str()) {
        Some(wire) => wire,
        None => unreachable!("the last part gives the output"),
    }
}

/// A layer as one operation.
fn whole(stage: &Staged<'_>) -> MatrixOperation {
    let reads = stage.spec.slots.iter().map(|slot| slot.name.clone()).collect();
    MatrixOperation { op: stage.spec.name, note: None, reads, gives: stage.spec.output.clone(), inner: None }
}

/// An operand as a node of its own. Targets and constants have no gradient.
fn leaf(graph: &mut Graph, stage: &Staged<'_>, name: &Name) -> Option<Wire> {
    let forward = stage.at.get(name)?.clone();
    let backward = stage.outcome.gradients.get(&name.gradient()).cloned();
    let rule = rule(stage, name);
    let slope = Some(stage.called(&name.gradient()));
    let name = stage.called(name);
    let from = node(graph, Kind::Leaf, name.clone());
    Some(Wire { from, name, slope, forward, backward, rule })
}

/// The formula of an operand's gradient.
fn rule(stage: &Staged<'_>, name: &Name) -> Option<String> {
    let gradient = name.gradient();
    stage.outcome.gradients.get(&gradient)?;
    let own = stage.layer.formulas(stage.at);
    let own = own.into_iter().find(|(known, _)| *known == gradient).map(|(_, formula)| formula);
    Some(format!("{gradient} = {}", own.or_else(|| stage.spec.formula(&gradient))?))
}

fn node(graph: &mut Graph, kind: Kind, label: String) -> usize {
    graph.nodes.push(Node { kind, label, meaning: None });
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
        slope: wire.slope.clone(),
        rule: wire.rule.clone(),
    });
}
