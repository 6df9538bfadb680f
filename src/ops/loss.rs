//! Gradients of a row's cross-entropy: dx = y·Σt − t, and dy = −t/(y + eps).

use crate::simd::dispatch::{Instructions, widest};
use crate::simd::f64x8::{Lanes, padded};
use std::ops::{Div, Mul};

/// The targets of a row.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a, T> {
    /// One each.
    Dense(&'a [T]),
    /// 1 for one class, 0 for all others; none where the row is ignored.
    Class(Option<usize>),
}

/// What makes the gradient of a row's loss that of all rows' loss.
#[derive(Clone, Copy, Debug)]
pub struct Scale<T> {
    /// The gradient by what the row's loss is a part of.
    pub dout: T,
    /// What a mean divides by.
    pub divisor: Option<T>,
    /// What every gradient is where there is nothing to divide by.
    pub nothing: Option<T>,
}

impl<T: Copy + Mul<Output = T> + Div<Output = T>> Scale<T> {
    /// g·dout/divisor.
    pub fn of(self, g: T) -> T {
        if let Some(nothing) = self.nothing {
            return nothing;
        }
        let g = g * self.dout;
        self.divisor.map_or(g, |divisor| g / divisor)
    }
}

/// dx = y·total − t, scaled.
pub fn logits_gradient(y: &[f64], total: f64, t: Target<'_, f64>, scale: Scale<f64>, dx: &mut [f64]) {
    gradient_by(Instructions::best(), y, total, t, scale, dx);
}

fn gradient_by(
    instructions: Instructions,
    y: &[f64],
    total: f64,
    t: Target<'_, f64>,
    scale: Scale<f64>,
    dx: &mut [f64],
) {
    match t {
        _ if scale.nothing.is_some() => dx.fill(scale.of(0.0)),
        Target::Dense(t) => dense_gradient(instructions, y, total, t, scale, dx),
        Target::Class(class) => {
            class_gradient(instructions, y, total, scale, dx);
            if let Some(class) = class {
                dx[class] = scale.of(y[class] * total - 1.0);
            }
        }
    }
}

/// dy = −t/(y + eps), scaled; where t is 0 it is 0, but for a NaN. dy comes as zeros.
pub fn probabilities_gradient(y: &[f64], eps: f64, t: Target<'_, f64>, scale: Scale<f64>, dy: &mut [f64]) {
    slope_by(Instructions::best(), y, eps, t, scale, dy);
}

fn slope_by(instructions: Instructions, y: &[f64], eps: f64, t: Target<'_, f64>, scale: Scale<f64>, dy: &mut [f64]) {
    match t {
        _ if scale.nothing.is_some() => dy.fill(scale.of(0.0)),
        Target::Dense(t) => dense_slope(instructions, y, eps, t, scale, dy),
        Target::Class(class) => {
            let nothing = scale.of(0.0);
            if has_nan(y) {
                dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = if y.is_nan() { f64::NAN } else { nothing });
            } else if nothing.to_bits() != 0 {
                dy.fill(nothing);
            }
            if let Some(class) = class {
                dy[class] = scale.of(-(1.0 / (y[class] + eps)));
            }
        }
    }
}

/// Whether any of the numbers is NaN.
pub fn has_nan(numbers: &[f64]) -> bool {
    let mut found = false;
    any_nan(Instructions::best(), numbers, &mut found);
    found
}

widest! {
    fn any_nan<V>(numbers: &[f64], found: &mut bool) {
        let zero = V::all(0.0);
        // A NaN is nothing to either, and stays in the sum.
        let (eights, left) = numbers.as_chunks();
        let (mut sum, mut lanes) = (zero, [0.0; 8]);
        for numbers in eights {
            sum = sum + nan_or_zero(V::load(numbers));
        }
        sum.store(&mut lanes);
        *found = lanes.iter().chain(left).any(|number| number.is_nan());
    }
}

/// NaN where it is NaN, else 0.
#[inline(always)]
fn nan_or_zero<V: Lanes>(number: V) -> V {
    let (zero, infinity) = (V::all(0.0), V::all(f64::INFINITY));
    let left = number.if_below(infinity, zero, number);
    V::all(f64::MAX).if_below(left, zero, left)
}

widest! {
    fn dense_gradient<V>(y: &[f64], total: f64, t: &[f64], scale: Scale<f64>, dx: &mut [f64]) {
        let total = V::all(total);
        let ((y, y_left), (t, t_left), (dx, dx_left)) = (y.as_chunks(), t.as_chunks(), dx.as_chunks_mut());
        for ((y, t), dx) in y.iter().zip(t).zip(dx) {
            scaled(V::load(y) * total - V::load(t), scale).store(dx);
        }
        let mut last = [0.0; 8];
        scaled(V::load(&padded(y_left, 0.0)) * total - V::load(&padded(t_left, 0.0)), scale).store(&mut last);
        dx_left.copy_from_slice(&last[..dx_left.len()]);
    }
}

widest! {
    fn class_gradient<V>(y: &[f64], total: f64, scale: Scale<f64>, dx: &mut [f64]) {
        let (total, zero) = (V::all(total), V::all(0.0));
        let ((y, y_left), (dx, dx_left)) = (y.as_chunks(), dx.as_chunks_mut());
        for (y, dx) in y.iter().zip(dx) {
            scaled(V::load(y) * total - zero, scale).store(dx);
        }
        let mut last = [0.0; 8];
        scaled(V::load(&padded(y_left, 0.0)) * total - zero, scale).store(&mut last);
        dx_left.copy_from_slice(&last[..dx_left.len()]);
    }
}

widest! {
    fn dense_slope<V>(y: &[f64], eps: f64, t: &[f64], scale: Scale<f64>, dy: &mut [f64]) {
        let ((y, y_left), (t, t_left), (dy, dy_left)) = (y.as_chunks(), t.as_chunks(), dy.as_chunks_mut());
        for ((y, t), dy) in y.iter().zip(t).zip(dy) {
            scaled(eight_slopes(V::load(y), eps, V::load(t)), scale).store(dy);
        }
        let mut last = [0.0; 8];
        scaled(eight_slopes(V::load(&padded(y_left, 1.0)), eps, V::load(&padded(t_left, 0.0))), scale).store(&mut last);
        dy_left.copy_from_slice(&last[..dy_left.len()]);
    }
}

#[inline(always)]
fn eight_slopes<V: Lanes>(y: V, eps: f64, t: V) -> V {
    let (zero, least) = (V::all(0.0), V::all(f64::from_bits(1)));
    let counted = V::all(-1.0) * (t / (y + V::all(eps)));
    let is_zero = t.if_below(least, (zero - t).if_below(least, V::all(-1.0), zero), zero);
    is_zero.if_below(zero, nan_or_zero(y), counted)
}

/// g·dout/divisor, where there is something to divide by.
#[inline(always)]
fn scaled<V: Lanes>(g: V, scale: Scale<f64>) -> V {
    let g = g * V::all(scale.dout);
    match scale.divisor {
        Some(divisor) => g / V::all(divisor),
        None => g,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Its definition.
    fn defined(y: &[f64], t: Target<'_, f64>, make: impl Fn(f64, f64) -> f64, scale: Scale<f64>) -> Vec<f64> {
        let t = |k: usize| match t {
            Target::Dense(t) => t[k],
            Target::Class(class) => f64::from(u8::from(class == Some(k))),
        };
        y.iter().enumerate().map(|(k, &y)| scale.of(make(y, t(k)))).collect()
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| if value.is_nan() { 0 } else { value.to_bits() }).collect()
    }

    fn number() -> impl Strategy<Value = f64> {
        let odd = prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, -1.0, 5e-324]);
        prop_oneof![20 => 0.0..1.0f64, 3 => odd, 1 => Just(1.0)]
    }

    fn scale() -> impl Strategy<Value = Scale<f64>> {
        let dout = prop::sample::select(vec![1.0, -3.0, 0.0, f64::NAN]);
        let divisor = prop::sample::select(vec![None, Some(3.0), Some(0.0)]);
        let nothing = prop_oneof![9 => Just(None), 1 => Just(Some(0.0))];
        (dout, divisor, nothing).prop_map(|(dout, divisor, nothing)| Scale { dout, divisor, nothing })
    }

    proptest! {
        #[test]
        fn gradients_are_their_definition_to_the_bit(
            row in prop::collection::vec((number(), number()), 1..60),
            calm in 0.0..1.0f64,
            class in 0..70usize,
            (total, eps) in (0.0..2.0f64, prop::sample::select(vec![0.0, 1e-10])),
            scale in scale(),
        ) {
            // Half of the rows have neither NaN nor infinity.
            let y: Vec<f64> = row.iter().map(|&(y, _)| if calm < 0.5 && !y.is_finite() { 0.5 } else { y }).collect();
            let t: Vec<f64> = row.iter().map(|&(_, t)| t).collect();
            for target in [Target::Dense(&t), Target::Class((class < y.len()).then_some(class))] {
                let dx = defined(&y, target, |y, t| y * total - t, scale);
                let dy = defined(&y, target, |y, t| if t != 0.0 || y.is_nan() { -(t / (y + eps)) } else { 0.0 }, scale);
                for instructions in Instructions::all() {
                    let (mut found_dx, mut found_dy) = (vec![9.0; y.len()], vec![0.0; y.len()]);
                    gradient_by(instructions, &y, total, target, scale, &mut found_dx);
                    slope_by(instructions, &y, eps, target, scale, &mut found_dy);
                    prop_assert_eq!(bits(&dx), bits(&found_dx), "dx {:?} {:?}", instructions, target);
                    prop_assert_eq!(bits(&dy), bits(&found_dy), "dy {:?} {:?}", instructions, target);
                }
            }
        }
    }

    #[test]
    fn a_nan_is_found_wherever_it_is() {
        for width in [1, 7, 8, 9, 100] {
            let mut y = vec![f64::INFINITY; width];
            y[0] = f64::NEG_INFINITY;
            assert!(!has_nan(&y));
            for at in 0..width {
                let before = std::mem::replace(&mut y[at], f64::NAN);
                assert!(has_nan(&y), "{width} {at}");
                y[at] = before;
            }
        }
    }
}
