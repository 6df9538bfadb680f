//! Options of a check, and how many entries fit its time budget.

use super::case::{Case, GradientTarget};
use super::compare::Tolerance;
use super::inputs::NamedShape;
use crate::numeric::FloatType;

/// Number of random directions of a gradient: one with the signs of the gradient, and one with random signs.
pub(super) const DIRECTIONS: usize = 2;
/// Number of entries that are checked one by one beside them.
pub(super) const SAMPLED_ENTRIES: usize = 1;
/// Number of forward passes of a derivative.
pub(super) const PASSES_PER_DERIVATIVE: usize = 4;

/// Options of a check.
#[derive(Clone, Copy)]
pub struct CheckOptions<'a> {
    /// Seed of sampled entries, random directions and further points.
    pub seed: u64,
    /// True to differentiate the reference's forward pass in double-double, false for the implementation's own.
    pub differentiates_reference: bool,
    /// The type that the implementation computes in; `None` to find it from the results.
    pub float_type: Option<FloatType>,
    /// The type that sums are accumulated in; that of the implementation if `None`.
    pub accumulator: Option<FloatType>,
    /// The largest accepted difference of a gradient between calls at the same point.
    pub nondeterminism: f64,
    /// The tolerance in place of the bound of rounding errors.
    pub tolerance: Option<Tolerance>,
    /// Shapes of a further point with large values, where all operands were drawn; a custom layer keeps its own shapes.
    pub stress_shapes: Option<&'a [NamedShape]>,
    /// Number of entries per gradient up to which each is checked; of more, a sample and random directions are.
    pub max_entries: usize,
    /// Called after each forward pass.
    pub on_forward: &'a dyn Fn(),
}

impl CheckOptions<'_> {
    /// Number of multiplications that take a few seconds in double-double.
    const MULTIPLICATION_BUDGET: usize = 200_000_000;
    const MAX_ENTRIES: usize = 5000;

    /// Returns options to check nnlayer's own layer or records of it, so that the check takes a few seconds at most.
    pub fn own(case: &Case, seed: u64, float_type: FloatType) -> CheckOptions<'static> {
        let max_entries = CheckOptions::affordable_entries(case).min(CheckOptions::MAX_ENTRIES);
        let options = CheckOptions::program(case, seed, Some(float_type));
        CheckOptions { differentiates_reference: true, max_entries, ..options }
    }

    /// Returns options to check a program.
    pub fn program(case: &Case, seed: u64, float_type: Option<FloatType>) -> CheckOptions<'static> {
        CheckOptions {
            seed,
            differentiates_reference: false,
            float_type,
            accumulator: None,
            nondeterminism: 0.0,
            tolerance: None,
            stress_shapes: None,
            max_entries: CheckOptions::affordable_entries(case).clamp(4, CheckOptions::MAX_ENTRIES),
            on_forward: &|| {},
        }
    }

    /// Returns the number of entries per gradient that can be checked one by one.
    fn affordable_entries(case: &Case) -> usize {
        let per_entry = CheckOptions::forward_cost(case).saturating_mul(8 * case.targets.len().max(1));
        CheckOptions::MULTIPLICATION_BUDGET / per_entry.max(1)
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
        let passes = |target: &GradientTarget| {
            let entries = case.operands.get(&target.operand).map_or(1, ndarray::ArrayBase::len);
            if entries > self.max_entries {
                PASSES_PER_DERIVATIVE * (SAMPLED_ENTRIES + DIRECTIONS)
            } else {
                7 + 8 * entries
            }
        };
        case.targets.iter().map(passes).sum()
    }
}
