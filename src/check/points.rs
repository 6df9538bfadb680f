//! The points at which a program is asked besides that of the case: others of the same shapes, larger batches, values far from 0, and
//! points that differ by rounding.

use super::case::{Case, GradientTarget, round_numbers};
use super::implementation::Point;
use super::inputs;
use super::inputs::NamedShape;
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer::{Given, Role, Slot, Values};
use crate::numeric::{Arithmetic, FloatType, Scalar};
use ndarray::{ArrayD, ArrayView1};

/// Whole numbers from here on are no class indices.
const LARGE_WHOLE: f64 = 1_048_576.0;

/// Factor of drawn numbers that makes products and sums inexact in every type.
pub(super) const INEXACT: f64 = 0.731_058_578_630_004_9;

/// Part of the distance from 0 of far rows, and factor, by which a row is spread for a layer that nnlayer knows and a custom one.
const SPREAD: f64 = 2.0;
const FAR_SPREAD: f64 = 16.0;

/// A number whose exp overflows in f32.
const EXP_OVERFLOWS: f64 = 96.0;

/// Distance of a row's sum from 1 up to which it may be a distribution, rounded to a half type.
const MAX_SUM_ERROR: f64 = 0.02;

impl Case {
    /// Returns another point of the same shapes, at which a program is asked between two calls at the point of the case. `None` if
    /// the layer refuses it.
    pub(super) fn other_point(&self, float_type: FloatType, rng: &mut SplitMix64) -> Option<Point> {
        let point = if self.reference.as_ref().is_some_and(|reference| reference.config.is_some()) {
            let shapes: Vec<_> =
                self.operands.iter().map(|(name, value)| (name.clone(), value.shape().to_vec())).collect();
            self.draw_point(&shapes, float_type, rng)
        } else {
            None
        };
        Some(point.unwrap_or_else(|| self.rearranged_point(float_type, rng)))
    }

    /// Returns a point of a batch with a row more, for a layer of the registry that admits it.
    pub(super) fn larger_point(&self, float_type: FloatType, rng: &mut SplitMix64) -> Option<Point> {
        let config = self.reference.as_ref()?.config.as_ref()?;
        self.draw_point(&inputs::with_another_row(config.spec, &self.operands), float_type, rng)
    }

    /// Returns a point that shows an overflow, a loss of small differences or a forgotten rest of a vector loop: some rows are far
    /// from 0, one is spread. `None` if the layer refuses the shapes.
    pub(super) fn stress_point(
        &self,
        shapes: &[NamedShape],
        arithmetic: Arithmetic,
        rng: &mut SplitMix64,
    ) -> Option<Point> {
        let float_type = arithmetic.float_type;
        let config = self.reference.as_ref()?.config.as_ref()?;
        let mut point = self.draw_point(shapes, float_type, rng).or_else(|| {
            // Halves or pairs of a row need an even length.
            let even = |(name, shape): &NamedShape| {
                let (last, rows) = shape.split_last()?;
                Some((name.clone(), [rows, &[last + 1]].concat()))
            };
            self.draw_point(&shapes.iter().filter_map(even).collect::<Vec<_>>(), float_type, rng)
        })?;
        // Probabilities stay what they are.
        let is_free = |slot: &&Slot| slot.role == Role::Input && slot.values == Values::Numbers && slot.name != Name::Y;
        let moved = config.spec.slots.iter().find(is_free).and_then(|slot| point.operands.get_mut(&slot.name));
        // A spread so far that exp of an entry overflows or is 0 relative to another.
        let far = far_from_zero(arithmetic);
        moved.filter(|x| x.ndim() > 0).into_iter().for_each(|x| move_rows(x, float_type, far, far / SPREAD));
        Some(point)
    }

    /// Returns the point of a custom layer with rows of its first input far from 0; `None` if it has no rows.
    pub(super) fn far_point(&self, arithmetic: Arithmetic) -> Option<Point> {
        let mut operands = self.operands.clone();
        let name = operands.names().next()?.clone();
        let x = operands.get_mut(&name).filter(|x| x.ndim() > 0)?;
        move_rows(x, arithmetic.float_type, far_from_zero(arithmetic), FAR_SPREAD);
        Some(Point { operands, dout: Some(self.dout.clone()) })
    }

    /// Returns the point of the case with the operand of a target scaled to a largest entry between 0.5 and 1, and all others that
    /// are no whole numbers, so that functions such as tanh are not saturated. `None` if they are of about that size.
    pub(super) fn unit_point(&self, target: &GradientTarget, float_type: FloatType) -> Option<Point> {
        let mut is_other = false;
        let mut scale = |(name, value): (&Name, &ArrayD<f64>)| {
            let largest = value.iter().filter(|v| v.is_finite()).fold(0.0, |largest: f64, v| largest.max(v.abs()));
            let is_free = *name == target.operand || value.iter().any(|v| v.fract() != 0.0);
            let exponent = libm::frexp(largest).1;
            if !is_free || largest == 0.0 || (-1..=2).contains(&exponent) || has_probabilities(value) {
                return (name.clone(), value.clone());
            }
            is_other = true;
            (name.clone(), value.mapv(|v| float_type.round(libm::ldexp(v, -exponent))))
        };
        let operands: Tensors<f64> = self.operands.iter().map(&mut scale).collect();
        is_other.then(|| Point { operands, dout: Some(self.dout.clone()) })
    }

    /// Returns two points of small shapes, for a layer of the registry.
    pub(super) fn small_points(&self, float_type: FloatType, rng: &mut SplitMix64) -> Option<[Point; 2]> {
        let mut draw = || self.draw_point(&[], float_type, rng);
        Some([draw()?, draw()?])
    }

    /// Returns the point with the entries of each operand in another order and of other sizes, but for whole numbers, which may be
    /// class indices. The largest entry is where the smallest was, so that no mask of the first point, of signs or of a maximum, is
    /// right here. Rows of probabilities are reversed.
    fn rearranged_point(&self, float_type: FloatType, rng: &mut SplitMix64) -> Point {
        let mut change = |value: &ArrayD<f64>| {
            let mut entries: Vec<f64> = value.iter().copied().collect();
            if has_probabilities(value) {
                entries.reverse();
            } else {
                let mut order: Vec<usize> = (0..entries.len()).collect();
                order.sort_by(|&a, &b| entries[a].total_cmp(&entries[b]));
                let sorted: Vec<f64> = order.iter().map(|&n| entries[n]).collect();
                for (n, v) in order.into_iter().zip(sorted.into_iter().rev()) {
                    let other = float_type.round(v * INEXACT * (1.0 + rng.dyadic() / 8.0));
                    entries[n] = if v.fract() == 0.0 { v } else { other };
                }
            }
            ArrayD::from_shape_vec(value.raw_dim(), entries).unwrap_or_else(|_| value.clone())
        };
        let operands = self.operands.iter().map(|(name, value)| (name.clone(), change(value))).collect();
        let dout = inputs::draw_numbers(self.dout.shape(), rng).mapv(|v| float_type.round(v * INEXACT));
        Point { operands, dout: Some(dout) }
    }

    /// Returns two points that differ from a point by a rounding of each entry that is no class index.
    pub(super) fn perturbed_points(point: &Point, float_type: FloatType, rng: &mut SplitMix64) -> [Point; 2] {
        let unit = 2.0 * float_type.unit_roundoff();
        let mut perturb = |v: &f64| {
            let is_index = v.fract() == 0.0 && v.abs() < LARGE_WHOLE;
            if is_index || !v.is_finite() { *v } else { float_type.round(v * (1.0 + rng.sign() * unit)) }
        };
        [(); 2].map(|()| Point {
            operands: point.operands.map(&mut perturb),
            dout: point.dout.as_ref().map(|dout| dout.map(&mut perturb)),
        })
    }

    fn draw_point(&self, shapes: &[NamedShape], float_type: FloatType, rng: &mut SplitMix64) -> Option<Point> {
        let config = self.reference.as_ref()?.config.as_ref()?;
        let operands =
            inputs::draw_operands(config.spec, &config.settings, &Tensors::new(), shapes, float_type, rng).ok()?;
        let inexact = |v: f64| float_type.round(v * INEXACT);
        let mut operands = operands;
        round_numbers(config.spec, &mut operands, |v| float_type.round(v));
        let is_number = |slot: &&Slot| match slot.role {
            _ if slot.values != Values::Numbers => false,
            Role::Input => !config.spec.is_loss() || slot.name != Name::Y,
            Role::Parameter | Role::Constant => true,
            Role::Target => false,
        };
        for slot in config.spec.slots.iter().filter(is_number) {
            operands.get_mut(&slot.name).into_iter().for_each(|value| value.mapv_inplace(inexact));
        }
        let layer = (config.spec.build)(&config.settings).ok()?;
        layer.admit(&Given { at: &operands, rounding: &|_| f64::EPSILON / 2.0, x_was_y: false }).ok()?;
        let shape = layer.output_shape(&operands);
        Some(Point { dout: Some(inputs::draw_numbers(&shape, rng).mapv(inexact)), operands })
    }
}

/// Returns the distance from 0 at which exp overflows or is 0, and that most layers compute exactly enough: in f16 the squares of a row
/// must not overflow.
pub(super) fn far_from_zero(arithmetic: Arithmetic) -> f64 {
    match (arithmetic.float_type, arithmetic.accumulator) {
        (FloatType::F64, _) => 1000.0,
        (FloatType::F16, FloatType::F16) => 32.0,
        _ => 128.0,
    }
}

/// Moves the second and third of each five rows far from 0, spreads the fourth by a factor, and moves the last entry of the fifth: alone
/// it may be so far that exp overflows in f32 too, while the squares of a row do not overflow in f16.
pub(super) fn move_rows(x: &mut ArrayD<f64>, float_type: FloatType, far: f64, spread: f64) {
    let changes: [&dyn Fn(f64) -> f64; 4] = [&|v| v, &|v| v + far, &|v| v - far, &|v| v * spread];
    for (n, mut row) in x.rows_mut().into_iter().enumerate() {
        match (changes.get(n % 5), row.last_mut()) {
            (Some(change), _) => row.mapv_inplace(|v| float_type.round(change(v))),
            (None, Some(last)) => *last = float_type.round(*last + far.max(EXP_OVERFLOWS)),
            (None, None) => {}
        }
    }
}

/// Returns true if the rows are probabilities: none is negative, and they sum to 1 up to rounding.
fn has_probabilities(rows: &ArrayD<f64>) -> bool {
    let is_distribution = |row: ArrayView1<'_, f64>| {
        row.len() > 1 && row.iter().all(|v| *v >= 0.0) && (f64::sum(row.iter().copied()) - 1.0).abs() < MAX_SUM_ERROR
    };
    rows.ndim() > 0 && !rows.is_empty() && rows.rows().into_iter().all(is_distribution)
}
