//! Layers that move entries and compute nothing: reshape, flatten, transpose and concat.
//!
//! - Forward: y has the entries of x in another shape or order, or those of all inputs one after the other along an axis.
//! - Backward: dx has the entries of dout at the places that those of x came from.
//! - Shapes: as `--shape`, `--axis` and `--axes` say; the inputs of concat agree in all axes but the joined one.
//! - Refuses: a shape of another number of entries, axes that x does not have, inputs that do not fit.
//! - Accuracy: exact.
//! - Source: PyTorch's and NumPy's reshape, transpose and concatenate; ONNX's Reshape (0 keeps a length) and Flatten (a matrix).
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let transpose = (layer::find("transpose").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![[1.0, 2.0]].into_dyn());
//! let outcome = layer::compute(transpose.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![[1.0], [2.0]].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

pub(super) mod rows;

use super::arrays::reshaped;
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, Given, Layer, MatrixOperation};
use super::lanes::axis_error;
use super::settings::{Kind, Setting};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::core::size;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::{ArrayD, ArrayView3, Axis, Slice};

/// Inputs of concat.
pub(super) static INPUTS: [Name; 8] = [
    Name::X1,
    Name::X2,
    Name::fixed("x3"),
    Name::fixed("x4"),
    Name::fixed("x5"),
    Name::fixed("x6"),
    Name::fixed("x7"),
    Name::fixed("x8"),
];

/// The setting `--shape`.
const SHAPE: Setting = Setting {
    name: "shape",
    kind: Kind::Integers,
    doc: "lengths of the axes of y (default -1, a vector); 0 keeps the length of x there, -1 infers one",
};

/// The setting `--axes`.
const AXES: Setting =
    Setting { name: "axes", kind: Kind::Integers, doc: "axes of x in the order of y, as in 0,2,1 (default: reversed)" };

/// A layer that moves entries.
#[derive(Clone, Debug)]
enum Rearrange {
    /// To a shape, in which 0 keeps the length of an axis and −1 is what the others leave.
    Reshape(Vec<i64>),
    /// To a matrix: the axes before this one, and the rest.
    Flatten(i64),
    /// To the axes in this order, or in reverse.
    Transpose(Option<Vec<i64>>),
    /// One after the other along an axis.
    Concat(i64),
}

impl Rearrange {
    /// Returns the axis of an array of that rank that a number names, from 0 or from −1 for the last.
    fn axis(axis: i64, rank: usize) -> Option<usize> {
        let rank = i64::try_from(rank).ok()?;
        usize::try_from(if axis < 0 { axis + rank } else { axis }).ok().filter(|_| axis < rank)
    }

    /// Returns the order of the axes of x in y.
    fn order(axes: Option<&[i64]>, rank: usize) -> Result<Vec<usize>, Error> {
        let Some(axes) = axes else { return Ok((0..rank).rev().collect()) };
        let order: Vec<usize> = axes.iter().filter_map(|axis| Rearrange::axis(*axis, rank)).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted.into_iter().eq(0..rank) && axes.len() == rank {
            return Ok(order);
        }
        let axes = axes.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        Err(Error::new(Code::AxisRange, format!("expected each of {rank} axes once, got {axes}"))
            .with_operand(&Name::new(AXES.name))
            .tip("name the axes of x in the order of y, as in --axes 0,2,1"))
    }

    /// Returns the shape that x is reshaped to.
    fn new_shape(lengths: &[i64], x: &[usize]) -> Result<Vec<usize>, Error> {
        let count = |lengths: &[usize]| lengths.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
        let lengths_text = lengths.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let refuse = |message: String, tip: &str| {
            Err(Error::new(Code::Shape, message).with_operand(&Name::new(SHAPE.name)).with_shape(&Name::X, x).tip(tip))
        };
        let mut shape = Vec::new();
        for (axis, &length) in lengths.iter().enumerate() {
            match usize::try_from(length) {
                Ok(0) if axis >= x.len() => {
                    let message = format!(
                        "{lengths_text} keeps axis {axis}, which {} {} does not have",
                        Name::X,
                        format_shape(x)
                    );
                    return refuse(message, "0 keeps the length of the axis at the same place");
                }
                Ok(0) => shape.push(x[axis]),
                Ok(length) => shape.push(length),
                Err(_) if length == -1 => shape.push(1),
                Err(_) => {
                    return refuse(
                        format!("{lengths_text} has a length of {length}"),
                        "0 keeps a length, -1 infers one",
                    );
                }
            }
        }
        let mut inferred = lengths.iter().enumerate().filter(|(_, length)| **length == -1).map(|(axis, _)| axis);
        let (open, others, all) = (inferred.next(), count(&shape), x.iter().product::<usize>());
        if inferred.next().is_some() {
            return refuse(format!("{lengths_text} has more than one length of -1"), "only one length can be inferred");
        }
        match (open, others) {
            (Some(axis), Some(others)) if others > 0 && all % others == 0 => shape[axis] = all / others,
            (None, Some(others)) if others == all => {}
            _ => {
                let message =
                    format!("{lengths_text} does not hold the {all} entries of {} {}", Name::X, format_shape(x));
                return refuse(message, "give lengths whose product is the number of entries; -1 infers one of them");
            }
        }
        let checked = size::check_rank(&shape).and_then(|()| size::check_empty_axes(&shape));
        checked.map(|()| shape).map_err(|error| error.with_operand(&Name::new(SHAPE.name)))
    }

    /// Returns the shape of y.
    fn output<S>(&self, at: &Tensors<S>) -> Result<Vec<usize>, Error> {
        let x = at.get(&Name::X).map(|x| x.shape()).unwrap_or_default();
        match self {
            Rearrange::Reshape(lengths) => Rearrange::new_shape(lengths, x),
            Rearrange::Flatten(axis) => {
                let is_end = usize::try_from(*axis) == Ok(x.len());
                let axis = Rearrange::axis(*axis, x.len()).or_else(|| is_end.then_some(x.len()));
                let axis = axis.ok_or_else(|| axis_error(&Name::X, x, self.flatten_axis()))?;
                Ok(vec![x[..axis].iter().product(), x[axis..].iter().product()])
            }
            Rearrange::Transpose(axes) => {
                Ok(Rearrange::order(axes.as_deref(), x.len())?.into_iter().map(|axis| x[axis]).collect())
            }
            Rearrange::Concat(axis) => concatenated(at, *axis),
        }
    }

    fn flatten_axis(&self) -> Option<i64> {
        if let Rearrange::Flatten(axis) = self { Some(*axis) } else { None }
    }

    fn known_output<S>(&self, at: &Tensors<S>) -> Vec<usize> {
        self.output(at).unwrap_or_else(|_| unreachable!("admitted"))
    }
}

/// Returns the inputs of concat that are given, in order.
fn inputs<S>(at: &Tensors<S>) -> impl Iterator<Item = (&'static Name, &ArrayD<S>)> {
    INPUTS.iter().filter_map(|name| Some((name, at.get(name)?)))
}

/// Returns the shape of inputs one after the other along an axis.
fn concatenated<S>(at: &Tensors<S>, axis: i64) -> Result<Vec<usize>, Error> {
    let first = at.known(&Name::X1).shape();
    let joined = Rearrange::axis(axis, first.len()).ok_or_else(|| axis_error(&Name::X1, first, Some(axis)))?;
    let mut shape = first.to_vec();
    for (name, value) in inputs(at).skip(1) {
        let others = |shape: &[usize]| {
            shape.iter().enumerate().filter(|(n, _)| *n != joined).map(|(_, l)| *l).collect::<Vec<_>>()
        };
        if value.ndim() != first.len() || others(value.shape()) != others(first) {
            let (own, expected) = (format_shape(value.shape()), format_shape(first));
            let message = format!("{own} does not fit {} {expected} in all axes but axis {joined}", Name::X1);
            let error = Error::new(Code::Shape, message).with_operand(name).with_shape(&Name::X1, first);
            return Err(error
                .with_shape(name, value.shape())
                .tip("inputs may differ only in the axis that --axis names"));
        }
        shape[joined] = shape[joined].saturating_add(value.shape()[joined]);
    }
    Ok(shape)
}

/// Returns a copy with its axes in another order.
fn transposed<S: ArrayOps>(value: &ArrayD<S>, order: &[usize]) -> ArrayD<S> {
    let shape: Vec<usize> = order.iter().map(|axis| value.shape()[*axis]).collect();
    // Axes that stay, and two groups that are exchanged.
    let kept = order.iter().enumerate().take_while(|(n, axis)| n == *axis).count();
    let split = order.get(kept).copied().unwrap_or(kept);
    let is_exchange = order[kept..].iter().copied().eq((split..order.len()).chain(kept..split));
    if !is_exchange {
        return value.view().permuted_axes(order).as_standard_layout().into_owned();
    }
    let count = |axes: std::ops::Range<usize>| value.shape()[axes].iter().product::<usize>();
    let dim = (count(0..kept), count(kept..split), count(split..order.len()));
    let view = value.view().into_shape_with_order(dim);
    let view: ArrayView3<'_, S> = view.unwrap_or_else(|_| unreachable!("operands are in standard layout"));
    reshaped(S::swap_last_axes(view).into_dyn(), &shape)
}

impl Admit for Rearrange {
    fn admit(&self, given: &Given<'_>) -> Result<Vec<Note>, Error> {
        self.output(given.at).map(|_| Vec::new())
    }

    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        self.known_output(at)
    }

    fn matrix_operations(&self, at: &Tensors<f64>, _: &Tensors<f64>, _: &ArrayD<f64>) -> Vec<MatrixOperation> {
        let Rearrange::Concat(_) = self else { return Vec::new() };
        let reads = inputs(at).map(|(name, _)| name.clone()).collect();
        vec![MatrixOperation { op: "concat", note: None, reads, gives: Name::Y, inner: None }]
    }

    fn jacobians(&self, at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        let entry = "1 where the output is that entry, else 0";
        at.names().map(|name| (name.gradient(), entry)).collect()
    }
}

impl<S: ArrayOps> Layer<S> for Rearrange {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let shape = self.known_output(at);
        let y = match self {
            Rearrange::Reshape(_) | Rearrange::Flatten(_) => reshaped(at.known(&Name::X).clone(), &shape),
            Rearrange::Transpose(axes) => {
                let order = Rearrange::order(axes.as_deref(), shape.len()).unwrap_or_else(|_| unreachable!("admitted"));
                transposed(at.known(&Name::X), &order)
            }
            Rearrange::Concat(axis) => {
                let axis = Axis(Rearrange::axis(*axis, shape.len()).unwrap_or_else(|| unreachable!("admitted")));
                let views: Vec<_> = inputs(at).map(|(_, value)| value.view()).collect();
                ndarray::concatenate(axis, &views).unwrap_or_else(|_| unreachable!("admitted"))
            }
        };
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        let shape = move || at.known(&Name::X).shape();
        match self {
            Rearrange::Reshape(_) | Rearrange::Flatten(_) => {
                Gradients::one(Name::DX, move || reshaped(dout.clone(), shape()))
            }
            Rearrange::Transpose(axes) => Gradients::one(Name::DX, move || {
                let order = Rearrange::order(axes.as_deref(), dout.ndim()).unwrap_or_else(|_| unreachable!("admitted"));
                let mut inverse = vec![0; order.len()];
                order.into_iter().enumerate().for_each(|(n, axis)| inverse[axis] = n);
                transposed(dout, &inverse)
            }),
            Rearrange::Concat(axis) => {
                let axis = Axis(Rearrange::axis(*axis, dout.ndim()).unwrap_or_else(|| unreachable!("admitted")));
                let mut begin = 0;
                let mut gradients = Gradients::from(Tensors::new());
                for (name, value) in inputs(at) {
                    let slice = Slice::from(begin..begin + value.len_of(axis));
                    begin += value.len_of(axis);
                    let part = move || dout.slice_axis(axis, slice).as_standard_layout().into_owned();
                    gradients = gradients.with(name.gradient(), part);
                }
                gradients
            }
        }
    }
}
