//! Planted mistakes of layers that move entries.

use super::{Mistake, dout, mistake, replace};
use ndarray::{ArrayD, Axis, ShapeBuilder};
use nnlayer::check::Point;
use nnlayer::core::name::Name;

/// Returns dout in the shape of x, both counted column by column.
fn column_by_column(point: &Point) -> ArrayD<f64> {
    let shape = super::x(point).shape();
    let entries = dout(point).t().iter().copied().collect();
    ArrayD::from_shape_vec(shape.f(), entries).unwrap().as_standard_layout().into_owned()
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let column_major = "column-major order";
    vec![
        mistake(
            "reshape",
            "shape=3,4",
            "column by column",
            column_major,
            replace("dx", |point, _| column_by_column(point)),
        ),
        mistake("reshape", "", "not reshaped back", "wrong shape", replace("dx", |point, _| dout(point).clone())),
        mistake(
            "flatten",
            "x=2x3x4",
            "column by column",
            column_major,
            replace("dx", |point, _| column_by_column(point)),
        ),
        mistake("transpose", "", "not transposed back", "wrong shape", replace("dx", |point, _| dout(point).clone())),
        mistake(
            "transpose",
            "axes=1,2,0 x=3x3x3",
            "the same axes again",
            "axes not inverted",
            replace("dx", |point, _| dout(point).view().permuted_axes(vec![1, 2, 0]).as_standard_layout().into_owned()),
        ),
        mistake(
            "concat",
            "",
            "dx2 is the first part",
            "part of another input",
            replace("dx2", |_, evaluation| evaluation.gradients.known(&Name::new("dx1")).clone()),
        ),
        mistake(
            "concat",
            "x1=4x3 x2=2x3 x3=4x3",
            "dx1 is the last part",
            "part of another input",
            replace("dx1", |point, _| {
                let (rows, all) = (point.operands.known(&Name::new("x1")).shape()[0], dout(point).shape()[0]);
                dout(point).select(Axis(0), &(all - rows..all).collect::<Vec<_>>())
            }),
        ),
        mistake(
            "nll",
            "",
            "softmax(x) − t",
            "gradient of the logits",
            replace("dx", |point, evaluation| {
                let powers = super::x(point).mapv(f64::exp);
                let sums = powers.sum_axis(Axis(1)).insert_axis(Axis(1));
                &powers / &sums + evaluation.gradients.known(&Name::DX)
            }),
        ),
    ]
}
