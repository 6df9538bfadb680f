//! Layer commands: their options, derived from the registry.

use super::args;
use super::args::{choice, flag, flag_of, option, text_of, under};
use super::request::{checking, common};
use super::{graph, ndjson, request, steps, tape};
use crate::core::error::Error;
use crate::layer::{Kind, LayerSpec, Precision, ScalarDout, Setting, Settings, Slot};
use crate::run::Command as Run;
use crate::run::request::{LayerMode, LayerRequest};
use clap::{Arg, ArgMatches, Command};

/// The command of a layer; `told` with what its help ends with.
pub(super) fn command(spec: &'static LayerSpec, told: bool) -> Command {
    let command = Command::new(spec.name).about(spec.about).disable_help_flag(true);
    let command = if told { command.after_help(after_help(spec)) } else { command };
    let command = under("Operands", spec.slots.iter().map(operand).chain([dout(spec)]), command);
    let command = under("Settings", spec.settings.iter().map(setting), command);
    let command = under("Streams", ndjson::options(), command);
    let command = under("Chains", tape::options(), command);
    let pictures = graph::options(&["tape", "name", "expect", "ndjson", "steps"]);
    let command = under("Pictures", pictures.into_iter().chain([steps::option()]), command);
    under("Options", common().into_iter().chain(checking()), command)
}

pub(super) fn setting(setting: &Setting) -> Arg {
    match setting.kind {
        Kind::Flag => flag(setting.name, setting.doc),
        Kind::Choice(words) => choice(setting.name, words, setting.doc),
        Kind::Integer => option(setting.name, "N", setting.doc),
        Kind::Number => option(setting.name, "NUMBER", setting.doc),
    }
}

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

/// Parses a layer command.
pub(super) fn parse(spec: &'static LayerSpec, matches: &ArgMatches) -> Result<Run, Error> {
    let records = ndjson::parse(matches)?;
    let common = request::parse(matches)?;
    let expect = text_of(matches, "expect").map(str::to_owned);
    let mode = match (graph::parse(matches)?, common.steps, expect) {
        (Some(graph), ..) => LayerMode::Graph(graph),
        (None, Some(form), expect) => LayerMode::Steps(form, expect),
        (None, None, Some(expect)) => LayerMode::Expect(expect),
        (None, None, None) if flag_of(matches, "jacobian") => LayerMode::Jacobian,
        (None, None, None) if common.check => LayerMode::Check,
        (None, None, None) => LayerMode::Results,
    };
    let request = Box::new(LayerRequest {
        spec,
        operands: args::operands(matches, spec.slots.iter().map(|slot| &slot.name))?,
        dout: args::dout(matches)?,
        settings: settings(spec, matches)?,
        tape: tape::parse(matches),
        layer_name: text_of(matches, "name").map(str::to_owned),
        explicit_precision: text_of(matches, "precision").and_then(Precision::named),
        mode,
        common,
    });
    Ok(match records {
        Some(records) => Run::LayerRecords(request, records),
        None => Run::Layer(request),
    })
}

/// Parses the settings that options give.
pub(super) fn settings(spec: &'static LayerSpec, matches: &ArgMatches) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    for setting in spec.settings {
        let text = match setting.kind {
            Kind::Flag => flag_of(matches, setting.name).then_some("true"),
            _ => text_of(matches, setting.name),
        };
        if let Some(text) = text {
            settings.set(setting.name, setting.parse(text)?);
        }
    }
    Ok(settings)
}
