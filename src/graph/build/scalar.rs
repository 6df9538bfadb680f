//! The graph of numbers: a trace of the layers' formulas, differentiated backward edge by edge.

use super::computed_layer::ComputedLayer;
use super::textbook::rewrite;
use super::trace::{MAX_NODES, Trace, too_large, trace_layers};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::graph::label::format_number;
use crate::graph::model::{Edge, Graph, Level, NodeKind};
use crate::graph::options::PictureOptions;
use crate::graph::words;
use crate::numeric::operations::{Entry, Op, local_derivatives};
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::arr0;
use std::collections::BTreeMap;

/// Builds the graph of numbers of a chain of layers; refuses one of more than [`MAX_NODES`] nodes.
pub(super) fn scalar_graph(layers: &[ComputedLayer<'_>], options: &PictureOptions) -> Result<Graph, Error> {
    let graph = draw(&rewrite(trace_layers(layers)?), options);
    if graph.nodes.len() > MAX_NODES { Err(too_large(&graph.nodes.len().to_string())) } else { Ok(graph) }
}

/// A use of an entry.
#[derive(Clone, Copy)]
enum Use {
    /// Operand `n` of another entry.
    Operand { reader: usize, n: usize },
    /// Output `n`.
    Output(usize),
}

/// A gradient as the sum of the gradients of its uses.
#[derive(Clone, Copy)]
struct GradientSum {
    sum: DoubleDouble,
    /// Sum of the terms' magnitudes.
    magnitude: f64,
}

impl GradientSum {
    fn zero() -> GradientSum {
        GradientSum { sum: DoubleDouble::zero(), magnitude: 0.0 }
    }

    fn add(&mut self, term: DoubleDouble) {
        self.sum = self.sum + term;
        self.magnitude += term.to_f64().abs();
    }

    /// Returns the sum, or 0 if the terms cancel to less than double-double arithmetic can distinguish from 0.
    fn value(self) -> f64 {
        let value = self.sum.to_f64();
        if value.abs() <= 1e-26 * self.magnitude { 0.0 } else { value + 0.0 }
    }
}

/// Draws the operations that lead to the outputs.
fn draw(trace: &Trace, options: &PictureOptions) -> Graph {
    let uses = uses(trace);
    let (total, by_use) = backward(trace, &uses);
    let has_gradient = gradients_exist(trace);
    let mut graph = Graph::new(Level::Scalar, options.clone());
    let mut sources: BTreeMap<usize, Source> = BTreeMap::new();
    for (&index, users) in &uses {
        let entry = &trace.log[index];
        let leaf = trace.leaves.get(&index);
        let node = match leaf {
            Some((name, _)) => graph.add_node(NodeKind::Leaf, name.as_str()),
            None => graph.add_node(NodeKind::Operation, label(entry, options.digits)),
        };
        graph.nodes[node].hint = hint(entry, options.digits);
        graph.nodes[node].is_ordered = matches!(entry.op, Op::Subtract | Op::Divide | Op::IfPositive);
        if matches!(entry.op, Op::Exp { shift } if shift != 0.0) {
            graph.add_note(words::SHIFTED_EXPONENT.to_owned());
        }
        if matches!(entry.op, Op::Clip { most, .. } if most < f64::INFINITY) {
            graph.add_note(words::CLIP.to_owned());
        }
        for (n, (_, from)) in entry.reads.iter().enumerate() {
            if let Some(source) = from.and_then(|from| sources.get(&from)) {
                let gradient = by_use.get(&(index, n)).copied().filter(|_| source.backward.is_some());
                source.add_edge(&mut graph, node, gradient, Some(local_derivatives(entry)[n].to_f64()));
                if let Some(edge) = graph.edges.last_mut() {
                    edge.local_formula = local_formula(entry, options.digits);
                }
            }
        }
        let result = trace.results.get(&index);
        let gradient = leaf.and_then(|(_, gradient)| *gradient);
        let source = Source {
            node,
            name: leaf.map(|(name, _)| name.clone()).or(result.map(|(name, _)| name.clone())),
            gradient_name: leaf.map(|(name, _)| gradient_name(name)),
            forward: result.map_or(entry.value.to_f64(), |(_, value)| *value),
            backward: gradient
                .or_else(|| total.get(&index).map(|gradient| gradient.value()))
                .filter(|_| has_gradient[index]),
            is_used_once: users.len() == 1,
        };
        sources.insert(index, source.with_branch(&mut graph));
    }
    for (entry, name, value, dout) in &trace.outputs {
        let node = graph.add_node(NodeKind::Sink, name.as_str());
        if let Some(source) = sources.get_mut(entry) {
            source.forward = *value;
            source.name = Some(name.clone());
            source.gradient_name = Some(Name::DOUT.to_string() + name.find('[').map_or("", |at| &name[at..]));
            source.add_edge(&mut graph, node, Some(*dout), None);
        }
    }
    graph
}

/// The node that the edges of a value leave, and the value with its total gradient.
struct Source {
    node: usize,
    name: Option<String>,
    gradient_name: Option<String>,
    forward: f64,
    backward: Option<f64>,
    is_used_once: bool,
}

impl Source {
    /// Adds a branch for a value that is used several times: before it, the gradients of the uses are summed.
    fn with_branch(mut self, graph: &mut Graph) -> Source {
        if !self.is_used_once {
            let branch = graph.add_node(NodeKind::Branch, "•");
            graph.nodes[branch].meaning = Some(words::BRANCH.to_owned());
            graph.nodes[branch].hint = Some(words::hints::BRANCH.to_owned());
            self.add_edge(graph, branch, self.backward, None);
            self.node = branch;
            // The gradient of one use is only a term of the operand's gradient, whose name it must not have.
            self.gradient_name = None;
        }
        self
    }

    fn add_edge(&self, graph: &mut Graph, to: usize, backward: Option<f64>, local_derivative: Option<f64>) {
        // A single use has the whole gradient, as the layer computed it.
        let backward = if self.is_used_once && local_derivative.is_some() { self.backward } else { backward };
        graph.edges.push(Edge {
            from: self.node,
            to,
            name: self.name.clone(),
            gradient_name: self.gradient_name.clone(),
            forward: arr0(self.forward).into_dyn(),
            backward: backward.map(|backward| arr0(backward).into_dyn()),
            local_derivative,
            local_formula: None,
            gradient_formula: None,
            sum: None,
        });
    }
}

/// Returns the name of the gradient of a number: `dw[0]` for `w[0]`, `fc1.dw[0]` for `fc1.w[0]`.
pub(super) fn gradient_name(name: &str) -> String {
    match name.rsplit_once('.').filter(|(layer, _)| !layer.contains(' ')) {
        Some((layer, own)) => format!("{layer}.d{own}"),
        None if name.chars().all(|c| c.is_alphanumeric() || "_[,]".contains(c)) => format!("d{name}"),
        None => format!("d({name})"),
    }
}

/// Returns true for each entry that has a gradient: operands that have one, and what is computed from them.
fn gradients_exist(trace: &Trace) -> Vec<bool> {
    let mut exists = Vec::with_capacity(trace.log.len());
    for (n, entry) in trace.log.iter().enumerate() {
        let read = entry.reads.iter().any(|(_, from)| from.is_some_and(|from| exists[from]));
        exists.push(read || trace.leaves.get(&n).is_some_and(|(_, gradient)| gradient.is_some()));
    }
    exists
}

/// Returns the entries that an output depends on, in order, with their uses.
fn uses(trace: &Trace) -> BTreeMap<usize, Vec<Use>> {
    let mut uses: BTreeMap<usize, Vec<Use>> = BTreeMap::new();
    for (n, (entry, ..)) in trace.outputs.iter().enumerate() {
        uses.entry(*entry).or_default().push(Use::Output(n));
    }
    // An entry reads only earlier ones.
    for reader in (0..trace.log.len()).rev() {
        if uses.contains_key(&reader) {
            for (n, (_, from)) in trace.log[reader].reads.iter().enumerate() {
                if let Some(from) = from {
                    uses.entry(*from).or_default().push(Use::Operand { reader, n });
                }
            }
        }
    }
    uses
}

/// The gradient of each operand of each entry: reader and position.
type GradientsByUse = BTreeMap<(usize, usize), f64>;

/// Returns the gradient of each entry, and of each of its uses.
fn backward(trace: &Trace, uses: &BTreeMap<usize, Vec<Use>>) -> (BTreeMap<usize, GradientSum>, GradientsByUse) {
    let (mut total, mut by_use) = (BTreeMap::new(), BTreeMap::new());
    for (&entry, users) in uses.iter().rev() {
        let mut gradient = GradientSum::zero();
        for user in users {
            match *user {
                Use::Output(n) => gradient.add(DoubleDouble::from_f64(trace.outputs[n].3)),
                Use::Operand { reader, n } => {
                    let upstream: GradientSum = total.get(&reader).copied().unwrap_or_else(GradientSum::zero);
                    // An upstream gradient of 0 gives 0 even if the local derivative is infinite.
                    let term = match upstream.value() == 0.0 {
                        true => DoubleDouble::zero(),
                        false => upstream.sum * local_derivatives(&trace.log[reader])[n],
                    };
                    by_use.insert((reader, n), term.to_f64());
                    gradient.add(term);
                }
            }
        }
        total.insert(entry, gradient);
    }
    (total, by_use)
}

/// Returns the label of an operation, which includes a constant operand.
fn label(entry: &Entry, digits: usize) -> String {
    let constant = |n: usize| entry.reads.get(n).filter(|(_, from)| from.is_none()).map(|(value, _)| value.to_f64());
    let number = |value: f64| format_number(value, digits);
    let with = |symbol: &str, value: Option<f64>| symbol.to_owned() + &value.map(number).unwrap_or_default();
    match entry.op {
        Op::Leaf => String::new(),
        Op::Sum => {
            let constants = (0..entry.reads.len()).filter_map(constant);
            with("+", constants.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or(0.0) + value)))
        }
        Op::Subtract => match constant(0) {
            Some(value) => format!("{}−x", number(value)),
            None => with("−", constant(1)),
        },
        Op::Multiply => with("×", constant(0).or(constant(1))),
        Op::Square => "x²".to_owned(),
        Op::Divide => match constant(0) {
            Some(value) => format!("{}/x", number(value)),
            None => with("/", constant(1)),
        },
        Op::Negate => "×(−1)".to_owned(),
        Op::Exp { shift: 0.0 } => "exp".to_owned(),
        Op::Exp { shift } if shift < 0.0 => format!("e^(x+{})", number(-shift)),
        Op::Exp { shift } => format!("e^(x−{})", number(shift)),
        Op::Ln { eps: 0.0 } => "log".to_owned(),
        Op::Ln { eps } => format!("log(x+{})", number(eps)),
        Op::Sqrt => "√".to_owned(),
        Op::Tanh => "tanh".to_owned(),
        Op::Sin => "sin".to_owned(),
        Op::Cos => "cos".to_owned(),
        Op::NormalCdf => "Φ".to_owned(),
        Op::NormalDensity => "φ".to_owned(),
        Op::Relu | Op::IfPositive => "relu".to_owned(),
        Op::Max => "max".to_owned(),
        Op::Abs => "|x|".to_owned(),
        Op::Clip { least, most: f64::INFINITY } => format!("max(x,{})", number(least)),
        Op::Clip { least, most } => format!("clip(x,{},{})", number(least), number(most)),
    }
}

/// Returns what an operation does with the gradient that comes back.
fn hint(entry: &Entry, digits: usize) -> Option<String> {
    let constant = |n: usize| entry.reads.get(n).filter(|(_, from)| from.is_none()).map(|(value, _)| value.to_f64());
    let number = |value: f64| format_number(value, digits);
    let hint = match entry.op {
        Op::Leaf => return None,
        Op::Sum => words::hints::ADD,
        Op::Subtract => words::hints::SUBTRACT,
        Op::Multiply => match constant(0).or(constant(1)) {
            Some(factor) => {
                return Some(format!(
                    "×{}",
                    if factor < 0.0 { format!("({})", number(factor)) } else { number(factor) }
                ));
            }
            None => words::hints::MULTIPLY,
        },
        Op::Divide => match (constant(0), constant(1)) {
            (Some(dividend), _) => return Some(format!("×({}/x²)", number(-dividend).replace('-', "−"))),
            (None, Some(divisor)) => return Some(format!("×1/{}", number(divisor))),
            (None, None) => words::hints::DIVIDE,
        },
        Op::Square => "×2x",
        Op::Negate => "×(−1)",
        Op::Exp { .. } => "×y",
        Op::Ln { eps: 0.0 } => "×1/x",
        Op::Ln { eps } => return Some(format!("×1/(x+{})", number(eps))),
        Op::Sqrt => "×1/(2y)",
        Op::Tanh => "×(1−y²)",
        Op::Sin => "×cos x",
        Op::Cos => "×(−sin x)",
        Op::NormalCdf => "×φ(x)",
        Op::NormalDensity => "×(−x·y)",
        Op::Relu | Op::IfPositive | Op::Clip { .. } => words::hints::RELU,
        Op::Abs => words::hints::ABS,
        Op::Max => words::hints::MAX,
    };
    Some(hint.to_owned())
}

/// Returns the derivative of an operation by its only operand x as a formula of x.
fn local_formula(entry: &Entry, digits: usize) -> Option<String> {
    let formula = hint(entry, digits)?.strip_prefix('×')?.to_owned();
    (formula.contains('x') && !formula.contains('y') && entry.op != Op::Relu).then_some(formula)
}
