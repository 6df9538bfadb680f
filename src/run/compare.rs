//! Compares two results entry by entry.

use super::session::Streams;
use super::status::Status;
use crate::check::compare::{ArrayPair, DocumentComparison, Tolerance, compare};
use crate::core::error::{Code, Error, join_names};
use crate::core::name::{Name, adopt_spelling};
use crate::numeric::FloatType;
use crate::operand::{Operand, OperandReader, OperandSet};
use crate::report::{Digits, comparison};
use std::collections::HashMap;

/// Arguments of `compare`.
pub(crate) struct Arguments {
    pub(crate) a: String,
    pub(crate) b: String,
    pub(crate) tolerances: Tolerances,
    /// `Some(pretty)` for a report in JSON.
    pub(crate) json: Option<bool>,
    /// Number of digits in text.
    pub(crate) digits: Digits,
}

/// Explicit tolerances.
pub(crate) struct Tolerances {
    pub(crate) rtol: Option<f64>,
    pub(crate) atol: Option<f64>,
    pub(crate) ulp: Option<u64>,
}

impl Tolerances {
    /// Returns the tolerance for arrays that were stored in these types; the less precise one decides its defaults and the
    /// unit in the last place.
    fn tolerance(&self, types: [FloatType; 2]) -> Tolerance {
        let [a, b] = types;
        let default = Tolerance::for_type(if a.unit_roundoff() > b.unit_roundoff() { a } else { b });
        let or =
            |explicit: Option<f64>, default: f64| explicit.unwrap_or(if self.ulp.is_some() { 0.0 } else { default });
        Tolerance { atol: or(self.atol, default.atol), rtol: or(self.rtol, default.rtol), ulp: self.ulp, ..default }
    }
}

/// Compares A with B and writes the report.
pub(crate) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let Arguments { a, b, tolerances, json, digits } = arguments;
    if a.trim() == "-" && b.trim() == "-" {
        return Err(Error::new(Code::StdinTwice, "standard input cannot be both sides")
            .with_origin("A and B")
            .tip("pipe one object and select its keys: compare -#/A -#/B")
            .into());
    }
    let reader = &mut streams.reader;
    let compared = compare_documents(read(reader, "A", a)?, read(reader, "B", b)?, tolerances)?;
    match json {
        Some(pretty) => comparison::write_as_json(&compared, *pretty, &mut streams.out)?,
        None => comparison::write_text(&compared, *digits, &mut streams.out)?,
    }
    Ok(if compared.agrees() { Status::Done } else { Status::No })
}

fn read(reader: &mut OperandReader<'_>, side: &str, text: &str) -> Result<OperandSet, Error> {
    // A positional argument is no option: errors name its file, or A or B as the usage does.
    let unnamed = |error: Error| error.update(|parts| parts.operand = None).with_origin(side);
    let read = reader.read_document(&Name::new(side), text).map_err(unnamed);
    reader.warnings = std::mem::take(&mut reader.warnings).into_iter().map(unnamed).collect();
    read
}

fn compare_documents(a: OperandSet, b: OperandSet, tolerances: &Tolerances) -> Result<DocumentComparison, Error> {
    let pair = |a: &Operand, b: &Operand| {
        let types = [a.element, b.element];
        ArrayPair { types, comparison: compare(&a.value, &b.value, tolerances.tolerance(types)) }
    };
    let (a, b) = match (a, b) {
        (OperandSet::Named(a), OperandSet::Named(mut b)) => {
            adopt_spelling(b.iter_mut().map(|(name, _)| name).collect(), a.iter().map(|(name, _)| name));
            (a, b)
        }
        (a, b) => {
            let ((name_a, a), (name_b, b)) = (only_array(a, "A")?, only_array(b, "B")?);
            let pairs = vec![(name_a.or(name_b), pair(&a, &b))];
            return Ok(DocumentComparison { pairs, only_a: vec![], only_b: vec![] });
        }
    };
    let places: HashMap<Name, usize> = (0..).zip(&b).map(|(n, (name, _))| (name.clone(), n)).collect();
    let mut only_b: Vec<Option<(Name, Operand)>> = b.into_iter().map(Some).collect();
    let mut compared = DocumentComparison { pairs: Vec::with_capacity(a.len()), only_a: vec![], only_b: vec![] };
    // Each array is dropped as soon as it is compared.
    for (name, a) in a {
        match places.get(&name).and_then(|&n| only_b[n].take()) {
            Some((_, b)) => compared.pairs.push((Some(name), pair(&a, &b))),
            None => compared.only_a.push(name),
        }
    }
    compared.only_b = only_b.into_iter().flatten().map(|(name, _)| name).collect();
    Ok(compared)
}

/// Returns the only array of a document, which is compared with a single array.
fn only_array(document: OperandSet, side: &str) -> Result<(Option<Name>, Operand), Error> {
    let mut document = match document {
        OperandSet::Single(operand) => return Ok((None, operand)),
        OperandSet::Named(document) => document,
    };
    if document.len() == 1 {
        let (name, operand) = document.remove(0);
        return Ok((Some(name), operand));
    }
    let names: Vec<&str> = document.iter().map(|(name, _)| name.as_str()).collect();
    let message =
        format!("contains {} arrays, but the other side is a single array: {}", names.len(), join_names(&names));
    let first = names.first().copied().unwrap_or("y");
    Err(Error::new(Code::KeyMissing, message).with_origin(side).tip(format!("select one of them: FILE#{first}")))
}
