//! Names of operands and settings of the normalisation layers.

use crate::core::name::Name;
use crate::layer::lanes;
use crate::layer::settings::{Kind, Setting};

pub(super) const GAMMA: Name = Name::fixed("gamma");
pub(super) const BETA: Name = Name::fixed("beta");
pub(super) const MEAN: Name = Name::fixed("mean");
pub(super) const VAR: Name = Name::fixed("var");
pub(super) const RUNNING_MEAN: Name = Name::fixed("running-mean");
pub(super) const RUNNING_VAR: Name = Name::fixed("running-var");

pub(super) const AXIS: Setting = Setting {
    name: lanes::AXIS,
    kind: Kind::Integer,
    doc: "first axis that is normalised, from 0 or from -1 (default -1)",
};
/// Machine epsilons.
const F32: f64 = f32::EPSILON as f64;
const F64: f64 = f64::EPSILON;

pub(super) const EPS: Setting = Setting {
    name: "eps",
    kind: Kind::Number(&[1e-5, 1e-6, 1e-3, 1e-12, 1e-8, 0.0, 1e-7, F32, F64, 1e-4, 1e-2, 1e-1, 1e-9, 1e-10]),
    doc: "added to the variance in the root (default 1e-5); PyTorch's and ONNX's default; 1e-3 in Keras, 1e-6 in Flax",
};
pub(super) const EPS_OF_RMS: Setting = Setting {
    doc: "added to the mean square in the root (default 1e-5); ONNX's default; PyTorch's is the type's machine epsilon",
    ..EPS
};
pub(super) const GAMMA_OFFSET: Setting = Setting {
    name: "gamma-offset",
    kind: Kind::Number(&[0.0, 1.0]),
    doc: "number added to gamma (default 0); 1 for weights stored as gamma − 1, as in Gemma",
};
pub(super) const GROUPS: Setting =
    Setting { name: "groups", kind: Kind::Integer, doc: "number of groups of channels (default 1)" };
pub(super) const MOMENTUM: Setting = Setting {
    name: "momentum",
    kind: Kind::Number(&[0.1, 0.01, 0.001]),
    doc: "weight of the batch (default 0.1); as in PyTorch; ONNX's and Keras's momentum is 1 − this",
};
pub(super) const RUNNING: Setting = Setting {
    name: "running",
    kind: Kind::Choice(&["unbiased", "biased"]),
    doc: "running variance: unbiased (default) or biased; divided by n − 1 as in PyTorch, or by n as in ONNX",
};
