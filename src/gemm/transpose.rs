//! Four lines, turned so that what was below each other lies beside each other.

/// Copies `steps` numbers of each of four lines: number k of line l goes from `from + l·line + k` to `to + k·width + l`.
///
/// # Safety
/// The processor has the instructions, all these numbers may be read, and their places written by nobody else meanwhile.
pub(crate) type Turn<T> = unsafe fn(from: *const T, line: usize, to: *mut T, width: usize, steps: usize);

/// One after the other.
///
/// # Safety
/// As [`Turn`].
pub(crate) unsafe fn plainly<T: Copy>(from: *const T, line: usize, to: *mut T, width: usize, steps: usize) {
    for k in 0..steps {
        for l in 0..4 {
            // SAFETY: as the caller vouches.
            unsafe { *to.add(k * width + l) = *from.add(l * line + k) };
        }
    }
}

/// Two numbers of each at a time.
///
/// # Safety
/// As [`Turn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn by_twos(from: *const f64, line: usize, to: *mut f64, width: usize, steps: usize) {
    use crate::simd::backends::expect;
    use std::arch::x86_64::{
        _mm_loadu_pd, _mm256_castpd128_pd256, _mm256_insertf128_pd, _mm256_storeu_pd, _mm256_unpackhi_pd,
        _mm256_unpacklo_pd,
    };
    let twos = steps / 2 * 2;
    // SAFETY: as the caller vouches; numbers k and k + 1 of the lines are all that is touched at a time.
    unsafe {
        for k in (0..twos).step_by(2) {
            // The lines that are likely to be turned after these.
            if k % 8 == 0 {
                (4..8).for_each(|l| expect(from.wrapping_add(l * line + k)));
            }
            let two = |l: usize| {
                let (upper, lower) = (from.add(l * line + k), from.add((l + 2) * line + k));
                _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(_mm_loadu_pd(upper)), _mm_loadu_pd(lower))
            };
            let (first, second) = (two(0), two(1));
            _mm256_storeu_pd(to.add(k * width), _mm256_unpacklo_pd(first, second));
            _mm256_storeu_pd(to.add((k + 1) * width), _mm256_unpackhi_pd(first, second));
        }
        plainly(from.add(twos), line, to.add(twos * width), width, steps - twos);
    }
}
