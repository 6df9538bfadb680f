//! Planted mistakes of the layers of windows, by loops over their windows written down here.

use super::{Mistake, dout, edit, gradient, mistake, replace, x};
use ndarray::{Array4, ArrayD, Axis, Dim, Ix4, Slice};
use nnlayer::check::Point;
use nnlayer::core::name::Name;

/// Stride, dilation and padding before the first entry of every axis, as a program has them.
#[derive(Clone, Copy)]
struct Geometry(usize, usize, usize);

/// Returns an array of two spatial axes, of which the first has one entry if there is one axis.
fn planes(value: &ArrayD<f64>) -> Array4<f64> {
    let value = if value.ndim() == 3 { value.clone().insert_axis(Axis(2)) } else { value.clone() };
    value.into_dimensionality::<Ix4>().unwrap()
}

/// Returns each tap of each window, and the entry that it reads. An axis of one entry has windows of one tap.
fn reads(
    entries: Ix4,
    windows: Ix4,
    taps: [usize; 2],
    geometry: Geometry,
) -> Vec<([usize; 2], [usize; 2], [usize; 2])> {
    let Geometry(stride, dilation, before) = geometry;
    let place = |n: usize, window: usize, tap: usize| {
        let before = if entries[2 + n] == 1 { 0 } else { before };
        (window * stride + tap * dilation).checked_sub(before).filter(|at| *at < entries[2 + n])
    };
    let grid = |sizes: [usize; 2]| ndarray::indices(Dim(sizes)).into_iter().collect::<Vec<_>>();
    let mut all = Vec::new();
    for window in grid([windows[2], windows[3]]) {
        for tap in grid(taps) {
            if let (Some(row), Some(column)) = (place(0, window.0, tap.0), place(1, window.1, tap.1)) {
                all.push(([window.0, window.1], [tap.0, tap.1], [row, column]));
            }
        }
    }
    all
}

/// Returns dx or dw of a convolution of one group with this geometry.
fn convolution(name: &'static str, point: &Point, geometry: Geometry) -> ArrayD<f64> {
    let (w_given, x_given) = (point.operands.known(&Name::W), x(point));
    let (x, w, dout) = (planes(x_given), planes(w_given), planes(dout(point)));
    let (mut dx, mut dw) = (x.clone() * 0.0, w.clone() * 0.0);
    for (window, tap, entry) in reads(x.raw_dim(), dout.raw_dim(), [w.dim().2, w.dim().3], geometry) {
        for (n, o, c) in ndarray::indices((x.dim().0, w.dim().0, w.dim().1)) {
            let dout = dout[[n, o, window[0], window[1]]];
            dx[[n, c, entry[0], entry[1]]] += dout * w[[o, c, tap[0], tap[1]]];
            dw[[o, c, tap[0], tap[1]]] += dout * x[[n, c, entry[0], entry[1]]];
        }
    }
    let (gradient, like) = if name == "dw" { (dw, w_given) } else { (dx, x_given) };
    gradient.into_dyn().into_shape_with_order(like.raw_dim()).unwrap()
}

/// Returns dx of a pooling of windows of two entries along each axis.
fn pooling(is_max: bool, point: &Point, geometry: Geometry) -> ArrayD<f64> {
    let (x_given, dout) = (x(point), planes(dout(point)));
    let x = planes(x_given);
    let taps = [x.dim().2.min(2), 2];
    let mut dx = x.clone() * 0.0;
    let all = reads(x.raw_dim(), dout.raw_dim(), taps, geometry);
    for ((n, c, row, column), dout) in dout.indexed_iter() {
        let entries: Vec<[usize; 2]> =
            all.iter().filter(|(window, ..)| *window == [row, column]).map(|(.., entry)| *entry).collect();
        let value = |entry: &[usize; 2]| x[[n, c, entry[0], entry[1]]];
        let largest =
            entries.iter().fold(entries[0], |best, entry| if value(entry) > value(&best) { *entry } else { best });
        for entry in &entries {
            let share = if is_max { f64::from(*entry == largest) } else { 1.0 / (taps[0] * taps[1]) as f64 };
            dx[[n, c, entry[0], entry[1]]] += share * dout;
        }
    }
    dx.into_dyn().into_shape_with_order(x_given.raw_dim()).unwrap()
}

/// Reverses the axes of a kernel.
fn flip(mut w: ArrayD<f64>) -> ArrayD<f64> {
    (2..w.ndim()).for_each(|axis| w.invert_axis(Axis(axis)));
    w.as_standard_layout().into_owned()
}

/// Returns a gradient of a convolution in which every output reads the first channels.
fn without_groups(layer: &'static str, name: &'static str, point: &Point) -> ArrayD<f64> {
    let first = Slice::from(..point.operands.known(&Name::W).shape()[1]);
    let read = x(point).slice_axis(Axis(1), first).as_standard_layout().into_owned();
    let found = gradient(layer, &[], &point.operands.clone().with(Name::X, read), dout(point), name);
    if name == "dw" {
        return found;
    }
    let mut dx = ArrayD::zeros(x(point).raw_dim());
    dx.slice_axis_mut(Axis(1), first).assign(&found);
    dx
}

/// Returns dx of a maximum that gives dout to every equal largest entry of windows that do not overlap.
fn every_largest(point: &Point) -> ArrayD<f64> {
    let (x_given, dout) = (x(point), dout(point));
    let as_planes = |value: &ArrayD<f64>| {
        let value = value.clone().insert_axis(Axis(0));
        planes(&value)
    };
    let (x, dout) = (as_planes(x_given), as_planes(dout));
    let high = if x.dim().2 == 1 { 1 } else { 2 };
    let dx = Array4::from_shape_fn(x.raw_dim(), |(n, c, row, column)| {
        let window =
            x.slice(ndarray::s![n, c, row / high * high..row / high * high + high, column / 2 * 2..column / 2 * 2 + 2]);
        let largest = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if x[[n, c, row, column]] == largest { dout[[n, c, row / high, column / 2]] } else { 0.0 }
    });
    dx.into_dyn().into_shape_with_order(x_given.raw_dim()).unwrap()
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let mut all = Vec::new();
    for layer in ["conv1d", "conv2d"] {
        let mut add = |options, what, kind, plant| all.push(mistake(layer, options, what, kind, plant));
        let flipped = replace("dx", move |point, _| {
            let w = flip(point.operands.known(&Name::W).clone());
            gradient(layer, &[], &point.operands.clone().with(Name::W, w), dout(point), "dx")
        });
        add("", "w flipped", "kernel flipped", flipped);
        add("", "dw flipped", "kernel flipped", edit("dw", flip));
        for name in ["dx", "dw"] {
            let groups = replace(name, move |point, _| without_groups(layer, name, point));
            add("groups=2", "every output reads the first group", "groups ignored", groups);
            let plain = |geometry| replace(name, move |point, _| convolution(name, point, geometry));
            add("dilation=2", "dilation 1", "dilation ignored", plain(Geometry(1, 1, 0)));
            add("stride=2", "stride 1", "stride ignored", plain(Geometry(1, 1, 0)));
        }
        // The kernel is even along the last axis, so one of the sides has more padding.
        let [upper, lower] = match layer {
            "conv1d" => ["padding=same-upper w=5x3x2", "padding=same-lower w=5x3x2"],
            _ => ["padding=same-upper", "padding=same-lower"],
        };
        for (options, other) in [(upper, "same-lower"), (lower, "same-upper")] {
            for name in ["dx", "dw"] {
                let swapped =
                    replace(name, move |p, _| gradient(layer, &[("padding", other)], &p.operands, dout(p), name));
                add(options, other, "padding on the other side", swapped);
            }
        }
    }
    for (layer, is_max) in [("maxpool1d", true), ("maxpool2d", true), ("avgpool1d", false), ("avgpool2d", false)] {
        let mut add = |options, what, kind, plant| all.push(mistake(layer, options, what, kind, plant));
        let pooled = |geometry| replace("dx", move |point, _| pooling(is_max, point, geometry));
        add("", "stride 1, as in ONNX", "stride ignored", pooled(Geometry(1, 1, 0)));
        let options = if layer.ends_with("1d") { "padding=1,0 stride=1" } else { "padding=1,0;1,0 stride=1" };
        add(options, "padding at the end", "padding on the other side", pooled(Geometry(1, 1, 0)));
        if !is_max {
            let plant = replace("dx", move |p, _| {
                gradient(layer, &[("padding", "1"), ("count-include-pad", "false")], &p.operands, dout(p), "dx")
            });
            add("padding=1", "the padding not counted", "another setting", plant);
            let plant = replace("dx", move |p, _| gradient(layer, &[("padding", "1")], &p.operands, dout(p), "dx"));
            add("padding=1 count-include-pad=false", "the padding counted", "another setting", plant);
        }
    }
    let ties = |layer, options| {
        mistake(
            layer,
            options,
            "dout to every equal entry",
            "dout to every largest entry",
            replace("dx", |p, _| every_largest(p)),
        )
    };
    all.push(ties("maxpool1d", "x=:3,3,1,2;2,0,2,2"));
    all.push(ties("maxpool2d", "x=:3,3,1,2;2,0,2,2|1,0,0,-1;0,-2,5,5"));
    all
}
