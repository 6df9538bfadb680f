//! Gradients of the parameters of norms, as doubles: sums of products over all rows.

use super::{ComputeRow, ParameterLayout, RowOf};
use crate::numeric::float64::add_error;
use crate::parallel::fill;
use crate::simd::dispatch::dispatch;
use crate::simd::error_free::two_sum;
use crate::simd::f64x8::SimdF64;
use crate::simd::pair::{Pair, Terms, sum_terms};

/// Number of rows whose products are added up together.
const CHUNK_ROWS: usize = 64;

/// a∘b, or a alone, as a term.
struct Products {
    has_b: bool,
}

impl Terms<2, 1> for Products {
    #[inline(always)]
    fn terms<V: SimdF64>(&self, [a, b]: [V; 2]) -> [Pair<V>; 1] {
        [if self.has_b { Pair::new(a).times(Pair::new(b)) } else { Pair::new(a) }]
    }
}

dispatch! {
    /// Computes Σ a∘b.
    fn sum_products<V>(products: &Products, inputs: [&[f64]; 2], sum: &mut [Pair<f64>; 1]) {
        *sum = sum_terms::<V, _, 2, 1>(products, inputs);
    }
}

dispatch! {
    /// Adds a∘b to sums, and the errors of the additions to `errors`.
    fn add_products<V>(products: &Products, inputs: [&[f64]; 2], sums: &mut [f64], errors: &mut [f64]) {
        for (((a, b), sum), rest) in inputs[0].iter().zip(inputs[1]).zip(sums).zip(errors) {
            let [term] = products.terms([*a, *b]);
            let (total, error) = two_sum(*sum, term.high);
            *sum = total;
            *rest += error + term.low;
        }
    }
}

/// Returns for each parameter Σ a∘b over its entries. 64 rows are added up at a time on any number of threads, with the errors of all
/// additions, so the result depends on no machine.
pub(in crate::ops) fn parameter_sums(
    layout: &ParameterLayout,
    a: &RowOf<'_, f64>,
    b: Option<&ComputeRow<'_, f64>>,
) -> Vec<f64> {
    let products = Products { has_b: b.is_some() };
    let chunks = layout.rows.div_ceil(layout.period.max(1)).div_ceil(CHUNK_ROWS);
    let parameters = layout.row_parameters();
    let partial = fill::map_rows(layout.period * chunks, CHUNK_ROWS * layout.width, |task| {
        let (chunk, first) = (task % chunks, task / chunks);
        let (mut sums, mut errors) = (vec![0.0; parameters], vec![0.0; parameters]);
        let mut factors = vec![0.0; if b.is_some() { layout.width } else { 0 }];
        let rows = (first..layout.rows).step_by(layout.period).skip(chunk * CHUNK_ROWS).take(CHUNK_ROWS);
        for row in rows {
            let a = &a(row)[..];
            b.into_iter().for_each(|b| b(row, &mut factors));
            let b = if b.is_some() { &factors } else { a };
            if layout.segment == 1 {
                add_products(&products, [a, b], &mut sums, &mut errors);
                continue;
            }
            let segments = a.chunks(layout.segment).zip(b.chunks(layout.segment));
            for ((sum, rest), (a, b)) in sums.iter_mut().zip(&mut errors).zip(segments) {
                let mut term = [Pair::new(0.0)];
                sum_products(&products, [a, b], &mut term);
                let (total, error) = two_sum(*sum, term[0].high);
                *sum = total;
                *rest += error + term[0].low;
            }
        }
        (sums, errors)
    });
    let (mut sums, mut errors) = (vec![0.0; layout.parameters()], vec![0.0; layout.parameters()]);
    for (task, (part, rest)) in partial.into_iter().enumerate() {
        let begin = task / chunks * parameters;
        let range = begin..begin + parameters;
        let totals = sums[range.clone()].iter_mut().zip(&mut errors[range]);
        for ((sum, error), (part, rest)) in totals.zip(part.into_iter().zip(rest)) {
            let (total, new) = two_sum(*sum, part);
            *sum = total;
            *error += new + rest;
        }
    }
    sums.into_iter().zip(errors).map(add_error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: usize, offset: f64) -> f64 {
        offset + ((n * 7919) % 1009) as f64 / 300.0 - 1.5
    }

    #[test]
    fn sums_of_parameters_are_their_definition_for_any_number_of_threads() {
        for (rows, width, segment, period) in
            [(3, 5, 1, 1), (200, 40, 1, 1), (12, 12, 3, 4), (5, 2000, 2000, 5), (0, 3, 1, 1)]
        {
            let layout = ParameterLayout { rows, width, segment, period };
            let a: Vec<f64> = (0..rows * width).map(|n| number(n, 1e6)).collect();
            let row = |row: usize| std::borrow::Cow::Borrowed(&a[row * width..(row + 1) * width]);
            let b = |row: usize, b: &mut [f64]| b.iter_mut().enumerate().for_each(|(k, b)| *b = number(row + k, 0.0));
            for b in [None, Some(&b as &ComputeRow<'_, f64>)] {
                let defined = super::super::parameter_sums(&layout, &row, b);
                let magnitude = 4e6 * (rows * width) as f64;
                for threads in [1, 2, 3] {
                    let found = crate::parallel::scope::with_thread_limit(threads, || parameter_sums(&layout, &row, b));
                    assert_eq!(found.len(), layout.parameters());
                    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= f64::EPSILON * magnitude;
                    assert!(found.iter().zip(&defined).all(near), "{layout:?}: {found:?} {defined:?}");
                }
            }
        }
    }
}
