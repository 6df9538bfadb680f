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
    ("allclose", "compare"),
    ("diff", "compare"),
];

/// Options: the other name, and the names here of which a command has one at most.
const OPTIONS: &[(&str, &[&str])] = &[
    ("dim", &["axis"]),
    ("bias", &["b"]),
    ("weights", &["w", "weight"]),
    ("weight", &["w"]),
    ("kernel", &["w"]),
    ("class-weight", &["weight"]),
    ("class-weights", &["weight"]),
    ("input", &["x", "y"]),
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
