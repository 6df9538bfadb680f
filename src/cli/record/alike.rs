//! Records that are alike, computed as the rows of one batch: the same bits as one by one, since no row of these layers
//! depends on another. Whatever is unusual about one of them is left to the reading one by one.

use super::{Records, Upstream, Worker};
use crate::cli::stream::Spot;
use crate::fault::Fault;
use crate::format::json::record::Form;
use crate::format::json::{push_number, push_row};
use crate::layer::{self, AnyLayer, Given, Precision, Role};
use crate::name::Name;
use ndarray::{ArrayD, IxDyn};

impl Records {
    /// The layer for a row a record; nothing where a record's results are not those of a row.
    pub(super) fn joint(&self) -> Result<Option<Box<dyn AnyLayer>>, Fault> {
        let learns =
            self.spec.slots.iter().any(|slot| slot.role == Role::Parameter && self.shows(&slot.name.gradient()));
        let one = |role| matches!(role, Role::Input | Role::Target);
        // One for all records is not one for each row.
        let common = self.spec.slots.iter().any(|slot| one(slot.role) && self.given.values.get(&slot.name).is_some());
        let backward = !matches!(self.dout, Upstream::Unwanted);
        let given = matches!(self.dout, Upstream::Given(_));
        // A gradient of a parameter is a sum over rows.
        if common || given || (backward && learns) || self.precision == Precision::Exact {
            return Ok(None);
        }
        // A part of a key's value is not worth it.
        if self.read().any(|key| !key.below.is_empty()) {
            return Ok(None);
        }
        let mut settings = self.settings.clone();
        if let Some(reduction) = self.spec.settings.iter().find(|setting| setting.name == "reduction") {
            if settings.choice(reduction.name) == Some("mean") {
                return Ok(None);
            }
            // The loss of a row is the sum of its terms, in both.
            settings.set(reduction.name, reduction.read("none")?);
        }
        let layer = (self.spec.build)(&settings)?;
        Ok(layer.independent_rows().then_some(layer))
    }

    /// Computes records after a first one, of which `worker` holds what served, where all are alike.
    pub(super) fn together(
        &self,
        worker: &mut Worker,
        first: &[u8],
        rest: &[Spot<'_>],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let Worker { joint, at, served, .. } = worker;
        let layer = joint.as_deref()?;
        let form = Form::of(first, |key| self.what(key))?;
        let (mut columns, mut carried) = (vec![Vec::new(); self.keys.len()], Vec::new());
        for (place, width) in form.taken() {
            // Settings, and what another key came before, are read but serve no operand.
            served.iter().find(|served| served.place == Some(place))?;
            columns.get_mut(place)?.reserve_exact(width.unwrap_or(1) * rest.len());
        }
        for spot in rest {
            form.read(spot.text, &mut columns, &mut carried)?;
        }
        let (mut dout, mut x_was_y) = (None, false);
        for served in served.iter() {
            let (place, width) = form.taken().find(|(place, _)| served.place == Some(*place))?;
            let role = self.spec.slots.iter().find(|slot| slot.name == served.name).map(|slot| slot.role);
            let shape: &[usize] = match (width, role) {
                (Some(width), Some(Role::Input | Role::Target) | None) => &[rest.len(), width],
                (None, Some(Role::Target) | None) => &[rest.len()],
                _ => return None,
            };
            let again = self.read().filter(|key| key.places.contains(&place)).count() > 1;
            let column = if again { columns[place].clone() } else { std::mem::take(&mut columns[place]) };
            let value = ArrayD::from_shape_vec(IxDyn(shape), column).ok()?;
            let Some(open) = self.open.iter().find(|open| open.name == served.name) else {
                dout = Some(value);
                continue;
            };
            if served.name == Name::X && open.key.places.get(1) == Some(&place) {
                x_was_y = true;
                // Each record that may be probabilities is looked at on its own.
                let likely = |row: &[f64]| row.iter().all(|v| (0.0..=1.5).contains(v));
                if value.as_slice()?.chunks_exact(width?).any(likely) {
                    return None;
                }
            }
            at.insert(served.name.clone(), value);
        }
        let rounding = |name: &Name| self.given.rounding(name);
        let given = Given { at, rounding: &rounding, x_was_y };
        let notes = layer::admit_anew(layer, &given, |name| served.iter().any(|served| served.name == *name)).ok()?;
        let output = layer.output_shape(at);
        let dout = match (&self.dout, dout) {
            (Upstream::Unwanted, _) => None,
            (_, None) => Some(ArrayD::ones(IxDyn(&output))),
            (_, Some(dout)) => Some(dout),
        };
        if !notes.is_empty() || dout.as_ref().is_some_and(|dout| dout.shape() != output) {
            return None;
        }
        let outcome = layer::compute(layer, at, dout.as_ref(), self.precision);
        let results: Vec<_> =
            outcome.results.iter().chain(outcome.gradients.iter()).filter(|(name, _)| self.shows(name)).collect();
        let columns: Option<Vec<Column<'_>>> =
            results.iter().map(|(name, value)| Column::new(name, value, rest.len())).collect();
        let (columns, mut values) = (columns?, carried.into_iter());
        for n in 0..rest.len() {
            let mut mark = b'{';
            for key_text in form.carried() {
                out.push(std::mem::replace(&mut mark, b','));
                out.extend_from_slice(key_text);
                out.push(b':');
                out.extend_from_slice(values.next().unwrap_or_default());
            }
            for column in &columns {
                out.push(std::mem::replace(&mut mark, b','));
                column.write(n, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Some(())
    }
}

/// A result of all records.
struct Column<'a> {
    name: &'a str,
    values: &'a [f64],
    /// The length of a record's row; nothing for a number.
    width: Option<usize>,
}

impl<'a> Column<'a> {
    fn new(name: &'a Name, value: &'a ArrayD<f64>, count: usize) -> Option<Column<'a>> {
        let width = match *value.shape() {
            [rows] if rows == count => None,
            [rows, width] if rows == count => Some(width),
            _ => return None,
        };
        Some(Column { name: name.as_str(), values: value.as_slice()?, width })
    }

    fn write(&self, n: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(b"\":");
        match self.width {
            None => push_number(self.values[n], out),
            Some(width) => push_row(&self.values[n * width..][..width], out),
        }
    }
}
