//! Sums and the rounding errors that they leave, of numbers and of vectors.

use std::ops::{Add, Sub};

/// Returns (sum, error) with a + b = sum + error (Knuth's TwoSum).
#[inline(always)]
pub(crate) fn two_sum<V: Copy + Add<Output = V> + Sub<Output = V>>(a: V, b: V) -> (V, V) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// Returns (sum, error) with a + b = sum + error, for |a| ≥ |b| (Dekker's FastTwoSum).
#[inline(always)]
pub(crate) fn fast_two_sum<V: Copy + Add<Output = V> + Sub<Output = V>>(a: V, b: V) -> (V, V) {
    let sum = a + b;
    (sum, b - (sum - a))
}
