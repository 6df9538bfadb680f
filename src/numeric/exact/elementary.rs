//! Elementary functions of [`Ball`]s: exp, log, log1p and tanh, by series in fixed point whose truncation errors are bounded, and the
//! square root.

use super::ball::{Ball, absolute, shifted};
use crate::numeric::scalar::Scalar;
use num_bigint::{BigInt, Sign};
use std::cell::RefCell;

thread_local! {
    /// The number of bits after the point, and log 2 in fixed point.
    static LN_2: RefCell<(i64, BigInt)> = const { RefCell::new((0, BigInt::ZERO)) };
}

/// Exponent of the largest |x| of which e^x is computed; no result of a formula depends on powers beyond.
const MAX_EXPONENT: i64 = 40;

/// Returns artanh(1/n) in fixed point, too small by less than 3 units for each term.
fn artanh_inverse(n: u32, bits: i64) -> BigInt {
    let mut power = (BigInt::from(1) << bits.unsigned_abs()) / n;
    let (mut sum, mut odd, square) = (BigInt::ZERO, 1u32, n * n);
    while power != BigInt::ZERO {
        sum += &power / odd;
        power /= square;
        odd += 2;
    }
    sum
}

/// Returns log 2 in fixed point, too small by less than 2 units: 18 artanh 1/26 − 2 artanh 1/4801 + 8 artanh 1/8749.
fn ln_2(bits: i64) -> BigInt {
    const GUARD: i64 = 24;
    let (known, value) = LN_2.with_borrow(Clone::clone);
    if known >= bits {
        return value >> (known - bits).unsigned_abs();
    }
    let part = |n: u32| artanh_inverse(n, bits + GUARD);
    // There are fewer than 2¹³ terms: the guard takes the 28·3·2¹³ that they may come to.
    let value: BigInt = (part(26) * 18 - part(4801) * 2 + part(8749) * 8) >> GUARD.unsigned_abs();
    LN_2.set((bits, value.clone()));
    value
}

/// Returns e^x, unless it is out of range.
pub(crate) fn exp(x: &Ball, bits: i64) -> Option<Ball> {
    if x.is_zero() {
        return Some(Ball::from_integer(1));
    }
    if x.exponent_bound() > MAX_EXPONENT + 1 {
        // For negative x, between 0 and 2^(−2^MAX_EXPONENT).
        return (x.sign() == Some(-1.0)).then(|| Ball::from_integer(0).widened(-(1 << MAX_EXPONENT)));
    }
    let middle = exp_exact(&x.middle, x.scale, bits);
    if x.is_exact() {
        return Some(middle);
    }
    // e^r − 1 ≤ 2r for r ≤ 1/2.
    let radius = Ball::new(x.radius.clone(), x.scale);
    if radius.exponent_bound() > 0 {
        return None;
    }
    let spread = middle.times(&radius, 64).scaled(1);
    Some(middle.widened(spread.exponent_bound()).round_to(bits))
}

/// Returns e^x of the exact x = value·2^scale, for |x| below 2^(MAX_EXPONENT + 1).
fn exp_exact(value: &BigInt, scale: i64, bits: i64) -> Ball {
    let halvings = 4 + i64::try_from((bits.unsigned_abs() / 2).isqrt()).unwrap_or_default();
    let point = bits + halvings + MAX_EXPONENT + 40;
    let x = shifted(value, point + scale);
    let ln_2 = ln_2(point);
    let k = (&x + (&ln_2 >> 1u32)) / &ln_2;
    // x is too small by less than 1 unit, log 2 by less than 2: the rest is off by 1 + 2k units at most, before it is halved.
    let k = k - if x.sign() == Sign::Minus { 1 } else { 0 };
    let rest: BigInt = (x - &ln_2 * &k) >> halvings.unsigned_abs();
    let mut error = ((absolute(&k) * 2 + 1) >> halvings.unsigned_abs()) + 2;
    let one = BigInt::from(1) << point.unsigned_abs();
    let (mut sum, mut term, mut n) = (one.clone(), one, 0u32);
    while term != BigInt::ZERO && term != BigInt::from(-1) {
        n += 1;
        term = ((term * &rest) >> point.unsigned_abs()) / n;
        sum += &term;
    }
    // Below one half, an error of the argument at most doubles; a term is off by less than 3 units, and the terms that are left
    // out come to less than 2.
    error = error * 2 + 3 * n + 2;
    for _ in 0..halvings {
        error = ((2 * &sum * &error + &error * &error) >> point.unsigned_abs()) + 2;
        sum = (&sum * &sum) >> point.unsigned_abs();
    }
    let k = i64::try_from(k).unwrap_or_default();
    Ball { middle: sum, radius: error, scale: k - point }.round_to(bits)
}

/// Returns log x, unless the ball contains a number that is not positive.
pub(crate) fn ln(x: &Ball, bits: i64) -> Option<Ball> {
    if x.sign() != Some(1.0) {
        return None;
    }
    if !x.is_exact() {
        // |log(m ± r) − log m| ≤ r/(m − r).
        let radius = Ball::new(x.radius.clone(), x.scale);
        let least = Ball::new(&x.middle - &x.radius, x.scale);
        let spread = radius.over(&least, 64)?;
        let middle = ln(&Ball::new(x.middle.clone(), x.scale), bits)?;
        return Some(middle.widened(spread.exponent_bound()).round_to(bits));
    }
    let length = i64::try_from(x.middle.bits()).ok()?;
    // x = scaled·2^k with scaled from 1/2 to 1, or from 1 to 3/2 where that is nearer to 1.
    let mut k = length.saturating_add(x.scale);
    let mut scaled = Ball::new(x.middle.clone(), -length);
    if scaled.minus(&Ball::from_integer(3).scaled(-2), 64).sign() == Some(-1.0) {
        k -= 1;
        scaled = scaled.scaled(1);
    }
    let above = scaled.minus(&Ball::from_integer(1), bits + length + 2);
    let deep = bits + 70;
    let ln_2 = Ball { middle: ln_2(deep), radius: BigInt::from(2), scale: -deep };
    let multiple_of_ln_2 = ln_2.times(&Ball::from_integer(k), deep);
    if above.is_zero() {
        return Some(multiple_of_ln_2.round_to(bits));
    }
    // log scaled = first + log(scaled·e^−first), where the second logarithm is of a number scaled 1.
    let deep = bits + 16 - above.exponent_bound().min(0).max(-bits);
    let first = Scalar::ln_1p(above.to_double(Some(-10)).unwrap_or_default());
    let small = first.abs() < 1e-30;
    let log = if small {
        ln_1p(&above, bits)?
    } else {
        let first = Ball::from_double(first);
        let rest = scaled.times(&exp(&first.negated(), deep)?, deep).minus(&Ball::from_integer(1), deep);
        first.plus(&ln_1p_series(&rest, deep)?, deep)
    };
    Some(log.plus(&multiple_of_ln_2, bits + 4).round_to(bits))
}

/// Returns log(1 + x), unless the ball contains a number of at most −1.
pub(crate) fn ln_1p(x: &Ball, bits: i64) -> Option<Ball> {
    if x.is_zero() || x.exponent_bound() <= -8 {
        ln_1p_series(x, bits)
    } else {
        ln(&x.plus(&Ball::from_integer(1), 3 * bits), bits)
    }
}

/// Returns log(1 + x) = 2 artanh(x/(2 + x)) by its series, for |x| below 1/16.
fn ln_1p_series(x: &Ball, bits: i64) -> Option<Ball> {
    if x.is_zero() {
        return Some(x.clone());
    }
    if x.exponent_bound() > -4 {
        return None;
    }
    let deep = bits + 16;
    let s = x.over(&x.plus(&Ball::from_integer(2), deep), deep)?;
    let square = s.times(&s, deep);
    let (mut power, mut sum, mut odd) = (s.clone(), s, 1);
    // Each power is at most 2⁻⁸ times the one before, so those that are left out come to less than twice the next.
    while power.exponent_bound() > sum.exponent_bound().saturating_sub(deep) {
        power = power.times(&square, deep);
        odd += 2;
        sum = sum.plus(&power.over(&Ball::from_integer(odd), deep)?, deep);
    }
    Some(sum.widened(power.exponent_bound()).scaled(1).round_to(bits))
}

/// Returns √x, unless the ball contains a number that is not positive.
pub(crate) fn sqrt(x: &Ball, bits: i64) -> Option<Ball> {
    if x.sign() != Some(1.0) {
        return x.is_zero().then(|| x.clone());
    }
    let middle = Ball::new(x.middle.clone(), x.scale).sqrt(bits);
    if x.is_exact() {
        return Some(middle);
    }
    // |√(m ± r) − √m| ≤ r/√m.
    let spread = Ball::new(x.radius.clone(), x.scale).over(&middle, 64)?;
    Some(middle.widened(spread.exponent_bound()).round_to(bits))
}

/// Returns tanh x = (1 − e^−2|x|)/(1 + e^−2|x|).
pub(crate) fn tanh(x: &Ball, bits: i64) -> Option<Ball> {
    if x.is_zero() {
        return Some(x.clone());
    }
    if x.exponent_bound() < -bits {
        // tanh x differs from x by at most |x|³/3.
        return Some(x.widened(x.exponent_bound() * 3));
    }
    if x.middle.sign() == Sign::Minus {
        return Some(tanh(&x.negated(), bits)?.negated());
    }
    // Near 0 the difference cancels as many bits as x lies below 1.
    let deep = bits + 16 - x.exponent_bound().min(0);
    let power = exp(&x.scaled(1).negated(), deep)?;
    let one = Ball::from_integer(1);
    Some(one.minus(&power, deep).over(&one.plus(&power, deep), deep)?.round_to(bits))
}
