//! Records that are alike, computed as the rows of one batch: the same bits as one by one, since no row of these layers
//! depends on another. Whatever is unusual about one of them is left to the reading one by one.

use super::subject::{About, Engine};
use super::{Records, Upstream, Worker};
use crate::cli::stream::Spot;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::format::json::RecordTemplate;
use crate::format::json::{push_number, push_row};
use crate::layer::Role;
use crate::run::dout::Dout;
use ndarray::{ArrayD, IxDyn};

impl Records {
    /// What a thread computes with.
    pub(super) fn engine(&self) -> Result<Engine, Error> {
        let backward = !matches!(self.dout, Upstream::Unwanted);
        Engine::new(&self.subject, &self.given.values, self.may_be_rows(), |name| backward && self.shows(name))
    }

    /// Whether records may be the rows of one batch, as far as what options give leaves it open.
    pub(super) fn may_be_rows(&self) -> bool {
        // One for all records is not one for each row.
        let common = [Name::X, Name::Y, Name::T].iter().any(|name| self.given.values.get(name).is_some());
        let given = matches!(self.dout, Upstream::Given(_));
        // A part of a key's value is not worth it.
        !common && !given && self.read().all(|key| key.below.is_empty())
    }

    /// Computes records after a first one, of which `worker` holds what served, where all are alike.
    pub(super) fn together(
        &self,
        worker: &mut Worker,
        first: &[u8],
        rest: &[Spot<'_>],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let Worker { engine, at, served, .. } = worker;
        if !engine.takes_many(&self.subject) {
            return None;
        }
        let form = RecordTemplate::new(first, |key| self.what(key))?;
        let (mut columns, mut carried) = (vec![Vec::new(); self.keys.len()], Vec::new());
        for (place, width) in form.slots() {
            // Settings, and what another key came before, are read but serve no operand.
            served.iter().find(|served| served.place == Some(place))?;
            columns.get_mut(place)?.reserve_exact(width.unwrap_or(1) * rest.len());
        }
        for spot in rest {
            form.read(spot.text, &mut columns, &mut carried)?;
        }
        let (mut dout, mut x_was_y) = (None, false);
        for served in served.iter() {
            let (place, width) = form.slots().find(|(place, _)| served.place == Some(*place))?;
            let open = self.open.iter().find(|open| open.name == served.name);
            let role = open.map(|open| open.role);
            let shape: &[usize] = match (width, role) {
                (Some(width), Some(Role::Input | Role::Target) | None) => &[rest.len(), width],
                (None, Some(Role::Target) | None) => &[rest.len()],
                _ => return None,
            };
            let again = self.read().filter(|key| key.places.contains(&place)).count() > 1;
            let column = if again { columns[place].clone() } else { std::mem::take(&mut columns[place]) };
            let value = ArrayD::from_shape_vec(IxDyn(shape), column).ok()?;
            let Some(open) = open else {
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
        let about = About {
            new: &|name| served.iter().any(|served| served.name == *name),
            rounding: &|name| self.given.rounding(name),
            x_was_y,
        };
        let upstream = |shape: &[usize]| match (&self.dout, dout) {
            (Upstream::Unwanted, _) => Ok(None),
            (_, None) => Ok(Some(ArrayD::ones(IxDyn(shape)))),
            (_, Some(dout)) => Dout::new(self.subject.spec(), shape, dout, false).map(|dout| Some(dout.into_array())),
        };
        let computed = engine.run_many(&self.subject, at, &about, upstream)?;
        let (results, notes) = computed.ok()?;
        if !notes.is_empty() {
            return None;
        }
        let results: Vec<_> = results.iter().filter(|(name, _)| self.shows(name)).collect();
        let columns: Option<Vec<Column<'_>>> =
            results.iter().map(|(_, value)| Column::new(value, rest.len())).collect();
        let (columns, mut values) = (columns?, carried.into_iter());
        let quoted = |name: &Name| format!("\"{name}\"").into_bytes();
        let keys = form.carried().map(<[u8]>::to_vec).chain(results.iter().map(|(name, _)| quoted(name)));
        // What stands before each value of a record.
        let before: Vec<Vec<u8>> =
            keys.enumerate().map(|(n, key)| [if n == 0 { b"{" } else { b"," }, &key[..], b":"].concat()).collect();
        let (carried, computed) = before.split_at_checked(before.len() - columns.len())?;
        for n in 0..rest.len() {
            for (before, value) in carried.iter().zip(values.by_ref()) {
                out.extend_from_slice(before);
                out.extend_from_slice(value);
            }
            for (before, column) in computed.iter().zip(&columns) {
                out.extend_from_slice(before);
                column.write(n, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Some(())
    }
}

/// A result of all records.
struct Column<'a> {
    values: &'a [f64],
    /// The length of a record's row; nothing for a number.
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

    fn write(&self, n: usize, out: &mut Vec<u8>) {
        match self.width {
            None => push_number(self.values[n], out),
            Some(width) => push_row(&self.values[n * width..][..width], out),
        }
    }
}
