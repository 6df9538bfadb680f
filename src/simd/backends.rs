//! Vectors of the GEMM microkernels: loads, stores and fused multiply-adds in the registers of each instruction set.

use super::software_fma::{HAS_FMA, fma_f64};
use std::ops::AddAssign;

/// Numbers in one register.
///
/// # Safety
/// An implementor is [`WIDTH`](FmaVector::WIDTH) elements without padding, and zero is the pattern of no bits set. Its methods
/// may execute instructions of the instruction set that it belongs to: the caller has detected them.
pub(crate) unsafe trait FmaVector: Copy {
    /// The type of the numbers.
    type Element: Copy;
    /// The number of numbers.
    const WIDTH: usize;
    /// Reads the numbers at `from`, which needs no alignment.
    unsafe fn load(from: *const Self::Element) -> Self;
    /// Reads the number at `from` into every element.
    unsafe fn splat(from: *const Self::Element) -> Self;
    /// Returns self + a·b, rounded once.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// Returns self + other.
    unsafe fn add(self, other: Self) -> Self;
    /// Writes the numbers to `to`, which needs no alignment.
    unsafe fn store(self, to: *mut Self::Element);
    /// Writes the first `count` < WIDTH numbers to `to`, or adds them to the numbers there, and touches nothing behind them.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut Self::Element, count: usize, add: bool)
    where
        Self::Element: AddAssign,
    {
        let elements = (&raw const self).cast::<Self::Element>();
        for n in 0..count {
            // SAFETY: an implementor is WIDTH elements; the caller provides `count` writable ones, initialised if `add` is set.
            unsafe { if add { *to.add(n) += *elements.add(n) } else { to.add(n).write(*elements.add(n)) } }
        }
    }
}

/// Returns R·N vectors of zeros. An array that is filled in a loop would not stay in registers.
#[inline(always)]
pub(crate) fn zeros<V: FmaVector, const N: usize, const R: usize>() -> [[V; N]; R] {
    // SAFETY: the contract of `FmaVector` makes no bits set a value.
    unsafe { std::mem::zeroed() }
}

/// `WIDTH` numbers in an array. The products are fused by an instruction if `FMA` is set, which is then detected or enabled for
/// the target, and by software otherwise.
#[derive(Clone, Copy)]
pub(crate) struct ArrayVector<T, const WIDTH: usize, const FMA: bool>([T; WIDTH]);

/// The vector of the portable kernels.
pub(crate) type PortableVector<T> = ArrayVector<T, 4, HAS_FMA>;
/// A single number in the portable kernels.
pub(crate) type PortableScalar<T> = ArrayVector<T, 1, HAS_FMA>;
/// A single number in the kernels of CPUs with FMA.
#[cfg(target_arch = "x86_64")]
pub(crate) type FmaScalar<T> = ArrayVector<T, 1, true>;

macro_rules! array_vector {
    ($element:ty, $software_fma:path) => {
        // SAFETY: an array has no padding, and no bits set are zeros.
        unsafe impl<const WIDTH: usize, const FMA: bool> FmaVector for ArrayVector<$element, WIDTH, FMA> {
            type Element = $element;
            const WIDTH: usize = WIDTH;
            #[inline(always)]
            unsafe fn load(from: *const $element) -> Self {
                // SAFETY: the caller provides WIDTH readable numbers, and an array is aligned as its elements are.
                ArrayVector(unsafe { *from.cast() })
            }
            #[inline(always)]
            unsafe fn splat(from: *const $element) -> Self {
                // SAFETY: the caller provides a readable number.
                ArrayVector([unsafe { *from }; WIDTH])
            }
            #[inline(always)]
            unsafe fn fma(mut self, a: Self, b: Self) -> Self {
                for n in 0..WIDTH {
                    let (a, b, c) = (a.0[n], b.0[n], self.0[n]);
                    self.0[n] = if FMA { a.mul_add(b, c) } else { $software_fma(a, b, c) };
                }
                self
            }
            #[inline(always)]
            unsafe fn add(mut self, other: Self) -> Self {
                for n in 0..WIDTH {
                    self.0[n] += other.0[n];
                }
                self
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $element) {
                // SAFETY: the caller provides WIDTH writable numbers, and an array is aligned as its elements are.
                unsafe { *to.cast() = self.0 }
            }
        }
    };
}

array_vector!(f64, fma_f64);

#[cfg(target_arch = "x86_64")]
macro_rules! register {
    ($register:ident, $element:ty, $width:literal, $load:ident, $splat:ident, $fma:ident, $add:ident, $store:ident
     $(, $mask:ty, $load_masked:ident, $store_masked:ident)?) => {
        // SAFETY: a register has no padding, and no bits set are zeros.
        unsafe impl FmaVector for std::arch::x86_64::$register {
            type Element = $element;
            const WIDTH: usize = $width;
            #[inline(always)]
            unsafe fn load(from: *const $element) -> Self {
                // SAFETY: the caller has detected the instructions and provides WIDTH readable numbers.
                unsafe { std::arch::x86_64::$load(from) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const $element) -> Self {
                // SAFETY: the caller has detected the instructions and provides a readable number.
                unsafe { std::arch::x86_64::$splat(*from) }
            }
            #[inline(always)]
            unsafe fn fma(self, a: Self, b: Self) -> Self {
                // SAFETY: the caller has detected the instructions.
                unsafe { std::arch::x86_64::$fma(a, b, self) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller has detected the instructions.
                unsafe { std::arch::x86_64::$add(self, other) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $element) {
                // SAFETY: the caller has detected the instructions and provides WIDTH writable numbers.
                unsafe { std::arch::x86_64::$store(to, self) }
            }
            $(
                #[inline(always)]
                unsafe fn store_first(self, to: *mut $element, count: usize, add: bool) {
                    use std::arch::x86_64::{$add, $load_masked, $store_masked};
                    let mask: $mask = (1 << count) - 1;
                    // SAFETY: the caller has detected the instructions and provides `count` writable numbers, initialised if
                    // `add` is set; the mask excludes those behind them.
                    unsafe { $store_masked(to, mask, if add { $add($load_masked(mask, to), self) } else { self }) }
                }
            )?
        }
    };
}

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
mod registers {
    use super::FmaVector;
    register!(__m512d, f64, 8, _mm512_loadu_pd, _mm512_set1_pd, _mm512_fmadd_pd, _mm512_add_pd, _mm512_storeu_pd,
        u8, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd);
    register!(__m256d, f64, 4, _mm256_loadu_pd, _mm256_set1_pd, _mm256_fmadd_pd, _mm256_add_pd, _mm256_storeu_pd);
}
