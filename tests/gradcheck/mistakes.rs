//! Planted mistakes: wrong gradients, and the kind of mistake that the check has to name.

use ndarray::{Array2, ArrayD, Axis, Ix2};
use nnlayer::check::{Evaluation, Point};
use nnlayer::core::name::Name;
use nnlayer::core::tensors::Tensors;
use nnlayer::layer;
use nnlayer::layer::{Precision, Settings};
use nnlayer::numeric::FloatType;

mod losses;
mod norms;
mod pointwise;
mod rearrange;
mod sequences;
mod two_inputs;
mod windows;

/// Changes the right results at a point to wrong ones.
pub(super) type Plant = Box<dyn Fn(&Point, &mut Evaluation)>;

/// A planted mistake.
pub(super) struct Mistake {
    pub(super) layer: &'static str,
    /// Settings and shapes.
    pub(super) options: &'static str,
    /// Description for the documentation.
    pub(super) what: &'static str,
    /// The kind that the check has to name; empty if it only has to fail.
    pub(super) kind: &'static str,
    pub(super) plant: Plant,
}

/// Targets that do not sum to 1.
pub(super) const UNNORMALISED: &str = "t=:0,0,2;1,1,0;0.5,0,0;0,1,0 x=4x3";

fn mistake(
    layer: &'static str,
    options: &'static str,
    what: &'static str,
    kind: &'static str,
    plant: Plant,
) -> Mistake {
    Mistake { layer, options, what, kind, plant }
}

/// Replaces a gradient.
fn replace(name: &str, gradient: impl Fn(&Point, &Evaluation) -> ArrayD<f64> + 'static) -> Plant {
    let name = Name::new(name);
    Box::new(move |point, evaluation| {
        let wrong = gradient(point, evaluation);
        evaluation.gradients.insert(name.clone(), wrong);
    })
}

/// Changes the right gradient to a wrong one.
fn edit(name: &'static str, change: impl Fn(ArrayD<f64>) -> ArrayD<f64> + 'static) -> Plant {
    replace(name, move |_, evaluation| change(evaluation.gradients.known(&Name::new(name)).clone()))
}

fn scale(name: &'static str, factor: f64) -> Plant {
    edit(name, move |gradient| gradient * factor)
}

/// Sets a row (axis 0) or column (axis 1) of a gradient to a value.
fn fill(name: &'static str, axis: usize, index: usize, value: f64) -> Plant {
    edit(name, move |mut gradient| {
        gradient.index_axis_mut(Axis(axis), index).fill(value);
        gradient
    })
}

/// Multiplies one entry of a gradient.
fn scale_entry(name: &'static str, index: [usize; 2], factor: f64) -> Plant {
    edit(name, move |mut gradient| {
        gradient[index] *= factor;
        gradient
    })
}

fn reorder_rows(name: &'static str, order: &'static [usize]) -> Plant {
    edit(name, move |gradient| gradient.select(Axis(0), order))
}

fn reorder_columns(name: &'static str, order: &'static [usize]) -> Plant {
    edit(name, move |gradient| gradient.select(Axis(1), order))
}

/// Adds to the entries from the flat index `first` on.
fn off_from(mut gradient: ArrayD<f64>, first: usize) -> ArrayD<f64> {
    gradient.iter_mut().skip(first).for_each(|v| *v += 1.5);
    gradient
}

/// Adds to the entries of two rows (axis 0) or columns (axis 1).
fn off_in(mut gradient: ArrayD<f64>, axis: usize, lines: [usize; 2]) -> ArrayD<f64> {
    lines.into_iter().for_each(|line| gradient.index_axis_mut(Axis(axis), line).mapv_inplace(|v| v + 1.5));
    gradient
}

/// Replaces y in the formula dx = y − t of a loss.
fn replace_y(y: impl Fn(&Point, &Evaluation) -> ArrayD<f64> + 'static) -> Plant {
    replace("dx", move |point, evaluation| {
        evaluation.gradients.known(&Name::DX) + (y(point, evaluation) - output(evaluation))
    })
}

/// Returns a gradient of a layer with other settings, operands or dout.
fn gradient(
    layer: &str,
    options: &[(&str, &str)],
    operands: &Tensors<f64>,
    dout: &ArrayD<f64>,
    name: &str,
) -> ArrayD<f64> {
    let spec = layer::find(layer).unwrap();
    let mut settings = Settings::default();
    for (name, text) in options {
        let setting = spec.settings.iter().find(|setting| setting.name == *name).unwrap();
        settings.set(setting.name, setting.parse(text).unwrap());
    }
    let layer = (spec.build)(&settings).unwrap();
    layer::compute(layer.as_ref(), operands, Some(dout), Precision::F64).gradients.known(&Name::new(name)).clone()
}

/// Replaces a gradient by that of the layer with other settings.
fn with_settings(name: &'static str, layer: &'static str, options: &'static [(&str, &str)]) -> Plant {
    replace(name, move |point, _| gradient(layer, options, &point.operands, dout(point), name))
}

/// Replaces dx by that of the layer for dout = 1.
fn without_dout(layer: &'static str, options: &'static [(&str, &str)]) -> Plant {
    let ones = |point: &Point| dout(point).mapv(|_| 1.0);
    replace("dx", move |point, _| gradient(layer, options, &point.operands, &ones(point), "dx"))
}

/// Replaces a gradient of affine by that without some samples.
fn without_samples(name: &'static str, is_lost: fn(usize, usize) -> bool) -> Plant {
    replace(name, move |point, _| {
        let mut kept = dout(point).clone();
        let last = kept.shape()[0] - 1;
        kept.outer_iter_mut().enumerate().filter(|(n, _)| is_lost(*n, last)).for_each(|(_, mut row)| row.fill(0.0));
        gradient("affine", &[], &point.operands, &kept, name)
    })
}

/// Replaces dx by that of the layer without an operand.
fn without_operand(layer: &'static str, name: Name) -> Plant {
    replace("dx", move |point, _| {
        let mut operands = point.operands.clone();
        operands.take(&name);
        gradient(layer, &[], &operands, dout(point), "dx")
    })
}

/// Replaces dx by that of the layer at y.
fn at_output(layer: &'static str) -> Plant {
    replace("dx", move |point, evaluation| {
        let operands = Tensors::new().with(Name::X, output(evaluation).clone());
        gradient(layer, &[], &operands, dout(point), "dx")
    })
}

fn dout(point: &Point) -> &ArrayD<f64> {
    point.dout.as_ref().unwrap()
}

fn output(evaluation: &Evaluation) -> &ArrayD<f64> {
    evaluation.outputs.known(&Name::Y)
}

fn x(point: &Point) -> &ArrayD<f64> {
    point.operands.known(&Name::X)
}

fn transpose(value: ArrayD<f64>) -> ArrayD<f64> {
    value.t().as_standard_layout().into_owned()
}

fn product(a: &ArrayD<f64>, b: &ArrayD<f64>) -> ArrayD<f64> {
    let matrix = |value: &ArrayD<f64>| -> Array2<f64> { value.clone().into_dimensionality::<Ix2>().unwrap() };
    let (a, b) = (matrix(a), matrix(b));
    // The mistake shows only where the shapes fit.
    if a.ncols() == b.nrows() { a.dot(&b).into_dyn() } else { Array2::zeros((a.nrows(), b.ncols())).into_dyn() }
}

fn softmax(x: &ArrayD<f64>, axis: usize) -> ArrayD<f64> {
    let mut y = x.mapv(f64::exp);
    for mut lane in y.lanes_mut(Axis(axis)) {
        let sum = lane.sum();
        lane.mapv_inplace(|v| v / sum);
    }
    y
}

fn affine_mistakes() -> Vec<Mistake> {
    let affine = |options, what, kind, plant| mistake("affine", options, what, kind, plant);
    let dx_without_transpose = replace("dx", |p, _| product(dout(p), p.operands.known(&Name::W)));
    let dw_without_transpose = replace("dw", |p, _| product(x(p), dout(p)));
    let db_as_scalar = edit("db", |g| ndarray::arr0(g.sum()).into_dyn());
    vec![
        affine("", "db = dout, not summed", "not summed over the batch", replace("db", |p, _| dout(p).clone())),
        affine("x=7x2 w=2x3", "db summed to one number", "not summed over the batch", db_as_scalar),
        affine("", "db as a matrix of one row", "wrong shape", edit("db", |g| g.insert_axis(Axis(0)))),
        affine("", "dw transposed", "wrong shape", edit("dw", transpose)),
        affine("", "dx transposed", "wrong shape", edit("dx", transpose)),
        affine("x=4x3 w=3x3", "dw of a square W transposed", "transposed", edit("dw", transpose)),
        affine("x=4x3 w=3x3", "dx = dout·W", "W in place of Wᵀ", dx_without_transpose),
        affine("x=3x3 w=3x2", "dw = x·dout", "W in place of Wᵀ", dw_without_transpose),
        affine("", "dw divided by the batch", "constant factor", scale("dw", 0.25)),
        affine("x=6x2 w=2x5", "db divided by the batch", "constant factor", scale("db", 1.0 / 6.0)),
        affine("", "dw times 1.01", "constant factor", scale("dw", 1.01)),
        affine("", "dx with the wrong sign", "wrong sign", scale("dx", -1.0)),
        affine("", "dw all zero", "all zero", scale("dw", 0.0)),
        affine("", "dx without dout", "dout ignored", without_dout("affine", &[])),
        affine("", "dw without the last sample", "a sample missing", without_samples("dw", |n, last| n == last)),
        affine("x=6x3", "db without the first sample", "a sample missing", without_samples("db", |n, _| n == 0)),
        affine("", "dw assigned, not added", "a sample missing", without_samples("dw", |n, last| n != last)),
        affine("", "dw: one row wrong", "one row wrong", fill("dw", 0, 1, 0.5)),
        affine("", "dw: one column wrong", "one column wrong", fill("dw", 1, 4, 0.5)),
        affine("", "dx: one entry off by 1 %", "one entry wrong", scale_entry("dx", [2, 1], 1.01)),
        affine("", "dx: rows in reverse", "rows in another order", reorder_rows("dx", &[3, 2, 1, 0])),
        affine("", "dx: rows shifted by one", "rows in another order", reorder_rows("dx", &[1, 2, 3, 0])),
        affine("", "dw: columns in reverse", "columns in another order", reorder_columns("dw", &[4, 3, 2, 1, 0])),
        affine("", "dx: the last entries wrong", "last entries wrong", edit("dx", |g| off_from(g, 10))),
        affine("x=6x3", "dx: two rows wrong", "several rows wrong", edit("dx", |g| off_in(g, 0, [1, 4]))),
        affine("", "dw: two columns wrong", "several columns wrong", edit("dw", |g| off_in(g, 1, [0, 2]))),
        affine("", "dw cut to whole numbers", "cut to whole numbers", edit("dw", |g| g.mapv(f64::trunc))),
        affine("", "dw in bf16", "lower precision inside", edit("dw", |g| g.mapv(|v| FloatType::Bf16.round(v)))),
        affine("w-layout=out-in", "dw transposed", "wrong shape", edit("dw", transpose)),
    ]
}

fn softmax_mistakes() -> Vec<Mistake> {
    let softmax = |options, what, kind, plant| mistake("softmax", options, what, kind, plant);
    let with = |options| with_settings("dx", "softmax", options);
    let diagonal = || replace("dx", |p, e| dout(p) * output(e) * (1.0 - output(e)));
    vec![
        softmax("", "only the diagonal of the Jacobian", "diagonal of the Jacobian", diagonal()),
        softmax("axis=0", "only the diagonal, down the columns", "diagonal of the Jacobian", diagonal()),
        softmax("", "over the wrong axis", "softmax over the wrong axis", with(&[("axis", "0")])),
        softmax("axis=0", "along rows in place of columns", "softmax over the wrong axis", with(&[])),
        softmax("x=5x3", "softmax applied twice", "applied twice", at_output("softmax")),
        softmax("", "dout ignored", "dout ignored", scale("dx", 0.0)),
        softmax("", "the gradient of log-softmax", "another setting", with(&[("log", "true")])),
        softmax("log=true", "the gradient of softmax itself", "another setting", with(&[])),
        softmax("x=3x3", "dx transposed", "transposed", edit("dx", transpose)),
        softmax("x=4", "one sample as a matrix", "wrong shape", edit("dx", |g| g.insert_axis(Axis(0)))),
    ]
}

fn loss_mistakes() -> Vec<Mistake> {
    let softmax_xent = |options, what, kind, plant| mistake("softmax-xent", options, what, kind, plant);
    let xent = |options, what, kind, plant| mistake("xent", options, what, kind, plant);
    let mean = "reduction=mean";
    let of_columns = replace_y(|p, _| softmax(x(p), 0));
    let applied_twice = replace_y(|_, e| softmax(output(e), 1));
    let y_minus_t = replace("dx", |p, e| output(e) - p.operands.known(&Name::T));
    let y_minus_t_of_y = replace("dy", |p, _| p.operands.known(&Name::Y) - p.operands.known(&Name::T));
    let unsmoothed = with_settings("dx", "softmax-xent", &[]);
    let unweighted = without_operand("softmax-xent", Name::WEIGHT);
    let without_dout = without_dout("softmax-xent", &[("reduction", "none")]);
    vec![
        softmax_xent(mean, "not divided by the batch", "another setting", scale("dx", 4.0)),
        softmax_xent("", "divided by the batch", "another setting", scale("dx", 0.25)),
        softmax_xent(mean, "divided by the batch twice", "constant factor", scale("dx", 0.25)),
        softmax_xent(mean, "divided by the class count", "constant factor", scale("dx", 4.0 / 3.0)),
        softmax_xent("", "the sum over the class count", "constant factor", scale("dx", 1.0 / 3.0)),
        softmax_xent("t-kind=index", "t − y", "wrong sign", scale("dx", -1.0)),
        softmax_xent("", "softmax down the columns", "softmax over the wrong axis", of_columns),
        softmax_xent("x=5x3", "softmax applied twice", "applied twice", applied_twice),
        softmax_xent("", "x − t", "softmax left out", replace_y(|p, _| x(p).clone())),
        softmax_xent(UNNORMALISED, "y − t, targets of any sum", "unnormalised targets", y_minus_t),
        softmax_xent("label-smoothing=0.1", "smoothing ignored", "another setting", unsmoothed),
        softmax_xent("weight=3", "class weights ignored", "another setting", unweighted),
        softmax_xent("reduction=none", "dout ignored", "dout ignored", without_dout),
        xent("", "dy without eps", "another setting", with_settings("dy", "xent", &[("eps", "0")])),
        xent("", "dy with eps 1e-7", "another setting", with_settings("dy", "xent", &[("eps", "1e-7")])),
        xent("", "dy = y − t", "gradient of the logits", y_minus_t_of_y),
        xent("", "dy = t/(y + eps)", "wrong sign", scale("dy", -1.0)),
        xent(mean, "dx not divided by the batch", "another setting", scale("dx", 4.0)),
        xent(mean, "dy divided by the class count", "constant factor", scale("dy", 4.0 / 3.0)),
        xent("", "dx of one row wrong", "one row wrong", fill("dx", 0, 2, 0.125)),
    ]
}

fn elementwise_mistakes() -> Vec<Mistake> {
    let slope_alone = replace("dx", |p, _| x(p).mapv(|x| if x > 0.0 { 1.0 } else { 0.0 }));
    let at_x = replace("dx", |p, _| dout(p) * x(p) * (1.0 - x(p)));
    let mask_of_dout = replace("dx", |p, _| dout(p).mapv(|v| if v > 0.0 { v } else { 0.0 }));
    let tanh_at_x = replace("dx", |p, _| dout(p) * (1.0 - x(p) * x(p)));
    let unsquared = replace("dx", |p, e| dout(p) * (1.0 - output(e)));
    let without_dout = replace("dx", |_, e| 1.0 - output(e) * output(e));
    vec![
        mistake("relu", "", "dout passes everywhere", "slope 1 everywhere", replace("dx", |p, _| dout(p).clone())),
        mistake("relu", "", "dout ignored", "dout ignored", slope_alone),
        mistake("relu", "", "dout passes where it is positive", "mask of dout", mask_of_dout),
        mistake("sigmoid", "", "dout·x·(1 − x)", "x in place of y", at_x),
        mistake("sigmoid", "x=6", "applied twice", "applied twice", at_output("sigmoid")),
        mistake("tanh", "", "1 − y², dout forgotten", "dout ignored", without_dout),
        mistake("tanh", "", "dout·(1 − x²)", "x in place of y", tanh_at_x),
        mistake("tanh", "", "dout·(1 − y)", "y in place of y²", unsquared),
        mistake("tanh", "x=6", "applied twice", "applied twice", at_output("tanh")),
        mistake("tanh", "", "all zero", "all zero", scale("dx", 0.0)),
        mistake("softmax", "", "NaN in a row of dx", "not finite", fill("dx", 0, 1, f64::NAN)),
    ]
}

/// Mistakes in arrays of three and more axes.
fn tensor_mistakes() -> Vec<Mistake> {
    let tanh = |options, what, kind, plant| mistake("tanh", options, what, kind, plant);
    let exchange = |mut gradient: ArrayD<f64>| {
        gradient.swap_axes(0, 2);
        gradient.as_standard_layout().into_owned()
    };
    let reverse = |gradient: ArrayD<f64>| gradient.select(Axis(1), &[3, 2, 1, 0]);
    let shift = |gradient: ArrayD<f64>| gradient.select(Axis(0), &[1, 2, 0]);
    vec![
        tanh("x=3x2x3", "two axes of dx exchanged", "transposed", edit("dx", exchange)),
        tanh("x=3x2x4", "two axes of dx exchanged", "wrong shape", edit("dx", exchange)),
        tanh("x=2x4x3", "dx reversed along axis 1", "columns in another order", edit("dx", reverse)),
        tanh("x=3x2x2x2", "dx shifted by one sample", "rows in another order", edit("dx", shift)),
        tanh("x=2x3x4", "dx of one position wrong", "one column wrong", fill("dx", 2, 1, 0.125)),
        tanh("x=2x5x3", "dx of two positions wrong", "several columns wrong", edit("dx", |dx| off_in(dx, 1, [1, 3]))),
    ]
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let here = [affine_mistakes(), softmax_mistakes(), loss_mistakes(), elementwise_mistakes(), tensor_mistakes()];
    let families = [pointwise::mistakes(), losses::mistakes(), norms::mistakes(), sequences::mistakes()];
    let families = families.into_iter().chain([two_inputs::mistakes(), rearrange::mistakes(), windows::mistakes()]);
    here.into_iter().chain(families).flatten().collect()
}
