//! Sigmoid and tanh, and their gradients, of number after number.
//!
//! The power of e and what is divided by are carried in two parts up to the last operation: y is within 0.8 ulp and a slope
//! within 1.3 in what was measured (benches/accuracy.py), also where they are below the normal numbers.

use crate::simd::dispatch::{Instructions, widest};
use crate::simd::error_free::{larger_first, nearly_inverse, quotient};
use crate::simd::exp::{INTEGER, UPPER, fraction, power_less_one, scaled};
use crate::simd::f64x8::{Lanes, Numbers, Twice, padded, twos, twos_mut};

/// All bits but the sign.
const MAGNITUDE: u64 = !(1 << 63);
/// Up to here even the rest of a power is a normal number, whose bits a factor keeps.
const SHALLOW: f64 = 600.0;
/// What comes next is asked for while these are worked on.
const AHEAD: usize = 1 << 9;

/// y = 1/(1 + e⁻ˣ).
pub fn sigmoid(x: &[f64], y: &mut [f64]) {
    sigmoid_by(Instructions::best(), x, y);
}

/// dx = dout·e^−|x|/(1 + e^−|x|)².
pub fn sigmoid_gradient(x: &[f64], dout: &[f64], dx: &mut [f64]) {
    sigmoid_gradient_by(Instructions::best(), x, dout, dx);
}

/// y = tanh x.
pub fn tanh(x: &[f64], y: &mut [f64]) {
    tanh_by(Instructions::best(), x, y);
}

/// dx = dout·4·e^−2|x|/(1 + e^−2|x|)².
pub fn tanh_gradient(x: &[f64], dout: &[f64], dx: &mut [f64]) {
    tanh_gradient_by(Instructions::best(), x, dout, dx);
}

widest! {
    fn sigmoid_by<V>(x: &[f64], y: &mut [f64]) {
        values::<V, Sigmoid>(x, y);
    }
}

widest! {
    fn sigmoid_gradient_by<V>(x: &[f64], dout: &[f64], dx: &mut [f64]) {
        gradients::<V, Sigmoid>(x, dout, dx);
    }
}

widest! {
    fn tanh_by<V>(x: &[f64], y: &mut [f64]) {
        values::<V, Tanh>(x, y);
    }
}

widest! {
    fn tanh_gradient_by<V>(x: &[f64], dout: &[f64], dx: &mut [f64]) {
        gradients::<V, Tanh>(x, dout, dx);
    }
}

/// A function whose slope is `factor`²·q/(1 + q)² with q = e^(−factor·|x|).
trait Curve {
    const FACTOR: f64;
    /// The function; where it is not `deep`, q is a normal number.
    fn value<V: Numbers>(x: V, deep: bool) -> V;
}

struct Sigmoid;

impl Curve for Sigmoid {
    const FACTOR: f64 = 1.0;
    /// 1/(1 + q), of negative x q/(1 + q).
    #[inline(always)]
    fn value<V: Numbers>(x: V, deep: bool) -> V {
        let (zero, one) = (V::all(0.0), V::all(1.0));
        let (sum, small, k) = fraction(zero - x.masked(MAGNITUDE), zero, deep);
        let (power, rest) = larger_first(sum, small);
        let (q, q_rest) = (scaled(power, k, deep), scaled(rest, k, deep));
        let (whole, low) = larger_first(one, q);
        let low = low + q_rest;
        if !deep {
            return quotient(x.if_below(zero, q, one), x.if_below(zero, q_rest, zero), whole, low);
        }
        // Scaled at the end, so that what is below the normal numbers is rounded once.
        let (power, rest) = (x.if_below(zero, power, one), x.if_below(zero, rest, zero));
        scaled(quotient(power, rest, whole, low), x.if_below(zero, k, V::all(INTEGER)), deep)
    }
}

struct Tanh;

impl Curve for Tanh {
    const FACTOR: f64 = 2.0;
    /// −(q − 1)/(2 + (q − 1)) with the sign of x, which near 0 is x itself.
    #[inline(always)]
    fn value<V: Numbers>(x: V, _: bool) -> V {
        let (zero, most, near) = (V::all(0.0), V::all(20.0), V::all(2f64.powi(-28)));
        let size = x.masked(MAGNITUDE);
        // From 19.1 on it is 1.
        let (less, rest) = power_less_one(V::all(-2.0) * most.if_below(size, most, size));
        let (whole, low) = larger_first(V::all(2.0), less);
        let y = quotient(zero - less, zero - rest, whole, low + rest);
        size.if_below(near, x, x.if_below(zero, zero - y, y))
    }
}

/// A curve's value at each x.
#[inline(always)]
fn values<V: Lanes, C: Curve>(x: &[f64], y: &mut [f64]) {
    let deep = is_deep::<V>(x, C::FACTOR);
    let ((x, x_left), (y, y_left)) = (x.as_chunks(), y.as_chunks_mut());
    let ((pairs, x), (y_pairs, y)) = (twos::<V>(x), twos_mut::<V>(y));
    for (x, y) in pairs.iter().zip(y_pairs) {
        Twice::<V>::expect(x, AHEAD);
        C::value(Twice::<V>::load(x), deep).store(y);
    }
    for (x, y) in x.iter().zip(y) {
        C::value(V::load(x), deep).store(y);
    }
    if !x_left.is_empty() {
        let mut y = [0.0; 8];
        C::value(V::load(&padded(x_left, 0.0)), deep).store(&mut y);
        y_left.copy_from_slice(&y[..y_left.len()]);
    }
}

/// dout times a curve's slope at each x.
#[inline(always)]
fn gradients<V: Lanes, C: Curve>(x: &[f64], dout: &[f64], dx: &mut [f64]) {
    let deep = is_deep::<V>(x, C::FACTOR);
    let ((x, x_left), (dout, dout_left), (dx, dx_left)) = (x.as_chunks(), dout.as_chunks(), dx.as_chunks_mut());
    let ((pairs, x), (dout_pairs, dout), (dx_pairs, dx)) = (twos::<V>(x), twos::<V>(dout), twos_mut::<V>(dx));
    for ((x, dout), dx) in pairs.iter().zip(dout_pairs).zip(dx_pairs) {
        Twice::<V>::expect(x, AHEAD);
        Twice::<V>::expect(dout, AHEAD);
        (Twice::<V>::load(dout) * slope::<_, C>(Twice::load(x), deep)).store(dx);
    }
    for ((x, dout), dx) in x.iter().zip(dout).zip(dx) {
        (V::load(dout) * slope::<V, C>(V::load(x), deep)).store(dx);
    }
    if !x_left.is_empty() {
        let (x, dout, mut dx) = (padded(x_left, 0.0), padded(dout_left, 0.0), [0.0; 8]);
        (V::load(&dout) * slope::<V, C>(V::load(&x), deep)).store(&mut dx);
        dx_left.copy_from_slice(&dx[..dx_left.len()]);
    }
}

#[inline(always)]
fn slope<V: Numbers, C: Curve>(x: V, deep: bool) -> V {
    let zero = V::all(0.0);
    let (sum, small, k) = fraction(V::all(-C::FACTOR) * x.masked(MAGNITUDE), zero, deep);
    let (power, rest) = larger_first(sum, small);
    let (whole, low) = larger_first(V::all(1.0), scaled(power, k, deep));
    let low = low + scaled(rest, k, deep);
    // whole² in two parts: the square of the upper half is exact.
    let (square, upper) = (whole * whole, whole.masked(UPPER));
    let square_low = (upper * upper - square) + (whole + upper) * (whole - upper) + (whole + whole) * low;
    // What power/whole² is short of (power + rest)/(whole + low)².
    let (slope, inverse) = (power / square, nearly_inverse(whole));
    let short = (rest - slope * square_low) * (inverse * inverse);
    // Scaled at the end, so that what is below the normal numbers is rounded once.
    scaled((slope + short) * V::all(C::FACTOR * C::FACTOR), k, deep)
}

/// Whether factor·|x| is beyond [`SHALLOW`] for any x.
#[inline(always)]
fn is_deep<V: Lanes>(x: &[f64], factor: f64) -> bool {
    let (mut most, mut lanes) = (V::all(0.0), [0.0; 8]);
    let (eights, left) = x.as_chunks();
    for x in eights {
        most = V::load(x).masked(MAGNITUDE).larger(most);
    }
    most.store(&mut lanes);
    lanes.iter().chain(left).any(|x| factor * x.abs() > SHALLOW)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // what the system gives
mod tests {
    use super::*;
    use crate::numeric::{DoubleDouble, Scalar};
    use proptest::prelude::*;

    type Made = (Vec<f64>, Vec<f64>);

    /// Sigmoid and tanh of each x, each with dout times its slope.
    fn made(instructions: Instructions, x: &[f64], dout: &[f64]) -> [Made; 2] {
        let made = |work: fn(Instructions, &[f64], &mut [f64]), back: fn(Instructions, &[f64], &[f64], &mut [f64])| {
            let (mut y, mut dx) = (vec![9.0; x.len()], vec![9.0; x.len()]);
            work(instructions, x, &mut y);
            back(instructions, x, dout, &mut dx);
            (y, dx)
        };
        [made(sigmoid_by, sigmoid_gradient_by), made(tanh_by, tanh_gradient_by)]
    }

    /// How many last places a result is from the double-double one; below the normal numbers those have no digits to spare.
    fn ulps(found: f64, real: DoubleDouble) -> f64 {
        let double = real.to_f64().abs();
        let place = (double.next_up() - double).max(if double < 1e-280 { double * 1e-12 } else { 0.0 });
        ((DoubleDouble::from_f64(found) - real).to_f64() / place.max(f64::from_bits(2))).abs()
    }

    fn every_magnitude() -> impl Strategy<Value = Vec<f64>> {
        let number = (-1.0..1.0f64, -20.0..1.0f64).prop_map(|(x, power)| x * 10f64.powf(power));
        let far = (-1.0..1.0f64, prop::sample::select(vec![2.0, 30.0, 800.0])).prop_map(|(x, top)| x * top);
        prop::collection::vec(prop_oneof![number, far], 1..50)
    }

    proptest! {
        #[test]
        fn values_are_within_four_fifths_of_an_ulp_and_slopes_within_seven(x in every_magnitude()) {
            let one = DoubleDouble::one();
            let [sigmoid, tanh] = made(Instructions::best(), &x, &vec![1.0; x.len()]);
            for (n, &at) in x.iter().enumerate() {
                let wide = DoubleDouble::from_f64(at);
                let power = |of: f64| DoubleDouble::from_f64(-of * at.abs()).exp();
                let (one_power, two_powers) = (power(1.0), power(2.0));
                let upper = if at < 0.0 { one_power } else { one };
                let slope = |power: DoubleDouble| power / ((one + power) * (one + power));
                let four = DoubleDouble::from_f64(4.0);
                prop_assert!(ulps(sigmoid.0[n], upper / (one + one_power)) < 0.8, "{at}: {}", sigmoid.0[n]);
                prop_assert!(ulps(tanh.0[n], wide.tanh()) < 0.8, "{at}: {}", tanh.0[n]);
                prop_assert!(ulps(sigmoid.1[n], slope(one_power)) < 1.4, "{at}: {}", sigmoid.1[n]);
                prop_assert!(ulps(tanh.1[n], four * slope(two_powers)) < 1.4, "{at}: {}", tanh.1[n]);
            }
        }

        #[test]
        fn instructions_and_neighbours_change_no_bit(x in every_magnitude(), dout in -9.0..9.0f64) {
            let douts = vec![dout; x.len()];
            let all = made(Instructions::best(), &x, &douts);
            for instructions in Instructions::all() {
                prop_assert_eq!(&all, &made(instructions, &x, &douts), "{:?}", instructions);
            }
            for (n, &at) in x.iter().enumerate() {
                for (all, alone) in all.iter().zip(made(Instructions::best(), &[at], &[dout])) {
                    prop_assert!(alone == (vec![all.0[n]], vec![all.1[n]]), "{at}: {alone:?}");
                }
            }
        }
    }

    #[test]
    fn ends_are_exact_and_nan_stays_where_it_is() {
        let x = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 800.0, -800.0, 5e-324, f64::NAN, 1e-310];
        for instructions in Instructions::all() {
            let [sigmoid, tanh] = made(instructions, &x, &[4.0; 11]);
            assert_eq!(sigmoid.0[..9], [0.5, 0.5, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.5], "{instructions:?}");
            assert_eq!(sigmoid.1[..9], [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], "{instructions:?}");
            assert_eq!(tanh.0[..9], [0.0, -0.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 5e-324], "{instructions:?}");
            assert_eq!(tanh.1[..9], [4.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0], "{instructions:?}");
            assert!(tanh.0[1].is_sign_negative() && tanh.0[10] == 1e-310);
            for (y, dx) in [sigmoid, tanh] {
                assert!(y[9].is_nan() && dx[9].is_nan() && !y[10].is_nan() && !dx[10].is_nan(), "{instructions:?}");
            }
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(made(Instructions::best(), &[], &[]).iter().all(|(y, dx)| y.is_empty() && dx.is_empty()));
    }
}
