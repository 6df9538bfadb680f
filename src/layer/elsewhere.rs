//! Names of the layers in other libraries, and the options that give their defaults.
//!
//! Sources: the documentation of PyTorch 2.9 (`F` is `torch.nn.functional`), and the signatures of ONNX 1.23, JAX 0.10, Flax 0.12
//! (`nn` is `flax.linen`), optax 0.2 and Keras 3.15.

/// A layer of another library.
pub struct Elsewhere {
    /// The library.
    pub library: &'static str,
    /// The layer or function there.
    pub call: &'static str,
    /// The options that give its defaults here; none if they are the same.
    pub options: &'static str,
    /// A difference that no option expresses; empty if there is none.
    pub note: &'static str,
}

const fn torch(call: &'static str, options: &'static str) -> Elsewhere {
    Elsewhere { library: "PyTorch", call, options, note: "" }
}

const fn onnx(call: &'static str, options: &'static str) -> Elsewhere {
    Elsewhere { library: "ONNX", call, options, note: "" }
}

const fn jax(call: &'static str, options: &'static str) -> Elsewhere {
    Elsewhere { library: "JAX", call, options, note: "" }
}

const fn keras(call: &'static str, options: &'static str) -> Elsewhere {
    Elsewhere { library: "Keras", call, options, note: "" }
}

impl Elsewhere {
    const fn but(self, note: &'static str) -> Elsewhere {
        Elsewhere { note, ..self }
    }
}

const CHANNELS_LAST: &str = "channels are the last axis there";
const MEAN: &str = "--reduction mean";
const NONE: &str = "--reduction none";

/// Returns the layers of other libraries that a layer is.
pub fn elsewhere(layer: &str) -> &'static [Elsewhere] {
    LAYERS.iter().find(|(name, _)| *name == layer).map_or(&[], |(_, others)| others)
}

const LAYERS: &[(&str, &[Elsewhere])] = &[
    (
        "affine",
        &[
            torch("F.linear(x, W, b)", "").but("W is (out, in) there, which is --w-layout out-in here"),
            onnx("Gemm", ""),
            jax("nn.Dense", ""),
            keras("layers.Dense", ""),
        ],
    ),
    (
        "softmax",
        &[
            torch("F.softmax(x, -1)", ""),
            onnx("Softmax", ""),
            jax("jax.nn.softmax", ""),
            keras("activations.softmax", ""),
        ],
    ),
    (
        "xent",
        &[
            torch("F.nll_loss(y.log(), t)", "--eps 0 --reduction mean"),
            keras("losses.CategoricalCrossentropy", "--eps 0 --reduction mean")
                .but("y is kept between 1e-7 and 1 − 1e-7 there"),
        ],
    ),
    (
        "softmax-xent",
        &[
            torch("F.cross_entropy(x, t)", MEAN),
            onnx("SoftmaxCrossEntropyLoss", MEAN),
            jax("optax.softmax_cross_entropy", NONE).but("classes are the last axis there"),
            keras("losses.CategoricalCrossentropy(from_logits=True)", MEAN),
        ],
    ),
    ("relu", &[torch("F.relu(x)", ""), onnx("Relu", ""), jax("jax.nn.relu", ""), keras("activations.relu", "")]),
    (
        "sigmoid",
        &[torch("F.sigmoid(x)", ""), onnx("Sigmoid", ""), jax("jax.nn.sigmoid", ""), keras("activations.sigmoid", "")],
    ),
    ("tanh", &[torch("F.tanh(x)", ""), onnx("Tanh", ""), jax("jnp.tanh", ""), keras("activations.tanh", "")]),
    (
        "leaky-relu",
        &[
            torch("F.leaky_relu(x)", ""),
            onnx("LeakyRelu", ""),
            jax("jax.nn.leaky_relu", ""),
            keras("activations.leaky_relu", "--slope 0.2").but("layers.LeakyReLU has 0.3"),
        ],
    ),
    ("elu", &[torch("F.elu(x)", ""), onnx("Elu", ""), jax("jax.nn.elu", ""), keras("activations.elu", "")]),
    ("selu", &[torch("F.selu(x)", ""), onnx("Selu", ""), jax("jax.nn.selu", ""), keras("activations.selu", "")]),
    ("celu", &[torch("F.celu(x)", ""), onnx("Celu", ""), jax("jax.nn.celu", ""), keras("activations.celu", "")]),
    (
        "gelu",
        &[
            torch("F.gelu(x)", ""),
            onnx("Gelu", ""),
            jax("jax.nn.gelu", "--approximate tanh"),
            keras("activations.gelu", ""),
        ],
    ),
    ("silu", &[torch("F.silu(x)", ""), onnx("Swish", ""), jax("jax.nn.silu", ""), keras("activations.silu", "")]),
    ("mish", &[torch("F.mish(x)", ""), onnx("Mish", ""), jax("jax.nn.mish", ""), keras("activations.mish", "")]),
    (
        "softplus",
        &[
            torch("F.softplus(x)", "").but("y = x above 20 there"),
            onnx("Softplus", ""),
            jax("jax.nn.softplus", ""),
            keras("activations.softplus", ""),
        ],
    ),
    (
        "softsign",
        &[
            torch("F.softsign(x)", ""),
            onnx("Softsign", ""),
            jax("jax.nn.soft_sign", ""),
            keras("activations.softsign", ""),
        ],
    ),
    (
        "log-sigmoid",
        &[torch("F.logsigmoid(x)", ""), jax("jax.nn.log_sigmoid", ""), keras("activations.log_sigmoid", "")],
    ),
    (
        "hard-sigmoid",
        &[
            torch("F.hardsigmoid(x)", ""),
            onnx("HardSigmoid", "--slope 0.2"),
            jax("jax.nn.hard_sigmoid", ""),
            keras("activations.hard_sigmoid", "").but("the slope was 0.2 in Keras 2"),
        ],
    ),
    (
        "hard-swish",
        &[
            torch("F.hardswish(x)", ""),
            onnx("HardSwish", ""),
            jax("jax.nn.hard_swish", ""),
            keras("activations.hard_silu", ""),
        ],
    ),
    (
        "hard-tanh",
        &[
            torch("F.hardtanh(x)", ""),
            onnx("Clip", "").but("min and max are operands there"),
            jax("jax.nn.hard_tanh", ""),
            keras("activations.hard_tanh", ""),
        ],
    ),
    (
        "prelu",
        &[
            torch("F.prelu(x, a)", ""),
            onnx("PRelu", "").but("a broadcasts as in NumPy, from the last axis"),
            jax("nn.PReLU", "").but("a is one number there"),
            keras("layers.PReLU", "").but("a has the shape of a sample there"),
        ],
    ),
    ("add", &[torch("x1 + x2", ""), onnx("Add", ""), jax("x1 + x2", ""), keras("layers.Add", "")]),
    ("mul", &[torch("x1 * x2", ""), onnx("Mul", ""), jax("x1 * x2", ""), keras("layers.Multiply", "")]),
    ("glu", &[torch("F.glu(x)", ""), jax("jax.nn.glu", ""), keras("activations.glu", "")]),
    (
        "layernorm",
        &[
            torch("F.layer_norm(x, shape)", ""),
            onnx("LayerNormalization", ""),
            jax("nn.LayerNorm", "--eps 1e-6"),
            keras("layers.LayerNormalization", "--eps 1e-3"),
        ],
    ),
    (
        "rmsnorm",
        &[
            torch("F.rms_norm(x, shape)", "--eps 2.220446049250313e-16")
                .but("eps is the machine epsilon of x's type, 1.2e-7 in f32"),
            onnx("RMSNormalization", ""),
            jax("nn.RMSNorm", "--eps 1e-6"),
            keras("layers.RMSNormalization", "--eps 1e-6"),
        ],
    ),
    (
        "groupnorm",
        &[
            torch("F.group_norm(x, groups)", ""),
            onnx("GroupNormalization", ""),
            jax("nn.GroupNorm", "--eps 1e-6").but("32 groups; channels are the last axis there"),
            keras("layers.GroupNormalization", "--eps 1e-3").but("32 groups; channels are the last axis there"),
        ],
    ),
    (
        "instancenorm",
        &[
            torch("F.instance_norm(x)", ""),
            onnx("InstanceNormalization", ""),
            jax("nn.InstanceNorm", "--eps 1e-6").but(CHANNELS_LAST),
            keras("layers.GroupNormalization(groups=-1)", "--eps 1e-3").but(CHANNELS_LAST),
        ],
    ),
    (
        "batchnorm",
        &[
            torch("F.batch_norm(x, …, training=True)", ""),
            onnx("BatchNormalization(training_mode=1)", "")
                .but("momentum 0.9 there is --momentum 0.1 --running biased here"),
            jax("nn.BatchNorm", "")
                .but("momentum 0.99 there is --momentum 0.01 --running biased here; channels are the last axis"),
            keras("layers.BatchNormalization", "--eps 1e-3")
                .but("momentum 0.99 there is --momentum 0.01 --running biased here; channels are the last axis"),
        ],
    ),
    (
        "conv1d",
        &[
            torch("F.conv1d(x, w, b)", ""),
            onnx("Conv", ""),
            jax("nn.Conv", "--padding same-upper").but("channels are the last axis of x, and of w too"),
            keras("layers.Conv1D", "").but("channels are the last axis of x, and of w too"),
        ],
    ),
    (
        "conv2d",
        &[
            torch("F.conv2d(x, w, b)", ""),
            onnx("Conv", ""),
            jax("nn.Conv", "--padding same-upper").but("channels are the last axis of x, and of w too"),
            keras("layers.Conv2D", "").but("channels are the last axis of x, and of w too"),
        ],
    ),
    (
        "maxpool1d",
        &[
            torch("F.max_pool1d(x, k)", ""),
            onnx("MaxPool", "--stride 1"),
            jax("nn.max_pool", "--stride 1").but(CHANNELS_LAST),
            keras("layers.MaxPooling1D", "").but(CHANNELS_LAST),
        ],
    ),
    (
        "maxpool2d",
        &[
            torch("F.max_pool2d(x, k)", ""),
            onnx("MaxPool", "--stride 1"),
            jax("nn.max_pool", "--stride 1").but(CHANNELS_LAST),
            keras("layers.MaxPooling2D", "").but(CHANNELS_LAST),
        ],
    ),
    (
        "avgpool1d",
        &[
            torch("F.avg_pool1d(x, k)", ""),
            onnx("AveragePool", "--stride 1 --count-include-pad false"),
            jax("nn.avg_pool", "--stride 1").but(CHANNELS_LAST),
            keras("layers.AveragePooling1D", "--count-include-pad false").but(CHANNELS_LAST),
        ],
    ),
    (
        "avgpool2d",
        &[
            torch("F.avg_pool2d(x, k)", ""),
            onnx("AveragePool", "--stride 1 --count-include-pad false"),
            jax("nn.avg_pool", "--stride 1").but(CHANNELS_LAST),
            keras("layers.AveragePooling2D", "--count-include-pad false").but(CHANNELS_LAST),
        ],
    ),
    (
        "embedding",
        &[
            torch("F.embedding(ids, w)", ""),
            onnx("Gather(w, ids)", ""),
            jax("nn.Embed", ""),
            keras("layers.Embedding", ""),
        ],
    ),
    (
        "attention",
        &[
            torch("F.scaled_dot_product_attention(q, k, v)", "")
                .but("a boolean attn_mask of nn.MultiheadAttention is --mask-true ignore here"),
            onnx("Attention", ""),
            jax("jax.nn.dot_product_attention", "").but("heads are axis −2 there"),
            keras("layers.MultiHeadAttention", "").but("projects x with weights of its own"),
        ],
    ),
    (
        "rope",
        &[
            torch("torchtune RotaryPositionalEmbeddings", "--pairs interleaved").but("Hugging Face's Llama has halves"),
            onnx("RotaryEmbedding", "").but("with tables, --cos and --sin"),
            keras("keras_hub RotaryEmbedding", ""),
        ],
    ),
    (
        "dropout",
        &[
            torch("F.dropout(x)", ""),
            onnx("Dropout(training_mode=True)", ""),
            jax("nn.Dropout(rate)", "").but("p has no default there"),
            keras("layers.Dropout(rate)", "").but("p has no default there"),
        ],
    ),
    (
        "mse",
        &[
            torch("F.mse_loss(x, t)", MEAN),
            jax("optax.squared_error", NONE).but("optax.l2_loss is half of it"),
            keras("losses.MeanSquaredError", MEAN),
        ],
    ),
    ("l1", &[torch("F.l1_loss(x, t)", MEAN), keras("losses.MeanAbsoluteError", MEAN)]),
    ("huber", &[torch("F.huber_loss(x, t)", MEAN), jax("optax.huber_loss", NONE), keras("losses.Huber", MEAN)]),
    ("smooth-l1", &[torch("F.smooth_l1_loss(x, t)", MEAN)]),
    (
        "bce",
        &[
            torch("F.binary_cross_entropy(y, t)", MEAN),
            keras("losses.BinaryCrossentropy", MEAN).but("y is kept between 1e-7 and 1 − 1e-7 there"),
        ],
    ),
    (
        "bce-logits",
        &[
            torch("F.binary_cross_entropy_with_logits(x, t)", MEAN),
            jax("optax.sigmoid_binary_cross_entropy", NONE),
            keras("losses.BinaryCrossentropy(from_logits=True)", MEAN),
        ],
    ),
    ("nll", &[torch("F.nll_loss(x, t)", MEAN), onnx("NegativeLogLikelihoodLoss", MEAN)]),
    (
        "kl-div",
        &[
            torch("F.kl_div(x, t)", MEAN).but("the divergence of distributions is --reduction batchmean"),
            jax("optax.kl_divergence", NONE).but("summed over the last axis there"),
            keras("losses.KLDivergence", "--reduction batchmean").but("of probabilities, not of their logarithms"),
        ],
    ),
    (
        "matmul",
        &[torch("torch.matmul(x1, x2)", ""), onnx("MatMul", ""), jax("jnp.matmul", ""), keras("ops.matmul", "")],
    ),
    (
        "reshape",
        &[
            torch("torch.reshape(x, shape)", "").but("a 0 keeps no size there"),
            onnx("Reshape", ""),
            jax("jnp.reshape", "").but("a 0 keeps no size there"),
            keras("layers.Reshape", "").but("the shape of a sample"),
        ],
    ),
    (
        "flatten",
        &[torch("nn.Flatten()", "").but("torch.flatten has axis 0"), onnx("Flatten", ""), keras("layers.Flatten", "")],
    ),
    (
        "transpose",
        &[
            torch("x.permute(axes)", ""),
            onnx("Transpose", ""),
            jax("jnp.transpose", ""),
            keras("layers.Permute", "").but("axes of a sample, from 1"),
        ],
    ),
    (
        "concat",
        &[
            torch("torch.cat(xs)", ""),
            onnx("Concat", "").but("the axis has no default there"),
            jax("jnp.concatenate", ""),
            keras("layers.Concatenate", "--axis -1"),
        ],
    ),
];
