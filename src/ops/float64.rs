//! f64: fast kernels, on all threads.

use super::array_ops::{ArrayOps, Formula, Kernel, array, matrix};
use super::loss::{Scale, Target};
use super::normalize::{ComputeRow, ParameterLayout, RowNorm, RowOf, float64 as norms, parameters};
use super::windows::{Convolution, ConvolutionArray};
use super::{activations, convolution, curves, loss, softmax};
use crate::gemm;
use crate::numeric::dynamic::{Dynamic, with_exact};
use crate::numeric::float64::{add_error, sum_with_error};
use crate::numeric::{DoubleDouble, Scalar};
use crate::parallel::fill;
use crate::simd::accuracy::{Accuracy, accuracy};
use crate::simd::error_free::two_sum;
use crate::simd::scan;
use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayView3, CowArray, Ix2, s};

/// Size of a result, relative to the largest input, below which its digits may be those that cancelled.
const SMALL_RESULT: f64 = 1.0 / (1 << 16) as f64;

impl ArrayOps for f64 {
    type Extended = DoubleDouble;

    fn widen(self) -> DoubleDouble {
        DoubleDouble::from_f64(self)
    }

    fn narrow(wide: DoubleDouble) -> f64 {
        wide.to_f64()
    }

    fn map_elements<const N: usize>(
        kernel: Option<Kernel>,
        inputs: [&[f64]; N],
        out: &mut [f64],
        formula: impl Fn([f64; N]) -> f64,
    ) {
        match (kernel, &inputs[..]) {
            (Some(Kernel::Sigmoid), [x]) => activations::sigmoid(x, out),
            (Some(Kernel::SigmoidGradient), [x, _, dout]) => activations::sigmoid_gradient(x, dout, out),
            (Some(Kernel::Tanh), [x]) => activations::tanh(x, out),
            (Some(Kernel::TanhGradient), [x, _, dout]) => activations::tanh_gradient(x, dout, out),
            _ => out.iter_mut().enumerate().for_each(|(k, out)| *out = formula(inputs.map(|input| input[k]))),
        }
    }

    /// Computes by the fast kernel where there is one and its result is accurate. Computes all others in double-double arithmetic,
    /// and rounds once; exactly where terms cancel, digits are lost to underflow, or a number on the way overflows.
    fn map_formula<const N: usize>(inputs: [&[f64]; N], out: &mut [f64], formula: &impl Formula<N>) {
        let accuracy = accuracy();
        let product = formula.curve_product();
        if let Some(product) = product {
            curves::products(product, &inputs, out);
        }
        for (k, out) in out.iter_mut().enumerate().filter(|(_, out)| product.is_none() || out.is_nan()) {
            let inputs = inputs.map(|input| input[k]);
            *out = match accuracy {
                Accuracy::Single => formula.compute(inputs),
                Accuracy::Double => formula.compute(inputs.map(DoubleDouble::from_f64)).to_f64(),
            };
            let largest = inputs.iter().fold(0.0, |largest: f64, input| largest.max(input.abs()));
            let cancels = *out != 0.0 && out.abs() < SMALL_RESULT * largest && formula.may_cancel(inputs);
            if cancels || (!out.is_finite() && inputs.iter().all(|input| input.is_finite())) {
                *out = with_exact(|| formula.compute(inputs.map(Dynamic::from_f64)).to_f64());
            }
        }
    }

    fn fill_chunks(len: usize, chunk: usize, fill: impl Fn(usize, &mut [f64]) + Sync) -> Vec<f64> {
        fill::fill_chunks(len, chunk, fill)
    }

    fn fill_across(dim: [usize; 3], fill: impl Fn(usize, &mut [f64]) + Sync) -> Vec<f64> {
        fill::fill_across(dim, fill)
    }

    /// Sums 64 rows at a time on any number of threads, with the errors of all additions, so the result depends on no machine.
    fn sum_all_rows<T: Iterator<Item = f64>>(rows: usize, width: usize, terms: impl Fn(usize) -> T + Sync) -> f64 {
        const CHUNK_ROWS: usize = 64;
        let chunks = fill::map_rows(rows.div_ceil(CHUNK_ROWS), CHUNK_ROWS * width, |chunk| {
            let rows = chunk * CHUNK_ROWS..rows.min((chunk + 1) * CHUNK_ROWS);
            sum_with_error(rows.flat_map(&terms))
        });
        let rest: f64 = chunks.iter().map(|(_, error)| error).sum();
        let (sum, error) = sum_with_error(chunks.into_iter().map(|(sum, _)| sum));
        add_error((sum, rest + error))
    }

    fn sum_each_row<T: Iterator<Item = f64>>(rows: usize, width: usize, terms: impl Fn(usize) -> T + Sync) -> Vec<f64> {
        fill::map_rows(rows, width, |n| f64::sum(terms(n)))
    }

    /// Adds row by row, several columns at a time, in the order of the definition.
    fn column_sums(a: ArrayView2<'_, f64>) -> Array1<f64> {
        const COLUMNS: usize = 64;
        let sums = fill::fill_chunks(a.ncols(), COLUMNS, |n, sums| {
            let mut errors = [0.0; COLUMNS];
            for row in a.slice(s![.., n * COLUMNS..n * COLUMNS + sums.len()]).rows() {
                for ((sum, error), &term) in sums.iter_mut().zip(&mut errors).zip(row) {
                    let (total, rest) = two_sum(*sum, term);
                    (*sum, *error) = (total, *error + rest);
                }
            }
            sums.iter_mut().zip(errors).for_each(|(sum, error)| *sum = add_error((*sum, error)));
        });
        Array1::from(sums)
    }

    fn matmul(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
        gemm::multiply(a, b)
    }

    fn add_terms(terms: impl Iterator<Item = (usize, f64)>, out: &mut [f64]) {
        out.fill(0.0);
        terms.for_each(|(at, term)| out[at] += term);
    }

    fn convolve(sizes: &Convolution, wanted: ConvolutionArray, others: [&[f64]; 2]) -> Vec<f64> {
        convolution::convolve(sizes, wanted, others)
    }

    fn scaled_difference(a: &[f64], factor: f64, t: Target<'_, f64>, scale: Scale<f64>, out: &mut [f64]) {
        loss::logits_gradient(a, factor, t, scale, out);
    }

    fn scaled_quotient_where_nonzero(t: Target<'_, f64>, a: &[f64], offset: f64, scale: Scale<f64>, out: &mut [f64]) {
        loss::probabilities_gradient(a, offset, t, scale, out);
    }

    fn are_finite(elements: &[f64]) -> bool {
        let mut found = false;
        scan::find_non_finite(elements, &mut found);
        !found
    }

    fn swap_last_axes(a: ArrayView3<'_, f64>) -> Array3<f64> {
        /// Number of columns that are copied together, so that a cache line is read once.
        const COLUMNS: usize = 8;
        let (outer, rows, columns) = a.dim();
        let a = a.as_standard_layout();
        let source = a.as_slice().unwrap_or_default();
        let swapped = fill::fill_chunks(source.len(), COLUMNS * rows, |n, out| {
            let begin = |k: usize| (n * COLUMNS + k) / columns * rows * columns + (n * COLUMNS + k) % columns;
            let begins: [usize; COLUMNS] = std::array::from_fn(begin);
            for m in 0..rows {
                for (column, begin) in out.chunks_exact_mut(rows).zip(begins) {
                    column[m] = source[begin + m * columns];
                }
            }
        });
        array((outer, columns, rows), swapped)
    }

    fn softmax_lanes(x: ArrayView3<'_, f64>) -> Array3<f64> {
        /// Fewer neighbouring lanes are copied into rows.
        const MIN_LANES: usize = 8;
        let (dim, x) = (x.dim(), x.as_standard_layout());
        if dim.2 >= MIN_LANES {
            return array(dim, softmax::softmax_lanes(x.as_slice().unwrap_or_default(), dim));
        }
        let rows = f64::swap_last_axes(x.view());
        let y = softmax::softmax_rows(rows.as_slice().unwrap_or_default(), dim.1).0;
        f64::swap_last_axes(array((dim.0, dim.2, dim.1), y).view())
    }

    fn softmax_rows(x: ArrayView2<'_, f64>) -> (Array2<f64>, Vec<(f64, f64)>) {
        let (y, sums) = softmax::softmax_rows(elements(&x.as_standard_layout()), x.ncols());
        (matrix(x.dim(), y), sums)
    }

    fn softmax_gradient(_: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>, dout: ArrayView2<'_, f64>) -> Array2<f64> {
        let (dim, y, dout) = (y.dim(), y.as_standard_layout(), dout.as_standard_layout());
        matrix(dim, softmax::softmax_gradient(elements(&y), elements(&dout), dim.1))
    }

    /// Saves the largest element of each row, and the sum of the others' powers.
    fn log_softmax_rows(x: ArrayView2<'_, f64>) -> (Array2<f64>, Array2<f64>) {
        let (log, sums) = softmax::log_softmax_rows(elements(&x.as_standard_layout()), x.ncols());
        let saved = sums.iter().flat_map(|&(max, others)| [max, others]).collect();
        (matrix(x.dim(), log), matrix((sums.len(), 2), saved))
    }

    fn log_softmax_gradient(
        x: ArrayView2<'_, f64>,
        saved: ArrayView2<'_, f64>,
        dout: ArrayView2<'_, f64>,
    ) -> Array2<f64> {
        let (x, dout) = (x.as_standard_layout(), dout.as_standard_layout());
        let sums: Vec<(f64, f64)> = saved.rows().into_iter().map(|row| (row[0], row[1])).collect();
        matrix(x.dim(), softmax::log_softmax_gradient(elements(&x), &sums, elements(&dout), x.ncols()))
    }

    fn normalize_row(norm: &RowNorm<'_, f64>, x: &[f64], y: &mut [f64]) {
        norms::normalize(norm, x, y);
    }

    fn normalize_row_gradient(norm: &RowNorm<'_, f64>, x: &[f64], dout: &[f64], dx: &mut [f64]) {
        norms::gradient(norm, x, dout, dx);
    }

    fn row_moments(x: &[f64]) -> [f64; 2] {
        norms::moments(x)
    }

    fn parameter_sums(layout: &ParameterLayout, a: &RowOf<'_, f64>, b: Option<&ComputeRow<'_, f64>>) -> Vec<f64> {
        parameters::parameter_sums(layout, a, b)
    }
}

/// Returns the elements row by row.
fn elements<'a>(matrix: &'a CowArray<'_, f64, Ix2>) -> &'a [f64] {
    matrix.as_slice().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_columns_are_those_of_each_column() {
        for (rows, columns) in [(0, 3), (1, 1), (5, 63), (7, 64), (9, 130), (300, 65)] {
            let term = |(n, k): (usize, usize)| [1e100, 1.0, -1e100, 0.1][(n + k) % 4] * (1 + n % 7) as f64;
            let a = Array2::from_shape_fn((rows, columns), term);
            for a in [a.view(), a.t()] {
                let each = a.columns().into_iter().map(|column| f64::sum(column.iter().copied()));
                assert!(f64::column_sums(a).into_iter().eq(each), "{rows} {columns}");
            }
        }
    }

    #[test]
    fn a_sum_of_rows_is_the_same_on_any_number_of_threads() {
        let term = |n: usize, k: usize| [1e100, 1.0, -1e100, 0.1][(n + k) % 4];
        for (rows, width) in [(0, 3), (1, 7), (64, 9), (65, 9), (1000, 100), (70_000, 3)] {
            let terms = |n: usize| (0..width).map(move |k| term(n, k));
            let whole = f64::sum((0..rows).flat_map(terms));
            let alone = crate::parallel::scope::with_thread_limit(1, || f64::sum_all_rows(rows, width, terms));
            assert!((alone - whole).abs() <= 1e-11 * whole.abs(), "{rows} {width}: {alone} {whole}");
            for count in [2, 3] {
                let found = crate::parallel::scope::with_thread_limit(count, || f64::sum_all_rows(rows, width, terms));
                assert_eq!(found.to_bits(), alone.to_bits(), "{rows} {width}");
                let each = crate::parallel::scope::with_thread_limit(count, || f64::sum_each_row(rows, width, terms));
                assert!(each.into_iter().eq((0..rows).map(|n| f64::sum(terms(n)))));
            }
        }
    }
}
