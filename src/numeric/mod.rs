//! The numbers that formulas are written in. A layer's forward and backward are generic over [`Scalar`]: f64 computes,
//! wider scalars check. The array hooks have plain default bodies, and the default is the definition; a scalar overrides
//! a hook to be faster or more exact, never to mean something else.

use crate::parallel::fill;
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Range, Sub};

mod double_double;
pub mod exact;
mod float32;
mod float64;
mod running_sum;
mod softmax;
pub mod superaccumulator;
mod total;
pub mod traced;

pub use crate::ops::loss::{Scale, Target};
pub use double_double::DoubleDouble;
pub use exact::Exact;
pub use running_sum::Running;
pub use total::Total;
pub use traced::Traced;

/// A number that a layer computes with.
///
/// Comparison is for inputs only: a formula branches on what it was given, never on what it computed, so that every
/// scalar walks the same path.
pub trait Scalar:
    Copy
    + Debug
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// The nearest number to a double.
    fn from_f64(value: f64) -> Self;
    /// The nearest double.
    fn to_f64(self) -> f64;
    /// eˣ.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// log(1 + x), accurate near 0.
    fn ln_1p(self) -> Self;

    /// 0.
    fn zero() -> Self {
        Self::from_f64(0.0)
    }

    /// 1.
    fn one() -> Self {
        Self::from_f64(1.0)
    }

    /// e^(x − shift), for x ≤ shift.
    fn exp_shifted(x: Self, shift: Self) -> Self {
        (x - shift).exp()
    }

    /// (x − shift) − log: a shifted logit minus the log of the sum.
    fn log_shifted(x: Self, shift: Self, log: Self) -> Self {
        (x - shift) - log
    }

    /// log y of the probability y = e^(x − shift)/Σ: x − shift less the log of the sum, which has digits where y has none.
    fn log_probability(x: Self, shift: Self, log: Self, _y: Self) -> Self {
        Self::log_shifted(x, shift, log)
    }

    /// What is taken off a number, and cancels in the result, so that less is rounded: the number itself.
    fn pivot(number: Self) -> Self {
        number
    }

    /// The same number, and what the textbook calls it; only a number that remembers takes note.
    fn called(self, _name: &'static str, _meaning: &'static str) -> Self {
        self
    }

    /// A number by the formula that keeps its digits; `taught` is the textbook's way to it.
    fn detour(exact: impl FnOnce() -> Self, _taught: impl FnOnce() -> Self) -> Self {
        exact()
    }

    /// The largest number of a lane, which lies at `at`.
    fn largest(lane: ArrayView1<'_, Self>, at: usize) -> Self {
        lane[at]
    }

    /// `value` where x is positive, NaN where x is none, else 0.
    #[allow(clippy::eq_op)] // x ≠ x is how any scalar says NaN
    fn gate(self, value: Self) -> Self {
        if self > Self::zero() {
            value
        } else if self != self {
            self
        } else {
            Self::zero()
        }
    }

    /// log(a + b).
    fn ln_sum(a: Self, b: Self) -> Self {
        (a + b).ln()
    }

    /// tanh x. Enclosure 0, where e^2x − 1 cancels, Lambert's continued fraction x/(1 + x²/(3 + x²/(5 + …))): twenty levels
    /// leave 10⁻⁴⁸ of the value for |x| ≤ 1.
    fn tanh(self) -> Self {
        let (one, two) = (Self::one(), Self::from_f64(2.0));
        if self > one {
            let power = (-(two * self)).exp();
            (one - power) / (one + power)
        } else if self < -one {
            let power = (two * self).exp();
            -((one - power) / (one + power))
        } else {
            let square = self * self;
            let level = |rest: Self, odd: i32| Self::from_f64(f64::from(odd)) + square / rest;
            self / (0..20).rev().map(|n| 2 * n + 1).fold(Self::from_f64(41.0), level)
        }
    }

    /// What the next layer of a chain reads of a result: all of it.
    fn handed_on(self) -> Self {
        self
    }

    /// Σ terms.
    fn sum(terms: impl Iterator<Item = Self>) -> Self {
        terms.fold(Self::zero(), |sum, term| sum + term)
    }

    /// What is made of the numbers at each place, by the formula of a curve.
    fn curve<const N: usize>(_curve: Curve, of: [&[Self]; N], made: &mut [Self], formula: impl Fn([Self; N]) -> Self) {
        for (k, made) in made.iter_mut().enumerate() {
            *made = formula(of.map(|numbers| numbers[k]));
        }
    }

    /// Σ of all terms of so many rows of at most so many terms.
    fn sum_of_rows<T: Iterator<Item = Self>>(rows: usize, _width: usize, terms: impl Fn(usize) -> T + Sync) -> Self {
        Self::sum((0..rows).flat_map(terms))
    }

    /// Σ of the terms of each of so many rows of at most so many.
    fn sums_of_rows<T: Iterator<Item = Self>>(
        rows: usize,
        _width: usize,
        terms: impl Fn(usize) -> T + Sync,
    ) -> Vec<Self> {
        (0..rows).map(|n| Self::sum(terms(n))).collect()
    }

    /// Whether any of the numbers is NaN.
    #[allow(clippy::eq_op)] // x ≠ x is how any scalar says NaN
    fn has_nan(numbers: &[Self]) -> bool {
        numbers.iter().any(|number| number != number)
    }

    /// dx = y·Σt − t of a row's cross-entropy, scaled.
    fn loss_gradient(y: &[Self], total: Self, t: Target<'_, Self>, scale: Scale<Self>, dx: &mut [Self]) {
        for (k, (dx, &y)) in dx.iter_mut().zip(y).enumerate() {
            *dx = scale.of(y * total - target(t, k));
        }
    }

    /// dy = −t/(y + eps) of a row's cross-entropy, scaled; 0 where t is, but for a NaN. dy comes as zeros.
    #[allow(clippy::eq_op)] // y ≠ y is how any scalar says NaN
    fn loss_slope(y: &[Self], eps: Self, t: Target<'_, Self>, scale: Scale<Self>, dy: &mut [Self]) {
        for (k, (dy, &y)) in dy.iter_mut().zip(y).enumerate() {
            let t = target(t, k);
            *dy = scale.of(if t != Self::zero() || y != y { -(t / (y + eps)) } else { Self::zero() });
        }
    }

    /// So many numbers that are made without each other, `step` at a time: `fill` gets the place of a step among them, and room
    /// for its numbers, the last time perhaps for fewer.
    fn filled(len: usize, step: usize, fill: impl Fn(usize, &mut [Self]) + Sync) -> Vec<Self> {
        let mut all = vec![Self::zero(); len];
        all.chunks_mut(step.max(1)).enumerate().for_each(|(n, numbers)| fill(n, numbers));
        all
    }

    /// The softmax of each row, none of which is empty; and of each row its largest entry, and log Σ e^(x − largest).
    fn softmax_rows(x: ArrayView2<'_, Self>) -> (Array2<Self>, Vec<(Self, Self)>) {
        softmax::rows(x)
    }

    /// dx = y∘(dout − Σ dout∘y) of each row of y = softmax(x).
    fn softmax_gradient(x: ArrayView2<'_, Self>, y: ArrayView2<'_, Self>, dout: ArrayView2<'_, Self>) -> Array2<Self> {
        softmax::gradient(x, y, dout)
    }

    /// The logarithm of the softmax of each row, none of which is empty; and what its gradient wants to know again of each,
    /// such as the softmax.
    fn log_softmax_rows(x: ArrayView2<'_, Self>) -> (Array2<Self>, Array2<Self>) {
        softmax::logs(x)
    }

    /// dx = dout − softmax(x)·Σ dout of each row, by what the forward pass kept.
    fn log_softmax_gradient(
        _x: ArrayView2<'_, Self>,
        kept: ArrayView2<'_, Self>,
        dout: ArrayView2<'_, Self>,
    ) -> Array2<Self> {
        softmax::log_gradient(kept, dout)
    }

    /// Does `work` on parts of so many rows, of numbers that come of operands: at a time on about `together` rows, of each part a
    /// multiple of `unit`. What is made of a part is rounded there.
    fn in_parts(rows: usize, (together, unit): (usize, usize), work: impl Fn(Range<usize>) + Sync) {
        fill::for_each_row_chunk(rows, (together, unit), work);
    }

    /// a·b, (N, K)·(K, M).
    fn matmul(a: ArrayView2<'_, Self>, b: ArrayView2<'_, Self>) -> Array2<Self> {
        matmul(a, b)
    }

    /// The sum of each column, (N, M) → (M).
    fn column_sums(a: ArrayView2<'_, Self>) -> ndarray::Array1<Self> {
        a.columns().into_iter().map(|column| Self::sum(column.iter().copied())).collect()
    }
}

/// The target of class `k`.
fn target<S: Scalar>(t: Target<'_, S>, k: usize) -> S {
    match t {
        Target::Dense(t) => t[k],
        Target::Class(class) if class == Some(k) => S::one(),
        Target::Class(_) => S::zero(),
    }
}

/// A function of single numbers that a scalar may know a faster way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// 1/(1 + e⁻ˣ), of x.
    Sigmoid,
    /// dout times its slope, of x, y and dout.
    SigmoidGradient,
    /// tanh x, of x.
    Tanh,
    /// dout times its slope, of x, y and dout.
    TanhGradient,
}

/// The product of matrices, by its definition.
fn matmul<S: Scalar>(a: ArrayView2<'_, S>, b: ArrayView2<'_, S>) -> Array2<S> {
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(n, m)| dot(a.row(n), b.column(m)))
}

/// Σ aₖ·bₖ.
fn dot<S: Scalar>(a: ArrayView1<'_, S>, b: ArrayView1<'_, S>) -> S {
    S::sum(a.iter().zip(b).map(|(&a, &b)| a * b))
}
