//! Command line of `nnlayer gradcheck`.

use super::args::{self, choice, flag, flag_of, keep_indented_lines, option, text_of, under};
use super::layer::{operand, setting, settings};
use super::negative::as_given;
use super::request::{check_form, check_format, io_options};
use super::value;
use crate::check::compare::Tolerance;
use crate::check::inputs;
use crate::check::program::ProcessLifetime;
use crate::core::error::{Code, Error, sanitize};
use crate::core::name::{Name, edit_distance};
use crate::layer;
use crate::layer::{LAYERS, LayerSpec, Slot};
use crate::numeric::FloatType;
use crate::operand::grammar;
use crate::operand::grammar::OperandSpec;
use crate::run::check::SEED;
use crate::run::gradcheck::{Arguments, CUSTOM};
use crate::run::template::TEMPLATES;
use crate::run::{Command as Run, gradcheck, template};
use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Id, value_parser};
use std::collections::HashSet;
use std::ffi::OsString;
use std::time::Duration;

const HELP: &str = "\
Examples:
  $ nnlayer gradcheck --template c > affine.c
  $ nnlayer gradcheck --layer tanh --x 0.5,-1
  PASS dx (2): all 2 entries agree with the numerical gradient (maximum error 5.55e-17)
  PASS: dx of tanh is correct

The first prints a program to start from. Two verdicts are given: the forward
pass of the program is compared with nnlayer's, and its gradients with nnlayer's
and with numerical gradients of its own forward pass. Exit status: 0 for PASS,
1 for FAIL, 3 for INCONCLUSIVE.

A program reads a request from standard input and writes a reply to standard
output, each one line of JSON. For --layer relu --precision f32:
  {\"nnlayer\":1,\"layer\":\"relu\",\"settings\":{},\"precision\":\"f32\",
   \"points\":[{\"inputs\":{\"x\":[1,-2]},\"dout\":[3,4]}]}
  {\"points\":[{\"outputs\":{\"y\":[1,0]},\"gradients\":{\"dx\":[3,0]}}]}
A reply has one object for each point, in the same order. A point without dout
needs no gradients. An array is a number or nested lists; \"NaN\", \"Infinity\" and
\"-Infinity\" are written as strings. The program ignores keys that it does not
know. It is started for each request, or with --persistent once: it then replies
to each line with one line, which it flushes, until its input ends.

With --persistent, the first request has no points. A program of version 1
replies {\"points\":[]}. A program of version 2 replies with a hello, which may
list its layers and ask for arrays in base64:
  {\"nnlayer\":2,\"layers\":[\"relu\"],\"arrays\":\"base64\"}
An array in base64, which any reply may contain, has a dtype of f64, f32, f16 or
bf16, and its numbers in row-major order with the lowest byte first:
  {\"shape\":[2],\"dtype\":\"f32\",\"base64\":\"AACAPwAAAMA=\"}
In version 2, a name in outputs or gradients that was not asked for is an error.
docs/gradcheck-protocol.md has all rules.";

pub(super) const TYPES: &[&str] = &["f64", "f32", "f16", "bf16"];

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    let mut names: HashSet<Id> = own_options().iter().map(|arg| arg.get_id().clone()).collect();
    let mut is_new = |arg: &Arg| names.insert(arg.get_id().clone());
    let in_summary = [Name::X, Name::W, Name::B, Name::T];
    let operand = |slot: &Slot| operand(slot).hide_short_help(!in_summary.contains(&slot.name));
    let operands = LAYERS.iter().flat_map(|spec| spec.slots.iter().map(operand)).filter(&mut is_new);
    let operands: Vec<Arg> = operands.chain([option("dout", "DOUT", "upstream gradient; random by default")]).collect();
    let settings: Vec<Arg> =
        LAYERS.iter().flat_map(|spec| spec.settings.iter().map(setting)).filter(&mut is_new).collect();
    let settings: Vec<Arg> = settings.into_iter().map(|setting| setting.hide_short_help(true)).collect();
    let arguments = operands.iter().chain(&settings).map(|arg| arg.get_id().clone());
    let template = template_option().conflicts_with_all(arguments);
    let command = command.about("Check the gradients of a layer or a program numerically");
    let command = command.args(own_options()).arg(template);
    let command = under("Operands, random by default", operands, command);
    let command = under("Settings of the layer", settings, command);
    under("Options", io_options(), command)
        .arg(
            Arg::new("program")
                .value_name("PROGRAM")
                .num_args(0..)
                .last(true)
                .value_parser(value_parser!(OsString))
                .help("program and its arguments; without a program, nnlayer's own layer is checked"),
        )
        .after_long_help(keep_indented_lines(HELP))
}

/// Returns true for an option of the command, such as `--seed`, which no layer's setting of that name replaces.
fn is_own_option(name: &str) -> bool {
    own_options().iter().any(|arg| arg.get_id() == name)
}

fn own_options() -> Vec<Arg> {
    vec![
        option("layer", "LAYER", "name of a layer command, or custom for your own layer")
            .long_help("the name of a layer command, or custom for a layer that only your program knows")
            .required_unless_present("template"),
        option(
            "shape",
            "NAME=RxC",
            "shapes of random inputs, as in x=4x3 w=3x2; the defaults of the layer for all others. Without a name, it is the setting \
             of a layer that has one: reshape",
        )
        .action(ArgAction::Append)
        .num_args(1..),
        option("input", "NAME=X", "any operand by name, as in gamma=gamma.json")
            .long_help(
                "any operand by name, also one of a custom layer, as in gamma=gamma.json mask=1,0,1; what is after = is \
                 written as after --x",
            )
            .action(ArgAction::Append)
            .num_args(1..),
        option("seed", "N", "random seed (default 1)"),
        choice("precision", "TYPE", TYPES, "type that the program computes in; found from its replies by default"),
        choice(
            "accumulate",
            "TYPE",
            TYPES,
            "type that the program accumulates sums in; that of --precision by default",
        ),
        option("rtol", "N", "accept errors up to atol + rtol·|right value|, in place of the bound of rounding errors")
            .hide_short_help(true),
        option("atol", "N", "absolute part of that tolerance (default 0)").hide_short_help(true),
        option(
            "nondet-tol",
            "N",
            "accept gradients that differ by up to N between calls at the same point (default 0)",
        )
        .hide_short_help(true),
        flag("persistent", "start the program once; it replies to each line with one line"),
        option("timeout", "SECONDS", "time limit for each point (default 10)"),
        flag("json", "write one JSON object on one line"),
        flag("pretty", "write indented JSON"),
        check_format(),
    ]
}

fn template_option() -> Arg {
    option("template", "LANG", "print a program to start from: python, numpy, c, cuda, js, rust or go")
        .long_help(
            "print a program to start from, in python, numpy, c, cuda, js, rust or go. For affine (default) and softmax it is \
             complete; for any other --layer, custom too, two functions are to be filled in",
        )
        .value_parser(PossibleValuesParser::new(TEMPLATES.iter().map(|template| template.language)))
        .hide_possible_values(true)
        .conflicts_with_all([
            "program",
            "input",
            "seed",
            "precision",
            "persistent",
            "timeout",
            "json",
            "pretty",
            "format",
        ])
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    // Only a template needs no name.
    let spec = match text_of(matches, "layer").unwrap_or("affine") {
        CUSTOM => None,
        name => Some(layer::find(name).ok_or_else(|| unknown_layer(name))?),
    };
    let has_shape = spec.is_some_and(|spec| spec.settings.iter().any(|setting| setting.name == "shape"));
    let shapes = matches.get_many::<String>("shape").into_iter().flatten();
    let shapes = shapes.filter(|text| !has_shape || text.contains('='));
    let shapes = shapes.map(|text| inputs::parse_shape(as_given(text))).collect::<Result<_, _>>()?;
    let tip = "use any non-negative integer";
    let seed = value::parse(matches, "seed", "a non-negative integer", tip, |text| text.parse().ok())?;
    let timeout = parse_timeout(matches)?;
    let language = text_of(matches, "template");
    if let Some(template) = TEMPLATES.iter().find(|template| Some(template.language) == language) {
        let arguments = template::Arguments { template, layer: spec, shapes };
        return Ok(Box::new(move |streams| template::run(&arguments, streams)));
    }
    if let Some(spec) = spec {
        refuse_other_options(spec, matches)?;
    }
    let own_settings = |spec: &'static LayerSpec| {
        let mut settings = settings(spec, matches)?;
        let is_shared = |name: &str| is_own_option(name) && name != "shape";
        spec.settings.iter().filter(|setting| is_shared(setting.name)).for_each(|own| settings.unset(own.name));
        Ok::<_, Error>((spec, settings))
    };
    let arguments = Arguments {
        layer: spec.map(own_settings).transpose()?,
        operands: args::operands(matches, LAYERS.iter().flat_map(|spec| spec.slots).map(|slot| &slot.name))?,
        inputs: parse_inputs(spec, matches)?,
        dout: args::dout(matches)?,
        shapes,
        seed: seed.unwrap_or(SEED),
        float_type: text_of(matches, "precision").and_then(FloatType::named),
        accumulator: text_of(matches, "accumulate").and_then(FloatType::named),
        nondeterminism: non_negative(matches, "nondet-tol")?.unwrap_or(0.0),
        tolerance: tolerance(matches)?,
        program: matches.get_many("program").into_iter().flatten().cloned().collect(),
        lifetime: if flag_of(matches, "persistent") {
            ProcessLifetime::Persistent
        } else {
            ProcessLifetime::PerRequest
        },
        timeout,
        format: check_form(matches),
    };
    Ok(Box::new(move |streams| gradcheck::run(&arguments, streams)))
}

/// Parses `--timeout`.
pub(super) fn parse_timeout(matches: &ArgMatches) -> Result<Duration, Error> {
    let seconds = |text: &str| text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && seconds.is_finite());
    let tip = "use a value such as --timeout 60";
    let timeout = value::parse(matches, "timeout", "a positive number of seconds", tip, seconds)?.unwrap_or(10.0);
    Ok(Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX))
}

/// Parses `--input`: the name and the value of operands, in the order of the command line.
fn parse_inputs(spec: Option<&LayerSpec>, matches: &ArgMatches) -> Result<Vec<(Name, OperandSpec)>, Error> {
    let mut inputs: Vec<(Name, OperandSpec)> = Vec::new();
    for text in matches.get_many::<String>("input").into_iter().flatten() {
        let refuse = |message: String| Error::new(Code::Usage, message).with_operand(&Name::new("input"));
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(refuse(format!("expected NAME=VALUE, got {:?}", sanitize(text)))
                .tip("give a name, = and a file or numbers: --input gamma=gamma.json beta=1,2"));
        };
        let name = Name::new(name.trim());
        let shown = sanitize(name.as_str());
        if let Some(spec) = spec.filter(|spec| spec.slots.iter().all(|slot| slot.name != name)) {
            let names: Vec<&str> = spec.slots.iter().map(|slot| slot.name.as_str()).collect();
            return Err(refuse(format!("{} has no operand {shown}", spec.name))
                .tip(format!("use one of its operands: {}", names.join(", "))));
        }
        if name == Name::DOUT {
            return Err(refuse("dout is not an operand, but the upstream gradient".to_owned()).tip("use --dout"));
        }
        if inputs.iter().any(|(known, _)| *known == name) {
            return Err(refuse(format!("{shown} is given twice")).tip("remove one of them"));
        }
        let is_option = LAYERS.iter().flat_map(|spec| spec.slots).any(|slot| slot.name == name);
        if is_option && text_of(matches, name.as_str()).is_some() {
            return Err(refuse(format!("{shown} is given by --{name} too")).tip("remove one of them"));
        }
        let value = grammar::parse(value).map_err(|error| error.with_operand(&gradcheck::input_option(&name)))?;
        inputs.push((name, value));
    }
    Ok(inputs)
}

/// Returns the tolerance that `--rtol` and `--atol` set.
fn tolerance(matches: &ArgMatches) -> Result<Option<Tolerance>, Error> {
    let (rtol, atol) = (non_negative(matches, "rtol")?, non_negative(matches, "atol")?);
    let is_given = rtol.is_some() || atol.is_some();
    let (rtol, atol) = (rtol.unwrap_or(0.0), atol.unwrap_or(0.0));
    Ok(is_given.then_some(Tolerance { rtol, atol, ..Tolerance::default() }))
}

fn non_negative(matches: &ArgMatches, name: &'static str) -> Result<Option<f64>, Error> {
    let is_tolerance = |text: &str| text.parse().ok().filter(|v: &f64| *v >= 0.0 && v.is_finite());
    value::parse(matches, name, "a non-negative number", "use a value such as 1e-6", is_tolerance)
}

/// Refuses operands and settings of other layers.
fn refuse_other_options(spec: &LayerSpec, matches: &ArgMatches) -> Result<(), Error> {
    let names = |spec: &'static LayerSpec| {
        let settings = spec.settings.iter().map(|setting| setting.name);
        spec.slots.iter().map(|slot| slot.name.as_str()).chain(settings)
    };
    let is_given = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine) && !is_own_option(name);
    let is_own = |name: &str| {
        spec.slots.iter().any(|slot| slot.name.as_str() == name) || spec.settings.iter().any(|s| s.name == name)
    };
    match LAYERS.iter().flat_map(|spec| names(spec)).filter(is_given).find(|name| !is_own(name)) {
        Some(other) => Err(Error::new(Code::Usage, format!("{} has no such operand or setting", spec.name))
            .with_operand(&Name::new(other))
            .tip(format!("list them with nnlayer {} --help", spec.name))),
        None => Ok(()),
    }
}

fn unknown_layer(name: &str) -> Error {
    let names: Vec<&str> = LAYERS.iter().map(|spec| spec.name).chain([CUSTOM]).collect();
    let similar = names.iter().copied().find(|known| edit_distance(known, name).is_some_and(|slips| slips <= 2));
    let similar = layer::layer_elsewhere(name).or(similar);
    Error::new(Code::Usage, format!("unknown layer {name:?}")).with_operand(&Name::new("layer")).tip(match similar {
        Some(similar) => format!("did you mean {similar}?"),
        None => format!("use one of {}", names.join(", ")),
    })
}
