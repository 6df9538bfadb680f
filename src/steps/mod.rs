//! The arithmetic step by step: what the scalar that remembers recorded of a layer, as lines with the numbers filled in.
//!
//! Every entry of a result is a line, and so is everything on the way that the formula gives a name. A layer that names
//! nothing has its steps all the same.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, Forward, Layer, Outcome};
use crate::numeric::traced::{Called, Entry, Op, record_first};
use crate::numeric::{Scalar, Traced};
use expression::{Expression, Writer};
use ndarray::{ArrayD, Dimension};
use number::written;
use std::collections::{BTreeMap, HashSet};

mod answers;
mod expression;
mod number;

pub use answers::{Mark, Tally, mark};

/// So many entries of a result are written out.
pub const SHOWN: usize = 32;
/// A layer that reads or gives more numbers than this is not followed.
const LIMIT: usize = 150_000;
/// So many operations are remembered at most.
const ROOM: usize = 1_500_000;

/// A layer that was run, to be followed.
pub struct Followed<'a> {
    /// Its mathematics.
    pub layer: &'a dyn AnyLayer,
    /// Its operands.
    pub at: &'a Tensors<f64>,
    /// Its results and gradients.
    pub outcome: &'a Outcome,
    /// Its upstream gradient, where there are gradients.
    pub dout: Option<&'a ArrayD<f64>>,
    /// Whether the upstream gradient is worth a factor: it is not where it is the 1 of a loss.
    pub says_dout: bool,
}

/// The steps to one result.
#[derive(Clone, Debug)]
pub struct Section {
    /// The result.
    pub name: Name,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Every step; those that are not shown have no arithmetic.
    pub steps: Vec<Step>,
    /// How many steps are shown.
    pub shown: usize,
}

/// A step: a named number and how it is made.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name without the index.
    pub name: Name,
    /// What it stands for, where it is no entry of a result.
    pub meaning: Option<&'static str>,
    /// Its index; nothing for a single number.
    pub index: Vec<usize>,
    /// The arithmetic, where it is not given.
    pub arithmetic: Option<String>,
    /// What comes of it.
    pub value: f64,
    /// The value as it is written down.
    pub written: String,
    /// What became of somebody's number for it.
    pub mark: Option<Mark>,
    /// Whether every number stands there as it is; else some were rounded to be written down.
    pub exact: bool,
}

impl Step {
    /// `y[0,1]`.
    pub fn label(&self) -> String {
        label(&self.name, &self.index)
    }
}

fn label(name: &Name, index: &[usize]) -> String {
    if index.is_empty() { name.to_string() } else { format!("{name}{}", crate::core::error::format_index(index)) }
}

/// The steps to every result and gradient of a layer, in the order of output.
pub fn follow(followed: &Followed<'_>) -> Result<Vec<Section>, Error> {
    admit(followed)?;
    let (log, made) = record_first(SHOWN, ROOM, || run(followed));
    let names = named(&log, &made);
    let writer = Writer { log: &log, is_named: &|entry| names.contains_key(&entry) };
    let inner = inner(&log, &names);
    let mut pending = inner.iter().peekable();
    let outcome = followed.outcome.results.iter().chain(followed.outcome.gradients.iter());
    let mut sections = Vec::new();
    for (name, value) in outcome {
        let Some(traced) = made.results.get(name).or_else(|| made.gradients.get(name)) else { continue };
        let mut section = Section { name: name.clone(), shape: value.shape().to_vec(), steps: Vec::new(), shown: 0 };
        for (n, ((index, &value), made)) in value.indexed_iter().zip(traced).enumerate() {
            let shown = n < SHOWN;
            let entry = made.entry();
            while let Some((entry, label, called)) =
                pending.next_if(|(inner, ..)| entry.is_some_and(|entry| *inner <= entry))
            {
                let arithmetic = shown.then(|| writer.made(*entry));
                let step = step(label.clone(), arithmetic, log[*entry].value.to_f64());
                section.steps.push(Step { meaning: Some(called.meaning), ..step });
            }
            let label = (name.clone(), index.slice().to_vec());
            let arithmetic =
                entry.filter(|_| shown).map(|entry| match names.get(&entry).filter(|known| **known != label) {
                    Some((name, index)) => Expression::name(self::label(name, index)),
                    None => writer.made(entry),
                });
            section.steps.push(step(label, arithmetic, value));
            section.shown = if shown { section.steps.len() } else { section.shown };
        }
        sections.push(section);
    }
    Ok(sections)
}

fn step((name, index): Label, arithmetic: Option<Expression>, value: f64) -> Step {
    let (written, exact) = written(value);
    Step {
        name,
        meaning: None,
        mark: None,
        index,
        exact: exact && arithmetic.as_ref().is_none_or(|made| made.exact),
        arithmetic: arithmetic.map(|made| made.text),
        value,
        written,
    }
}

impl Section {
    /// The names on the way and what they stand for.
    pub fn meanings(&self) -> Vec<(&str, &'static str)> {
        let mut meanings = Vec::new();
        for step in &self.steps[..self.shown] {
            if let Some(meaning) = step.meaning.filter(|meaning| !meanings.contains(&(step.name.as_str(), *meaning))) {
                meanings.push((step.name.as_str(), meaning));
            }
        }
        meanings
    }

    /// How many entries of the result are not shown.
    pub fn left_out(&self) -> usize {
        self.steps[self.shown..].iter().filter(|step| step.meaning.is_none()).count()
    }
}

/// A name and an index.
type Label = (Name, Vec<usize>);

/// What a run on numbers that remember gave.
struct Made {
    given: Tensors<Traced>,
    results: Tensors<Traced>,
    gradients: Tensors<Traced>,
}

fn run(followed: &Followed<'_>) -> Made {
    let mut given = followed.at.map(|&value| Traced::leaf(value));
    let Forward { results, saved } = Layer::<Traced>::forward(followed.layer, &given);
    let forward = Forward { results, saved };
    let mut gradients = Tensors::new();
    if let Some(dout) = followed.dout {
        let dout = dout.mapv(if followed.says_dout { Traced::leaf } else { Traced::from_f64 });
        gradients = Layer::<Traced>::backward(followed.layer, &given, &&forward, &dout).all();
        given.insert(Name::DOUT, dout);
    }
    Made { given, results: forward.results, gradients }
}

/// Refuses what would be too much to remember.
fn admit(followed: &Followed<'_>) -> Result<(), Error> {
    let all = followed.at.iter().chain(followed.outcome.results.iter());
    let count: usize = all.map(|(_, value)| value.len()).sum();
    if count <= LIMIT {
        return Ok(());
    }
    Err(Error::new(Code::Usage, format!("{count} numbers are too many to follow step by step: up to {LIMIT} are"))
        .with_operand(&Name::new("steps"))
        .tip("take a few rows of the input: the steps of every row are alike"))
}

/// The names of entries that were given, are results, or are called something.
fn named(log: &[Entry], made: &Made) -> BTreeMap<usize, Label> {
    let mut names: BTreeMap<usize, Label> = BTreeMap::new();
    for (name, value) in made.given.iter().chain(made.results.iter()) {
        for (index, made) in value.indexed_iter() {
            if let Some(entry) = made.entry() {
                names.entry(entry).or_insert_with(|| (name.clone(), index.slice().to_vec()));
            }
        }
    }
    // In the order of the log, since an index is that of what is read.
    for (entry, made) in log.iter().enumerate() {
        if let Some(called) = made.called {
            let index = shared_index(log, &names, entry);
            names.insert(entry, (Name::fixed(called.name), index));
        }
    }
    names
}

/// The index that all have in common that an entry is made of: `e[0,1]` is made of `x[0,1]`, `sum[0]` of a row of e.
fn shared_index(log: &[Entry], names: &BTreeMap<usize, Label>, entry: usize) -> Vec<usize> {
    let mut found: Vec<&[usize]> = Vec::new();
    let mut open: Vec<usize> = log[entry].reads.iter().filter_map(|(_, from)| *from).collect();
    while let Some(entry) = open.pop() {
        match names.get(&entry) {
            Some((_, index)) => found.push(index),
            None => open.extend(log[entry].reads.iter().filter_map(|(_, from)| *from)),
        }
    }
    let rank = found.iter().map(|index| index.len()).max().unwrap_or(0);
    let widest: Vec<&[usize]> = found.into_iter().filter(|index| index.len() == rank).collect();
    let shared = |axis: usize| {
        let first = widest.first()?.get(axis)?;
        widest.iter().all(|index| index.get(axis) == Some(first)).then_some(*first)
    };
    (0..rank).filter_map(shared).collect()
}

/// What is named on the way, each once, in the order of the log.
fn inner(log: &[Entry], names: &BTreeMap<usize, Label>) -> Vec<(usize, Label, Called)> {
    let mut seen = HashSet::new();
    let called = log.iter().enumerate().filter_map(|(entry, made)| Some((entry, names.get(&entry)?, made.called?)));
    called
        .filter(|(entry, label, _)| log[*entry].op != Op::Leaf && seen.insert((*label).clone()))
        .map(|(entry, label, called)| (entry, label.clone(), called))
        .collect()
}
