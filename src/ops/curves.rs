//! Functions of one number that are made of e^−|x|, and their slopes, for many numbers at a time.
//!
//! Every value is a sum of two doubles up to the last operation, so that only the error of the exponential, a sixth of an ulp, and
//! one rounding remain. Where that is not enough (terms cancel, a result is tiny, an input is infinite or NaN) the result is NaN,
//! and the caller computes it by the formula. Near the zero of a slope a polynomial takes the place of terms that cancel.

mod functions;
mod polynomials;

pub use self::functions::GELU_CUBE;

use self::functions::{
    MAGNITUDE, constant, doubled, mish_quotient, near_root, negative, normal_tail, one_minus_where_positive, power,
    scaled, select_lt, sigmoid, softplus, tanh_argument, trusted,
};
use self::polynomials::{GELU_ROOT, GELU_TANH_ROOT, MISH_ROOT, SILU_ROOT};
use crate::simd::dispatch::dispatch;
use crate::simd::exp::exp_minus_one;
use crate::simd::f64x8::{F64x8, SimdF64, load_first, store_first};
use crate::simd::pair::Pair;

/// Part of its terms below which a sum has lost digits.
const LEAST_SUM: f64 = 0.125;
/// The least magnitude of a result or a factor whose digits are all kept.
const LEAST_MAGNITUDE: f64 = f64::from_bits((1023 - 900) << 52);
/// The least argument of eˣ − 1: smaller results are −1.
const LEAST_EXPONENT: f64 = -40.0;
/// 1/√(2π) as a sum of two doubles.
const DENSITY_AT_ZERO: Pair<f64> = Pair { high: 0.3989422804014327, low: -2.49232720227773e-17 };

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// x·σ(beta·x), beta of about 1.
    Silu {
        /// The factor of x within σ.
        beta: f64,
    },
    /// x·Φ(x).
    Gelu,
    /// x·σ(2·√(2/π)·(x + 0.044715·x³)).
    GeluTanh,
    /// x·tanh(log(1 + eˣ)).
    Mish,
    /// log(1 + eˣ).
    Softplus,
    /// −log(1 + e⁻ˣ).
    LogSigmoid,
    /// scale·x, or scale·alpha·(eˣ − 1) where x ≤ 0; both factors are sums of two doubles.
    Elu {
        /// The factor of x.
        scale: [f64; 2],
        /// The product scale·alpha.
        scaled_alpha: [f64; 2],
    },
}

/// A product of several numbers, one of which is a curve's value or slope at an input instead of the input itself.
#[derive(Clone, Copy, Debug)]
pub struct CurveProduct {
    /// The activation.
    pub activation: Curve,
    /// True for its slope.
    pub is_slope: bool,
    /// The index of the input that is the curve's argument.
    pub argument: usize,
}

/// Computes each product, or NaN where the formula has to be computed otherwise.
pub fn products(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
    let CurveProduct { activation, is_slope, .. } = product;
    let compute = match (activation, is_slope) {
        (Curve::Sigmoid, true) => sigmoid_slopes,
        (Curve::Gelu, false) => gelu_values,
        (Curve::Gelu, true) => gelu_slopes,
        (Curve::Silu { .. } | Curve::GeluTanh, true) => gated_slopes,
        (Curve::Sigmoid | Curve::Silu { .. } | Curve::GeluTanh, false) => gates,
        (Curve::Softplus | Curve::LogSigmoid, true) => gates,
        (Curve::Softplus | Curve::LogSigmoid, false) => logs,
        (Curve::Mish, false) => mish_values,
        (Curve::Mish, true) => mish_slopes,
        (Curve::Elu { .. }, false) => elu_values,
        (Curve::Elu { .. }, true) => elu_slopes,
    };
    compute(product, inputs, out);
}

/// A function for vectors.
trait Body {
    /// Returns the value or slope of the activation.
    fn compute<V: SimdF64>(activation: Curve, x: V) -> Pair<V>;
}

#[inline(always)]
fn each<V: F64x8, B: Body>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
    let mut begin = 0;
    while begin < out.len() {
        let mut total = B::compute::<V>(product.activation, load_first(&inputs[product.argument][begin..], 0.0));
        let (mut plain, mut least) = (total.high, total.high.and_bits(MAGNITUDE));
        for (n, input) in inputs.iter().enumerate() {
            if n != product.argument {
                let factor: V = load_first(&input[begin..], 0.0);
                plain = plain * factor;
                least = factor.and_bits(MAGNITUDE).min(least);
                total = total.times(Pair::new(factor));
            }
        }
        let result = total.rounded();
        // A product with zero has the sign of the plain product; digits of tiny ones may be lost.
        let zero_or_unknown = V::splat(0.0).select_lt(least, V::splat(f64::NAN), plain);
        let least = result.and_bits(MAGNITUDE).min(least);
        let result = least.select_lt(V::splat(LEAST_MAGNITUDE), zero_or_unknown, result);
        store_first(result, &mut out[begin..]);
        begin += 8;
    }
}

dispatch! {
    fn gates<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, Gate>(product, inputs, out);
    }
}

/// σ(u), or x·σ(u).
struct Gate;

impl Body for Gate {
    #[inline(always)]
    fn compute<V: SimdF64>(activation: Curve, x: V) -> Pair<V> {
        let pair = Pair::new(x);
        match activation {
            Curve::LogSigmoid => sigmoid(negative(pair)),
            Curve::Silu { beta } => sigmoid(scaled(beta, x)).times(pair),
            Curve::GeluTanh => sigmoid(tanh_argument(x)[0]).times(pair),
            _ => sigmoid(pair),
        }
    }
}

dispatch! {
    fn gated_slopes<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, GatedSlope>(product, inputs, out);
    }
}

/// The slope of x·σ(u).
struct GatedSlope;

impl Body for GatedSlope {
    #[inline(always)]
    fn compute<V: SimdF64>(activation: Curve, x: V) -> Pair<V> {
        let (u, factor, argument, root) = match activation {
            Curve::GeluTanh => {
                let [u, derivative] = tanh_argument(x);
                (u, derivative.times(Pair::new(x)), Pair::new(x), &GELU_TANH_ROOT)
            }
            Curve::Silu { beta } => (scaled(beta, x), scaled(beta, x), scaled(beta, x), &SILU_ROOT),
            _ => unreachable!("only these are products with σ"),
        };
        let (q, zero, one) = (power(u), V::splat(0.0), Pair::new(V::splat(1.0)));
        let denominator = one.plus(q);
        let second = factor.times(select_lt(u.high, zero, one, q));
        let sum = near_root(argument, root, trusted(denominator.plus(second), LEAST_SUM));
        select_lt(u.high, zero, sum.times(q), sum).over(denominator.times(denominator))
    }
}

dispatch! {
    fn sigmoid_slopes<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, SigmoidSlope>(product, inputs, out);
    }
}

/// q/(1 + q)² with q = e^−|x|.
struct SigmoidSlope;

impl Body for SigmoidSlope {
    #[inline(always)]
    fn compute<V: SimdF64>(_: Curve, x: V) -> Pair<V> {
        let q = power(Pair::new(V::splat(0.0) - x.and_bits(MAGNITUDE)));
        let sum = Pair::new(V::splat(1.0)).plus(q);
        q.over(sum.times(sum))
    }
}

dispatch! {
    fn logs<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, Log>(product, inputs, out);
    }
}

/// log(1 + eˣ), or −log(1 + e⁻ˣ).
struct Log;

impl Body for Log {
    #[inline(always)]
    fn compute<V: SimdF64>(activation: Curve, x: V) -> Pair<V> {
        match activation {
            Curve::LogSigmoid => negative(softplus(V::splat(0.0) - x)),
            _ => softplus(x),
        }
    }
}

dispatch! {
    fn gelu_values<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, GeluValue>(product, inputs, out);
    }
}

/// x·Φ(x).
struct GeluValue;

impl Body for GeluValue {
    #[inline(always)]
    fn compute<V: SimdF64>(_: Curve, x: V) -> Pair<V> {
        let (_, tail, power) = normal_tail(x);
        one_minus_where_positive(x, power.times(tail)).times(Pair::new(x))
    }
}

dispatch! {
    fn gelu_slopes<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, GeluSlope>(product, inputs, out);
    }
}

/// Φ(x) + x·φ(x), where the density φ is e^(−x²/2)/√(2π).
struct GeluSlope;

impl Body for GeluSlope {
    #[inline(always)]
    fn compute<V: SimdF64>(_: Curve, x: V) -> Pair<V> {
        let (t, tail, power) = normal_tail(x);
        let sum = tail.minus(Pair::new(t).times(DENSITY_AT_ZERO.splat()));
        let sum = near_root(Pair::new(t), &GELU_ROOT, sum);
        one_minus_where_positive(x, power.times(sum))
    }
}

dispatch! {
    fn mish_values<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, MishValue>(product, inputs, out);
    }
}

/// x·n/(n + 2).
struct MishValue;

impl Body for MishValue {
    #[inline(always)]
    fn compute<V: SimdF64>(_: Curve, x: V) -> Pair<V> {
        let (_, numerator, denominator) = mish_quotient(x);
        numerator.over(denominator).times(Pair::new(x))
    }
}

dispatch! {
    fn mish_slopes<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, MishSlope>(product, inputs, out);
    }
}

/// (n·d + 4·x·eˣ·(1 + eˣ))/d² with d = n + 2, in powers of q: the common factor q of the terms is taken out for negative x.
struct MishSlope;

impl Body for MishSlope {
    #[inline(always)]
    fn compute<V: SimdF64>(_: Curve, x: V) -> Pair<V> {
        let (zero, one) = (V::splat(0.0), Pair::new(V::splat(1.0)));
        let (q, numerator, denominator) = mish_quotient(x);
        let numerator = select_lt(x, zero, q.plus(doubled(one)), numerator);
        let power = select_lt(x, zero, one, q.times(q));
        let second = doubled(doubled(one.plus(q).times(power).times(Pair::new(x))));
        let sum = trusted(numerator.times(denominator).plus(second), 4.0 * LEAST_SUM);
        let sum = near_root(Pair::new(x), &MISH_ROOT, sum);
        select_lt(x, zero, sum.times(q), sum).over(denominator.times(denominator))
    }
}

dispatch! {
    fn elu_values<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, EluValue>(product, inputs, out);
    }
}

/// scale·x, or scale·alpha·(eˣ − 1).
struct EluValue;

impl Body for EluValue {
    #[inline(always)]
    fn compute<V: SimdF64>(activation: Curve, x: V) -> Pair<V> {
        let [scale, scaled_alpha] = elu_factors(activation);
        let (zero, least, tiny) = (V::splat(0.0), V::splat(LEAST_EXPONENT), V::splat(-LEAST_MAGNITUDE));
        let (high, low) = exp_minus_one(x.select_lt(least, least, x.select_lt(tiny, x, tiny)));
        let below = constant(scaled_alpha).times(Pair { high, low });
        let below = select_lt(tiny, x, Pair::new(V::splat(f64::NAN)), below);
        select_lt(x, zero, below, constant(scale).times(Pair::new(x)))
    }
}

dispatch! {
    fn elu_slopes<V>(product: CurveProduct, inputs: &[&[f64]], out: &mut [f64]) {
        each::<V, EluSlope>(product, inputs, out);
    }
}

/// scale, or scale·alpha·eˣ.
struct EluSlope;

impl Body for EluSlope {
    #[inline(always)]
    fn compute<V: SimdF64>(activation: Curve, x: V) -> Pair<V> {
        let [scale, scaled_alpha] = elu_factors(activation);
        let below = constant(scaled_alpha).times(power(Pair::new(x)));
        select_lt(V::splat(0.0), x, constant(scale), below)
    }
}

/// Returns the factors of an [`Elu`](Curve::Elu): of x, and of eˣ − 1.
#[inline(always)]
fn elu_factors(activation: Curve) -> [[f64; 2]; 2] {
    match activation {
        Curve::Elu { scale, scaled_alpha } => [scale, scaled_alpha],
        _ => unreachable!("only elu has them"),
    }
}
