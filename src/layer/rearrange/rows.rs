//! The rows of the layers that move entries: names, formulas, settings and conventions.

use super::{AXES, INPUTS, Rearrange, SHAPE};
use crate::core::name::Name;
use crate::layer::convention::{Convention, GradientCase};
use crate::layer::interface::AnyLayer;
use crate::layer::lanes::AXIS;
use crate::layer::settings::{Kind, Setting, Settings};
use crate::layer::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use ndarray::{ArrayD, ShapeBuilder};

const fn input(gradient: &'static str) -> [Slot; 1] {
    [Slot::input(Name::X, "(N×D) or any shape", gradient, "input")]
}

fn rearrange(layer: Rearrange) -> Box<dyn AnyLayer> {
    Box::new(layer)
}

/// Returns the entries of dout in the shape of x, both counted column by column.
fn column_major(case: &GradientCase<'_>) -> Option<ArrayD<f64>> {
    let columns: Vec<f64> = case.dout.t().iter().copied().collect();
    let reordered = ArrayD::from_shape_vec(case.right.raw_dim().f(), columns).ok()?;
    Some(reordered.as_standard_layout().into_owned())
}

const COLUMN_MAJOR: Convention = Convention {
    kind: "column-major order",
    explanation: "it counts entries column by column; reshape counts them row by row, as NumPy and PyTorch do",
    gradient: column_major,
};

/// Registry row of reshape.
pub(in crate::layer) const RESHAPE: LayerSpec = LayerSpec {
    name: "reshape",
    about: "y = x with other axes, entries in the same order",
    outputs: &[(Name::Y, "x in the new shape")],
    output: Name::Y,
    logit_gradient: None,
    slots: &input("dout in the shape of x"),
    settings: &[SHAPE],
    scalar_dout: ScalarDout::Fills,
    conventions: &[COLUMN_MAJOR],
    examples: &[Example {
        command: "nnlayer reshape --x '1,2,3;4,5,6' --shape -1,2 --json",
        prints: "{\"y\":[[1.0,2.0],[3.0,4.0],[5.0,6.0]],\"dx\":[[1.0,1.0,1.0],[1.0,1.0,1.0]]}\n",
    }],
    source: "PyTorch's reshape and ONNX's Reshape, whose length 0 keeps that of x",
    build: |settings| {
        Ok(rearrange(Rearrange::Reshape(settings.integers(SHAPE.name).map_or_else(|| vec![-1], <[i64]>::to_vec))))
    },
};

const FLATTEN_AXIS: Setting =
    Setting { name: AXIS, kind: Kind::Integer, doc: "first axis of x that belongs to the columns (default 1)" };

/// Registry row of flatten.
pub(in crate::layer) const FLATTEN: LayerSpec = LayerSpec {
    name: "flatten",
    about: "y = x as a matrix, the axes from --axis on as columns",
    outputs: &[(Name::Y, "x as a matrix")],
    output: Name::Y,
    logit_gradient: None,
    slots: &input("dout in the shape of x"),
    settings: &[FLATTEN_AXIS],
    scalar_dout: ScalarDout::Fills,
    conventions: &[COLUMN_MAJOR],
    examples: &[Example {
        command: "nnlayer flatten --x '[[[1,2],[3,4]]]' --json",
        prints: "{\"y\":[[1.0,2.0,3.0,4.0]],\"dx\":[[[1.0,1.0],[1.0,1.0]]]}\n",
    }],
    source: "ONNX's Flatten, which always gives a matrix; PyTorch's nn.Flatten is the same for two axes and more",
    build: |settings| Ok(rearrange(Rearrange::Flatten(settings.integer(AXIS).unwrap_or(1)))),
};

/// Registry row of transpose.
pub(in crate::layer) const TRANSPOSE: LayerSpec = LayerSpec {
    name: "transpose",
    about: "y = xᵀ, or x with its axes in another order",
    outputs: &[(Name::Y, "x with its axes in another order")],
    output: Name::Y,
    logit_gradient: None,
    slots: &input("dout with its axes in the order of x"),
    settings: &[AXES],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "axes not inverted",
        explanation: "it is dout with its axes in the order of --axes again; the gradient needs the inverse order",
        gradient: |case| {
            let order = Rearrange::order(case.settings.integers(AXES.name), case.dout.ndim()).ok()?;
            Some(case.dout.view().permuted_axes(order).as_standard_layout().into_owned())
        },
    }],
    examples: &[Example {
        command: "nnlayer transpose --x '1,2,3;4,5,6' --json",
        prints: "{\"y\":[[1.0,4.0],[2.0,5.0],[3.0,6.0]],\"dx\":[[1.0,1.0,1.0],[1.0,1.0,1.0]]}\n",
    }],
    source: "NumPy's transpose and PyTorch's permute; ONNX's Transpose calls the axes perm",
    build: |settings: &Settings| Ok(rearrange(Rearrange::Transpose(settings.integers(AXES.name).map(<[i64]>::to_vec)))),
};

const JOINED_AXIS: Setting = Setting {
    name: AXIS,
    kind: Kind::Integer,
    doc: "axis along which the inputs are joined (default 0, as in PyTorch)",
};

/// Returns an input of concat; the first two are required.
const fn part(n: usize) -> Slot {
    let doc = "another input";
    let name = match n {
        0 => Name::X1,
        1 => Name::X2,
        2 => Name::fixed("x3"),
        3 => Name::fixed("x4"),
        4 => Name::fixed("x5"),
        5 => Name::fixed("x6"),
        6 => Name::fixed("x7"),
        _ => Name::fixed("x8"),
    };
    Slot {
        name,
        role: Role::Input,
        shape: "(N×D) or any shape",
        optional: n > 1,
        values: Values::Numbers,
        gradient: Some("its part of dout"),
        doc,
    }
}

/// Registry row of concat.
pub(in crate::layer) const CONCAT: LayerSpec = LayerSpec {
    name: "concat",
    about: "y = x1, x2 and up to six more inputs, one after the other along an axis",
    outputs: &[(Name::Y, "the inputs one after the other")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[part(0), part(1), part(2), part(3), part(4), part(5), part(6), part(7)],
    settings: &[JOINED_AXIS],
    scalar_dout: ScalarDout::Fills,
    conventions: &[Convention {
        kind: "part of another input",
        explanation: "it is the part of dout that belongs to another input",
        gradient: |case| {
            let others = INPUTS.iter().map(Name::gradient).filter(|name| name != case.name);
            let part = |name: Name| GradientCase { name: &name, ..*case }.recompute(|_, _| {});
            others.filter_map(part).find(|part| part.shape() == case.right.shape())
        },
    }],
    examples: &[Example {
        command: "nnlayer concat --x1 1,2 --x2 '[3]' --x3 4,5 --dout 1,2,3,4,5 --json",
        prints: "{\"y\":[1.0,2.0,3.0,4.0,5.0],\"dx1\":[1.0,2.0],\"dx2\":[3.0],\"dx3\":[4.0,5.0]}\n",
    }],
    source: "NumPy's concatenate, PyTorch's cat and ONNX's Concat, whose axis has no default",
    build: |settings| Ok(rearrange(Rearrange::Concat(settings.integer(AXIS).unwrap_or(0)))),
};
