//! Checks the forward pass and the gradients of an implementation.

use super::arrays::{flat_entry, max_abs};
use super::case::{Case, GradientTarget};
use super::derivative::Derivative;
use super::diagnosis::{OtherGradients, WrongGradient};
use super::directions::{Loss, Sampled};
use super::entries::{GradientEntries, relative_tolerance};
use super::extrapolation::Estimate;
use super::finding::{Baseline, CheckReport, Finding, Verdict};
use super::function::{Direction, LayerFunction};
use super::implementation::{Evaluation, Implementation, Point};
use super::mistakes::diagnose;
use super::number_format::NumberFormat;
use super::options::CheckOptions;
use super::program_check::check_program;
use super::reference::{ReferenceResults, compare_with_reference, wrong_shape};
use super::sampling::{differentiable_entries, entry_direction, step_scale};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::numeric::{DoubleDouble, FloatType, Scalar};
use ndarray::ArrayD;

/// Checks an implementation on a case. Returns an error if it has no usable results.
pub fn check(
    implementation: &mut dyn Implementation,
    case: &Case,
    options: &CheckOptions<'_>,
) -> Result<CheckReport, Error> {
    if options.differentiates_reference {
        check_own(implementation, case, options)
    } else {
        check_program(implementation, case, options)
    }
}

/// Checks nnlayer's own layer, or records of it, by derivatives of the layer in double-double.
fn check_own(
    implementation: &mut dyn Implementation,
    case: &Case,
    options: &CheckOptions<'_>,
) -> Result<CheckReport, Error> {
    let point = Point { operands: case.operands.clone(), dout: Some(case.dout.clone()) };
    let evaluation = implementation.evaluate(std::slice::from_ref(&point))?.into_iter().next().unwrap_or_default();
    let format = NumberFormat { float_type: options.float_type.unwrap_or_default(), digits: None };
    let reference = case
        .reference
        .as_ref()
        .map(|reference| ReferenceResults::new(reference.layer.as_ref(), &point, format, options, false));
    let rng = SplitMix64::new(options.seed);
    let mut checker = Checker { case, options, point, evaluation: &evaluation, reference, rng, has_sampled: false };
    // nnlayer's own forward pass equals the reference: only a difference is a finding.
    let mut findings = checker.check_forward();
    findings.retain(|finding| finding.verdict == Verdict::Fail);
    let mut notes = Vec::new();
    for target in &case.targets {
        let Some(gradient) = evaluation.gradients.get(&target.name) else {
            notes.push(format!("{} is missing and was not checked", target.name));
            continue;
        };
        let finding = checker.check_gradient(target, gradient)?;
        finding.add_to(&mut findings, &mut notes);
    }
    let seed = checker.has_sampled.then_some(options.seed);
    let layer = case.layer_name().to_owned();
    Ok(CheckReport { layer, differentiates_implementation: false, findings, unchecked: Vec::new(), seed, notes })
}

struct Checker<'a> {
    case: &'a Case,
    options: &'a CheckOptions<'a>,
    point: Point,
    evaluation: &'a Evaluation,
    reference: Option<ReferenceResults>,
    rng: SplitMix64,
    has_sampled: bool,
}

impl Checker<'_> {
    fn float_type(&self) -> FloatType {
        self.options.float_type.unwrap_or_default()
    }

    /// Compares the forward results with those of the reference.
    fn check_forward(&self) -> Vec<Finding> {
        let Some(reference) = &self.reference else { return Vec::new() };
        let results = self.evaluation.outputs.iter();
        results.filter_map(|(name, value)| compare_with_reference(reference, name, false, value)).collect()
    }

    fn check_gradient(&mut self, target: &GradientTarget, gradient: &ArrayD<f64>) -> Result<Finding, Error> {
        let right = self.reference.as_ref().and_then(|reference| reference.values.get(&target.name)).cloned();
        let expected = target.shape(self.case, right.as_ref());
        let mut finding = if gradient.shape() == expected {
            self.compare_with_numerical(target, gradient)?
        } else {
            wrong_shape(&target.name, true, gradient, &expected)
        };
        if let (Verdict::Fail, Some(right)) = (finding.verdict, &right) {
            let float_type = self.float_type();
            let tolerance = if float_type == FloatType::F64 { 1e-8 } else { 10.0 * relative_tolerance(float_type) };
            let (name, wrong) = (&target.name, gradient);
            finding.diagnoses = diagnose(&WrongGradient {
                name,
                right,
                wrong,
                case: self.case,
                point: &self.point,
                tolerance,
                others: &OtherGradients::default(),
                allowed: 0.01 * tolerance * max_abs(right),
                float_type: self.float_type(),
            });
        }
        Ok(finding)
    }

    fn compare_with_numerical(&mut self, target: &GradientTarget, gradient: &ArrayD<f64>) -> Result<Finding, Error> {
        let mut finding = Finding::new(&target.name, true, Baseline::NumericalGradient, gradient.shape());
        let (name, operands, layer) = match &target.surrogate {
            Some(surrogate) => (&Name::X, surrogate.operands.clone(), Some(surrogate.layer.as_ref())),
            None => {
                let mut operands = self.case.operands.map(|&v| DoubleDouble::from_f64(v));
                if let Some(value) = &target.broadcast {
                    operands.insert(target.operand.clone(), value.map(|&v| DoubleDouble::from_f64(v)));
                }
                let layer = self.case.reference.as_ref().map(|reference| reference.layer.as_ref());
                (&target.operand, operands, layer)
            }
        };
        let operand = operands.get(name).map(|operand| operand.map(|v| v.to_f64()));
        let (Some(operand), Some(layer)) = (operand, layer) else { return Ok(finding) };
        if let Some(surrogate) = &target.surrogate {
            finding.notes.push(surrogate.description.to_owned());
            finding.notes.extend(surrogate.skipped_rows.iter().map(|(_, reason)| format!("not checked: {reason}")));
        }
        let open = differentiable_entries(target, &operand, gradient, &mut finding);
        let output = if target.surrogate.is_some() { Name::LOSS } else { self.case.output.clone() };
        let mut function = LayerFunction { layer, operands, output, on_forward: self.options.on_forward };
        let allowed = |n: usize, v: f64| self.reference.as_ref().map_or(0.0, |right| right.allowed(&target.name, n, v));
        let rounding: Vec<f64> = gradient.iter().enumerate().map(|(n, &v)| allowed(n, v)).collect();
        let (tolerance, dout) = (relative_tolerance(self.float_type()), &self.case.dout);
        let entries = GradientEntries { gradient, rounding: &rounding, target, tolerance, dout };
        let checked = if open.len() > self.options.max_entries {
            self.has_sampled = true;
            let suspect = self.suspect(target, gradient, &rounding, &open);
            let sampled = Sampled { entries: &entries, operand: &operand, open: &open, suspect };
            let mut loss = Loss { function: &mut function, operand: name, output: &self.case.output, dout };
            sampled.check(&mut loss, &mut finding, &mut self.rng)?
        } else {
            let around = open.iter().map(|&n| (n, self.rng.sign() * step_scale(&operand, n))).collect();
            let around = Direction { entries: around, size: 1.0 };
            let mut derivative = Derivative::new(&mut function, name, dout, &around)?;
            if !derivative.is_finite() {
                finding.verdict = Verdict::Inconclusive;
                finding.notes.push(format!("{} is not finite, so it has no derivative here", self.case.output));
                return Ok(finding);
            }
            let directions: Vec<Direction> = open.iter().map(|&n| entry_direction(&operand, n)).collect();
            let estimates = derivative.estimate(&directions, 1e-14)?;
            let checked: Vec<(Direction, Estimate)> = directions.into_iter().zip(estimates).collect();
            finding.checked += open.len();
            entries.record_all(&checked, &mut finding, &mut |direction| derivative.one_sided(direction))?;
            checked
        };
        entries.require_small_error_bars(&checked, &mut finding);
        if finding.verdict == Verdict::Pass {
            finding.unnoticed = entries.unnoticed_mistakes(&checked);
        }
        Ok(finding)
    }

    /// Returns the entry that differs most from nnlayer's backward pass, of those that differ.
    fn suspect(
        &self,
        target: &GradientTarget,
        gradient: &ArrayD<f64>,
        rounding: &[f64],
        open: &[usize],
    ) -> Option<usize> {
        let right = self.reference.as_ref()?.values.get(&target.name)?;
        let excess = |n: usize| (flat_entry(gradient, n) - flat_entry(right, n)).abs() / rounding[n];
        let differing = open.iter().map(|&n| (n, excess(n))).filter(|(_, excess)| *excess > 0.0);
        differing.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(n, _)| n)
    }
}
