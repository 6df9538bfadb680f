//! Planted mistakes of the pointwise layers: another slope, by formulas written down here.

use super::{Mistake, dout, mistake, replace, x};
use nnlayer::numeric::FloatType;

/// Returns a mistake whose gradient is dout times this slope of x.
fn slope(
    layer: &'static str,
    options: &'static str,
    what: &'static str,
    kind: &'static str,
    slope: fn(f64) -> f64,
) -> Mistake {
    mistake(layer, options, what, kind, replace("dx", move |point, _| dout(point) * x(point).mapv(slope)))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

fn gelu(x: f64) -> f64 {
    normal_cdf(x) + x * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

fn gelu_by_tanh(x: f64) -> f64 {
    let root = (2.0 / std::f64::consts::PI).sqrt();
    let tanh = (root * (x + 0.044715 * x * x * x)).tanh();
    0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * root * (1.0 + 3.0 * 0.044715 * x * x)
}

fn silu(x: f64, beta: f64) -> f64 {
    let gate = sigmoid(beta * x);
    gate + beta * x * gate * (1.0 - gate)
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let other = "another setting";
    vec![
        slope("leaky-relu", "", "slope 0.2", other, |x| if x > 0.0 { 1.0 } else { 0.2 }),
        slope("leaky-relu", "slope=0.2", "slope 0.01", other, |x| if x > 0.0 { 1.0 } else { 0.01 }),
        slope("leaky-relu", "", "relu", other, |x| f64::from(x > 0.0)),
        slope("elu", "alpha=0.5", "y + 1 for y + alpha", "slope of y", |x| {
            if x > 0.0 { 1.0 } else { 0.5 * x.exp_m1() + 1.0 }
        }),
        slope("selu", "", "scale left out", "scale left out", |x| {
            if x > 0.0 { 1.0 } else { 1.673_263_242_354_377_2 * x.exp() }
        }),
        slope("celu", "alpha=2", "elu", "elu", |x| if x > 0.0 { 1.0 } else { 2.0 * x.exp() }),
        slope("gelu", "", "tanh for erf", other, gelu_by_tanh),
        slope("gelu", "", "sigmoid for erf", other, |x| silu(x, 1.702)),
        slope("gelu", "approximate=tanh", "erf for tanh", other, gelu),
        slope("gelu", "approximate=sigmoid", "tanh for sigmoid", other, gelu_by_tanh),
        slope("gelu", "", "Φ(x) alone", "density left out", normal_cdf),
        slope("silu", "", "σ(x) alone", "gate alone", sigmoid),
        slope("silu", "beta=1.702", "beta 1", other, |x| silu(x, 1.0)),
        slope("mish", "", "tanh(log(1 + eˣ)) alone", "gate alone", |x| x.exp().ln_1p().tanh()),
        slope("softplus", "beta=2", "σ(x) for σ(beta·x)", "", sigmoid),
        slope("softsign", "", "1/(1 + |x|)", "square left out", |x| 1.0 / (1.0 + x.abs())),
        slope("log-sigmoid", "", "σ(x) for σ(−x)", "sigmoid of x", sigmoid),
        slope("hard-sigmoid", "", "slope 0.2", other, |x| if x.abs() < 2.5 { 0.2 } else { 0.0 }),
        slope("hard-sigmoid", "slope=0.2", "slope 1/6", other, |x| if x.abs() < 3.0 { 1.0 / 6.0 } else { 0.0 }),
        slope("hard-swish", "", "the gate alone", "gate alone", |x| (x + 3.0).clamp(0.0, 6.0) / 6.0),
        slope("hard-tanh", "", "dout passes everywhere", "slope 1 everywhere", |_| 1.0),
        slope("gelu", "", "all in bf16", "lower precision inside", |x| FloatType::Bf16.round(gelu(x))),
    ]
}
