//! Whether an analytic entry and a numerical derivative agree, and what would have agreed as well.

use super::case::Slant;
use super::numeric::{Direction, Estimate, Slope};
use super::question::operand_at;
use super::unflat;
use super::verdict::{Finding, Verdict, Worst};
use crate::core::error::Error;
use crate::numeric::Scalar;
use ndarray::{ArrayD, Axis};

/// Analytic entries with what each may be off by.
pub(super) struct Judged<'a> {
    pub(super) theirs: &'a ArrayD<f64>,
    pub(super) floor: &'a [f64],
    pub(super) slant: &'a Slant,
    pub(super) relative: f64,
}

impl Judged<'_> {
    /// Σ weight·gradient, Σ |weight·gradient| and Σ |weight|·floor along a direction.
    fn along(&self, gradient: &ArrayD<f64>, direction: &Direction) -> (f64, f64, f64) {
        let columns = self.theirs.shape().last().copied().unwrap_or(1).max(1);
        let slack = |n: usize, g: f64| {
            let row = self.slant.via.as_ref().and_then(|via| via.slack.get(n / columns));
            row.map_or(0.0, |slack| slack * (g.abs() + 1.0))
        };
        let terms = direction.entries.iter().map(|&(n, weight)| (n, weight, operand_at(gradient, n)));
        let value = f64::sum(terms.clone().map(|(_, weight, g)| weight * g));
        let magnitude = terms.clone().map(|(_, weight, g)| (weight * g).abs()).sum();
        let floor = terms.map(|(n, weight, g)| weight.abs() * (self.floor[n] + slack(n, g))).sum();
        (value, magnitude, floor)
    }

    fn entry(&self, gradient: &ArrayD<f64>, direction: &Direction, estimate: &Estimate) -> Worst {
        let (analytic, magnitude, floor) = self.along(gradient, direction);
        let single = direction.entries.len() == 1 && direction.entries[0].1 == 1.0;
        let error_bar = estimate.error_bar + floor;
        Worst {
            index: single.then(|| unflat(direction.entries[0].0, self.theirs.shape())),
            analytic,
            numeric: estimate.value,
            error_bar,
            allowed: self.relative * magnitude + error_bar,
            step: estimate.step,
        }
    }

    pub(super) fn all(
        &self,
        finding: &mut Finding,
        slope: &mut Slope<'_>,
        all: &[Direction],
        estimates: &[Estimate],
    ) -> Result<(), Error> {
        let mut kinks = Vec::new();
        for (direction, estimate) in all.iter().zip(estimates) {
            let entry = self.entry(self.theirs, direction, estimate);
            if let (true, Some(index)) = (entry.excess() > 1.0 && kinks.len() < 1000, &entry.index) {
                let [left, right] = slope.one_sided(direction)?;
                let bar = left.error_bar + right.error_bar;
                let (low, high) = (left.value.min(right.value), left.value.max(right.value));
                if high - low > 2.0 * bar && entry.analytic >= low - bar && entry.analytic <= high + bar {
                    kinks.push(crate::core::error::format_index(index));
                    continue;
                }
            }
            finding.take(entry);
        }
        if !kinks.is_empty() {
            let shown = kinks.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let more = if kinks.len() > 5 { format!(" and {} more", kinks.len() - 5) } else { String::new() };
            finding.notes.push(format!("a kink at {shown}{more}: any slope between its two sides is right"));
        }
        Ok(())
    }

    /// A pass means nothing where the error bar is too large.
    pub(super) fn undecided(&self, finding: &mut Finding, estimates: &[Estimate], dout: &ArrayD<f64>) {
        let largest = |values: &mut dyn Iterator<Item = f64>| values.filter(|v| v.is_finite()).fold(0.0, f64::max);
        let upstream = largest(&mut dout.iter().map(|v| v.abs()));
        let mut scale = largest(&mut self.theirs.iter().map(|v| v.abs()));
        if scale <= 1e-12 * upstream {
            scale = upstream;
        }
        let bar = estimates.iter().map(|e| e.error_bar).fold(0.0, f64::max);
        // A wrong result is sure only where it is outside what a doubtful derivative may be.
        if finding.verdict == Verdict::Pass && bar > self.relative * scale {
            finding.verdict = Verdict::Inconclusive;
            finding.notes.push(format!(
                "the differences are good to {bar:.1e} only, more than {:.0e} of the largest entry {scale:.2e}: the forward pass is too rough here",
                self.relative
            ));
        }
    }
}

/// Mistakes that these differences would have let pass.
pub(super) fn unnoticed(judged: &Judged<'_>, all: &[Direction], estimates: &[Estimate]) -> Vec<&'static str> {
    let right = judged.theirs;
    let mut mistakes = vec![("an all-zero gradient", right.mapv(|_| 0.0)), ("a scale error of 1 %", right * 1.01)];
    if let [rows, columns] = *right.shape() {
        if rows == columns && rows > 1 {
            let mut transposed = right.clone();
            transposed.swap_axes(0, 1);
            mistakes.push(("a transposed gradient", transposed.as_standard_layout().into_owned()));
        }
        if rows > 1 {
            let swapped: Vec<usize> = (0..rows).rev().collect();
            mistakes.push(("a gradient whose rows are swapped", right.select(Axis(0), &swapped)));
        }
    }
    let passes = |wrong: &ArrayD<f64>| {
        all.iter().zip(estimates).all(|(direction, estimate)| judged.entry(wrong, direction, estimate).excess() <= 1.0)
    };
    mistakes.into_iter().filter(|(_, wrong)| passes(wrong)).map(|(name, _)| name).collect()
}
