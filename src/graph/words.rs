//! The words of pictures, all in one place.

/// Explains the two labels of an edge.
pub(super) const BOTH_LABELS: &str = "above each line: forward value; below: gradient";
/// Explains the label above an edge.
pub(super) const FORWARD_LABEL: &str = "above each line: forward value";
/// Explains the label below an edge.
pub(super) const BACKWARD_LABEL: &str = "below each line: gradient";
/// Explains the two labels of an edge between layers.
pub(super) const BOTH_LAYER_LABELS: &str = "above each line: shape of the value; below: norm of its gradient";
/// Explains the label above an edge between layers.
pub(super) const SHAPE_LABEL: &str = "above each line: shape of the value";
/// Explains the label below an edge between layers.
pub(super) const NORM_LABEL: &str = "below each line: norm of its gradient";
/// Stands below an edge whose value has no gradient.
pub(super) const NO_GRADIENT: &str = "no gradient";
/// Explains a branch.
pub(super) const BRANCH: &str = "used several times; the gradients of all uses are summed";
/// Explains the symbol of the operand w.
pub(super) const WEIGHT: &str = "W, dW: the operand w and its gradient dw";
/// Explains a branch, whose gradient is written as a sum.
pub(super) const BRANCH_NOTE: &str = "•: used several times; the gradients of all uses are summed (= a + b)";
/// Explains the exponent of a softmax.
pub(super) const SHIFTED_EXPONENT: &str =
    "e^(x−max): subtracting the largest x prevents overflow and changes no quotient";
/// Explains the limits of a number.
pub(super) const CLIP: &str =
    "clip(x,a,b): x, but at least a and at most b; at the limits and beyond, the gradient is 0";
/// Explains the hints.
pub(super) const HINTS: &str = "at each gate: what it does with the gradient that comes back; x goes in, y comes out";
/// Explains the letters at the ends of lines.
pub(super) const CONTINUATION: &str = "a letter at the end of a line: the line continues where the letter stands again";
/// Explains the connectors of bands.
pub(super) const CONNECTORS: &str = "a letter in a circle: the line continues at the same letter";
/// Describes a picture without a title.
pub(super) const PICTURE: &str = "computational graph";
/// Explains the crossings of lines in a terminal.
pub(super) const CROSSING: &str = "─│─ lines cross; ├ ┼ ┤ lines join";
/// Replaces a value that is too large to be written out.
pub(super) const LARGE: &str = "a large matrix";
/// Name of a value without a name.
pub(super) const VALUE: &str = "value";
/// Name of a gradient without a name.
pub(super) const GRADIENT: &str = "gradient";

/// Treatments of the gradient that comes back.
pub(super) mod hints {
    pub(in crate::graph) const ADD: &str = "passes on";
    pub(in crate::graph) const SUBTRACT: &str = "passes on, ±";
    pub(in crate::graph) const MULTIPLY: &str = "swaps";
    pub(in crate::graph) const DIVIDE: &str = "×1/b, ×(−a/b²)";
    pub(in crate::graph) const MAX: &str = "routes";
    pub(in crate::graph) const DOT: &str = "swaps, ᵀ";
    pub(in crate::graph) const SOFTMAX: &str = "y∘(d − Σ d∘y)";
    pub(in crate::graph) const CONCAT: &str = "splits";
    pub(in crate::graph) const BRANCH: &str = "adds up";
    pub(in crate::graph) const REPEAT: &str = "adds rows up";
    pub(in crate::graph) const RELU: &str = "×1 or ×0";
    pub(in crate::graph) const ABS: &str = "×1 or ×(−1)";
}

/// Explains the order of the operands of some operations.
pub(super) fn operand_order(operations: &[&str]) -> String {
    format!("{}: the upper line is the first operand", operations.join(", "))
}

/// Explains the names of the values between layers: x₁ is the output of affine1.
pub(super) fn layer_outputs(symbols: &[String], layers: &[&str]) -> String {
    format!(
        "{}: the {} of {}",
        symbols.join(", "),
        if symbols.len() == 1 { "output" } else { "outputs" },
        layers.join(", ")
    )
}

/// Returns the line of a tooltip with the local derivative.
pub(super) fn local_derivative(operation: &str, derivative: &str) -> String {
    format!("local derivative of {operation} = {derivative}")
}
