//! The innermost loop of a matrix product: a tile of the result that stays in registers, in the widest instructions that
//! the processor has.

use super::transpose;
use super::transpose::Turn;
use crate::simd::backends::{FUSED, One, Portable, Vector, expect, zeros};
#[cfg(target_arch = "x86_64")]
use crate::simd::cpu_features;
use crate::simd::unroll::unrolled;
use std::ops::AddAssign;

/// The most numbers that a tile of any kind has.
pub(crate) const LARGEST: usize = 8 * 48;

/// How many steps ahead of their use the factors are asked for.
const AHEAD: usize = 8;

/// Where a tile's factors lie, and where it goes.
pub(crate) struct Tile<T> {
    /// How many products each entry sums.
    pub(crate) depth: usize,
    /// The tile's rows of the left factor: entry (r, k) lies at `a + r·a_row + k·a_step`.
    pub(crate) a: *const T,
    pub(crate) a_row: usize,
    pub(crate) a_step: usize,
    /// The tile's columns of the right factor: entry (k, c) lies at `b + k·b_step + c`.
    pub(crate) b: *const T,
    pub(crate) b_step: usize,
    /// Entry (r, c) goes to `c + r·c_row + c`.
    pub(crate) c: *mut T,
    pub(crate) c_row: usize,
    /// How many numbers of the last vector of each row are entries: the others go nowhere.
    pub(crate) last: usize,
    /// Whether it is added to what is there.
    pub(crate) add: bool,
}

/// Computes a tile of so many rows and vectors.
///
/// # Safety
/// The processor has the instructions of the kernel, the factors' entries may be read, and the result's written (and where
/// they are added to, read) by nobody else meanwhile.
pub(crate) type Work<T> = unsafe fn(&Tile<T>);

/// One kind of instructions.
pub(crate) struct Kernel<T: 'static> {
    /// What it needs.
    pub(crate) name: &'static str,
    /// Numbers in a vector.
    pub(crate) lanes: usize,
    /// Tiles of 1, 2, 4, … rows, and 1, 2, … vectors.
    pub(crate) tiles: &'static [&'static [Work<T>]],
    /// Tiles of as many rows, and one column.
    pub(crate) ones: &'static [Work<T>],
    /// How four lines are turned to be packed.
    pub(crate) turn: Turn<T>,
}

impl<T> Kernel<T> {
    /// Rows of the largest tile.
    pub(crate) fn rows(&self) -> usize {
        1 << (self.tiles.len() - 1)
    }

    /// The tile of so many rows and columns.
    pub(crate) fn tile(&self, rows: usize, columns: usize) -> Work<T> {
        let rows = rows.ilog2() as usize;
        if columns == 1 { self.ones[rows] } else { self.tiles[rows][columns / self.lanes - 1] }
    }

    /// Columns of the largest tile.
    pub(crate) fn columns(&self) -> usize {
        self.lanes * self.tiles[0].len()
    }
}

/// A number that matrices are multiplied in.
pub trait Element: Copy + Default + Send + Sync + AddAssign + 'static {
    /// The kernels there are, best first; the last one needs nothing.
    #[doc(hidden)]
    #[allow(private_interfaces)] // sealed: who cannot name a kernel cannot implement this
    fn kernels() -> &'static [Kernel<Self>];
}

/// Whether the processor has the instructions of a kernel.
fn detected(name: &str) -> bool {
    #[cfg(target_arch = "x86_64")]
    match name {
        "avx512f" => return cpu_features::instructions().avx512f,
        "fma" => return cpu_features::instructions().avx2 && cpu_features::instructions().fma,
        _ => {}
    }
    name == "portable"
}

/// The kernels that this processor has, best first.
pub(crate) fn usable<T: Element>() -> impl Iterator<Item = &'static Kernel<T>> {
    T::kernels().iter().filter(|kernel| detected(kernel.name))
}

#[inline(always)]
unsafe fn tile<V: Vector<Item: AddAssign>, const R: usize, const N: usize>(tile: &Tile<V::Item>) {
    // SAFETY: the caller vouches for instructions and memory, as `Work` says; R·N vectors of the tile are all that is touched.
    unsafe {
        let mut sums = zeros::<V, N, R>();
        let (mut a, mut b, mut left) = (tile.a, tile.b, tile.depth);
        // Packed strips: all distances are known, and four steps go at a time.
        if tile.a_row == 1 && tile.a_step == R && tile.b_step == N * V::LANES {
            // The result is asked for row after row meanwhile: all at once, it would hold up the factors.
            let share = (tile.depth / (4 * R)).max(1);
            let (mut until, mut row) = (1, tile.c.cast_const());
            while left >= 4 {
                until -= 1;
                if until == 0 {
                    (0..N).for_each(|n| expect(row.wrapping_add(n * V::LANES)));
                    expect(row.wrapping_add(N * V::LANES - 1));
                    (until, row) = (share, row.wrapping_add(tile.c_row));
                }
                unrolled!(step < 4 => {
                    expect(a.wrapping_add((AHEAD + step) * R));
                    sums = products::<V, R, N>(sums, a.add(step * R), 1, b.add(step * N * V::LANES));
                });
                (a, b, left) = (a.wrapping_add(4 * R), b.wrapping_add(4 * N * V::LANES), left - 4);
            }
        }
        while left > 0 {
            sums = products::<V, R, N>(sums, a, tile.a_row, b);
            (a, b, left) = (a.wrapping_add(tile.a_step), b.wrapping_add(tile.b_step), left - 1);
        }
        unrolled!(r < R => unrolled!(n < N => {
            let to = tile.c.add(r * tile.c_row + n * V::LANES);
            if n + 1 == N && tile.last < V::LANES {
                sums[r][n].store_some(to, tile.last, tile.add);
            } else if tile.add { V::load(to).add(sums[r][n]).store(to) } else { sums[r][n].store(to) }
        }));
    }
}

/// Adds the products of one step.
#[inline(always)]
unsafe fn products<V: Vector, const R: usize, const N: usize>(
    mut sums: [[V; N]; R],
    a: *const V::Item,
    a_row: usize,
    b: *const V::Item,
) -> [[V; N]; R] {
    // SAFETY: as `tile`.
    unsafe {
        let [mut columns] = zeros::<V, N, 1>();
        unrolled!(n < N => {
            expect(b.wrapping_add(AHEAD * N * V::LANES + n * V::LANES));
            columns[n] = V::load(b.add(n * V::LANES));
        });
        unrolled!(r < R => {
            let factor = V::splat(a.add(r * a_row));
            unrolled!(n < N => sums[r][n] = sums[r][n].fma(factor, columns[n]));
        });
        sums
    }
}

/// SAFETY, of all three: as `Work`.
unsafe fn portable<V: Vector<Item: AddAssign>, const R: usize, const N: usize>(of: &Tile<V::Item>) {
    unsafe { tile::<V, R, N>(of) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn fma<V: Vector<Item: AddAssign>, const R: usize, const N: usize>(of: &Tile<V::Item>) {
    unsafe { tile::<V, R, N>(of) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512<V: Vector<Item: AddAssign>, const R: usize, const N: usize>(of: &Tile<V::Item>) {
    unsafe { tile::<V, R, N>(of) }
}

macro_rules! element {
    ($item:ty, $wide:ident, $half:ident, $turn:path) => {
        #[allow(private_interfaces)]
        impl Element for $item {
            fn kernels() -> &'static [Kernel<$item>] {
                #[cfg(target_arch = "x86_64")]
                use std::arch::x86_64::{$half, $wide};
                macro_rules! row {
                    ($work:ident, $vector:ty, $rows:literal) => {
                        &[$work::<$vector, $rows, 1>, $work::<$vector, $rows, 2>, $work::<$vector, $rows, 3>]
                    };
                }
                &[
                    #[cfg(target_arch = "x86_64")]
                    Kernel {
                        name: "avx512f",
                        lanes: <$wide as Vector>::LANES,
                        tiles: &[
                            row!(avx512, $wide, 1),
                            row!(avx512, $wide, 2),
                            row!(avx512, $wide, 4),
                            row!(avx512, $wide, 8),
                        ],
                        ones: &[
                            avx512::<One<$item, true>, 1, 1>,
                            avx512::<One<$item, true>, 2, 1>,
                            avx512::<One<$item, true>, 4, 1>,
                            avx512::<One<$item, true>, 8, 1>,
                        ],
                        turn: $turn,
                    },
                    #[cfg(target_arch = "x86_64")]
                    Kernel {
                        name: "fma",
                        lanes: <$half as Vector>::LANES,
                        tiles: &[row!(fma, $half, 1), row!(fma, $half, 2), row!(fma, $half, 4)],
                        ones: &[
                            fma::<One<$item, true>, 1, 1>,
                            fma::<One<$item, true>, 2, 1>,
                            fma::<One<$item, true>, 4, 1>,
                        ],
                        turn: $turn,
                    },
                    Kernel {
                        name: "portable",
                        lanes: <Portable<$item> as Vector>::LANES,
                        tiles: &[
                            &[portable::<Portable<$item>, 1, 1>],
                            &[portable::<Portable<$item>, 2, 1>],
                            &[portable::<Portable<$item>, 4, 1>],
                        ],
                        ones: &[
                            portable::<One<$item, { FUSED }>, 1, 1>,
                            portable::<One<$item, { FUSED }>, 2, 1>,
                            portable::<One<$item, { FUSED }>, 4, 1>,
                        ],
                        turn: transpose::plainly,
                    },
                ]
            }
        }
    };
}

element!(f64, __m512d, __m256d, transpose::by_twos);
element!(f32, __m512, __m256, transpose::plainly);
