//! Rewrites a trace as textbooks draw it: where several numbers are divided by one, its reciprocal is computed once and
//! multiplied with each; the terms of a sum are negated after the sum; a factor of 1 and a sum of one number are left out; a number
//! that is computed twice is computed once, and a product of a number with itself is its square.

use super::trace::Trace;
use crate::numeric::operations::{Entry, Op, Operand};
use crate::numeric::{DoubleDouble, Scalar};
use std::collections::BTreeMap;

/// Rewrites a trace; its outputs and named results stay.
pub(super) fn rewrite(trace: Trace) -> Trace {
    let use_counts = use_counts(&trace);
    let mut rewriter =
        Rewriter { log: Vec::new(), reciprocals: BTreeMap::new(), computed: BTreeMap::new(), use_counts };
    let quotient_counts = quotient_counts(&trace.log);
    // New entry of each old one.
    let mut moved: Vec<usize> = Vec::with_capacity(trace.log.len());
    for entry in &trace.log {
        let reads = entry.reads.iter().map(|&(value, from)| (value, from.map(|from| moved[from]))).collect();
        moved.push(rewriter.rewrite(entry, reads, &quotient_counts));
    }
    let Trace { leaves, results, outputs, .. } = trace;
    Trace {
        leaves: leaves.into_iter().map(|(entry, leaf)| (moved[entry], leaf)).collect(),
        results: results.into_iter().map(|(entry, result)| (moved[entry], result)).collect(),
        outputs: outputs.into_iter().map(|(entry, name, value, dout)| (moved[entry], name, value, dout)).collect(),
        log: rewriter.log,
    }
}

/// Returns how often each entry is read or named.
fn use_counts(trace: &Trace) -> Vec<usize> {
    let mut counts = vec![0; trace.log.len()];
    let read = trace.log.iter().flat_map(|entry| entry.reads.iter().filter_map(|(_, from)| *from));
    let named = trace.results.keys().copied().chain(trace.outputs.iter().map(|(entry, ..)| *entry));
    read.chain(named).for_each(|entry| counts[entry] += 1);
    counts
}

/// Returns how many numbers are divided by each divisor.
fn quotient_counts(log: &[Entry]) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.op == Op::Divide) {
        if let [(_, Some(_)), (_, Some(divisor))] = entry.reads[..] {
            *counts.entry(divisor).or_insert(0) += 1;
        }
    }
    counts
}

/// An operation, and its operands: the entry of each, or the bits of a constant.
type OperationKey = (String, Vec<(Option<usize>, u64)>);

struct Rewriter {
    log: Vec<Entry>,
    /// Entry of the reciprocal of an entry.
    reciprocals: BTreeMap<usize, usize>,
    /// Entry of each operation on operands that are not all constants.
    computed: BTreeMap<OperationKey, usize>,
    /// Number of uses of each entry of the original trace.
    use_counts: Vec<usize>,
}

impl Rewriter {
    /// Adds an operation, unless it was added before; returns its entry.
    fn push(&mut self, op: Op, reads: Vec<Operand>, value: DoubleDouble) -> usize {
        if op == Op::Leaf {
            return self.push_new(op, reads, value);
        }
        let operands =
            reads.iter().map(|(value, from)| (*from, if from.is_some() { 0 } else { value.to_f64().to_bits() }));
        let key = (format!("{op:?}"), operands.collect());
        if let Some(&entry) = self.computed.get(&key) {
            return entry;
        }
        let entry = self.push_new(op, reads, value);
        self.computed.insert(key, entry);
        entry
    }

    fn push_new(&mut self, op: Op, reads: Vec<Operand>, value: DoubleDouble) -> usize {
        self.log.push(Entry { op, reads, value, named: None });
        self.log.len() - 1
    }

    /// Adds an original entry, which now reads `reads`; returns the entry of its value.
    fn rewrite(&mut self, entry: &Entry, reads: Vec<Operand>, quotient_counts: &BTreeMap<usize, usize>) -> usize {
        match (entry.op, &reads[..], &entry.reads[..]) {
            (Op::Multiply, &[(factor, None), (_, Some(other))] | &[(_, Some(other)), (factor, None)], _)
                if factor == DoubleDouble::one() =>
            {
                other
            }
            (Op::Multiply, &[x @ (_, Some(a)), (_, Some(b))], _) if a == b => {
                self.push(Op::Square, vec![x], entry.value)
            }
            (Op::Sum, &[(_, Some(only))], _) => only,
            (Op::Divide, &[dividend, (divisor, Some(by))], &[(_, Some(_)), (_, Some(original))])
                if quotient_counts.get(&original).is_some_and(|&count| count > 1) =>
            {
                let reciprocal = match self.reciprocals.get(&by) {
                    Some(&reciprocal) => reciprocal,
                    None => {
                        let one = (DoubleDouble::one(), None);
                        self.push(Op::Divide, vec![one, (divisor, Some(by))], DoubleDouble::one() / divisor)
                    }
                };
                self.reciprocals.insert(by, reciprocal);
                let value = self.log[reciprocal].value;
                self.push(Op::Multiply, vec![dividend, (value, Some(reciprocal))], entry.value)
            }
            (Op::Sum, _, _) => {
                let used_once = |&(_, from): &Operand| from.is_some_and(|from| self.use_counts[from] == 1);
                let terms: Option<Vec<(Op, Vec<Operand>)>> =
                    reads.iter().map(|read| self.without_minus(read)).collect();
                match terms.filter(|_| entry.reads.iter().all(used_once)) {
                    Some(terms) => self.negated_sum(terms, &reads, entry.value),
                    None => self.push(Op::Sum, reads, entry.value),
                }
            }
            _ => self.push(entry.op, reads, entry.value),
        }
    }

    /// Returns z for a term −z and c·z for c·(−z), otherwise `None`.
    fn without_minus(&self, (_, from): &Operand) -> Option<(Op, Vec<Operand>)> {
        let negated = |read: &Operand| {
            let operand = &self.log[read.1?];
            (operand.op == Op::Negate).then(|| operand.reads[0])
        };
        let term = &self.log[(*from)?];
        match (term.op, &term.reads[..]) {
            (Op::Negate, &[z]) => Some((Op::Negate, vec![z])),
            (Op::Multiply, &[c, ref z]) => negated(z).map(|z| (Op::Multiply, vec![z, c])),
            _ => None,
        }
    }

    /// Adds −Σ of the terms, whose negative values `reads` has.
    fn negated_sum(&mut self, terms: Vec<(Op, Vec<Operand>)>, reads: &[Operand], sum: DoubleDouble) -> usize {
        let terms: Vec<Operand> = terms
            .into_iter()
            .zip(reads)
            .map(|((op, factors), (value, _))| match op {
                Op::Multiply => {
                    let value = negate(*value);
                    (value, Some(self.push(op, factors, value)))
                }
                _ => factors[0],
            })
            .collect();
        let value = negate(sum);
        let positive = self.push(Op::Sum, terms, value);
        self.push(Op::Negate, vec![(value, Some(positive))], sum)
    }
}

/// Returns −x, without a sign for 0.
fn negate(value: DoubleDouble) -> DoubleDouble {
    if value.to_f64() == 0.0 { DoubleDouble::zero() } else { -value }
}
