//! Checks the forward pass and the gradients of an implementation.

use super::arrays::{is_same, max_abs, unravel_index};
use super::case::{Case, GradientTarget};
use super::derivative::{Derivative, Direction};
use super::diagnosis::WrongGradient;
use super::entries::GradientEntries;
use super::finding::{Baseline, CheckReport, EntryCheck, Finding, Verdict};
use super::function::{Function, ImplementationFunction, LayerFunction};
use super::implementation::{Evaluation, Implementation, Point};
use super::mistakes::diagnose;
use super::options::CheckOptions;
use super::precision::{relative_tolerance, round_to, unit_roundoff};
use super::sampling::{differentiable_entries, draw_directions, step_scale};
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::Precision;
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::ArrayD;

/// Checks an implementation on a case. Returns an error if it has no usable results.
pub fn check(
    implementation: &mut dyn Implementation,
    case: &Case,
    options: &CheckOptions<'_>,
) -> Result<CheckReport, Error> {
    let mut rng = SplitMix64::new(options.seed);
    let points = points(case, options, implementation.precision(), &mut rng);
    let mut evaluations = implementation.evaluate(&points)?;
    if !options.differentiates_reference {
        require_determinism(&mut evaluations)?;
    }
    let Some(first) = evaluations.first() else {
        return Err(
            Error::new(Code::ReplyPoints, "the reply contains no points").tip("reply with one object for each point")
        );
    };
    if case.targets.iter().all(|target| first.gradients.get(&target.name).is_none()) {
        return Err(no_gradients(case));
    }
    let mut checker = Checker { implementation, case, options, evaluations: &evaluations, rng, has_sampled: false };
    // nnlayer's own forward pass trivially equals the reference: only a difference is a finding.
    let mut findings = checker.check_forward();
    findings.retain(|finding| !options.differentiates_reference || finding.verdict == Verdict::Fail);
    let mut notes = Vec::new();
    for target in &case.targets {
        if first.gradients.get(&target.name).is_none() {
            notes.push(format!("{} is missing from the reply and was not checked", target.name));
            continue;
        }
        for finding in checker.check_gradient(target)? {
            if finding.is_skipped() {
                notes.extend(finding.notes.iter().map(|note| format!("{}: {note}", finding.result)));
            } else {
                findings.push(finding);
            }
        }
    }
    let seed = checker.has_sampled.then_some(options.seed);
    let layer = case.reference.as_ref().map_or("custom", |reference| reference.name).to_owned();
    let differentiates_implementation = !options.differentiates_reference;
    Ok(CheckReport { layer, differentiates_implementation, findings, seed, notes })
}

fn no_gradients(case: &Case) -> Error {
    let names: Vec<&str> = case.targets.iter().map(|target| target.name.as_str()).collect();
    Error::new(Code::ReplyKeyMissing, format!("the reply contains no gradient; expected {}", names.join(", ")))
        .tip("for each point with a dout, reply with \"gradients\" that has a key for each gradient")
}

/// Removes the last evaluation, which repeats the first point, and refuses results that differ. Numerical derivatives of a
/// function that is not deterministic have no meaning.
fn require_determinism(evaluations: &mut Vec<Evaluation>) -> Result<(), Error> {
    let repeated = evaluations.pop();
    let same = |a: &Tensors<f64>, b: &Tensors<f64>| {
        a.iter().all(|(name, a)| {
            b.get(name).is_some_and(|b| a.shape() == b.shape() && a.iter().zip(b).all(|(&a, &b)| is_same(a, b)))
        })
    };
    match (evaluations.first(), repeated) {
        (Some(first), Some(repeated))
            if !same(&first.outputs, &repeated.outputs) || !same(&first.gradients, &repeated.gradients) =>
        {
            Err(Error::new(Code::ReplyUnsteady, "the program returned different results for the same point")
                .tip("remove or seed what is random, such as dropout, and keep no state between points"))
        }
        _ => Ok(()),
    }
}

/// Returns the point of the case, and points that differ from it by rounding errors: the change of the results is no
/// mistake. The first point is repeated at the end.
fn points(case: &Case, options: &CheckOptions<'_>, precision: Precision, rng: &mut SplitMix64) -> Vec<Point> {
    let unit = 4.0 * unit_roundoff(precision);
    let mut perturb = |value: f64| {
        // An integer may be a class index.
        if value.fract() == 0.0 || !value.is_finite() {
            value
        } else {
            round_to(value * (1.0 + rng.sign() * unit), precision)
        }
    };
    let is_exact = options.differentiates_reference && case.reference.is_none();
    let perturbations = if is_exact { 0 } else { CheckOptions::PERTURBATIONS };
    let point = Point { operands: case.operands.clone(), dout: Some(case.dout.clone()) };
    let mut points = vec![point.clone()];
    points.extend(
        (0..perturbations)
            .map(|_| Point { operands: case.operands.map(|&v| perturb(v)), dout: Some(case.dout.mapv(&mut perturb)) }),
    );
    if !options.differentiates_reference {
        points.push(point);
    }
    points
}

struct Checker<'a> {
    implementation: &'a mut dyn Implementation,
    case: &'a Case,
    options: &'a CheckOptions<'a>,
    /// The results at the point of the case and at the perturbed ones.
    evaluations: &'a [Evaluation],
    rng: SplitMix64,
    has_sampled: bool,
}

impl Checker<'_> {
    /// Returns the rounding error of each entry of a result, from its changes between the perturbed points.
    fn rounding(&self, name: &Name, result: &ArrayD<f64>) -> Vec<f64> {
        let own = 16.0 * unit_roundoff(self.implementation.precision()) * self.case.cancellation_scale;
        let mut rounding = vec![own; result.len()];
        for evaluation in &self.evaluations[1..] {
            let perturbed = evaluation.gradients.get(name).or_else(|| evaluation.outputs.get(name));
            for (rounding, (a, b)) in rounding.iter_mut().zip(result.iter().zip(perturbed.into_iter().flatten())) {
                let change = 4.0 * (a - b).abs();
                *rounding = if change.is_finite() { rounding.max(change + own) } else { *rounding };
            }
        }
        rounding
    }

    /// Compares the forward results with those of the reference.
    fn check_forward(&self) -> Vec<Finding> {
        let Some(reference) = &self.case.reference else { return Vec::new() };
        let right = layer::compute(reference.layer.as_ref(), &self.case.operands, None, Precision::F64).results;
        let pairs =
            right.iter().filter_map(|(name, right)| Some((name, self.evaluations[0].outputs.get(name)?, right)));
        pairs.map(|(name, value, right)| self.compare_with_reference(name, value, right)).collect()
    }

    fn compare_with_reference(&self, name: &Name, value: &ArrayD<f64>, right: &ArrayD<f64>) -> Finding {
        let is_gradient = self.case.targets.iter().any(|target| target.name == *name);
        if value.shape() != right.shape() {
            return wrong_shape(name, is_gradient, value, right.shape());
        }
        let mut finding = Finding::new(name, is_gradient, Baseline::Reference, value.shape());
        let precision = self.implementation.precision();
        let largest = max_abs(right);
        let rounding = self.rounding(name, value);
        for (n, (&analytic, &numeric)) in value.iter().zip(right).enumerate() {
            finding.checked += 1;
            if !(analytic.is_nan() && numeric.is_nan()) {
                let error_bar = rounding[n] + 16.0 * unit_roundoff(precision) * largest;
                let allowed = relative_tolerance(precision) * numeric.abs() + error_bar;
                let index = Some(unravel_index(n, &finding.shape));
                finding.record(EntryCheck { index, analytic, numeric, error_bar, allowed, step: 0.0 });
            }
        }
        finding
    }

    /// Compares a gradient with the numerical one, and that of an external program also with the reference.
    fn check_gradient(&mut self, target: &GradientTarget) -> Result<Vec<Finding>, Error> {
        let Some(gradient) = self.evaluations[0].gradients.get(&target.name) else { return Ok(Vec::new()) };
        let right = self.case.reference.as_ref().and_then(|reference| {
            let (operands, dout) = (&self.case.operands, Some(&self.case.dout));
            let outcome = layer::compute(reference.layer.as_ref(), operands, dout, Precision::F64);
            outcome.gradients.get(&target.name).cloned()
        });
        let like = right.as_ref().or(target.broadcast.as_ref()).or_else(|| self.case.operands.get(&target.operand));
        let expected = like.map(|value| value.shape().to_vec()).unwrap_or_default();
        let mut findings = if gradient.shape() == expected {
            self.compare_with_baselines(target, gradient, right.as_ref())?
        } else {
            vec![wrong_shape(&target.name, true, gradient, &expected)]
        };
        let failed = findings.iter_mut().find(|finding| finding.verdict == Verdict::Fail);
        if let (Some(failed), Some(right)) = (failed, &right) {
            let tolerance = if self.implementation.precision() == Precision::F32 { 1e-3 } else { 1e-8 };
            let (name, wrong) = (&target.name, gradient);
            failed.diagnoses = diagnose(&WrongGradient { name, right, wrong, case: self.case, tolerance });
        }
        Ok(findings)
    }

    fn compare_with_baselines(
        &mut self,
        target: &GradientTarget,
        gradient: &ArrayD<f64>,
        right: Option<&ArrayD<f64>>,
    ) -> Result<Vec<Finding>, Error> {
        let differentiates_reference = self.options.differentiates_reference;
        let mut findings = Vec::new();
        if differentiates_reference || self.evaluations[0].outputs.get(&self.case.output).is_some() {
            findings.push(self.compare_with_numerical(target, gradient)?);
        }
        if let (false, Some(right)) = (differentiates_reference, right) {
            let mut finding = self.compare_with_reference(&target.name, gradient, right);
            if findings.is_empty() {
                finding.notes.push(format!("the reply has no {} to differentiate numerically", self.case.output));
            }
            // A gradient that equals the reference is right even if the numerical gradient is too inaccurate to tell.
            let numerical = findings.first().map(|numerical| numerical.verdict);
            if (finding.verdict, numerical) == (Verdict::Pass, Some(Verdict::Inconclusive)) {
                finding.notes.extend(findings.drain(..).flat_map(|numerical| numerical.notes));
            }
            findings.push(finding);
        }
        Ok(findings)
    }

    fn compare_with_numerical(&mut self, target: &GradientTarget, gradient: &ArrayD<f64>) -> Result<Finding, Error> {
        let mut finding = Finding::new(&target.name, true, Baseline::NumericalGradient, gradient.shape());
        let mut operands = self.case.operands.clone();
        if let Some(value) = &target.broadcast {
            operands.insert(target.operand.clone(), value.clone());
        }
        let (name, operand) = match &target.surrogate {
            Some(surrogate) => (Name::X, surrogate.operands.get(&Name::X).map(|x| x.map(|v| v.to_f64()))),
            None => (target.operand.clone(), operands.get(&target.operand).cloned()),
        };
        let Some(operand) = operand else { return Ok(finding) };
        if let Some(surrogate) = &target.surrogate {
            finding.notes.push(surrogate.description.to_owned());
            finding.notes.extend(surrogate.skipped_rows.iter().map(|(_, reason)| format!("not checked: {reason}")));
        }
        let open = differentiable_entries(target, &operand, gradient, &mut finding);
        let (entries, random) = draw_directions(&open, &operand, self.options, &mut self.rng);
        self.has_sampled |= !random.is_empty();
        finding.checked += entries.len();
        finding.directions = random.len();
        let directions: &Vec<Direction> = &entries.into_iter().chain(random).collect();
        let rounding = &self.rounding(&target.name, gradient);
        let entries = open.iter().map(|&n| (n, self.rng.sign() * step_scale(&operand, n))).collect();
        let around = Direction { entries, size: 1.0 };
        let tolerance = relative_tolerance(self.implementation.precision());
        let (output, on_forward) = (self.case.output.clone(), self.options.on_forward);
        let mut of_layer;
        let mut of_implementation;
        let (function, precision): (&mut dyn Function, f64) = match (&target.surrogate, &self.case.reference) {
            (Some(surrogate), _) => {
                let (layer, operands) = (surrogate.layer.as_ref(), surrogate.operands.clone());
                of_layer = LayerFunction { layer, operands, output: Name::LOSS, on_forward };
                (&mut of_layer, 1e-14)
            }
            (None, Some(reference)) if self.options.differentiates_reference => {
                let operands = operands.map(|&v| DoubleDouble::from_f64(v));
                of_layer = LayerFunction { layer: reference.layer.as_ref(), operands, output, on_forward };
                (&mut of_layer, 1e-14)
            }
            _ => {
                let implementation = &mut *self.implementation;
                of_implementation = ImplementationFunction { implementation, operands: &operands, output, on_forward };
                let precision = if self.options.differentiates_reference { 1e-14 } else { tolerance / 10.0 };
                (&mut of_implementation, precision)
            }
        };
        let mut derivative = Derivative::new(function, &name, &self.case.dout, &around)?;
        if !derivative.is_finite() {
            finding.verdict = Verdict::Inconclusive;
            finding.notes.push(format!("{} is not finite, so it has no derivative here", self.case.output));
            return Ok(finding);
        }
        let estimates = &derivative.estimate(directions, precision)?;
        let entries = GradientEntries { gradient, rounding, target, tolerance, directions, estimates };
        entries.check_all(&mut finding, &mut derivative)?;
        entries.require_small_error_bars(&mut finding, &self.case.dout);
        if finding.verdict == Verdict::Pass {
            finding.unnoticed = entries.unnoticed_mistakes();
        }
        Ok(finding)
    }
}

fn wrong_shape(name: &Name, is_gradient: bool, value: &ArrayD<f64>, expected: &[usize]) -> Finding {
    let finding = Finding::new(name, is_gradient, Baseline::Reference, value.shape());
    let note = format!("expected shape {}, got {}", format_shape(expected), format_shape(value.shape()));
    Finding { verdict: Verdict::Fail, wrong: value.len(), notes: vec![note], ..finding }
}
