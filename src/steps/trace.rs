//! Runs a layer on the traced scalar and turns the log of operations into steps.

use super::expression::Writer;
use super::notation::{Expression, Notation};
use super::step::{Section, Step};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Layer, Outcome};
use crate::numeric::dynamic::{Dynamic, DynamicKind, Kind, with_kind};
use crate::numeric::operations::{Entry, Op};
use crate::numeric::traced::record_first;
use crate::numeric::{Scalar, Traced};
use ndarray::{ArrayD, Dimension};
use std::collections::{BTreeMap, HashSet};

/// Number of entries of a result that are written out.
pub const MAX_SHOWN_ENTRIES: usize = 32;
/// Largest number of operands and results, in entries, of a layer that is traced.
const MAX_TRACED_ENTRIES: usize = 150_000;
/// Number of operations that the log holds.
const MAX_OPERATIONS: usize = 1_500_000;

/// A run of a layer whose steps are wanted.
pub struct LayerRun<'a> {
    /// The layer.
    pub layer: &'a dyn AnyLayer,
    /// Its operands.
    pub operands: &'a Tensors<f64>,
    /// Its results and gradients.
    pub outcome: &'a Outcome,
    /// Its upstream gradient; `None` if there are no gradients.
    pub dout: Option<&'a ArrayD<f64>>,
    /// True if dout appears as a factor in the steps; false for a loss whose dout is the implied 1.
    pub shows_dout: bool,
    /// Names of the results that are shown; `None` for all.
    pub only: Option<&'a [String]>,
    /// The notation of the arithmetic.
    pub notation: Notation,
}

/// A name and an index.
type Label = (Name, Vec<usize>);

/// Returns the steps to every result and gradient of a layer, in the order of output.
pub fn trace(run: &LayerRun<'_>) -> Result<Vec<Section>, Error> {
    require_traceable_size(run)?;
    let (log, (operands, traced)) = record_first(MAX_SHOWN_ENTRIES, MAX_OPERATIONS, || run_traced(run));
    let labels = label_entries(&log, &operands, &traced.results);
    let writer = Writer { log: &log, is_named: &|entry| labels.contains_key(&entry), notation: run.notation };
    let new_step = |label, arithmetic, value| new_step(label, arithmetic, value, run.notation);
    let outcome = run.outcome.results.iter().chain(run.outcome.gradients.iter());
    let is_shown = |name: &Name| run.only.is_none_or(|only| only.iter().any(|known| known == name.as_str()));
    let (mut sections, mut seen) = (Vec::new(), HashSet::new());
    for (name, values) in outcome.filter(|(name, _)| is_shown(name)) {
        let Some(traced) = traced.results.get(name).or_else(|| traced.gradients.get(name)) else { continue };
        let entries: Vec<Option<usize>> = traced.iter().map(|number| number.entry()).collect();
        let mut intermediates = intermediates(&log, &labels, &entries).into_iter().peekable();
        let mut section = Section { name: name.clone(), shape: values.shape().to_vec(), steps: Vec::new(), shown: 0 };
        for (n, ((index, &value), entry)) in values.indexed_iter().zip(entries).enumerate() {
            let is_shown = n < MAX_SHOWN_ENTRIES;
            while let Some(Intermediate { entry, .. }) = intermediates.next_if(|inner| inner.before <= n) {
                let Some(label) = labels.get(&entry).filter(|label| seen.insert((*label).clone())) else { continue };
                let arithmetic = is_shown.then(|| writer.express(entry));
                let step = new_step(label.clone(), arithmetic, log[entry].value.to_f64());
                section.steps.push(Step { meaning: define(&log, &labels, entry), ..step });
            }
            let label = (name.clone(), index.slice().to_vec());
            let arithmetic = entry.filter(|_| is_shown).map(|entry| match labels.get(&entry) {
                Some(other) if *other != label => Expression::atom(run.notation.markup.label(&other.0, &other.1), true),
                _ => writer.express(entry),
            });
            section.steps.push(new_step(label, arithmetic, value));
            section.shown = if is_shown { section.steps.len() } else { section.shown };
        }
        sections.push(section);
    }
    Ok(sections)
}

fn new_step((name, index): Label, arithmetic: Option<Expression>, value: f64, notation: Notation) -> Step {
    let (written, is_exact) = notation.number(value);
    let exact = is_exact && arithmetic.as_ref().is_none_or(|expression| expression.exact);
    let arithmetic = arithmetic.map(|expression| expression.text);
    Step { name, meaning: None, index, arithmetic, value, written, grade: None, exact, is_folded: false }
}

/// Returns the traced operands, dout included, and the traced outcome.
fn run_traced(run: &LayerRun<'_>) -> (Tensors<Traced>, Outcome<Traced>) {
    let leaf = |value: f64| Dynamic::from(Traced::leaf(value));
    let mut operands = run.operands.map(|&value| leaf(value));
    let mut gradients = Tensors::new();
    let results = with_kind(Kind::Traced, || {
        let forward = Layer::<Dynamic>::forward(run.layer, &operands);
        if let Some(dout) = run.dout {
            let dout = dout.mapv(|value| if run.shows_dout { leaf(value) } else { Dynamic::from_f64(value) });
            gradients = Layer::<Dynamic>::backward(run.layer, &operands, &&forward, &dout).compute();
            operands.insert(Name::DOUT, dout);
        }
        forward.results
    });
    let [operands, results, gradients] =
        [operands, results, gradients].map(|tensors| tensors.map(|&value| Traced::from_dynamic(value)));
    (operands, Outcome { results, gradients })
}

fn require_traceable_size(run: &LayerRun<'_>) -> Result<(), Error> {
    let arrays = run.operands.iter().chain(run.outcome.results.iter());
    let count: usize = arrays.map(|(_, value)| value.len()).sum();
    if count <= MAX_TRACED_ENTRIES {
        return Ok(());
    }
    let message = format!("the steps of {count} numbers are too many; the maximum is {MAX_TRACED_ENTRIES}");
    Err(Error::new(Code::Usage, message)
        .with_operand(&Name::new("steps"))
        .tip("use a few rows of the input; the steps of every row have the same form"))
}

/// Returns the labels of the log's operands, results and named intermediate numbers.
fn label_entries(log: &[Entry], operands: &Tensors<Traced>, results: &Tensors<Traced>) -> BTreeMap<usize, Label> {
    let mut labels: BTreeMap<usize, Label> = BTreeMap::new();
    for (name, values) in operands.iter().chain(results.iter()) {
        for (index, value) in values.indexed_iter() {
            if let Some(entry) = value.entry() {
                labels.entry(entry).or_insert_with(|| (name.clone(), index.slice().to_vec()));
            }
        }
    }
    // Only products of rows of operands; a number that others are named on the way to is none.
    let mut stops = labels.clone();
    let named = || log.iter().enumerate().filter_map(|(entry, operation)| Some((entry, operation.named?.name)));
    stops.extend(named().map(|(entry, name)| (entry, (Name::fixed(name), Vec::new()))));
    let is_product = |(entry, _): &(usize, &str)| product_index(log, &stops, *entry).is_some();
    let products: HashSet<&str> = named().filter(is_product).map(|(_, name)| name).collect();
    // The order is that of the log, because an index follows from those of the operands.
    for (entry, operation) in log.iter().enumerate() {
        if let Some(called) = operation.named {
            let index = match products.contains(called.name) {
                true => joined_index(&indices_by_name(log, &labels, entry)),
                false => shared_index(log, &labels, entry),
            };
            labels.insert(entry, (Name::fixed(called.name), index));
        }
    }
    labels
}

/// Returns the index of a product of a row of one operand and a row of another, such as a score of `q[2]` and `k[0]`, unless both are
/// rows of the same number.
fn product_index(log: &[Entry], labels: &BTreeMap<usize, Label>, entry: usize) -> Option<Vec<usize>> {
    let indices = indices_by_name(log, labels, entry);
    match &indices[..] {
        [(a, first), (b, second), ..]
            if a == b && first.len() == second.len() && first.len() < *a && first != second =>
        {
            Some(joined_index(&indices))
        }
        _ => None,
    }
}

/// Returns the index of a row of the first operand, and the last number of that of the second.
fn joined_index(indices: &[(usize, Vec<usize>)]) -> Vec<usize> {
    let mut index = indices.first().map(|(_, index)| index.clone()).unwrap_or_default();
    index.extend(indices.get(1).and_then(|(_, second)| second.last()));
    index
}

/// Returns, for each labelled array that an entry is computed from, its rank and the part of the index that its entries share.
fn indices_by_name(log: &[Entry], labels: &BTreeMap<usize, Label>, entry: usize) -> Vec<(usize, Vec<usize>)> {
    let found = labelled_operands(log, labels, entry);
    let rank = found.iter().map(|(_, index)| index.len()).max().unwrap_or(0);
    let mut by_name: Vec<(&Name, Vec<&[usize]>)> = Vec::new();
    for (name, index) in found.iter().filter(|(_, index)| index.len() == rank) {
        match by_name.iter_mut().find(|(known, _)| *known == name) {
            Some((_, indices)) => indices.push(index),
            None => by_name.push((name, vec![index])),
        }
    }
    by_name.into_iter().map(|(_, indices)| (rank, shared_part(rank, &indices))).collect()
}

/// Returns the labels of the entries that an entry is computed from, each once, in the order in which it reads them.
fn labelled_operands<'a>(log: &[Entry], labels: &'a BTreeMap<usize, Label>, entry: usize) -> Vec<&'a Label> {
    let operands = |entry: usize| log[entry].reads.iter().rev().filter_map(|(_, from)| *from);
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut open: Vec<usize> = operands(entry).collect();
    while let Some(entry) = open.pop() {
        match labels.get(&entry) {
            Some(label) if seen.insert(entry) => found.push(label),
            Some(_) => {}
            None => open.extend(operands(entry)),
        }
    }
    found
}

/// Returns the numbers that all indices have in common, axis by axis.
fn shared_part(rank: usize, indices: &[&[usize]]) -> Vec<usize> {
    let shared = |axis: usize| {
        let first = indices.first()?.get(axis)?;
        indices.iter().all(|index| index.get(axis) == Some(first)).then_some(*first)
    };
    (0..rank).filter_map(shared).collect()
}

/// Returns the part of the index that all labelled operands of an entry share: `e[0,1]` is computed from `x[0,1]`, `sum[0]`
/// from a row of e.
fn shared_index(log: &[Entry], labels: &BTreeMap<usize, Label>, entry: usize) -> Vec<usize> {
    let found = labelled_operands(log, labels, entry);
    let indices: Vec<&[usize]> = found.iter().map(|(_, index)| &index[..]).collect();
    let rank = indices.iter().map(|index| index.len()).max().unwrap_or(0);
    let longest: Vec<&[usize]> = indices.into_iter().filter(|index| index.len() == rank).collect();
    shared_part(rank, &longest)
}

/// Returns the definition of a named entry, with the names of the numbers that it is computed from in place of those in braces.
fn define(log: &[Entry], labels: &BTreeMap<usize, Label>, entry: usize) -> Option<String> {
    let mut names: Vec<&Name> = Vec::new();
    for (name, _) in labelled_operands(log, labels, entry) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut names = names.into_iter().map(Name::as_str);
    let mut parts = log[entry].named?.meaning.split(['{', '}']);
    let mut definition = parts.next()?.to_owned();
    while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
        definition.push_str(names.next().unwrap_or(name));
        definition.push_str(text);
    }
    Some(definition)
}

/// A named number on the way to the entries of a result.
struct Intermediate {
    /// The number of the entry before which it is shown.
    before: usize,
    /// True if no other entry is computed from it.
    is_of_one: bool,
    /// Its place in the log.
    entry: usize,
}

/// Returns the named numbers on the way to the entries of a result, in the order in which they are shown: what several entries share
/// before the first of them. Entries whose shares overlap, as those of columns do, have all of theirs before the first.
fn intermediates(log: &[Entry], labels: &BTreeMap<usize, Label>, results: &[Option<usize>]) -> Vec<Intermediate> {
    let ranges = dependent_results(log, labels, results);
    let named = || (0..log.len()).filter(|&entry| log[entry].named.is_some() && log[entry].op != Op::Leaf);
    let named = || named().filter_map(|entry| Some((entry, ranges[entry]?)));
    let mut last_sharing: Vec<usize> = (0..results.len()).collect();
    named().for_each(|(_, [first, last])| last_sharing[first] = last_sharing[first].max(last));
    let (mut begins, mut begin, mut end) = (Vec::new(), 0, 0);
    for (n, last) in last_sharing.into_iter().enumerate() {
        begin = if n > end || n == MAX_SHOWN_ENTRIES { n } else { begin };
        end = end.max(last).max(n);
        begins.push(begin);
    }
    let intermediate = |(entry, [first, last]): (usize, [usize; 2])| {
        let is_of_one = first == last;
        Intermediate { before: if is_of_one { first } else { begins[first] }, is_of_one, entry }
    };
    let mut intermediates: Vec<Intermediate> = named().map(intermediate).collect();
    intermediates.sort_by_key(|inner| (inner.before, inner.is_of_one, inner.entry));
    intermediates
}

/// Returns, for each entry of the log, the numbers of the first and the last entry of a result that are computed from it, other
/// results and operands left out.
fn dependent_results(
    log: &[Entry],
    labels: &BTreeMap<usize, Label>,
    results: &[Option<usize>],
) -> Vec<Option<[usize; 2]>> {
    let mut ranges: Vec<Option<[usize; 2]>> = vec![None; log.len()];
    let extend = |range: &mut Option<[usize; 2]>, [first, last]: [usize; 2]| {
        *range = Some(range.map_or([first, last], |[a, b]| [a.min(first), b.max(last)]));
    };
    let own: HashSet<usize> = results.iter().flatten().copied().collect();
    results.iter().enumerate().filter_map(|(n, entry)| Some((n, (*entry)?))).for_each(|(n, entry)| {
        extend(&mut ranges[entry], [n, n]);
    });
    let mut is_read = vec![false; log.len()];
    for (entry, operation) in log.iter().enumerate().rev() {
        let operands = || operation.reads.iter().filter_map(|(_, from)| *from);
        operands().for_each(|from| is_read[from] = true);
        let is_other = operation.named.is_none() && labels.contains_key(&entry) && !own.contains(&entry);
        if let Some(range) = ranges[entry].filter(|_| !is_other) {
            operands().for_each(|from| extend(&mut ranges[from], range));
        }
    }
    // What no number is computed from, as the maximum that exponents are shifted by, goes with its own operands.
    for (entry, operation) in log.iter().enumerate().filter(|(entry, _)| !is_read[*entry]) {
        let operands = operation.reads.iter().filter_map(|(_, from)| ranges[(*from)?]);
        let range = operands.reduce(|[a, b], [first, last]| [a.min(first), b.max(last)]);
        ranges[entry] = ranges[entry].or(range);
    }
    ranges
}
