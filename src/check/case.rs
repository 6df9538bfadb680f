//! The case of a check: operands, upstream gradient, and the function that each gradient is the derivative of.

use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Given, LayerSpec, Precision, Settings, Values, loss_class_axis};
use crate::numeric::{DoubleDouble, FloatType, Scalar};
use ndarray::{ArrayD, Axis, IxDyn};

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
