//! Layers: their mathematics, and the registry that options, help, checks and graphs are derived from.
//!
//! A layer validates its operands in [`Admit::admit`]; after that, [`Layer::forward`] and [`Layer::backward`] are formulas that
//! cannot fail. Neither reads or writes files.

mod affine;
mod arrays;
mod attention;
mod attention_blocks;
mod broadcast;
mod compute;
mod convention;
mod dropout;
mod elsewhere;
mod embedding;
mod exact;
mod glu;
mod gradients;
mod heads;
mod indices;
mod interface;
mod jacobian;
mod lanes;
mod losses;
mod masked_rows;
mod matmul;
mod nll;
mod norms;
mod onnx;
mod other_names;
mod pointwise;
mod precision;
mod rearrange;
mod reduction;
mod relu;
mod rope;
mod run;
mod settings;
mod sigmoid;
mod softmax;
mod softmax_xent;
mod spec;
mod tanh;
mod targets;
mod windows;
mod xent;

pub use crate::ops::{WindowAxis, Windows};
pub use compute::{compute, compute_in_chunks, compute_only};
pub use convention::{Convention, GradientCase};
pub use elsewhere::{Elsewhere, elsewhere};
pub use gradients::{Forward, Gradients, Run, Wanted};
pub use interface::{
    Admit, AllTargets, AnyLayer, Given, Layer, MatrixOperation, Mode, admit, admit_new, check_output_memory,
};
pub use jacobian::{jacobian_name, jacobians};
pub use lanes::loss_class_axis;
pub use onnx::{Attribute, Attributes, Elements, OPERATOR_SET, OnnxNode, OnnxTensor, onnx_node};
pub use other_names::{layer_elsewhere, option_elsewhere};
pub use precision::Precision;
pub use run::{Outcome, run_in_kind};
pub use settings::{Kind, Setting, Settings, Value};
pub use spec::{Example, LayerSpec, Role, ScalarDout, Slot, Values};

use losses::rows as losses_rows;
use norms::rows as norm_rows;
use pointwise::rows;
use rearrange::rows as rearrange_rows;
use windows::rows as window_rows;

/// All layers.
pub const LAYERS: &[&LayerSpec] = &[
    &affine::SPEC,
    &softmax::SPEC,
    &xent::SPEC,
    &softmax_xent::SPEC,
    &relu::SPEC,
    &sigmoid::SPEC,
    &tanh::SPEC,
    &rows::LEAKY_RELU,
    &rows::ELU,
    &rows::SELU,
    &rows::CELU,
    &rows::GELU,
    &rows::SILU,
    &rows::MISH,
    &rows::SOFTPLUS,
    &rows::SOFTSIGN,
    &rows::LOG_SIGMOID,
    &rows::HARD_SIGMOID,
    &rows::HARD_SWISH,
    &rows::HARD_TANH,
    &losses_rows::MSE,
    &losses_rows::L1,
    &losses_rows::HUBER,
    &losses_rows::SMOOTH_L1,
    &losses_rows::BCE,
    &losses_rows::BCE_LOGITS,
    &losses_rows::KL_DIV,
    &norm_rows::LAYERNORM,
    &norm_rows::RMSNORM,
    &norm_rows::GROUPNORM,
    &norm_rows::INSTANCENORM,
    &norm_rows::BATCHNORM,
    &attention::SPEC,
    &embedding::SPEC,
    &rope::SPEC,
    &dropout::SPEC,
    &nll::SPEC,
    &broadcast::ADD,
    &broadcast::MUL,
    &matmul::SPEC,
    &broadcast::PRELU,
    &glu::SPEC,
    &rearrange_rows::RESHAPE,
    &rearrange_rows::FLATTEN,
    &rearrange_rows::TRANSPOSE,
    &rearrange_rows::CONCAT,
    &window_rows::CONV1D,
    &window_rows::CONV2D,
    &window_rows::MAXPOOL1D,
    &window_rows::MAXPOOL2D,
    &window_rows::AVGPOOL1D,
    &window_rows::AVGPOOL2D,
];

/// Returns the layer of a command.
pub fn find(name: &str) -> Option<&'static LayerSpec> {
    LAYERS.iter().copied().find(|spec| spec.name == name)
}
