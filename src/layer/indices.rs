//! Operands that are indices: integers from 0 to below a length.

use super::arrays::elements;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::ops::ArrayOps;
use ndarray::{ArrayD, Dimension};

/// Refuses a value that is not an integer from 0 to below `end`; `range` says what it counts, "w has 5 rows".
pub(super) fn admit_indices(name: &Name, value: &ArrayD<f64>, end: usize, range: &str) -> Result<(), Error> {
    #[allow(clippy::cast_precision_loss)] // no array has 2⁵³ rows
    let is_index = |v: f64| v.fract() == 0.0 && v >= 0.0 && v < end as f64;
    let Some((at, &found)) = value.indexed_iter().find(|(_, v)| !is_index(**v)) else { return Ok(()) };
    let message = match end.checked_sub(1) {
        Some(last) if found.fract() != 0.0 => format!("{found} is not an integer: {range}, 0 to {last}"),
        None if found.fract() != 0.0 => format!("{found} is not an integer: {range}"),
        Some(last) => format!("{found} is out of range: {range}, 0 to {last}"),
        None => format!("{found} is out of range: {range}"),
    };
    let is_count = value.iter().all(|&v| is_index(v - 1.0));
    let tip = if is_count && end > 0 {
        "indices count from 0; subtract 1 if they count from 1"
    } else {
        "give integers of that range"
    };
    let code = if found.fract() == 0.0 { Code::IndexRange } else { Code::IndexFraction };
    let error = Error::new(code, message).with_operand(name).tip(tip);
    Err(if value.ndim() > 0 { error.at_index(at.slice()) } else { error })
}

/// Returns admitted indices.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // admitted: integers that are not negative
pub(super) fn indices<S: ArrayOps>(value: &ArrayD<S>) -> Vec<usize> {
    elements(value).iter().map(|index| index.to_f64() as usize).collect()
}

/// The places of each index in a list.
pub(super) struct Places {
    /// Places in the order of their indices.
    order: Vec<usize>,
    /// Number of places of smaller indices, for each index, and the number of all.
    begins: Vec<usize>,
}

impl Places {
    /// Returns the places of the indices below `count`.
    pub(super) fn new(indices: &[usize], count: usize) -> Places {
        let mut begins = vec![0; count + 1];
        indices.iter().for_each(|&index| begins[index + 1] += 1);
        (0..count).for_each(|index| begins[index + 1] += begins[index]);
        let (mut next, mut order) = (begins.clone(), vec![0; indices.len()]);
        for (place, &index) in indices.iter().enumerate() {
            order[next[index]] = place;
            next[index] += 1;
        }
        Places { order, begins }
    }

    /// Returns the places of an index, in order.
    pub(super) fn at(&self, index: usize) -> &[usize] {
        &self.order[self.begins[index]..self.begins[index + 1]]
    }
}
