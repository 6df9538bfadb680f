//! Numbers as they stand on an edge: five digits, and of a matrix its corner.

use ndarray::{ArrayD, Axis};

/// So many rows and columns of a matrix are shown; where there are more, dots stand for the last.
const SHOWN: usize = 4;

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
pub(super) fn lines(value: &ArrayD<f64>) -> Vec<String> {
    match value.ndim() {
        0 => vec![brief(value[[]])],
        1 => aligned(&[cells(value.iter().copied())]),
        _ => {
            let rows = value.axis_iter(Axis(0));
            let mut shown: Vec<Vec<String>> = rows.clone().take(SHOWN).map(|row| cells(row.iter().copied())).collect();
            if rows.len() > SHOWN {
                shown[SHOWN - 1] = vec!["…".to_owned(); shown[0].len()];
            }
            aligned(&shown)
        }
    }
}

fn cells(row: impl ExactSizeIterator<Item = f64> + Clone) -> Vec<String> {
    let mut shown: Vec<String> = row.clone().take(SHOWN).map(brief).collect();
    if row.len() > SHOWN {
        shown[SHOWN - 1] = "…".to_owned();
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
        assert_eq!(lines(&value), [" 0  1  2 …", " 5  6  7 …", "10 11 12 …", " …  …  … …"]);
    }
}
