//! The table of the operators.

use super::attributes::{
    COS, SIN, attention, by_channel, count, epsilon, integer, number, optional_integer, pool_windows, rank_with_heads,
    rotation_tables, training, windows, with_alpha,
};
use super::node::{Attribute, Elements, OnnxOperator};
use crate::core::name::Name;
use crate::layer::heads::{K, Q, V};
use crate::layer::rearrange;
use crate::numeric::FloatType;
use ndarray::{ArrayD, IxDyn};

const GAMMA: Name = Name::fixed("gamma");
const BETA: Name = Name::fixed("beta");
const MEAN: Name = Name::fixed("mean");
const VAR: Name = Name::fixed("var");
const RUNNING_MEAN: Name = Name::fixed("running-mean");
const RUNNING_VAR: Name = Name::fixed("running-var");
const SHAPE: Name = Name::fixed("shape");
const MIN: Name = Name::fixed("min");
const MAX: Name = Name::fixed("max");

/// Inputs and outputs of several operators.
const X: &[Name] = &[Name::X];
const X1_X2: &[Name] = &[Name::X1, Name::X2];
const X_GAMMA_BETA: &[Name] = &[Name::X, GAMMA, BETA];
const X_W_B: &[Name] = &[Name::X, Name::W, Name::B];
const X_T_WEIGHT: &[Name] = &[Name::X, Name::T, Name::WEIGHT];
const Y: &[Name] = &[Name::Y];
const LOSS: &[Name] = &[Name::LOSS];

const fn row(layer: &'static str, operator: &'static str) -> OnnxOperator {
    OnnxOperator {
        layer,
        operator,
        inputs: X,
        required: 1,
        outputs: Y,
        ranks: 0..=8,
        settings: &[],
        attributes: |_, _| Some(Vec::new()),
        further: |_, _| Some(Vec::new()),
        types: &[FloatType::F64, FloatType::F32, FloatType::F16, FloatType::Bf16],
        kept: &[],
        lifted: &[],
        rank: |_| 0,
    }
}

const fn two_inputs(layer: &'static str, operator: &'static str) -> OnnxOperator {
    OnnxOperator { inputs: X1_X2, required: 2, ..row(layer, operator) }
}

const fn norm(layer: &'static str, operator: &'static str) -> OnnxOperator {
    OnnxOperator { inputs: X_GAMMA_BETA, required: 2, ..row(layer, operator) }
}

const fn conv(layer: &'static str, rank: usize) -> OnnxOperator {
    OnnxOperator {
        inputs: X_W_B,
        required: 2,
        ranks: rank..=rank,
        settings: &["stride", "dilation", "padding", "groups"],
        attributes: |settings, rank| {
            let mut attributes = windows(settings, rank)?;
            attributes.push(integer(settings, "groups", "group", 1));
            Some(attributes)
        },
        ..row(layer, "Conv")
    }
}

const fn pool(layer: &'static str, rank: usize) -> OnnxOperator {
    OnnxOperator {
        ranks: rank..=rank,
        settings: &["kernel", "stride", "padding", "dilation", "ceil-mode"],
        attributes: |settings, rank| pool_windows(settings, rank),
        ..row(layer, "MaxPool")
    }
}

const fn mean_pool(layer: &'static str, rank: usize) -> OnnxOperator {
    OnnxOperator {
        operator: "AveragePool",
        settings: &["kernel", "stride", "padding", "dilation", "ceil-mode", "count-include-pad"],
        attributes: |settings, rank| {
            let mut attributes = pool_windows(settings, rank)?;
            let counts = settings.choice("count-include-pad") != Some("false");
            attributes.push(("count_include_pad", Attribute::Integer(i64::from(counts))));
            Some(attributes)
        },
        ..pool(layer, rank)
    }
}

const fn classes(layer: &'static str, operator: &'static str) -> OnnxOperator {
    OnnxOperator {
        inputs: X_T_WEIGHT,
        required: 2,
        outputs: LOSS,
        ranks: 2..=8,
        settings: &["reduction", "ignore-index", "t-kind", "axis"],
        attributes: |settings, _| {
            let is_axis_1 = settings.get("axis").is_none();
            let mut attributes = vec![("reduction", Attribute::Text(settings.choice("reduction").unwrap_or("sum")))];
            attributes
                .extend(settings.integer("ignore-index").map(|index| ("ignore_index", Attribute::Integer(index))));
            is_axis_1.then_some(attributes)
        },
        ..row(layer, operator)
    }
}

/// Batch normalisation in training; statistics and parameters that are absent have no effect on y.
const BATCHNORM: OnnxOperator = OnnxOperator {
    inputs: &[Name::X, GAMMA, BETA, RUNNING_MEAN, RUNNING_VAR],
    required: 5,
    ranks: 2..=8,
    settings: &["eps"],
    further: |_, at| by_channel(at, &[(GAMMA, 1.0), (BETA, 0.0), (RUNNING_MEAN, 0.0), (RUNNING_VAR, 1.0)]),
    ..row("batchnorm", "BatchNormalization")
};

pub(super) const OPERATORS: &[OnnxOperator] = &[
    OnnxOperator {
        inputs: X_W_B,
        required: 2,
        ranks: 2..=2,
        settings: &["w-layout"],
        attributes: |settings, _| {
            let is_transposed = settings.choice("w-layout") == Some("out-in");
            Some(vec![("transB", Attribute::Integer(i64::from(is_transposed)))])
        },
        ..row("affine", "Gemm")
    },
    OnnxOperator {
        settings: &["axis"],
        attributes: |settings, _| Some(vec![integer(settings, "axis", "axis", -1)]),
        ..row("softmax", "Softmax")
    },
    OnnxOperator {
        settings: &["axis", "log"],
        attributes: |settings, _| settings.flag("log").then(|| vec![integer(settings, "axis", "axis", -1)]),
        ..row("softmax", "LogSoftmax")
    },
    classes("softmax-xent", "SoftmaxCrossEntropyLoss"),
    classes("nll", "NegativeLogLikelihoodLoss"),
    row("relu", "Relu"),
    row("sigmoid", "Sigmoid"),
    row("tanh", "Tanh"),
    row("selu", "Selu"),
    row("mish", "Mish"),
    row("softplus", "Softplus"),
    row("softsign", "Softsign"),
    row("hard-swish", "HardSwish"),
    OnnxOperator {
        settings: &["slope"],
        attributes: |settings, _| Some(vec![number(settings, "slope", "alpha", 0.01)]),
        ..row("leaky-relu", "LeakyRelu")
    },
    OnnxOperator { settings: &["alpha"], attributes: with_alpha, ..row("elu", "Elu") },
    OnnxOperator { settings: &["alpha"], attributes: with_alpha, types: &[FloatType::F32], ..row("celu", "Celu") },
    OnnxOperator {
        settings: &["beta"],
        attributes: |settings, _| Some(vec![number(settings, "beta", "alpha", 1.0)]),
        ..row("silu", "Swish")
    },
    OnnxOperator {
        settings: &["slope", "offset"],
        attributes: |settings, _| {
            Some(vec![number(settings, "slope", "alpha", 1.0 / 6.0), number(settings, "offset", "beta", 0.5)])
        },
        ..row("hard-sigmoid", "HardSigmoid")
    },
    OnnxOperator {
        settings: &["approximate"],
        attributes: |settings, _| {
            let word = settings.choice("approximate").unwrap_or("none");
            (word != "sigmoid").then(|| vec![("approximate", Attribute::Text(word))])
        },
        ..row("gelu", "Gelu")
    },
    OnnxOperator {
        inputs: &[Name::X, MIN, MAX],
        required: 3,
        settings: &["min", "max"],
        further: |settings, _| {
            let number = |name: Name, default: f64| {
                let value = settings.number(name.as_str()).unwrap_or(default);
                (name, Elements::Numbers, ArrayD::from_elem(IxDyn(&[]), value))
            };
            Some(vec![number(MIN, -1.0), number(MAX, 1.0)])
        },
        ..row("hard-tanh", "Clip")
    },
    OnnxOperator { inputs: &[Name::X, Name::fixed("a")], required: 2, ranks: 2..=2, ..row("prelu", "PRelu") },
    two_inputs("add", "Add"),
    two_inputs("mul", "Mul"),
    two_inputs("matmul", "MatMul"),
    OnnxOperator {
        settings: &["axis", "eps"],
        attributes: |settings, _| Some(vec![integer(settings, "axis", "axis", -1), epsilon(settings)]),
        ..norm("layernorm", "LayerNormalization")
    },
    OnnxOperator {
        settings: &["axis", "eps"],
        attributes: |settings, _| Some(vec![integer(settings, "axis", "axis", -1), epsilon(settings)]),
        ..norm("rmsnorm", "RMSNormalization")
    },
    OnnxOperator {
        required: 3,
        further: |_, at| by_channel(at, &[(GAMMA, 1.0), (BETA, 0.0)]),
        ranks: 3..=8,
        settings: &["groups", "eps"],
        attributes: |settings, _| Some(vec![integer(settings, "groups", "num_groups", 1), epsilon(settings)]),
        ..norm("groupnorm", "GroupNormalization")
    },
    OnnxOperator {
        required: 3,
        further: |_, at| by_channel(at, &[(GAMMA, 1.0), (BETA, 0.0)]),
        ranks: 3..=8,
        settings: &["eps"],
        attributes: |settings, _| Some(vec![epsilon(settings)]),
        ..norm("instancenorm", "InstanceNormalization")
    },
    OnnxOperator {
        inputs: &[Name::X, GAMMA, BETA, MEAN, VAR],
        attributes: |settings, _| Some(vec![epsilon(settings)]),
        further: |_, at| by_channel(at, &[(GAMMA, 1.0), (BETA, 0.0)]),
        ..BATCHNORM
    },
    OnnxOperator {
        outputs: &[Name::Y, RUNNING_MEAN, RUNNING_VAR],
        settings: &["eps", "momentum", "running"],
        attributes: |settings, _| {
            // The variance of the batch is the biased one there.
            let momentum = settings.number("momentum").unwrap_or(0.1);
            (settings.choice("running") == Some("biased")).then(|| training(settings, 1.0 - momentum))
        },
        ..BATCHNORM
    },
    OnnxOperator {
        settings: &["eps", "momentum", "running"],
        // Running statistics that nnlayer does not update, or updates in another way, are kept: a momentum of 1.
        attributes: |settings, _| Some(training(settings, 1.0)),
        kept: &[RUNNING_MEAN, RUNNING_VAR],
        ..BATCHNORM
    },
    conv("conv1d", 3),
    conv("conv2d", 4),
    pool("maxpool1d", 3),
    pool("maxpool2d", 4),
    mean_pool("avgpool1d", 3),
    mean_pool("avgpool2d", 4),
    OnnxOperator {
        inputs: &[Name::W, Name::IDS],
        required: 2,
        settings: &["padding-id"],
        ..row("embedding", "Gather")
    },
    OnnxOperator {
        inputs: &[Q, K, V, Name::MASK],
        required: 3,
        ranks: 2..=4,
        settings: &["scale", "causal", "softcap", "heads", "kv-heads", "mask-true", "mask-kind", "masked-rows"],
        attributes: |settings, _| attention(settings),
        lifted: &[Q, K, V, Name::Y],
        rank: rank_with_heads,
        ..row("attention", "Attention")
    },
    OnnxOperator {
        inputs: &[Name::X, COS, SIN, Name::POSITIONS],
        required: 4,
        ranks: 2..=4,
        settings: &["pairs", "base", "dims", "heads"],
        attributes: |settings, _| {
            let is_interleaved = settings.choice("pairs") == Some("interleaved");
            let mut attributes = vec![
                ("interleaved", Attribute::Integer(i64::from(is_interleaved))),
                integer(settings, "dims", "rotary_embedding_dim", 0),
            ];
            attributes.extend(optional_integer(settings, "heads", "num_heads"));
            Some(attributes)
        },
        further: rotation_tables,
        types: &[FloatType::F32, FloatType::F16, FloatType::Bf16],
        lifted: &[Name::X, Name::Y],
        rank: rank_with_heads,
        ..row("rope", "RotaryEmbedding")
    },
    OnnxOperator {
        inputs: &[Name::X, SHAPE],
        required: 2,
        settings: &["shape"],
        further: |settings, _| {
            let lengths = settings.integers("shape").unwrap_or(&[-1]);
            let numbers = lengths.iter().map(|&length| count(length)).collect();
            Some(vec![(SHAPE, Elements::Integers, ArrayD::from_shape_vec(IxDyn(&[lengths.len()]), numbers).ok()?)])
        },
        ..row("reshape", "Reshape")
    },
    OnnxOperator {
        ranks: 1..=8,
        settings: &["axis"],
        attributes: |settings, _| Some(vec![integer(settings, "axis", "axis", 1)]),
        ..row("flatten", "Flatten")
    },
    OnnxOperator {
        settings: &["axes"],
        attributes: |settings, _| {
            let axes = settings.integers("axes").map(|axes| ("perm", Attribute::Integers(axes.to_vec())));
            Some(axes.into_iter().collect())
        },
        ..row("transpose", "Transpose")
    },
    OnnxOperator {
        inputs: &rearrange::INPUTS,
        settings: &["axis"],
        attributes: |settings, _| Some(vec![integer(settings, "axis", "axis", 0)]),
        ..row("concat", "Concat")
    },
];
