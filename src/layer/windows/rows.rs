//! The rows of the layers of windows: names, formulas, settings and conventions.

use super::conv::{Conv, GROUPS, with_flipped_kernel, with_windows, without_groups};
use super::pool::{COUNT_INCLUDE_PAD, Pool, at_every_largest, max_with_windows, mean_with_windows};
use super::{CEIL_MODE, DILATION, KERNEL, PADDING, POOL_STRIDE, STRIDE};
use crate::core::name::Name;
use crate::layer::convention::Convention;
use crate::layer::interface::AnyLayer;
use crate::layer::settings::Setting;
use crate::layer::spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};
use crate::ops::WindowAxis;

const CONV_SETTINGS: &[Setting] = &[STRIDE, DILATION, PADDING, GROUPS];
const MAX_SETTINGS: &[Setting] = &[KERNEL, POOL_STRIDE, PADDING, DILATION, CEIL_MODE];
const MEAN_SETTINGS: &[Setting] = &[KERNEL, POOL_STRIDE, PADDING, DILATION, CEIL_MODE, COUNT_INCLUDE_PAD];
const LINE: &str = "(N×C×L) or (C×L)";
const PLANE: &str = "(N×C×H×W) or (C×H×W)";
const CONV_SOURCE: &str = "torch.nn.Conv1d and Conv2d, ONNX Conv; padding by name as in ONNX and TensorFlow";
const POOL_SOURCE: &str =
    "torch.nn.MaxPool1d and MaxPool2d, ONNX MaxPool; the first of equal entries, as in PyTorch on CPUs";
const MEAN_SOURCE: &str = "torch.nn.AvgPool1d and AvgPool2d, ONNX AveragePool";

const fn x(shape: &'static str, gradient: &'static str) -> Slot {
    Slot::input(Name::X, shape, gradient, "input; without N it is one sample")
}

const fn w(shape: &'static str) -> Slot {
    Slot::parameter(Name::W, shape, "Σ x·dout over samples and positions", "weights, which are not flipped")
}

const B: Slot = Slot {
    name: Name::B,
    role: Role::Parameter,
    shape: "(O) or scalar",
    optional: true,
    values: Values::Numbers,
    gradient: Some("Σ dout over samples and positions"),
    doc: "bias of each output channel",
};

/// A convolution over one axis and over two.
const fn conv_conventions<const AXES: usize>() -> [Convention; 5] {
    [
        Convention {
            kind: "kernel flipped",
            explanation: "w is flipped, as in a convolution of mathematics; layers compute the cross-correlation",
            gradient: with_flipped_kernel,
        },
        Convention {
            kind: "groups ignored",
            explanation: "every output channel reads the channels of the first group",
            gradient: without_groups::<AXES>,
        },
        Convention {
            kind: "dilation ignored",
            explanation: "the entries of a window are neighbours, as for --dilation 1",
            gradient: |case| with_windows::<AXES>(case, |axis| axis.dilation = 1),
        },
        Convention {
            kind: "stride ignored",
            explanation: "the windows are neighbours, as for --stride 1",
            gradient: |case| with_windows::<AXES>(case, |axis| axis.stride = 1),
        },
        Convention {
            kind: "padding on the other side",
            explanation: "padding before and after is exchanged, as same-upper and same-lower are",
            gradient: |case| with_windows::<AXES>(case, swap_padding),
        },
    ]
}

const fn max_conventions<const AXES: usize>() -> [Convention; 3] {
    [
        Convention {
            kind: "dout to every largest entry",
            explanation: "equal largest entries of a window all get dout, expected at the first",
            gradient: at_every_largest::<AXES>,
        },
        Convention {
            kind: "stride ignored",
            explanation: "the windows are neighbours: the stride is 1, ONNX's default, and not the kernel, PyTorch's",
            gradient: |case| max_with_windows::<AXES>(case, |axis| axis.stride = 1),
        },
        Convention {
            kind: "padding on the other side",
            explanation: "padding before and after is exchanged, as same-upper and same-lower are",
            gradient: |case| max_with_windows::<AXES>(case, swap_padding),
        },
    ]
}

const fn mean_conventions<const AXES: usize>() -> [Convention; 2] {
    [
        Convention {
            kind: "stride ignored",
            explanation: "the windows are neighbours: the stride is 1, ONNX's default, and not the kernel, PyTorch's",
            gradient: |case| mean_with_windows::<AXES>(case, |axis| axis.stride = 1),
        },
        Convention {
            kind: "padding on the other side",
            explanation: "padding before and after is exchanged, as same-upper and same-lower are",
            gradient: |case| mean_with_windows::<AXES>(case, swap_padding),
        },
    ]
}

fn swap_padding(axis: &mut WindowAxis) {
    let before = axis.before.unsigned_abs();
    (axis.before, axis.after) = (axis.after.cast_signed(), before);
}

/// Registry row of conv1d.
pub(in crate::layer) const CONV1D: LayerSpec = LayerSpec {
    name: "conv1d",
    about: "y = Σ x·w + b over each window of an axis, a convolution",
    outputs: &[(Name::Y, "Σ x·w + b")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[x(LINE, "Σ dout·w"), w("(O×C/groups×k)"), B],
    settings: CONV_SETTINGS,
    scalar_dout: ScalarDout::Fills,
    conventions: &const { conv_conventions::<1>() },
    examples: &[Example {
        command: "nnlayer conv1d --x '1,2,4,8;' --w '[[[-1,1]]]' --dout '1,10,100;'",
        prints: "\
y = Σ x·w  (1×3)
[[1 2 4]]

dx = Σ dout·w  (1×4)
[[ -1  -9 -90 100]]

dw = Σ x·dout over samples and positions  (1×1×2)
[[[421 842]]]
",
    }],
    source: CONV_SOURCE,
    build: |settings| Ok(Box::new(Conv::<1>::new(settings)?) as Box<dyn AnyLayer>),
};

/// Registry row of conv2d.
pub(in crate::layer) const CONV2D: LayerSpec = LayerSpec {
    name: "conv2d",
    about: "y = Σ x·w + b over each window of two axes, a convolution of images",
    outputs: &[(Name::Y, "Σ x·w + b")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[x(PLANE, "Σ dout·w"), w("(O×C/groups×kh×kw)"), B],
    settings: CONV_SETTINGS,
    scalar_dout: ScalarDout::Fills,
    conventions: &const { conv_conventions::<2>() },
    examples: &[Example {
        command: "nnlayer conv2d --x '[[[1,2,3],[4,5,6],[7,8,9]]]' --w '[[[[0,1],[-1,0]]]]' --padding same --json",
        prints: "{\"y\":[[[-2.0,-2.0,-6.0],[-2.0,-2.0,-9.0],[8.0,9.0,0.0]]],\"dx\":[[[0.0,1.0,1.0],[-1.0,0.0,0.0],[-1.0,0.0,0.0]]],\"dw\":[[[[45.0,33.0],[39.0,28.0]]]]}\n",
    }],
    source: CONV_SOURCE,
    build: |settings| Ok(Box::new(Conv::<2>::new(settings)?) as Box<dyn AnyLayer>),
};

/// Registry row of maxpool1d.
pub(in crate::layer) const MAXPOOL1D: LayerSpec = LayerSpec {
    name: "maxpool1d",
    about: "y = the largest entry of each window of an axis",
    outputs: &[(Name::Y, "max of each window")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[x(LINE, "Σ dout at the first largest entry")],
    settings: MAX_SETTINGS,
    scalar_dout: ScalarDout::Fills,
    conventions: &const { max_conventions::<1>() },
    examples: &[Example {
        command: "nnlayer maxpool1d --x '1,5,2,4,3,0;' --kernel 3 --stride 1",
        prints: "\
y = max of each window  (1×4)
[[5 5 4 4]]

dout = ones: the gradients of L = Σy

dx = Σ dout at the first largest entry  (1×6)
[[0 2 0 2 0 0]]
",
    }],
    source: POOL_SOURCE,
    build: |settings| Ok(Box::new(Pool::<1>::max(settings)?) as Box<dyn AnyLayer>),
};

/// Registry row of maxpool2d.
pub(in crate::layer) const MAXPOOL2D: LayerSpec = LayerSpec {
    name: "maxpool2d",
    about: "y = the largest entry of each window of two axes",
    outputs: &[(Name::Y, "max of each window")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[x(PLANE, "Σ dout at the first largest entry")],
    settings: MAX_SETTINGS,
    scalar_dout: ScalarDout::Fills,
    conventions: &const { max_conventions::<2>() },
    examples: &[Example {
        command: "nnlayer maxpool2d --x '[[[1,2,5,3],[4,0,1,2]]]' --json",
        prints: "{\"y\":[[[4.0,5.0]]],\"dx\":[[[0.0,0.0,1.0,0.0],[1.0,0.0,0.0,0.0]]]}\n",
    }],
    source: POOL_SOURCE,
    build: |settings| Ok(Box::new(Pool::<2>::max(settings)?) as Box<dyn AnyLayer>),
};

/// Registry row of avgpool1d.
pub(in crate::layer) const AVGPOOL1D: LayerSpec = LayerSpec {
    name: "avgpool1d",
    about: "y = the mean of each window of an axis",
    outputs: &[(Name::Y, "mean of each window")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[x(LINE, "Σ dout/count")],
    settings: MEAN_SETTINGS,
    scalar_dout: ScalarDout::Fills,
    conventions: &const { mean_conventions::<1>() },
    examples: &[Example {
        command: "nnlayer avgpool1d --x '2,4,6,8;' --padding 1 --count-include-pad false",
        prints: "\
y = mean of each window  (1×3)
[[2 5 8]]

dout = ones: the gradients of L = Σy

dx = Σ dout/count  (1×4)
[[1.  0.5 0.5 1. ]]
",
    }],
    source: MEAN_SOURCE,
    build: |settings| Ok(Box::new(Pool::<1>::mean(settings)?) as Box<dyn AnyLayer>),
};

/// Registry row of avgpool2d.
pub(in crate::layer) const AVGPOOL2D: LayerSpec = LayerSpec {
    name: "avgpool2d",
    about: "y = the mean of each window of two axes",
    outputs: &[(Name::Y, "mean of each window")],
    output: Name::Y,
    logit_gradient: None,
    slots: &[x(PLANE, "Σ dout/count")],
    settings: MEAN_SETTINGS,
    scalar_dout: ScalarDout::Fills,
    conventions: &const { mean_conventions::<2>() },
    examples: &[Example {
        command: "nnlayer avgpool2d --x '[[[1,2,5,3],[4,0,1,2]]]' --json",
        prints: "{\"y\":[[[1.75,2.75]]],\"dx\":[[[0.25,0.25,0.25,0.25],[0.25,0.25,0.25,0.25]]]}\n",
    }],
    source: MEAN_SOURCE,
    build: |settings| Ok(Box::new(Pool::<2>::mean(settings)?) as Box<dyn AnyLayer>),
};
