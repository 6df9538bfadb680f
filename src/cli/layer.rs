//! Layer commands: their options, derived from the registry.

use super::args;
use super::args::{choice, flag, flag_of, keep_indented_lines, option, text_of, under};
use super::graph;
use super::ndjson;
use super::negative::{as_given, file_name};
use super::request;
use super::request::{check_options, io_options, result_options};
use super::steps;
use crate::core::error::Error;
use crate::layer::{Elsewhere, Example, Kind, LayerSpec, Precision, ScalarDout, Setting, Settings, Slot, elsewhere};
use crate::run;
use crate::run::operands::usage;
use crate::run::request::{LayerRequest, TapeOption};
use clap::{Arg, ArgMatches, Command};

/// Number of settings in the short help of a layer.
const SHORT_SETTINGS: usize = 6;

/// Declares the options of a layer.
pub(super) fn command(spec: &'static LayerSpec, command: Command) -> Command {
    let command = command
        .about(spec.about)
        .override_usage(format!("{} [OPTIONS]", usage(spec)))
        .after_long_help(keep_indented_lines(&after_help(spec)));
    let pictures = graph::options(&["tape", "name", "expect", "ndjson", "steps"]);
    let modes = [steps::option()].into_iter().chain(pictures).chain(tape_options(spec)).chain(ndjson::options());
    let command = under("Operands", spec.slots.iter().map(operand).chain([dout(spec)]), command);
    let short = |(n, all): (usize, &Setting)| setting(all).hide_short_help(n >= SHORT_SETTINGS);
    let command = under("Settings", spec.settings.iter().enumerate().map(short), command);
    let command = under("Results", result_options(), command);
    let command = under("Checks", check_options(), command);
    let command = under("Modes", modes, command);
    under("Options", io_options(), command)
}

/// Returns the option of a setting. The short help ends where the documentation has a semicolon.
pub(super) fn setting(setting: &Setting) -> Arg {
    let help = setting.doc.split(';').next().unwrap_or_default();
    let option = match setting.kind {
        Kind::Flag => flag(setting.name, help),
        Kind::Choice(words) => choice(setting.name, "WORD", words, help),
        Kind::Integer => option(setting.name, "N", help),
        Kind::Number(_) => option(setting.name, "N", help),
        Kind::Integers | Kind::IntegerRows(_) => option(setting.name, "LIST", help),
    };
    option.long_help(setting.doc)
}

/// Returns the option of an operand.
pub(super) fn operand(slot: &Slot) -> Arg {
    let optional = if slot.optional { ", optional" } else { "" };
    let name = slot.name.as_str().to_owned();
    let value_name = name.rsplit('-').next().unwrap_or_default().to_uppercase();
    let option = Arg::new(name.clone()).value_name(value_name).long(name);
    let help = |doc: &str| format!("{doc}, {}{optional}", slot.shape);
    option.help(help(slot.doc.split(';').next().unwrap_or_default())).long_help(help(slot.doc))
}

fn dout(spec: &LayerSpec) -> Arg {
    let help = match (&spec.scalar_dout, spec.is_loss()) {
        (ScalarDout::LocalFactors(_), _) => {
            "upstream gradient ∂L/∂y, of y's shape, or `ones` (default); a number scales the local factors, as in np.dot"
        }
        (ScalarDout::Fills, false) => {
            "upstream gradient ∂L/∂y, of y's shape, or `ones` (default); a number is used for every entry"
        }
        (ScalarDout::Fills, true) => "upstream gradient of the loss, 1 by default",
    };
    option("dout", "DOUT", help.split(';').next().unwrap_or_default()).long_help(help)
}

/// Returns the options of a layer that extends a tape.
fn tape_options(spec: &LayerSpec) -> [Arg; 2] {
    [
        file_name(option("tape", "TAPE", "start or extend a tape in place of the results"))
            .long_help(
                "start a tape, or extend TAPE or the tape on standard input, and write it in place of the results",
            )
            .num_args(0..=1)
            .default_missing_value(""),
        option("name", "NAME", "name of the layer in the tape")
            .long_help(format!("name of the layer in the tape; {0}1, {0}2, … by default", spec.name))
            .hide_short_help(true),
    ]
}

/// Parses `--tape` of a layer command.
fn tape(matches: &ArgMatches) -> TapeOption {
    match text_of(matches, "tape") {
        None => TapeOption::Default,
        Some("") => TapeOption::Start,
        Some(source) => TapeOption::Extend(source.to_owned()),
    }
}

/// Returns the name of a layer in another library, and the options that give its defaults.
fn other_library(other: &Elsewhere) -> String {
    let parts = [other.options, other.note].into_iter().filter(|part| !part.is_empty());
    let difference = parts.map(|part| format!("; {part}")).collect::<String>();
    format!("  {}: {}{difference}\n", other.library, other.call)
}

fn after_help(spec: &LayerSpec) -> String {
    let formulas: String = spec.results().map(|(name, formula)| format!("  {name} = {formula}\n")).collect();
    let shapes: String = spec.slots.iter().map(|slot| format!("  {} {}\n", slot.name, slot.shape)).collect();
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    let example = |example: &Example| -> String {
        format!("  $ {}\n{}\n", example.command, example.prints.lines().map(indented).collect::<String>())
    };
    let examples: String = spec.examples.iter().map(example).collect();
    let others: String = elsewhere(spec.name).iter().map(other_library).collect();
    format!(
        "An operand is numbers (1,2;3,4), JSON ([[1,2],[3,4]]), a file (.json .npy .npz .csv .tsv .safetensors), one array \
         of a file (FILE#KEY), or - for standard input.\n\n\
         Formulas:\n{formulas}\nShapes:\n{shapes}\nExamples:\n{examples}Elsewhere:\n{others}\nSource: {}",
        spec.source
    )
}

/// Parses a layer command.
pub(super) fn parse(spec: &'static LayerSpec, matches: &ArgMatches) -> Result<run::Command, Error> {
    let records = ndjson::parse(matches);
    let (common, mode) = (request::parse(matches)?, request::mode(matches)?);
    let request = LayerRequest {
        spec,
        operands: args::operands(matches, spec.slots.iter().map(|slot| &slot.name))?,
        dout: args::dout(matches)?,
        settings: settings(spec, matches)?,
        tape: tape(matches),
        layer_name: text_of(matches, "name").map(str::to_owned),
        explicit_precision: text_of(matches, "precision").and_then(Precision::named),
        mode,
        records,
        common,
    };
    Ok(Box::new(move |streams| run::layer::run(&request, streams)))
}

/// Parses the settings that options give.
pub(super) fn settings(spec: &'static LayerSpec, matches: &ArgMatches) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    for setting in spec.settings {
        let text = match setting.kind {
            Kind::Flag => flag_of(matches, setting.name).then_some("true"),
            // The option --shape of gradcheck has the shapes of operands too, as in x=4x3.
            _ => {
                let mut texts = matches.try_get_many::<String>(setting.name).ok().flatten().into_iter().flatten();
                texts.find(|text| !text.contains('=')).map(|text| as_given(text))
            }
        };
        if let Some(text) = text {
            settings.set(setting.name, setting.parse(text)?);
        }
    }
    Ok(settings)
}
