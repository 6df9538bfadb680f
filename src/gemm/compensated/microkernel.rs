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

/// Adds the products of two panels to R rows of N vectors. Loops over indices, unlike iterators, keep the arrays in registers.
///
/// # Safety
/// As [`MicrokernelFn`].
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn add_products<V: FmaVector<Element = f64>, const R: usize, const N: usize>(arguments: &MicrokernelArguments) {
    let (mut sums, mut errors) = (zeros::<V, N, R>(), zeros::<V, N, R>());
    let offset = |r: usize, n: usize| (r * N + n) * V::WIDTH;
    // SAFETY: the caller has detected the instructions of V, and provides R numbers of a and N vectors of b for each product, and
    // R·N vectors of sums and errors.
    unsafe {
        let minus_one = V::splat(&-1.0);
        for r in 0..R {
            for n in 0..N {
                sums[r][n] = V::load(arguments.sums.add(offset(r, n)));
            }
        }
        for k in 0..arguments.k {
            let (a, b) = (arguments.a.add(k * R), arguments.b.add(k * N * V::WIDTH));
            let [mut columns] = zeros::<V, N, 1>();
            for n in 0..N {
                columns[n] = V::load(b.add(n * V::WIDTH));
            }
            for r in 0..R {
                let factor = V::splat(a.add(r));
                for n in 0..N {
                    let next = sums[r][n].fma(factor, columns[n]);
                    // sum − next is exact; the error is the product less what was added of it.
                    let difference = sums[r][n].fma(next, minus_one);
                    errors[r][n] = errors[r][n].add(difference.fma(factor, columns[n]));
                    sums[r][n] = next;
                }
            }
        }
        for r in 0..R {
            for n in 0..N {
                sums[r][n].store(arguments.sums.add(offset(r, n)));
                let target = arguments.errors.add(offset(r, n));
                V::load(target).add(errors[r][n]).store(target);
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
