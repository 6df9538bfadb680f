//! The innermost loop: a tile of accumulators and remainders that stays in registers.

use crate::simd::backends::{FUSED, Portable, Vector, zeros};
#[cfg(target_arch = "x86_64")]
use crate::simd::cpu_features;
use crate::simd::unroll::unrolled;

/// Where a tile's factors lie, and its accumulators.
pub(crate) struct Tile {
    /// How many products each entry adds.
    pub(crate) depth: usize,
    /// Numbers of `rows` rows for each product.
    pub(crate) a: *const f64,
    /// Numbers of `columns` columns for each product.
    pub(crate) b: *const f64,
    /// Accumulators, row by row.
    pub(crate) sums: *mut f64,
    /// The sums of their remainders, likewise.
    pub(crate) rests: *mut f64,
}

/// Adds products to a tile.
///
/// # Safety
/// The processor has the instructions, a and b hold depth times as many numbers as the kind has rows and columns, and sums
/// and rests as many as their product, which nobody else touches meanwhile.
type Work = unsafe fn(&Tile);

/// One kind of instructions.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) work: Work,
}

/// What every processor can do.
const PORTABLE: Kind = if FUSED {
    Kind { rows: 2, columns: 8, work: tile::<Portable<f64>, 2, 2> }
} else {
    Kind { rows: 2, columns: 8, work: split }
};

impl Kind {
    /// The kinds that this processor can do, best first.
    pub(crate) fn usable() -> impl Iterator<Item = Kind> {
        #[cfg(target_arch = "x86_64")]
        let wide = {
            use std::arch::x86_64::{__m256d, __m512d};
            let has = cpu_features::instructions();
            let wide = has.avx512f.then_some(Kind { rows: 6, columns: 16, work: avx512::<__m512d, 6, 2> });
            [wide, (has.avx2 && has.fma).then_some(Kind { rows: 2, columns: 8, work: fma::<__m256d, 2, 2> })]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let wide = [None];
        wide.into_iter().flatten().chain([PORTABLE])
    }
}

#[inline(always)]
unsafe fn tile<V: Vector<Item = f64>, const R: usize, const N: usize>(tile: &Tile) {
    // SAFETY: the caller vouches for instructions and memory, as `Work` says; R·N vectors of sums and rests are touched.
    unsafe {
        let minus = V::splat(&-1.0);
        let (mut sums, mut rests) = (zeros::<V, N, R>(), zeros::<V, N, R>());
        let place = |r: usize, n: usize| (r * N + n) * V::LANES;
        unrolled!(r < R => unrolled!(n < N => sums[r][n] = V::load(tile.sums.add(place(r, n)))));
        let (mut a, mut b) = (tile.a, tile.b);
        for _ in 0..tile.depth {
            let [mut columns] = zeros::<V, N, 1>();
            unrolled!(n < N => columns[n] = V::load(b.add(n * V::LANES)));
            unrolled!(r < R => {
                let factor = V::splat(a.add(r));
                unrolled!(n < N => {
                    let next = sums[r][n].fma(factor, columns[n]);
                    // sum − next, exactly; and the product less what was added of it.
                    let added = sums[r][n].fma(next, minus);
                    rests[r][n] = rests[r][n].add(added.fma(factor, columns[n]));
                    sums[r][n] = next;
                });
            });
            a = a.wrapping_add(R);
            b = b.wrapping_add(N * V::LANES);
        }
        unrolled!(r < R => unrolled!(n < N => {
            sums[r][n].store(tile.sums.add(place(r, n)));
            let to = tile.rests.add(place(r, n));
            V::load(to).add(rests[r][n]).store(to);
        }));
    }
}

/// SAFETY, of both: as `Work`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn fma<V: Vector<Item = f64>, const R: usize, const N: usize>(of: &Tile) {
    unsafe { tile::<V, R, N>(of) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512<V: Vector<Item = f64>, const R: usize, const N: usize>(of: &Tile) {
    unsafe { tile::<V, R, N>(of) }
}

/// The same where there are no fused multiplications: products and their errors by Dekker's halves.
unsafe fn split(tile: &Tile) {
    const ROWS: usize = PORTABLE.rows;
    const COLUMNS: usize = PORTABLE.columns;
    // SAFETY: as `Work` says; nobody else touches sums and rests.
    let (a, b, sums, rests) = unsafe {
        (
            std::slice::from_raw_parts(tile.a, tile.depth * ROWS),
            std::slice::from_raw_parts(tile.b, tile.depth * COLUMNS),
            std::slice::from_raw_parts_mut(tile.sums, ROWS * COLUMNS),
            std::slice::from_raw_parts_mut(tile.rests, ROWS * COLUMNS),
        )
    };
    let mut left = [0.0; ROWS * COLUMNS];
    for (a, b) in a.chunks_exact(ROWS).zip(b.chunks_exact(COLUMNS)) {
        for place in 0..ROWS * COLUMNS {
            let (product, error) = two_product(a[place / COLUMNS], b[place % COLUMNS]);
            let next = sums[place] + product;
            left[place] += (product - (next - sums[place])) + error;
            sums[place] = next;
        }
    }
    rests.iter_mut().zip(left).for_each(|(rest, left)| *rest += left);
}

/// a·b = product + error, exactly where nothing underflows (Dekker, Veltkamp).
fn two_product(a: f64, b: f64) -> (f64, f64) {
    const HALVES: f64 = (1u32 << 27) as f64 + 1.0;
    let split = |v: f64| {
        let high = v * HALVES - (v * HALVES - v);
        (high, v - high)
    };
    let ((a_high, a_low), (b_high, b_low), product) = (split(a), split(b), a * b);
    (product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)
}

/// The kinds that this processor can do, and the one for processors that can do nothing.
#[cfg(test)]
pub(crate) fn kinds() -> impl Iterator<Item = Kind> {
    Kind::usable().chain([Kind { work: split, ..PORTABLE }])
}
