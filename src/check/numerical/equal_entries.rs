//! Entries that equal others: a maximum or a sort chooses among them, and all of them together have the derivative.

use super::Numerical;
use crate::check::arrays::{flat_entry, unravel_index};
use crate::check::finding::{Baseline, EntryCheck, Finding, Verdict};
use crate::check::function::Direction;
use crate::check::sampling::step_scale;
use crate::check::scan::Scan;
use crate::core::error::{Error, format_index};
use ndarray::ArrayD;

/// Remark on entries at kinks that are wrong together.
const TOGETHER: &str = "at the kinks each entry may be right, but together they are not the derivative when all of these entries change alike";
/// Part of the remark on equal entries of which some are wrong and all together are not.
const MAY_BE_RIGHT_TOGETHER: &str = "may be right together, though not each is between its one-sided derivatives";

impl Numerical<'_> {
    /// Compares the sum of the gradients of equal entries with the derivative when all of them change alike, if L has one. Each of the
    /// equal entries of a maximum may have the whole slope, but not all of them. Where the sum is right, an entry may also have a value
    /// that is not between its one-sided derivatives, as the middle one of three equal entries of a sort. `kinks` are the entries that
    /// are between them, and `refused` those that are not, which are not yet recorded.
    pub(super) fn decide_together(
        &self,
        finding: &mut Finding,
        scan: &mut Scan<'_>,
        operand: &ArrayD<f64>,
        kinks: &[usize],
        refused: &[(usize, EntryCheck)],
    ) -> Result<(), Error> {
        let of_kinks = kinks.iter().copied().chain(refused.iter().map(|(n, _)| *n));
        let mut values: Vec<f64> = of_kinks.map(|n| flat_entry(operand, n)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        for value in values {
            let is_equal = |n: &usize| flat_entry(operand, *n) == value;
            let entries: Vec<usize> = (0..operand.len()).filter(is_equal).collect();
            let refused: Vec<&(usize, EntryCheck)> = refused.iter().filter(|(n, _)| is_equal(n)).collect();
            match self.verdict_together(scan, operand, &entries)? {
                (Some(Verdict::Pass | Verdict::Inconclusive), _) => {
                    if let (Some((n, _)), Verdict::Pass) = (refused.first(), finding.verdict) {
                        finding.verdict = Verdict::Inconclusive;
                        let at = format_index(&unravel_index(*n, self.gradient.shape()));
                        finding.notes.push(format!("the entry at {at} and others equal to it {MAY_BE_RIGHT_TOGETHER}"));
                    }
                }
                (Some(Verdict::Fail), worst) if refused.is_empty() => {
                    let worst = worst.map(|worst| EntryCheck { index: None, ..worst });
                    (finding.verdict, finding.wrong) = (Verdict::Fail, finding.wrong + 1);
                    finding.worst = worst.filter(|_| finding.wrong == 1).or(finding.worst.take());
                    finding.notes.push(TOGETHER.to_owned());
                }
                _ => refused.into_iter().for_each(|(_, entry)| finding.record(entry.clone())),
            }
        }
        Ok(())
    }

    /// Returns the verdict on equal entries when all change alike, and the comparison: `None` if L has no derivative then.
    fn verdict_together(
        &self,
        scan: &mut Scan<'_>,
        operand: &ArrayD<f64>,
        entries: &[usize],
    ) -> Result<(Option<Verdict>, Option<EntryCheck>), Error> {
        let [first, _, ..] = entries else { return Ok((None, None)) };
        let size = step_scale(operand, *first);
        let all = Direction { entries: entries.iter().map(|&n| (n, 1.0)).collect(), size };
        let slopes = scan.estimate(std::slice::from_ref(&all))?;
        if slopes[0].has_kink() {
            return Ok((None, None));
        }
        let mut together = Finding::new(&self.target.name, true, Baseline::NumericalGradient, self.gradient.shape());
        self.decide(&mut together, &[all], &slopes);
        Ok((Some(together.verdict), together.worst))
    }

    /// Returns true if another entry of the operand has the value of this one.
    pub(super) fn has_equal(&self, entry: usize) -> bool {
        let operand = self.point.operands.get(&self.target.operand).filter(|operand| entry < operand.len());
        operand.is_some_and(|operand| {
            let value = flat_entry(operand, entry);
            operand.iter().filter(|v| **v == value).count() > 1
        })
    }
}
