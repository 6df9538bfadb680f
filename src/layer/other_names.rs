//! The names that other tools use for layers and options.

/// Layers: the other name, and what to write here.
const LAYERS: &[(&str, &str)] = &[
    ("linear", "affine"),
    ("dense", "affine"),
    ("fc", "affine"),
    ("fully-connected", "affine"),
    ("addmm", "affine"),
    ("gemm", "affine"),
    ("cross-entropy", "softmax-xent"),
    ("crossentropy", "softmax-xent"),
    ("cross-entropy-loss", "softmax-xent"),
    ("crossentropyloss", "softmax-xent"),
    ("ce", "softmax-xent"),
    ("softmax-cross-entropy", "softmax-xent"),
    ("softmax-with-loss", "softmax-xent"),
    ("log-softmax", "softmax --log"),
    ("logsoftmax", "softmax --log"),
    ("logistic", "sigmoid"),
    ("mse-loss", "mse"),
    ("mseloss", "mse"),
    ("mean-squared-error", "mse"),
    ("l1-loss", "l1"),
    ("l1loss", "l1"),
    ("mae", "l1"),
    ("mean-absolute-error", "l1"),
    ("huber-loss", "huber"),
    ("huberloss", "huber"),
    ("smooth-l1-loss", "smooth-l1"),
    ("smoothl1loss", "smooth-l1"),
    ("bce-loss", "bce"),
    ("bceloss", "bce"),
    ("binary-cross-entropy", "bce"),
    ("bce-with-logits", "bce-logits"),
    ("bcewithlogitsloss", "bce-logits"),
    ("binary-cross-entropy-with-logits", "bce-logits"),
    ("kl", "kl-div"),
    ("kldiv", "kl-div"),
    ("kl-div-loss", "kl-div"),
    ("kldivloss", "kl-div"),
    ("layer-norm", "layernorm"),
    ("layer-normalization", "layernorm"),
    ("layernormalization", "layernorm"),
    ("rms-norm", "rmsnorm"),
    ("rmsnormalization", "rmsnorm"),
    ("group-norm", "groupnorm"),
    ("groupnormalization", "groupnorm"),
    ("instance-norm", "instancenorm"),
    ("instancenormalization", "instancenorm"),
    ("batch-norm", "batchnorm"),
    ("batch-normalization", "batchnorm"),
    ("batchnormalization", "batchnorm"),
    ("batchnorm1d", "batchnorm"),
    ("batchnorm2d", "batchnorm"),
    ("bn", "batchnorm"),
    ("embed", "embedding"),
    ("gather", "embedding"),
    ("lookup", "embedding"),
    ("rotary", "rope"),
    ("rotary-embedding", "rope"),
    ("rotaryembedding", "rope"),
    ("allclose", "compare"),
    ("diff", "compare"),
];

/// Options: the other name, and the names here of which a command has one at most.
const OPTIONS: &[(&str, &[&str])] = &[
    ("dim", &["axis"]),
    ("bias", &["b", "beta"]),
    ("weights", &["w", "weight", "gamma"]),
    ("weight", &["w", "gamma"]),
    ("scale", &["gamma"]),
    ("num-groups", &["groups"]),
    ("kernel", &["w"]),
    ("class-weight", &["weight"]),
    ("class-weights", &["weight"]),
    ("input", &["x", "y", "ids"]),
    ("inputs", &["x", "y"]),
    ("logits", &["x"]),
    ("scores", &["x"]),
    ("probs", &["y"]),
    ("probabilities", &["y"]),
    ("target", &["t"]),
    ("targets", &["t"]),
    ("label", &["t"]),
    ("labels", &["t"]),
    ("y-true", &["t"]),
    ("grad-output", &["dout"]),
    ("grad", &["dout"]),
    ("upstream", &["dout"]),
    ("dy", &["dout"]),
    ("dtype", &["precision"]),
    ("output", &["out"]),
    ("indices", &["ids"]),
    ("input-ids", &["ids"]),
    ("padding-idx", &["padding-id"]),
    ("rate", &["p"]),
    ("ratio", &["p"]),
    ("position-ids", &["positions"]),
    ("theta", &["base"]),
    ("cos-cache", &["cos"]),
    ("sin-cache", &["sin"]),
    ("num-heads", &["heads"]),
    ("rotary-dim", &["dims"]),
    ("rotary-embedding-dim", &["dims"]),
    ("epsilon", &["eps"]),
    ("learning-rate", &["lr"]),
    ("batch-size", &["batch"]),
    ("tol", &["rtol"]),
    ("forward-only", &["forward"]),
];

/// Returns what to write here for the name that another tool has for a layer or command.
pub fn layer_elsewhere(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('_', "-");
    LAYERS.iter().find(|(other, _)| *other == name).map(|(_, here)| *here)
}

/// Returns the option of a command for the name that another tool has for it. Options here are in lower case, with hyphens.
pub fn option_elsewhere(name: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    let name = name.to_lowercase().replace('_', "-");
    if has(&name) {
        return Some(name);
    }
    let (_, here) = OPTIONS.iter().find(|(other, _)| *other == name)?;
    here.iter().find(|option| has(option)).map(|option| (*option).to_owned())
}
