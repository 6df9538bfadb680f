//! Options of a check, and how many entries fit its time budget.

use super::case::{Case, GradientTarget};

/// Options of a check.
#[derive(Clone, Copy)]
pub struct CheckOptions<'a> {
    /// Seed of perturbations, sampled entries and random directions.
    pub seed: u64,
    /// True to differentiate the reference's forward pass in double-double, false for the implementation's own.
    pub differentiates_reference: bool,
    /// Number of entries per gradient up to which each is checked; of more, a sample is.
    pub max_entries: usize,
    /// Number of random directions to check if entries are sampled.
    pub directions: usize,
    /// Called after each forward pass.
    pub on_forward: &'a dyn Fn(),
}

impl CheckOptions<'_> {
    /// Number of points that differ from the checked one by rounding errors only.
    pub(super) const PERTURBATIONS: usize = 4;
    /// Number of multiplications that take a few seconds in double-double.
    const MULTIPLICATION_BUDGET: usize = 200_000_000;

    /// Returns options under which the check takes a few seconds at most.
    pub fn new(case: &Case, seed: u64, differentiates_reference: bool) -> CheckOptions<'static> {
        let per_entry = CheckOptions::forward_cost(case).saturating_mul(8 * case.targets.len().max(1));
        let max_entries = (CheckOptions::MULTIPLICATION_BUDGET / per_entry.max(1)).clamp(4, 5000);
        let directions = max_entries.clamp(2, 6);
        CheckOptions { seed, differentiates_reference, max_entries, directions, on_forward: &|| {} }
    }

    /// Returns about how many multiplications a forward pass takes: each input times each output of its row, or one
    /// exponential per entry.
    fn forward_cost(case: &Case) -> usize {
        let sizes = || case.operands.iter().map(|(_, value)| value.len());
        let outputs = case.dout.shape().last().copied().unwrap_or(1);
        let matrices = case.operands.iter().filter(|(_, value)| value.ndim() == 2).count();
        if case.targets.len() > 1 && matrices > 1 {
            sizes().max().unwrap_or(0).saturating_mul(outputs.max(20))
        } else {
            sizes().sum::<usize>().saturating_mul(20)
        }
    }

    /// Returns about how many forward passes the check takes.
    pub fn count_forward_passes(&self, case: &Case) -> usize {
        let directions = |target: &GradientTarget| {
            let entries = case.operands.get(&target.operand).map_or(1, ndarray::ArrayBase::len);
            if entries > self.max_entries { self.max_entries + self.directions } else { entries }
        };
        case.targets.iter().map(|target| 7 + 8 * directions(target)).sum()
    }
}
