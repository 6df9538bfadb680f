//! Compares the results of a program with those of a test vector.

use crate::check::arrays::unravel_index;
use crate::check::finding::EntryCheck;
use crate::check::implementation::{Evaluation, Point};
use crate::check::reference::overflows;
use crate::core::error::format_shape;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::FloatType;
use ndarray::ArrayD;

/// A test vector as it was read, for a program of one type.
pub struct Expected {
    /// The operands and the upstream gradient.
    pub point: Point,
    /// The forward results.
    pub outputs: Tensors<f64>,
    /// The gradients.
    pub gradients: Tensors<f64>,
    /// The largest accepted error of each entry of each result.
    pub tolerances: Tensors<f64>,
    /// Rows of the number of an entry, the least and the largest other value, for each gradient that has some.
    pub alternatives: Tensors<f64>,
}

/// A result of a program, compared with the right one.
pub struct ComparedArray {
    /// The result.
    pub name: Name,
    /// Number of entries.
    pub entries: usize,
    /// Number of wrong entries.
    pub wrong: usize,
    /// The entry that is off the most, relative to its tolerance.
    pub worst: Option<EntryCheck>,
    /// A sentence about a wrong shape.
    pub mismatch: Option<String>,
}

impl ComparedArray {
    /// Returns true if every entry is right.
    pub fn passes(&self) -> bool {
        self.wrong == 0 && self.mismatch.is_none()
    }
}

/// Compares the results of a program; also returns the names of those that it left out.
pub fn compare(expected: &Expected, evaluation: &Evaluation, float_type: FloatType) -> (Vec<ComparedArray>, Vec<Name>) {
    let (mut compared, mut missing) = (Vec::new(), Vec::new());
    let groups = [(&expected.outputs, &evaluation.outputs), (&expected.gradients, &evaluation.gradients)];
    for (rights, values) in groups {
        for (name, right) in rights.iter() {
            match values.get(name) {
                Some(value) => compared.push(compare_array(expected, name, value, right, float_type)),
                None => missing.push(name.clone()),
            }
        }
    }
    (compared, missing)
}

fn compare_array(
    expected: &Expected,
    name: &Name,
    value: &ArrayD<f64>,
    right: &ArrayD<f64>,
    float_type: FloatType,
) -> ComparedArray {
    let mut compared =
        ComparedArray { name: name.clone(), entries: right.len(), wrong: 0, worst: None, mismatch: None };
    // JSON has one empty array for (0), (0×3) and others.
    if value.is_empty() && right.is_empty() {
        return compared;
    }
    if value.shape() != right.shape() {
        let (got, expected) = (format_shape(value.shape()), format_shape(right.shape()));
        compared.mismatch = Some(format!("expected shape {expected}, got {got}"));
        return compared;
    }
    // A tolerance that is missing is 0.
    let mut tolerances = expected.tolerances.get(name).into_iter().flat_map(|tolerances| tolerances.iter().copied());
    for (n, (&analytic, &numeric)) in value.iter().zip(right).enumerate() {
        let allowed = tolerances.next().unwrap_or(0.0);
        let is_right = analytic.is_nan() && numeric.is_nan()
            || overflows(analytic, numeric, allowed, float_type)
            || is_alternative(expected, name, n, analytic, allowed);
        if is_right {
            continue;
        }
        let index = Some(unravel_index(n, right.shape()));
        let entry = EntryCheck { index, analytic, numeric, error_bar: allowed, allowed, step: 0.0 };
        compared.wrong += usize::from(entry.excess() > 1.0);
        if compared.worst.as_ref().is_none_or(|worst| entry.excess() > worst.excess()) {
            compared.worst = Some(entry);
        }
    }
    compared
}

/// Returns true if an entry of a gradient has another value that is right too.
#[allow(clippy::cast_precision_loss)] // the number of an entry
fn is_alternative(expected: &Expected, name: &Name, entry: usize, value: f64, allowed: f64) -> bool {
    let rows = expected.alternatives.get(name).filter(|rows| rows.ndim() == 2 && rows.shape()[1] == 3);
    let mut rows = rows.into_iter().flat_map(|rows| rows.rows());
    rows.any(|row| row[0] == entry as f64 && value >= row[1] - allowed && value <= row[2] + allowed)
}
