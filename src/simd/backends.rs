//! A few numbers that are computed with at once, as wide as the processor has them.

use super::unroll::unrolled;

/// Some numbers in one register.
///
/// # Safety
/// Every method but for [`Portable`] needs the instructions that the type is named after: call it where they were detected.
pub(crate) trait Vector: Copy {
    /// What it holds.
    type Item: Copy;
    /// How many.
    const LANES: usize;
    /// The numbers at `from`, which need no alignment.
    unsafe fn load(from: *const Self::Item) -> Self;
    /// The number at `from` in every lane.
    unsafe fn splat(from: *const Self::Item) -> Self;
    /// self + a·b, rounded once.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// self + other.
    unsafe fn add(self, other: Self) -> Self;
    /// Writes the numbers to `to`, which needs no alignment.
    unsafe fn store(self, to: *mut Self::Item);
    /// Adds the first `count` numbers, fewer than LANES, to those at `to`, or writes them there; what is behind is not touched.
    #[inline(always)]
    unsafe fn store_some(self, to: *mut Self::Item, count: usize, add: bool)
    where
        Self::Item: std::ops::AddAssign,
    {
        let all = (&raw const self).cast::<Self::Item>();
        for n in 0..count {
            // SAFETY: a vector is LANES numbers and nothing else; the caller has room for `count` there, and numbers to add to.
            unsafe { if add { *to.add(n) += *all.add(n) } else { to.add(n).write(*all.add(n)) } }
        }
    }
}

/// Zeros, in one piece: an array of vectors that is filled one by one is filled in a loop, and does not stay in registers.
#[inline(always)]
pub(crate) fn zeros<V: Vector, const N: usize, const R: usize>() -> [[V; N]; R] {
    // SAFETY: vectors hold numbers and nothing else, and 0 is no bit set.
    unsafe { std::mem::zeroed() }
}

/// Tells the memory that what is at `at`, anywhere, is wanted soon.
#[inline(always)]
pub(crate) fn expect<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast())
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// A number by itself, whose products are added with one rounding where the processor was found to.
#[derive(Clone, Copy)]
pub(crate) struct One<T, const FUSED: bool>(T);

macro_rules! one {
    ($item:ty) => {
        impl<const FUSED: bool> Vector for One<$item, FUSED> {
            type Item = $item;
            const LANES: usize = 1;
            #[inline(always)]
            unsafe fn load(from: *const $item) -> Self {
                // SAFETY: the caller has a number there.
                unsafe { One(*from) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const $item) -> Self {
                // SAFETY: the caller has a number there.
                unsafe { One(*from) }
            }
            #[inline(always)]
            unsafe fn fma(self, a: Self, b: Self) -> Self {
                One(if FUSED { a.0.mul_add(b.0, self.0) } else { self.0 + a.0 * b.0 })
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                One(self.0 + other.0)
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $item) {
                // SAFETY: the caller has room for a number there.
                unsafe { *to = self.0 }
            }
        }
    };
}

one!(f64);
one!(f32);

/// Four numbers in whatever registers there are.
#[derive(Clone, Copy)]
pub(crate) struct Portable<T>([T; 4]);

/// Whether the processor adds a product with one rounding whatever it is; where it does not, a library would, slowly.
pub(crate) const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

macro_rules! portable {
    ($item:ty) => {
        impl Vector for Portable<$item> {
            type Item = $item;
            const LANES: usize = 4;
            #[inline(always)]
            unsafe fn load(from: *const $item) -> Self {
                // SAFETY: the caller has LANES numbers there; an array of them is no stricter aligned.
                unsafe { Portable(*from.cast()) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const $item) -> Self {
                // SAFETY: the caller has a number there.
                unsafe { Portable([*from; 4]) }
            }
            #[inline(always)]
            unsafe fn fma(mut self, a: Self, b: Self) -> Self {
                unrolled!(n < 4 => {
                    self.0[n] = if FUSED { a.0[n].mul_add(b.0[n], self.0[n]) } else { self.0[n] + a.0[n] * b.0[n] };
                });
                self
            }
            #[inline(always)]
            unsafe fn add(mut self, other: Self) -> Self {
                unrolled!(n < 4 => self.0[n] += other.0[n]);
                self
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $item) {
                // SAFETY: the caller has room for LANES numbers there.
                unsafe { *to.cast() = self.0 }
            }
        }
    };
}

portable!(f64);
portable!(f32);

#[cfg(target_arch = "x86_64")]
macro_rules! register {
    ($vector:ident, $item:ty, $lanes:literal, $load:ident, $splat:ident, $fma:ident, $add:ident, $store:ident
     $(, $mask:ty, $load_some:ident, $store_some:ident)?) => {
        // SAFETY, of all: the caller vouches for the instructions and the memory, as the trait says.
        impl Vector for std::arch::x86_64::$vector {
            type Item = $item;
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn load(from: *const $item) -> Self {
                unsafe { std::arch::x86_64::$load(from) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const $item) -> Self {
                unsafe { std::arch::x86_64::$splat(*from) }
            }
            #[inline(always)]
            unsafe fn fma(self, a: Self, b: Self) -> Self {
                unsafe { std::arch::x86_64::$fma(a, b, self) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                unsafe { std::arch::x86_64::$add(self, other) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $item) {
                unsafe { std::arch::x86_64::$store(to, self) }
            }
            $(
                #[inline(always)]
                unsafe fn store_some(self, to: *mut $item, count: usize, add: bool) {
                    let some: $mask = (1 << count) - 1;
                    unsafe {
                        use std::arch::x86_64::{$add, $load_some, $store_some};
                        $store_some(to, some, if add { $add($load_some(some, to), self) } else { self });
                    }
                }
            )?
        }
    };
}

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
mod registers {
    use super::Vector;
    register!(__m512d, f64, 8, _mm512_loadu_pd, _mm512_set1_pd, _mm512_fmadd_pd, _mm512_add_pd, _mm512_storeu_pd,
        u8, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd);
    register!(__m512, f32, 16, _mm512_loadu_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_storeu_ps,
        u16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps);
    register!(__m256d, f64, 4, _mm256_loadu_pd, _mm256_set1_pd, _mm256_fmadd_pd, _mm256_add_pd, _mm256_storeu_pd);
    register!(__m256, f32, 8, _mm256_loadu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_storeu_ps);
}
