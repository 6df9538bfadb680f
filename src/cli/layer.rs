//! All layer commands: their options, derived from the registry, and their report.

use super::blocks::Batches;
use super::job::{Dout, Job};
use super::record::Records;
use super::request::{self, common, results};
use super::tape;
use super::{check, choice, expect, flag, flag_of, graph, jacobian, option, rows, steps, stream, under};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::OutputDtype;
use crate::layer;
use crate::layer::{AnyLayer, Kind, LayerSpec, Outcome, Precision, ScalarDout, Setting, Slot, Wanted};
use crate::operand::OperandReader;
use crate::report::{Report, ResultBlock, ResultHeader};
use crate::run::Status;
use crate::run::messages::Messages;
use crate::run::request::Request;
use clap::{Arg, ArgMatches, Command};
use std::ffi::OsString;
use std::io::Write;
use std::mem::ManuallyDrop;

/// The command of a layer; `told` with what its help ends with.
pub(super) fn command(spec: &'static LayerSpec, told: bool) -> Command {
    let command = Command::new(spec.name).about(spec.about).disable_help_flag(true);
    let command = if told { command.after_help(after_help(spec)) } else { command };
    let command = under("Operands", spec.slots.iter().map(operand).chain([dout(spec)]), command);
    let command = under("Settings", spec.settings.iter().map(setting), command);
    let command = under("Streams", stream::options(), command);
    let command = under("Chains", tape::options(), command);
    let pictures = graph::options(&["tape", "name", "expect", "ndjson", "steps"]);
    let command = under("Pictures", pictures.into_iter().chain([steps::option()]), command);
    under("Options", common().into_iter().chain(super::request::checking()), command)
}

/// What an ordinary line of a layer says, one of operands, settings and which results and where: to build the other options too
/// takes longer than a small job. A line that names one of those, or is mistaken, is for the whole command line.
pub(super) fn ordinary(spec: &'static LayerSpec, args: &[OsString]) -> Option<ArgMatches> {
    let operands = spec.slots.iter().map(operand).chain([dout(spec)]);
    let command = Command::new(spec.name)
        .no_binary_name(true)
        .disable_help_flag(true)
        .args(operands.chain(spec.settings.iter().map(setting)).chain(results()));
    let mut command = ManuallyDrop::new(command);
    let known = |name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name));
    let fits = |arg: &OsString| match arg.to_str() {
        Some(text) if text.starts_with('-') && text != "-" => {
            text.strip_prefix("--").is_some_and(|text| known(text.split('=').next().unwrap_or_default()))
        }
        _ => true,
    };
    if args.iter().all(fits) { command.try_get_matches_from_mut(args).ok() } else { None }
}

#[inline(never)]
pub(super) fn setting(setting: &Setting) -> Arg {
    match setting.kind {
        Kind::Flag => flag(setting.name, setting.doc),
        Kind::Choice(words) => choice(setting.name, words, setting.doc),
        Kind::Integer => option(setting.name, "N", setting.doc),
        Kind::Number => option(setting.name, "NUMBER", setting.doc),
    }
}

#[inline(never)]
pub(super) fn operand(slot: &Slot) -> Arg {
    let optional = if slot.optional { ", optional" } else { "" };
    let name = slot.name.as_str().to_owned();
    Arg::new(name.clone()).long(name).value_name("MATRIX").help(format!("{}, {}{optional}", slot.doc, slot.shape))
}

fn dout(spec: &LayerSpec) -> Arg {
    let help = match (&spec.scalar_dout, spec.is_loss()) {
        (ScalarDout::LocalFactors(_), _) => {
            "upstream gradient ∂L/∂y, of y's shape, or `ones` (default); a bare number scales the local factors as NumPy's dot does"
        }
        (ScalarDout::Fills, false) => "upstream gradient ∂L/∂y, of y's shape, a number for all, or `ones` (default)",
        (ScalarDout::Fills, true) => "upstream gradient of the loss, 1 by default",
    };
    option("dout", "MATRIX", help)
}

fn after_help(spec: &LayerSpec) -> String {
    let formulas: Vec<String> = spec.results().map(|(name, formula)| format!("  {name} = {formula}")).collect();
    let shapes: Vec<String> = spec.slots.iter().map(|slot| format!("  {} {}", slot.name, slot.shape)).collect();
    let examples: Vec<String> =
        spec.examples.iter().map(|example| format!("  $ {}\n{}", example.command, indented(example.prints))).collect();
    format!(
        "Formulas:\n{}\n\nShapes:\n{}\n\nExamples:\n{}\nSource: {}",
        formulas.join("\n"),
        shapes.join("\n"),
        examples.join("\n"),
        spec.source
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

/// Runs a layer's command.
pub(super) fn run(
    spec: &'static LayerSpec,
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<Status> {
    let request = request::parse(matches)?;
    if stream::asked_for(matches).is_some() {
        stream::admit(matches)?;
        let records = Records::of_layer(spec, matches, &request, reader)?;
        return stream::run(&records, matches, reader, out, messages);
    }
    let picture = graph::wanted(matches, messages)?;
    let plain =
        picture.is_none() && !request.check && request.expect.is_none() && super::text_of(matches, "tape").is_none();
    if plain
        && let Some(large) = Batches::in_file(spec, matches, &request, reader)?
        && rows::run(large, &request, reader, out, messages)?
    {
        return Ok(Status::Done);
    }
    let mut job = Job::prepare(spec, matches, &request, reader)?;
    if let Some(dout) = job.dout.as_ref().filter(|dout| dout.local && request.check) {
        return Err(crate::check::local_factors(dout.given[[]]).into());
    }
    if let Some(dout) = job.dout.as_ref().filter(|dout| dout.local && request.expect.is_some()) {
        return Err(expect::admit(dout.given[[]]).into());
    }
    if picture.is_some() {
        graph::admit(&job)?;
    }
    if flag_of(matches, "jacobian") {
        let report = jacobian::report(&job, &request)?;
        messages.notes(&job.notes, request.strict)?;
        request.write(report, out)?;
        return Ok(Status::Done);
    }
    messages.notes(&job.notes, request.strict)?;
    if let Some(picture) = picture {
        graph::layer(&job, &picture, &request, out)?;
        return Ok(Status::Done);
    }
    if request.check {
        return check::layer(&job, &request, out);
    }
    let answers = request.expect.as_ref().map(|text| reader.read_answers(&expect::EXPECT, text)).transpose()?;
    if let Some(form) = request.steps {
        return steps::layer(job, form, answers, &request, out, messages);
    }
    if let Some(answers) = answers {
        return expect::run(answers, spec, &compute(job, &request)?, &request, out, messages);
    }
    match job.tape.take() {
        Some(tape) => tape::extend(job, tape, matches, &request, out)?,
        None => match Batches::in_memory(job, &request) {
            Ok(batches) => batches.write(&request, out)?,
            Err(job) => request.write(compute(*job, &request)?, out)?,
        },
    }
    Ok(Status::Done)
}

/// What is asked for of a layer's results, and nothing that only others need.
fn compute(job: Job, request: &Request) -> Result<Report, Error> {
    let (layer, at) = (job.layer.as_ref(), &job.operands.values);
    let dout = job.dout.as_ref().map(Dout::to_whole);
    let only = request.only.iter().flatten().map(Name::new).collect::<Vec<_>>();
    let wanted = if request.only.is_some() { Wanted::Only(&only) } else { Wanted::All };
    let mut made = layer::compute_only(layer, at, dout.as_deref(), request.precision, wanted);
    if only.iter().any(|name| made.results.get(name).or_else(|| made.gradients.get(name)).is_none()) {
        // The refusal lists all that there is.
        made = outcome(&job, request);
    }
    report(&job, request, made)
}

/// What a layer gives.
pub(super) fn outcome(job: &Job, request: &Request) -> Outcome {
    let dout = job.dout.as_ref().map(Dout::to_whole);
    layer::compute(job.layer.as_ref(), &job.operands.values, dout.as_deref(), request.precision)
}

/// How wide results are.
pub(super) fn width(request: &Request) -> OutputDtype {
    if request.precision == Precision::F32 { OutputDtype::F32 } else { OutputDtype::F64 }
}

/// What a layer gave, of what was asked for.
pub(super) fn report(job: &Job, request: &Request, outcome: Outcome) -> Result<Report, Error> {
    let (at, dout) = (&job.operands.values, job.dout.as_ref());
    let blocks = blocks(job.spec, job.layer.as_ref(), at, dout, outcome);
    let mut report = Report { blocks, width: width(request) };
    if let Some(only) = &request.only {
        report.only(only)?;
    }
    Ok(report)
}

/// What is said of the results of these names.
pub(super) fn heads<'a>(
    spec: &'static LayerSpec,
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&Dout>,
    names: impl Iterator<Item = &'a Name>,
) -> Vec<ResultHeader> {
    let names: Vec<&Name> = names.collect();
    let averaged = names.contains(&&Name::DIVISOR);
    let local = match &spec.scalar_dout {
        ScalarDout::LocalFactors(formulas) if dout.is_some_and(|dout| dout.local) => *formulas,
        _ => &[],
    };
    let formulas = [
        local,
        &layer.formulas(at),
        &spec.results().collect::<Vec<_>>(),
        &[(Name::DIVISOR, "what the mean divides by")],
    ]
    .concat();
    let formula = |name: &Name| {
        let formula = formulas.iter().find(|(known, _)| known == name).map_or("", |(_, formula)| *formula);
        if averaged && (*name == Name::LOSS || spec.is_gradient(name)) {
            format!("({formula}) / divisor")
        } else {
            formula.to_owned()
        }
    };
    let mut ones = dout
        .filter(|dout| !dout.said && !spec.is_loss())
        .map(|_| format!("{} = ones: the gradients of L = Σ{}", Name::DOUT, spec.output));
    let mut before = |name: &Name| if spec.is_gradient(name) { ones.take() } else { None };
    names
        .into_iter()
        .map(|name| ResultHeader { name: name.clone(), formula: formula(name), before: before(name) })
        .collect()
}

/// Results and gradients, with what is said of them.
pub(super) fn blocks(
    spec: &'static LayerSpec,
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    dout: Option<&Dout>,
    outcome: Outcome,
) -> Vec<ResultBlock> {
    let heads = heads(spec, layer, at, dout, outcome.results.names().chain(outcome.gradients.names()));
    let values = outcome.results.into_iter().chain(outcome.gradients);
    let block = |(ResultHeader { name, formula, before }, (_, value))| ResultBlock { name, formula, value, before };
    heads.into_iter().zip(values).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::parser::ValueSource;

    /// What was given, and how.
    fn said(matches: &ArgMatches) -> Vec<(String, Vec<OsString>)> {
        let given = matches.ids().filter(|id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine));
        let raw = |id: &str| matches.get_raw(id).into_iter().flatten().map(OsString::from).collect();
        let mut said: Vec<(String, Vec<OsString>)> = given.map(|id| (id.to_string(), raw(id.as_str()))).collect();
        said.sort();
        said
    }

    #[test]
    fn an_ordinary_line_says_what_it_says_to_the_whole_command_line() {
        for spec in layer::LAYERS {
            let mut lines: Vec<Vec<&str>> =
                vec![vec![], vec!["--json", "--only", "y,dx", "--only=dw", "--out", "y.npz"]];
            let options: Vec<String> = spec.settings.iter().map(|setting| format!("--{}", setting.name)).collect();
            for (setting, option) in spec.settings.iter().zip(&options) {
                lines.push(match setting.kind {
                    Kind::Flag => vec![option],
                    Kind::Choice(words) => vec![option, words[0]],
                    Kind::Integer | Kind::Number => vec![option, "1"],
                });
            }
            let operands: Vec<String> = spec.slots.iter().map(|slot| format!("--{}", slot.name)).collect();
            lines.push(operands.iter().flat_map(|option| [option.as_str(), "-"]).collect());
            for line in &lines {
                let args: Vec<OsString> = line.iter().map(OsString::from).collect();
                let ordinary = ordinary(spec, &args);
                assert!(ordinary.is_some(), "{} {line:?}", spec.name);
                let whole = command(spec, true).no_binary_name(true).try_get_matches_from(&args).ok();
                assert_eq!(ordinary.as_ref().map(said), whole.as_ref().map(said), "{} {line:?}", spec.name);
            }
        }
    }

    #[test]
    fn what_is_not_ordinary_is_left_to_the_whole_command_line() {
        for line in [
            "--x 1 --threads 1",
            "--x",
            "--z 1",
            "--x 1 -h",
            "--x 1 --",
            "1,2",
            "--x 1 --x 2",
            "--jso",
            "--forward --dout 1",
            "--precision f16",
            "--x 1 --check",
            "--tape",
            "--steps=text",
        ] {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert!(layer::LAYERS.iter().all(|spec| ordinary(spec, &args).is_none()), "{line}");
        }
    }
}
