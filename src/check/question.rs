//! The two questions: is the forward pass right, are the gradients right?

use super::case::{Case, Slant};
use super::diagnosis;
use super::diagnosis::{Context, Diagnosis};
use super::judged::{Judged, unnoticed};
use super::numeric::{Direction, Exactly, Function, Outside, Slope};
use super::plan::Plan;
use super::verdict::{Against, Checked, Finding, Verdict, Worst};
use super::{Point, Reply, Subject, rounded, rounding, tolerance, unflat};
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::Precision;
use crate::numeric::{DoubleDouble, Scalar};
use ndarray::ArrayD;

/// Asks a subject and judges its replies.
pub fn check(subject: &mut dyn Subject, case: &Case, plan: &Plan<'_>) -> Result<Checked, Error> {
    let mut seeded = SplitMix64::new(plan.seed);
    let points = points(case, plan, subject.precision(), &mut seeded);
    let mut replies = subject.ask(&points)?;
    if !plan.exact {
        refuse_unsteady(&mut replies)?;
    }
    let Some(reply) = replies.first() else { return Err(no_reply()) };
    if case.slants.iter().all(|slant| reply.gradients.get(&slant.of.name).is_none()) {
        return Err(no_gradients(case));
    }
    let mut asked = Asked { subject, case, plan, replies: &replies, seeded, sampled: false };
    // Where differences are of nnlayer's own forward pass, that it equals itself is no finding.
    let mut findings = asked.forward();
    findings.retain(|finding| !plan.exact || finding.verdict == Verdict::Fail);
    let mut notes = Vec::new();
    for slant in &case.slants {
        if reply.gradients.get(&slant.of.name).is_none() {
            notes.push(format!("{} is not in the reply and not checked", slant.of.name));
            continue;
        }
        for finding in asked.gradient(slant)? {
            if finding.is_left_out() {
                notes.extend(finding.notes.iter().map(|note| format!("{}: {note}", finding.result)));
            } else {
                findings.push(finding);
            }
        }
    }
    let seed = asked.sampled.then_some(plan.seed);
    let layer = case.reference.as_ref().map_or("custom", |reference| reference.name).to_owned();
    Ok(Checked { layer, own_forward: !plan.exact, findings, seed, notes })
}

fn no_reply() -> Error {
    Error::new(Code::ReplyPoints, "the reply holds no points")
        .tip("a reply has one object a point: {\"outputs\": {…}, \"gradients\": {…}}")
}

fn no_gradients(case: &Case) -> Error {
    let wanted: Vec<&str> = case.slants.iter().map(|slant| slant.of.name.as_str()).collect();
    Error::new(Code::ReplyKeyMissing, format!("the reply holds no gradient: {} can be checked", wanted.join(", ")))
        .tip("where a point has a dout, the reply has \"gradients\" with a key for each")
}

/// Takes off the last reply, to the first point asked once more; derivatives of what is not a function mean nothing.
fn refuse_unsteady(replies: &mut Vec<Reply>) -> Result<(), Error> {
    let again = replies.pop();
    let same = |a: &Tensors<f64>, b: &Tensors<f64>| {
        a.iter().all(|(name, a)| {
            let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
            b.get(name).is_some_and(|b| a.shape() == b.shape() && a.iter().zip(b).all(same))
        })
    };
    match (replies.first(), again) {
        (Some(first), Some(again))
            if !same(&first.outputs, &again.outputs) || !same(&first.gradients, &again.gradients) =>
        {
            Err(Error::new(Code::ReplyUnsteady, "the same input, asked twice, is answered in two ways")
                .tip("leave out what is random or counts calls, such as dropout; seed it if it belongs there"))
        }
        _ => Ok(()),
    }
}

/// The point itself, and points that differ from it by rounding: what changes there is no mistake.
fn points(case: &Case, plan: &Plan<'_>, precision: Precision, seeded: &mut SplitMix64) -> Vec<Point> {
    let unit = 4.0 * rounding(precision);
    let mut shaken = |value: f64| {
        // A whole number may be a class index.
        if value.fract() == 0.0 || !value.is_finite() {
            value
        } else {
            rounded(value * (1.0 + seeded.sign() * unit), precision)
        }
    };
    let shakes = if plan.exact && case.reference.is_none() { 0 } else { Plan::SHAKES };
    let mut points = vec![Point { at: case.at.clone(), dout: Some(case.dout.clone()) }];
    points.extend(
        (0..shakes).map(|_| Point { at: case.at.map(|&v| shaken(v)), dout: Some(case.dout.mapv(&mut shaken)) }),
    );
    if !plan.exact {
        points.push(Point { at: case.at.clone(), dout: Some(case.dout.clone()) });
    }
    points
}

struct Asked<'a> {
    subject: &'a mut dyn Subject,
    case: &'a Case,
    plan: &'a Plan<'a>,
    replies: &'a [Reply],
    seeded: SplitMix64,
    sampled: bool,
}

impl Asked<'_> {
    /// How far rounding moves each entry of a result.
    fn floor(&self, name: &Name, result: &ArrayD<f64>) -> Vec<f64> {
        let own = 16.0 * rounding(self.subject.precision()) * self.case.magnitude;
        let mut floor = vec![own; result.len()];
        for reply in &self.replies[1..] {
            let Some(other) = reply.gradients.get(name).or_else(|| reply.outputs.get(name)) else { continue };
            for (floor, (a, b)) in floor.iter_mut().zip(result.iter().zip(other)) {
                let off = 4.0 * (a - b).abs();
                *floor = if off.is_finite() { floor.max(off + own) } else { *floor };
            }
        }
        floor
    }

    /// The forward results against nnlayer's.
    fn forward(&self) -> Vec<Finding> {
        let Some(reference) = &self.case.reference else { return Vec::new() };
        let ours = layer::compute(reference.layer.as_ref(), &self.case.at, None, Precision::F64).results;
        let pairs = ours.iter().filter_map(|(name, ours)| Some((name, ours, self.replies[0].outputs.get(name)?)));
        pairs.map(|(name, ours, theirs)| self.against_reference(name, theirs, ours)).collect()
    }

    fn against_reference(&self, name: &Name, theirs: &ArrayD<f64>, ours: &ArrayD<f64>) -> Finding {
        let is_gradient = self.case.slants.iter().any(|slant| slant.of.name == *name);
        let mut finding = Finding::new(name, is_gradient, Against::Reference, theirs.shape());
        if theirs.shape() != ours.shape() {
            return misshapen(finding, theirs, ours.shape());
        }
        let relative = tolerance(self.subject.precision());
        let largest = ours.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
        let floor = self.floor(name, theirs);
        for (n, (&theirs, &ours)) in theirs.iter().zip(ours).enumerate() {
            let rough = floor[n] + 16.0 * rounding(self.subject.precision()) * largest;
            let worst = Worst {
                index: Some(unflat(n, &finding.shape)),
                analytic: theirs,
                numeric: ours,
                error_bar: rough,
                allowed: relative * ours.abs() + rough,
                step: 0.0,
            };
            finding.checked += 1;
            if !(theirs.is_nan() && ours.is_nan()) {
                finding.take(worst);
            }
        }
        finding
    }

    /// A gradient against differences, and against nnlayer's where it is somebody else's.
    fn gradient(&mut self, slant: &Slant) -> Result<Vec<Finding>, Error> {
        let name = &slant.of.name;
        let Some(theirs) = self.replies[0].gradients.get(name) else { return Ok(Vec::new()) };
        let ours = self.case.reference.as_ref().and_then(|reference| {
            let outcome =
                layer::compute(reference.layer.as_ref(), &self.case.at, Some(&self.case.dout), Precision::F64);
            outcome.gradients.get(name).cloned()
        });
        let wanted = ours.as_ref().map(|ours| ours.shape().to_vec());
        let wanted = wanted.or_else(|| slant.widened.as_ref().map(|value| value.shape().to_vec()));
        let wanted = wanted.or_else(|| self.case.at.get(&slant.of.operand).map(|value| value.shape().to_vec()));
        let wanted = wanted.unwrap_or_default();
        let mut findings = if theirs.shape() == wanted {
            self.both(slant, theirs, ours.as_ref())?
        } else {
            vec![misshapen(Finding::new(name, true, Against::Reference, theirs.shape()), theirs, &wanted)]
        };
        if findings.iter().any(|finding| finding.verdict == Verdict::Fail) {
            let diagnoses = self.diagnose(slant, theirs, ours.as_ref());
            if let Some(failed) = findings.iter_mut().find(|finding| finding.verdict == Verdict::Fail) {
                failed.diagnoses = diagnoses;
            }
        }
        Ok(findings)
    }

    fn both(&mut self, slant: &Slant, theirs: &ArrayD<f64>, ours: Option<&ArrayD<f64>>) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        if self.plan.exact || self.replies[0].outputs.get(&self.case.output).is_some() {
            findings.push(self.by_differences(slant, theirs)?);
        }
        if let (false, Some(ours)) = (self.plan.exact, ours) {
            let mut finding = self.against_reference(&slant.of.name, theirs, ours);
            if findings.is_empty() {
                finding.notes.push(format!("no {} in the reply: no differences to take", self.case.output));
            }
            // What equals nnlayer's is right, also where differences are too rough to say so.
            if let (Verdict::Pass, Some(Verdict::Inconclusive)) = (finding.verdict, findings.first().map(|f| f.verdict))
            {
                finding.notes.extend(findings.drain(..).flat_map(|rough| rough.notes));
            }
            findings.push(finding);
        }
        Ok(findings)
    }

    fn diagnose(&self, slant: &Slant, wrong: &ArrayD<f64>, right: Option<&ArrayD<f64>>) -> Vec<Diagnosis> {
        let Some(right) = right else { return Vec::new() };
        diagnosis::diagnose(&Context {
            name: &slant.of.name,
            right,
            wrong,
            case: self.case,
            relative: if self.subject.precision() == Precision::F32 { 1e-3 } else { 1e-8 },
        })
    }

    fn by_differences(&mut self, slant: &Slant, theirs: &ArrayD<f64>) -> Result<Finding, Error> {
        let mut finding = Finding::new(&slant.of.name, true, Against::Differences, theirs.shape());
        let operand = slant.widened.as_ref().or_else(|| self.case.at.get(&slant.of.operand));
        let operand = match &slant.via {
            Some(via) => via.at.get(&Name::X).map(|x| x.map(|v| v.to_f64())),
            None => operand.cloned(),
        };
        let Some(operand) = operand else { return Ok(finding) };
        if let Some(via) = &slant.via {
            finding.notes.push(via.words.to_owned());
            finding.notes.extend(via.left_out.iter().map(|(_, why)| format!("left out: {why}")));
        }
        let open = open_entries(slant, &operand, theirs, &mut finding);
        let (entries, directions) = self.directions(&open, &operand);
        finding.checked += entries.len();
        finding.directions = directions.len();
        let floor = self.floor(&slant.of.name, theirs);
        let all: Vec<Direction> = entries.iter().chain(&directions).cloned().collect();
        let precision = self.subject.precision();
        let around = Direction {
            entries: open.iter().map(|&n| (n, self.seeded.sign() * size(operand_at(&operand, n)))).collect(),
            size: 1.0,
        };
        let mut exact;
        let mut outside;
        let widened = widened(self.case, slant);
        let (function, relative): (&mut dyn Function, f64) = if let Some(via) = &slant.via {
            exact = Exactly { layer: via.layer.as_ref(), at: via.at.clone(), output: Name::LOSS, tick: self.plan.tick };
            (&mut exact, tolerance(precision))
        } else if let (true, Some(reference)) = (self.plan.exact, &self.case.reference) {
            let at = widened.map(|&v| DoubleDouble::from_f64(v));
            exact =
                Exactly { layer: reference.layer.as_ref(), at, output: self.case.output.clone(), tick: self.plan.tick };
            (&mut exact, tolerance(precision))
        } else {
            outside =
                Outside { subject: self.subject, at: &widened, output: self.case.output.clone(), tick: self.plan.tick };
            (&mut outside, tolerance(precision))
        };
        let reach = if self.plan.exact || slant.via.is_some() { 1e-14 } else { relative / 10.0 };
        let operand_name = moved_operand(slant);
        let mut slope = Slope::new(function, &operand_name, &self.case.dout, &around)?;
        if !slope.is_finite() {
            finding.verdict = Verdict::Inconclusive;
            finding.notes.push(format!("{} is not finite here: it has no derivative", self.case.output));
            return Ok(finding);
        }
        let estimates = slope.along(&all, reach)?;
        let judged = Judged { theirs, floor: &floor, slant, relative };
        judged.all(&mut finding, &mut slope, &all, &estimates)?;
        judged.undecided(&mut finding, &estimates, &self.case.dout);
        if finding.verdict == Verdict::Pass {
            finding.unnoticed = unnoticed(&judged, &all, &estimates);
        }
        Ok(finding)
    }

    /// Every open entry, or a sample of them and random directions.
    fn directions(&mut self, open: &[usize], operand: &ArrayD<f64>) -> (Vec<Direction>, Vec<Direction>) {
        let one = |n: usize| Direction { entries: vec![(n, 1.0)], size: size(operand_at(operand, n)) };
        if open.len() <= self.plan.entries {
            return (open.iter().map(|&n| one(n)).collect(), Vec::new());
        }
        self.sampled = true;
        let mut sample: Vec<usize> = (0..self.plan.entries).map(|_| open[self.seeded.index(open.len())]).collect();
        sample.sort_unstable();
        sample.dedup();
        let directions = (0..self.plan.directions).map(|_| Direction {
            entries: open.iter().map(|&n| (n, self.seeded.sign() * size(operand_at(operand, n)).min(1.0))).collect(),
            size: 1.0,
        });
        let directions = directions.collect();
        (sample.into_iter().map(one).collect(), directions)
    }
}

fn moved_operand(slant: &Slant) -> Name {
    if slant.via.is_some() { Name::X } else { slant.of.operand.clone() }
}

pub(super) fn operand_at(operand: &ArrayD<f64>, flat: usize) -> f64 {
    operand.as_slice().and_then(|values| values.get(flat)).copied().unwrap_or(0.0)
}

/// The size that steps are relative to.
fn size(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() { 1.0 } else { value.abs() }
}

fn widened(case: &Case, slant: &Slant) -> Tensors<f64> {
    let mut at = case.at.clone();
    if let Some(value) = &slant.widened {
        at.insert(slant.of.operand.clone(), value.clone());
    }
    at
}

/// Entries that can be moved. Masked ones have gradient 0 by definition; what has no derivative is left out and said.
fn open_entries(slant: &Slant, operand: &ArrayD<f64>, theirs: &ArrayD<f64>, finding: &mut Finding) -> Vec<usize> {
    let columns = operand.shape().last().copied().unwrap_or(1).max(1);
    let skipped = slant.via.as_ref().map_or(&[][..], |via| via.left_out.as_slice());
    let (mut open, mut masked, mut not_numbers) = (Vec::new(), 0, 0);
    for (n, (&value, &gradient)) in operand.iter().zip(theirs).enumerate() {
        if skipped.iter().any(|(row, _)| *row == n / columns) {
            continue;
        }
        if value.is_nan() {
            not_numbers += 1;
        } else if value.is_infinite() {
            masked += 1;
            let index = Some(unflat(n, theirs.shape()));
            finding.take(Worst { index, analytic: gradient, numeric: 0.0, error_bar: 0.0, allowed: 0.0, step: 0.0 });
        } else {
            open.push(n);
        }
    }
    finding.checked = masked;
    if masked > 0 {
        finding.notes.push(format!("{masked} masked (infinite) entries must have gradient 0"));
    }
    if not_numbers > 0 {
        finding.notes.push(format!("left out: {not_numbers} entries that are NaN"));
    }
    open
}

impl Finding {
    /// Judges one entry, and keeps it where it is the worst so far.
    pub(super) fn take(&mut self, entry: Worst) {
        let excess = entry.excess();
        if excess > 1.0 {
            self.wrong += 1;
            self.verdict = Verdict::Fail;
        }
        if self.worst.as_ref().is_none_or(|worst| excess > worst.excess()) {
            self.worst = Some(entry);
        }
    }
}

fn misshapen(mut finding: Finding, theirs: &ArrayD<f64>, wanted: &[usize]) -> Finding {
    finding.verdict = Verdict::Fail;
    finding.wrong = theirs.len();
    finding.notes.push(format!("its shape is {}, and {} is right", format_shape(theirs.shape()), format_shape(wanted)));
    finding
}
