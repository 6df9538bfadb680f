//! Softmax along an axis that is not the last: eight neighbouring lanes at a time, each in its own element of the vectors.

use super::softmax_of_eight_lanes;
use crate::parallel::{fill, pages, scope};
use crate::simd::dispatch::dispatch;
use crate::simd::prefetch::prefetch;

/// Returns the softmax along the middle axis of an array (outer, width, inner).
pub fn softmax_lanes(x: &[f64], (outer, width, inner): (usize, usize, usize)) -> Vec<f64> {
    let mut y = pages::zeros(x.len());
    let plane = width * inner;
    if x.is_empty() {
        return y;
    }
    let part_count = fill::part_count(x.len());
    if outer > 1 || part_count == 1 {
        let part_len = outer.div_ceil(part_count) * plane;
        let parts = x.chunks(part_len).zip(y.chunks_mut(part_len)).collect();
        scope::map_parts(parts, |(x, y)| softmax_of_planes(x, y, (width, inner), 0, inner));
        return y;
    }
    // A single plane is computed in blocks of lanes.
    let block = inner.div_ceil(part_count).next_multiple_of(8);
    let blocks = (0..inner).step_by(block).map(|begin| (begin, block.min(inner - begin))).collect();
    let blocks = scope::map_parts(blocks, |(begin, count)| {
        let mut y = pages::zeros(width * count);
        softmax_of_planes(x, &mut y, (width, inner), begin, count);
        (begin, count, y)
    });
    for (begin, count, block) in blocks {
        let rows = y.chunks_exact_mut(inner).zip(block.chunks_exact(count));
        rows.for_each(|(y, block)| y[begin..begin + count].copy_from_slice(block));
    }
    y
}

dispatch! {
    /// Computes the lanes `begin..begin + count` of each plane (width, inner) of x; y has these lanes only.
    fn softmax_of_planes<V>(x: &[f64], y: &mut [f64], dim: (usize, usize), begin: usize, count: usize) {
        let (width, inner) = dim;
        let mut buffer = vec![[0.0; 8]; 2 * width];
        let (highs, lows) = buffer.split_at_mut(width);
        for (x, y) in x.chunks_exact(width * inner).zip(y.chunks_exact_mut(width * count)) {
            for lane in (0..count).step_by(8) {
                let lanes = (count - lane).min(8);
                for (high, x) in highs.iter_mut().zip(x.chunks_exact(inner)) {
                    let x = &x[begin + lane..];
                    // The next eight lanes are read after these.
                    prefetch(x.as_ptr().wrapping_add(8));
                    match x.first_chunk() {
                        Some(eight) if lanes == 8 => *high = *eight,
                        _ => high[..lanes].copy_from_slice(&x[..lanes]),
                    }
                }
                softmax_of_eight_lanes::<V>(highs, lows, &mut []);
                for (high, y) in highs.iter().zip(y.chunks_exact_mut(count)) {
                    y[lane..lane + lanes].copy_from_slice(&high[..lanes]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::softmax::softmax_rows;
    use crate::simd::accuracy::{Accuracy, with_accuracy};
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};

    #[test]
    fn lanes_are_the_rows_of_the_transposed_array_on_any_number_of_threads() {
        for (outer, width, inner) in [(1, 5, 8), (3, 1, 9), (2, 64, 21), (1, 300, 700), (40, 30, 200), (2, 0, 8)] {
            let x: Vec<f64> = (0..outer * width * inner).map(|n| ((n * 7919) % 1009) as f64 / 17.0).collect();
            let place = |n: usize, k: usize| (n / inner * width + k) * inner + n % inner;
            let transposed: Vec<f64> =
                (0..outer * inner).flat_map(|n| (0..width).map(move |k| (n, k))).map(|(n, k)| x[place(n, k)]).collect();
            let rows = softmax_rows(&transposed, width).0;
            for accuracy in [Accuracy::Double, Accuracy::Single] {
                let run = || with_accuracy(accuracy, || softmax_lanes(&x, (outer, width, inner)));
                let y = scope::with_thread_limit(1, run);
                assert!(scope::with_thread_limit(3, run) == y, "{outer} {width} {inner}");
                for isa in IsaLevel::available() {
                    assert!(with_isa_limit(isa, run) == y, "{isa:?} {outer} {width} {inner}");
                }
                let tolerance = if accuracy == Accuracy::Double { 3e-16 } else { 2e-13 };
                for n in 0..outer * inner {
                    for k in 0..width {
                        let (found, expected) = (y[place(n, k)], rows[n * width + k]);
                        assert!((found - expected).abs() <= tolerance * expected, "{found} {expected}");
                    }
                }
            }
        }
    }
}
