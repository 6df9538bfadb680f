//! Fused multiply-add without an FMA instruction: the correctly rounded a·b + c, as every other CPU computes it.

use super::two_sum::two_sum;

/// True if every CPU of the target has an FMA instruction.
pub(crate) const HAS_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Returns a·b + c rounded once, by an instruction if every CPU of the target has it.
#[inline(always)]
pub(crate) fn fused(a: f64, b: f64, c: f64) -> f64 {
    /// Keeps the many instructions of the emulation out of the loops.
    #[inline(never)]
    fn emulated(a: f64, b: f64, c: f64) -> f64 {
        fma_f64(a, b, c)
    }
    if HAS_FMA { a.mul_add(b, c) } else { emulated(a, b, c) }
}

/// Returns a·b + c rounded once, without the instruction.
///
/// Boldo and Melquiond (2008), Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd. It needs
/// products and errors that neither overflow nor underflow; other operands take the integer arithmetic of `libm`.
#[inline(always)]
pub(crate) fn fma_f64(a: f64, b: f64, c: f64) -> f64 {
    if a == 0.0 || b == 0.0 {
        return a * b + c; // the product is exact, and the sign of a zero is right
    }
    let exponent = |v: f64| (v.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let product_exponent = exponent(a) + exponent(b);
    let is_safe =
        exponent(a).max(exponent(b)) <= 990 && exponent(c) <= 1021 && (-970..=1020).contains(&product_exponent);
    if !is_safe {
        return libm::fma(a, b, c);
    }
    let (product, product_error) = two_prod(a, b);
    let (low_sum, low_error) = two_sum(c, product_error);
    let (sum, error) = two_sum(product, low_sum);
    sum + add_round_to_odd(low_error, error)
}

/// Returns a + b, and of the two neighbours of an inexact sum the one whose last bit is 1.
#[inline(always)]
fn add_round_to_odd(a: f64, b: f64) -> f64 {
    let (sum, error) = two_sum(a, b);
    let bits = sum.to_bits();
    // NaN, the error of an infinite sum, compares false.
    let is_inexact_and_even = error.abs() > 0.0 && bits & 1 == 0;
    let is_rounded_toward_zero = (error > 0.0) == (sum > 0.0);
    match (is_inexact_and_even, is_rounded_toward_zero) {
        (false, _) => sum,
        (true, true) => f64::from_bits(bits + 1),
        (true, false) => f64::from_bits(bits - 1),
    }
}

/// Returns (product, error) with a·b = product + error, if neither overflows or underflows (Dekker's product with Veltkamp's
/// splitting).
#[inline(always)]
fn two_prod(a: f64, b: f64) -> (f64, f64) {
    const SPLITTER: f64 = ((1u32 << 27) + 1) as f64;
    let split = |v: f64| {
        let high = v * SPLITTER - (v * SPLITTER - v);
        (high, v - high)
    };
    let ((a_high, a_low), (b_high, b_low), product) = (split(a), split(b), a * b);
    (product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(found: f64, expected: f64) -> bool {
        found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan())
    }

    /// Doubles of any bits, of a few bits, and of exponents near 0.
    fn double() -> impl Strategy<Value = f64> {
        let near = (any::<u64>(), 973u64..1073, 0..53u32).prop_map(|(bits, exponent, zeros)| {
            f64::from_bits(((bits & !(0x7ff << 52)) | exponent << 52) & (!0 << zeros))
        });
        let special =
            prop::sample::select(vec![0.0, -0.0, 1.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, f64::NAN]);
        prop_oneof![8 => near, 4 => any::<u64>().prop_map(f64::from_bits), 1 => special]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn a_double_result_is_rounded_once((a, b, c) in (double(), double(), double()), shift in -110..110i32) {
            // The second addend cancels the product, or lies somewhere within or below its digits.
            for c in [c, -(a * b), a * b * 2f64.powi(shift)] {
                let (found, expected) = (fma_f64(a, b, c), libm::fma(a, b, c));
                prop_assert!(same(found, expected), "{a:e}·{b:e} + {c:e}: {found:e} {expected:e}");
            }
        }
    }
}
