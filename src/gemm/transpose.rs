//! Transposes four rows while packing them.

/// Copies `steps` elements of each of four rows: element k of row r goes from `from + r·row_stride + k` to `to + k·width + r`.
///
/// # Safety
/// The CPU has the instructions, the elements are readable, and their targets are writable by nobody else meanwhile.
pub(crate) type TransposeFn<T> = unsafe fn(from: *const T, row_stride: usize, to: *mut T, width: usize, steps: usize);

/// Transposes one element at a time.
///
/// # Safety
/// As [`TransposeFn`].
pub(crate) unsafe fn transpose_scalar<T: Copy>(
    from: *const T,
    row_stride: usize,
    to: *mut T,
    width: usize,
    steps: usize,
) {
    for k in 0..steps {
        for r in 0..4 {
            // SAFETY: the caller provides element k of row r and its target.
            unsafe { *to.add(k * width + r) = *from.add(r * row_stride + k) };
        }
    }
}

/// Transposes two elements of each row at a time.
///
/// # Safety
/// As [`TransposeFn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn transpose_avx2(from: *const f64, row_stride: usize, to: *mut f64, width: usize, steps: usize) {
    use crate::simd::prefetch::prefetch;
    use std::arch::x86_64::{
        _mm_loadu_pd, _mm256_castpd128_pd256, _mm256_insertf128_pd, _mm256_storeu_pd, _mm256_unpackhi_pd,
        _mm256_unpacklo_pd,
    };
    let even_steps = steps / 2 * 2;
    for k in (0..even_steps).step_by(2) {
        // The next four rows are probably transposed after these.
        if k % 8 == 0 {
            (4..8).for_each(|r| prefetch(from.wrapping_add(r * row_stride + k)));
        }
        // SAFETY: the caller provides elements k and k + 1 of the four rows, and targets for both.
        unsafe {
            let pair = |r: usize| {
                let (upper, lower) = (from.add(r * row_stride + k), from.add((r + 2) * row_stride + k));
                _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(_mm_loadu_pd(upper)), _mm_loadu_pd(lower))
            };
            let (first, second) = (pair(0), pair(1));
            _mm256_storeu_pd(to.add(k * width), _mm256_unpacklo_pd(first, second));
            _mm256_storeu_pd(to.add((k + 1) * width), _mm256_unpackhi_pd(first, second));
        }
    }
    // SAFETY: the caller provides the remaining elements as well.
    unsafe {
        transpose_scalar(from.add(even_steps), row_stride, to.add(even_steps * width), width, steps - even_steps);
    }
}
