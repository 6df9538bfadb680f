//! The microkernel: the innermost loop of the product, which keeps a tile of the result in registers.

use super::transpose::{TransposeFn, transpose_scalar};
#[cfg(target_arch = "x86_64")]
use crate::simd::backends::FmaScalar;
use crate::simd::backends::{FmaVector, PortableScalar, PortableVector, zeros};
use crate::simd::dispatch::{Isa, IsaLevel};
use crate::simd::prefetch::prefetch;
use std::ops::AddAssign;

/// Elements of the largest tile of any kernel.
pub(crate) const MAX_TILE_ELEMENTS: usize = 8 * 48;

/// Distance of the factors that are prefetched, in steps of k.
const PREFETCH_DISTANCE_STEPS: usize = 8;

/// The panels that a microkernel multiplies, and the tile that it writes.
pub(crate) struct MicrokernelArguments<T> {
    /// Products of each entry.
    pub(crate) k: usize,
    /// Element (r, k) of the panel of a is at `a + r·a_row_stride + k·a_k_stride`.
    pub(crate) a: *const T,
    pub(crate) a_row_stride: usize,
    pub(crate) a_k_stride: usize,
    /// Element (k, c) of the panel of b is at `b + k·b_k_stride + c`.
    pub(crate) b: *const T,
    pub(crate) b_k_stride: usize,
    /// Entry (r, c) of the tile is at `c + r·c_row_stride + c`.
    pub(crate) c: *mut T,
    pub(crate) c_row_stride: usize,
    /// Entries in the last vector of each row; the elements behind them are not written.
    pub(crate) last_vector_entries: usize,
    /// True if the products are added to the tile.
    pub(crate) add: bool,
}

/// Multiplies two panels.
///
/// # Safety
/// The CPU has the instructions of the kernel, the elements of the panels are readable, and the entries of the tile are writable
/// (and initialised if `add` is set) by nobody else meanwhile.
pub(crate) type MicrokernelFn<T> = unsafe fn(&MicrokernelArguments<T>);

/// The microkernels of an instruction set.
pub(crate) struct Microkernels<T: 'static> {
    pub(crate) isa_level: IsaLevel,
    /// Elements of a vector.
    pub(crate) vector_width: usize,
    /// Microkernels by the logarithm of the rows, and by the vectors of a row less one.
    pub(crate) by_rows_and_vectors: &'static [&'static [MicrokernelFn<T>]],
    /// Microkernels of one column, by the logarithm of the rows.
    pub(crate) of_one_column: &'static [MicrokernelFn<T>],
    pub(crate) transpose: TransposeFn<T>,
}

impl<T> Microkernels<T> {
    /// Returns the rows of the largest tile.
    pub(crate) fn mr(&self) -> usize {
        1 << (self.by_rows_and_vectors.len() - 1)
    }

    /// Returns the columns of the largest tile.
    pub(crate) fn nr(&self) -> usize {
        self.vector_width * self.by_rows_and_vectors[0].len()
    }

    /// Returns the microkernel of a tile: `rows` is a power of two, and `columns` is 1 or a multiple of the vector width.
    pub(crate) fn of_size(&self, rows: usize, columns: usize) -> MicrokernelFn<T> {
        let rows = rows.ilog2() as usize;
        if columns == 1 {
            self.of_one_column[rows]
        } else {
            self.by_rows_and_vectors[rows][columns / self.vector_width - 1]
        }
    }
}

/// The type of a matrix element.
pub trait Element: Copy + Default + Send + Sync + AddAssign + 'static {
    /// The microkernels of all instruction sets, best first; the last ones are portable.
    #[doc(hidden)]
    #[allow(private_interfaces)] // seals the trait
    fn microkernels() -> &'static [Microkernels<Self>];
}

/// Returns the best microkernels of a level that the CPU is proven to have.
pub(crate) fn microkernels_for<T: Element>(isa: Isa) -> &'static Microkernels<T> {
    let sets = T::microkernels();
    sets.iter().find(|set| set.isa_level <= isa.level()).unwrap_or(&sets[sets.len() - 1])
}

/// Multiplies panels to a tile of R rows of N vectors.
///
/// # Safety
/// As [`MicrokernelFn`].
#[inline(always)]
unsafe fn multiply_panels<V: FmaVector<Element: AddAssign>, const R: usize, const N: usize>(
    arguments: &MicrokernelArguments<V::Element>,
) {
    let mut sums = zeros::<V, N, R>();
    let (mut a, mut b, mut remaining) = (arguments.a, arguments.b, arguments.k);
    // In packed panels all strides are constants, and the loop is unrolled by four.
    if arguments.a_row_stride == 1 && arguments.a_k_stride == R && arguments.b_k_stride == N * V::WIDTH {
        // Rows of the tile are prefetched one after the other, since all at once would delay the loads of the factors.
        let steps_per_row = (arguments.k / (4 * R)).max(1);
        let (mut steps_to_prefetch, mut row) = (1, arguments.c.cast_const());
        while remaining >= 4 {
            steps_to_prefetch -= 1;
            if steps_to_prefetch == 0 {
                (0..N).for_each(|n| prefetch(row.wrapping_add(n * V::WIDTH)));
                prefetch(row.wrapping_add(N * V::WIDTH - 1));
                (steps_to_prefetch, row) = (steps_per_row, row.wrapping_add(arguments.c_row_stride));
            }
            for step in 0..4 {
                prefetch(a.wrapping_add((PREFETCH_DISTANCE_STEPS + step) * R));
                // SAFETY: the caller provides the elements of four more steps.
                sums = unsafe { add_products::<V, R, N>(sums, a.add(step * R), 1, b.add(step * N * V::WIDTH)) };
            }
            (a, b, remaining) = (a.wrapping_add(4 * R), b.wrapping_add(4 * N * V::WIDTH), remaining - 4);
        }
    }
    while remaining > 0 {
        // SAFETY: the caller provides the elements of one more step.
        sums = unsafe { add_products::<V, R, N>(sums, a, arguments.a_row_stride, b) };
        (a, b) = (a.wrapping_add(arguments.a_k_stride), b.wrapping_add(arguments.b_k_stride));
        remaining -= 1;
    }
    for (r, sums) in sums.iter().enumerate() {
        for (n, sum) in sums.iter().enumerate() {
            // SAFETY: the caller provides R rows of N vectors, the last of them with `last_vector_entries` entries.
            unsafe {
                let target = arguments.c.add(r * arguments.c_row_stride + n * V::WIDTH);
                if n + 1 == N && arguments.last_vector_entries < V::WIDTH {
                    sum.store_first(target, arguments.last_vector_entries, arguments.add);
                } else if arguments.add {
                    V::load(target).add(*sum).store(target);
                } else {
                    sum.store(target);
                }
            }
        }
    }
}

/// Adds the products of one step: R elements of a, each times N vectors of b.
///
/// # Safety
/// The CPU has the instructions of V, and the elements are readable.
#[inline(always)]
unsafe fn add_products<V: FmaVector, const R: usize, const N: usize>(
    mut sums: [[V; N]; R],
    a: *const V::Element,
    a_row_stride: usize,
    b: *const V::Element,
) -> [[V; N]; R] {
    let [mut columns] = zeros::<V, N, 1>();
    for (n, column) in columns.iter_mut().enumerate() {
        prefetch(b.wrapping_add(PREFETCH_DISTANCE_STEPS * N * V::WIDTH + n * V::WIDTH));
        // SAFETY: the caller provides N vectors of b.
        *column = unsafe { V::load(b.add(n * V::WIDTH)) };
    }
    for (r, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller provides R elements of a.
        let factor = unsafe { V::splat(a.add(r * a_row_stride)) };
        for (sum, column) in sums.iter_mut().zip(columns) {
            // SAFETY: the caller has detected the instructions of V.
            *sum = unsafe { sum.fma(factor, column) };
        }
    }
    sums
}

/// Compiles the microkernel for an instruction set.
macro_rules! microkernel {
    ($name:ident $(, $feature:literal)?) => {
        $(#[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $feature)])?
        unsafe fn $name<V: FmaVector<Element: AddAssign>, const R: usize, const N: usize>(
            arguments: &MicrokernelArguments<V::Element>,
        ) {
            // SAFETY: the contract of `MicrokernelFn`, which the caller upholds, is that of this call.
            unsafe { multiply_panels::<V, R, N>(arguments) }
        }
    };
}

microkernel!(portable);
microkernel!(avx2, "avx2,fma");
microkernel!(avx512, "avx512f");

/// Lists the microkernels of an instruction set.
macro_rules! microkernels {
    ($level:ident, $function:ident, $vector:ty, $scalar:ty, $transpose:path; $($rows:literal)*; $vectors:tt) => {
        Microkernels {
            isa_level: IsaLevel::$level,
            vector_width: <$vector as FmaVector>::WIDTH,
            by_rows_and_vectors: &[$(microkernels!(@row $function, $vector, $rows, $vectors)),*],
            of_one_column: &[$($function::<$scalar, $rows, 1>),*],
            transpose: $transpose,
        }
    };
    (@row $function:ident, $vector:ty, $rows:literal, [$($vectors:literal)*]) => {
        &[$($function::<$vector, $rows, $vectors>),*]
    };
}

macro_rules! element {
    ($element:ty, $avx512:ident, $avx2:ident, $transpose:path) => {
        #[allow(private_interfaces)]
        impl Element for $element {
            fn microkernels() -> &'static [Microkernels<$element>] {
                #[cfg(target_arch = "x86_64")]
                use std::arch::x86_64::{$avx2, $avx512};
                &[
                    #[cfg(target_arch = "x86_64")]
                    microkernels!(Avx512, avx512, $avx512, FmaScalar<$element>, $transpose; 1 2 4 8; [1 2 3]),
                    #[cfg(target_arch = "x86_64")]
                    microkernels!(Avx2, avx2, $avx2, FmaScalar<$element>, $transpose; 1 2 4; [1 2 3]),
                    microkernels!(Portable, portable, PortableVector<$element>, PortableScalar<$element>,
                        transpose_scalar; 1 2 4; [1]),
                ]
            }
        }
    };
}

element!(f64, __m512d, __m256d, super::transpose::transpose_avx2);
