//! Pointwise layers: y = f(x) and dx = dout∘f′(x), entry by entry.
//!
//! Each is a row of one table (`rows`): its names and formulas, its settings, and a [`Function`], which has f and its slope f′.
//!
//! - Forward: y = f(x).
//! - Backward: dx = dout∘f′(x); at a kink the slope is PyTorch's, as the row says.
//! - Shapes: x of any shape, y and dx as x.
//! - Refuses: settings out of range; NaN gives NaN.
//! - Accuracy: y within 1.2 ulp, dx within 1.5 ulp, computed as sums of two doubles (`ops::curves` has the fast kernels).
//! - Source: the paper that each row names; names of settings and defaults as in PyTorch.
//!
//! ```
//! use ndarray::array;
//! use nnlayer::{core::name::Name, core::tensors::Tensors, layer};
//!
//! let gelu = (layer::find("gelu").unwrap().build)(&layer::Settings::default())?;
//! let at = Tensors::new().with(Name::X, array![0.0, 1.0].into_dyn());
//! let outcome = layer::compute(gelu.as_ref(), &at, None, layer::Precision::F64);
//! assert_eq!(outcome.results.known(&Name::Y), &array![0.0, 0.8413447460685429].into_dyn());
//! # Ok::<(), nnlayer::core::error::Error>(())
//! ```

pub(super) mod rows;

use super::arrays::map_formula;
use super::gradients::{Forward, Gradients, Run};
use super::interface::{Admit, Layer};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::{DoubleDouble, Scalar};
use crate::ops::curves::{Curve, CurveProduct, GELU_CUBE};
use crate::ops::{ArrayOps, Formula};
use ndarray::ArrayD;

/// A function of one number, with its settings.
#[derive(Clone, Copy, Debug)]
enum Function {
    /// x, or slope·x where x ≤ 0.
    LeakyRelu { slope: f64 },
    /// x, or alpha·(eˣ − 1) where x ≤ 0.
    Elu { alpha: f64 },
    /// scale·x, or scale·alpha·(eˣ − 1) where x ≤ 0, with the constants of the paper.
    Selu,
    /// x, or alpha·(e^(x/alpha) − 1) where x ≤ 0.
    Celu { alpha: f64 },
    /// x·Φ(x), or an approximation of it.
    Gelu(Approximation),
    /// x·σ(beta·x).
    Silu { beta: f64 },
    /// x·tanh(log(1 + eˣ)).
    Mish,
    /// log(1 + e^(beta·x))/beta.
    Softplus { beta: f64 },
    /// x/(1 + |x|).
    Softsign,
    /// log σ(x).
    LogSigmoid,
    /// slope·x + offset, limited to 0 and 1; the slope is 1/6 if there is none.
    HardSigmoid { slope: Option<f64>, offset: f64 },
    /// x·(x + 3)/6, or 0 where x ≤ −3, or x where x ≥ 3.
    HardSwish,
    /// x, limited to min and max.
    HardTanh { min: f64, max: f64 },
}

/// The formula of gelu.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Approximation {
    /// x·Φ(x).
    None,
    /// x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
    Tanh,
    /// x·σ(1.702·x).
    Sigmoid,
}

/// Constants of selu as sums of two doubles: Klambauer et al. 2017, with the digits of PyTorch's documentation,
/// 1.6732632423543772848170429916717 and 1.0507009873554804934193349852946.
const SELU_ALPHA: [f64; 2] = [1.6732632423543772, 1.065_722_254_771_753_1e-16];
const SELU_SCALE: [f64; 2] = [1.0507009873554805, 3.987_484_766_715_414_4e-17];
/// Slope of the logistic approximation of gelu.
const GELU_SIGMOID: f64 = 1.702;

impl Function {
    /// Returns f(x).
    fn value<S: Scalar>(self, x: S) -> S {
        let (zero, one, number) = (S::zero(), S::one(), S::from_f64);
        match self {
            Function::LeakyRelu { slope } if x <= zero => number(slope) * x,
            Function::Elu { alpha } if x <= zero => number(alpha) * x.exp_m1(),
            Function::Selu if x <= zero => constant::<S>(SELU_SCALE) * constant(SELU_ALPHA) * x.exp_m1(),
            Function::Celu { alpha } if x <= zero => number(alpha) * (x / number(alpha)).exp_m1(),
            Function::LeakyRelu { .. } | Function::Elu { .. } | Function::Celu { .. } => x,
            Function::Selu => constant::<S>(SELU_SCALE) * x,
            Function::Gelu(Approximation::None) => x * normal_cdf(x),
            Function::Gelu(Approximation::Tanh) => {
                let u = gelu_argument(x);
                S::stable_or_textbook(|| x * sigmoid(u + u), || number(0.5) * x * (one + u.tanh()))
            }
            Function::Gelu(Approximation::Sigmoid) => x * sigmoid(number(GELU_SIGMOID) * x),
            Function::Silu { beta } => x * sigmoid(scaled(beta, x)),
            Function::Mish => S::stable_or_textbook(|| x * mish_gate(x).0, || x * (one + x.exp()).ln().tanh()),
            Function::Softplus { beta } => {
                let u = scaled(beta, x);
                let log = S::stable_or_textbook(|| softplus(u), || (one + u.exp()).ln());
                if beta == 1.0 { log } else { log / number(beta) }
            }
            Function::Softsign => x / (one + x.abs()),
            Function::LogSigmoid => S::stable_or_textbook(|| -softplus(-x), || (one / (one + (-x).exp())).ln()),
            Function::HardSigmoid { slope, offset } => {
                let product = slope.map_or_else(|| x / number(6.0), |slope| number(slope) * x);
                (product + number(offset)).clip(zero, one)
            }
            Function::HardSwish => {
                let stable = || match self.limit(x) {
                    Limit::Below => zero,
                    Limit::Above => x,
                    Limit::Inside(x) => x * (x + number(3.0)) / number(6.0),
                };
                S::stable_or_textbook(stable, || x * (x + number(3.0)).clip(zero, number(6.0)) / number(6.0))
            }
            Function::HardTanh { min, max } => x.clip(number(min), number(max)),
        }
    }

    /// Returns f′(x).
    fn slope<S: Scalar>(self, x: S) -> S {
        let (zero, one, number) = (S::zero(), S::one(), S::from_f64);
        match self {
            Function::LeakyRelu { slope } if x <= zero => number(slope),
            Function::Elu { alpha } if x <= zero => number(alpha) * x.exp(),
            Function::Selu if x <= zero => constant::<S>(SELU_SCALE) * constant(SELU_ALPHA) * x.exp(),
            Function::Celu { alpha } if x <= zero => (x / number(alpha)).exp(),
            Function::LeakyRelu { .. } | Function::Elu { .. } | Function::Celu { .. } => one_unless_nan(x),
            Function::Selu => constant::<S>(SELU_SCALE) * one_unless_nan(x),
            Function::Gelu(Approximation::None) => normal_cdf(x) + x * x.normal_density().named("φ", "e^(−x²/2)/√(2π)"),
            Function::Gelu(Approximation::Tanh) => {
                let (u, half) = (gelu_argument(x), number(0.5));
                let inner = gelu_scale::<S>() * (one + number(3.0) * number(GELU_CUBE) * x * x);
                S::stable_or_textbook(
                    || sigmoid(u + u) + x * sigmoid_slope(u + u) * (inner + inner),
                    || half * (one + u.tanh()) + half * x * (one - u.tanh() * u.tanh()) * inner,
                )
            }
            Function::Gelu(Approximation::Sigmoid) => gated_slope(GELU_SIGMOID, x),
            Function::Silu { beta } => gated_slope(beta, x),
            Function::Mish => {
                let stable = || {
                    let (gate, slope) = mish_gate(x);
                    gate + x * slope
                };
                let gate = || (one + x.exp()).ln().tanh();
                S::stable_or_textbook(stable, || gate() + x * sigmoid(x) * (one - gate() * gate()))
            }
            Function::Softplus { beta } => sigmoid(scaled(beta, x)),
            Function::Softsign => {
                let inverse = one / (one + x.abs());
                inverse * inverse
            }
            Function::LogSigmoid => sigmoid(-x),
            Function::HardSigmoid { slope, .. } => match self.limit(x) {
                Limit::Inside(value) if value.is_nan() => value,
                Limit::Inside(_) => slope.map_or_else(|| one / number(6.0), number),
                Limit::Below | Limit::Above => zero,
            },
            Function::HardSwish => match self.limit(x) {
                Limit::Below => zero,
                Limit::Above => one,
                Limit::Inside(x) => (x + x + number(3.0)) / number(6.0),
            },
            Function::HardTanh { .. } => match self.limit(x) {
                Limit::Inside(x) => one_unless_nan(x),
                Limit::Below | Limit::Above => zero,
            },
        }
    }

    /// Returns the curve of fast kernels that is this function. Extreme settings have none: products could overflow.
    fn activation(self) -> Option<Curve> {
        let is_usual = |setting: f64| (1e-9..1e9).contains(&setting.abs());
        let elu = |alpha| Curve::Elu { scale: [1.0, 0.0], scaled_alpha: [alpha, 0.0] };
        match self {
            Function::Elu { alpha } if is_usual(alpha) => Some(elu(alpha)),
            Function::Celu { alpha: 1.0 } => Some(elu(1.0)),
            Function::Selu => {
                let product = constant::<DoubleDouble>(SELU_SCALE) * constant(SELU_ALPHA);
                let (high, low) = product.high_low();
                Some(Curve::Elu { scale: SELU_SCALE, scaled_alpha: [high, low] })
            }
            Function::Gelu(Approximation::None) => Some(Curve::Gelu),
            Function::Gelu(Approximation::Tanh) => Some(Curve::GeluTanh),
            Function::Gelu(Approximation::Sigmoid) => Some(Curve::Silu { beta: GELU_SIGMOID }),
            Function::Silu { beta } if is_usual(beta) => Some(Curve::Silu { beta }),
            Function::Mish => Some(Curve::Mish),
            Function::Softplus { beta: 1.0 } => Some(Curve::Softplus),
            Function::LogSigmoid => Some(Curve::LogSigmoid),
            _ => None,
        }
    }

    /// Returns where a function with two kinks is at x: at a kink or beyond it, or between them with the value there.
    fn limit<S: Scalar>(self, x: S) -> Limit<S> {
        let number = S::from_f64;
        let (value, least, most) = match self {
            Function::HardSigmoid { slope, offset } => {
                let product = slope.map_or_else(|| x / number(6.0), |slope| number(slope) * x);
                (product + number(offset), S::zero(), S::one())
            }
            Function::HardTanh { min, max } => (x, number(min), number(max)),
            _ => (x, number(-3.0), number(3.0)),
        };
        if value <= least {
            Limit::Below
        } else if value >= most {
            Limit::Above
        } else {
            Limit::Inside(value)
        }
    }
}

/// A place between two kinks or beyond one.
enum Limit<S> {
    Below,
    Above,
    Inside(S),
}

/// Returns high + low.
fn constant<S: Scalar>([high, low]: [f64; 2]) -> S {
    S::from_f64(high) + S::from_f64(low)
}

/// Returns beta·x.
fn scaled<S: Scalar>(beta: f64, x: S) -> S {
    if beta == 1.0 { x } else { S::from_f64(beta) * x }
}

/// Returns 1, or NaN for NaN.
fn one_unless_nan<S: Scalar>(x: S) -> S {
    if x.is_nan() { x } else { S::one() }
}

/// Returns e^−|x|, which cannot overflow.
pub(super) fn power<S: Scalar>(x: S) -> S {
    (-x.abs()).exp()
}

/// Returns σ(x) = 1/(1 + e⁻ˣ).
pub(super) fn sigmoid<S: Scalar>(x: S) -> S {
    let stable = || {
        let power = power(x);
        if x < S::zero() { power / (S::one() + power) } else { S::one() / (S::one() + power) }
    };
    // As 1 − σ(−x) and (1 + tanh(x/2))/2, which round a number near 1.
    let rounded_near_one = || S::stable_or_textbook(stable, || S::one() - (S::one() - stable()));
    S::stable_or_textbook(rounded_near_one, || S::one() / (S::one() + (-x).exp()))
}

/// Returns σ′(x) = σ(x)·(1 − σ(x)).
pub(super) fn sigmoid_slope<S: Scalar>(x: S) -> S {
    let stable = || {
        let power = power(x);
        let sum = S::one() + power;
        power / (sum * sum)
    };
    S::stable_or_textbook(stable, || sigmoid(x) * (S::one() - sigmoid(x)))
}

/// Returns the slope of x·σ(beta·x): σ(u) + u·σ′(u) with u = beta·x.
fn gated_slope<S: Scalar>(beta: f64, x: S) -> S {
    let u = scaled(beta, x);
    sigmoid(u) + u * sigmoid_slope(u)
}

/// Returns log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|).
pub(super) fn softplus<S: Scalar>(x: S) -> S {
    let log = power(x).ln_1p();
    if x > S::zero() { x + log } else { log }
}

/// Returns tanh(log(1 + eˣ)) = n/(n + 2) with n = e²ˣ + 2eˣ, and its derivative 4·eˣ·(eˣ + 1)/(n + 2)², in powers of e^−|x|.
fn mish_gate<S: Scalar>(x: S) -> (S, S) {
    let (one, two, q) = (S::one(), S::from_f64(2.0), power(x));
    let (numerator, denominator, slope) = if x < S::zero() {
        let n = q * (q + two);
        (n, n + two, q * (q + one))
    } else {
        let n = one + two * q;
        (n, n + two * q * q, q * q * (one + q))
    };
    (numerator / denominator, S::from_f64(4.0) * slope / (denominator * denominator))
}

/// Returns Φ(x), the standard normal distribution.
fn normal_cdf<S: Scalar>(x: S) -> S {
    x.normal_cdf().named("Φ", "(1 + erf(x/√2))/2")
}

/// Returns √(2/π).
fn gelu_scale<S: Scalar>() -> S {
    S::from_f64(2.0) * S::zero().normal_density()
}

/// Returns √(2/π)·(x + 0.044715·x³).
fn gelu_argument<S: Scalar>(x: S) -> S {
    gelu_scale::<S>() * (x + S::from_f64(GELU_CUBE) * x * x * x)
}

/// Returns x·σ(x) and its slope.
pub(super) fn silu<S: Scalar>(x: S) -> (S, S) {
    let silu = Function::Silu { beta: 1.0 };
    (silu.value(x), silu.slope(x))
}

/// Returns x·Φ(x) and its slope.
pub(super) fn gelu<S: Scalar>(x: S) -> (S, S) {
    let gelu = Function::Gelu(Approximation::None);
    (gelu.value(x), gelu.slope(x))
}

/// A pointwise layer.
struct Pointwise {
    function: Function,
    /// The Jacobian's formula, `diag(…)`.
    jacobian: &'static str,
}

/// f, as a formula of x.
struct Value(Function);

impl Formula<1> for Value {
    fn compute<S: Scalar>(&self, [x]: [S; 1]) -> S {
        self.0.value(x)
    }

    fn curve_product(&self) -> Option<CurveProduct> {
        Some(CurveProduct { activation: self.0.activation()?, is_slope: false, argument: 0 })
    }
}

/// dout·f′, as a formula of x and dout.
struct Gradient(Function);

impl Formula<2> for Gradient {
    fn compute<S: Scalar>(&self, [x, dout]: [S; 2]) -> S {
        dout * self.0.slope(x)
    }

    fn curve_product(&self) -> Option<CurveProduct> {
        Some(CurveProduct { activation: self.0.activation()?, is_slope: true, argument: 0 })
    }
}

impl Admit for Pointwise {
    fn independent_rows(&self, rank: usize) -> bool {
        rank > 0
    }

    fn jacobians(&self, _: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        vec![(Name::DX, self.jacobian)]
    }
}

impl<S: ArrayOps> Layer<S> for Pointwise {
    fn forward(&self, at: &Tensors<S>) -> Forward<S> {
        let y = map_formula([at.known(&Name::X)], &Value(self.function));
        Forward { results: Tensors::new().with(Name::Y, y), saved: Vec::new() }
    }

    fn backward<'a>(&'a self, at: &'a Tensors<S>, _: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S> {
        Gradients::one(Name::DX, move || map_formula([at.known(&Name::X), dout], &Gradient(self.function)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};

    const FUNCTIONS: [Function; 13] = [
        Function::Elu { alpha: 1.0 },
        Function::Elu { alpha: -0.3 },
        Function::Selu,
        Function::Celu { alpha: 1.0 },
        Function::Gelu(Approximation::None),
        Function::Gelu(Approximation::Tanh),
        Function::Gelu(Approximation::Sigmoid),
        Function::Silu { beta: 1.0 },
        Function::Silu { beta: -1e-3 },
        Function::Silu { beta: 3.1 },
        Function::Mish,
        Function::Softplus { beta: 1.0 },
        Function::LogSigmoid,
    ];

    /// Returns the distance of a result from a double-double in ulps.
    fn ulps(found: f64, expected: DoubleDouble) -> f64 {
        let double = expected.to_f64().abs();
        ((DoubleDouble::from_f64(found) - expected).to_f64() / (double.next_up() - double)).abs()
    }

    #[test]
    fn fast_kernels_are_within_two_ulp_of_the_formulas_and_the_same_on_every_instruction_set() {
        let magnitudes =
            (0..300).flat_map(|n| [1e-12, 1e-3, 1.3, 5.0, 40.0, 720.0].map(|most| most * f64::from(n) / 299.0));
        let special = [5e-324, 1e-310, 1e-200, 1e30, 1e100, 1.278_464_542_761_074, 0.7524614, 1.1924312];
        let x: Vec<f64> = magnitudes.chain(special).flat_map(|x| [x, -x]).collect();
        let dout: Vec<f64> = (0..x.len()).map(|n| [1.0, -0.7, 1.9][n % 3]).collect();
        for function in FUNCTIONS {
            assert!(function.activation().is_some());
            let run = || {
                let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                f64::map_formula([&x], &mut y, &Value(function));
                f64::map_formula([&x, &dout], &mut dx, &Gradient(function));
                [y, dx]
            };
            let [y, dx] = run();
            for isa in IsaLevel::available() {
                assert!(with_isa_limit(isa, run) == [y.clone(), dx.clone()], "{function:?} {isa:?}");
            }
            for (k, (&x, &dout)) in x.iter().zip(&dout).enumerate() {
                let [wide, wide_dout] = [x, dout].map(DoubleDouble::from_f64);
                let [value, gradient] = [function.value(wide), wide_dout * function.slope(wide)];
                for (found, expected, limit) in [(y[k], value, 1.0), (dx[k], gradient, 1.5)] {
                    // Tiny double-doubles have few digits, and no kernel returns such results.
                    let is_tiny = expected.to_f64().abs() < 1e-270;
                    let error = ulps(found, expected);
                    assert!(is_tiny || error < limit, "{function:?} {x:e} {dout}: {found:e} {error}");
                }
            }
        }
    }
}
