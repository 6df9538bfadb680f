//! Passes over many numbers in loops without branches, which are vectorized for each instruction set.

use super::dispatch::dispatch;

/// Bits of the exponent, all of which are set in an infinity or a NaN.
const EXPONENT: u64 = 0x7ff << 52;
/// Number of numbers that are looked at before a pass may end.
const CHUNK_ELEMENTS: usize = 1024;

dispatch! {
    /// Sets `found` if a number is infinite or NaN.
    pub fn find_non_finite<V>(numbers: &[f64], found: &mut bool) {
        for chunk in numbers.chunks(CHUNK_ELEMENTS) {
            let mut any = 0;
            for number in chunk {
                any |= u64::from(number.to_bits() & EXPONENT == EXPONENT);
            }
            if any != 0 {
                *found = true;
                return;
            }
        }
    }
}

dispatch! {
    /// Sets `largest` to the bits of the largest magnitude; a NaN is larger than any number.
    pub fn find_largest_magnitude<V>(numbers: &[f64], largest: &mut u64) {
        for number in numbers {
            *largest = (*largest).max(number.abs().to_bits());
        }
    }
}

dispatch! {
    /// Sets `found` if single precision does not hold a number.
    #[allow(clippy::cast_possible_truncation, clippy::float_cmp)] // the cast is the rounding
    pub fn find_inexact_single<V>(numbers: &[f64], found: &mut bool) {
        for chunk in numbers.chunks(CHUNK_ELEMENTS) {
            let mut any = 0;
            for number in chunk {
                any |= u64::from(f64::from(*number as f32) != *number);
            }
            if any != 0 {
                *found = true;
                return;
            }
        }
    }
}

dispatch! {
    /// Rounds numbers to single precision.
    #[allow(clippy::cast_possible_truncation)] // the cast is the rounding
    pub fn round_to_single<V>(numbers: &mut [f64]) {
        for number in numbers {
            *number = f64::from(*number as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};

    #[test]
    fn one_number_is_found_at_every_index_on_every_instruction_set() {
        for isa in IsaLevel::available() {
            let find = |numbers: &[f64]| {
                let (mut non_finite, mut inexact) = (false, false);
                with_isa_limit(isa, || {
                    find_non_finite(numbers, &mut non_finite);
                    find_inexact_single(numbers, &mut inexact);
                });
                (non_finite, inexact)
            };
            let mut numbers = vec![-1.5; 2100];
            assert_eq!(find(&numbers), (false, false));
            for at in [0, 5, 1023, 1024, 2099] {
                for (number, expected) in [
                    (f64::NAN, (true, true)),
                    (f64::NEG_INFINITY, (true, false)),
                    (0.1, (false, true)),
                    (1e308, (false, true)),
                ] {
                    numbers[at] = number;
                    assert_eq!(find(&numbers), expected, "{isa:?} {number} {at}");
                    numbers[at] = -1.5;
                }
            }
            numbers.fill(0.1);
            with_isa_limit(isa, || round_to_single(&mut numbers));
            assert!(numbers.iter().all(|number| *number == f64::from(0.1f32)));
        }
    }
}
