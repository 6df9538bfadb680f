//! `nnlayer gradcheck`: the gradients of nnlayer's layers, or of anybody's program.

use super::layer::{operand, setting, settings};
use super::request::{check_form, check_format, io_options};
use super::{Action, Other, choice, flag, option, under};
use crate::check::inputs;
use crate::check::inputs::NamedShape;
use crate::check::program::{ProcessLifetime, Program};
use crate::check::{BuiltinLayer, Case, CheckOptions, Implementation, Point};
use crate::core::error::{Code, Error, edit_distance};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Given, LAYERS, LayerSpec, Precision, Settings};
use crate::operand::OperandReader;
use crate::run::Status;
use crate::run::check;
use crate::run::messages::Messages;
use crate::run::operands::accepted_keys;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

/// The layer that only its program knows.
const CUSTOM: &str = "custom";

const EXAMPLE: &str = "\
Example:
  $ nnlayer gradcheck --layer tanh --x 0.5,-1
  PASS dx (2): all 2 entries agree with the numerical gradient (maximum error 5.55e-17)
  PASS: dx of tanh is correct

The program reads one request from its standard input and answers with one reply, both JSON: docs/gradcheck-protocol.md.
Two verdicts are given apart: its forward pass against nnlayer's, and its gradients against nnlayer's and against
differences of its own forward pass. Status 0: PASS, 1: FAIL, 3: INCONCLUSIVE.";

/// The command, with the operands and settings of every layer.
pub(super) const COMMAND: Other = Other { name: "gradcheck", command, action: Action::Run(run) };

fn command() -> Command {
    let mut operands: Vec<Arg> = Vec::new();
    let mut settings: Vec<Arg> = Vec::new();
    let fresh = |known: &[Arg], arg: &Arg| known.iter().all(|other| other.get_id() != arg.get_id());
    for spec in LAYERS {
        for arg in spec.slots.iter().map(operand) {
            if fresh(&operands, &arg) {
                operands.push(arg);
            }
        }
        for arg in spec.settings.iter().map(setting) {
            if fresh(&settings, &arg) {
                settings.push(arg);
            }
        }
    }
    operands.push(option("dout", "MATRIX", "upstream gradient; drawn where it is not given"));
    let command = Command::new("gradcheck")
        .about("the gradients of a layer, or of your program, against numerical differentiation")
        .args(own());
    let command = under("Operands: drawn where they are not given", operands, command);
    let command = under("Settings of the layer", settings, command);
    under("Options", io_options(), command)
        .arg(
            Arg::new("program")
                .value_name("PROGRAM")
                .num_args(0..)
                .last(true)
                .value_parser(value_parser!(OsString))
                .help("the program and its arguments; nnlayer's own layer where there is none"),
        )
        .disable_help_flag(true)
        .after_help(EXAMPLE)
}

fn own() -> Vec<Arg> {
    vec![
        option(
            "layer",
            "LAYER",
            "the layer: any of nnlayer's commands, or custom for one that only your program knows",
        )
        .required(true),
        option(
            "shape",
            "NAME=RxC",
            "shapes of inputs to draw: x=4x3 w=3x2; the usual ones of the layer where nothing is said",
        )
        .action(ArgAction::Append)
        .num_args(1..),
        option("seed", "N", "of what is drawn (default 1)"),
        choice("precision", &["f64", "f32"], "what the program computes in: f64 (default) or f32"),
        flag("persistent", "start the program once: it answers a line with a line"),
        option("timeout", "SECONDS", "for each request (default 10)"),
        flag("json", "one JSON object on one line"),
        flag("pretty", "indented JSON"),
        check_format(),
    ]
}

/// Runs it.
fn run(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    _messages: &mut Messages,
) -> anyhow::Result<Status> {
    let wanted = Wanted::parse(matches)?;
    let (checked, drawn) = match layer::find(&wanted.layer) {
        Some(spec) => known(spec, matches, reader, &wanted)?,
        None if wanted.layer == CUSTOM => custom(matches, reader, &wanted)?,
        None => return Err(unknown_layer(&wanted.layer).into()),
    };
    let mut checked = checked;
    if drawn {
        checked.seed = Some(wanted.seed);
    }
    check::report(&checked, check_form(matches), out)
}

/// What is asked for, apart from operands and settings.
struct Wanted {
    layer: String,
    shapes: Vec<NamedShape>,
    seed: u64,
    precision: Precision,
    lifetime: ProcessLifetime,
    timeout: Duration,
    program: Vec<OsString>,
}

impl Wanted {
    fn parse(matches: &ArgMatches) -> Result<Wanted, Error> {
        let text = |name: &str| matches.get_one::<String>(name);
        let shapes = matches.get_many::<String>("shape").into_iter().flatten();
        let seed = text("seed").map_or(Ok(check::SEED), |text| {
            text.trim()
                .parse()
                .map_err(|_| refuse("seed", text, "a whole number from 0 on", "any number that you can say again"))
        })?;
        let seconds = text("timeout").map_or(Ok(10.0), |text| {
            let seconds = text.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && seconds.is_finite());
            seconds.ok_or_else(|| refuse("timeout", text, "a number of seconds above 0", "such as 60"))
        })?;
        Ok(Wanted {
            layer: text("layer").cloned().unwrap_or_default(),
            shapes: shapes.map(|text| inputs::parse_shape(text)).collect::<Result<_, _>>()?,
            seed,
            precision: if text("precision").is_some_and(|word| word == "f32") {
                Precision::F32
            } else {
                Precision::F64
            },
            lifetime: if matches.get_flag("persistent") {
                ProcessLifetime::Persistent
            } else {
                ProcessLifetime::PerRequest
            },
            timeout: Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
            program: matches.get_many::<OsString>("program").into_iter().flatten().cloned().collect(),
        })
    }

    fn program(&self, settings: &Settings) -> Option<Program> {
        (!self.program.is_empty())
            .then(|| Program::new(&self.program, &self.layer, settings, self.lifetime, self.timeout, self.precision))
    }
}

fn refuse(option: &str, text: &str, wanted: &str, tip: &str) -> Error {
    Error::new(Code::Setting, format!("{:?} is not {wanted}", text.trim())).with_operand(&Name::new(option)).tip(tip)
}

fn unknown_layer(name: &str) -> Error {
    let names: Vec<&str> = LAYERS.iter().map(|spec| spec.name).chain([CUSTOM]).collect();
    let near = names.iter().find(|known| edit_distance(known, name).is_some_and(|slips| slips <= 2));
    Error::new(Code::Usage, format!("there is no layer {name:?}")).with_operand(&Name::new("layer")).tip(match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!("the layers are {}", names.join(", ")),
    })
}

type Answer = (crate::check::CheckReport, bool);

/// A layer that nnlayer knows: the program against it, or the layer itself.
fn known(
    spec: &'static LayerSpec,
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    wanted: &Wanted,
) -> Result<Answer, Error> {
    let others = LAYERS.iter().flat_map(|other| {
        other.slots.iter().map(|slot| slot.name.as_str()).chain(other.settings.iter().map(|setting| setting.name))
    });
    let has = |name: &str| {
        spec.slots.iter().any(|slot| slot.name.as_str() == name) || spec.settings.iter().any(|s| s.name == name)
    };
    let given =
        |name: &&str| matches.value_source(name).is_some_and(|source| source == clap::parser::ValueSource::CommandLine);
    if let Some(stray) = others.filter(|name| !has(name)).find(given) {
        return Err(Error::new(Code::Usage, format!("{} has no such operand or setting", spec.name))
            .with_operand(&Name::new(stray))
            .tip(format!("nnlayer {} --help lists them", spec.name)));
    }
    let settings = settings(spec, matches)?;
    let mut given = Tensors::new();
    for slot in spec.slots {
        if let Some(text) = matches.get_one::<String>(slot.name.as_str()) {
            given.insert(slot.name.clone(), reader.read(&slot.name, text, &accepted_keys(slot))?.value);
        }
    }
    let mut seeded = SplitMix64::new(wanted.seed);
    let at = inputs::draw_operands(spec, &settings, &given, &wanted.shapes, &mut seeded)?;
    let layer = (spec.build)(&settings)?;
    layer.admit(&Given { at: &at, rounding: &|_| f64::EPSILON / 2.0, x_was_y: false })?;
    let shape = layer.output_shape(&at);
    let (dout, drawn_dout) = dout(matches, reader, &shape, &mut seeded)?;
    let case = Case::new(spec, &settings, &at, Some(&dout), wanted.precision)?;
    let drawn = given.len() < at.len() || (drawn_dout && !shape.is_empty());
    let checked = match wanted.program(&settings) {
        Some(mut program) => check::run(&mut program, &case, CheckOptions::new(&case, wanted.seed, false))?,
        None => {
            let mut own = BuiltinLayer { layer: layer.as_ref(), precision: wanted.precision };
            check::run(&mut own, &case, CheckOptions::new(&case, wanted.seed, true))?
        }
    };
    Ok((checked, drawn))
}

/// The upstream gradient, and whether it was drawn: 1 for a loss.
fn dout(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    shape: &[usize],
    seeded: &mut SplitMix64,
) -> Result<(ndarray::ArrayD<f64>, bool), Error> {
    let ones = || ndarray::ArrayD::from_elem(shape, 1.0);
    match matches.get_one::<String>("dout").map(String::as_str) {
        Some("ones") => Ok((ones(), false)),
        Some(text) => Ok((reader.read(&Name::DOUT, text, &[Name::DOUT])?.value, false)),
        None if shape.is_empty() => Ok((ones(), true)),
        None => Ok((inputs::draw_numbers(shape, seeded), true)),
    }
}

/// A layer that only its program knows: its gradients against differences of its forward pass.
fn custom(matches: &ArgMatches, reader: &mut OperandReader<'_>, wanted: &Wanted) -> Result<Answer, Error> {
    let Some(mut program) = wanted.program(&Settings::default()) else {
        return Err(Error::new(Code::Usage, "a custom layer needs its program")
            .with_operand(&Name::new("layer"))
            .tip("nnlayer gradcheck --layer custom --shape x=4x3 -- PROGRAM ARGS"));
    };
    let mut seeded = SplitMix64::new(wanted.seed);
    let mut at = Tensors::new();
    for name in LAYERS.iter().flat_map(|spec| spec.slots).map(|slot| &slot.name) {
        if let (Some(text), None) = (matches.get_one::<String>(name.as_str()), at.get(name)) {
            at.insert(name.clone(), reader.read(name, text, std::slice::from_ref(name))?.value);
        }
    }
    let given = at.len();
    for (name, shape) in &wanted.shapes {
        at.insert(name.clone(), inputs::draw_numbers(shape, &mut seeded));
    }
    if at.is_empty() {
        return Err(Error::new(Code::OperandMissing, "a custom layer needs inputs, or shapes to draw them in")
            .with_operand(&Name::new("shape"))
            .tip("--shape x=4x3 w=3x2, or --x FILE"));
    }
    let at = at.map(|&value| crate::check::round_to(value, wanted.precision));
    let first = program.evaluate(&[Point { operands: at.clone(), dout: None }])?;
    let Some(outputs) = first.first().map(|evaluation| &evaluation.outputs) else { return Err(no_output()) };
    let output = [Name::LOSS, Name::Y].into_iter().find(|name| outputs.get(name).is_some());
    let Some(output) = output.or_else(|| outputs.names().next().cloned()) else { return Err(no_output()) };
    let shape = outputs.known(&output).shape().to_vec();
    let (dout, drawn_dout) = dout(matches, reader, &shape, &mut seeded)?;
    if dout.shape() != shape {
        let got = crate::core::error::format_shape(dout.shape());
        let message = format!("shape {got} does not fit {output} {}", crate::core::error::format_shape(&shape));
        return Err(Error::new(Code::Shape, message)
            .with_operand(&Name::DOUT)
            .tip("one value for each output, or `ones`"));
    }
    let drawn = at.len() > given || (drawn_dout && !shape.is_empty());
    let gradients: Vec<Name> = at.names().map(Name::gradient).collect();
    let case = Case::custom(at, dout, output, &gradients);
    let checked = check::run(&mut program, &case, CheckOptions::new(&case, wanted.seed, false))?;
    Ok((checked, drawn))
}

fn no_output() -> Error {
    Error::new(Code::ReplyKeyMissing, "the reply has no outputs to differentiate")
        .tip("{\"points\":[{\"outputs\":{\"y\":[…]},\"gradients\":{\"dx\":[…]}}]}")
}
