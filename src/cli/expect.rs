//! `--expect FILE`: results against what the user worked out.

use crate::check::expect::{Answer, judge};
use crate::core::error::{Code, Error, Note, edit_distance};
use crate::core::name::Name;
use crate::format::decimal::{Sheet, Sheets};
use crate::layer::{LayerSpec, Precision};
use crate::report::{Report, ResultBlock, expectation};
use crate::run::Status;
use crate::run::messages::Messages;
use crate::run::request::Request;
use std::io::{BufWriter, Write};

/// What messages call it.
pub(super) const EXPECT: Name = Name::fixed("expect");

/// An answer and its name; what is no array is refused where it is compared.
pub(super) type Named = (Name, Result<Sheet, Error>);

/// Refuses local factors: they are no gradients to be compared with.
pub(super) fn admit(k: f64) -> Error {
    Error::new(
        Code::LocalFactors,
        format!("the number {k} scales the local factors: there are no gradients to compare"),
    )
    .with_operand(&Name::DOUT)
    .tip("--dout ones gives the gradients of L = Σy")
}

/// Compares the report's results with what was read, and prints the verdicts in their place.
pub(super) fn run(
    sheets: Sheets,
    spec: &LayerSpec,
    report: &Report,
    request: &Request,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<Status> {
    let named = named(sheets, &report.blocks)?;
    let computed: Vec<Name> = report.blocks.iter().map(|block| block.name.clone()).collect();
    warn(&named, spec, &computed, request, messages)?;
    let mut answers: Vec<Answer> = Vec::new();
    for block in &report.blocks {
        if let Some((_, sheet)) = named.iter().find(|(name, _)| *name == block.name) {
            let sheet = sheet.as_ref().map_err(|error| error.clone().with_operand(&EXPECT))?;
            answers.push(judge(&block.name, sheet, &block.value, rounding(request), expectation::LISTED));
        }
    }
    if answers.is_empty() {
        return Err(nothing(&named, &computed).into());
    }
    let mut out = BufWriter::new(out);
    match request.as_json() {
        Some(pretty) => expectation::json(&answers, pretty, &mut out)?,
        None => expectation::text(&answers, &mut out)?,
    }
    out.flush()?;
    Ok(if answers.iter().all(Answer::passes) { Status::Done } else { Status::No })
}

/// The rounding of the arithmetic that computes results.
pub(super) fn rounding(request: &Request) -> f64 {
    if request.precision == Precision::F32 { f64::from(f32::EPSILON) / 2.0 } else { f64::EPSILON / 2.0 }
}

/// The answers by name; an array without one is the answer for the only result.
pub(super) fn named(sheets: Sheets, blocks: &[ResultBlock]) -> Result<Vec<Named>, Error> {
    match sheets {
        Sheets::Named(named) => Ok(named),
        Sheets::Single(sheet) => Ok(vec![(only_result(blocks)?, Ok(sheet))]),
    }
}

/// Says which keys are not compared and look as if they should be; `computed` is what is.
pub(super) fn warn(
    named: &[Named],
    spec: &LayerSpec,
    computed: &[Name],
    request: &Request,
    messages: &mut Messages,
) -> Result<(), Error> {
    for note in unused(named, spec, computed) {
        if request.strict {
            return Err(note.error);
        }
        messages.note(&note);
    }
    Ok(())
}

/// The result that an array without a name is compared with.
fn only_result(blocks: &[ResultBlock]) -> Result<Name, Error> {
    match blocks {
        [only] => Ok(only.name.clone()),
        _ => Err(Error::new(Code::KeyMissing, "holds one array without a name, and there are several results")
            .with_operand(&EXPECT)
            .fact(format!("the results are {}", names(blocks.iter().map(|block| &block.name))))
            .tip(format!(
                "choose one with --only {}, or name arrays as keys of a JSON object",
                blocks.first().map_or("y", |block| block.name.as_str())
            ))),
    }
}

/// Warnings for keys that are nearly a result's name, or a result's that was not computed.
fn unused(named: &[Named], spec: &LayerSpec, computed: &[Name]) -> Vec<Note> {
    let known = |name: &Name| spec.formula(name).is_some();
    let near = |name: &Name| {
        spec.results().map(|(result, _)| result).chain(computed.iter().cloned()).find(|result| {
            let (key, result) = (name.as_str(), result.as_str());
            key.eq_ignore_ascii_case(result)
                || (result.len() > 2 && edit_distance(key, result).is_some_and(|slips| slips <= 2))
        })
    };
    named
        .iter()
        .filter(|(name, _)| !computed.contains(name) && spec.slots.iter().all(|slot| slot.name != *name))
        .filter_map(|(name, _)| {
            let message = if known(name) {
                format!("{name} is not compared: it is not computed here")
            } else {
                format!("the key {name} is not compared: did you mean {}?", near(name)?)
            };
            Some(Note::warning(Error::new(Code::UnknownKey, message).with_operand(&EXPECT)))
        })
        .collect()
}

pub(super) fn nothing(named: &[Named], computed: &[Name]) -> Error {
    let keys: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    Error::new(Code::KeyMissing, "has no key that is a result")
        .with_operand(&EXPECT)
        .fact(if keys.is_empty() { "it is empty".to_owned() } else { format!("it has {}", keys.join(", ")) })
        .tip(format!("the results are {}", names(computed.iter())))
}

fn names<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    names.map(Name::as_str).collect::<Vec<_>>().join(", ")
}
