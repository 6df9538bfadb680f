//! The floating-point types of eight bits of the Open Compute Project (OFP8, 2023), in which neural networks are stored.

/// A type of one sign bit, exponent bits and fraction bits. As bits: s, e, f. A value is (−1)ˢ·2^(e − bias)·1.f, or, if all bits of e
/// are 0, (−1)ˢ·2^(1 − bias)·0.f.
#[derive(Debug)]
pub struct Float8 {
    fraction_bits: i32,
    bias: i32,
    largest: f64,
    /// True if the largest exponent stands for infinity and NaN; if not, only its largest fraction stands for NaN.
    has_infinity: bool,
}

/// E4M3FN: four exponent bits, three fraction bits, no infinity.
pub const E4M3FN: Float8 = Float8 { fraction_bits: 3, bias: 7, largest: 448.0, has_infinity: false };

/// E5M2: five exponent bits, two fraction bits.
pub const E5M2: Float8 = Float8 { fraction_bits: 2, bias: 15, largest: 57_344.0, has_infinity: true };

impl Float8 {
    /// Returns the unit roundoff.
    pub fn unit_roundoff(&self) -> f64 {
        2f64.powi(-self.fraction_bits - 1)
    }

    /// Returns the smallest positive normal number.
    pub fn smallest_normal(&self) -> f64 {
        2f64.powi(1 - self.bias)
    }

    /// Returns the largest finite number.
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// Returns the value of eight bits.
    pub fn decode(&self, bits: u8) -> f64 {
        let (exponent, fraction) = (i32::from(bits & 0x7f) >> self.fraction_bits, f64::from(bits));
        let units = fraction.rem_euclid(2f64.powi(self.fraction_bits));
        let leading = if exponent == 0 { 0.0 } else { 2f64.powi(self.fraction_bits) };
        let magnitude = (leading + units) * 2f64.powi(exponent.max(1) - self.bias - self.fraction_bits);
        let magnitude = match magnitude > self.largest {
            true if self.has_infinity && units == 0.0 => f64::INFINITY,
            true => f64::NAN,
            false => magnitude,
        };
        if bits < 0x80 { magnitude } else { -magnitude }
    }

    /// Returns the number of the type that is nearest to a double, ties to even. Without an infinity, larger numbers become NaN.
    pub fn round(&self, value: f64) -> f64 {
        let magnitude = value.abs();
        if magnitude.is_finite() {
            let normal = magnitude.clamp(self.smallest_normal(), 2.0 * self.largest);
            let power_of_two = f64::from_bits(normal.to_bits() & !((1 << 52) - 1));
            let unit = power_of_two * 2f64.powi(-self.fraction_bits);
            let rounded = (magnitude / unit).round_ties_even() * unit;
            if rounded <= self.largest {
                return rounded.copysign(value);
            }
        }
        let overflow = if self.has_infinity && !value.is_nan() { f64::INFINITY } else { f64::NAN };
        overflow.copysign(value)
    }
}
