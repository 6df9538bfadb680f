//! How a check is done: what is looked at, and how long that may take.

use super::case::{Case, Slant};

/// How a check is done.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Of shaken inputs, sampled entries and random directions.
    pub seed: u64,
    /// Differences are taken of nnlayer's forward pass in double-double, not of the subject's own.
    pub exact: bool,
    /// At most so many entries are looked at one by one; of more, a sample is.
    pub entries: usize,
    /// So many random directions are looked at where entries are sampled.
    pub directions: usize,
    /// Called after each forward pass.
    pub tick: &'a dyn Fn(),
}

impl Plan<'_> {
    /// So many times are the inputs shaken by their rounding.
    pub(super) const SHAKES: usize = 4;
    /// So many multiplications in double-double take a few seconds.
    const BUDGET: usize = 200_000_000;

    /// Every entry as long as that takes a few seconds at most.
    pub fn new(case: &Case, seed: u64, exact: bool) -> Plan<'static> {
        let each = Plan::cost(case).saturating_mul(8 * case.slants.len().max(1));
        let entries = (Plan::BUDGET / each.max(1)).clamp(4, 5000);
        Plan { seed, exact, entries, directions: entries.clamp(2, 6), tick: &|| {} }
    }

    /// About how many multiplications a forward pass is: each input by each output of its row, or an exponential each.
    fn cost(case: &Case) -> usize {
        let sizes = || case.at.iter().map(|(_, value)| value.len());
        let outputs = case.dout.shape().last().copied().unwrap_or(1);
        let matrices = case.slants.len() > 1 && case.at.iter().filter(|(_, value)| value.ndim() == 2).count() > 1;
        let largest = sizes().max().unwrap_or(0);
        if matrices { largest.saturating_mul(outputs.max(20)) } else { sizes().sum::<usize>().saturating_mul(20) }
    }

    /// About how many forward passes it will take.
    pub fn passes(&self, case: &Case) -> usize {
        let of = |slant: &Slant| {
            let entries = case.at.get(&slant.of.operand).map_or(1, ndarray::ArrayBase::len);
            if entries > self.entries { self.entries + self.directions } else { entries }
        };
        case.slants.iter().map(|slant| 7 + 8 * of(slant)).sum()
    }
}
