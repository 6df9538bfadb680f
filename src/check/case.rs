//! What is checked: operands, upstream gradient, and by what each gradient is differentiated.

use super::{Gradient, rounded};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Given, LayerSpec, Precision, Settings};
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::{ArrayD, Axis, IxDyn};

/// A layer, or a chain of them, that nnlayer knows.
pub struct Reference {
    /// The layer's command, or what the chain is called.
    pub name: &'static str,
    /// How it is computed.
    pub layer: Box<dyn AnyLayer>,
    /// How it was built; a chain is diagnosed layer by layer.
    pub row: Option<Row>,
}

/// A layer of the registry, and how it is set.
pub struct Row {
    /// Its row.
    pub spec: &'static LayerSpec,
    /// How it is set.
    pub settings: Settings,
}

/// What is checked.
pub struct Case {
    /// The operands, as the subject gets them.
    pub at: Tensors<f64>,
    /// The upstream gradient, of the output's shape.
    pub dout: ArrayD<f64>,
    /// The result that is differentiated.
    pub output: Name,
    /// The gradients and how each is checked; empty for a layer nobody knows, whose gradients its replies name.
    pub slants: Vec<Slant>,
    /// The layer, where nnlayer knows it.
    pub reference: Option<Reference>,
    /// What a loss's gradient is a difference of: |dout| times the class weight over the divisor; 0 for other layers.
    pub magnitude: f64,
}

/// A gradient, and what it is the derivative of.
pub struct Slant {
    /// The gradient and its operand.
    pub of: Gradient,
    /// The operand in the gradient's shape, where that is not its own: a scalar b stands for a row.
    pub widened: Option<ArrayD<f64>>,
    /// Another function than the layer's forward pass: the loss as a function of the logits that made y.
    pub via: Option<Via>,
}

/// Another function that a gradient is the derivative of.
pub struct Via {
    /// The layer.
    pub layer: Box<dyn AnyLayer>,
    /// Its operands.
    pub at: Tensors<DoubleDouble>,
    /// What it is, in words.
    pub words: &'static str,
    /// Why nothing can be checked, or rows that cannot.
    pub left_out: Vec<(usize, String)>,
    /// How far each row is from where the formula holds exactly.
    pub slack: Vec<f64>,
}

impl Slant {
    /// The derivative of the output by an operand of that value; the gradient has the shape.
    pub fn new(of: Gradient, value: &ArrayD<f64>, gradient: &ArrayD<f64>) -> Slant {
        let scalar = value.ndim() == 0 && gradient.ndim() > 0;
        Slant { of, widened: scalar.then(|| ArrayD::from_elem(gradient.raw_dim(), value[[]])), via: None }
    }
}

impl Case {
    /// A case of a known layer; refuses what the layer refuses.
    pub fn new(
        spec: &'static LayerSpec,
        settings: &Settings,
        at: &Tensors<f64>,
        dout: Option<&ArrayD<f64>>,
        precision: Precision,
    ) -> Result<Case, Error> {
        let layer = (spec.build)(settings)?;
        let at = at.map(|&v| rounded(v, precision));
        let exact = |_: &Name| f64::EPSILON / 2.0;
        layer.admit(&Given { at: &at, rounding: &exact, x_was_y: false })?;
        let shape = layer.output_shape(&at);
        let dout = match dout {
            Some(dout) if dout.shape() == shape => dout.map(|&v| rounded(v, precision)),
            Some(dout) if dout.ndim() == 0 => return Err(local_factors(dout[[]])),
            Some(dout) => return Err(misfit(&spec.output, &shape, dout.shape())),
            None => ArrayD::from_elem(IxDyn(&shape), 1.0),
        };
        let outcome = layer::compute(layer.as_ref(), &at, Some(&dout), Precision::F64);
        let largest = |value: &ArrayD<f64>| value.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
        let divisor = outcome.results.get(&Name::DIVISOR).map_or(1.0, |divisor| divisor[[]]);
        let weight = at.get(&Name::WEIGHT).map_or(1.0, |weight| largest(weight).max(1.0));
        let magnitude = if spec.is_loss() && divisor != 0.0 { largest(&dout) * weight / divisor.abs() } else { 0.0 };
        let mut slants = Vec::new();
        for (name, gradient) in outcome.gradients.iter() {
            let Some(operand) = name.operand() else { continue };
            let of = Gradient { name: name.clone(), operand };
            let Some(value) = at.get(&of.operand) else {
                slants.extend(through_softmax(of, settings, &at)?);
                continue;
            };
            slants.push(Slant::new(of, value, gradient));
        }
        let row = Some(Row { spec, settings: settings.clone() });
        let reference = Some(Reference { name: spec.name, layer, row });
        Ok(Case { at, dout, output: spec.output.clone(), slants, reference, magnitude })
    }

    /// A case of a layer that nnlayer does not know. Its gradients are those that the subject gives.
    pub fn custom(at: Tensors<f64>, dout: ArrayD<f64>, output: Name, gradients: &[Name]) -> Case {
        let slants = gradients
            .iter()
            .filter_map(|name| {
                let operand = name.operand()?;
                at.get(&operand)?;
                Some(Slant { of: Gradient { name: name.clone(), operand }, widened: None, via: None })
            })
            .collect();
        let magnitude = if dout.ndim() == 0 { dout[[]].abs() } else { 0.0 };
        Case { at, dout, output, slants, reference: None, magnitude }
    }

    /// The number of rows of the first operand, and of its columns.
    pub fn batch_and_classes(&self) -> (usize, usize) {
        let shape = self.at.iter().next().map(|(_, value)| value.shape().to_vec()).unwrap_or_default();
        match shape[..] {
            [n, c] => (n, c),
            [c] => (1, c),
            _ => (1, 1),
        }
    }
}

/// The gradient of a loss of probabilities by the logits that made them: checked at the logits log y.
fn through_softmax(of: Gradient, settings: &Settings, at: &Tensors<f64>) -> Result<Option<Slant>, Error> {
    let (Some(spec), Some(y), Some(t)) = (layer::find("softmax-xent"), at.get(&Name::Y), at.get(&Name::T)) else {
        return Ok(None);
    };
    let mut same = Settings::default();
    for (name, value) in settings.iter().filter(|(name, _)| spec.settings.iter().any(|known| known.name == *name)) {
        same.set(name, value.clone());
    }
    let mut left_out = Vec::new();
    let mut slack = Vec::new();
    let rows: Vec<Vec<f64>> = match y.ndim() {
        2 => y.axis_iter(Axis(0)).map(|row| row.iter().copied().collect()).collect(),
        _ => vec![y.iter().copied().collect()],
    };
    for (n, row) in rows.iter().enumerate() {
        let sum = f64::sum(row.iter().copied());
        slack.push((sum - 1.0).abs());
        if row.iter().any(|v| *v <= 0.0) {
            left_out.push((n, format!("row {n} of {} has a 0, whose logit is −inf", Name::Y)));
        } else if (sum - 1.0).abs() > 1e-6 || sum.is_nan() {
            left_out.push((n, format!("row {n} of {} sums to {sum}: no softmax made it", Name::Y)));
        }
    }
    let skipped = |n: usize| left_out.iter().any(|(row, _)| *row == n);
    let columns = rows.first().map_or(1, Vec::len).max(1);
    let mut logits = y.map(|&v| DoubleDouble::from_f64(v));
    for (n, value) in logits.iter_mut().enumerate() {
        *value = if skipped(n / columns) { DoubleDouble::zero() } else { value.ln() };
    }
    let at = Tensors::new().with(Name::X, logits).with(Name::T, t.map(|&v| DoubleDouble::from_f64(v)));
    let via = Via { layer: (spec.build)(&same)?, at, words: "as softmax-xent at the logits log y", left_out, slack };
    Ok(Some(Slant { of, widened: None, via: Some(via) }))
}

/// Why a scalar dout of affine cannot be checked.
pub fn local_factors(k: f64) -> Error {
    Error::new(Code::LocalFactors, format!("the number {k} scales the local factors: these are no gradients to check"))
        .with_operand(&Name::DOUT)
        .tip("--dout ones gives the gradients of L = Σy")
}

fn misfit(output: &Name, wanted: &[usize], got: &[usize]) -> Error {
    let (wanted_text, got_text) = (crate::core::error::format_shape(wanted), crate::core::error::format_shape(got));
    Error::new(Code::Shape, format!("shape {got_text} does not fit {output} {wanted_text}"))
        .with_operand(&Name::DOUT)
        .with_shape(&Name::DOUT, got)
        .with_shape(output, wanted)
        .tip(format!("the upstream gradient has one value for each of {output}"))
}
