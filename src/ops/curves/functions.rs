//! Functions of sums of two doubles, and their polynomials.

use super::polynomials::{Root, TAIL, TAIL_CENTRE, TAIL_CONSTANT};
use crate::simd::error_free::{fast_two_sum, two_sum};
use crate::simd::exp::exp;
use crate::simd::f64x8::SimdF64;
use crate::simd::pair::Pair;

/// All bits except the sign.
pub(super) const MAGNITUDE: u64 = !(1 << 63);
/// Coefficient of x³ in the approximation of gelu by tanh.
pub const GELU_CUBE: f64 = 0.044715;
/// The largest x for which e^−x is computed.
const LARGEST_ARGUMENT: f64 = 600.0;
/// 2·√(2/π) as a sum of two doubles.
const TANH_SCALE: Pair<f64> = Pair { high: 1.5957691216057308, low: -9.969_308_809_110_92e-17 };
/// Magnitudes from here on count as this one: the tail of the normal distribution is below every double there.
const LARGEST_DEVIATION: f64 = 40.0;
/// Distance from the zero of a slope within which its polynomial is used.
const ROOT_RADIUS: f64 = 0.2;

/// Returns σ(u).
#[inline(always)]
pub(super) fn sigmoid<V: SimdF64>(u: Pair<V>) -> Pair<V> {
    let (q, one) = (power(u), Pair::new(V::splat(1.0)));
    select_lt(u.high, V::splat(0.0), q, one).over(one.plus(q))
}

/// Returns log(1 + eˣ).
#[inline(always)]
pub(super) fn softplus<V: SimdF64>(x: V) -> Pair<V> {
    let log = log_one_plus(power(Pair::new(x)));
    select_lt(x, V::splat(0.0), log, log.plus(Pair::new(x)))
}

/// Returns q = e^−|x|, and (n, n + 2) with n = e²ˣ + 2eˣ, both times q² for positive x.
#[inline(always)]
pub(super) fn mish_quotient<V: SimdF64>(x: V) -> (Pair<V>, Pair<V>, Pair<V>) {
    let (q, zero, one) = (power(Pair::new(x)), V::splat(0.0), Pair::new(V::splat(1.0)));
    let two = doubled(one);
    let numerator = select_lt(x, zero, q.times(q.plus(two)), one.plus(doubled(q)));
    let rest = select_lt(x, zero, two, doubled(q.times(q)));
    (q, numerator, numerator.plus(rest))
}

/// Returns the argument of σ in gelu's approximation by tanh, and its derivative.
#[inline(always)]
pub(super) fn tanh_argument<V: SimdF64>(x: V) -> [Pair<V>; 2] {
    let (pair, one, scale) = (Pair::new(x), Pair::new(V::splat(1.0)), TANH_SCALE.splat::<V>());
    let second = Pair::new(V::splat(GELU_CUBE)).times(pair.times(pair));
    let derivative = one.plus(second.plus(doubled(second)));
    [scale.times(pair).times(one.plus(second)), scale.times(derivative)]
}

/// Returns t = |x|, e^(t²/2)·Φ(−t), and e^(−t²/2).
#[inline(always)]
pub(super) fn normal_tail<V: SimdF64>(x: V) -> (V, Pair<V>, Pair<V>) {
    let (zero, one) = (V::splat(0.0), V::splat(1.0));
    // NaN stays NaN.
    let t = V::splat(LARGEST_DEVIATION).min(x.and_bits(MAGNITUDE));
    let square = Pair::new(t).times(Pair::new(t));
    let half = x.select_lt(zero, V::splat(-0.5), V::splat(0.5));
    let power = power(Pair { high: square.high * half, low: square.low * half });
    let s = (t - V::splat(TAIL_CENTRE)) / (t + V::splat(TAIL_CENTRE));
    let (high, low) = fast_two_sum(V::splat(TAIL_CONSTANT[0]), polynomial(&TAIL, s) * s + V::splat(TAIL_CONSTANT[1]));
    let (sum, error) = two_sum(one, t);
    (t, Pair { high, low }.over(Pair { high: sum, low: error }), power)
}

/// Returns 1 − p where x > 0, and p elsewhere.
#[inline(always)]
pub(super) fn one_minus_where_positive<V: SimdF64>(x: V, p: Pair<V>) -> Pair<V> {
    select_lt(V::splat(0.0), x, Pair::new(V::splat(1.0)).minus(p), p)
}

/// Returns c₀ + c₁·x + …, in four sums of every fourth power, which do not wait for each other.
#[inline(always)]
fn polynomial<V: SimdF64>(coefficients: &[f64], x: V) -> V {
    let square = x * x;
    let fourth = square * square;
    let mut sums = [V::splat(0.0); 4];
    for (n, coefficient) in coefficients.iter().enumerate().rev() {
        sums[n % 4] = sums[n % 4].mul_add(fourth, V::splat(*coefficient));
    }
    sums[3].mul_add(x, sums[2]).mul_add(square, sums[1].mul_add(x, sums[0]))
}

/// Returns the factor of a slope that is 0 at the root: by its polynomial near the root, and the sum elsewhere.
#[inline(always)]
pub(super) fn near_root<V: SimdF64>(x: Pair<V>, root: &Root, sum: Pair<V>) -> Pair<V> {
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
pub(super) fn power<V: SimdF64>(u: Pair<V>) -> Pair<V> {
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
    let t = q.over(q.plus(Pair::new(V::splat(2.0))));
    let square = t.high * t.high;
    let fourth = square * square;
    // The terms from t³ on; the first that is left out is below 2⁻⁵⁸·t.
    let (mut even, mut odd) = (V::splat(1.0 / 35.0), V::splat(1.0 / 33.0));
    for divisor in [29.0, 25.0, 21.0, 17.0, 13.0, 9.0, 5.0] {
        even = even.mul_add(fourth, V::splat(1.0 / (divisor + 2.0)));
        odd = odd.mul_add(fourth, V::splat(1.0 / divisor));
    }
    even = even.mul_add(fourth, V::splat(1.0 / 3.0));
    let rest = (even + odd * square) * square * t.high;
    let (high, low) = fast_two_sum(t.high, rest + t.low);
    doubled(Pair { high, low })
}

/// Returns a sum, or NaN where it is smaller than its correct digits require.
#[inline(always)]
pub(super) fn trusted<V: SimdF64>(sum: Pair<V>, least: f64) -> Pair<V> {
    select_lt(sum.high.and_bits(MAGNITUDE), V::splat(least), Pair::new(V::splat(f64::NAN)), sum)
}

/// Returns beta·x.
#[inline(always)]
pub(super) fn scaled<V: SimdF64>(beta: f64, x: V) -> Pair<V> {
    if beta == 1.0 { Pair::new(x) } else { Pair::new(V::splat(beta)).times(Pair::new(x)) }
}

/// Returns 2·a.
#[inline(always)]
pub(super) fn doubled<V: SimdF64>(a: Pair<V>) -> Pair<V> {
    Pair { high: a.high + a.high, low: a.low + a.low }
}

/// Returns −a.
#[inline(always)]
pub(super) fn negative<V: SimdF64>(a: Pair<V>) -> Pair<V> {
    let zero = V::splat(0.0);
    Pair { high: zero - a.high, low: zero - a.low }
}

/// Returns high + low in every element.
#[inline(always)]
pub(super) fn constant<V: SimdF64>([high, low]: [f64; 2]) -> Pair<V> {
    Pair { high, low }.splat()
}

/// Returns `then` where x < limit, and `otherwise` elsewhere, also if one of them is NaN.
#[inline(always)]
pub(super) fn select_lt<V: SimdF64>(x: V, limit: V, then: Pair<V>, otherwise: Pair<V>) -> Pair<V> {
    Pair { high: x.select_lt(limit, then.high, otherwise.high), low: x.select_lt(limit, then.low, otherwise.low) }
}
