//! The array operations that layers are made of.

use super::curves::CurveProduct;
use super::loss::{Scale, Target};
use super::normalize::{self, ComputeRow, ParameterLayout, RowNorm, RowOf};
use super::windows::{Convolution, ConvolutionArray};
use crate::numeric::Scalar;
use crate::parallel::fill;
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, ArrayViewMut1, Zip};
use std::ops::Range;

/// A formula of N numbers in any scalar.
pub trait Formula<const N: usize>: Sync {
    /// Computes it.
    fn compute<S: Scalar>(&self, inputs: [S; N]) -> S;

    /// Returns false for inputs of which no terms cancel, so that a small result has all its digits.
    fn may_cancel(&self, _inputs: [f64; N]) -> bool {
        true
    }

    /// Returns the formula as a product that doubles have a fast kernel for.
    fn curve_product(&self) -> Option<CurveProduct> {
        None
    }
}

/// A scalar with array operations. A default body is the definition of its operation; a scalar overrides it to be faster, to
/// round less, or to record the operation, never to mean something else.
pub trait ArrayOps: Scalar {
    /// A scalar with digits to spare, for what is computed once and used for many elements: that of twice the digits for doubles, else
    /// the scalar itself.
    type Extended: Scalar;

    /// Returns the number with digits to spare.
    fn widen(self) -> Self::Extended;

    /// Returns the nearest number.
    fn narrow(wide: Self::Extended) -> Self;

    /// Computes `out[k]` as `formula` of `inputs[..][k]`; `kernel` names the formula where doubles have a fast kernel for it.
    fn map_elements<const N: usize>(
        _kernel: Option<Kernel>,
        inputs: [&[Self]; N],
        out: &mut [Self],
        formula: impl Fn([Self; N]) -> Self,
    ) {
        for (k, out) in out.iter_mut().enumerate() {
            *out = formula(inputs.map(|input| input[k]));
        }
    }

    /// Computes `out[k]` as `formula` of `inputs[..][k]`, for a formula that is not accurate in every scalar's own arithmetic.
    fn map_formula<const N: usize>(inputs: [&[Self]; N], out: &mut [Self], formula: &impl Formula<N>) {
        for (k, out) in out.iter_mut().enumerate() {
            *out = formula.compute(inputs.map(|input| input[k]));
        }
    }

    /// Returns `len` elements that are computed independently of each other, a chunk at a time: `fill` gets the chunk's number
    /// and the chunk.
    fn fill_chunks(len: usize, chunk: usize, fill: impl Fn(usize, &mut [Self]) + Sync) -> Vec<Self> {
        let mut filled = vec![Self::zero(); len];
        filled.chunks_mut(chunk.max(1)).enumerate().for_each(|(n, chunk)| fill(n, chunk));
        filled
    }

    /// Returns an array of the axes (outer, rows, inner). `fill` gets the number of a row and computes its outer·inner elements.
    fn fill_across([outer, rows, inner]: [usize; 3], fill: impl Fn(usize, &mut [Self]) + Sync) -> Vec<Self> {
        let (mut filled, mut row) = (vec![Self::zero(); outer * rows * inner], vec![Self::zero(); outer * inner]);
        for n in 0..rows {
            fill(n, &mut row);
            let runs = filled.chunks_mut(inner.max(1)).skip(n).step_by(rows);
            runs.zip(row.chunks(inner.max(1))).for_each(|(run, entries)| run.copy_from_slice(entries));
        }
        filled
    }

    /// Calls `work` for consecutive chunks of rows. The chunks that are worked on at the same time have about `rows_at_once` rows
    /// together, and each has a multiple of `row_multiple`.
    fn for_each_row_chunk(
        rows: usize,
        (rows_at_once, row_multiple): (usize, usize),
        work: impl Fn(Range<usize>) + Sync,
    ) {
        fill::for_each_row_chunk(rows, (rows_at_once, row_multiple), work);
    }

    /// Returns the sum of all terms of `rows` rows, each of at most `width` terms.
    fn sum_all_rows<T: Iterator<Item = Self>>(rows: usize, _width: usize, terms: impl Fn(usize) -> T + Sync) -> Self {
        Self::sum((0..rows).flat_map(terms))
    }

    /// Returns the sum of the terms of each of `rows` rows, each of at most `width` terms.
    fn sum_each_row<T: Iterator<Item = Self>>(
        rows: usize,
        _width: usize,
        terms: impl Fn(usize) -> T + Sync,
    ) -> Vec<Self> {
        (0..rows).map(|n| Self::sum(terms(n))).collect()
    }

    /// Computes each element of `out` as the sum of the terms that have its index.
    fn add_terms(terms: impl Iterator<Item = (usize, Self)>, out: &mut [Self]) {
        let mut sums: Vec<Vec<Self>> = vec![Vec::new(); out.len()];
        terms.for_each(|(at, term)| sums[at].push(term));
        out.iter_mut().zip(sums).for_each(|(out, terms)| *out = Self::sum(terms.into_iter()));
    }

    /// Returns an array of a convolution, or its gradient, given the two others in the order x, w, y.
    fn convolve(sizes: &Convolution, wanted: ConvolutionArray, others: [&[Self]; 2]) -> Vec<Self> {
        convolve(sizes, wanted, others)
    }

    /// Returns the sum of each column, (N, M) → (M).
    fn column_sums(a: ArrayView2<'_, Self>) -> Array1<Self> {
        a.columns().into_iter().map(|column| Self::sum(column.iter().copied())).collect()
    }

    /// Returns `max`, the largest of these elements.
    fn max_of(_elements: impl Iterator<Item = Self>, max: Self) -> Self {
        max
    }

    /// Returns true if no element is infinite or NaN.
    fn are_finite(elements: &[Self]) -> bool {
        elements.iter().all(|element| element.to_f64().is_finite())
    }

    /// Returns true if an element is NaN.
    fn has_nan(elements: &[Self]) -> bool {
        // Without a branch, so that the loop is vectorized.
        elements.iter().fold(false, |found, element| found | element.is_nan())
    }

    /// Returns the matrix product a·b, (N, K)·(K, M) → (N, M).
    fn matmul(a: ArrayView2<'_, Self>, b: ArrayView2<'_, Self>) -> Array2<Self> {
        matmul(a, b)
    }

    /// Computes out = a·factor − t of a row, scaled.
    fn scaled_difference(a: &[Self], factor: Self, t: Target<'_, Self>, scale: Scale<Self>, out: &mut [Self]) {
        for (k, (out, &a)) in out.iter_mut().zip(a).enumerate() {
            *out = scale.apply(a * factor - target(t, k));
        }
    }

    /// Computes out = −t/(a + offset) of a row, scaled; 0 where t is 0, and NaN where a is NaN. `out` must hold zeros.
    fn scaled_quotient_where_nonzero(
        t: Target<'_, Self>,
        a: &[Self],
        offset: Self,
        scale: Scale<Self>,
        out: &mut [Self],
    ) {
        for (k, (out, &a)) in out.iter_mut().zip(a).enumerate() {
            let t = target(t, k);
            *out = scale.apply(if t != Self::zero() || a.is_nan() { -(t / (a + offset)) } else { Self::zero() });
        }
    }

    /// Returns a copy in which the last two axes are exchanged, (A, B, C) → (A, C, B).
    fn swap_last_axes(a: ArrayView3<'_, Self>) -> Array3<Self> {
        let (outer, rows, columns) = a.dim();
        Array3::from_shape_fn((outer, columns, rows), |(n, k, m)| a[[n, m, k]])
    }

    /// Returns the softmax of each row, and of each row the largest element and Σ e^(x − largest) over the others. No row may be
    /// empty.
    fn softmax_rows(x: ArrayView2<'_, Self>) -> (Array2<Self>, Vec<(Self, Self)>) {
        let mut y = Array2::from_elem(x.raw_dim(), Self::zero());
        let rows = x.rows().into_iter().zip(y.rows_mut()).map(|(x, y)| softmax_row(x, y)).collect();
        (y, rows)
    }

    /// Returns the softmax along the middle axis, which may not be empty.
    fn softmax_lanes(x: ArrayView3<'_, Self>) -> Array3<Self> {
        let (outer, width, inner) = x.dim();
        let rows = matrix((outer * inner, width), Self::swap_last_axes(x).into_raw_vec_and_offset().0);
        let y = Self::softmax_rows(rows.view()).0.into_raw_vec_and_offset().0;
        Self::swap_last_axes(array((outer, inner, width), y).view())
    }

    /// Returns the constant that [`softmax_gradient`](ArrayOps::softmax_gradient) subtracts from dout, given that of the largest
    /// x: as Σ y = 1, it changes no result, and this one leaves small numbers, so that less is rounded. The textbook has 0.
    fn softmax_pivot(dout_at_max: Self) -> Self {
        dout_at_max
    }

    /// Returns dx = y∘(dout − Σ dout∘y) of each row of y = softmax(x).
    fn softmax_gradient(x: ArrayView2<'_, Self>, y: ArrayView2<'_, Self>, dout: ArrayView2<'_, Self>) -> Array2<Self> {
        fill_rows(y.dim(), |n, dx| {
            let (y, dout) = (y.row(n), dout.row(n));
            let pivot = Self::softmax_pivot(dout[index_of_max(x.row(n))]);
            let mean = Self::sum(y.iter().zip(dout).map(|(&y, &dout)| y * (dout - pivot))).named("dot", "Σ {y}∘{dout}");
            dx.iter_mut().zip(y).zip(dout).for_each(|((dx, &y), &dout)| *dx = y * ((dout - pivot) - mean));
        })
    }

    /// Returns the logarithm of the softmax of each row, and a matrix to pass to [`log_softmax_gradient`]. No row may be empty.
    ///
    /// [`log_softmax_gradient`]: ArrayOps::log_softmax_gradient
    fn log_softmax_rows(x: ArrayView2<'_, Self>) -> (Array2<Self>, Array2<Self>) {
        let (mut y, rows) = Self::softmax_rows(x);
        y.mapv_inplace(|y| y.named("p", "softmax(x)"));
        let log = fill_rows(x.dim(), |n, log| {
            let ((max, others), x, y) = (rows[n], x.row(n), y.row(n));
            let log_sum = others.ln_1p();
            log.iter_mut().zip(x).zip(y).for_each(|((log, &x), &y)| *log = log_probability(x, max, log_sum, y));
        });
        (log, y)
    }

    /// Returns dx = dout − softmax(x)·Σ dout of each row; `saved` is from the forward pass.
    fn log_softmax_gradient(
        _x: ArrayView2<'_, Self>,
        saved: ArrayView2<'_, Self>,
        dout: ArrayView2<'_, Self>,
    ) -> Array2<Self> {
        fill_rows(saved.dim(), |n, dx| {
            let sum = Self::sum(dout.row(n).iter().copied()).named("total", "Σ dout");
            dx.iter_mut().zip(saved.row(n)).zip(dout.row(n)).for_each(|((dx, &y), &dout)| *dx = dout - y * sum);
        })
    }

    /// Computes y = (x − mean)/√(var + eps)·gamma + beta of a row.
    fn normalize_row(norm: &RowNorm<'_, Self>, x: &[Self], y: &mut [Self]) {
        normalize::normalize(norm, x, y);
    }

    /// Computes dx = (g − mean g − xhat·mean(g∘xhat))/std of a row, with g = dout∘gamma and xhat = (x − mean)/std.
    fn normalize_row_gradient(norm: &RowNorm<'_, Self>, x: &[Self], dout: &[Self], dx: &mut [Self]) {
        normalize::gradient(norm, x, dout, dx);
    }

    /// Returns the mean of a row, and Σ (x − mean)².
    fn row_moments(x: &[Self]) -> [Self; 2] {
        normalize::moments(x)
    }

    /// Returns for each parameter Σ a∘b over its entries; `b` computes a row, and is 1 if there is none.
    fn parameter_sums(layout: &ParameterLayout, a: &RowOf<'_, Self>, b: Option<&ComputeRow<'_, Self>>) -> Vec<Self> {
        normalize::parameter_sums(layout, a, b)
    }
}

/// A formula that doubles have a fast kernel for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// 1/(1 + e⁻ˣ) of x.
    Sigmoid,
    /// dout·σ′(x) of x, y and dout.
    SigmoidGradient,
    /// tanh x of x.
    Tanh,
    /// dout·tanh′(x) of x, y and dout.
    TanhGradient,
}

/// Returns the target of class `k`.
fn target<S: ArrayOps>(t: Target<'_, S>, k: usize) -> S {
    match t {
        Target::Dense(t) => t[k],
        Target::Class(class) if class == Some(k) => S::one(),
        Target::Class(_) => S::zero(),
    }
}

/// Returns a·b by its definition.
pub(super) fn matmul<S: Scalar>(a: ArrayView2<'_, S>, b: ArrayView2<'_, S>) -> Array2<S> {
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(n, m)| dot(a.row(n), b.column(m)))
}

/// Returns an array of a convolution by its definition, plane by plane.
pub(super) fn convolve<S: ArrayOps>(sizes: &Convolution, wanted: ConvolutionArray, [a, b]: [&[S]; 2]) -> Vec<S> {
    let (planes, len) = sizes.planes(wanted);
    S::fill_chunks(planes * len, len, |plane, out| {
        S::add_terms(sizes.products(wanted, plane).map(|(at, [n, m])| (at, a[n] * b[m])), out);
    })
}

/// Returns Σ aₖ·bₖ.
pub(super) fn dot<S: Scalar>(a: ArrayView1<'_, S>, b: ArrayView1<'_, S>) -> S {
    S::sum(a.iter().zip(b).map(|(&a, &b)| a * b))
}

/// Returns the index of the largest element, the first of several.
fn index_of_max<S: ArrayOps>(x: ArrayView1<'_, S>) -> usize {
    x.iter().enumerate().fold(0, |at, (k, value)| if *value > x[at] { k } else { at })
}

/// Computes y = softmax(x); returns the largest element of x, and Σ e^(x − largest) over the others.
fn softmax_row<S: ArrayOps>(x: ArrayView1<'_, S>, mut y: ArrayViewMut1<'_, S>) -> (S, S) {
    let at = index_of_max(x);
    let max = S::max_of(x.iter().copied(), x[at]).named("max", "the largest {x}");
    Zip::from(&mut y).and(x).for_each(|y, &x| *y = S::exp_shifted(x, max).named("e", "e^({x} − max)"));
    // The term of the maximum is e^0 = 1. So log Σ is log1p of the others, and 1 − y of the maximum is their share: both keep
    // their digits when the others are tiny.
    let others = S::sum(y.iter().enumerate().filter(|(k, _)| *k != at).map(|(_, &power)| power));
    let sum = S::sum(y.iter().copied()).named("sum", "Σ e");
    y.mapv_inplace(|power| power / sum);
    (max, others)
}

/// Returns log y of the probability y = e^(x − max)/Σ as x − max − log Σ, which has digits where y underflows.
pub(crate) fn log_probability<S: ArrayOps>(x: S, max: S, log_sum: S, y: S) -> S {
    S::stable_or_textbook(|| S::log_shifted(x, max, log_sum), || y.ln())
}

/// Returns a matrix of elements in row-major order.
pub(crate) fn matrix<S>(dim: (usize, usize), elements: Vec<S>) -> Array2<S> {
    Array2::from_shape_vec(dim, elements).unwrap_or_else(|_| unreachable!("there is an element for each place"))
}

/// Returns an array of three axes of elements in row-major order.
pub(super) fn array<S>(dim: (usize, usize, usize), elements: Vec<S>) -> Array3<S> {
    Array3::from_shape_vec(dim, elements).unwrap_or_else(|_| unreachable!("there is an element for each place"))
}

/// Returns a matrix whose rows are computed independently of each other.
pub(crate) fn fill_rows<S: ArrayOps>(
    (rows, width): (usize, usize),
    fill: impl Fn(usize, &mut [S]) + Sync,
) -> Array2<S> {
    matrix((rows, width), S::fill_chunks(rows * width, width, fill))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::dynamic::{Dynamic, Kind, with_exact, with_kind};
    use proptest::prelude::*;

    /// Asserts that the product is the definition within a relative error of each sum of magnitudes.
    fn assert_product<S: ArrayOps>(a: &Array2<f64>, b: &Array2<f64>, error: f64) {
        let (s_a, s_b) = (a.mapv(S::from_f64), b.mapv(S::from_f64));
        let magnitudes = a.mapv(f64::abs).dot(&b.mapv(f64::abs));
        let (product, definition) = (S::matmul(s_a.view(), s_b.view()), matmul(s_a.view(), s_b.view()));
        for ((&product, definition), magnitude) in product.iter().zip(definition).zip(magnitudes) {
            let difference = (product - definition).to_f64().abs();
            assert!(difference <= error * magnitude, "{product:?} {definition:?}");
        }
    }

    fn matrices() -> impl Strategy<Value = (Array2<f64>, Array2<f64>)> {
        (1..9usize, 1..40usize, 1..9usize).prop_flat_map(|(n, k, m)| {
            let matrix = |rows, columns| {
                let values = prop::collection::vec(-8.0..8.0f64, rows * columns);
                values.prop_map(move |values| Array2::from_shape_fn((rows, columns), |(n, k)| values[n * columns + k]))
            };
            (matrix(n, k), matrix(k, m))
        })
    }

    proptest! {
        #[test]
        fn overridden_products_are_the_definition((a, b) in matrices()) {
            assert_product::<f64>(&a, &b, 48.0 * f64::EPSILON);
            for kind in [Kind::DoubleDouble, Kind::Traced] {
                with_kind(kind, || assert_product::<Dynamic>(&a, &b, 1e-29));
            }
            with_exact(|| assert_product::<Dynamic>(&a, &b, 0.0));
        }
    }
}
