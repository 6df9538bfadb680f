//! `--expect FILE`: results against expected values.

use super::dout::Dout;
use super::job::Job;
use super::messages::Messages;
use super::operands::is_near;
use super::request::Request;
use super::session::Streams;
use super::status::Status;
use crate::check::expect::{GradedResult, grade};
use crate::check::{Case, wrong_answer};
use crate::core::error::{Code, Error, Note};
use crate::core::name::{Name, adopt_spelling};
use crate::format::decimal::{DecimalArray, DecimalArrays};
use crate::layer::LayerSpec;
use crate::report::{ResultBlock, expectation};

/// Name of the option in messages.
pub(crate) const EXPECT: Name = Name::fixed("expect");

/// An expected value and its name; a value that is not an array is refused only if it is compared.
type NamedSheet = (Name, Result<DecimalArray, Error>);

/// Compares the results of a report with expected values and writes the verdicts.
pub(crate) fn run(
    sheets: DecimalArrays,
    job: &Job,
    blocks: &[ResultBlock],
    request: &Request,
    streams: &mut Streams<'_>,
) -> anyhow::Result<Status> {
    let spec = job.spec;
    let computed: Vec<Name> = blocks.iter().map(|block| block.header.name.clone()).collect();
    let sheets = select_sheets(sheets, spec, blocks, &computed, request, &mut streams.messages)?;
    let answer = |block: &ResultBlock| {
        let (name, sheet) = sheets.iter().find(|(name, _)| *name == block.header.name)?;
        let mut graded = grade(name, sheet, &block.value, rounding(request), expectation::MAX_LISTED_ENTRIES);
        if graded.needs_diagnosis() {
            let dout = job.dout.as_ref().map(Dout::to_array);
            let at = &job.operands.values;
            let case = Case::new(spec, &job.settings, at, dout.as_deref(), request.precision.float_type());
            let explain = |case| wrong_answer::explain(name, spec.is_gradient(name), sheet, &block.value, &case);
            graded.diagnoses = case.map_or_else(|_| Vec::new(), explain);
        }
        Some(graded)
    };
    let answers: Vec<GradedResult> = blocks.iter().filter_map(answer).collect();
    match request.as_json() {
        Some(pretty) => expectation::write_as_json(&answers, pretty, &mut streams.out)?,
        None => expectation::write_text(&answers, request.digits, &mut streams.out)?,
    }
    Ok(if answers.iter().all(GradedResult::passes) { Status::Done } else { Status::No })
}

/// Returns the expected values of the results that are `computed`, and warns of keys that are nearly the name of one.
pub(crate) fn select_sheets(
    sheets: DecimalArrays,
    spec: &LayerSpec,
    blocks: &[ResultBlock],
    computed: &[Name],
    request: &Request,
    messages: &mut Messages,
) -> Result<Vec<(Name, DecimalArray)>, Error> {
    let mut named = name_sheets(sheets, blocks)?;
    let notes = unused_keys(&named, spec, computed);
    let mut sheets = Vec::new();
    for name in computed {
        // A sheet may be as large as a result, so it is moved.
        if let Some(at) = named.iter().position(|(known, _)| known == name) {
            let (name, sheet) = named.swap_remove(at);
            sheets.push((name, sheet.map_err(|error| error.with_operand(&EXPECT))?));
        }
    }
    if sheets.is_empty() {
        return Err(no_results(&named, computed));
    }
    messages.notes(&notes, request.strict)?;
    Ok(sheets)
}

/// Returns the unit roundoff of the arithmetic that computes results.
pub(crate) fn rounding(request: &Request) -> f64 {
    request.precision.float_type().unit_roundoff()
}

/// Returns expected values by name; an array without a name belongs to the only result.
fn name_sheets(sheets: DecimalArrays, blocks: &[ResultBlock]) -> Result<Vec<NamedSheet>, Error> {
    match (sheets, blocks) {
        (DecimalArrays::Named(mut named), _) => {
            let keys = named.iter_mut().map(|(name, _)| name).collect();
            adopt_spelling(keys, blocks.iter().map(|block| &block.header.name));
            Ok(named)
        }
        (DecimalArrays::Single(sheet), [only]) => Ok(vec![(only.header.name.clone(), Ok(sheet))]),
        _ => Err(Error::new(Code::KeyMissing, "holds one array without a name, but there are several results")
            .with_operand(&EXPECT)
            .fact(format!("the results are {}", join(blocks.iter().map(|block| &block.header.name))))
            .tip(format!(
                "select one with --only {}, or name the arrays as keys of a JSON object",
                blocks.first().map_or("y", |block| block.header.name.as_str())
            ))),
    }
}

/// Returns warnings for keys that are not compared: what is neither a result nor an operand or setting of the layer. A key that is not
/// near a result's name, and whose value is not an array, is no answer.
fn unused_keys(named: &[NamedSheet], spec: &LayerSpec, computed: &[Name]) -> Vec<Note> {
    let results = || spec.results().map(|(result, _)| result).chain(computed.iter().cloned());
    let is_input = |name: &Name| {
        *name == Name::DOUT
            || spec.slots.iter().any(|slot| slot.name == *name)
            || spec.settings.iter().any(|setting| setting.name == name.as_str())
    };
    let warning = |(name, sheet): &NamedSheet| {
        if computed.contains(name) || is_input(name) {
            return None;
        }
        let (message, tip) = if spec.formula(name).is_some() {
            let message = format!("{name} is not compared because this command does not compute it");
            (message, format!("the results are {}", join(computed.iter())))
        } else if let Some(near) = results().find(|result| is_near(name.as_str(), result.as_str())) {
            (format!("unknown key `{name}` is not compared"), format!("did you mean {near}?"))
        } else if sheet.is_ok() {
            (format!("unknown key `{name}` is not compared"), format!("the results are {}", join(computed.iter())))
        } else {
            return None;
        };
        Some(Note::warning(Error::new(Code::UnknownKey, message).with_operand(&EXPECT).tip(tip)))
    };
    named.iter().filter_map(warning).collect()
}

/// Returns the error for expected values of which none is a result.
fn no_results(named: &[NamedSheet], computed: &[Name]) -> Error {
    let keys = join(named.iter().map(|(name, _)| name));
    Error::new(Code::KeyMissing, "has no key that is a result")
        .with_operand(&EXPECT)
        .fact(if keys.is_empty() { "the object is empty".to_owned() } else { format!("the keys are {keys}") })
        .tip(format!("the results are {}", join(computed.iter())))
}

fn join<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    names.map(Name::as_str).collect::<Vec<_>>().join(", ")
}
