//! Sigmoid, tanh and their gradients.
//!
//! Exponentials and denominators are sums of two doubles up to the last operation. docs/accuracy.md states the error bounds.

use crate::simd::accuracy::{Accuracy, accuracy};
use crate::simd::dispatch::dispatch;
use crate::simd::error_free::{UPPER_HALF, approximate_reciprocal, fast_two_sum, quotient};
use crate::simd::exp::{INTEGER_SHIFT, exp_fraction, exp_minus_one, exp_short, scale_by_power_of_two};
use crate::simd::f64x8::{F64x8, SimdF64};
use crate::simd::map::{Elementwise, map};
use std::marker::PhantomData;

/// All bits except the sign.
const MAGNITUDE: u64 = !(1 << 63);
/// For arguments e^−x up to this x, the low part of the exponential is a normal number.
const MAX_NORMAL_ARGUMENT: f64 = 600.0;

dispatch! {
    /// y = 1/(1 + e⁻ˣ).
    pub fn sigmoid<V>(x: &[f64], y: &mut [f64]) {
        value_of_each::<V, Sigmoid>(x, y);
    }
}

dispatch! {
    /// dx = dout·e^−|x|/(1 + e^−|x|)².
    pub fn sigmoid_gradient<V>(x: &[f64], dout: &[f64], dx: &mut [f64]) {
        gradient_of_each::<V, Sigmoid>(x, dout, dx);
    }
}

dispatch! {
    /// y = tanh x.
    pub fn tanh<V>(x: &[f64], y: &mut [f64]) {
        value_of_each::<V, Tanh>(x, y);
    }
}

dispatch! {
    /// dx = dout·4·e^−2|x|/(1 + e^−2|x|)².
    pub fn tanh_gradient<V>(x: &[f64], dout: &[f64], dx: &mut [f64]) {
        gradient_of_each::<V, Tanh>(x, dout, dx);
    }
}

#[inline(always)]
fn value_of_each<V: F64x8, A: Activation>(x: &[f64], y: &mut [f64]) {
    match accuracy() {
        Accuracy::Double => map::<V, _, 1>(&ActivationMap::<A>::new::<V>(x), [x], y),
        Accuracy::Single => map::<V, _, 1>(&ShortMap::<A>(PhantomData), [x], y),
    }
}

#[inline(always)]
fn gradient_of_each<V: F64x8, A: Activation>(x: &[f64], dout: &[f64], dx: &mut [f64]) {
    match accuracy() {
        Accuracy::Double => map::<V, _, 2>(&ActivationMap::<A>::new::<V>(x), [x, dout], dx),
        Accuracy::Single => map::<V, _, 2>(&ShortMap::<A>(PhantomData), [x, dout], dx),
    }
}

/// A function with the derivative `FACTOR`²·q/(1 + q)², where q = e^(−FACTOR·|x|).
trait Activation {
    const FACTOR: f64;
    /// Returns the function's value. Without `may_underflow`, q is a normal number.
    fn value<V: SimdF64>(x: V, may_underflow: bool) -> V;
    /// Returns the function's value with a relative error of about 10⁻¹², given q.
    fn short_value<V: SimdF64>(x: V, q: V) -> V;
}

struct Sigmoid;

impl Activation for Sigmoid {
    const FACTOR: f64 = 1.0;
    /// 1/(1 + q), and q/(1 + q) for negative x.
    #[inline(always)]
    fn value<V: SimdF64>(x: V, may_underflow: bool) -> V {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let (sum, small, k) = exp_fraction(zero - x.and_bits(MAGNITUDE), zero, may_underflow);
        let (fraction, fraction_low) = fast_two_sum(sum, small);
        let q = scale_by_power_of_two(fraction, k, may_underflow);
        let q_low = scale_by_power_of_two(fraction_low, k, may_underflow);
        let (denominator, low) = fast_two_sum(one, q);
        let low = low + q_low;
        if !may_underflow {
            return quotient(x.select_lt(zero, q, one), x.select_lt(zero, q_low, zero), denominator, low);
        }
        // Scaled at the end, so that a subnormal result is rounded once.
        let (numerator, numerator_low) = (x.select_lt(zero, fraction, one), x.select_lt(zero, fraction_low, zero));
        let k = x.select_lt(zero, k, V::splat(INTEGER_SHIFT));
        scale_by_power_of_two(quotient(numerator, numerator_low, denominator, low), k, may_underflow)
    }
    #[inline(always)]
    fn short_value<V: SimdF64>(x: V, q: V) -> V {
        let one = V::splat(1.0);
        x.select_lt(V::splat(0.0), q, one) / (one + q)
    }
}

struct Tanh;

impl Activation for Tanh {
    const FACTOR: f64 = 2.0;
    /// −(q − 1)/(2 + (q − 1)) with the sign of x; near 0 it is x.
    #[inline(always)]
    fn value<V: SimdF64>(x: V, _: bool) -> V {
        // Beyond 19.1 the result is 1.
        let (zero, clamp, near_zero) = (V::splat(0.0), V::splat(20.0), V::splat(2f64.powi(-28)));
        let magnitude = x.and_bits(MAGNITUDE);
        let (q_minus_one, rest) = exp_minus_one(V::splat(-2.0) * clamp.select_lt(magnitude, clamp, magnitude));
        let (denominator, low) = fast_two_sum(V::splat(2.0), q_minus_one);
        let y = quotient(zero - q_minus_one, zero - rest, denominator, low + rest);
        magnitude.select_lt(near_zero, x, x.select_lt(zero, zero - y, y))
    }
    /// Near 0, where 1 − q cancels, x − x³/3.
    #[inline(always)]
    fn short_value<V: SimdF64>(x: V, q: V) -> V {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let y = (one - q) / (one + q);
        let near_zero = x * (one - x * x * V::splat(1.0 / 3.0));
        x.and_bits(MAGNITUDE).select_lt(V::splat(2f64.powi(-12)), near_zero, x.select_lt(zero, zero - y, y))
    }
}

/// An activation, elementwise; of two inputs, the second times the derivative at the first.
struct ActivationMap<A> {
    may_underflow: bool,
    activation: PhantomData<A>,
}

impl<A: Activation> ActivationMap<A> {
    /// Returns the map for some arguments.
    #[inline(always)]
    fn new<V: F64x8>(x: &[f64]) -> Self {
        ActivationMap { may_underflow: may_underflow::<V>(x, A::FACTOR), activation: PhantomData }
    }
}

impl<A: Activation> Elementwise<1> for ActivationMap<A> {
    const PREFETCH_DISTANCE_ELEMENTS: usize = 1 << 9;
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [x]: [V; 1]) -> V {
        A::value(x, self.may_underflow)
    }
}

impl<A: Activation> Elementwise<2> for ActivationMap<A> {
    const PREFETCH_DISTANCE_ELEMENTS: usize = 1 << 9;
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [x, dout]: [V; 2]) -> V {
        dout * derivative::<V, A>(x, self.may_underflow)
    }
}

/// An activation in fewer operations, for results that are rounded to 24 bits or fewer.
struct ShortMap<A>(PhantomData<A>);

/// Returns e^(−FACTOR·|x|).
#[inline(always)]
fn short_power<V: SimdF64, A: Activation>(x: V) -> V {
    exp_short(V::splat(-A::FACTOR) * x.and_bits(MAGNITUDE))
}

impl<A: Activation> Elementwise<1> for ShortMap<A> {
    const PREFETCH_DISTANCE_ELEMENTS: usize = 1 << 9;
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [x]: [V; 1]) -> V {
        A::short_value(x, short_power::<V, A>(x))
    }
}

impl<A: Activation> Elementwise<2> for ShortMap<A> {
    const PREFETCH_DISTANCE_ELEMENTS: usize = 1 << 9;
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [x, dout]: [V; 2]) -> V {
        let q = short_power::<V, A>(x);
        let denominator = V::splat(1.0) + q;
        dout * (V::splat(A::FACTOR * A::FACTOR) * q / (denominator * denominator))
    }
}

#[inline(always)]
fn derivative<V: SimdF64, A: Activation>(x: V, may_underflow: bool) -> V {
    let (sum, small, k) = exp_fraction(V::splat(-A::FACTOR) * x.and_bits(MAGNITUDE), V::splat(0.0), may_underflow);
    let (fraction, fraction_low) = fast_two_sum(sum, small);
    let q = scale_by_power_of_two(fraction, k, may_underflow);
    let (denominator, low) = fast_two_sum(V::splat(1.0), q);
    let low = low + scale_by_power_of_two(fraction_low, k, may_underflow);
    // denominator² as a sum of two doubles; the square of the upper half is exact.
    let (square, upper) = (denominator * denominator, denominator.and_bits(UPPER_HALF));
    let square_low =
        (upper * upper - square) + (denominator + upper) * (denominator - upper) + (denominator + denominator) * low;
    // The difference of (fraction + fraction_low)/(denominator + low)² and the rounded quotient, to first order.
    let (ratio, reciprocal) = (fraction / square, approximate_reciprocal(denominator));
    let correction = (fraction_low - ratio * square_low) * (reciprocal * reciprocal);
    // Scaled at the end, so that a subnormal result is rounded once.
    scale_by_power_of_two((ratio + correction) * V::splat(A::FACTOR * A::FACTOR), k, may_underflow)
}

/// Returns true if FACTOR·|x| exceeds [`MAX_NORMAL_ARGUMENT`] for any x.
#[inline(always)]
fn may_underflow<V: F64x8>(x: &[f64], factor: f64) -> bool {
    let (mut largest, mut elements) = (V::splat(0.0), [0.0; 8]);
    let (chunks, rest) = x.as_chunks();
    for chunk in chunks {
        largest = V::load(chunk).and_bits(MAGNITUDE).max(largest);
    }
    largest.store(&mut elements);
    elements.iter().chain(rest).any(|x| factor * x.abs() > MAX_NORMAL_ARGUMENT)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // the test needs powf for random exponents only
mod tests {
    use super::*;
    use crate::numeric::{DoubleDouble, Scalar};
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};
    use proptest::prelude::*;

    type Results = (Vec<f64>, Vec<f64>);

    /// Returns sigmoid and tanh of each x, each with dout times its derivative.
    fn results(x: &[f64], dout: &[f64]) -> [Results; 2] {
        let run = |value: fn(&[f64], &mut [f64]), gradient: fn(&[f64], &[f64], &mut [f64])| {
            let (mut y, mut dx) = (vec![9.0; x.len()], vec![9.0; x.len()]);
            value(x, &mut y);
            gradient(x, dout, &mut dx);
            (y, dx)
        };
        [run(sigmoid, sigmoid_gradient), run(tanh, tanh_gradient)]
    }

    /// Returns the distance of a result from a double-double in ulps. Double-doubles below the normal numbers have few digits.
    fn ulps(found: f64, exact: DoubleDouble) -> f64 {
        let double = exact.to_f64().abs();
        let ulp = (double.next_up() - double).max(if double < 1e-280 { double * 1e-12 } else { 0.0 });
        ((DoubleDouble::from_f64(found) - exact).to_f64() / ulp.max(f64::from_bits(2))).abs()
    }

    fn every_magnitude() -> impl Strategy<Value = Vec<f64>> {
        let number = (-1.0..1.0f64, -20.0..1.0f64).prop_map(|(x, power)| x * 10f64.powf(power));
        let large = (-1.0..1.0f64, prop::sample::select(vec![2.0, 30.0, 800.0])).prop_map(|(x, scale)| x * scale);
        prop::collection::vec(prop_oneof![number, large], 1..50)
    }

    proptest! {
        #[test]
        fn neighbours_change_no_bit(x in every_magnitude(), dout in -9.0..9.0f64) {
            let expected = results(&x, &vec![dout; x.len()]);
            for (n, &x) in x.iter().enumerate() {
                for (expected, found) in expected.iter().zip(results(&[x], &[dout])) {
                    prop_assert!(found == (vec![expected.0[n]], vec![expected.1[n]]), "{x}: {found:?}");
                }
            }
        }
    }

    /// The largest errors that benches/worst_ulp.py finds are 0.84 ulp for values and 1.43 ulp for gradients.
    #[test]
    fn values_are_within_one_ulp_and_gradients_within_two_also_where_their_errors_are_largest() {
        let largest_errors =
            [-17.6628834041029, -21.140181880889042, -0.06255205366069538, 0.06160292919365308, -14.710104608460023];
        let magnitudes = (0..4000).flat_map(|n| [1e-3, 0.7, 20.0, 700.0].map(|scale| scale * f64::from(n) / 3999.0));
        let x: Vec<f64> = magnitudes.flat_map(|x| [x, -x]).chain(largest_errors).collect();
        let one = DoubleDouble::one();
        let [sigmoid, tanh] = results(&x, &vec![1.0; x.len()]);
        for (n, &x) in x.iter().enumerate() {
            let exp = |factor: f64| DoubleDouble::from_f64(-factor * x.abs()).exp();
            let (q, q_squared) = (exp(1.0), exp(2.0));
            let numerator = if x < 0.0 { q } else { one };
            let derivative = |q: DoubleDouble| q / ((one + q) * (one + q));
            let four = DoubleDouble::from_f64(4.0);
            assert!(ulps(sigmoid.0[n], numerator / (one + q)) < 1.0, "sigmoid {x}: {}", sigmoid.0[n]);
            assert!(ulps(tanh.0[n], DoubleDouble::from_f64(x).tanh()) < 1.0, "tanh {x}: {}", tanh.0[n]);
            assert!(ulps(sigmoid.1[n], derivative(q)) < 2.0, "sigmoid gradient {x}: {}", sigmoid.1[n]);
            assert!(ulps(tanh.1[n], four * derivative(q_squared)) < 2.0, "tanh gradient {x}: {}", tanh.1[n]);
        }
    }

    #[test]
    fn short_results_have_more_digits_than_single_precision() {
        let x: Vec<f64> =
            (0..4000).flat_map(|n| [1e-9, 1e-3, 0.7, 20.0].map(|scale| scale * f64::from(n - 2000) / 2000.0)).collect();
        let dout = vec![1.0; x.len()];
        let short = crate::simd::accuracy::with_accuracy(Accuracy::Single, || results(&x, &dout));
        for (short, real) in short.into_iter().zip(results(&x, &dout)) {
            let pairs = short.0.iter().zip(&real.0).chain(short.1.iter().zip(&real.1));
            for (short, real) in pairs {
                assert!((short - real).abs() <= 2e-10 * real.abs(), "{short} {real}");
            }
        }
    }

    #[test]
    fn limits_are_exact_and_nan_stays_in_its_place() {
        let x = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 800.0, -800.0, 5e-324, f64::NAN, 1e-310];
        for isa in IsaLevel::available() {
            let [sigmoid, tanh] = with_isa_limit(isa, || results(&x, &[4.0; 11]));
            assert_eq!(sigmoid.0[..9], [0.5, 0.5, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.5], "{isa:?}");
            assert_eq!(sigmoid.1[..9], [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], "{isa:?}");
            assert_eq!(tanh.0[..9], [0.0, -0.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 5e-324], "{isa:?}");
            assert_eq!(tanh.1[..9], [4.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0], "{isa:?}");
            assert!(tanh.0[1].is_sign_negative() && tanh.0[10] == 1e-310);
            for (y, dx) in [sigmoid, tanh] {
                assert!(y[9].is_nan() && dx[9].is_nan() && !y[10].is_nan() && !dx[10].is_nan(), "{isa:?}");
            }
        }
    }

    #[test]
    fn empty_inputs_give_empty_results() {
        assert!(results(&[], &[]).iter().all(|(y, dx)| y.is_empty() && dx.is_empty()));
    }
}
