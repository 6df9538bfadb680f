//! exp, log, log1p and tanh of [`Ball`]s, by series in fixed point whose every truncation is counted.

use super::ball::{Ball, absolute};
use crate::numeric::Scalar;
use num_bigint::{BigInt, Sign};
use std::cell::RefCell;

thread_local! {
    /// log 2 in fixed point: the bits after the point, and the number.
    static LN_2: RefCell<(i64, BigInt)> = const { RefCell::new((0, BigInt::ZERO)) };
}

/// Beyond ±2 to this, e^x is nothing that a formula's result could depend on.
const FAR: i64 = 40;

/// artanh(1/n) in fixed point, low by less than 3 for each term.
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

/// log 2·2^bits, low by less than 2: 18 artanh 1/26 − 2 artanh 1/4801 + 8 artanh 1/8749.
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

/// log 2 as an interval.
fn ln_2_ball(bits: i64) -> Ball {
    Ball { middle: ln_2(bits), radius: BigInt::from(2), scale: -bits }
}

/// value·2^(bits + scale), rounded down: a dyadic number in fixed point.
fn fixed(value: &BigInt, scale: i64, bits: i64) -> BigInt {
    let by = bits + scale;
    if by >= 0 { value << by.unsigned_abs() } else { value >> by.unsigned_abs() }
}

/// e^x.
pub(crate) fn exp(x: &Ball, bits: i64) -> Option<Ball> {
    if x.is_zero() {
        return Some(Ball::whole(1));
    }
    if x.top() > FAR + 1 {
        // Somewhere between 0 and 2^−2^FAR, or out of reach.
        return (x.sign() == Some(-1.0)).then(|| Ball::whole(0).widened(-(1 << FAR)));
    }
    let middle = exp_exact(&x.middle, x.scale, bits);
    if x.is_exact() {
        return Some(middle);
    }
    // e^r − 1 ≤ 2r for r ≤ 1/2.
    let radius = Ball::new(x.radius.clone(), x.scale);
    if radius.top() > 0 {
        return None;
    }
    let spread = middle.times(&radius, 64).scaled(1);
    Some(middle.widened(spread.top()).cut(bits))
}

/// e^x of x = value·2^scale exactly, |x| below 2^(FAR + 1).
fn exp_exact(value: &BigInt, scale: i64, bits: i64) -> Ball {
    let halvings = 4 + i64::try_from((bits.unsigned_abs() / 2).isqrt()).unwrap_or_default();
    let point = bits + halvings + FAR + 40;
    let x = fixed(value, scale, point);
    let ln_2 = ln_2(point);
    let k = (&x + (&ln_2 >> 1u32)) / &ln_2;
    // x is low by less than 1, log 2 by less than 2: what remains is off by 1 + 2k at most, before it is halved.
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
    // Below one half, an error in the argument gives at most twice that; a term is off by less than 3, and those that are
    // left out come to less than 2.
    error = error * 2 + 3 * n + 2;
    for _ in 0..halvings {
        error = ((2 * &sum * &error + &error * &error) >> point.unsigned_abs()) + 2;
        sum = (&sum * &sum) >> point.unsigned_abs();
    }
    let k = i64::try_from(k).unwrap_or_default();
    Ball { middle: sum, radius: error, scale: k - point }.cut(bits)
}

/// log x; none where the interval holds what has no logarithm.
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
        return Some(middle.widened(spread.top()).cut(bits));
    }
    let length = i64::try_from(x.middle.bits()).ok()?;
    // x = near·2^k with near from 1/2 to 1, or from 1 to 3/2 where that is nearer to 1.
    let mut k = length.saturating_add(x.scale);
    let mut near = Ball::new(x.middle.clone(), -length);
    if near.minus(&Ball::whole(3).scaled(-2), 64).sign() == Some(-1.0) {
        k -= 1;
        near = near.scaled(1);
    }
    let above = near.minus(&Ball::whole(1), bits + length + 2);
    let whole = ln_2_ball(bits + 70).times(&Ball::whole(k), bits + 70);
    if above.is_zero() {
        return Some(whole.cut(bits));
    }
    // log near = first + log(near·e^−first), where the second logarithm is of a number near 1.
    let deep = bits + 16 - above.top().min(0).max(-bits);
    let first = Scalar::ln_1p(above.rounded(Some(-10)).unwrap_or_default());
    let small = first.abs() < 1e-30;
    let log = if small {
        ln_1p(&above, bits)?
    } else {
        let first = Ball::of(first);
        let rest = near.times(&exp(&first.negated(), deep)?, deep).minus(&Ball::whole(1), deep);
        first.plus(&ln_1p_series(&rest, deep)?, deep)
    };
    Some(log.plus(&whole, bits + 4).cut(bits))
}

/// log(1 + x).
pub(crate) fn ln_1p(x: &Ball, bits: i64) -> Option<Ball> {
    if x.is_zero() || x.top() <= -8 { ln_1p_series(x, bits) } else { ln(&x.plus(&Ball::whole(1), 3 * bits), bits) }
}

/// log(1 + x) = 2 artanh(x/(2 + x)) by its series, |x| below 1/16.
fn ln_1p_series(x: &Ball, bits: i64) -> Option<Ball> {
    if x.is_zero() {
        return Some(x.clone());
    }
    if x.top() > -4 {
        return None;
    }
    let deep = bits + 16;
    let s = x.over(&x.plus(&Ball::whole(2), deep), deep)?;
    let square = s.times(&s, deep);
    let (mut power, mut sum, mut odd) = (s.clone(), s, 1);
    // Each power is at most a 2⁻⁸th of the one before: all that are left out come to less than twice the next.
    while power.top() > sum.top().saturating_sub(deep) {
        power = power.times(&square, deep);
        odd += 2;
        sum = sum.plus(&power.over(&Ball::whole(odd), deep)?, deep);
    }
    Some(sum.widened(power.top()).scaled(1).cut(bits))
}

/// tanh x = (1 − e^−2|x|)/(1 + e^−2|x|).
pub(crate) fn tanh(x: &Ball, bits: i64) -> Option<Ball> {
    if x.is_zero() {
        return Some(x.clone());
    }
    if x.top() < -bits {
        // x less at most |x|³/3.
        return Some(x.widened(x.top() * 3));
    }
    if x.middle.sign() == Sign::Minus {
        return Some(tanh(&x.negated(), bits)?.negated());
    }
    // Enclosure 0 the difference cancels as many bits as x lies below 1.
    let deep = bits + 16 - x.top().min(0);
    let power = exp(&x.scaled(1).negated(), deep)?;
    let one = Ball::whole(1);
    Some(one.minus(&power, deep).over(&one.plus(&power, deep), deep)?.cut(bits))
}
