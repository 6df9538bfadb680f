//! Sums of two doubles, about 100 bits, elementwise in vectors; without fused multiplication, so every instruction set gives the
//! same bits.

use super::error_free::{UPPER_HALF, fast_two_sum, two_sum};
use super::f64x8::{F64x8, SimdF64};

/// The numbers high + low, with |low| at most about an ulp of high. Products must neither overflow nor underflow.
#[derive(Clone, Copy)]
pub(crate) struct Pair<V> {
    pub(crate) high: V,
    pub(crate) low: V,
}

impl Pair<f64> {
    /// Returns the same number in every element.
    #[inline(always)]
    pub(crate) fn splat<V: SimdF64>(self) -> Pair<V> {
        Pair { high: V::splat(self.high), low: V::splat(self.low) }
    }
}

impl<V: SimdF64> Pair<V> {
    #[inline(always)]
    pub(crate) fn new(high: V) -> Self {
        Pair { high, low: V::splat(0.0) }
    }

    /// Returns the number as one double, rounded.
    #[inline(always)]
    pub(crate) fn rounded(self) -> V {
        self.high + self.low
    }

    #[inline(always)]
    pub(crate) fn plus(self, other: Self) -> Self {
        let (high, error) = two_sum(self.high, other.high);
        let (high, low) = fast_two_sum(high, error + (self.low + other.low));
        Pair { high, low }
    }

    #[inline(always)]
    pub(crate) fn minus(self, other: Self) -> Self {
        let zero = V::splat(0.0);
        self.plus(Pair { high: zero - other.high, low: zero - other.low })
    }

    /// Returns the product, with a relative error of about 2⁻¹⁰²; the products of halves are exact but for the last.
    #[inline(always)]
    pub(crate) fn times(self, other: Self) -> Self {
        let (a, b) = (self.high, other.high);
        let (a_upper, b_upper) = (a.and_bits(UPPER_HALF), b.and_bits(UPPER_HALF));
        let (a_rest, b_rest, product) = (a - a_upper, b - b_upper, a * b);
        let error = ((a_upper * b_upper - product) + (a_upper * b_rest + a_rest * b_upper)) + a_rest * b_rest;
        let (high, low) = fast_two_sum(product, error + (a * other.low + self.low * b));
        Pair { high, low }
    }
}

/// Terms of a sum that are computed from the numbers with the same index of `N` slices.
pub(crate) trait Terms<const N: usize> {
    /// Returns the term.
    fn term<V: SimdF64>(&self, inputs: [V; N]) -> Pair<V>;
}

/// Returns Σ terms; the errors of all additions are added up as doubles. Eight sums are added at the end, so the order is the same
/// on every instruction set.
#[inline(always)]
pub(crate) fn sum_terms<V: F64x8, T: Terms<N>, const N: usize>(terms: &T, inputs: [&[f64]; N]) -> Pair<f64> {
    let len = inputs[0].len();
    let vectors = len / 8;
    let (mut sum, mut errors) = (V::splat(0.0), V::splat(0.0));
    for n in 0..vectors {
        let mut vector = [V::splat(0.0); N];
        for (vector, input) in vector.iter_mut().zip(inputs) {
            *vector = V::load(&input[..8 * vectors].as_chunks().0[n]);
        }
        let term = terms.term(vector);
        let (total, error) = two_sum(sum, term.high);
        (sum, errors) = (total, errors + (error + term.low));
    }
    let (mut sums, mut lows) = ([0.0; 8], [0.0; 8]);
    sum.store(&mut sums);
    errors.store(&mut lows);
    let mut total = Pair::new(0.0);
    for (high, low) in sums.into_iter().zip(lows) {
        let (high, low) = two_sum(high, low);
        total = total.plus(Pair { high, low });
    }
    for n in 8 * vectors..len {
        total = total.plus(terms.term(inputs.map(|input| input[n])));
    }
    total
}
