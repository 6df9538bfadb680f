//! The microkernel of compensated products, which keeps a tile of accumulators and of their errors in registers.

use crate::simd::backends::{FmaVector, PortableVector, zeros};
use crate::simd::dispatch::{Isa, IsaLevel};

/// The panels that a microkernel multiplies, and the tiles that it updates.
pub(crate) struct MicrokernelArguments {
    /// Products of each entry.
    pub(crate) k: usize,
    /// `rows` numbers for each product.
    pub(crate) a: *const f64,
    /// `columns` numbers for each product.
    pub(crate) b: *const f64,
    /// The accumulators, row by row.
    pub(crate) sums: *mut f64,
    /// The sums of the errors, row by row.
    pub(crate) errors: *mut f64,
}

/// Adds the products of two panels to a tile.
///
/// # Safety
/// The CPU has the instructions; a and b have k times the rows and columns of the kernel, and sums and errors have rows·columns
/// elements, which nobody else accesses meanwhile.
type MicrokernelFn = unsafe fn(&MicrokernelArguments);

/// The microkernel of an instruction set and the size of its tile.
#[derive(Clone, Copy)]
pub(crate) struct Microkernel {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) function: MicrokernelFn,
}

/// Returns the microkernel of a level that the CPU is proven to have.
pub(crate) fn microkernel_for(isa: Isa) -> Microkernel {
    match isa.level() {
        #[cfg(target_arch = "x86_64")]
        IsaLevel::Avx512 => Microkernel { rows: 6, columns: 16, function: avx512 },
        #[cfg(target_arch = "x86_64")]
        IsaLevel::Avx2 => Microkernel { rows: 2, columns: 8, function: avx2 },
        _ => Microkernel { rows: 2, columns: 8, function: portable },
    }
}

/// Adds the products of two panels to R rows of N vectors.
///
/// # Safety
/// As [`MicrokernelFn`].
#[inline(always)]
unsafe fn add_products<V: FmaVector<Element = f64>, const R: usize, const N: usize>(arguments: &MicrokernelArguments) {
    let (mut sums, mut errors) = (zeros::<V, N, R>(), zeros::<V, N, R>());
    let offset = |r: usize, n: usize| (r * N + n) * V::WIDTH;
    // SAFETY: the caller has detected the instructions of V.
    let minus_one = unsafe { V::splat(&-1.0) };
    for (r, sums) in sums.iter_mut().enumerate() {
        for (n, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller provides R·N vectors of sums.
            *sum = unsafe { V::load(arguments.sums.add(offset(r, n))) };
        }
    }
    let (mut a, mut b) = (arguments.a, arguments.b);
    for _ in 0..arguments.k {
        let [mut columns] = zeros::<V, N, 1>();
        for (n, column) in columns.iter_mut().enumerate() {
            // SAFETY: the caller provides N vectors of b for this product.
            *column = unsafe { V::load(b.add(n * V::WIDTH)) };
        }
        for (r, (sums, errors)) in sums.iter_mut().zip(&mut errors).enumerate() {
            // SAFETY: the caller provides R numbers of a for this product.
            let factor = unsafe { V::splat(a.add(r)) };
            for ((sum, error), column) in sums.iter_mut().zip(errors).zip(columns) {
                // SAFETY: the caller has detected the instructions of V.
                unsafe {
                    let next = sum.fma(factor, column);
                    // sum − next is exact; the error is the product less what was added of it.
                    let difference = sum.fma(next, minus_one);
                    *error = error.add(difference.fma(factor, column));
                    *sum = next;
                }
            }
        }
        (a, b) = (a.wrapping_add(R), b.wrapping_add(N * V::WIDTH));
    }
    for (r, (sums, errors)) in sums.iter().zip(&errors).enumerate() {
        for (n, (sum, error)) in sums.iter().zip(errors).enumerate() {
            // SAFETY: the caller provides R·N vectors of sums and errors.
            unsafe {
                sum.store(arguments.sums.add(offset(r, n)));
                let target = arguments.errors.add(offset(r, n));
                V::load(target).add(*error).store(target);
            }
        }
    }
}

unsafe fn portable(arguments: &MicrokernelArguments) {
    // SAFETY: the contract of `MicrokernelFn`, which the caller upholds, is that of this call.
    unsafe { add_products::<PortableVector<f64>, 2, 2>(arguments) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(arguments: &MicrokernelArguments) {
    // SAFETY: the contract of `MicrokernelFn`, which the caller upholds, is that of this call.
    unsafe { add_products::<std::arch::x86_64::__m256d, 2, 2>(arguments) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512(arguments: &MicrokernelArguments) {
    // SAFETY: the contract of `MicrokernelFn`, which the caller upholds, is that of this call.
    unsafe { add_products::<std::arch::x86_64::__m512d, 6, 2>(arguments) }
}
