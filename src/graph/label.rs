//! Labels of edges: numbers with five digits, and the corner of a matrix. Legends of graphs.

use super::model::{Edge, Graph, Level, NodeKind};
use crate::core::error::format_shape;
use crate::core::non_finite::{json_name, numpy_name};
use ndarray::{ArrayD, ArrayViewD, Axis};

/// Number of rows and columns of a matrix in a label; of a larger matrix, the last one is an ellipsis.
pub(super) const MAX_SIDE: usize = 4;
/// Number of characters of a name in a label; a longer name is abbreviated in its middle.
const MAX_NAME_CHARS: usize = 24;

/// Returns the explanations below a graph.
pub(super) fn legend(graph: &Graph) -> impl Iterator<Item = &str> {
    let first = if graph.backward {
        "above each line: forward value; below: gradient"
    } else {
        "above each line: forward value"
    };
    std::iter::once(first).chain(graph.notes.iter().map(String::as_str))
}

/// Returns the lines of text above and below an edge; matrices show `max_side` rows and columns.
pub(super) fn edge_label(edge: &Edge, graph: &Graph, max_side: usize) -> (Vec<String>, Vec<String>) {
    let kind = |node: usize| graph.nodes[node].kind;
    let is_named_by_node = kind(edge.from) == NodeKind::Leaf || kind(edge.to) == NodeKind::Sink;
    let mut above = array_lines(&edge.forward, max_side);
    let mut below = match (&edge.backward, graph.backward) {
        (Some(backward), _) => array_lines(backward, max_side),
        (None, true) => vec!["no gradient".to_owned()],
        (None, false) => Vec::new(),
    };
    let Some(name) = &edge.name else { return (above, below) };
    if graph.level == Level::Tensor {
        let shape = format_shape(edge.forward.shape());
        above.insert(0, if is_named_by_node { shape } else { format!("{} {shape}", abbreviate(name)) });
        if let Some(backward) = &edge.backward {
            let name = edge.gradient_name.as_ref().map(|name| abbreviate(name) + " ").unwrap_or_default();
            below.push(name + &format_shape(backward.shape()));
        }
    } else if !is_named_by_node && kind(edge.from) != NodeKind::Branch {
        above[0] = format!("{name} = {}", above[0]);
    }
    (above, below)
}

/// Returns the lines of text of an edge's value and gradient, each with the name first, for one label with both.
pub(super) fn stacked_label(edge: &Edge, graph: &Graph) -> (Vec<String>, Vec<String>) {
    let (above, mut below) = edge_label(edge, graph, MAX_SIDE);
    if graph.level == Level::Tensor && edge.backward.is_some() {
        below.rotate_right(1);
    }
    (above, below)
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

/// Formats a number with at most five significant digits; an integer below 10⁷ keeps all of its digits.
pub(super) fn five_digits(value: f64) -> String {
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
    let rounded: f64 = format!("{value:.4e}").parse().unwrap_or(value);
    if (1e-4..1e7).contains(&size) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// Formats a number, vector or matrix as lines of equal width.
fn array_lines(value: &ArrayD<f64>, max_side: usize) -> Vec<String> {
    if value.ndim() == 0 {
        return vec![five_digits(value[[]])];
    }
    let ellipsis = || "…".to_owned();
    let mut rows: Vec<Vec<String>> = value
        .rows()
        .into_iter()
        .take(max_side)
        .map(|row| {
            let mut cells: Vec<String> = row.iter().take(max_side).map(|&value| five_digits(value)).collect();
            if row.len() > max_side {
                cells[max_side - 1] = ellipsis();
            }
            cells
        })
        .collect();
    if value.rows().into_iter().len() > max_side {
        rows[max_side - 1].fill_with(ellipsis);
    }
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(n, cell)| format!("{cell:>width$}", width = width(n)));
        cells.collect::<Vec<String>>().join(" ")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        let shown =
            [0.090030573, 1.0 / 3.0, 8.0, -0.25, 1e-10, 123456.789, 12345678.9, 1e300, 0.1 + 0.2].map(five_digits);
        assert_eq!(shown, ["0.090031", "0.33333", "8", "-0.25", "1e-10", "123460", "1.2346e7", "1e300", "0.3"]);
    }

    #[test]
    fn a_large_matrix_shows_its_corner() {
        let value = ArrayD::from_shape_fn(ndarray::IxDyn(&[9, 5]), |at| (at[0] * 5 + at[1]) as f64);
        assert_eq!(array_lines(&value, MAX_SIDE), [" 0  1  2 …", " 5  6  7 …", "10 11 12 …", " …  …  … …"]);
    }
}
