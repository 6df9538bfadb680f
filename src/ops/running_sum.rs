//! Running sums of the results of blocks of rows.

use crate::parallel::{fill, pages};
use crate::simd::error_free::two_sum;
use ndarray::{ArrayD, Zip};

/// A sum of arrays, each added at once or in chunks of rows. Matrices are added as [`gemm`](crate::gemm) adds its blocks of
/// products; of vectors and scalars the errors of all additions are added at the end.
pub struct RunningSum {
    sum: ArrayD<f64>,
    /// Sums of the errors of the additions; empty for matrices.
    errors: ArrayD<f64>,
}

impl RunningSum {
    /// Returns an empty sum of arrays of that shape.
    pub fn new(shape: &[usize]) -> RunningSum {
        let errors = if shape.len() < 2 { ArrayD::zeros(shape) } else { ArrayD::zeros(vec![0]) };
        RunningSum { sum: zeros(shape), errors }
    }

    /// Adds a chunk of the next array, whose first row is `row`. If `is_first`, it is a chunk of the first array.
    pub fn add(&mut self, row: usize, next: &ArrayD<f64>, is_first: bool) {
        let begin = row * next.len().checked_div(next.shape().first().copied().unwrap_or(1)).unwrap_or(0);
        let (Some(sum), Some(numbers)) = (self.sum.as_slice_mut(), next.as_slice()) else {
            unreachable!("results of layers are in standard layout")
        };
        let sum = &mut sum[begin..begin + numbers.len()];
        if is_first {
            sum.copy_from_slice(numbers);
        } else if next.ndim() < 2 {
            Zip::from(&mut self.sum).and(&mut self.errors).and(next).for_each(|sum, errors, &next| {
                let (total, error) = two_sum(*sum, next);
                (*sum, *errors) = (total, *errors + error);
            });
        } else {
            fill::update_elementwise(sum, numbers, |sum, next| *sum += next);
        }
    }

    /// Returns the sum divided by the divisor of a mean.
    pub fn divided_by(self, divisor: f64) -> ArrayD<f64> {
        self.finish().mapv_into(|sum| sum / divisor)
    }

    /// Returns the sum.
    pub fn finish(mut self) -> ArrayD<f64> {
        if self.sum.ndim() < 2 {
            Zip::from(&mut self.sum)
                .and(&self.errors)
                .for_each(|sum, &error| *sum += if error.is_finite() { error } else { 0.0 });
        }
        self.sum
    }
}

fn zeros(shape: &[usize]) -> ArrayD<f64> {
    let zeros = ArrayD::from_shape_vec(shape, pages::zeros(shape.iter().product()));
    zeros.unwrap_or_else(|_| unreachable!("there is an element for each place"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, arr1, arr2};

    #[test]
    fn vectors_are_added_with_the_errors_of_additions_and_matrices_without() {
        let sum = |arrays: Vec<ArrayD<f64>>| {
            let mut sum = RunningSum::new(arrays[0].shape());
            arrays.iter().enumerate().for_each(|(n, array)| sum.add(0, array, n == 0));
            sum.finish()
        };
        let values = [1e100, 1.0, -1e100];
        assert_eq!(sum(values.map(|v| arr0(v).into_dyn()).to_vec()), arr0(1.0).into_dyn());
        assert_eq!(sum(values.map(|v| arr1(&[v]).into_dyn()).to_vec()), arr1(&[1.0]).into_dyn());
        assert_eq!(sum(values.map(|v| arr2(&[[v]]).into_dyn()).to_vec()), arr2(&[[0.0]]).into_dyn());
        assert_eq!(sum([f64::INFINITY, 1.0].map(|v| arr0(v).into_dyn()).to_vec()), arr0(f64::INFINITY).into_dyn());
    }
}
