//! The operators of ONNX that compute layers: the order of their inputs, and their attributes.
//!
//! Source: the operators of ONNX 1.20 (<https://onnx.ai/onnx/operators>).

use super::settings::{Settings, Value};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use std::ops::RangeInclusive;

/// An operator of ONNX that computes a layer, with some settings and ranks.
pub struct OnnxOperator {
    layer: &'static str,
    /// Name of the operator.
    pub operator: &'static str,
    /// The operands, in the order of the operator's inputs.
    pub inputs: &'static [Name],
    /// Number of the inputs that the operator requires.
    required: usize,
    /// The results that the operator has, in its order.
    pub outputs: &'static [Name],
    /// Ranks of the first operand.
    ranks: RangeInclusive<usize>,
    /// The settings that attributes express.
    settings: &'static [&'static str],
    /// Returns the attributes for settings and the rank of the first operand; `None` if there are none for these settings.
    attributes: fn(&Settings, usize) -> Option<Attributes>,
}

/// Attributes of a node by name.
pub type Attributes = Vec<(&'static str, Attribute)>;

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// An integer.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A list of integers.
    Integers(Vec<i64>),
    /// A string.
    Text(&'static str),
}

/// Returns the operator that computes a layer with these settings and operands, and its attributes.
pub fn onnx_operator(
    layer: &str,
    settings: &Settings,
    operands: &Tensors<f64>,
) -> Option<(&'static OnnxOperator, Attributes)> {
    let rows = OPERATORS.iter().filter(|row| row.layer == layer);
    rows.filter_map(|row| {
        let rank = operands.iter().next()?.1.ndim();
        let has_inputs = row.inputs.iter().take(row.required).all(|name| operands.get(name).is_some())
            && operands.names().all(|name| row.inputs.contains(name));
        let has_settings = settings.iter().all(|(name, _)| row.settings.contains(&name));
        // Targets are class indices there, of a rank less than the input.
        let has_targets = operands.get(&Name::T).is_none_or(|t| t.ndim() + 1 == rank);
        let fits = has_inputs && has_settings && has_targets && row.ranks.contains(&rank);
        Some((row, (row.attributes)(settings, rank).filter(|_| fits)?))
    })
    .next()
}

const GAMMA: Name = Name::fixed("gamma");
const BETA: Name = Name::fixed("beta");

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

const OPERATORS: &[OnnxOperator] = &[
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
    OnnxOperator { settings: &["alpha"], attributes: with_alpha, ..row("celu", "Celu") },
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
        ranks: 3..=8,
        settings: &["groups", "eps"],
        attributes: |settings, _| Some(vec![integer(settings, "groups", "num_groups", 1), epsilon(settings)]),
        ..norm("groupnorm", "GroupNormalization")
    },
    OnnxOperator {
        required: 3,
        ranks: 3..=8,
        settings: &["eps"],
        attributes: |settings, _| Some(vec![epsilon(settings)]),
        ..norm("instancenorm", "InstanceNormalization")
    },
    OnnxOperator {
        inputs: &[Name::X, GAMMA, BETA, Name::fixed("mean"), Name::fixed("var")],
        required: 5,
        ranks: 2..=8,
        settings: &["eps"],
        attributes: |settings, _| Some(vec![epsilon(settings)]),
        ..row("batchnorm", "BatchNormalization")
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
        inputs: &[
            Name::X1,
            Name::X2,
            Name::fixed("x3"),
            Name::fixed("x4"),
            Name::fixed("x5"),
            Name::fixed("x6"),
            Name::fixed("x7"),
            Name::fixed("x8"),
        ],
        settings: &["axis"],
        attributes: |settings, _| Some(vec![integer(settings, "axis", "axis", 0)]),
        ..row("concat", "Concat")
    },
];

fn integer(settings: &Settings, setting: &str, attribute: &'static str, default: i64) -> (&'static str, Attribute) {
    (attribute, Attribute::Integer(settings.integer(setting).unwrap_or(default)))
}

fn number(settings: &Settings, setting: &str, attribute: &'static str, default: f64) -> (&'static str, Attribute) {
    (attribute, Attribute::Number(settings.number(setting).unwrap_or(default)))
}

fn with_alpha(settings: &Settings, _: usize) -> Option<Attributes> {
    Some(vec![number(settings, "alpha", "alpha", 1.0)])
}

fn epsilon(settings: &Settings) -> (&'static str, Attribute) {
    number(settings, "eps", "epsilon", 1e-5)
}

/// Returns a list with a number for each axis that windows slide along.
fn per_axis(settings: &Settings, setting: &str, rank: usize, default: &[i64]) -> Vec<i64> {
    let values = settings.integers(setting).unwrap_or(default);
    if values.len() == 1 { vec![values[0]; rank.saturating_sub(2)] } else { values.to_vec() }
}

/// Returns strides, dilations and padding.
fn windows(settings: &Settings, rank: usize) -> Option<Attributes> {
    let mut attributes = vec![
        ("strides", Attribute::Integers(per_axis(settings, "stride", rank, &[1]))),
        ("dilations", Attribute::Integers(per_axis(settings, "dilation", rank, &[1]))),
    ];
    match settings.get("padding") {
        None => {}
        Some(Value::Choice("same-lower")) => attributes.push(("auto_pad", Attribute::Text("SAME_LOWER"))),
        Some(Value::Choice(_)) => attributes.push(("auto_pad", Attribute::Text("SAME_UPPER"))),
        Some(Value::IntegerRows(rows)) => attributes.push(("pads", Attribute::Integers(pads(rows, rank)?))),
        Some(_) => return None,
    }
    Some(attributes)
}

/// Returns the padding before each axis, then that behind each.
fn pads(rows: &[Vec<i64>], rank: usize) -> Option<Vec<i64>> {
    let axes = rank.saturating_sub(2);
    match rows {
        [row] if row.len() == 1 => Some(vec![row[0]; 2 * axes]),
        rows if rows.len() == axes && rows.iter().all(|row| row.len() == 2) => {
            Some([0, 1].into_iter().flat_map(|side| rows.iter().map(move |row| row[side])).collect())
        }
        _ => None,
    }
}

fn pool_windows(settings: &Settings, rank: usize) -> Option<Attributes> {
    let kernel = per_axis(settings, "kernel", rank, &[2]);
    let mut attributes = windows(settings, rank)?;
    // The stride is that of the kernel by default.
    attributes[0].1 = Attribute::Integers(per_axis(settings, "stride", rank, &kernel));
    attributes.push(("kernel_shape", Attribute::Integers(kernel)));
    attributes.push(("ceil_mode", Attribute::Integer(i64::from(settings.flag("ceil-mode")))));
    // Padding by name fixes the number of windows.
    let is_named = matches!(settings.get("padding"), Some(Value::Choice(_)));
    (!is_named || !settings.flag("ceil-mode")).then_some(attributes)
}
