//! A trace in the shape that textbooks draw: where several numbers are divided by one, its reciprocal is taken once and
//! multiplied with each; the minus of a sum's terms is taken after the sum; a factor 1 is left out.

use super::record::Traceable;
use crate::numeric::traced::{Entry, Op, Operand};
use crate::numeric::{DoubleDouble, Scalar};
use std::collections::BTreeMap;

/// The same computation, redrawn.
pub(super) fn redrawn(trace: Traceable) -> Traceable {
    let mut drawing = Drawing { log: Vec::new(), reciprocals: BTreeMap::new(), uses: uses(&trace) };
    let divided = divided(&trace.log);
    let mut now: Vec<usize> = Vec::with_capacity(trace.log.len());
    for entry in &trace.log {
        let reads: Vec<Operand> =
            entry.reads.iter().map(|&(value, from)| (value, from.map(|from| now[from]))).collect();
        let at = drawing.redraw(entry, reads, &divided);
        now.push(at);
    }
    let Traceable { leaves, results, outputs, .. } = trace;
    Traceable {
        leaves: leaves.into_iter().map(|(entry, leaf)| (now[entry], leaf)).collect(),
        results: results.into_iter().map(|(entry, result)| (now[entry], result)).collect(),
        outputs: outputs.into_iter().map(|(entry, name, value, dout)| (now[entry], name, value, dout)).collect(),
        log: drawing.log,
    }
}

/// How often each entry is read or named.
fn uses(trace: &Traceable) -> Vec<usize> {
    let mut uses = vec![0; trace.log.len()];
    let read = trace.log.iter().flat_map(|entry| entry.reads.iter().filter_map(|(_, from)| *from));
    let named = trace.results.keys().copied().chain(trace.outputs.iter().map(|(entry, ..)| *entry));
    read.chain(named).for_each(|entry| uses[entry] += 1);
    uses
}

/// How many numbers are divided by each entry.
fn divided(log: &[Entry]) -> BTreeMap<usize, usize> {
    let mut divided = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.op == Op::Divide) {
        if let [(_, Some(_)), (_, Some(by))] = entry.reads[..] {
            *divided.entry(by).or_insert(0) += 1;
        }
    }
    divided
}

struct Drawing {
    log: Vec<Entry>,
    /// Where the reciprocal of an entry stands.
    reciprocals: BTreeMap<usize, usize>,
    /// How often each entry of the trace is read or named.
    uses: Vec<usize>,
}

impl Drawing {
    fn push(&mut self, op: Op, reads: Vec<Operand>, value: DoubleDouble) -> usize {
        self.log.push(Entry { op, reads, value, named: None });
        self.log.len() - 1
    }

    fn redraw(&mut self, entry: &Entry, reads: Vec<Operand>, divided: &BTreeMap<usize, usize>) -> usize {
        match (entry.op, &reads[..], &entry.reads[..]) {
            (Op::Multiply, &[(factor, None), (_, Some(other))] | &[(_, Some(other)), (factor, None)], _)
                if factor == DoubleDouble::one() =>
            {
                other
            }
            (Op::Divide, &[over, (divisor, Some(by))], &[(_, Some(_)), (_, Some(known))])
                if divided.get(&known).is_some_and(|&count| count > 1) =>
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
                self.push(Op::Multiply, vec![over, (value, Some(reciprocal))], entry.value)
            }
            (Op::Sum, _, _) => {
                let alone = entry.reads.iter().all(|(_, from)| from.is_some_and(|from| self.uses[from] == 1));
                let terms: Option<Vec<(Op, Vec<Operand>)>> =
                    reads.iter().map(|read| self.without_minus(read)).collect();
                match terms.filter(|_| alone) {
                    Some(terms) => self.minus_sum(terms, &reads, entry.value),
                    None => self.push(Op::Sum, reads, entry.value),
                }
            }
            _ => self.push(entry.op, reads, entry.value),
        }
    }

    /// The term −z as z, and c·(−z) as c·z; nothing of any other.
    fn without_minus(&self, (_, from): &Operand) -> Option<(Op, Vec<Operand>)> {
        let minus = |read: &Operand| {
            let made = &self.log[read.1?];
            (made.op == Op::Negate).then(|| made.reads[0])
        };
        let term = &self.log[(*from)?];
        match (term.op, &term.reads[..]) {
            (Op::Negate, &[z]) => Some((Op::Negate, vec![z])),
            (Op::Multiply, &[c, ref z]) => minus(z).map(|z| (Op::Multiply, vec![z, c])),
            _ => None,
        }
    }

    /// −Σ of the terms.
    fn minus_sum(&mut self, terms: Vec<(Op, Vec<Operand>)>, were: &[Operand], sum: DoubleDouble) -> usize {
        let reads: Vec<Operand> = terms
            .into_iter()
            .zip(were)
            .map(|((op, reads), (value, _))| match op {
                Op::Multiply => {
                    let value = opposite(*value);
                    (value, Some(self.push(op, reads, value)))
                }
                _ => reads[0],
            })
            .collect();
        let below = opposite(sum);
        let all = self.push(Op::Sum, reads, below);
        self.push(Op::Negate, vec![(below, Some(all))], sum)
    }
}

/// −x, and of 0 is 0.
fn opposite(value: DoubleDouble) -> DoubleDouble {
    if value.to_f64() == 0.0 { DoubleDouble::zero() } else { -value }
}
