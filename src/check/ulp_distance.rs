//! Distances of numbers in units in the last place of a floating-point type.

use super::arrays::is_same;
use crate::numeric::FloatType;

/// Returns the number of steps from one number of the type to the next that lead from a to b, each rounded to the type first;
/// `None` if only one is finite. −0 and 0 are the same number.
pub fn ulp_distance(a: f64, b: f64, float_type: FloatType) -> Option<u64> {
    if !a.is_finite() || !b.is_finite() {
        return is_same(a, b).then_some(0);
    }
    u64::try_from((rank(a, float_type) - rank(b, float_type)).abs()).ok()
}

/// Returns the number of positive numbers of the type up to the value rounded to the type, or minus that of −value. A value
/// beyond the largest number counts as the next.
fn rank(value: f64, float_type: FloatType) -> i128 {
    let rounded = float_type.round(value).abs();
    let is_beyond = !rounded.is_finite();
    let magnitude = if is_beyond { float_type.largest() } else { rounded };
    let rank = magnitude_rank(magnitude, float_type) + i128::from(is_beyond);
    if value.is_sign_negative() { -rank } else { rank }
}

/// Returns the rank of a positive number of the type, or of 0.
#[allow(clippy::cast_possible_truncation)] // a whole number, less than 2⁵³
fn magnitude_rank(magnitude: f64, float_type: FloatType) -> i128 {
    if float_type == FloatType::F64 {
        return i128::from(magnitude.to_bits());
    }
    let exponent = |value: f64| i128::from(value.to_bits() >> 52);
    let in_ulps = (magnitude / float_type.ulp(magnitude)) as i128;
    let numbers_per_exponent = (0.5 / float_type.unit_roundoff()) as i128;
    let exponents = exponent(magnitude) - exponent(float_type.smallest_normal());
    in_ulps + numbers_per_exponent * exponents.max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn distances_of_doubles_count_across_zero() {
        let distance = |a, b| ulp_distance(a, b, FloatType::F64);
        assert_eq!(distance(0.0, -0.0), Some(0));
        assert_eq!(distance(5e-324, -5e-324), Some(2));
        assert_eq!(distance(1.0, 1.0 + f64::EPSILON), Some(1));
        assert_eq!(distance(1.0, 1.0 - f64::EPSILON / 2.0), Some(1));
        assert_eq!(
            distance(f64::MAX, f64::MIN),
            Some(2 * 0x7fef_ffff_ffff_ffff),
            "twice the bits of the largest double"
        );
        assert_eq!(distance(f64::NAN, 1.0), None);
        assert_eq!(distance(f64::INFINITY, f64::INFINITY), Some(0));
    }

    /// The bits of a positive number of an IEEE type count its numbers from 0.
    #[test]
    fn ranks_of_short_types_are_their_bits() {
        for bits in 0..0x7c00 {
            assert_eq!(rank(f16::from_bits(bits).to_f64(), FloatType::F16), i128::from(bits));
        }
        for bits in 0..0x7f80 {
            assert_eq!(rank(bf16::from_bits(bits).to_f64(), FloatType::Bf16), i128::from(bits));
            assert_eq!(rank(-bf16::from_bits(bits).to_f64(), FloatType::Bf16), -i128::from(bits));
        }
        for bits in [0, 1, 0x007f_ffff, 0x0080_0000, 0x3f80_0001, 0x7f7f_ffff] {
            assert_eq!(rank(f64::from(f32::from_bits(bits)), FloatType::F32), i128::from(bits));
        }
    }

    #[test]
    fn numbers_of_another_type_are_rounded_first() {
        assert_eq!(ulp_distance(0.1, f64::from(0.1_f32), FloatType::F32), Some(0));
        assert_eq!(
            ulp_distance(1e39, f64::from(f32::MAX), FloatType::F32),
            Some(1),
            "the largest number and what is beyond"
        );
        assert_eq!(ulp_distance(1.0, 1.0 + 3.0 / 128.0, FloatType::Bf16), Some(3));
    }
}
