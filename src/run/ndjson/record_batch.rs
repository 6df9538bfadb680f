//! Computes records of one schema as the rows of a batch. No row of these layers depends on another, so the results are the
//! same bits as those of the records one by one. Any unusual record leaves the batch to be computed one by one.

use super::engine::RecordInputs;
use super::plan::DoutSource;
use super::record::{RecordRef, RecordWorker};
use crate::core::name::Name;
use crate::format::json::{RecordTemplate, push_number, push_row};
use crate::layer::Role;
use ndarray::{ArrayD, IxDyn};

/// Largest entry of a row that may be probabilities; the layer's own test of such rows is stricter.
const MAX_PROBABILITY: f64 = 1.5;

impl RecordWorker<'_> {
    /// Computes the records that follow `template`, the record that this worker computed last, and appends their results to
    /// `out`. Returns `None`, with `out` unchanged, if they have to be computed one by one.
    pub(super) fn compute_batch(
        &mut self,
        template: &RecordRef<'_>,
        records: &[RecordRef<'_>],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let RecordWorker { plan, params, at, sources, .. } = self;
        if !plan.allows_batches() {
            return None;
        }
        let schema = RecordTemplate::new(template.text, |key| plan.key_use(key))?;
        let (mut columns, mut copied) = (vec![Vec::new(); plan.keys.len()], Vec::new());
        for (index, width) in schema.slots() {
            // A key that gives no operand is a setting, or one that an earlier key overrides.
            sources.iter().find(|source| source.key == Some(index))?;
            columns.get_mut(index)?.reserve_exact(width.unwrap_or(1) * records.len());
        }
        for record in records {
            schema.read(record.text, &mut columns, &mut copied)?;
        }
        let (mut dout, mut x_was_y) = (None, false);
        for source in sources.iter() {
            let (index, width) = schema.slots().find(|(index, _)| source.key == Some(*index))?;
            let operand = plan.record_operands.iter().find(|operand| operand.slot.name == source.name);
            let role = operand.map(|operand| operand.slot.role);
            let shape: &[usize] = match (width, role) {
                (Some(width), Some(Role::Input | Role::Target) | None) => &[records.len(), width],
                (None, Some(Role::Target) | None) => &[records.len()],
                _ => return None,
            };
            let column =
                if plan.is_shared(index) { columns[index].clone() } else { std::mem::take(&mut columns[index]) };
            let value = ArrayD::from_shape_vec(IxDyn(shape), column).ok()?;
            let Some(operand) = operand else {
                dout = Some(value);
                continue;
            };
            if source.name == Name::X && operand.key.indices.get(1) == Some(&index) {
                x_was_y = true;
                // The warning about probabilities names a record, so such records are computed one by one.
                let may_be_probabilities = |row: &[f64]| row.iter().all(|v| (0.0..=MAX_PROBABILITY).contains(v));
                if value.as_slice()?.chunks_exact(width?).any(may_be_probabilities) {
                    return None;
                }
            }
            at.insert(source.name.clone(), value);
        }
        let mut dout = |shape: &[usize]| match &plan.dout {
            DoutSource::None => Ok(None),
            _ => plan.fill_dout(shape, dout.take()),
        };
        let inputs = RecordInputs {
            at,
            is_new: &|name| sources.iter().any(|source| source.name == *name),
            rounding: &|name| plan.given.rounding(name),
            x_was_y,
            dout: &mut dout,
        };
        let (results, notes) = plan.engine.compute_batch(inputs, params.as_mut())?;
        if !notes.is_empty() {
            return None;
        }
        let columns: Vec<(&Name, Column<'_>)> = results
            .iter()
            .map(|(name, value)| Some((name, Column::new(value, records.len())?)))
            .collect::<Option<_>>()?;
        let quoted = |name: &Name| format!("\"{name}\"").into_bytes();
        let keys = schema.carried().map(<[u8]>::to_vec).chain(columns.iter().map(|(name, _)| quoted(name)));
        // Text before each value of a record.
        let before: Vec<Vec<u8>> =
            keys.enumerate().map(|(n, key)| [if n == 0 { b"{" } else { b"," }, &key[..], b":"].concat()).collect();
        let (before_copied, before_results) = before.split_at_checked(before.len() - columns.len())?;
        let mut copied = copied.into_iter();
        for n in 0..records.len() {
            for (before, value) in before_copied.iter().zip(copied.by_ref()) {
                out.extend_from_slice(before);
                out.extend_from_slice(value);
            }
            for (before, (_, column)) in before_results.iter().zip(&columns) {
                out.extend_from_slice(before);
                column.push(n, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Some(())
    }
}

/// A result of all records of a batch.
struct Column<'a> {
    values: &'a [f64],
    /// Length of the row of a record; `None` if each has a number.
    width: Option<usize>,
}

impl<'a> Column<'a> {
    fn new(value: &'a ArrayD<f64>, count: usize) -> Option<Column<'a>> {
        let width = match *value.shape() {
            [rows] if rows == count => None,
            [rows, width] if rows == count => Some(width),
            _ => return None,
        };
        Some(Column { values: value.as_slice()?, width })
    }

    /// Appends the value of record `n`.
    fn push(&self, n: usize, out: &mut Vec<u8>) {
        match self.width {
            None => push_number(self.values[n], out),
            Some(width) => push_row(&self.values[n * width..][..width], out),
        }
    }
}
