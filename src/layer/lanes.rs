//! Lanes of an array along one of its axes: what a softmax normalises and a loss sums, whatever the axis.

use super::settings::Settings;
use crate::core::error::{Code, Error, format_index, format_shape};
use crate::core::name::Name;
use crate::ops::ArrayOps;
use ndarray::{Array2, Array3, ArrayD, ArrayView3, ArrayViewD, CowArray, Ix2, IxDyn};

/// The setting `--axis` of every layer that has one.
pub(super) const AXIS: &str = "axis";

/// The lanes along an axis. They are numbered in row-major order of the other axes, which is the order of class indices.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    /// The shape of the array; a scalar counts as one lane of one value.
    shape: Vec<usize>,
    axis: usize,
}

impl Lanes {
    /// Returns the lanes along the axis that a setting names, from 0 or from −1 for the last, or along a default axis; `None` if
    /// the array does not have the axis.
    pub(super) fn along(shape: &[usize], setting: Option<i64>, default: usize) -> Option<Lanes> {
        let rank = i64::try_from(shape.len().max(1)).ok()?;
        let axis = setting.map_or(usize::try_from(rank).ok()?.min(default + 1) - 1, |axis| {
            usize::try_from(if axis < 0 { axis + rank } else { axis }).unwrap_or(usize::MAX)
        });
        (axis < shape.len().max(1)).then(|| Lanes { shape: shape.to_vec(), axis })
    }

    /// Returns the lanes along the last axis: the rows.
    pub(super) fn of_rows(shape: &[usize]) -> Lanes {
        Lanes { shape: shape.to_vec(), axis: shape.len().saturating_sub(1) }
    }

    /// Returns the product of the lengths of the axes before the lanes' own, its length, and the product of those after it.
    pub(super) fn dim(&self) -> (usize, usize, usize) {
        let after = self.shape.get(self.axis + 1..).unwrap_or_default();
        (self.shape[..self.axis].iter().product(), self.len(), after.iter().product())
    }

    /// Returns the number of lanes.
    pub(super) fn count(&self) -> usize {
        self.shape_without_axis().iter().product()
    }

    /// Returns the number of values of a lane.
    pub(super) fn len(&self) -> usize {
        self.shape.get(self.axis).copied().unwrap_or(1)
    }

    /// Returns the shape of the array.
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the axis.
    pub(super) fn axis(&self) -> usize {
        self.axis
    }

    /// Returns the shape of an array with one value for each lane.
    pub(super) fn shape_without_axis(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.axis < shape.len() {
            shape.remove(self.axis);
        }
        shape
    }

    /// Returns true if the lanes are along the last axis, so that they are rows.
    pub(super) fn are_rows(&self) -> bool {
        self.axis + 1 >= self.shape.len()
    }

    /// Returns an array of this shape with its axes joined to those of [`dim`](Lanes::dim).
    pub(super) fn view<'a, S>(&self, value: &'a ArrayD<S>) -> ArrayView3<'a, S> {
        let view = value.view().into_shape_with_order(self.dim());
        view.unwrap_or_else(|_| unreachable!("operands are in standard layout"))
    }

    /// Returns the lanes as rows, copied if they are not along the last axis.
    pub(super) fn rows<'a, S: ArrayOps>(&self, value: &'a ArrayD<S>) -> CowArray<'a, S, Ix2> {
        let dim = (self.count(), self.len());
        let rows = |view: ArrayViewD<'a, S>| view.into_shape_with_order(dim).map(CowArray::from);
        let rows = if self.are_rows() {
            rows(value.view())
        } else {
            let copy = S::swap_last_axes(self.view(value)).into_shape_with_order(dim);
            copy.map(CowArray::from)
        };
        rows.unwrap_or_else(|_| unreachable!("operands are in standard layout"))
    }

    /// Returns rows as lanes: the inverse of [`rows`](Lanes::rows).
    pub(super) fn restore<S: ArrayOps>(&self, rows: Array2<S>) -> ArrayD<S> {
        let rows = if rows.is_standard_layout() { rows } else { rows.as_standard_layout().into_owned() };
        let (outer, len, inner) = self.dim();
        let array = if self.are_rows() {
            rows.into_shape_with_order(IxDyn(&self.shape))
        } else {
            let rows = rows.into_shape_with_order((outer, inner, len));
            rows.and_then(|rows| S::swap_last_axes(rows.view()).into_shape_with_order(IxDyn(&self.shape)))
        };
        array.unwrap_or_else(|_| unreachable!("there is a value for each place"))
    }

    /// Returns an array of the axes of [`dim`](Lanes::dim) with those of the shape.
    pub(super) fn joined<S>(&self, array: Array3<S>) -> ArrayD<S> {
        let array = array.into_shape_with_order(IxDyn(&self.shape));
        array.unwrap_or_else(|_| unreachable!("there is a value for each place"))
    }

    /// Returns the index in the array of value `k` of lane `n`.
    pub(super) fn index(&self, n: usize, k: usize) -> Vec<usize> {
        let (mut rest, mut index) = (n, vec![0; self.shape.len()]);
        for axis in (0..self.shape.len()).rev() {
            if axis == self.axis {
                index[axis] = k;
            } else {
                (rest, index[axis]) = (rest / self.shape[axis], rest % self.shape[axis]);
            }
        }
        index
    }

    /// Returns the place of lane `n` in an error: the index of a row, or that of the lane's first value.
    pub(super) fn place(&self, n: usize) -> Vec<usize> {
        let mut index = self.index(n, 0);
        if self.are_rows() {
            index.pop();
        }
        index
    }

    /// Returns the name of lane `n` in a message: `row 3`, `column 0`, `row [1,2]`, and in three dimensions `slice [1,:,2]`.
    pub(super) fn label(&self, n: usize) -> String {
        match (self.shape.len(), self.axis) {
            (0..=1, _) => "row 0".to_owned(),
            (2, 0) => format!("column {n}"),
            (2, _) => format!("row {n}"),
            _ if self.are_rows() => format!("row {}", format_index(&self.place(n))),
            _ => {
                let mut index: Vec<String> = self.index(n, 0).iter().map(usize::to_string).collect();
                index[self.axis] = ":".to_owned();
                format!("slice [{}]", index.join(","))
            }
        }
    }
}

/// Returns the class axis of losses: axis 1 of three and more, else the last.
pub(super) fn class_axis(rank: usize) -> usize {
    if rank > 2 { 1 } else { rank.saturating_sub(1) }
}

/// Returns the lanes of the classes of a loss, if the array has the axis that the settings name.
pub(super) fn class_lanes(shape: &[usize], settings: &Settings) -> Option<Lanes> {
    Lanes::along(shape, settings.integer(AXIS), class_axis(shape.len()))
}

/// Returns the class axis of a loss with these settings, for an operand of that rank that has the axis.
pub fn loss_class_axis(settings: &Settings, rank: usize) -> usize {
    class_lanes(&vec![1; rank], settings).map_or_else(|| class_axis(rank), |lanes| lanes.axis())
}

/// Returns the error for an axis that an operand does not have.
pub(super) fn axis_error(name: &Name, shape: &[usize], axis: Option<i64>) -> Error {
    let last = shape.len().saturating_sub(1);
    let message = format!("expected an axis of {name} {}, got {}", format_shape(shape), axis.unwrap_or(0));
    let error = Error::new(Code::AxisRange, message).with_operand(&Name::new(AXIS)).with_shape(name, shape);
    error.tip(if last == 0 {
        "use axis 0, the only axis of a vector".to_owned()
    } else {
        format!("use an axis from 0 to {last}, or from -1 to -{}", last + 1)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn numbered(shape: &[usize]) -> ArrayD<f64> {
        let count: usize = shape.iter().product();
        ArrayD::from_shape_vec(shape, (0..count).map(|n| n as f64).collect()).unwrap()
    }

    #[test]
    fn every_value_has_its_place_in_the_lanes_along_every_axis() {
        for shape in [&[][..], &[3], &[2, 3], &[2, 3, 4], &[2, 1, 3, 2], &[2, 0, 3], &[1, 2, 1, 3, 1, 2, 1, 2]] {
            let value = numbered(shape);
            for axis in 0..shape.len().max(1) {
                let lanes = Lanes::along(shape, Some(axis as i64), 0).unwrap();
                let rows = lanes.rows(&value);
                assert_eq!(rows.dim(), (lanes.count(), lanes.len()), "{shape:?} {axis}");
                for ((n, k), number) in rows.indexed_iter() {
                    assert_eq!(value[IxDyn(&lanes.index(n, k))], *number, "{shape:?} {axis}");
                }
                assert_eq!(lanes.restore(rows.to_owned()), value, "{shape:?} {axis}");
            }
        }
    }

    #[test]
    fn an_axis_is_counted_from_either_end() {
        let axis = |setting| Lanes::along(&[2, 3, 4], setting, 2).map(|lanes| lanes.axis());
        assert_eq!(
            [None, Some(0), Some(-3), Some(-1), Some(3), Some(-4)].map(axis),
            [Some(2), Some(0), Some(0), Some(2), None, None]
        );
        assert_eq!([0, 1, 2, 3, 8].map(class_axis), [0, 0, 1, 1, 1]);
    }

    #[test]
    fn lanes_are_named_by_the_index_of_all_other_axes() {
        let label = |shape: &[usize], axis, n| Lanes::along(shape, Some(axis), 0).unwrap().label(n);
        assert_eq!(label(&[4, 3], -1, 2), "row 2");
        assert_eq!(label(&[4, 3], 0, 2), "column 2");
        assert_eq!(label(&[2, 3, 4], -1, 5), "row [1,2]");
        assert_eq!(label(&[2, 3, 4], 1, 6), "slice [1,:,2]");
    }
}
