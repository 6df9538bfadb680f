//! Functions of one number that are made of e^−|x|, and their slopes, for many numbers at a time.
//!
//! Every value is a sum of two doubles up to the last operation, so that only the error of the exponential, a sixth of an ulp, and
//! one rounding remain. Where that is not enough (terms cancel, a result is tiny, an input is infinite or NaN) the result is NaN,
//! and the caller computes it by the formula. Near the zero of a slope a polynomial takes the place of terms that cancel.

mod polynomials;

use self::polynomials::{GELU_ROOT, GELU_TANH_ROOT, MISH_ROOT, Root, SILU_ROOT, TAIL, TAIL_CENTRE, TAIL_CONSTANT};
use crate::simd::dispatch::dispatch;
use crate::simd::error_free::{fast_two_sum, two_sum};
use crate::simd::exp::{exp, exp_minus_one};
use crate::simd::f64x8::{F64x8, SimdF64, load_first, store_first};
use crate::simd::pair::Pair;

/// All bits except the sign.
const MAGNITUDE: u64 = !(1 << 63);
/// The largest x for which e^−x is computed.
const LARGEST_ARGUMENT: f64 = 600.0;
/// Part of its terms below which a sum has lost digits.
const LEAST_SUM: f64 = 0.125;
/// The least magnitude of a result or a factor whose digits are all kept.
const LEAST_MAGNITUDE: f64 = f64::from_bits((1023 - 900) << 52);
/// The least argument of eˣ − 1: smaller results are −1.
const LEAST_EXPONENT: f64 = -40.0;
/// 2·√(2/π) as a sum of two doubles.
const TANH_SCALE: Pair<f64> = Pair { high: 1.5957691216057308, low: -9.969_308_809_110_92e-17 };
/// Coefficient of x³ in the approximation of gelu by tanh.
pub const GELU_CUBE: f64 = 0.044715;
/// 1/√(2π) as a sum of two doubles.
const DENSITY_AT_ZERO: Pair<f64> = Pair { high: 0.3989422804014327, low: -2.49232720227773e-17 };
/// Magnitudes from here on count as this one: the tail of the normal distribution is below every double there.
const LARGEST_DEVIATION: f64 = 40.0;
/// Distance from the zero of a slope within which its polynomial is used.
const ROOT_RADIUS: f64 = 0.2;

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
        over(select_lt(u.high, zero, sum.times(q), sum), denominator.times(denominator))
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
        over(q, sum.times(sum))
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
        over(numerator, denominator).times(Pair::new(x))
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
        over(select_lt(x, zero, sum.times(q), sum), denominator.times(denominator))
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

/// Returns σ(u).
#[inline(always)]
fn sigmoid<V: SimdF64>(u: Pair<V>) -> Pair<V> {
    let (q, one) = (power(u), Pair::new(V::splat(1.0)));
    over(select_lt(u.high, V::splat(0.0), q, one), one.plus(q))
}

/// Returns log(1 + eˣ).
#[inline(always)]
fn softplus<V: SimdF64>(x: V) -> Pair<V> {
    let log = log_one_plus(power(Pair::new(x)));
    select_lt(x, V::splat(0.0), log, log.plus(Pair::new(x)))
}

/// Returns q = e^−|x|, and (n, n + 2) with n = e²ˣ + 2eˣ, both times q² for positive x.
#[inline(always)]
fn mish_quotient<V: SimdF64>(x: V) -> (Pair<V>, Pair<V>, Pair<V>) {
    let (q, zero, one) = (power(Pair::new(x)), V::splat(0.0), Pair::new(V::splat(1.0)));
    let two = doubled(one);
    let numerator = select_lt(x, zero, q.times(q.plus(two)), one.plus(doubled(q)));
    let rest = select_lt(x, zero, two, doubled(q.times(q)));
    (q, numerator, numerator.plus(rest))
}

/// Returns the argument of σ in gelu's approximation by tanh, and its derivative.
#[inline(always)]
fn tanh_argument<V: SimdF64>(x: V) -> [Pair<V>; 2] {
    let (pair, one, scale) = (Pair::new(x), Pair::new(V::splat(1.0)), TANH_SCALE.splat::<V>());
    let second = Pair::new(V::splat(GELU_CUBE)).times(pair.times(pair));
    let derivative = one.plus(second.plus(doubled(second)));
    [scale.times(pair).times(one.plus(second)), scale.times(derivative)]
}

/// Returns t = |x|, e^(t²/2)·Φ(−t), and e^(−t²/2).
#[inline(always)]
fn normal_tail<V: SimdF64>(x: V) -> (V, Pair<V>, Pair<V>) {
    let (zero, one) = (V::splat(0.0), V::splat(1.0));
    // NaN stays NaN.
    let t = V::splat(LARGEST_DEVIATION).min(x.and_bits(MAGNITUDE));
    let square = Pair::new(t).times(Pair::new(t));
    let half = x.select_lt(zero, V::splat(-0.5), V::splat(0.5));
    let power = power(Pair { high: square.high * half, low: square.low * half });
    let s = (t - V::splat(TAIL_CENTRE)) / (t + V::splat(TAIL_CENTRE));
    let (high, low) = fast_two_sum(V::splat(TAIL_CONSTANT[0]), polynomial(&TAIL, s) * s + V::splat(TAIL_CONSTANT[1]));
    let (sum, error) = two_sum(one, t);
    (t, over(Pair { high, low }, Pair { high: sum, low: error }), power)
}

/// Returns 1 − p where x > 0, and p elsewhere.
#[inline(always)]
fn one_minus_where_positive<V: SimdF64>(x: V, p: Pair<V>) -> Pair<V> {
    select_lt(V::splat(0.0), x, Pair::new(V::splat(1.0)).minus(p), p)
}

/// Returns c₀ + c₁·x + …, the even and the odd powers apart, whose sums are independent of each other.
#[inline(always)]
fn polynomial<V: SimdF64>(coefficients: &[f64], x: V) -> V {
    let square = x * x;
    let mut sums = [V::splat(0.0); 2];
    for (n, coefficient) in coefficients.iter().enumerate().rev() {
        sums[n % 2] = sums[n % 2] * square + V::splat(*coefficient);
    }
    sums[0] + sums[1] * x
}

/// Returns the factor of a slope that is 0 at the root: by its polynomial near the root, and the sum elsewhere.
#[inline(always)]
fn near_root<V: SimdF64>(x: Pair<V>, root: &Root, sum: Pair<V>) -> Pair<V> {
    let [first, second, third] = root.at.map(V::splat);
    // The first difference is exact near the root.
    let (high, low) = two_sum(x.high - first, x.low - second);
    let distance = Pair { high, low: low - third };
    let rest = polynomial(&root.rest, high) * high;
    let (high, low) = fast_two_sum(V::splat(root.leading[0]), rest + V::splat(root.leading[1]));
    let product = distance.times(Pair { high, low });
    select_lt(distance.high.and_bits(MAGNITUDE), V::splat(ROOT_RADIUS), product, sum)
}

/// Returns e^−|u|; where it is tiny, 0 for positive u, and NaN for negative u, whose function is as tiny.
#[inline(always)]
fn power<V: SimdF64>(u: Pair<V>) -> Pair<V> {
    let (zero, least) = (V::splat(0.0), V::splat(-LARGEST_ARGUMENT));
    let sign = u.high.select_lt(zero, V::splat(1.0), V::splat(-1.0));
    let argument = Pair { high: u.high * sign, low: u.low * sign };
    let clamped = select_lt(argument.high, least, Pair::new(least), argument);
    let (upper, rest) = exp(clamped.high, clamped.low, false);
    let (high, low) = fast_two_sum(upper, rest);
    let beyond = Pair::new(u.high.select_lt(zero, V::splat(f64::NAN), zero));
    select_lt(argument.high, least, beyond, Pair { high, low })
}

/// Returns log(1 + q) for q from 0 to 1, as 2·(t + t³/3 + t⁵/5 + …) with t = q/(2 + q) ≤ 1/3.
#[inline(always)]
fn log_one_plus<V: SimdF64>(q: Pair<V>) -> Pair<V> {
    let t = over(q, q.plus(Pair::new(V::splat(2.0))));
    let square = t.high * t.high;
    let fourth = square * square;
    // The terms from t³ on; the first that is left out is below 2⁻⁵⁸·t.
    let (mut even, mut odd) = (V::splat(1.0 / 35.0), V::splat(1.0 / 33.0));
    for divisor in [29.0, 25.0, 21.0, 17.0, 13.0, 9.0, 5.0] {
        even = even * fourth + V::splat(1.0 / (divisor + 2.0));
        odd = odd * fourth + V::splat(1.0 / divisor);
    }
    even = even * fourth + V::splat(1.0 / 3.0);
    let rest = (even + odd * square) * square * t.high;
    let (high, low) = fast_two_sum(t.high, rest + t.low);
    doubled(Pair { high, low })
}

/// Returns a/b.
#[inline(always)]
fn over<V: SimdF64>(a: Pair<V>, b: Pair<V>) -> Pair<V> {
    let quotient = a.high / b.high;
    let product = Pair::new(quotient).times(b);
    let remainder = (a.high - product.high) + (a.low - product.low);
    let (high, low) = fast_two_sum(quotient, remainder / b.high);
    Pair { high, low }
}

/// Returns a sum, or NaN where it is smaller than its correct digits require.
#[inline(always)]
fn trusted<V: SimdF64>(sum: Pair<V>, least: f64) -> Pair<V> {
    select_lt(sum.high.and_bits(MAGNITUDE), V::splat(least), Pair::new(V::splat(f64::NAN)), sum)
}

/// Returns beta·x.
#[inline(always)]
fn scaled<V: SimdF64>(beta: f64, x: V) -> Pair<V> {
    if beta == 1.0 { Pair::new(x) } else { Pair::new(V::splat(beta)).times(Pair::new(x)) }
}

/// Returns 2·a.
#[inline(always)]
fn doubled<V: SimdF64>(a: Pair<V>) -> Pair<V> {
    Pair { high: a.high + a.high, low: a.low + a.low }
}

/// Returns −a.
#[inline(always)]
fn negative<V: SimdF64>(a: Pair<V>) -> Pair<V> {
    let zero = V::splat(0.0);
    Pair { high: zero - a.high, low: zero - a.low }
}

/// Returns high + low in every element.
#[inline(always)]
fn constant<V: SimdF64>([high, low]: [f64; 2]) -> Pair<V> {
    Pair { high, low }.splat()
}

/// Returns `then` where x < limit, and `otherwise` elsewhere, also if one of them is NaN.
#[inline(always)]
fn select_lt<V: SimdF64>(x: V, limit: V, then: Pair<V>, otherwise: Pair<V>) -> Pair<V> {
    Pair { high: x.select_lt(limit, then.high, otherwise.high), low: x.select_lt(limit, then.low, otherwise.low) }
}
