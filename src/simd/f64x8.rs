//! Eight doubles that are computed with at once, in the widest registers that the processor has.

use super::unroll::unrolled;
use std::ops::{Add, Div, Mul, Sub};

/// Doubles that are computed with side by side. Each operation rounds every one of them as it would alone, and none is contracted
/// to a multiply-add, so that all kinds give the same bits.
pub(crate) trait Numbers:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// One number everywhere.
    fn all(value: f64) -> Self;
    /// self where it is larger, `other` elsewhere and where one of them is NaN.
    fn larger(self, other: Self) -> Self;
    /// self where it is smaller, `other` elsewhere and where one of them is NaN.
    fn smaller(self, other: Self) -> Self;
    /// `then` where self is below `limit`, `other` elsewhere and where one of them is NaN.
    fn if_below(self, limit: Self, then: Self, other: Self) -> Self;
    /// The bits that are in `mask` too.
    fn masked(self, mask: u64) -> Self;
    /// The last twelve bits as sign and exponent, above zeros.
    fn as_exponent(self) -> Self;
}

/// Eight doubles.
///
/// Kinds that need instructions are named by [`widest`](super::dispatch) alone, in functions that run where they were detected.
pub(crate) trait Lanes: Numbers {
    /// Whether there are registers enough for two of them at a time.
    const TWICE: bool;
    /// The numbers of an array.
    fn load(from: &[f64; 8]) -> Self;
    /// Writes the numbers to an array.
    fn store(self, to: &mut [f64; 8]);
    /// Whether a lane equals that of `other`; NaN equals nothing.
    fn meets(self, other: Self) -> bool;
    /// Tells the memory that what is so many numbers behind `from` is wanted soon, whatever is there.
    #[inline(always)]
    fn expect(_from: &[f64; 8], _ahead: usize) {}
}

/// Fewer than eight numbers, and others behind them.
#[inline(always)]
pub(crate) fn padded(numbers: &[f64], with: f64) -> [f64; 8] {
    let mut eight = [with; 8];
    eight[..numbers.len()].copy_from_slice(numbers);
    eight
}

/// Two arrays at a time where they are computed with so, and those that are left.
#[inline(always)]
pub(crate) fn twos<V: Lanes>(arrays: &[[f64; 8]]) -> (&[[[f64; 8]; 2]], &[[f64; 8]]) {
    if V::TWICE { arrays.as_chunks() } else { (&[], arrays) }
}

/// The same, to be written.
#[inline(always)]
pub(crate) fn twos_mut<V: Lanes>(arrays: &mut [[f64; 8]]) -> (&mut [[[f64; 8]; 2]], &mut [[f64; 8]]) {
    if V::TWICE { arrays.as_chunks_mut() } else { (&mut [], arrays) }
}

/// Two kinds of numbers, operation after operation: while the one waits for a result, the processor is at the other.
#[derive(Clone, Copy)]
pub(crate) struct Twice<V>([V; 2]);

macro_rules! twice {
    ($($name:ident $method:ident),*) => {$(
        impl<V: Numbers> $name for Twice<V> {
            type Output = Twice<V>;
            #[inline(always)]
            fn $method(self, other: Twice<V>) -> Twice<V> {
                Twice([self.0[0].$method(other.0[0]), self.0[1].$method(other.0[1])])
            }
        }
    )*};
}

twice!(Add add, Sub sub, Mul mul, Div div);

impl<V: Lanes> Twice<V> {
    /// The numbers of two arrays.
    #[inline(always)]
    pub(crate) fn load([one, other]: &[[f64; 8]; 2]) -> Twice<V> {
        Twice([V::load(one), V::load(other)])
    }
    /// Writes the numbers to two arrays.
    #[inline(always)]
    pub(crate) fn store(self, [one, other]: &mut [[f64; 8]; 2]) {
        self.0[0].store(one);
        self.0[1].store(other);
    }
    /// See [`Lanes::expect`].
    #[inline(always)]
    pub(crate) fn expect([one, other]: &[[f64; 8]; 2], ahead: usize) {
        V::expect(one, ahead);
        V::expect(other, ahead);
    }
}

impl<V: Numbers> Numbers for Twice<V> {
    #[inline(always)]
    fn all(value: f64) -> Twice<V> {
        Twice([V::all(value); 2])
    }
    #[inline(always)]
    fn larger(self, other: Twice<V>) -> Twice<V> {
        Twice([self.0[0].larger(other.0[0]), self.0[1].larger(other.0[1])])
    }
    #[inline(always)]
    fn smaller(self, other: Twice<V>) -> Twice<V> {
        Twice([self.0[0].smaller(other.0[0]), self.0[1].smaller(other.0[1])])
    }
    #[inline(always)]
    fn if_below(self, limit: Twice<V>, then: Twice<V>, other: Twice<V>) -> Twice<V> {
        let ([a, b], [limit_a, limit_b], [then_a, then_b], [other_a, other_b]) = (self.0, limit.0, then.0, other.0);
        Twice([a.if_below(limit_a, then_a, other_a), b.if_below(limit_b, then_b, other_b)])
    }
    #[inline(always)]
    fn masked(self, mask: u64) -> Twice<V> {
        Twice([self.0[0].masked(mask), self.0[1].masked(mask)])
    }
    #[inline(always)]
    fn as_exponent(self) -> Twice<V> {
        Twice([self.0[0].as_exponent(), self.0[1].as_exponent()])
    }
}

/// Eight doubles in whatever registers there are.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f64; 8]);

macro_rules! operators {
    ($kind:ident, $count:expr; $($name:ident $method:ident |$a:ident, $b:ident| $one:expr),*) => {$(
        impl $name for $kind {
            type Output = $kind;
            #[inline(always)]
            fn $method(mut self, other: $kind) -> $kind {
                unrolled!(n < $count => {
                    let ($a, $b) = (self.0[n], other.0[n]);
                    self.0[n] = $one;
                });
                self
            }
        }
    )*};
}

operators!(Plain, 8; Add add |a, b| a + b, Sub sub |a, b| a - b, Mul mul |a, b| a * b, Div div |a, b| a / b);

impl Numbers for Plain {
    #[inline(always)]
    fn all(value: f64) -> Plain {
        Plain([value; 8])
    }
    #[inline(always)]
    fn larger(self, other: Plain) -> Plain {
        other.if_below(self, self, other)
    }
    #[inline(always)]
    fn smaller(self, other: Plain) -> Plain {
        self.if_below(other, self, other)
    }
    #[inline(always)]
    fn if_below(self, limit: Plain, then: Plain, mut other: Plain) -> Plain {
        unrolled!(n < 8 => other.0[n] = if self.0[n] < limit.0[n] { then.0[n] } else { other.0[n] });
        other
    }
    #[inline(always)]
    fn masked(mut self, mask: u64) -> Plain {
        unrolled!(n < 8 => self.0[n] = f64::from_bits(self.0[n].to_bits() & mask));
        self
    }
    #[inline(always)]
    fn as_exponent(mut self) -> Plain {
        unrolled!(n < 8 => self.0[n] = f64::from_bits(self.0[n].to_bits() << 52));
        self
    }
}

impl Lanes for Plain {
    const TWICE: bool = false;
    #[inline(always)]
    fn load(from: &[f64; 8]) -> Plain {
        Plain(*from)
    }
    #[inline(always)]
    fn store(self, to: &mut [f64; 8]) {
        *to = self.0;
    }
    #[inline(always)]
    fn meets(self, other: Plain) -> bool {
        let mut any = false;
        unrolled!(n < 8 => any |= self.0[n] == other.0[n]);
        any
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Halves, Wide};

/// SAFETY, of every call here: the instructions were detected, as [`Lanes`] says; memory is that of an array's reference.
#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Add, Div, Lanes, Mul, Numbers, Sub, unrolled};
    use std::arch::x86_64::*;

    /// In a register of AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Wide([__m512d; 1]);

    /// In two registers of AVX2.
    #[derive(Clone, Copy)]
    pub(crate) struct Halves([__m256d; 2]);

    macro_rules! kind {
        ($kind:ident, $lanes:literal, $all:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
            $max:ident, $min:ident, $blend:ident, $meets:ident, $masked:ident, $exponent:ident) => {
            operators!($kind, 8 / $lanes;
                Add add |a, b| unsafe { $add(a, b) },
                Sub sub |a, b| unsafe { $sub(a, b) },
                Mul mul |a, b| unsafe { $mul(a, b) },
                Div div |a, b| unsafe { $div(a, b) });

            impl Numbers for $kind {
                #[inline(always)]
                fn all(value: f64) -> $kind {
                    $kind([unsafe { $all(value) }; 8 / $lanes])
                }
                #[inline(always)]
                fn larger(mut self, other: $kind) -> $kind {
                    unrolled!(n < 8 / $lanes => self.0[n] = unsafe { $max(self.0[n], other.0[n]) });
                    self
                }
                #[inline(always)]
                fn smaller(mut self, other: $kind) -> $kind {
                    unrolled!(n < 8 / $lanes => self.0[n] = unsafe { $min(self.0[n], other.0[n]) });
                    self
                }
                #[inline(always)]
                fn if_below(mut self, limit: $kind, then: $kind, other: $kind) -> $kind {
                    unrolled!(n < 8 / $lanes => self.0[n] = unsafe { $blend(self.0[n], limit.0[n], then.0[n], other.0[n]) });
                    self
                }
                #[inline(always)]
                fn masked(mut self, mask: u64) -> $kind {
                    unrolled!(n < 8 / $lanes => self.0[n] = unsafe { $masked(self.0[n], mask.cast_signed()) });
                    self
                }
                #[inline(always)]
                fn as_exponent(mut self) -> $kind {
                    unrolled!(n < 8 / $lanes => self.0[n] = unsafe { $exponent(self.0[n]) });
                    self
                }
            }

            impl Lanes for $kind {
                const TWICE: bool = $lanes == 8;
                #[inline(always)]
                fn load(from: &[f64; 8]) -> $kind {
                    let mut lanes = $kind::all(0.0);
                    unrolled!(n < 8 / $lanes => lanes.0[n] = unsafe { $load(from.as_ptr().add($lanes * n)) });
                    lanes
                }
                #[inline(always)]
                fn store(self, to: &mut [f64; 8]) {
                    unrolled!(n < 8 / $lanes => unsafe { $store(to.as_mut_ptr().add($lanes * n), self.0[n]) });
                }
                #[inline(always)]
                fn meets(self, other: $kind) -> bool {
                    let mut any = false;
                    unrolled!(n < 8 / $lanes => any |= unsafe { $meets(self.0[n], other.0[n]) });
                    any
                }
                #[inline(always)]
                fn expect(from: &[f64; 8], ahead: usize) {
                    let at = from.as_ptr().wrapping_add(ahead);
                    // A hint, which reads nothing.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
                }
            }
        };
    }

    kind!(
        Wide,
        8,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd,
        _mm512_div_pd,
        _mm512_max_pd,
        _mm512_min_pd,
        blend_512,
        meets_512,
        masked_512,
        exponent_512
    );
    kind!(
        Halves,
        4,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_mul_pd,
        _mm256_div_pd,
        _mm256_max_pd,
        _mm256_min_pd,
        blend_256,
        meets_256,
        masked_256,
        exponent_256
    );

    #[inline(always)]
    unsafe fn blend_512(a: __m512d, limit: __m512d, then: __m512d, other: __m512d) -> __m512d {
        unsafe { _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, limit), other, then) }
    }
    #[inline(always)]
    unsafe fn meets_512(a: __m512d, b: __m512d) -> bool {
        unsafe { _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b) != 0 }
    }
    #[inline(always)]
    unsafe fn masked_512(a: __m512d, mask: i64) -> __m512d {
        unsafe { _mm512_castsi512_pd(_mm512_and_si512(_mm512_castpd_si512(a), _mm512_set1_epi64(mask))) }
    }
    #[inline(always)]
    unsafe fn exponent_512(a: __m512d) -> __m512d {
        unsafe { _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_castpd_si512(a))) }
    }
    #[inline(always)]
    unsafe fn blend_256(a: __m256d, limit: __m256d, then: __m256d, other: __m256d) -> __m256d {
        unsafe { _mm256_blendv_pd(other, then, _mm256_cmp_pd::<_CMP_LT_OQ>(a, limit)) }
    }
    #[inline(always)]
    unsafe fn meets_256(a: __m256d, b: __m256d) -> bool {
        unsafe { _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_EQ_OQ>(a, b)) != 0 }
    }
    #[inline(always)]
    unsafe fn masked_256(a: __m256d, mask: i64) -> __m256d {
        unsafe { _mm256_and_pd(a, _mm256_castsi256_pd(_mm256_set1_epi64x(mask))) }
    }
    #[inline(always)]
    unsafe fn exponent_256(a: __m256d) -> __m256d {
        unsafe { _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(a))) }
    }
}
