//! Vectors of eight doubles.
//!
//! Every operation is rounded by itself, and a multiply-add is fused only where the code says so, so all types give the same bits.

use super::software_fma::fused;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// One or several doubles with elementwise operations.
pub(crate) trait SimdF64:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// Returns `value` in every element.
    fn splat(value: f64) -> Self;
    /// Returns self·factor + addend, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Returns the larger element, that of `other` if one of them is NaN.
    fn max(self, other: Self) -> Self;
    /// Returns the smaller element, that of `other` if one of them is NaN.
    fn min(self, other: Self) -> Self;
    /// Returns `then` where self < limit, and `otherwise` elsewhere, also if one of them is NaN.
    fn select_lt(self, limit: Self, then: Self, otherwise: Self) -> Self;
    /// Returns the bits that are also set in `mask`.
    fn and_bits(self, mask: u64) -> Self;
    /// Shifts the lowest twelve bits to the place of sign and exponent, over a fraction of zero.
    fn low_bits_to_exponent(self) -> Self;
}

/// Eight doubles.
///
/// # Safety
/// The methods of an implementor may execute instructions of its [`IsaLevel`](super::dispatch::IsaLevel) without a check. Code
/// may name an implementor that needs more than [`Portable`](super::dispatch::IsaLevel::Portable) only in a function that
/// [`dispatch!`](super::dispatch) calls after it has checked the level.
pub(crate) unsafe trait F64x8: SimdF64 {
    /// True if there are registers enough to compute with an [`F64x8Pair`].
    const HAS_REGISTERS_FOR_PAIRS: bool;
    /// Reads the elements of an array.
    fn load(from: &[f64; 8]) -> Self;
    /// Writes the elements to an array.
    fn store(self, to: &mut [f64; 8]);
    /// Returns true if any element equals that of `other`.
    fn any_eq(self, other: Self) -> bool;
}

/// Reads the first eight numbers, or all of fewer, filled up with `padding`.
#[inline(always)]
pub(crate) fn load_first<V: F64x8>(numbers: &[f64], padding: f64) -> V {
    match numbers.first_chunk() {
        Some(eight) => V::load(eight),
        None => {
            let mut eight = [padding; 8];
            eight[..numbers.len()].copy_from_slice(numbers);
            V::load(&eight)
        }
    }
}

/// Writes the elements to the first eight numbers, or as many of them as there are numbers.
#[inline(always)]
pub(crate) fn store_first<V: F64x8>(vector: V, numbers: &mut [f64]) {
    match numbers.first_chunk_mut() {
        Some(eight) => vector.store(eight),
        None => {
            let mut eight = [0.0; 8];
            vector.store(&mut eight);
            numbers.copy_from_slice(&eight[..numbers.len()]);
        }
    }
}

/// Two interleaved vectors: while one waits for a result, the CPU computes with the other.
#[derive(Clone, Copy)]
pub(crate) struct F64x8Pair<V>([V; 2]);

impl<V: F64x8> F64x8Pair<V> {
    /// Reads the elements of two arrays.
    #[inline(always)]
    pub(crate) fn load([first, second]: &[[f64; 8]; 2]) -> Self {
        F64x8Pair([V::load(first), V::load(second)])
    }
    /// Writes the elements to two arrays.
    #[inline(always)]
    pub(crate) fn store(self, [first, second]: &mut [[f64; 8]; 2]) {
        self.0[0].store(first);
        self.0[1].store(second);
    }
}

impl SimdF64 for f64 {
    #[inline(always)]
    fn splat(value: f64) -> f64 {
        value
    }
    #[inline(always)]
    fn mul_add(self, factor: f64, addend: f64) -> f64 {
        fused(self, factor, addend)
    }
    #[inline(always)]
    fn max(self, other: f64) -> f64 {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn min(self, other: f64) -> f64 {
        if self < other { self } else { other }
    }
    #[inline(always)]
    fn select_lt(self, limit: f64, then: f64, otherwise: f64) -> f64 {
        if self < limit { then } else { otherwise }
    }
    #[inline(always)]
    fn and_bits(self, mask: u64) -> f64 {
        f64::from_bits(self.to_bits() & mask)
    }
    #[inline(always)]
    fn low_bits_to_exponent(self) -> f64 {
        f64::from_bits(self.to_bits() << 52)
    }
}

/// Defines a method that applies an operation to each register of a vector, with registers of other vectors or a scalar.
macro_rules! elementwise {
    ($method:ident($($vector:ident),+), $operation:expr) => {
        #[inline(always)]
        fn $method(mut self, $($vector: Self),+) -> Self {
            for (n, register) in self.0.iter_mut().enumerate() {
                *register = $operation(*register, $($vector.0[n]),+);
            }
            self
        }
    };
    ($method:ident($($scalar:ident: $type:ty)?), $operation:expr) => {
        #[inline(always)]
        fn $method(mut self $(, $scalar: $type)?) -> Self {
            for register in &mut self.0 {
                *register = $operation(*register $(, $scalar)?);
            }
            self
        }
    };
}

/// Implements [`SimdF64`] for an array of registers.
macro_rules! simd_f64 {
    ($vector:ident $([$generic:ident: $bound:ident])?; splat $splat:expr; add $add:expr; sub $sub:expr; mul $mul:expr;
     div $div:expr; neg $neg:expr; mul_add $mul_add:expr; max $max:expr; min $min:expr; select_lt $select_lt:expr; and_bits $and_bits:expr;
     low_bits_to_exponent $low_bits_to_exponent:expr;) => {
        impl$(<$generic: $bound>)? Add for $vector$(<$generic>)? {
            type Output = Self;
            elementwise!(add(other), $add);
        }
        impl$(<$generic: $bound>)? Sub for $vector$(<$generic>)? {
            type Output = Self;
            elementwise!(sub(other), $sub);
        }
        impl$(<$generic: $bound>)? Mul for $vector$(<$generic>)? {
            type Output = Self;
            elementwise!(mul(other), $mul);
        }
        impl$(<$generic: $bound>)? Div for $vector$(<$generic>)? {
            type Output = Self;
            elementwise!(div(other), $div);
        }
        impl$(<$generic: $bound>)? Neg for $vector$(<$generic>)? {
            type Output = Self;
            elementwise!(neg(), $neg);
        }
        impl$(<$generic: $bound>)? SimdF64 for $vector$(<$generic>)? {
            #[inline(always)]
            fn splat(value: f64) -> Self {
                $vector([$splat(value); _])
            }
            elementwise!(mul_add(factor, addend), $mul_add);
            elementwise!(max(other), $max);
            elementwise!(min(other), $min);
            elementwise!(select_lt(limit, then, otherwise), $select_lt);
            elementwise!(and_bits(mask: u64), $and_bits);
            elementwise!(low_bits_to_exponent(), $low_bits_to_exponent);
        }
    };
}

/// Implements [`F64x8`] for an array of registers.
macro_rules! f64x8 {
    ($vector:ident[$register:ty], $has_registers_for_pairs:literal, any_eq $any_eq:expr) => {
        // SAFETY: the name of the vector is that of the level that its methods need.
        unsafe impl F64x8 for $vector {
            const HAS_REGISTERS_FOR_PAIRS: bool = $has_registers_for_pairs;
            #[inline(always)]
            fn load(from: &[f64; 8]) -> Self {
                // SAFETY: the registers are eight doubles without padding.
                unsafe { std::mem::transmute::<[f64; 8], $vector>(*from) }
            }
            #[inline(always)]
            fn store(self, to: &mut [f64; 8]) {
                // SAFETY: the registers are eight doubles without padding.
                *to = unsafe { std::mem::transmute::<$vector, [f64; 8]>(self) };
            }
            #[inline(always)]
            fn any_eq(self, other: Self) -> bool {
                let mut any = false;
                for (n, register) in self.0.iter().enumerate() {
                    any |= $any_eq(*register, other.0[n]);
                }
                any
            }
        }
    };
}

simd_f64! {
    F64x8Pair[V: SimdF64];
    splat V::splat; add V::add; sub V::sub; mul V::mul; div V::div; neg V::neg; mul_add V::mul_add; max V::max; min V::min; select_lt V::select_lt;
    and_bits V::and_bits; low_bits_to_exponent V::low_bits_to_exponent;
}

/// Eight doubles in an array, for every CPU.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Portable([f64; 8]);

simd_f64! {
    Portable;
    splat f64::splat; add f64::add; sub f64::sub; mul f64::mul; div f64::div; neg f64::neg; mul_add SimdF64::mul_add; max SimdF64::max; min SimdF64::min;
    select_lt f64::select_lt; and_bits f64::and_bits; low_bits_to_exponent f64::low_bits_to_exponent;
}
f64x8!(Portable[f64], false, any_eq |a: f64, b: f64| a == b);

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Add, Div, F64x8, Mul, Neg, SimdF64, Sub};
    use std::arch::x86_64::*;

    /// Makes functions of intrinsics.
    macro_rules! intrinsics {
        ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty { $call:expr })*) => {$(
            #[inline(always)]
            fn $name($($argument: $type),*) -> $result {
                // SAFETY: only the vectors of this module call it, and the contract of `F64x8` promises that the CPU has
                // the instructions.
                unsafe { $call }
            }
        )*};
    }

    /// Eight doubles in a register of AVX-512.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    pub(crate) struct Avx512([__m512d; 1]);

    simd_f64! {
        Avx512;
        splat splat_512; add add_512; sub sub_512; mul mul_512; div div_512; neg neg_512; mul_add mul_add_512; max max_512; min min_512;
        select_lt select_lt_512; and_bits and_bits_512; low_bits_to_exponent low_bits_to_exponent_512;
    }
    f64x8!(Avx512[__m512d], true, any_eq any_eq_512);

    intrinsics! {
        splat_512(value: f64) -> __m512d { _mm512_set1_pd(value) }
        add_512(a: __m512d, b: __m512d) -> __m512d { _mm512_add_pd(a, b) }
        sub_512(a: __m512d, b: __m512d) -> __m512d { _mm512_sub_pd(a, b) }
        mul_512(a: __m512d, b: __m512d) -> __m512d { _mm512_mul_pd(a, b) }
        div_512(a: __m512d, b: __m512d) -> __m512d { _mm512_div_pd(a, b) }
        neg_512(a: __m512d) -> __m512d { _mm512_sub_pd(_mm512_set1_pd(-0.0), a) }
        mul_add_512(a: __m512d, b: __m512d, c: __m512d) -> __m512d { _mm512_fmadd_pd(a, b, c) }
        max_512(a: __m512d, b: __m512d) -> __m512d { _mm512_max_pd(a, b) }
        min_512(a: __m512d, b: __m512d) -> __m512d { _mm512_min_pd(a, b) }
        select_lt_512(a: __m512d, limit: __m512d, then: __m512d, otherwise: __m512d) -> __m512d {
            _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, limit), otherwise, then)
        }
        and_bits_512(a: __m512d, mask: u64) -> __m512d {
            _mm512_castsi512_pd(_mm512_and_si512(_mm512_castpd_si512(a), _mm512_set1_epi64(mask.cast_signed())))
        }
        low_bits_to_exponent_512(a: __m512d) -> __m512d {
            _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_castpd_si512(a)))
        }
        any_eq_512(a: __m512d, b: __m512d) -> bool { _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b) != 0 }
    }

    /// Eight doubles in two registers of AVX2.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    pub(crate) struct Avx2([__m256d; 2]);

    simd_f64! {
        Avx2;
        splat splat_256; add add_256; sub sub_256; mul mul_256; div div_256; neg neg_256; mul_add mul_add_256; max max_256; min min_256;
        select_lt select_lt_256; and_bits and_bits_256; low_bits_to_exponent low_bits_to_exponent_256;
    }
    f64x8!(Avx2[__m256d], false, any_eq any_eq_256);

    intrinsics! {
        splat_256(value: f64) -> __m256d { _mm256_set1_pd(value) }
        add_256(a: __m256d, b: __m256d) -> __m256d { _mm256_add_pd(a, b) }
        sub_256(a: __m256d, b: __m256d) -> __m256d { _mm256_sub_pd(a, b) }
        mul_256(a: __m256d, b: __m256d) -> __m256d { _mm256_mul_pd(a, b) }
        div_256(a: __m256d, b: __m256d) -> __m256d { _mm256_div_pd(a, b) }
        neg_256(a: __m256d) -> __m256d { _mm256_sub_pd(_mm256_set1_pd(-0.0), a) }
        mul_add_256(a: __m256d, b: __m256d, c: __m256d) -> __m256d { _mm256_fmadd_pd(a, b, c) }
        max_256(a: __m256d, b: __m256d) -> __m256d { _mm256_max_pd(a, b) }
        min_256(a: __m256d, b: __m256d) -> __m256d { _mm256_min_pd(a, b) }
        select_lt_256(a: __m256d, limit: __m256d, then: __m256d, otherwise: __m256d) -> __m256d {
            _mm256_blendv_pd(otherwise, then, _mm256_cmp_pd::<_CMP_LT_OQ>(a, limit))
        }
        and_bits_256(a: __m256d, mask: u64) -> __m256d {
            _mm256_and_pd(a, _mm256_castsi256_pd(_mm256_set1_epi64x(mask.cast_signed())))
        }
        low_bits_to_exponent_256(a: __m256d) -> __m256d {
            _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(a)))
        }
        any_eq_256(a: __m256d, b: __m256d) -> bool { _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_EQ_OQ>(a, b)) != 0 }
    }
}
