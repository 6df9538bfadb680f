//! Convolutions of doubles: products of w with columns of entries, a block of windows at a time.
//!
//! The columns of a block have a row for each input channel and tap: the entry that the tap reads in each window, or 0 in the
//! padding. There is never a column for every window. What is computed at a time, and the order of every sum, follow from the
//! sizes alone.

use super::array_ops;
use super::array_ops::ArrayOps;
use super::windows::{Convolution, ConvolutionArray, Windows};
use crate::gemm;
use ndarray::{ArrayView2, ArrayView3, s};
use std::ops::Range;

/// Entries of the columns of a block.
const BLOCK_ENTRIES: usize = 1 << 18;
/// Number of parts that work is split into, if they are large enough.
const PARTS: usize = 16;
/// Rows of a part; products of fewer are not efficient.
const MIN_ROWS: usize = 16;

/// Returns one of the arrays of a convolution, given the two others in the order x, w, y.
pub(super) fn convolve(sizes: &Convolution, wanted: ConvolutionArray, others: [&[f64]; 2]) -> Vec<f64> {
    // The columns have zeros for the padding, whose product with infinity is NaN.
    let multiplied = if wanted == ConvolutionArray::X { None } else { Some(others[1]) };
    if multiplied.is_some_and(|factor| !f64::are_finite(factor)) {
        return array_ops::convolve(sizes, wanted, others);
    }
    match wanted {
        ConvolutionArray::X => input_gradient(sizes, others),
        ConvolutionArray::W => weight_gradient(sizes, others),
        ConvolutionArray::Y => output(sizes, others),
    }
}

/// Returns y = Σ x·w.
fn output(sizes: &Convolution, [x, w]: [&[f64]; 2]) -> Vec<f64> {
    let Convolution { samples, groups, inputs, outputs, windows } = *sizes;
    let (depth, count) = (inputs * windows.taps(), windows.count());
    let rows = part_rows(outputs, samples * groups, MIN_ROWS);
    f64::fill_chunks(samples * groups * outputs * count, rows * count, |part, out| {
        let first = part * rows;
        let (x, w) = (planes(sizes, x, first / outputs), &w[first % (groups * outputs) * depth..]);
        let (w, mut columns) = (view(&w[..rows * depth], depth), Vec::new());
        for (block, range) in windows.blocks(BLOCK_ENTRIES / depth.max(1)) {
            fill_columns(block, x, 0..depth, &mut columns);
            let product = gemm::multiply(w, view(&columns, range.len()));
            for (out, row) in out.chunks_mut(count).zip(product.rows()) {
                out[range.clone()].copy_from_slice(row.as_slice().unwrap_or_default());
            }
        }
    })
}

/// Returns dx: the products of w and dout, each added where its tap has read.
fn input_gradient(sizes: &Convolution, [w, dout]: [&[f64]; 2]) -> Vec<f64> {
    let Convolution { samples, groups, inputs, outputs, windows } = *sizes;
    let (entries, taps, count) = (windows.entries(), windows.taps(), windows.count());
    let channels = part_rows(inputs, samples * groups, 1);
    f64::fill_chunks(samples * groups * inputs * entries, channels * entries, |part, out| {
        let first = part * channels;
        let (plane, input) = (first / inputs, first % inputs);
        let group = plane % groups;
        let w = view(&w[group * outputs * inputs * taps..][..outputs * inputs * taps], inputs * taps);
        let w = w.slice_move(s![.., input * taps..(input + channels) * taps]).reversed_axes();
        let dout = view(&dout[plane * outputs * count..][..outputs * count], count);
        for (block, range) in windows.blocks(BLOCK_ENTRIES / (channels * taps).max(1)) {
            let product = gemm::multiply(w, dout.slice(s![.., range]));
            for (row, products) in product.rows().into_iter().enumerate() {
                let (products, dx) = (products.to_slice().unwrap_or_default(), &mut out[row / taps * entries..]);
                for run in block.runs(row % taps) {
                    let (products, dx) = (&products[run.window..][..run.len], &mut dx[run.entry..]);
                    match run.step {
                        1 => dx.iter_mut().zip(products).for_each(|(dx, product)| *dx += product),
                        step => dx.iter_mut().step_by(step).zip(products).for_each(|(dx, product)| *dx += product),
                    }
                }
            }
        }
    })
}

/// Returns dw = Σ x·dout, over the samples and blocks in order.
fn weight_gradient(sizes: &Convolution, [x, dout]: [&[f64]; 2]) -> Vec<f64> {
    let Convolution { samples, groups, inputs, outputs, windows } = *sizes;
    let (depth, count) = (inputs * windows.taps(), windows.count());
    let rows = part_rows(depth, groups, MIN_ROWS);
    // Transposed, so that each part computes consecutive rows from columns of its own.
    let transposed = f64::fill_chunks(groups * depth * outputs, rows * outputs, |part, out| {
        let (group, first) = (part * rows / depth, part * rows % depth);
        let mut columns = Vec::new();
        for sample in 0..samples {
            let plane = sample * groups + group;
            let x = planes(sizes, x, plane);
            let dout = view(&dout[plane * outputs * count..][..outputs * count], count);
            for (block, range) in windows.blocks(BLOCK_ENTRIES / rows) {
                fill_columns(block, x, first..first + rows, &mut columns);
                let product = gemm::multiply(view(&columns, range.len()), dout.slice(s![.., range]).reversed_axes());
                out.iter_mut().zip(&product).for_each(|(sum, product)| *sum += product);
            }
        }
    });
    let transposed = ArrayView3::from_shape((groups, depth, outputs), &transposed);
    let transposed = transposed.unwrap_or_else(|_| unreachable!("there is an element for each place"));
    f64::swap_last_axes(transposed).into_raw_vec_and_offset().0
}

/// Returns the number of rows of a part: the smallest divisor of all that makes no more than [`PARTS`] of `others` times as many,
/// none of them of fewer than `min` rows.
fn part_rows(rows: usize, others: usize, min: usize) -> usize {
    let least = (rows * others).div_ceil(PARTS).max(min).min(rows).max(1);
    (least..rows).find(|part| rows.is_multiple_of(*part)).unwrap_or(rows.max(1))
}

/// Returns the input channels of a group of a sample.
fn planes<'a>(sizes: &Convolution, x: &'a [f64], sample_and_group: usize) -> &'a [f64] {
    let len = sizes.inputs * sizes.windows.entries();
    &x[sample_and_group * len..][..len]
}

/// Fills some rows of the columns of a block.
fn fill_columns(block: Windows, planes: &[f64], rows: Range<usize>, columns: &mut Vec<f64>) {
    let (entries, taps, count) = (block.entries(), block.taps(), block.count());
    columns.clear();
    columns.resize(rows.len() * count, 0.0);
    for (row, out) in rows.zip(columns.chunks_mut(count.max(1))) {
        let (plane, tap) = (&planes[row / taps * entries..][..entries], row % taps);
        for run in block.runs(tap) {
            let (out, plane) = (&mut out[run.window..][..run.len], &plane[run.entry..]);
            match run.step {
                1 => out.copy_from_slice(&plane[..run.len]),
                step => out.iter_mut().zip(plane.iter().step_by(step)).for_each(|(out, entry)| *out = *entry),
            }
        }
    }
}

/// Returns rows of `width` elements as a matrix.
fn view(elements: &[f64], width: usize) -> ArrayView2<'_, f64> {
    let view = ArrayView2::from_shape((elements.len() / width.max(1), width), elements);
    view.unwrap_or_else(|_| unreachable!("there is an element for each place"))
}

#[cfg(test)]
mod tests {
    use super::super::windows::WindowAxis;
    use super::*;
    use crate::parallel::scope::with_thread_limit;

    fn numbers(len: usize, seed: usize) -> Vec<f64> {
        (0..len).map(|n| (((n + seed) * 7919) % 1009) as f64 / 37.0 - 13.0).collect()
    }

    #[test]
    fn products_by_blocks_are_the_definition_on_any_number_of_threads() {
        let axis = |entries: usize, taps, stride, dilation, before: isize, after: usize| {
            let axis = WindowAxis { entries, taps, stride, dilation, before, after, windows: 0 };
            let windows = (entries + before.unsigned_abs() + after - axis.extent()) / stride + 1;
            WindowAxis { windows, ..axis }
        };
        let (plain, padded, strided) = (axis(9, 3, 1, 1, 0, 0), axis(11, 3, 1, 2, 2, 1), axis(12, 2, 2, 1, 1, 0));
        let long = axis(70_000, 5, 1, 1, 2, 2);
        for (samples, groups, inputs, outputs, axes) in [
            (3, 1, 4, 6, [plain, padded]),
            (2, 3, 2, 3, [strided, padded]),
            (1, 5, 1, 1, [plain, strided]),
            (1, 1, 32, 64, [padded, strided]),
            (2, 1, 2, 3, [WindowAxis::SINGLE, long]),
            (0, 1, 2, 3, [plain, plain]),
        ] {
            let sizes = Convolution { samples, groups, inputs, outputs, windows: Windows(axes) };
            let x = numbers(samples * groups * inputs * sizes.windows.entries(), 1);
            let w = numbers(groups * outputs * inputs * sizes.windows.taps(), 2);
            let y = numbers(samples * groups * outputs * sizes.windows.count(), 3);
            for (wanted, others) in
                [(ConvolutionArray::X, [&w, &y]), (ConvolutionArray::W, [&x, &y]), (ConvolutionArray::Y, [&x, &w])]
            {
                let others = others.map(Vec::as_slice);
                let defined = array_ops::convolve(&sizes, wanted, others);
                let magnitudes = others.map(|other| other.iter().map(|v| v.abs()).collect::<Vec<_>>());
                let magnitudes = array_ops::convolve(&sizes, wanted, [&magnitudes[0], &magnitudes[1]]);
                let found = with_thread_limit(1, || convolve(&sizes, wanted, others));
                assert_eq!(found.len(), defined.len());
                for ((found, defined), magnitude) in found.iter().zip(defined).zip(magnitudes) {
                    assert!((found - defined).abs() <= 1e-13 * magnitude, "{sizes:?} {wanted:?}: {found} {defined}");
                }
                assert!(found == with_thread_limit(3, || convolve(&sizes, wanted, others)), "{sizes:?} {wanted:?}");
            }
        }
    }
}
