//! Labels of edges: numbers with few digits, and the first and last entries of a matrix.

use super::model::{Edge, GradientSum, Graph, Level, Node, NodeKind};
use super::words;
use crate::core::error::format_shape;
use crate::core::language::translate;
use crate::core::non_finite::{json_name, numpy_name};
use ndarray::{ArrayD, ArrayViewD, Axis};
use std::borrow::Cow;
use unicode_width::UnicodeWidthStr;

/// Number of rows and columns of a matrix in a label; those of a larger matrix include an ellipsis.
pub(super) const MAX_SIDE: usize = 4;
/// Number of terms of a sum that are written out.
const MAX_TERMS: usize = 4;
/// Number of characters of a line of a sum, unless other lines of its label are wider.
const SUM_WIDTH: usize = 16;
/// Number of characters of a name in a label; a longer name is abbreviated in its middle.
const MAX_NAME_CHARS: usize = 24;

/// A line of an edge's label.
#[derive(Clone, Debug)]
pub(super) struct LabelLine {
    pub(super) kind: LineKind,
    pub(super) text: String,
}

/// Kind of a line of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    /// A name and a shape.
    Name,
    /// A number or a row.
    Numbers,
    /// A separator of two matrices.
    Gap,
    /// The sum that is the gradient before a branch.
    Sum,
    /// The length of a gradient.
    Norm,
    /// The words for no gradient.
    Missing,
}

/// The lines above and below an edge.
pub(super) struct EdgeLabel {
    pub(super) above: Vec<LabelLine>,
    pub(super) below: Vec<LabelLine>,
}

impl EdgeLabel {
    /// Returns the number of characters of the longest line.
    pub(super) fn width(&self) -> usize {
        self.above.iter().chain(&self.below).map(|line| line.text.width()).max().unwrap_or(0)
    }
}

/// Returns the label of an edge; matrices show `max_side` rows and columns.
pub(super) fn edge_label(edge: &Edge, graph: &Graph, max_side: usize) -> EdgeLabel {
    let kind = |node: usize| graph.nodes[node].kind;
    let line = |kind: LineKind, text: String| LabelLine { kind, text: graph.text(&text) };
    let name_of = |name: &String| abbreviate(&graph.symbol(name));
    let is_named_by_node = kind(edge.from) == NodeKind::Leaf || kind(edge.to) == NodeKind::Sink;
    let mut above = array_lines(&edge.forward, max_side, graph);
    let mut below = match (&edge.backward, graph.backward) {
        (Some(backward), _) => array_lines(backward, max_side, graph),
        (None, true) => vec![line(LineKind::Missing, words::NO_GRADIENT.to_owned())],
        (None, false) => Vec::new(),
    };
    let named = |name: &str, value: &ArrayD<f64>| {
        let text = format!("{} {}", graph.text(name), graph.text(&format_shape(value.shape())));
        LabelLine { kind: LineKind::Name, text: text.trim_start().to_owned() }
    };
    let own_name = |name: &String| if is_named_by_node { String::new() } else { name_of(name) };
    if let (Level::Layer, Some(name)) = (graph.level, &edge.name) {
        above = vec![named(&own_name(name), &edge.forward)];
        if let Some(backward) = &edge.backward {
            let norm = backward.iter().map(|gradient| gradient * gradient).sum::<f64>().sqrt();
            below = vec![line(LineKind::Norm, format!("‖d‖ = {}", format_number(norm, graph.options.digits)))];
        }
    } else if let Some(name) = &edge.name {
        if graph.level == Level::Tensor {
            above.insert(0, named(&own_name(name), &edge.forward));
            if let Some(backward) = &edge.backward {
                let formula = edge.gradient_formula.as_ref().filter(|_| graph.options.has_hints);
                let formula =
                    formula.filter(|formula| !is_long(formula)).map(|formula| translated_formula(formula, graph));
                let text = formula.or_else(|| edge.gradient_name.as_ref().map(name_of));
                below.push(named(&text.unwrap_or_default(), backward));
            }
        } else if !is_named_by_node && kind(edge.from) != NodeKind::Branch {
            above[0].text = graph.text(&format!("{} = {}", name_of(name), above[0].text));
        }
    }
    let mut label = EdgeLabel { above, below };
    let max_width = label.width().max(SUM_WIDTH);
    let sum_lines = edge.sum.iter().flat_map(|sum| wrap_sum(sum, max_width));
    label.below.extend(sum_lines.map(|text| line(LineKind::Sum, text)));
    label
}

/// Returns true for a formula that is too long for a label.
pub(super) fn is_long(formula: &str) -> bool {
    formula.chars().count() > MAX_NAME_CHARS
}

/// Returns the formula of a gradient, whose right side may have words.
pub(super) fn translated_formula(formula: &str, graph: &Graph) -> String {
    let sides = formula.split_once(" = ");
    sides.map_or_else(|| formula.to_owned(), |(name, right)| format!("{name} = {}", graph.text(right)))
}

/// Returns the lines of text of an edge's value and gradient, each with the name first, for one label with both.
pub(super) fn stacked_label(edge: &Edge, graph: &Graph) -> (Vec<String>, Vec<String>) {
    let EdgeLabel { above, mut below } = edge_label(edge, graph, MAX_SIDE);
    below.sort_by_key(|line| line.kind != LineKind::Name);
    let texts = |lines: Vec<LabelLine>| lines.into_iter().map(|line| line.text).collect();
    (texts(above), texts(below))
}

/// Returns the lines of the gradients that are sums over the uses of an operand.
pub(super) fn sum_lines(graph: &Graph) -> Vec<String> {
    let number = |value: f64| format_number(value, graph.options.digits);
    let line = |sum: &GradientSum| {
        let text = sum_text(sum.terms.iter().map(|&term| number(term)));
        let sign = equality_sign(sum.terms.iter().copied().chain([sum.total]), graph.options.digits);
        graph.text(&format!("{} = {text} {sign} {}", graph.symbol(&sum.name), number(sum.total)))
    };
    graph.sums.iter().map(line).collect()
}

/// Returns `=` if these numbers are written with all of their digits, and `≈` if one is rounded.
pub(super) fn equality_sign(mut numbers: impl Iterator<Item = f64>, digits: usize) -> &'static str {
    let is_exact = |number: f64| number.is_nan() || format_number(number, digits).parse() == Ok(number);
    if numbers.all(is_exact) { "=" } else { "≈" }
}

/// Returns a sum of numbers; one of many terms is abbreviated.
pub(super) fn sum_text(terms: impl Iterator<Item = String>) -> String {
    let closed = |(n, term): (usize, String)| if n > 0 && term.starts_with('-') { format!("({term})") } else { term };
    let mut terms: Vec<String> = terms.enumerate().map(closed).collect();
    if terms.len() > MAX_TERMS {
        terms.splice(MAX_TERMS - 1..terms.len() - 1, ["…".to_owned()]);
    }
    terms.join(" + ")
}

/// Splits a sum before its plus signs into lines of a width; a longer term has a line of its own.
fn wrap_sum(sum: &str, max_width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (n, term) in sum.split(" + ").enumerate() {
        match lines.last_mut().filter(|line| line.width() + term.width() + 3 <= max_width) {
            Some(line) => line.extend([" + ", term]),
            None => lines.push(if n == 0 { term.to_owned() } else { format!("+ {term}") }),
        }
    }
    lines
}

/// Returns the text of a node: the symbol of an operand or result, the sign of an operation.
pub(super) fn node_label(node: &Node, graph: &Graph) -> String {
    match node.kind {
        NodeKind::Leaf | NodeKind::Sink => graph.text(&abbreviate(&graph.symbol(&node.label))),
        _ => graph.text(&node.label),
    }
}

/// Returns what an operation does with the gradient that comes back, if the picture says it.
pub(super) fn node_hint(node: &Node, graph: &Graph) -> Option<String> {
    node.hint.as_ref().filter(|_| graph.options.has_hints && graph.backward).map(|hint| graph.text(hint))
}

impl Graph {
    /// Returns a text in the language of this thread, or in English and ASCII if ASCII is asked for.
    pub(super) fn text(&self, text: &str) -> String {
        if self.options.is_ascii { text.chars().map(to_ascii).collect() } else { translate(text).into_owned() }
    }
}

/// Returns the ASCII characters that replace a character.
pub(super) fn to_ascii(char: char) -> Cow<'static, str> {
    Cow::Borrowed(match char {
        '─' | '−' => "-",
        '│' => "|",
        '•' => "o",
        '×' | '·' | '∘' => "*",
        '→' => ">",
        '←' => "<",
        '…' => "...",
        '⋮' => ":",
        'Σ' => "sum ",
        '√' => "sqrt",
        'ᵀ' => "^T",
        '²' => "^2",
        '‖' => "|",
        '±' => "+-",
        '≈' => "~",
        'Φ' => "Phi",
        'φ' => "phi",
        '₀'..='₉' => return Cow::Owned((u32::from(char) - u32::from('₀')).to_string()),
        '\u{2500}'..='\u{257f}' => "+",
        c if c.is_ascii() => return Cow::Owned(c.to_string()),
        _ => "?",
    })
}

/// Replaces the middle of a long name by an ellipsis.
pub(super) fn abbreviate(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= MAX_NAME_CHARS {
        return name.to_owned();
    }
    let half = MAX_NAME_CHARS / 2;
    let (head, tail) = (&chars[..half], &chars[chars.len() - half + 1..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

/// Formats a number with as many digits as identify the double.
pub(super) fn full_precision(value: f64) -> String {
    json_name(value).map_or_else(|| format!("{value:?}"), str::to_owned)
}

/// Formats all entries of an array like JSON; `None` if there are more than 64.
pub(super) fn array_text(value: &ArrayD<f64>) -> Option<String> {
    fn text(value: ArrayViewD<'_, f64>) -> String {
        match value.ndim() {
            0 => full_precision(value[[]]),
            _ => format!("[{}]", value.axis_iter(Axis(0)).map(text).collect::<Vec<String>>().join(",")),
        }
    }
    (value.len() <= 64).then(|| text(value.view()))
}

/// Formats a number with this many significant digits at most; an integer below 10⁷ keeps all of its digits.
pub(super) fn format_number(value: f64, digits: usize) -> String {
    if let Some(name) = numpy_name(value) {
        return name.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e7 {
        return format!("{value:.0}");
    }
    let rounded: f64 = format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value);
    if (1e-4..1e7).contains(&size) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// Returns the indices along an axis that are shown, `None` for those left out: the first and the last, as NumPy does.
fn shown_indices(length: usize, max: usize) -> Vec<Option<usize>> {
    if length <= max {
        return (0..length).map(Some).collect();
    }
    let head = max.saturating_sub(2).max(1);
    let tail = max.saturating_sub(1 + head);
    (0..head).map(Some).chain([None]).chain((length - tail..length).map(Some)).collect()
}

/// Formats a number, vector, matrix or stack of matrices as lines of equal width. Of a stack of more than two matrices, the
/// first and the last are shown.
fn array_lines(value: &ArrayD<f64>, max_side: usize, graph: &Graph) -> Vec<LabelLine> {
    let side = |from_end: usize| value.ndim().checked_sub(from_end).map_or(1, |axis| value.shape()[axis]);
    let (height, width) = (side(2), side(1));
    let matrices = match value.len() / (height * width).max(1) {
        count @ ..=2 => (0..count).map(Some).collect(),
        count => vec![Some(0), None, Some(count - 1)],
    };
    let entry = |at: usize| match value.as_slice() {
        Some(entries) => entries[at],
        None => value.iter().nth(at).copied().unwrap_or_default(),
    };
    let columns = shown_indices(width, max_side);
    // Cells of each row; what separates two matrices has one cell.
    let mut rows: Vec<(LineKind, Vec<String>)> = Vec::new();
    for (n, matrix) in matrices.iter().enumerate() {
        if n > 0 && matrices.len() == 2 {
            rows.push((LineKind::Gap, Vec::new()));
        }
        let Some(matrix) = matrix else {
            rows.push((LineKind::Gap, vec![graph.text("⋮")]));
            continue;
        };
        for row in shown_indices(height, max_side) {
            let cell = |column: &Option<usize>| match row.zip(*column) {
                Some((row, column)) => {
                    format_number(entry((matrix * height + row) * width + column), graph.options.digits)
                }
                None => graph.text("…"),
            };
            rows.push((LineKind::Numbers, columns.iter().map(cell).collect()));
        }
    }
    let cell_width = |n: usize| {
        let cells = rows.iter().filter(|(kind, _)| *kind == LineKind::Numbers).map(|(_, row)| row[n].width());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(cell_width).collect();
    let line = |(kind, row): &(LineKind, Vec<String>)| {
        let is_number = *kind == LineKind::Numbers;
        let cells =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>0$}", if is_number { width } else { 0 }));
        LabelLine { kind: *kind, text: cells.collect::<Vec<String>>().join(" ") }
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::options::PictureOptions;

    #[test]
    fn numbers_have_five_digits() {
        let shown = [0.090030573, 1.0 / 3.0, 8.0, -0.25, 1e-10, 123456.789, 12345678.9, 1e300, 0.1 + 0.2]
            .map(|value| format_number(value, 5));
        assert_eq!(shown, ["0.090031", "0.33333", "8", "-0.25", "1e-10", "123460", "1.2346e7", "1e300", "0.3"]);
    }

    #[track_caller]
    fn assert_lines(shape: &[usize], expected: &[&str]) {
        let mut next = -1.0;
        let value = ArrayD::from_shape_simple_fn(ndarray::IxDyn(shape), || {
            next += 1.0;
            next
        });
        let lines = array_lines(&value, MAX_SIDE, &Graph::new(Level::Tensor, PictureOptions::default()));
        assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_large_matrix_shows_its_first_and_last_entries() {
        assert_lines(&[9, 5], &[" 0  1 …  4", " 5  6 …  9", " …  … …  …", "40 41 … 44"]);
        assert_lines(&[6], &["0 1 … 5"]);
    }

    #[test]
    fn a_stack_shows_its_first_and_last_matrices() {
        assert_lines(&[2, 2, 2], &["0 1", "2 3", "", "4 5", "6 7"]);
        assert_lines(&[3, 2, 1, 2], &[" 0  1", "⋮", "10 11"]);
        assert_lines(&[3, 1, 1], &["0", "⋮", "2"]);
    }
}
