//! Gradients of the cross-entropy of a row: dx = y·Σt − t by the logits, and dy = −t/(y + eps) by the probabilities.

use crate::simd::dispatch::dispatch;
use crate::simd::f64x8::SimdF64;
use crate::simd::map::{Elementwise, map};
use std::ops::{Div, Mul};

/// The targets of a row.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a, T> {
    /// A weight for each class.
    Dense(&'a [T]),
    /// Weight 1 for one class and 0 for the others; `None` if the row is ignored.
    Class(Option<usize>),
}

/// The factors between the gradient of a row's loss and that of the reduced loss.
#[derive(Clone, Copy, Debug)]
pub struct Scale<T> {
    /// The upstream gradient of the reduced loss.
    pub dout: T,
    /// The divisor of a mean.
    pub divisor: Option<T>,
    /// The value of every gradient entry if the mean is of no rows.
    pub if_empty: Option<T>,
}

impl<T: Copy + Mul<Output = T> + Div<Output = T>> Scale<T> {
    /// Returns g·dout/divisor.
    pub fn apply(self, g: T) -> T {
        if let Some(value) = self.if_empty {
            return value;
        }
        let g = g * self.dout;
        self.divisor.map_or(g, |divisor| g / divisor)
    }
}

/// Writes the gradient by the logits, dx = y·total − t, scaled.
pub fn logits_gradient(y: &[f64], total: f64, t: Target<'_, f64>, scale: Scale<f64>, dx: &mut [f64]) {
    match t {
        _ if scale.if_empty.is_some() => dx.fill(scale.apply(0.0)),
        Target::Dense(t) => dense_logits_gradient(y, total, t, scale, dx),
        Target::Class(class) => {
            class_logits_gradient(y, total, scale, dx);
            if let Some(class) = class {
                dx[class] = scale.apply(y[class] * total - 1.0);
            }
        }
    }
}

/// Writes the gradient by the probabilities, dy = −t/(y + eps), scaled. Where t is 0, dy is 0, or NaN if y is. dy must be zeros.
pub fn probabilities_gradient(y: &[f64], eps: f64, t: Target<'_, f64>, scale: Scale<f64>, dy: &mut [f64]) {
    match t {
        _ if scale.if_empty.is_some() => dy.fill(scale.apply(0.0)),
        Target::Dense(t) => dense_probabilities_gradient(y, eps, t, scale, dy),
        Target::Class(class) => {
            let zero = scale.apply(0.0);
            // Without a branch, so that the loop is vectorized.
            if y.iter().fold(false, |found, y| found | y.is_nan()) {
                dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = if y.is_nan() { f64::NAN } else { zero });
            } else if zero.to_bits() != 0 {
                dy.fill(zero);
            }
            if let Some(class) = class {
                dy[class] = scale.apply(-(1.0 / (y[class] + eps)));
            }
        }
    }
}

/// Returns NaN for NaN, and 0 for every other number.
#[inline(always)]
fn nan_or_zero<V: SimdF64>(number: V) -> V {
    let (zero, infinity) = (V::splat(0.0), V::splat(f64::INFINITY));
    let infinity_or_nan = number.select_lt(infinity, zero, number);
    V::splat(f64::MAX).select_lt(infinity_or_nan, zero, infinity_or_nan)
}

dispatch! {
    fn dense_logits_gradient<V>(y: &[f64], total: f64, t: &[f64], scale: Scale<f64>, dx: &mut [f64]) {
        map::<V, _, 2>(&LogitsGradient { total, scale }, [y, t], dx);
    }
}

dispatch! {
    /// Writes the gradient of the classes with t = 0.
    fn class_logits_gradient<V>(y: &[f64], total: f64, scale: Scale<f64>, dx: &mut [f64]) {
        map::<V, _, 1>(&LogitsGradient { total, scale }, [y], dx);
    }
}

dispatch! {
    fn dense_probabilities_gradient<V>(y: &[f64], eps: f64, t: &[f64], scale: Scale<f64>, dy: &mut [f64]) {
        map::<V, _, 2>(&ProbabilitiesGradient { eps, scale }, [y, t], dy);
    }
}

/// (y·total − t), scaled, elementwise; t is 0 if it is not an input.
struct LogitsGradient {
    total: f64,
    scale: Scale<f64>,
}

impl Elementwise<2> for LogitsGradient {
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [y, t]: [V; 2]) -> V {
        apply_scale(y * V::splat(self.total) - t, self.scale)
    }
}

impl Elementwise<1> for LogitsGradient {
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [y]: [V; 1]) -> V {
        Elementwise::<2>::apply(self, [y, V::splat(0.0)])
    }
}

/// −t/(y + eps), scaled, elementwise; where t is 0 it is 0 or NaN.
struct ProbabilitiesGradient {
    eps: f64,
    scale: Scale<f64>,
}

impl Elementwise<2> for ProbabilitiesGradient {
    #[inline(always)]
    fn apply<V: SimdF64>(&self, [y, t]: [V; 2]) -> V {
        let (zero, smallest) = (V::splat(0.0), V::splat(f64::from_bits(1)));
        let gradient = V::splat(-1.0) * (t / (y + V::splat(self.eps)));
        // −1 where t is 0.
        let zero_mark = t.select_lt(smallest, (zero - t).select_lt(smallest, V::splat(-1.0), zero), zero);
        apply_scale(zero_mark.select_lt(zero, nan_or_zero(y), gradient), self.scale)
    }
}

/// Returns g·dout/divisor.
#[inline(always)]
fn apply_scale<V: SimdF64>(g: V, scale: Scale<f64>) -> V {
    let g = g * V::splat(scale.dout);
    match scale.divisor {
        Some(divisor) => g / V::splat(divisor),
        None => g,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::dispatch::{IsaLevel, with_isa_limit};
    use proptest::prelude::*;

    /// Returns the gradient by its definition.
    fn definition(y: &[f64], t: Target<'_, f64>, formula: impl Fn(f64, f64) -> f64, scale: Scale<f64>) -> Vec<f64> {
        let t = |k: usize| match t {
            Target::Dense(t) => t[k],
            Target::Class(class) => f64::from(u8::from(class == Some(k))),
        };
        y.iter().enumerate().map(|(k, &y)| scale.apply(formula(y, t(k)))).collect()
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| if value.is_nan() { 0 } else { value.to_bits() }).collect()
    }

    fn number() -> impl Strategy<Value = f64> {
        let special = prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, -1.0, 5e-324]);
        prop_oneof![20 => 0.0..1.0f64, 3 => special, 1 => Just(1.0)]
    }

    fn scale() -> impl Strategy<Value = Scale<f64>> {
        let dout = prop::sample::select(vec![1.0, -3.0, 0.0, f64::NAN]);
        let divisor = prop::sample::select(vec![None, Some(3.0), Some(0.0)]);
        let if_empty = prop_oneof![9 => Just(None), 1 => Just(Some(0.0))];
        (dout, divisor, if_empty).prop_map(|(dout, divisor, if_empty)| Scale { dout, divisor, if_empty })
    }

    proptest! {
        #[test]
        fn gradients_equal_their_definition(
            row in prop::collection::vec((number(), number()), 1..60),
            finite in 0.0..1.0f64,
            class in 0..70usize,
            (total, eps) in (0.0..2.0f64, prop::sample::select(vec![0.0, 1e-10])),
            scale in scale(),
        ) {
            // Half of the rows have neither NaN nor infinity.
            let y: Vec<f64> = row.iter().map(|&(y, _)| if finite < 0.5 && !y.is_finite() { 0.5 } else { y }).collect();
            let t: Vec<f64> = row.iter().map(|&(_, t)| t).collect();
            for target in [Target::Dense(&t), Target::Class((class < y.len()).then_some(class))] {
                let dx = definition(&y, target, |y, t| y * total - t, scale);
                let dy = definition(&y, target, |y, t| if t != 0.0 || y.is_nan() { -(t / (y + eps)) } else { 0.0 }, scale);
                for isa in IsaLevel::available() {
                    let (mut found_dx, mut found_dy) = (vec![9.0; y.len()], vec![0.0; y.len()]);
                    with_isa_limit(isa, || {
                        logits_gradient(&y, total, target, scale, &mut found_dx);
                        probabilities_gradient(&y, eps, target, scale, &mut found_dy);
                    });
                    prop_assert_eq!(bits(&dx), bits(&found_dx), "dx {:?} {:?}", isa, target);
                    prop_assert_eq!(bits(&dy), bits(&found_dy), "dy {:?} {:?}", isa, target);
                }
            }
        }
    }
}
