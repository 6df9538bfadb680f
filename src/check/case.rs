//! The case of a check: operands, upstream gradient, and the function that each gradient is the derivative of.

use super::implementation::Point;
use super::inputs;
use super::inputs::NamedShape;
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Given, LayerSpec, Precision, Role, Settings, Slot, Values, loss_class_axis};
use crate::numeric::{Arithmetic, DoubleDouble, FloatType, Scalar};
use ndarray::{ArrayD, ArrayView1, Axis, IxDyn};

/// Whole numbers from here on are no class indices.
const LARGE_WHOLE: f64 = 1_048_576.0;

/// Factor of drawn numbers that makes products and sums inexact in every type.
pub(super) const INEXACT: f64 = 0.731_058_578_630_004_9;

/// Part of the distance from 0 of far rows, and factor, by which a row is spread for a layer that nnlayer knows and a custom one.
const SPREAD: f64 = 2.0;
const FAR_SPREAD: f64 = 16.0;

/// Distance of a row's sum from 1 up to which it may be a distribution, rounded to a half type.
const MAX_SUM_ERROR: f64 = 0.02;

/// The layer, or chain of layers, of nnlayer that an implementation is compared with.
pub struct Reference {
    /// The layer's command, or the name of the chain in messages.
    pub name: &'static str,
    /// The layer.
    pub layer: Box<dyn AnyLayer>,
    /// Registry row and settings of the layer; `None` for a chain, whose layers are diagnosed one by one.
    pub config: Option<LayerConfig>,
}

/// A layer of the registry with its settings.
pub struct LayerConfig {
    /// The registry row.
    pub spec: &'static LayerSpec,
    /// The settings.
    pub settings: Settings,
}

/// The operands and gradients of a check.
pub struct Case {
    /// The operands that the implementation receives.
    pub operands: Tensors<f64>,
    /// The upstream gradient, of the output's shape.
    pub dout: ArrayD<f64>,
    /// The result that is differentiated.
    pub output: Name,
    /// The gradients to check.
    pub targets: Vec<GradientTarget>,
    /// The reference, for a layer that nnlayer knows.
    pub reference: Option<Reference>,
}

/// A gradient to check, and the function that it is the derivative of.
pub struct GradientTarget {
    /// Name of the gradient, such as `dx`.
    pub name: Name,
    /// Name of the operand, such as `x`.
    pub operand: Name,
    /// The operand in the gradient's shape, if it was broadcast: a scalar b stands for a row.
    pub broadcast: Option<ArrayD<f64>>,
    /// Entries at which it is a definition and not a derivative.
    pub defined: Vec<usize>,
    /// The function to differentiate, if it is not the layer's forward pass.
    pub surrogate: Option<Surrogate>,
}

/// A function other than the layer's forward pass: the loss as a function of the logits whose softmax is y.
pub struct Surrogate {
    /// The layer.
    pub layer: Box<dyn AnyLayer>,
    /// Its operands.
    pub operands: Tensors<DoubleDouble>,
    /// Description for the report.
    pub description: &'static str,
    /// Rows that cannot be checked, and the reasons.
    pub skipped_rows: Vec<(usize, String)>,
    /// Distance of each row's sum from 1, where the formula holds exactly.
    pub row_slack: Vec<f64>,
    /// The lanes of classes, which count as rows.
    pub lanes: Lanes,
}

/// Lanes along the class axis of an array in row-major order.
#[derive(Clone, Copy)]
pub struct Lanes {
    /// Number of classes.
    pub classes: usize,
    /// Product of the lengths of the axes after the class axis.
    pub inner: usize,
}

impl Lanes {
    /// Returns the number of the lane that has entry `n`.
    pub fn lane_of(self, n: usize) -> usize {
        n / (self.classes * self.inner) * self.inner + n % self.inner
    }
}

impl GradientTarget {
    /// Returns the gradient by an operand with that value; `gradient` has the shape of the gradient.
    pub fn new(name: Name, operand: Name, value: &ArrayD<f64>, gradient: &ArrayD<f64>) -> GradientTarget {
        let is_broadcast = value.ndim() == 0 && gradient.ndim() > 0;
        let broadcast = is_broadcast.then(|| ArrayD::from_elem(gradient.raw_dim(), value[[]]));
        GradientTarget { name, operand, broadcast, defined: Vec::new(), surrogate: None }
    }

    /// Returns the shape of the gradient, given the right one if it is known.
    pub(super) fn shape(&self, case: &Case, right: Option<&ArrayD<f64>>) -> Vec<usize> {
        let like = right.or(self.broadcast.as_ref()).or_else(|| case.operands.get(&self.operand));
        like.map(|value| value.shape().to_vec()).unwrap_or_default()
    }
}

impl Case {
    /// Returns a case for a known layer, or the error with which the layer refuses these operands.
    pub fn new(
        spec: &'static LayerSpec,
        settings: &Settings,
        operands: &Tensors<f64>,
        dout: Option<&ArrayD<f64>>,
        float_type: FloatType,
    ) -> Result<Case, Error> {
        let layer = (spec.build)(settings)?;
        let mut operands = operands.clone();
        round_numbers(spec, &mut operands, |v| float_type.round(v));
        let exact = |_: &Name| f64::EPSILON / 2.0;
        layer::admit(layer.as_ref(), &Given { at: &operands, rounding: &exact, x_was_y: false })?;
        layer::check_output_memory(layer.as_ref(), &operands)?;
        let output_shape = layer.output_shape(&operands);
        let dout = match dout {
            Some(dout) if dout.shape() == output_shape => dout.map(|&v| float_type.round(v)),
            Some(dout) if dout.ndim() == 0 => return Err(scalar_dout_error(dout[[]])),
            Some(dout) => return Err(dout_shape_error(&spec.output, &output_shape, dout.shape())),
            None => ArrayD::from_elem(IxDyn(&output_shape), 1.0),
        };
        let outcome = layer::compute(layer.as_ref(), &operands, Some(&dout), Precision::F64);
        let mut targets = Vec::new();
        for (name, gradient) in outcome.gradients.iter() {
            let Some(operand) = name.operand() else { continue };
            match operands.get(&operand) {
                Some(value) => {
                    let defined = layer.defined_entries(&operands, name);
                    targets.push(GradientTarget {
                        defined,
                        ..GradientTarget::new(name.clone(), operand, value, gradient)
                    });
                }
                None => targets.extend(logit_target(name, operand, settings, &operands)?),
            }
        }
        let config = Some(LayerConfig { spec, settings: settings.clone() });
        let reference = Some(Reference { name: spec.name, layer, config });
        Ok(Case { operands, dout, output: spec.output.clone(), targets, reference })
    }

    /// Returns a case for a layer that nnlayer does not know, with the gradients that its program returns.
    pub fn custom(operands: Tensors<f64>, dout: ArrayD<f64>, output: Name, gradients: &[Name]) -> Case {
        let target = |name: &Name| {
            let operand = name.operand()?;
            operands.get(&operand)?;
            Some(GradientTarget { name: name.clone(), operand, broadcast: None, defined: Vec::new(), surrogate: None })
        };
        let targets = gradients.iter().filter_map(target).collect();
        Case { operands, dout, output, targets, reference: None }
    }

    /// Returns the layer's command, or `custom`.
    pub fn layer_name(&self) -> &'static str {
        self.reference.as_ref().map_or("custom", |reference| reference.name)
    }

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

    /// Returns the number of rows and of columns of the first operand.
    pub fn batch_and_classes(&self) -> (usize, usize) {
        match self.operands.iter().next().map(|(_, value)| value.shape()) {
            Some(&[c]) => (1, c),
            Some(&[n, .., c]) => (n, c),
            _ => (1, 1),
        }
    }
}

/// Rounds operands, but not indices.
pub(super) fn round_numbers(spec: &LayerSpec, operands: &mut Tensors<f64>, round: impl Fn(f64) -> f64) {
    for slot in spec.slots.iter().filter(|slot| !matches!(slot.values, Values::Indices(_))) {
        operands.get_mut(&slot.name).into_iter().for_each(|value| value.mapv_inplace(&round));
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

/// Moves every second and third row of four far from 0 and spreads the fourth by a factor.
pub(super) fn move_rows(x: &mut ArrayD<f64>, float_type: FloatType, far: f64, spread: f64) {
    let changes: [&dyn Fn(f64) -> f64; 4] = [&|v| v, &|v| v + far, &|v| v - far, &|v| v * spread];
    for (mut row, change) in x.rows_mut().into_iter().zip(changes.into_iter().cycle()) {
        row.mapv_inplace(|v| float_type.round(change(v)));
    }
}

/// Returns true if the rows are probabilities: none is negative, and they sum to 1 up to rounding.
fn has_probabilities(rows: &ArrayD<f64>) -> bool {
    let is_distribution = |row: ArrayView1<'_, f64>| {
        row.len() > 1 && row.iter().all(|v| *v >= 0.0) && (f64::sum(row.iter().copied()) - 1.0).abs() < MAX_SUM_ERROR
    };
    rows.ndim() > 0 && !rows.is_empty() && rows.rows().into_iter().all(is_distribution)
}

/// Returns the gradient of a loss of probabilities by the logits whose softmax they are. It is checked as that of
/// softmax-xent at the logits log y.
fn logit_target(
    name: &Name,
    operand: Name,
    settings: &Settings,
    operands: &Tensors<f64>,
) -> Result<Option<GradientTarget>, Error> {
    let (Some(spec), Some(y), Some(t)) = (layer::find("softmax-xent"), operands.get(&Name::Y), operands.get(&Name::T))
    else {
        return Ok(None);
    };
    let mut shared = Settings::default();
    for (name, value) in settings.iter().filter(|(name, _)| spec.settings.iter().any(|known| known.name == *name)) {
        shared.set(name, value.clone());
    }
    let mut skipped_rows = Vec::new();
    let mut row_slack = Vec::new();
    let axis = loss_class_axis(&shared, y.ndim());
    let inner: usize = y.shape().get(axis + 1..).unwrap_or_default().iter().product();
    let lanes = Lanes { classes: y.shape().get(axis).copied().unwrap_or(1).max(1), inner: inner.max(1) };
    let y_lanes = y.view().into_shape_with_order((y.len() / (lanes.classes * lanes.inner), lanes.classes, lanes.inner));
    let Ok(y_lanes) = y_lanes else { return Ok(None) };
    for (n, row) in y_lanes.lanes(Axis(1)).into_iter().enumerate() {
        let sum = f64::sum(row.iter().copied());
        row_slack.push((sum - 1.0).abs());
        if row.iter().any(|v| *v <= 0.0) {
            skipped_rows.push((n, format!("row {n} of {} contains a 0, whose logit is −inf", Name::Y)));
        } else if (sum - 1.0).abs() > 1e-6 || sum.is_nan() {
            let reason = format!("row {n} of {} sums to {sum}, so it is not the output of a softmax", Name::Y);
            skipped_rows.push((n, reason));
        }
    }
    let is_skipped = |n: usize| skipped_rows.iter().any(|(row, _)| *row == n);
    let mut logits = y.map(|&v| DoubleDouble::from_f64(v));
    for (n, value) in logits.iter_mut().enumerate() {
        *value = if is_skipped(lanes.lane_of(n)) { DoubleDouble::zero() } else { value.ln() };
    }
    let operands = Tensors::new().with(Name::X, logits).with(Name::T, t.map(|&v| DoubleDouble::from_f64(v)));
    let description = "as softmax-xent at the logits log y";
    let surrogate = Surrogate { layer: (spec.build)(&shared)?, operands, description, skipped_rows, row_slack, lanes };
    let (name, surrogate) = (name.clone(), Some(surrogate));
    Ok(Some(GradientTarget { name, operand, broadcast: None, defined: Vec::new(), surrogate }))
}

/// Returns the error for a scalar dout of affine, which gives local factors instead of gradients.
pub fn scalar_dout_error(k: f64) -> Error {
    Error::new(Code::LocalFactors, format!("the number {k} scales the local factors, which are not gradients"))
        .with_operand(&Name::DOUT)
        .tip("use --dout ones for the gradients of L = Σy")
}

fn dout_shape_error(output: &Name, expected: &[usize], got: &[usize]) -> Error {
    let message = format!("expected the shape {} of {output}, got {}", format_shape(expected), format_shape(got));
    Error::new(Code::Shape, message)
        .with_operand(&Name::DOUT)
        .with_shape(&Name::DOUT, got)
        .with_shape(output, expected)
        .tip(format!("give one value for each entry of {output}"))
}
