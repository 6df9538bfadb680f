//! Elementwise functions of arrays.

use super::f64x8::{F64x8, F64x8Pair, SimdF64, zero_padded};
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
    let singles = if V::HAS_REGISTERS_FOR_PAIRS { len / 16 * 16 } else { 0 };
    let (pairs, rest) = output.split_at_mut(singles);
    for (n, output) in pairs.as_chunks_mut::<8>().0.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let mut vectors = [F64x8Pair::<V>::splat(0.0); N];
        for (vector, input) in vectors.iter_mut().zip(inputs) {
            let input = &input[..singles].as_chunks::<8>().0.as_chunks::<2>().0[n];
            if F::PREFETCH_DISTANCE_ELEMENTS > 0 {
                input.iter().for_each(|eight| prefetch(eight.as_ptr().wrapping_add(F::PREFETCH_DISTANCE_ELEMENTS)));
            }
            *vector = F64x8Pair::load(input);
        }
        function.apply(vectors).store(output);
    }
    let inputs = inputs.map(|input| input[singles..].as_chunks::<8>());
    let (eights, last) = rest.as_chunks_mut::<8>();
    for (n, output) in eights.iter_mut().enumerate() {
        let mut vectors = [V::splat(0.0); N];
        for (vector, (eights, _)) in vectors.iter_mut().zip(inputs) {
            *vector = V::load(&eights[n]);
        }
        function.apply(vectors).store(output);
    }
    if !last.is_empty() {
        let (mut vectors, mut padded) = ([V::splat(0.0); N], [0.0; 8]);
        for (vector, (_, last)) in vectors.iter_mut().zip(inputs) {
            *vector = V::load(&zero_padded(last));
        }
        function.apply(vectors).store(&mut padded);
        last.copy_from_slice(&padded[..last.len()]);
    }
}
