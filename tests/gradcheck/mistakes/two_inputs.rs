//! Planted mistakes of layers of two inputs and of gates.

use super::{Mistake, dout, mistake, replace, with_settings};
use ndarray::{ArrayD, Axis, Ix2};
use nnlayer::check::Point;
use nnlayer::core::name::Name;

fn operand<'a>(point: &'a Point, name: &str) -> &'a ArrayD<f64> {
    point.operands.known(&Name::new(name))
}

fn matrix<'a>(array: &'a ArrayD<f64>) -> ndarray::ArrayView2<'a, f64> {
    array.view().into_dimensionality::<Ix2>().unwrap()
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let repeated = "not summed over repeated axes";
    let x_where_negative = |point: &Point| dout(point) * &operand(point, "x").mapv(|x| x.min(0.0));
    vec![
        mistake(
            "add",
            "x1=4x3 x2=1x3",
            "dx2 not summed over the rows",
            repeated,
            replace("dx2", |point, _| dout(point).clone()),
        ),
        mistake(
            "add",
            "x1=4x1 x2=3",
            "dx1 not summed over the columns",
            repeated,
            replace("dx1", |point, _| dout(point).clone()),
        ),
        mistake(
            "mul",
            "x1=4x3 x2=1x3",
            "dx2 not summed over the rows",
            repeated,
            replace("dx2", |point, _| dout(point) * operand(point, "x1")),
        ),
        mistake(
            "mul",
            "",
            "dout∘x1 for dx1",
            "own input",
            replace("dx1", |point, _| dout(point) * operand(point, "x1")),
        ),
        mistake("prelu", "a=3", "da not summed", repeated, replace("da", move |point, _| x_where_negative(point))),
        mistake(
            "prelu",
            "a=3",
            "da summed over the channels too",
            "one slope for all channels",
            replace("da", move |point, _| ArrayD::from_elem(vec![3], x_where_negative(point).sum())),
        ),
        mistake(
            "prelu",
            "a=3 x=4x3x2",
            "da not summed over the batch",
            "not summed over the batch",
            replace("da", move |point, _| x_where_negative(point).sum_axis(Axis(2))),
        ),
        mistake(
            "matmul",
            "x1=3x3 x2=3x3",
            "dx1 and dx2 exchanged",
            "gradients exchanged",
            replace("dx1", |_, evaluation| evaluation.gradients.known(&Name::new("dx2")).clone()),
        ),
        mistake(
            "matmul",
            "",
            "dx1 and dx2 exchanged",
            "gradients exchanged",
            replace("dx2", |_, evaluation| evaluation.gradients.known(&Name::new("dx1")).clone()),
        ),
        mistake(
            "matmul",
            "x1=4x3 x2=3x3",
            "x2 for x2ᵀ",
            "W in place of Wᵀ",
            replace("dx1", |point, _| matrix(dout(point)).dot(&matrix(operand(point, "x2"))).into_dyn()),
        ),
        mistake(
            "glu",
            "",
            "the first half as the gate",
            "another setting",
            with_settings("dx", "glu", &[("gate-half", "first")]),
        ),
        mistake(
            "glu",
            "gate-half=first",
            "the second half as the gate",
            "another setting",
            with_settings("dx", "glu", &[]),
        ),
        mistake("glu", "activation=silu", "sigmoid for silu", "another setting", with_settings("dx", "glu", &[])),
        mistake(
            "glu",
            "",
            "no activation",
            "activation of the gate left out",
            with_settings("dx", "glu", &[("activation", "none")]),
        ),
    ]
}
