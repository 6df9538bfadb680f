//! f32: the definitions, with the GEMM and on all threads.

use super::array_ops::ArrayOps;
use crate::gemm;
use crate::parallel::fill;
use ndarray::{Array2, ArrayView2};

impl ArrayOps for f32 {
    fn fill_chunks(len: usize, chunk: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
        fill::fill_chunks(len, chunk, fill)
    }

    fn matmul(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
        gemm::multiply(a, b)
    }
}
