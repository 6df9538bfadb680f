//! Softmax of a row, its logarithm and the gradients of both: what the hooks mean.

use super::Scalar;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, Zip};

/// Where the largest entry is, the first of several.
fn largest<S: Scalar>(x: ArrayView1<'_, S>) -> usize {
    x.iter().enumerate().fold(0, |at, (k, value)| if *value > x[at] { k } else { at })
}

/// The softmax of each row; and of each row its largest entry, and log Σ e^(x − largest).
pub(crate) fn rows<S: Scalar>(x: ArrayView2<'_, S>) -> (Array2<S>, Vec<(S, S)>) {
    let mut y = Array2::from_elem(x.raw_dim(), S::zero());
    let lines = x.rows().into_iter().zip(y.rows_mut()).map(|(x, y)| row(x, y)).collect();
    (y, lines)
}

/// y = softmax(x); gives the largest entry of x, and log Σ e^(x − largest).
fn row<S: Scalar>(x: ArrayView1<'_, S>, mut y: ArrayViewMut1<'_, S>) -> (S, S) {
    let at = largest(x);
    let max = S::largest(x, at).called("max", "the largest x");
    Zip::from(&mut y).and(x).for_each(|y, &x| *y = S::exp_shifted(x, max).called("e", "e^(x − max)"));
    // e^0 at the maximum is 1: log Σ is log1p of the others, which keeps its digits when they are tiny.
    let others = S::sum(y.iter().enumerate().filter(|(k, _)| *k != at).map(|(_, &power)| power));
    let sum = S::sum(y.iter().copied()).called("sum", "Σ e");
    y.mapv_inplace(|power| power / sum);
    (max, others.ln_1p())
}

/// The logarithm of the softmax of each row; and the softmax.
pub(crate) fn logs<S: Scalar>(x: ArrayView2<'_, S>) -> (Array2<S>, Array2<S>) {
    let (mut y, lines) = S::softmax_rows(x);
    y.mapv_inplace(|y| y.called("p", "softmax(x)"));
    let log = filled(x.dim(), |n, log| {
        let ((max, log_sum), x, y) = (lines[n], x.row(n), y.row(n));
        log.iter_mut().zip(x).zip(y).for_each(|((log, &x), &y)| *log = S::log_probability(x, max, log_sum, y));
    });
    (log, y)
}

/// dx = y∘(d − Σ d∘y) with d = dout − dout[at]: a constant off dout changes nothing, since Σ y = 1, and leaves small numbers.
pub(crate) fn gradient<S: Scalar>(x: ArrayView2<'_, S>, y: ArrayView2<'_, S>, dout: ArrayView2<'_, S>) -> Array2<S> {
    filled(y.dim(), |n, dx| {
        let (y, dout) = (y.row(n), dout.row(n));
        let constant = S::pivot(dout[largest(x.row(n))]);
        let mean = S::sum(y.iter().zip(dout).map(|(&y, &dout)| y * (dout - constant))).called("dot", "Σ y∘dout");
        dx.iter_mut().zip(y).zip(dout).for_each(|((dx, &y), &dout)| *dx = y * ((dout - constant) - mean));
    })
}

/// dx = dout − y·Σ dout.
pub(crate) fn log_gradient<S: Scalar>(y: ArrayView2<'_, S>, dout: ArrayView2<'_, S>) -> Array2<S> {
    filled(y.dim(), |n, dx| {
        let sum = S::sum(dout.row(n).iter().copied()).called("total", "Σ dout");
        dx.iter_mut().zip(y.row(n)).zip(dout.row(n)).for_each(|((dx, &y), &dout)| *dx = dout - y * sum);
    })
}

/// A matrix whose rows are made without each other.
fn filled<S: Scalar>((rows, width): (usize, usize), fill: impl Fn(usize, &mut [S]) + Sync) -> Array2<S> {
    match Array2::from_shape_vec((rows, width), S::filled(rows * width, width, fill)) {
        Ok(array) => array,
        Err(_) => unreachable!("an entry for each"),
    }
}
