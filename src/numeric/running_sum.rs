//! Sums over blocks of rows.

use super::float64::two_sum;
use crate::parallel::{fill, pages};
use ndarray::{ArrayD, Zip};

/// A sum of arrays that come one after the other, or a few rows of each at a time. Matrices are added as
/// [`gemm`](crate::gemm) adds its blocks of products; of vectors and scalars the error of every addition is kept and
/// added at the end.
pub struct Running {
    sum: ArrayD<f64>,
    rest: ArrayD<f64>,
    single: bool,
}

impl Running {
    /// A sum of nothing yet, of arrays of that shape; `single` rounds to single precision.
    pub fn new(shape: &[usize], single: bool) -> Running {
        let rest = if shape.len() < 2 { ArrayD::zeros(shape) } else { ArrayD::zeros(vec![0]) };
        Running { sum: zeros(shape), rest, single }
    }

    /// Adds the rows of the next that begin at `row`; those of the `first` are the sum so far.
    pub fn add(&mut self, row: usize, next: &ArrayD<f64>, first: bool) {
        let begin = row * next.len().checked_div(next.shape().first().copied().unwrap_or(1)).unwrap_or(0);
        let (Some(sum), Some(numbers)) = (self.sum.as_slice_mut(), next.as_slice()) else {
            unreachable!("what a layer gives is in standard layout")
        };
        let sum = &mut sum[begin..begin + numbers.len()];
        if first {
            sum.copy_from_slice(numbers);
        } else if next.ndim() < 2 {
            Zip::from(&mut self.sum).and(&mut self.rest).and(next).for_each(|sum, rest, &next| {
                let (total, error) = two_sum(*sum, next);
                (*sum, *rest) = (total, *rest + error);
            });
        } else {
            let single = self.single;
            fill::update_elementwise(sum, numbers, |sum, next| *sum = rounded(*sum + next, single));
        }
    }

    /// The sum over what a mean divides by.
    pub fn over(self, divisor: f64) -> ArrayD<f64> {
        let single = self.single;
        self.finish().mapv_into(|sum| rounded(sum / divisor, single))
    }

    /// The sum.
    pub fn finish(mut self) -> ArrayD<f64> {
        if self.sum.ndim() < 2 {
            let single = self.single;
            Zip::from(&mut self.sum).and(&self.rest).for_each(|sum, &rest| {
                *sum = rounded(if rest.is_finite() { *sum + rest } else { *sum }, single);
            });
        }
        self.sum
    }
}

fn zeros(shape: &[usize]) -> ArrayD<f64> {
    match ArrayD::from_shape_vec(shape, pages::zeros(shape.iter().product())) {
        Ok(zeros) => zeros,
        Err(_) => unreachable!("as many numbers as there are places"),
    }
}

#[allow(clippy::cast_possible_truncation)] // rounding to f32 is what it is for
fn rounded(value: f64, single: bool) -> f64 {
    if single { f64::from(value as f32) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, arr1, arr2};

    #[test]
    fn a_sum_of_vectors_keeps_what_addition_drops_and_one_of_matrices_adds() {
        let sum = |parts: Vec<ArrayD<f64>>| {
            let mut sum = Running::new(parts[0].shape(), false);
            parts.iter().enumerate().for_each(|(n, part)| sum.add(0, part, n == 0));
            sum.finish()
        };
        let parts = [1e100, 1.0, -1e100];
        assert_eq!(sum(parts.map(|v| arr0(v).into_dyn()).to_vec()), arr0(1.0).into_dyn());
        assert_eq!(sum(parts.map(|v| arr1(&[v]).into_dyn()).to_vec()), arr1(&[1.0]).into_dyn());
        assert_eq!(sum(parts.map(|v| arr2(&[[v]]).into_dyn()).to_vec()), arr2(&[[0.0]]).into_dyn());
        assert_eq!(sum([f64::INFINITY, 1.0].map(|v| arr0(v).into_dyn()).to_vec()), arr0(f64::INFINITY).into_dyn());
    }
}
