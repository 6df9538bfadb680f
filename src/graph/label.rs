//! What stands on an edge: numbers in five digits, and of a matrix its corner.

use super::{Edge, Graph, Kind, Level};
use crate::core::error::format_shape;
use ndarray::{ArrayD, Axis};

/// So many rows and columns of a matrix are shown; where there are more, dots stand for the last.
pub(super) const SHOWN: usize = 4;
/// A longer name has dots in its middle.
const NAME: usize = 24;

/// What stands above an edge's line, and what below.
pub(super) fn label(edge: &Edge, graph: &Graph, shown: usize) -> (Vec<String>, Vec<String>) {
    let kind = |node: usize| graph.nodes[node].kind;
    let named_by_node = kind(edge.from) == Kind::Leaf || kind(edge.to) == Kind::Sink;
    let mut above = lines(&edge.forward, shown);
    let mut below = match (&edge.backward, graph.backward) {
        (Some(backward), _) => lines(backward, shown),
        (None, true) => vec!["no gradient".to_owned()],
        (None, false) => Vec::new(),
    };
    let Some(name) = &edge.name else { return (above, below) };
    if graph.level == Level::Tensor {
        let form = format_shape(edge.forward.shape());
        above.insert(0, if named_by_node { form } else { format!("{} {form}", short(name)) });
        if let Some(backward) = &edge.backward {
            let name = edge.slope.as_ref().map(|name| short(name) + " ").unwrap_or_default();
            below.push(name + &format_shape(backward.shape()));
        }
    } else if !named_by_node && kind(edge.from) != Kind::Branch {
        above[0] = format!("{name} = {}", above[0]);
    }
    (above, below)
}

/// The same where both stand above the line: the name of the gradient comes first, as the value's does.
pub(super) fn stacked(edge: &Edge, graph: &Graph) -> (Vec<String>, Vec<String>) {
    let (above, mut below) = label(edge, graph, SHOWN);
    if graph.level == Level::Tensor && edge.backward.is_some() {
        below.rotate_right(1);
    }
    (above, below)
}

/// A name, with dots in its middle where it is long.
pub(super) fn short(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= NAME {
        return name.to_owned();
    }
    let (head, tail) = (&chars[..NAME / 2], &chars[chars.len() - NAME / 2 + 1..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

/// A number in as many digits as make it that double.
pub(super) fn exact(value: f64) -> String {
    match value {
        v if v.is_nan() => "NaN".to_owned(),
        v if v.is_infinite() => if v > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        v => format!("{v:?}"),
    }
}

/// All of a value, as JSON has it; nothing where it is large.
pub(super) fn whole(value: &ArrayD<f64>) -> Option<String> {
    let row = |row: ndarray::ArrayViewD<'_, f64>| {
        format!("[{}]", row.iter().map(|&v| exact(v)).collect::<Vec<String>>().join(","))
    };
    match (value.len(), value.ndim()) {
        (0..=64, 0) => Some(exact(value[[]])),
        (0..=64, 1) => Some(row(value.view())),
        (0..=64, _) => Some(format!("[{}]", value.axis_iter(Axis(0)).map(row).collect::<Vec<String>>().join(","))),
        _ => None,
    }
}

/// A number in five digits at most; a whole one as it is.
pub(super) fn brief(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
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

/// A number, vector or matrix as lines of the same width.
fn lines(value: &ArrayD<f64>, corner: usize) -> Vec<String> {
    match value.ndim() {
        0 => vec![brief(value[[]])],
        1 => aligned(&[cells(value.iter().copied(), corner)]),
        _ => {
            let rows = value.axis_iter(Axis(0));
            let mut shown: Vec<Vec<String>> =
                rows.clone().take(corner).map(|row| cells(row.iter().copied(), corner)).collect();
            if rows.len() > corner {
                shown[corner - 1] = vec!["…".to_owned(); shown[0].len()];
            }
            aligned(&shown)
        }
    }
}

fn cells(row: impl ExactSizeIterator<Item = f64> + Clone, corner: usize) -> Vec<String> {
    let mut shown: Vec<String> = row.clone().take(corner).map(brief).collect();
    if row.len() > corner {
        shown[corner - 1] = "…".to_owned();
    }
    shown
}

fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..columns).map(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect();
        cells.join(" ")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        let shown = [0.090030573, 1.0 / 3.0, 8.0, -0.25, 1e-10, 123456.789, 12345678.9, 1e300, 0.1 + 0.2].map(brief);
        assert_eq!(shown, ["0.090031", "0.33333", "8", "-0.25", "1e-10", "123460", "1.2346e7", "1e300", "0.3"]);
    }

    #[test]
    fn a_large_matrix_shows_its_corner() {
        let value = ArrayD::from_shape_fn(ndarray::IxDyn(&[9, 5]), |at| (at[0] * 5 + at[1]) as f64);
        assert_eq!(lines(&value, SHOWN), [" 0  1  2 …", " 5  6  7 …", "10 11 12 …", " …  …  … …"]);
    }
}
