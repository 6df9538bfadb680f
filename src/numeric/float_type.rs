//! The floating-point types that programs compute in and files store.

use super::float8::{E4M3FN, E5M2};
use crate::simd::scan;
use half::{bf16, f16};

/// A binary floating-point type, rounded to nearest, ties to even.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloatType {
    /// IEEE 754 binary64, a double.
    #[default]
    F64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16: the upper half of a binary32.
    Bf16,
    /// Eight bits, three of them a fraction, without infinity. Files may store it; programs do not compute in it.
    E4m3fn,
    /// Eight bits, two of them a fraction. Files may store it; programs do not compute in it.
    E5m2,
}

impl FloatType {
    /// Every type that programs compute in, the most precise first.
    pub const ALL: [FloatType; 4] = [FloatType::F64, FloatType::F32, FloatType::F16, FloatType::Bf16];

    /// Returns the type's name: f64, f32, f16, bf16, float8_e4m3fn or float8_e5m2.
    pub fn name(self) -> &'static str {
        match self {
            FloatType::F64 => "f64",
            FloatType::F32 => "f32",
            FloatType::F16 => "f16",
            FloatType::Bf16 => "bf16",
            FloatType::E4m3fn => "float8_e4m3fn",
            FloatType::E5m2 => "float8_e5m2",
        }
    }

    /// Returns the type that programs compute in with that name.
    pub fn named(name: &str) -> Option<FloatType> {
        FloatType::ALL.into_iter().find(|float_type| float_type.name() == name)
    }

    /// Returns the unit roundoff: half the distance of 1 from the next larger number.
    pub fn unit_roundoff(self) -> f64 {
        match self {
            FloatType::F64 => f64::EPSILON / 2.0,
            FloatType::F32 => f64::from(f32::EPSILON) / 2.0,
            FloatType::F16 => f16::EPSILON.to_f64() / 2.0,
            FloatType::Bf16 => bf16::EPSILON.to_f64() / 2.0,
            FloatType::E4m3fn => E4M3FN.unit_roundoff(),
            FloatType::E5m2 => E5M2.unit_roundoff(),
        }
    }

    /// Returns the smallest positive normal number. Smaller numbers may be rounded to 0.
    pub fn smallest_normal(self) -> f64 {
        match self {
            FloatType::F64 => f64::MIN_POSITIVE,
            FloatType::F32 => f64::from(f32::MIN_POSITIVE),
            FloatType::F16 => f16::MIN_POSITIVE.to_f64(),
            FloatType::Bf16 => bf16::MIN_POSITIVE.to_f64(),
            FloatType::E4m3fn => E4M3FN.smallest_normal(),
            FloatType::E5m2 => E5M2.smallest_normal(),
        }
    }

    /// Returns the largest finite number.
    pub fn largest(self) -> f64 {
        match self {
            FloatType::F64 => f64::MAX,
            FloatType::F32 => f64::from(f32::MAX),
            FloatType::F16 => f16::MAX.to_f64(),
            FloatType::Bf16 => bf16::MAX.to_f64(),
            FloatType::E4m3fn => E4M3FN.largest(),
            FloatType::E5m2 => E5M2.largest(),
        }
    }

    /// Returns the unit in the last place: the distance of the numbers around a value.
    pub fn ulp(self, value: f64) -> f64 {
        let magnitude = value.abs().clamp(self.smallest_normal(), self.largest());
        let power_of_two = f64::from_bits(magnitude.to_bits() & !((1 << 52) - 1));
        2.0 * self.unit_roundoff() * power_of_two
    }

    /// Returns the number of the type that is nearest to a double.
    #[allow(clippy::cast_possible_truncation)] // the cast is the rounding
    pub fn round(self, value: f64) -> f64 {
        match self {
            FloatType::F64 => value,
            FloatType::F32 => f64::from(value as f32),
            FloatType::F16 => f16::from_f64(value).to_f64(),
            FloatType::Bf16 => bf16::from_f64(value).to_f64(),
            FloatType::E4m3fn => E4M3FN.round(value),
            FloatType::E5m2 => E5M2.round(value),
        }
    }

    /// Rounds numbers to the type.
    pub fn round_all(self, values: &mut [f64]) {
        match self {
            FloatType::F64 => {}
            FloatType::F32 => scan::round_to_single(values),
            _ => values.iter_mut().for_each(|value| *value = self.round(*value)),
        }
    }

    /// Returns true if the type holds all of these values exactly; false for NaN.
    pub fn holds_all(self, values: &[f64]) -> bool {
        match self {
            FloatType::F64 => true,
            FloatType::F32 => {
                let mut found = false;
                scan::find_inexact_single(values, &mut found);
                !found
            }
            _ => values.iter().all(|value| self.round(*value) == *value),
        }
    }

    /// Returns true if the type holds a value exactly. Every type has NaN.
    pub fn holds(self, value: f64) -> bool {
        value.is_nan() || self.round(value) == value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are by the definitions of the types: 11 and 8 bits, exponents from −14 to 15 and from −126 to 127.
    #[test]
    fn half_types_round_to_nearest_even() {
        let f16 = [
            (1.0 + 1.0 / 2048.0, 1.0),
            (1.0 + 3.0 / 2048.0, 1.0 + 2.0 / 1024.0),
            (65_519.0, 65_504.0),
            (65_520.0, f64::INFINITY),
        ];
        assert!(f16.iter().all(|&(value, rounded)| FloatType::F16.round(value) == rounded));
        let bf16 = [
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 2.0 / 128.0),
            (1e39, f64::INFINITY),
            (0.1, 0.100_097_656_25),
        ];
        assert!(bf16.iter().all(|&(value, rounded)| FloatType::Bf16.round(value) == rounded));
        assert_eq!([FloatType::F16, FloatType::Bf16].map(FloatType::unit_roundoff), [2f64.powi(-11), 2f64.powi(-8)]);
        assert_eq!(FloatType::F16.smallest_normal(), 2f64.powi(-14));
        assert_eq!([1.5, 2.0, 0.0].map(|v| FloatType::F16.ulp(v)), [-10, -9, -24].map(|power| 2f64.powi(power)));
        assert!(FloatType::ALL.into_iter().all(|float_type| FloatType::named(float_type.name()) == Some(float_type)));
    }
}
