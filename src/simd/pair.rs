//! Sums of two doubles, about 100 bits, elementwise in vectors. CPUs without a fused multiply-add emulate it, so every instruction
//! set gives the same bits.

use super::error_free::{fast_two_sum, two_sum};
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

    /// Returns the product, with a relative error of about 2⁻¹⁰².
    #[inline(always)]
    pub(crate) fn times(self, other: Self) -> Self {
        let product = self.high * other.high;
        let error = self.high.mul_add(other.high, -product);
        let (high, low) = fast_two_sum(product, self.high.mul_add(other.low, self.low.mul_add(other.high, error)));
        Pair { high, low }
    }

    /// Returns the quotient, with a relative error of about 2⁻¹⁰⁰.
    #[inline(always)]
    pub(crate) fn over(self, other: Self) -> Self {
        let reciprocal = V::splat(1.0) / other.high;
        let quotient = self.high * reciprocal;
        // The quotient is off by an ulp or two, so the remainder is exact but for its last bit.
        let remainder = (-quotient).mul_add(other.high, self.high);
        let remainder = (-quotient).mul_add(other.low, remainder + self.low);
        let (high, low) = fast_two_sum(quotient, remainder * reciprocal);
        Pair { high, low }
    }
}

/// Terms of `M` sums that are computed from the numbers with the same index of `N` slices.
pub(crate) trait Terms<const N: usize, const M: usize> {
    /// Returns the term of each sum.
    fn terms<V: SimdF64>(&self, inputs: [V; N]) -> [Pair<V>; M];
}

/// Returns each Σ terms; the errors of all additions are added up as doubles. Eight sums are added at the end, so the order is the
/// same on every instruction set.
#[inline(always)]
pub(crate) fn sum_terms<V: F64x8, T: Terms<N, M>, const N: usize, const M: usize>(
    terms: &T,
    inputs: [&[f64]; N],
) -> [Pair<f64>; M] {
    let len = inputs[0].len();
    let vectors = len / 8;
    let (mut sums, mut errors) = ([V::splat(0.0); M], [V::splat(0.0); M]);
    for n in 0..vectors {
        let mut vector = [V::splat(0.0); N];
        for (vector, input) in vector.iter_mut().zip(inputs) {
            *vector = V::load(&input[..8 * vectors].as_chunks().0[n]);
        }
        let terms = terms.terms(vector);
        for m in 0..M {
            let (total, error) = two_sum(sums[m], terms[m].high);
            (sums[m], errors[m]) = (total, errors[m] + (error + terms[m].low));
        }
    }
    let mut totals = [Pair::new(0.0); M];
    for m in 0..M {
        let (mut highs, mut lows) = ([0.0; 8], [0.0; 8]);
        sums[m].store(&mut highs);
        errors[m].store(&mut lows);
        for (high, low) in highs.into_iter().zip(lows) {
            let (high, low) = two_sum(high, low);
            totals[m] = totals[m].plus(Pair { high, low });
        }
    }
    for n in 8 * vectors..len {
        let terms = terms.terms(inputs.map(|input| input[n]));
        for m in 0..M {
            totals[m] = totals[m].plus(terms[m]);
        }
    }
    totals
}
