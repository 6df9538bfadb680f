//! eˣ for x ≤ 0, many at a time.
//!
//! Written in additions and multiplications that are each rounded, so that every processor gives the same bits, and without
//! a branch, so that it runs in whatever vectors there are.

/// log₂ e.
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// log 2 in two parts; the first ends in 32 zeros, so that its multiples up to 2¹¹ are exact.
const LN_2: [f64; 2] = [f64::from_bits(0x3fe6_2e42_fee0_0000), f64::from_bits(0x3dea_39ef_3579_3c76)];
/// Added to a small number, it leaves the nearest integer in the last bits.
const INTEGER: f64 = 6_755_399_441_055_744.0;
/// 1/13!, 1/12!, … 1/2!: what is left out of the series is below 5e-18 for |r| ≤ log 2/2.
const SERIES: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
];

/// e^(high + low) = power + rest for high ≤ 0 and |low| ≤ ulp(high)/2: the power is within 0.6 ulp, the rest is what its last
/// rounding took, where that is not below the smallest number. −∞ gives 0 whatever `low` is, NaN gives NaN.
#[inline(always)]
pub(super) fn power(high: f64, low: f64) -> (f64, f64) {
    // Further down it is 0 all the same.
    let deep = high < -1000.0;
    let high = if deep { -1000.0 } else { high };
    let low = if deep { 0.0 } else { low };
    // e^x = 2^k·e^r, r = x − k·log 2 in two parts.
    let k = (high * LOG2_E + INTEGER) - INTEGER;
    let first = high - k * LN_2[0];
    let second = low - k * LN_2[1];
    let r = first + second;
    let rest = (first - r) + second;
    let tail = SERIES[1..].iter().fold(SERIES[0], |sum, &term| sum * r + term);
    let small = r * r * tail + rest;
    // 1 + r + small, in two parts.
    let sum = 1.0 + r;
    let small = ((1.0 - sum) + r) + small;
    let power = sum + small;
    let rest = (sum - power) + small;
    // 2^k in two factors, neither of which underflows.
    let near = if k < -1000.0 { -1000.0 } else { k };
    let scale = |k: f64| f64::from_bits((k + (INTEGER + 1023.0)).to_bits() << 52);
    let (near, far) = (scale(near), scale(k - near));
    (power * near * far, rest * near * far)
}
