//! π, and sine and cosine of [`Ball`]s by their series.

use super::ball::Ball;
use num_bigint::BigInt;

/// Exponent of the largest |x| that is reduced to a quarter turn; no product in a formula has one as large.
const MAX_EXPONENT: i64 = 4300;

/// Returns arctan(1/n) in fixed point, off by less than 3 units for each term.
fn arctan_inverse(n: u32, bits: i64) -> BigInt {
    let (one, square) = (BigInt::from(1) << bits.unsigned_abs(), n * n);
    let (mut power, mut sum, mut odd) = (one / n, BigInt::ZERO, 1u32);
    while power != BigInt::ZERO {
        let term = &power / odd;
        sum = if odd % 4 == 1 { sum + term } else { sum - term };
        power /= square;
        odd += 2;
    }
    sum
}

/// Returns π by Machin's formula, 16·arctan(1/5) − 4·arctan(1/239).
pub(super) fn pi(bits: i64) -> Ball {
    const GUARD: i64 = 24;
    let part = |n: u32| arctan_inverse(n, bits + GUARD);
    // There are fewer than 2¹³ terms: the guard takes the 20·3·2¹³ units that they may be off.
    Ball { middle: part(5) * 16 - part(239) * 4, radius: BigInt::from(1) << 20u32, scale: -bits - GUARD }
}

/// Returns sin x.
pub(crate) fn sin(x: &Ball, bits: i64) -> Option<Ball> {
    sine_of_sum(x, 0, bits)
}

/// Returns cos x = sin(x + π/2).
pub(crate) fn cos(x: &Ball, bits: i64) -> Option<Ball> {
    sine_of_sum(x, 1, bits)
}

/// Returns the sine of x and some quarters of a turn, unless x is too large or too wide.
fn sine_of_sum(x: &Ball, quarters: i64, bits: i64) -> Option<Ball> {
    let radius = Ball::new(x.radius.clone(), x.scale);
    if x.exponent_bound() > MAX_EXPONENT || (!x.is_exact() && radius.exponent_bound() > 0) {
        return None;
    }
    let middle = Ball::new(x.middle.clone(), x.scale);
    let deep = bits + 32 + x.exponent_bound().max(0);
    let quarter = pi(deep).scaled(-1);
    // Any integer near x/(π/2) will do: the rest is at most a little above π/4.
    let turns = middle.over(&quarter, deep)?.plus(&Ball::from_integer(1).scaled(-1), deep).floor();
    let rest = middle.minus(&quarter.times(&Ball::new(turns.clone(), 0), 2 * deep), 2 * deep);
    let turns: BigInt = ((turns + quarters) % 4 + 4) % 4;
    let is_odd = turns.bit(0);
    let value =
        if is_odd { series(&rest, Ball::from_integer(1), 1, bits) } else { series(&rest, rest.clone(), 2, bits) };
    let value = if turns.bit(1) { value?.negated() } else { value? };
    // No slope is above 1.
    Some(if x.is_exact() { value } else { value.widened(radius.exponent_bound()).round_to(bits) })
}

/// Returns the first term minus its product by x²/(n·(n + 1)), plus the product of that by x²/((n + 2)·(n + 3)), and so on.
fn series(x: &Ball, first: Ball, n: i64, bits: i64) -> Option<Ball> {
    if x.is_zero() {
        return Some(first);
    }
    let deep = bits + 16;
    let square = x.times(x, deep).negated();
    let (mut term, mut sum, mut n) = (first.clone(), first, n);
    // Each term is less than a half of the one before, so those that are left out come to less than the last.
    while term.exponent_bound() > sum.exponent_bound().saturating_sub(deep) && !term.is_zero() {
        term = term.times(&square, deep).over(&Ball::from_integer(n * (n + 1)), deep)?;
        sum = sum.plus(&term, deep);
        n += 2;
    }
    Some(sum.widened(term.exponent_bound()).round_to(bits))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_lie_on_the_circle_and_repeat_after_a_turn() {
        for value in [0.1, -3.0, 1.5625, 1e22, -7e300, 5e-324, 1e-30] {
            let x = Ball::from_double(value);
            let (sine, cosine) = (sin(&x, 300).unwrap(), cos(&x, 300).unwrap());
            let sum = sine.times(&sine, 300).plus(&cosine.times(&cosine, 300), 300);
            let off = sum.minus(&Ball::from_integer(1), 300);
            assert!(off.sign().is_none() && off.exponent_bound() < -280, "{value}: {off:?}");
            let turned = x.plus(&pi(2000).scaled(1), 3000);
            let change = sin(&turned, 300).unwrap().minus(&sine, 300);
            assert!(change.sign().is_none() && change.exponent_bound() < -280, "{value}: {change:?}");
            assert_eq!(sin(&x, 200).unwrap().to_double(None).unwrap(), libm::sin(value), "{value}");
        }
        assert!(
            sin(&Ball::from_integer(0), 100).unwrap().is_zero() && cos(&Ball::from_integer(0), 100).unwrap().is_exact()
        );
    }

    #[test]
    fn a_wide_ball_has_a_wide_sine_or_none() {
        let wide = Ball::from_integer(2).widened(-20);
        assert!(sin(&wide, 100).unwrap().to_double(None).is_none());
        assert!(sin(&Ball::from_integer(2).widened(3), 100).is_none());
    }
}
