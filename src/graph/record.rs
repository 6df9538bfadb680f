//! The graph of scalars: what a trace of the formula recorded, taken backward edge by edge.

use super::label::brief;
use super::{Edge, Graph, Kind, Level, Node, place_in};
use crate::core::name::Name;
use crate::numeric::traced::{Entry, Op, local_derivatives};
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::arr0;
use std::collections::BTreeMap;

/// What is known of a trace: which entries were given, which are results, and by what each output counts.
#[derive(Default)]
pub(super) struct Traceable {
    /// The operations.
    pub(super) log: Vec<Entry>,
    /// Entries that were given, with their names and where there is one the gradient that was computed for them.
    pub(super) leaves: BTreeMap<usize, (String, Option<f64>)>,
    /// Entries that are results on the way, with their names and values.
    pub(super) results: BTreeMap<usize, (String, f64)>,
    /// The outputs: entry, name, value, upstream gradient.
    pub(super) outputs: Vec<(usize, String, f64, f64)>,
}

/// What uses an entry.
#[derive(Clone, Copy)]
enum Use {
    /// Operand `n` of an entry.
    Of(usize, usize),
    /// An output.
    Output(usize),
}

/// A gradient, and the size of what was summed to it.
#[derive(Clone, Copy)]
struct Slope {
    sum: DoubleDouble,
    size: f64,
}

impl Slope {
    fn none() -> Slope {
        Slope { sum: DoubleDouble::zero(), size: 0.0 }
    }

    fn add(&mut self, term: DoubleDouble) {
        self.sum = self.sum + term;
        self.size += term.to_f64().abs();
    }

    /// What cancels to less than twice the digits of a double can tell is 0.
    fn value(self) -> f64 {
        let value = self.sum.to_f64();
        if value.abs() <= 1e-26 * self.size { 0.0 } else { value + 0.0 }
    }
}

/// Draws the operations that lead to the outputs.
pub(super) fn draw(trace: &Traceable) -> Graph {
    let uses = uses(trace);
    let (total, by_use) = backward(trace, &uses);
    let mut graph = Graph {
        level: Level::Scalar,
        backward: true,
        nodes: Vec::new(),
        edges: Vec::new(),
        notes: notes(trace, &uses),
    };
    // Where the value of each entry is taken from: its node, or its branch.
    let mut taken = BTreeMap::new();
    for (&entry, users) in &uses {
        let made = &trace.log[entry];
        let node = graph.nodes.len();
        graph.nodes.push(match trace.leaves.get(&entry) {
            Some((name, _)) => Node { kind: Kind::Leaf, label: name.clone(), meaning: None },
            None => Node { kind: Kind::Op, label: label(made), meaning: meaning(made) },
        });
        for (n, (_, from)) in made.reads.iter().enumerate() {
            if let Some(from) = from.filter(|from| uses.contains_key(from)) {
                let slope = local_derivatives(made)[n].to_f64();
                let found = by_use.get(&(from, entry, n)).copied().unwrap_or_default();
                if let Some(out) = taken.get_mut(&from) {
                    let out: &mut Out = out;
                    out.edge(&mut graph, node, found, Some(slope));
                }
            }
        }
        let gradient = trace.leaves.get(&entry).and_then(|(_, gradient)| *gradient);
        let result = trace.results.get(&entry);
        let out = Out {
            node,
            name: trace.leaves.get(&entry).map(|(name, _)| name.clone()).or(result.map(|(name, _)| name.clone())),
            slope: trace.leaves.get(&entry).map(|(name, _)| super::gradient(name)),
            forward: result.map_or(made.value.to_f64(), |(_, value)| *value),
            backward: gradient.unwrap_or_else(|| total.get(&entry).map_or(0.0, |slope| slope.value())),
            single: users.len() == 1,
        };
        taken.insert(entry, out.branched(&mut graph));
    }
    for (entry, name, value, dout) in &trace.outputs {
        let node = graph.nodes.len();
        graph.nodes.push(Node { kind: Kind::Sink, label: name.clone(), meaning: None });
        if let Some(out) = taken.get_mut(entry) {
            out.forward = *value;
            out.name = Some(name.clone());
            out.slope = Some(Name::DOUT.to_string() + name.find('[').map_or("", |at| &name[at..]));
            out.edge(&mut graph, node, *dout, None);
        }
    }
    graph
}

/// Where a value goes out.
struct Out {
    node: usize,
    name: Option<String>,
    slope: Option<String>,
    forward: f64,
    backward: f64,
    single: bool,
}

impl Out {
    /// A value that goes several ways passes a branch, before which its gradients are summed.
    fn branched(mut self, graph: &mut Graph) -> Out {
        if !self.single {
            let branch = graph.nodes.len();
            let meaning = Some("goes several ways; their gradients are summed".to_owned());
            graph.nodes.push(Node { kind: Kind::Branch, label: "•".to_owned(), meaning });
            let total = self.backward;
            self.edge(graph, branch, total, None);
            self.node = branch;
            // What comes back on one of the ways is a part of it.
            self.slope = None;
        }
        self
    }

    fn edge(&mut self, graph: &mut Graph, to: usize, backward: f64, local: Option<f64>) {
        // A single edge has the whole gradient, as it was computed.
        let backward = if self.single && local.is_some() { self.backward } else { backward };
        graph.edges.push(Edge {
            from: self.node,
            to,
            name: self.name.clone(),
            slope: self.slope.clone(),
            forward: arr0(self.forward).into_dyn(),
            backward: Some(arr0(backward).into_dyn()),
            local,
            rule: None,
        });
    }
}

/// Every entry that an output depends on, in order, and what uses it.
fn uses(trace: &Traceable) -> BTreeMap<usize, Vec<Use>> {
    let mut uses: BTreeMap<usize, Vec<Use>> = BTreeMap::new();
    for (n, (entry, ..)) in trace.outputs.iter().enumerate() {
        uses.entry(*entry).or_default().push(Use::Output(n));
    }
    // An entry reads only earlier ones.
    for entry in (0..trace.log.len()).rev() {
        if uses.contains_key(&entry) {
            for (n, (_, from)) in trace.log[entry].reads.iter().enumerate() {
                if let Some(from) = from {
                    uses.entry(*from).or_default().push(Use::Of(entry, n));
                }
            }
        }
    }
    uses
}

/// The gradient by each entry, and by each use of it: reader, entry, operand.
#[allow(clippy::type_complexity)] // said in words above
fn backward(
    trace: &Traceable,
    uses: &BTreeMap<usize, Vec<Use>>,
) -> (BTreeMap<usize, Slope>, BTreeMap<(usize, usize, usize), f64>) {
    let (mut total, mut by_use) = (BTreeMap::new(), BTreeMap::new());
    for (&entry, users) in uses.iter().rev() {
        let mut slope = Slope::none();
        for user in users {
            match *user {
                Use::Output(n) => slope.add(DoubleDouble::from_f64(trace.outputs[n].3)),
                Use::Of(reader, n) => {
                    let above: Option<&Slope> = total.get(&reader);
                    let above = above.copied().unwrap_or_else(Slope::none);
                    let here = local_derivatives(&trace.log[reader])[n];
                    // Nothing comes back of nothing, however steep it is here.
                    let part = if above.value() == 0.0 { DoubleDouble::zero() } else { above.sum * here };
                    by_use.insert((entry, reader, n), part.to_f64());
                    slope.add(part);
                }
            }
        }
        total.insert(entry, slope);
    }
    (total, by_use)
}

/// The sign of an operation; a constant that it reads stands on it.
fn label(entry: &Entry) -> String {
    let constant = |n: usize| entry.reads.get(n).filter(|(_, made)| made.is_none()).map(|(value, _)| value.to_f64());
    let with =
        |sign: &str, value: Option<f64>| value.map_or(sign.to_owned(), |value| format!("{sign}{}", brief(value)));
    match entry.op {
        Op::Leaf => String::new(),
        Op::Sum => {
            let constants = (0..entry.reads.len()).filter_map(constant);
            let sum: Option<f64> = constants.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value));
            with("+", sum)
        }
        Op::Subtract => match constant(0) {
            Some(value) => format!("{}−", brief(value)),
            None => with("−", constant(1)),
        },
        Op::Multiply => with("×", constant(0).or(constant(1))),
        Op::Divide => match constant(0) {
            Some(1.0) => "/".to_owned(),
            Some(value) => format!("{}/", brief(value)),
            None => with("/", constant(1)),
        },
        Op::Negate => "×-1".to_owned(),
        Op::Exp { .. } => "exp".to_owned(),
        Op::Ln { .. } => "log".to_owned(),
        Op::Tanh => "tanh".to_owned(),
        Op::Relu | Op::IfPositive => "relu".to_owned(),
        Op::Max => "max".to_owned(),
    }
}

/// What the sign of an operation leaves out.
fn meaning(entry: &Entry) -> Option<String> {
    match entry.op {
        Op::Exp { shift } if shift != 0.0 => Some(format!("e^(x − {})", brief(shift)).replace("− -", "+ ")),
        Op::Ln { eps } if eps != 0.0 => Some(format!("log(y + {})", brief(eps))),
        Op::Divide if entry.reads[0].1.is_none() => Some("1/x".to_owned()),
        _ => None,
    }
}

/// What the signs leave out.
fn notes(trace: &Traceable, uses: &BTreeMap<usize, Vec<Use>>) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for entry in uses.keys() {
        let note = match trace.log[*entry].op {
            Op::Exp { shift } if shift != 0.0 => {
                "exp is e^(x − max): the largest is taken off first, which changes no quotient".to_owned()
            }
            Op::Ln { eps } if eps != 0.0 => format!("log is log(y + {})", brief(eps)),
            Op::Divide if trace.log[*entry].reads[0].1.is_none() => "/ of one number is 1/x".to_owned(),
            _ => continue,
        };
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

/// Names every entry of an array: `x[0,1]`.
pub(super) fn named<T>(name: &str, value: &ndarray::ArrayD<T>) -> Vec<String> {
    value.indexed_iter().map(|(at, _)| format!("{name}{}", place_in(ndarray::Dimension::slice(&at)))).collect()
}
