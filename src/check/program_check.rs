//! Checks a program.
//!
//! A layer that nnlayer knows is compared with nnlayer's results, within a bound of rounding errors; numerical derivatives of the
//! program's own forward pass then tell a wrong backward pass from a wrong forward pass. Of a layer that only the program knows, the
//! gradients are compared with those derivatives. The point is asked again after others, so that a program that keeps values of an
//! earlier call is noticed.

mod custom;
mod own_forward;

use super::arrays::max_abs;
use super::calls::{
    Call, LARGE_VALUES, Points, ask, choose_points, describe_overflow, perturbed_points, require_determinism,
};
use super::case::{Case, GradientTarget};
use super::derivative::Derivative;
use super::diagnosis::{Diagnosis, OtherGradients, WrongGradient};
use super::finding::{Baseline, CheckReport, EntryCheck, Finding, Verdict};
use super::function::LayerFunction;
use super::implementation::{Evaluation, Implementation, Point};
use super::kept::{STALE, kept_between_calls};
use super::kinks::{accept_subgradients, untied_gradients};
use super::mistakes::{LOWER_PRECISION, diagnose, diagnose_forward};
use super::number_format::NumberFormat;
use super::numerical::Comparison;
use super::options::CheckOptions;
use super::reference::{ReferenceResults, compare_with_reference, recognise_format, wrong_shape};
use super::reply_names::check_names;
use super::requests::points_per_request;
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::layer::{self, Precision};
use crate::numeric::{Arithmetic, DoubleDouble, Scalar};
use ndarray::ArrayD;

/// Unit roundoffs that the explanation of a wrong gradient may be off, relative to the largest entry, and the most in any type.
const EXPLAINED_ROUNDINGS: f64 = 16384.0;
const MAX_EXPLAINED_ERROR: f64 = 0.1;

/// Most requests for all comparisons with numerical derivatives, each taking one at least.
const MAX_REQUESTS: usize = 12;

/// Part of the largest entry up to which an error in a later call is not that of another input.
const SMALL_ERROR: f64 = 1.0 / 64.0;

/// Checks a program on a case.
pub(super) fn check_program(
    implementation: &mut dyn Implementation,
    case: &Case,
    options: &CheckOptions<'_>,
) -> Result<CheckReport, Error> {
    // Other numbers than those that the operands may have been drawn from.
    let mut rng = SplitMix64::new(!options.seed);
    let float_type = options.float_type.unwrap_or_default();
    let arithmetic = |float_type| Arithmetic { float_type, accumulator: options.accumulator.unwrap_or(float_type) };
    let mut points = choose_points(case, options.stress_shapes, arithmetic(float_type), &mut rng);
    let requests = implementation.requests_left();
    let (mut notes, mut unchecked) = (Vec::new(), Vec::new());
    let mut evaluations = ask(implementation, &mut points, &mut unchecked)?;
    let Points { mut points, repeated, mut stress } = points;
    if evaluations.is_empty() {
        return Err(
            Error::new(Code::ReplyPoints, "the reply contains no points").tip("reply with one object for each point")
        );
    }
    let format = recognise_format(case, options, &points, &evaluations);
    if let Some(n) = stress.filter(|_| case.reference.is_some() && format.float_type != float_type) {
        // The large values of a double are too large for the type that was found.
        let shapes = options.stress_shapes.unwrap_or_default();
        let again = case.stress_point(shapes, arithmetic(format.float_type), &mut rng);
        points.truncate(n);
        evaluations.truncate(n);
        stress = None;
        if let Some(point) = again {
            match implementation.evaluate(std::slice::from_ref(&point)).ok().and_then(|mut replies| replies.pop()) {
                Some(reply) => {
                    stress = Some(n);
                    points.push(point);
                    evaluations.push(reply);
                }
                None => unchecked.push(format!("it crashes with {LARGE_VALUES}")),
            }
        }
    }
    let reference = |point: &Point, is_stress| {
        let layer = case.reference.as_ref()?.layer.as_ref();
        Some(ReferenceResults::new(layer, point, format, options, is_stress))
    };
    let mut perturbed =
        if case.reference.is_none() { evaluations.split_off(repeated.min(evaluations.len())) } else { Vec::new() };
    let far = stress.filter(|_| case.reference.is_none()).and_then(|_| perturbed.pop());
    if format.float_type != float_type && !perturbed.is_empty() {
        // The program rounds the changes of the perturbed points away.
        let again = perturbed_points(&points, perturbed.len() > 1, format.float_type, &mut rng);
        perturbed = implementation.evaluate(&again).unwrap_or(perturbed);
    }
    notes.extend(far.and_then(|evaluation| describe_overflow(case, &evaluation, arithmetic(float_type))));
    let calls: Vec<Call> = points
        .into_iter()
        .zip(evaluations)
        .enumerate()
        .map(|(n, (point, evaluation))| Call {
            reference: reference(&point, stress == Some(n)),
            point,
            evaluation,
            is_stress: stress == Some(n),
        })
        .collect();
    if case.reference.is_none() && requests.is_some() && points_per_request(&case.operands, float_type) == 1 {
        unchecked.push("values kept between calls were not looked for, which takes --persistent".to_owned());
    }
    let first = &calls[0].evaluation;
    notes.extend(check_names(case, &calls[0], implementation.protocol_version())?);
    require_determinism(&calls, options.nondeterminism)?;
    // A gradient is compared with numerical derivatives at two points if there is no reference.
    let comparisons = case.targets.len() * if case.reference.is_none() { 2 } else { 1 };
    let mut checker = ProgramChecker {
        implementation,
        case,
        options,
        calls: &calls,
        perturbed: &perturbed,
        format,
        rng,
        has_sampled: false,
        max_requests: (MAX_REQUESTS / comparisons.max(1)).max(1),
        comparisons,
    };
    let mut findings = checker.check_forward();
    let forward_is_wrong = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    notes.extend(format.describe(options.float_type));
    for target in &case.targets {
        let Some(gradient) = first.gradients.get(&target.name) else {
            unchecked.push(format!("{} is missing from the reply and was not checked", target.name));
            continue;
        };
        for finding in checker.check_gradient(target, gradient, forward_is_wrong)? {
            finding.add_to(&mut findings, &mut notes);
        }
    }
    let seed = checker.has_sampled.then_some(options.seed);
    let layer = case.layer_name().to_owned();
    Ok(CheckReport { layer, differentiates_implementation: true, findings, unchecked, seed, notes })
}

struct ProgramChecker<'a> {
    implementation: &'a mut dyn Implementation,
    case: &'a Case,
    options: &'a CheckOptions<'a>,
    calls: &'a [Call],
    /// The replies at two points each that differ from those of the first and the third call by rounding.
    perturbed: &'a [Evaluation],
    format: NumberFormat,
    rng: SplitMix64,
    has_sampled: bool,
    /// Number of comparisons with numerical derivatives that may follow.
    comparisons: usize,
    /// Most requests for a comparison.
    max_requests: usize,
}

impl ProgramChecker<'_> {
    /// Compares the forward results of each call with those of the reference.
    fn check_forward(&self) -> Vec<Finding> {
        let Some(reference) = &self.calls[0].reference else { return Vec::new() };
        let names = reference.values.names();
        let compare = |call: &Call, name: &Name| {
            compare_with_reference(call.reference.as_ref()?, name, false, call.evaluation.outputs.get(name)?)
        };
        names
            .filter_map(|name| {
                let mut calls = self.calls.iter().filter_map(|call| compare(call, name));
                let mut first = calls.next()?;
                let (wrong, right) = (self.calls[0].evaluation.outputs.get(name)?, reference.values.get(name)?);
                if first.verdict == Verdict::Fail {
                    let others = OtherGradients::default();
                    let wrong = self.wrong(name, &self.calls[0], [wrong, right], first.worst.as_ref(), &others);
                    first.diagnoses = diagnose_forward(&wrong);
                }
                Some(if first.verdict == Verdict::Fail { first } else { self.or_later(first, calls) })
            })
            .collect()
    }

    /// Says how a later call differs from the first, which is correct.
    fn describe_call(&self, n: usize) -> String {
        let call = &self.calls[n];
        match call.point.operands.iter().next() {
            Some((name, value)) if call.is_stress => format!(
                "other calls are correct; in this one {name} is {}, and its largest entry is {}",
                format_shape(value.shape()),
                max_abs(value)
            ),
            _ => format!("the first call is correct; this is call {} of the same process", n + 1),
        }
    }

    /// Returns the first finding of a later call that fails, or else is undecided, or else that of the first call.
    fn or_later(&self, first: Finding, later: impl Iterator<Item = Finding>) -> Finding {
        let mut later: Vec<(usize, Finding)> = later.enumerate().collect();
        let of = |verdict| later.iter().position(|(_, finding)| finding.verdict == verdict);
        let Some(place) = of(Verdict::Fail).or_else(|| of(Verdict::Inconclusive)) else { return first };
        let (n, mut failed) = later.swap_remove(place);
        failed.notes.push(self.describe_call(n + 1));
        failed
    }

    fn check_gradient(
        &mut self,
        target: &GradientTarget,
        gradient: &ArrayD<f64>,
        forward_is_wrong: bool,
    ) -> Result<Vec<Finding>, Error> {
        let calls = self.calls;
        let right = calls[0].reference.as_ref().and_then(|reference| reference.values.get(&target.name));
        let expected = target.shape(self.case, right);
        let is_empty = gradient.is_empty() && expected.contains(&0);
        if gradient.shape() != expected && !is_empty {
            let mut finding = wrong_shape(&target.name, true, gradient, &expected);
            finding.diagnoses = if let Some(right) = right {
                self.diagnose(target, &calls[0], gradient, right, None, &OtherGradients::default())
            } else {
                let zero = ArrayD::zeros(expected);
                let Comparison { finding, right, .. } = self.compare_with_own_forward(target, &calls[0], &zero)?;
                let worst = finding.worst.as_ref();
                right
                    .map(|right| self.diagnose(target, &calls[0], gradient, &right, worst, &OtherGradients::default()))
                    .unwrap_or_default()
            };
            return Ok(vec![finding]);
        }
        let Some(right) = right else { return self.check_custom_gradient(target, gradient) };
        let mut finding = self
            .compare_call(&calls[0], target)?
            .unwrap_or_else(|| Finding::new(&target.name, true, Baseline::Reference, gradient.shape()));
        if finding.verdict != Verdict::Fail {
            finding = self.check_later_calls(target, finding)?;
            if finding.verdict == Verdict::Pass && !forward_is_wrong {
                return Ok(vec![finding]);
            }
        } else {
            finding.diagnoses =
                self.diagnose(target, &calls[0], gradient, right, finding.worst.as_ref(), &OtherGradients::default());
        }
        if finding.verdict == Verdict::Inconclusive {
            // The program's own forward pass may decide what bounds leave open.
            let numerical = self.compare_with_own_forward(target, &calls[0], gradient)?.finding;
            return Ok(vec![if numerical.verdict == Verdict::Fail { numerical } else { finding }]);
        }
        let mut findings = vec![finding];
        if target.surrogate.is_none() {
            let mut numerical = self.compare_with_own_forward(target, &calls[0], gradient)?.finding;
            if numerical.verdict == Verdict::Inconclusive {
                findings[0].notes.append(&mut numerical.notes);
            } else {
                findings.insert(0, numerical);
            }
        }
        Ok(findings)
    }

    fn diagnose(
        &self,
        target: &GradientTarget,
        call: &Call,
        wrong: &ArrayD<f64>,
        right: &ArrayD<f64>,
        worst: Option<&EntryCheck>,
        others: &OtherGradients,
    ) -> Vec<Diagnosis> {
        diagnose(&self.wrong(&target.name, call, [wrong, right], worst, others))
    }

    /// Returns a wrong gradient or result of a call, beside the right one.
    fn wrong<'b>(
        &'b self,
        name: &'b Name,
        call: &'b Call,
        [wrong, right]: [&'b ArrayD<f64>; 2],
        worst: Option<&EntryCheck>,
        others: &'b OtherGradients,
    ) -> WrongGradient<'b> {
        let rounding = EXPLAINED_ROUNDINGS * self.format.float_type.unit_roundoff();
        let bound = worst.map_or(0.0, |worst| 4.0 * worst.allowed / max_abs(right).max(f64::MIN_POSITIVE));
        let tolerance = rounding.max(bound).min(MAX_EXPLAINED_ERROR);
        let allowed = worst.map_or(rounding * max_abs(right), |worst| worst.allowed);
        let float_type = self.format.float_type;
        let (case, point) = (self.case, &call.point);
        WrongGradient { name, right, wrong, case, point, tolerance, others, allowed, float_type }
    }

    /// Compares a gradient of a call with the reference. At a kink any subgradient is right.
    fn compare_call(&self, call: &Call, target: &GradientTarget) -> Result<Option<Finding>, Error> {
        let (Some(reference), Some(gradient)) = (&call.reference, call.evaluation.gradients.get(&target.name)) else {
            return Ok(None);
        };
        let Some(finding) = compare_with_reference(reference, &target.name, true, gradient) else { return Ok(None) };
        let (Some(layer), Some(operand), Some(dout), None) =
            (&self.case.reference, call.point.operands.get(&target.operand), &call.point.dout, &target.surrogate)
        else {
            return Ok(Some(finding));
        };
        if finding.verdict != Verdict::Fail || finding.worst.is_none() || operand.shape() != gradient.shape() {
            return Ok(Some(finding));
        }
        let operands = call.point.operands.map(|&v| DoubleDouble::from_f64(v));
        let output = self.case.output.clone();
        let mut function = LayerFunction { layer: layer.layer.as_ref(), operands, output, on_forward: &|| {} };
        let around = super::function::Direction { entries: Vec::new(), size: 1.0 };
        let mut derivative = Derivative::new(&mut function, &target.operand, dout, &around)?;
        let untied = untied_gradients(operand, |operand| {
            let mut operands = call.point.operands.clone();
            operands.insert(target.operand.clone(), operand);
            layer::compute(layer.layer.as_ref(), &operands, Some(dout), Precision::F64)
                .gradients
                .get(&target.name)
                .cloned()
        });
        accept_subgradients(finding, reference, &target.name, gradient, operand, &mut derivative, &untied).map(Some)
    }

    /// Compares the gradients of the later calls with the reference, and names what was kept between calls.
    fn check_later_calls(&self, target: &GradientTarget, mut first: Finding) -> Result<Finding, Error> {
        for n in 1..self.calls.len() {
            let call = &self.calls[n];
            let Some(mut finding) = self.compare_call(call, target)? else { continue };
            if finding.verdict != Verdict::Fail {
                first = if finding.verdict > first.verdict { finding } else { first };
                continue;
            }
            let (gradient, right) = (call.evaluation.gradients.get(&target.name), call.reference.as_ref());
            let right = right.and_then(|reference| reference.values.get(&target.name));
            if let (Some(gradient), Some(right)) = (gradient, right) {
                finding.diagnoses = self.diagnose_later(target, n, gradient, right, &finding);
            }
            finding.notes.push(self.describe_call(n));
            return Ok(finding);
        }
        Ok(first)
    }

    /// Names the mistake in call `n`: what a program kept from the calls before, or one of any call.
    fn diagnose_later(
        &self,
        target: &GradientTarget,
        n: usize,
        gradient: &ArrayD<f64>,
        right: &ArrayD<f64>,
        finding: &Finding,
    ) -> Vec<Diagnosis> {
        if let Some(kept) = kept_between_calls(self.case, self.calls, n, target, gradient, right) {
            return vec![kept];
        }
        let call = &self.calls[n];
        let mut diagnoses =
            self.diagnose(target, call, gradient, right, finding.worst.as_ref(), &OtherGradients::default());
        if diagnoses.is_empty() && !call.is_stress {
            let error = gradient.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            diagnoses.push(if error < SMALL_ERROR * max_abs(right) {
                let explanation =
                    "the inputs of the first call have few bits; is a part of it computed in a lower precision?";
                Diagnosis { kind: LOWER_PRECISION, explanation: explanation.to_owned() }
            } else {
                let explanation = format!("does call {} use values that were saved in an earlier call?", n + 1);
                Diagnosis { kind: STALE, explanation }
            });
        }
        diagnoses
    }
}
