//! Double-double arithmetic: unevaluated sums of two doubles, about 31 digits, for numerical derivatives.
//!
//! Every operation is built from error-free transformations (Dekker, Knuth); exp and ln follow from them within about
//! 1e-30 relative. Exponents are those of doubles, so below about 1e-290 the low part loses digits.

use super::scalar::Scalar;
use crate::simd::error_free::two_sum;
use ndarray::ArrayView1;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The number high + low, with |low| ≤ ulp(high)/2; low is 0 if high is not finite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct DoubleDouble {
    high: f64,
    low: f64,
}

/// log 2 as a sum of three doubles.
const LN_2: [f64; 3] = [std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17, 5.707_708_438_416_212e-34];
/// π/2 as a sum of four doubles.
const QUARTER_TURN: [f64; 4] =
    [std::f64::consts::FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591698e-33, 5.562271104316826e-50];
/// Magnitude from which sine and cosine are those of a double only.
const MAX_REDUCED: f64 = (1u64 << 45) as f64;
/// 1/5!, 1/4!, 1/3!, 1/2!.
const INVERSE_FACTORIALS: [DoubleDouble; 4] = [
    DoubleDouble { high: 0.008333333333333333, low: 1.156_482_317_317_871_4e-19 },
    DoubleDouble { high: 0.041666666666666664, low: 2.312_964_634_635_742_7e-18 },
    DoubleDouble { high: 0.16666666666666666, low: 9.251_858_538_542_97e-18 },
    DoubleDouble { high: 0.5, low: 0.0 },
];
/// 1/√(2π).
const INVERSE_SQRT_2_PI: DoubleDouble = DoubleDouble { high: 0.3989422804014327, low: -2.492_327_202_277_73e-17 };
/// Magnitude above which Φ(−x) and φ(x) are below the smallest double.
const MAX_NORMAL: f64 = 40.0;
/// Number of halvings of the argument of the exponential: e^x is computed as (e^(x/2⁹))^(2⁹).
const HALVINGS: i32 = 9;

/// Returns a·b rounded, and the error of that: their sum is a·b exactly if nothing underflows.
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

impl DoubleDouble {
    /// Returns high + low, normalised; |low| must be the smaller.
    fn new(high: f64, low: f64) -> DoubleDouble {
        let sum = high + low;
        if sum.is_finite() {
            DoubleDouble { high: sum, low: low - (sum - high) }
        } else {
            DoubleDouble { high: sum, low: 0.0 }
        }
    }

    /// Returns high + low, which must be normalised.
    pub(crate) fn from_normalized(high: f64, low: f64) -> DoubleDouble {
        DoubleDouble { high, low }
    }

    /// Returns the nearest double, and the rest.
    pub fn high_low(self) -> (f64, f64) {
        (self.high, self.low)
    }

    /// Returns |x|.
    #[must_use]
    pub fn abs(self) -> DoubleDouble {
        if self.high < 0.0 { -self } else { self }
    }

    /// Returns the exact product of two doubles.
    fn product(a: f64, b: f64) -> DoubleDouble {
        let (high, low) = two_product(a, b);
        if high.is_finite() { DoubleDouble { high, low } } else { DoubleDouble { high, low: 0.0 } }
    }

    /// Returns Σ aₖ·bₖ; the errors of products and sums are added up as doubles (Dot2 of Ogita, Rump and Oishi 2005).
    pub(crate) fn dot(a: ArrayView1<'_, DoubleDouble>, b: ArrayView1<'_, DoubleDouble>) -> DoubleDouble {
        let (mut high, mut low) = (0.0, 0.0);
        for (a, b) in a.iter().zip(b) {
            let (product, error) = two_product(a.high, b.high);
            let (sum, rest) = two_sum(high, product);
            high = sum;
            low += rest + (error + (a.high * b.low + a.low * b.high));
        }
        if high.is_finite() {
            DoubleDouble::new(high, low)
        } else {
            DoubleDouble::sum(a.iter().zip(b).map(|(&a, &b)| a * b))
        }
    }

    /// Returns x·2^k, exactly if nothing underflows.
    fn scaled(self, k: i32) -> DoubleDouble {
        let (half, rest) = (2f64.powi(k / 2), 2f64.powi(k - k / 2));
        DoubleDouble { high: self.high * half * rest, low: self.low * half * rest }
    }

    /// Returns 2x.
    fn doubled(self) -> DoubleDouble {
        DoubleDouble { high: 2.0 * self.high, low: 2.0 * self.low }
    }

    /// Returns x − k·log 2, without rounding k·log 2.
    fn minus_multiple_of_ln_2(self, k: f64) -> DoubleDouble {
        LN_2.iter().fold(self, |x, &part| x - DoubleDouble::product(k, part))
    }

    /// Returns e^x − 1 for |x| below 1/1000, by its series; the terms from the sixth on are below 1e-18 of it, so doubles suffice.
    fn exp_m1_small(self) -> DoubleDouble {
        let x = self.high;
        let tail = [3_628_800.0, 362_880.0, 40_320.0, 5040.0, 720.0]
            .iter()
            .fold(0.0, |sum, factorial| sum * x + 1.0 / factorial);
        let head = INVERSE_FACTORIALS.iter().fold(DoubleDouble::from_f64(tail), |sum, &term| sum * self + term);
        self + self * self * head
    }

    /// Returns e^x − 1 for |x| below 2^halvings/1000, from e^(x/2^halvings) − 1.
    fn exp_m1_by_halving(self, halvings: i32) -> DoubleDouble {
        // (1 + a)² − 1 = 2a + a²: 1 is added only at the end, so no digit of a is lost.
        (0..halvings).fold(self.scaled(-halvings).exp_m1_small(), |above, _| above.doubled() + above * above)
    }

    /// Returns the sine of x and some quarters of a turn.
    fn sine_of_sum(self, quarters: f64) -> DoubleDouble {
        if self.high.is_nan() || self.high.abs() >= MAX_REDUCED {
            let (sine, cosine) = (libm::sin(self.high), libm::cos(self.high));
            return DoubleDouble::from_f64(if quarters == 0.0 {
                sine + cosine * self.low
            } else {
                cosine - sine * self.low
            });
        }
        let turns = (self.high / QUARTER_TURN[0]).round();
        let rest = QUARTER_TURN.iter().fold(self, |x, &part| x - DoubleDouble::product(turns, part));
        let quadrant = (turns + quarters).rem_euclid(4.0);
        let value =
            if quadrant % 2.0 == 0.0 { rest * rest.alternating_series(2.0) } else { rest.alternating_series(1.0) };
        if quadrant < 2.0 { value } else { -value }
    }

    /// Returns 1 − x²/(n·(n + 1))·(1 − x²/((n + 2)·(n + 3))·(1 − …)) for |x| up to π/4: for n = 1 cos x, for n = 2 sin x/x. The
    /// factors from the ninth on change it by less than 1e-16 of it, so doubles suffice.
    fn alternating_series(self, n: f64) -> DoubleDouble {
        let square = self * self;
        let divisor = |level: u32| (n + 2.0 * f64::from(level)) * (n + 2.0 * f64::from(level) + 1.0);
        let tail = (9..15).rev().fold(1.0, |rest, level| 1.0 - square.high / divisor(level) * rest);
        let factor = |rest, level| DoubleDouble::one() - square / DoubleDouble::from_f64(divisor(level)) * rest;
        (0..9).rev().fold(DoubleDouble::from_f64(tail), factor)
    }

    /// Returns log x for x between 1/√2 and √2: near 1 by the series, elsewhere by a step of Newton's method.
    fn ln_near_one(self) -> DoubleDouble {
        let above = self - DoubleDouble::one();
        if above.high.abs() < 0.05 {
            return above.ln_1p_small();
        }
        let first = DoubleDouble::from_f64(Scalar::ln(self.high));
        first + (self * (-first).exp() - DoubleDouble::one())
    }

    /// Returns log(1 + x) = 2·artanh(x/(2 + x)) for |x| below 0.05, by the series.
    fn ln_1p_small(self) -> DoubleDouble {
        let s = self / (self + DoubleDouble::from_f64(2.0));
        let square = s * s;
        let (mut power, mut sum, mut n) = (s, s, 1.0);
        while power.high.abs() > sum.high.abs() * 1e-34 && n < 60.0 {
            n += 2.0;
            power = power * square;
            sum = sum + power / DoubleDouble::from_f64(n);
        }
        sum + sum
    }
}

impl Add for DoubleDouble {
    type Output = DoubleDouble;
    fn add(self, other: DoubleDouble) -> DoubleDouble {
        let (high, error) = two_sum(self.high, other.high);
        if !high.is_finite() {
            return DoubleDouble::from_f64(high);
        }
        let (low, rest) = two_sum(self.low, other.low);
        let first = DoubleDouble::new(high, error + low);
        DoubleDouble::new(first.high, first.low + rest)
    }
}

impl Neg for DoubleDouble {
    type Output = DoubleDouble;
    fn neg(self) -> DoubleDouble {
        DoubleDouble { high: -self.high, low: -self.low }
    }
}

impl Sub for DoubleDouble {
    type Output = DoubleDouble;
    fn sub(self, other: DoubleDouble) -> DoubleDouble {
        self + -other
    }
}

impl Mul for DoubleDouble {
    type Output = DoubleDouble;
    fn mul(self, other: DoubleDouble) -> DoubleDouble {
        let (high, error) = two_product(self.high, other.high);
        if !high.is_finite() {
            return DoubleDouble::from_f64(high);
        }
        DoubleDouble::new(high, error + (self.high * other.low + self.low * other.high))
    }
}

impl Div for DoubleDouble {
    type Output = DoubleDouble;
    fn div(self, other: DoubleDouble) -> DoubleDouble {
        let first = self.high / other.high;
        if !first.is_finite() || !other.high.is_finite() {
            return DoubleDouble::from_f64(first);
        }
        let rest = self - other * DoubleDouble::from_f64(first);
        let second = rest.high / other.high;
        let rest = rest - other * DoubleDouble::from_f64(second);
        DoubleDouble::new(first, second) + DoubleDouble::from_f64(rest.high / other.high)
    }
}

impl Scalar for DoubleDouble {
    fn from_f64(value: f64) -> Self {
        DoubleDouble { high: value, low: 0.0 }
    }

    fn to_f64(self) -> f64 {
        self.high
    }

    fn exp(self) -> Self {
        if self.high.is_nan() || self.high > 710.0 || self.high < -746.0 {
            return DoubleDouble::from_f64(Scalar::exp(self.high));
        }
        let k = (self.high / LN_2[0]).round();
        let above = self.minus_multiple_of_ln_2(k).exp_m1_by_halving(HALVINGS);
        #[allow(clippy::cast_possible_truncation)] // between −1077 and 1025
        let scaled = (above + DoubleDouble::one()).scaled(k as i32);
        if scaled.high.is_finite() { scaled } else { DoubleDouble::from_f64(scaled.high) }
    }

    fn exp_m1(self) -> Self {
        match self.high.abs() {
            // The next term is below the last digit; a subnormal number cannot be halved.
            small if small < 1e-200 => self,
            small if small < 1.0 => self.exp_m1_by_halving(HALVINGS + 1),
            _ => self.exp() - DoubleDouble::one(),
        }
    }

    fn ln(self) -> Self {
        // Also 0, negative numbers, NaN.
        if self.high.is_nan() || self.high <= 0.0 || self.high == f64::INFINITY {
            return DoubleDouble::from_f64(Scalar::ln(self.high));
        }
        let (value, already) = if self.high < 1e-290 { (self.scaled(200), -200) } else { (self, 0) };
        #[allow(clippy::cast_possible_truncation)] // an exponent
        let k = libm::log2(value.high).round() as i32;
        let near = value.scaled(-k).ln_near_one();
        near.minus_multiple_of_ln_2(-f64::from(k + already))
    }

    /// As s + (x − s²)/2s with the root s of the high part (Karp and Markstein 1997); numbers whose squares lose digits to underflow
    /// or overflow are scaled by a power of 4.
    fn sqrt(self) -> Self {
        let root = Scalar::sqrt(self.high);
        if root == 0.0 || !root.is_finite() {
            return DoubleDouble::from_f64(root);
        }
        let by = match self.high {
            small if small < 1e-200 => 300,
            large if large > 1e300 => -4,
            _ => 0,
        };
        let x = self.scaled(2 * by);
        let root = Scalar::sqrt(x.high);
        let rest = x - DoubleDouble::product(root, root);
        DoubleDouble::new(root, rest.high / (2.0 * root)).scaled(-by)
    }

    /// As (1 − q)/(1 + q) with q = e^−2|x|, whose numerator is computed without cancellation.
    fn tanh(self) -> Self {
        if self.high == 0.0 {
            return self;
        }
        let power = self.abs().doubled();
        let above = if power.high < 2.0 {
            (-power).exp_m1_by_halving(HALVINGS + 2)
        } else {
            (-power).exp() - DoubleDouble::one()
        };
        let magnitude = -above / (above + DoubleDouble::from_f64(2.0));
        if self.high < 0.0 { -magnitude } else { magnitude }
    }

    fn sin(self) -> Self {
        self.sine_of_sum(0.0)
    }

    fn cos(self) -> Self {
        self.sine_of_sum(1.0)
    }

    fn ln_1p(self) -> Self {
        if self.high.abs() < 0.05 { self.ln_1p_small() } else { (DoubleDouble::one() + self).ln() }
    }

    /// Near 0 as 1/2 + φ(x)·(x + x³/3 + x⁵/15 + …), whose terms have one sign; elsewhere from the tail Φ(−|x|) = φ(x)/(|x| +
    /// 1/(|x| + 2/(|x| + 3/(|x| + …)))), Laplace's continued fraction. Its error after n levels is about e^(−2|x|√n).
    fn normal_cdf(self) -> Self {
        let x = self.abs();
        if x.high.is_nan() || x.high > MAX_NORMAL {
            let limit = if self.high > 0.0 { 1.0 } else { 0.0 };
            return DoubleDouble::from_f64(if x.high.is_nan() { x.high } else { limit });
        }
        if x.high < 2.0 {
            let square = self * self;
            let (mut term, mut sum, mut odd) = (self, self, 1.0);
            while term.high.abs() > sum.high.abs() * 1e-33 {
                odd += 2.0;
                term = term * square / DoubleDouble::from_f64(odd);
                sum = sum + term;
            }
            return DoubleDouble::from_f64(0.5) + self.normal_density() * sum;
        }
        let levels = 40.0 + 1400.0 / (x.high * x.high);
        let mut fraction = x;
        let mut level = levels.ceil();
        while level > 0.0 {
            fraction = x + DoubleDouble::from_f64(level) / fraction;
            level -= 1.0;
        }
        let tail = self.normal_density() / fraction;
        if self.high < 0.0 { tail } else { DoubleDouble::one() - tail }
    }

    fn normal_density(self) -> Self {
        if self.high.abs() > MAX_NORMAL {
            return DoubleDouble::zero();
        }
        let exponent = -(self * self).scaled(-1);
        exponent.exp() * INVERSE_SQRT_2_PI
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn read(value: &Value) -> DoubleDouble {
        let part = |n: usize| value[n].as_f64().unwrap();
        DoubleDouble { high: part(0), low: part(1) }
    }

    #[test]
    fn every_function_is_within_1e_30_of_values_computed_independently() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/doubled/cases.json")).unwrap();
        for name in ["exp", "ln", "ln_1p", "sqrt", "sin", "cos", "normal_cdf", "normal_density", "add", "mul", "div"] {
            let cases: Vec<&Value> = cases.iter().filter(|case| case["function"] == name).collect();
            assert!(cases.len() >= 50, "{name}");
            for case in cases {
                let x = read(&case["x"]);
                let by = || read(&case["by"]);
                let got = match name {
                    "exp" => x.exp(),
                    "ln" => x.ln(),
                    "ln_1p" => x.ln_1p(),
                    "sqrt" => x.sqrt(),
                    "sin" => x.sin(),
                    "cos" => x.cos(),
                    "normal_cdf" => x.normal_cdf(),
                    "normal_density" => x.normal_density(),
                    "add" => x + by(),
                    "mul" => x * by(),
                    _ => x / by(),
                };
                let want = read(&case["y"]);
                let off = (got - want).to_f64().abs();
                // An exponent of −600 has as many digits fewer.
                let most = if name.starts_with("normal") { 1e-28 } else { 1e-30 };
                assert!(off <= want.to_f64().abs() * most, "{name}: {case}: {got:?}, off by {off:e}");
            }
        }
    }

    #[test]
    fn infinities_and_nan_behave_as_in_doubles() {
        let d = DoubleDouble::from_f64;
        let (inf, zero) = (d(f64::INFINITY), d(0.0));
        for (got, want) in [
            (d(f64::NEG_INFINITY).exp(), 0.0),
            (d(-1e5).exp(), 0.0),
            (d(1e5).exp(), f64::INFINITY),
            (zero.ln(), f64::NEG_INFINITY),
            (inf.ln(), f64::INFINITY),
            (inf.ln_1p(), f64::INFINITY),
            (d(-1.0).ln_1p(), f64::NEG_INFINITY),
            (inf + d(1.0), f64::INFINITY),
            (d(1.0) / inf, 0.0),
            (inf.sqrt(), f64::INFINITY),
            (zero.sqrt(), 0.0),
            (d(1.0) / zero, f64::INFINITY),
            (d(f64::MAX) * d(2.0), f64::INFINITY),
            (d(f64::MAX) + d(f64::MAX), f64::INFINITY),
        ] {
            assert_eq!(got, d(want));
        }
        for nan in [
            inf - inf,
            zero * inf,
            zero / zero,
            inf / inf,
            d(-1.0).ln(),
            d(-1.0).sqrt(),
            d(f64::NAN).exp(),
            d(f64::NAN) + zero,
        ] {
            assert!(nan.to_f64().is_nan() && nan.partial_cmp(&zero).is_none(), "{nan:?}");
        }
    }

    #[test]
    fn a_dot_product_is_the_sum_of_its_products() {
        let number = |n: usize| {
            DoubleDouble::one() / DoubleDouble::from_f64(n as f64 * 0.37 - 5.0)
                * DoubleDouble::from_f64(10f64.powi(n as i32 % 9))
        };
        let a = ndarray::Array1::from_iter((0..60).map(number));
        let b = ndarray::Array1::from_iter((60..120).map(number));
        let products: Vec<DoubleDouble> = a.iter().zip(&b).map(|(&a, &b)| a * b).collect();
        let magnitude: f64 = products.iter().map(|product| product.to_f64().abs()).sum();
        let off = DoubleDouble::dot(a.view(), b.view()) - DoubleDouble::sum(products.into_iter());
        assert!(off.abs().to_f64() <= 1e-29 * magnitude, "{off:?}");
        let infinite = ndarray::arr1(&[DoubleDouble::from_f64(f64::INFINITY), DoubleDouble::one()]);
        assert_eq!(
            DoubleDouble::dot(infinite.view(), ndarray::arr1(&[DoubleDouble::one(); 2]).view()).to_f64(),
            f64::INFINITY
        );
    }

    #[test]
    fn comparison_and_conversion_use_both_parts() {
        let above = DoubleDouble::one() + DoubleDouble::from_f64(1e-25);
        assert!(above > DoubleDouble::one() && above - DoubleDouble::one() == DoubleDouble::from_f64(1e-25));
        assert!(DoubleDouble::from_f64(-0.0).to_f64().is_sign_negative());
        assert_eq!(DoubleDouble::from_f64(-2.0).abs(), DoubleDouble::from_f64(2.0));
    }
}
