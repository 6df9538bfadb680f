//! The normal distribution Φ and its density φ of [`Ball`]s.

use super::ball::Ball;
use super::circle::pi;
use super::elementary::exp;

/// Magnitude above which Φ(−x) and φ(x) are below 2^−[`TAIL_BITS`], and no result of a formula depends on them.
const MAX_NORMAL: i64 = 64;
const TAIL_BITS: i64 = 2900;

/// Returns √(2π).
fn sqrt_2_pi(bits: i64) -> Option<Ball> {
    let double = pi(bits + 8).scaled(1);
    let middle = Ball::new(double.middle.clone(), double.scale).sqrt(bits + 8);
    // The root of a number from 4 to 9 is off by at most a quarter of its error.
    Some(middle.widened(Ball::new(double.radius, double.scale).exponent_bound() - 2).round_to(bits))
}

/// Returns an upper bound of |x|, if it is below [`MAX_NORMAL`].
fn magnitude(x: &Ball) -> Option<f64> {
    let is_below = |x: &Ball| Ball::from_integer(MAX_NORMAL).minus(x, 64).sign() == Some(1.0);
    (is_below(x) && is_below(&x.negated())).then(|| x.to_double(Some(0)).map_or(64.0, |x| x.abs() + 1e-6))
}

/// Returns an upper bound of the number of bits by which e^(−x²/2) lies below 1.
#[allow(clippy::cast_possible_truncation)] // below 3000
fn bits_below_one(magnitude: f64) -> i64 {
    (0.722 * magnitude * magnitude) as i64 + 1
}

/// Returns φ(x) = e^(−x²/2)/√(2π).
pub(crate) fn density(x: &Ball, bits: i64) -> Option<Ball> {
    let Some(magnitude) = magnitude(x) else { return is_far(x).then(|| Ball::from_integer(0).widened(-TAIL_BITS)) };
    let deep = bits + bits_below_one(magnitude) + 32;
    let power = exp(&x.times(x, deep).scaled(-1).negated(), deep)?;
    power.over(&sqrt_2_pi(deep)?, bits)
}

/// Returns Φ(x) = 1/2 + φ(x)·(x + x³/3 + x⁵/15 + …).
pub(crate) fn cdf(x: &Ball, bits: i64) -> Option<Ball> {
    let Some(magnitude) = magnitude(x) else {
        let limit = Ball::from_integer(i64::from(x.sign() == Some(1.0)));
        return is_far(x).then(|| limit.widened(-TAIL_BITS));
    };
    // For negative x, as many bits cancel as the tail lies below 1.
    let deep = bits + 2 * bits_below_one(magnitude) + 32;
    let square = x.times(x, deep);
    let (mut term, mut sum, mut odd) = (x.clone(), x.clone(), 1u32);
    // At the end each term is at most half of the one before, so those that are left out come to less than the last.
    while !term.is_zero() && (term.exponent_bound() > -deep || f64::from(odd) < 2.0 * magnitude * magnitude) {
        odd += 2;
        term = term.times(&square, deep).over(&Ball::from_integer(odd.into()), deep)?;
        sum = sum.plus(&term, deep);
    }
    let sum = sum.widened(term.exponent_bound());
    Some(Ball::from_integer(1).scaled(-1).plus(&density(x, deep)?.times(&sum, deep), deep).round_to(bits))
}

/// Returns true if |x| is certainly large.
fn is_far(x: &Ball) -> bool {
    let limit = Ball::from_integer(MAX_NORMAL - 1);
    let is_above = |x: &Ball| x.minus(&limit, 64).sign() == Some(1.0);
    is_above(x) || is_above(&x.negated())
}
