//! Elementwise functions of arrays.

use super::f64x8::{F64x8, F64x8Pair, SimdF64, load_first, store_first};
use super::prefetch::prefetch;

/// A function of `N` numbers, written for any number of them at a time.
pub(crate) trait Elementwise<const N: usize> {
    /// Distance of the inputs that are prefetched, in elements; 0 for none.
    const PREFETCH_DISTANCE_ELEMENTS: usize = 0;
    /// Returns the function's value.
    fn apply<V: SimdF64>(&self, inputs: [V; N]) -> V;
}

/// Writes the function's value at each index of the inputs to the output.
#[inline(always)]
pub(crate) fn map<V: F64x8, F: Elementwise<N>, const N: usize>(function: &F, inputs: [&[f64]; N], output: &mut [f64]) {
    let len = output.len();
    let inputs = inputs.map(|input| &input[..len]);
    let mut begin = 0;
    if V::HAS_REGISTERS_FOR_PAIRS {
        let pairs = output.as_chunks_mut::<8>().0.as_chunks_mut::<2>().0;
        begin = 16 * pairs.len();
        for (n, output) in pairs.iter_mut().enumerate() {
            let mut vectors = [F64x8Pair::<V>::splat(0.0); N];
            for (vector, input) in vectors.iter_mut().zip(inputs) {
                let input = &input[..begin].as_chunks::<8>().0.as_chunks::<2>().0[n];
                if F::PREFETCH_DISTANCE_ELEMENTS > 0 {
                    input.iter().for_each(|eight| prefetch(eight.as_ptr().wrapping_add(F::PREFETCH_DISTANCE_ELEMENTS)));
                }
                *vector = F64x8Pair::load(input);
            }
            function.apply(vectors).store(output);
        }
    }
    while begin < len {
        let mut vectors = [V::splat(0.0); N];
        for (vector, input) in vectors.iter_mut().zip(inputs) {
            *vector = load_first(&input[begin..], 0.0);
        }
        store_first(function.apply(vectors), &mut output[begin..]);
        begin += 8;
    }
}
