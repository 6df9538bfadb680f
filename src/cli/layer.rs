//! All layer commands: operands and settings in, one report out.

use super::error::Messages;
use super::{Status, choice, flag, set_color};
use crate::bundle::Bundle;
use crate::fault::{Code, Fault, Note, Severity, shape};
use crate::format::{self, Selector, Width};
use crate::layer::{self, AnyLayer, Given, Kind, LayerSpec, Outcome, Precision, ScalarDout, Settings, Slot};
use crate::name::Name;
use crate::operand::{Operands, Origin, Reader};
use crate::report::{Block, Json, Renderer, Report, Text, write};
use clap::{Arg, ArgAction, ArgMatches, Command};
use ndarray::{ArrayD, IxDyn};
use std::io::{BufWriter, Write};
use std::path::Path;

/// The command of a layer.
pub(super) fn command(spec: &'static LayerSpec) -> Command {
    let operands = spec.slots.iter().map(operand).chain([dout(spec)]);
    let settings = spec.settings.iter().map(|setting| match setting.kind {
        Kind::Flag => flag(setting.name, setting.doc),
        Kind::Choice(words) => choice(setting.name, words, setting.doc),
        Kind::Integer => Arg::new(setting.name).long(setting.name).value_name("N").help(setting.doc),
        Kind::Number => Arg::new(setting.name).long(setting.name).value_name("NUMBER").help(setting.doc),
    });
    Command::new(spec.name)
        .about(spec.about)
        .args(operands.map(|arg| arg.help_heading("Operands")))
        .args(settings.map(|arg| arg.help_heading("Settings")))
        .args(common().into_iter().map(|arg| arg.help_heading("Options")))
        .disable_help_flag(true)
        .after_help(after_help(spec))
}

fn operand(slot: &Slot) -> Arg {
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
    Arg::new("dout").long("dout").value_name("MATRIX").help(help)
}

fn common() -> Vec<Arg> {
    vec![
        flag("forward", "compute no gradients").conflicts_with("dout"),
        choice(
            "precision",
            &["f64", "f32"],
            "f64 (default), or f32: inputs rounded to single precision, results of single precision",
        ),
        flag("strict", "warnings are errors"),
        flag("json", "one JSON object on one line"),
        flag("pretty", "indented JSON"),
        Arg::new("only")
            .long("only")
            .value_name("NAMES")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .help("show these results only: y,dx"),
        Arg::new("out")
            .long("out")
            .value_name("FILE")
            .help("write results to a .json, .npz, .npy or .csv file instead"),
        choice(
            "in-format",
            &["json", "npy", "npz", "csv", "tsv", "safetensors"],
            "format of standard input, where its first bytes do not tell",
        ),
        flag("no-stdin", "never read standard input"),
        choice("error-format", &["text", "json"], "how errors and warnings are written on standard error"),
        choice("color", &["auto", "always", "never"], "colours in messages"),
        Arg::new("help").short('h').long("help").action(ArgAction::Help).help("print this"),
    ]
}

fn after_help(spec: &LayerSpec) -> String {
    let formulas: Vec<String> = spec.results.iter().map(|(name, formula)| format!("  {name} = {formula}")).collect();
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
    reader: &mut Reader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages<'_>,
) -> anyhow::Result<Status> {
    let request = Request::parse(matches)?;
    reader.stdin.closed = matches.get_flag("no-stdin");
    reader.in_format = request.in_format;
    set_color(matches);
    let mut given = gather(spec, matches, reader)?;
    let (report, notes) =
        report(spec, &request, &mut given, matches, reader).map_err(|fault| reader.place(fault, &given.operands))?;
    for note in notes {
        let note = Note { severity: note.severity, fault: reader.place(note.fault, &given.operands) };
        if matches.get_flag("strict") && note.severity == Severity::Warning {
            return Err(note.fault.into());
        }
        messages.note(&note);
    }
    request.write(report, out)?;
    Ok(Status::Done)
}

/// What is asked for, apart from operands and settings.
struct Request {
    precision: Precision,
    forward: bool,
    only: Option<Vec<String>>,
    out: Option<(String, &'static dyn format::Format)>,
    in_format: Option<&'static dyn format::Format>,
    json: bool,
    pretty: bool,
}

impl Request {
    fn parse(matches: &ArgMatches) -> Result<Request, Fault> {
        let out = matches
            .get_one::<String>("out")
            .map(|path| writable(path).map(|format| (path.clone(), format)))
            .transpose()?;
        Ok(Request {
            precision: match matches.get_one::<String>("precision").map(String::as_str) {
                Some("f32") => Precision::F32,
                _ => Precision::F64,
            },
            forward: matches.get_flag("forward"),
            only: matches.get_many::<String>("only").map(|names| names.cloned().collect()),
            out,
            in_format: matches.get_one::<String>("in-format").and_then(|name| format::by_extension(name)),
            json: matches.get_flag("json"),
            pretty: matches.get_flag("pretty"),
        })
    }

    /// Whether a gradient is asked for.
    fn backward(&self, spec: &LayerSpec) -> bool {
        let forward_only = |names: &Vec<String>| {
            names
                .iter()
                .all(|name| spec.results.iter().any(|(known, _)| known.as_str() == name && !known.is_gradient()))
        };
        !self.forward && !self.only.as_ref().is_some_and(forward_only)
    }

    fn write(&self, report: Report, out: &mut dyn Write) -> anyhow::Result<()> {
        let Some((path, format)) = &self.out else {
            let mut out = BufWriter::new(out);
            let renderer: &dyn Renderer = if self.json || self.pretty { &Json { pretty: self.pretty } } else { &Text };
            renderer.render(&report, &mut out)?;
            return Ok(out.flush()?);
        };
        if !format.holds_names() && report.blocks.len() != 1 {
            let names: Vec<&str> = report.blocks.iter().map(|block| block.name.as_str()).collect();
            return Err(Fault::new(
                Code::OutFormat,
                format!("{} holds one result, there are {}: {}", format.name(), names.len(), names.join(", ")),
            )
            .of(&Name::new("out"))
            .from(path)
            .tip(format!("choose one with --only {}, or write .npz or .json", names.first().unwrap_or(&"y")))
            .into());
        }
        let width = report.width;
        let values: Bundle<f64> = report.blocks.into_iter().map(|block| (block.name, block.value)).collect();
        Ok(write::file(path, |out| format.write(&values, width, out)).map_err(|fault| fault.of(&Name::new("out")))?)
    }
}

fn writable(path: &str) -> Result<&'static dyn format::Format, Fault> {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    format::by_extension(extension).filter(|format| format.writes()).ok_or_else(|| {
        Fault::new(Code::OutFormat, format!("the extension {extension:?} names no format that can be written"))
            .of(&Name::new("out"))
            .from(path)
            .tip("results are written to .json, .npz, .npy or .csv files")
    })
}

/// Operands and settings, from options and from standard input.
struct Gathered {
    operands: Operands,
    settings: Settings,
    notes: Vec<Note>,
    x_was_y: bool,
}

fn gather(spec: &'static LayerSpec, matches: &ArgMatches, reader: &mut Reader<'_>) -> Result<Gathered, Fault> {
    let mut given =
        Gathered { operands: Operands::default(), settings: Settings::default(), notes: Vec::new(), x_was_y: false };
    for setting in spec.settings {
        let text = match setting.kind {
            Kind::Flag => matches.get_flag(setting.name).then(|| "true".to_owned()),
            _ => matches.get_one::<String>(setting.name).cloned(),
        };
        if let Some(text) = text {
            given.settings.set(setting.name, setting.read(&text)?);
        }
    }
    let open = |slot: &&Slot| matches.get_one::<String>(slot.name.as_str()).is_none();
    let missing: Vec<&Slot> = spec.slots.iter().filter(open).filter(|slot| !slot.optional).collect();
    let piped = if missing.is_empty() { Piped::default() } else { Piped::look(spec, &missing, reader)? };
    for slot in spec.slots {
        if let Some(text) = matches.get_one::<String>(slot.name.as_str()) {
            let operand = reader.read(&slot.name, text, &stand_ins(slot))?;
            given.operands.insert(slot.name.clone(), operand);
        } else if let Some(key) = piped.key(slot) {
            given.x_was_y |= slot.name == Name::X && key == Some(Name::Y);
            let selector = key.map_or(Selector::Whole, |key| Selector::parse(key.as_str()));
            let operand = reader.standard_input(&selector, &[]).map_err(|fault| fault.of(&slot.name))?;
            given.operands.insert(slot.name.clone(), operand);
        } else if !slot.optional {
            return Err(piped.without(slot, &missing));
        }
    }
    for setting in spec.settings.iter().filter(|setting| given.settings.get(setting.name).is_none()).collect::<Vec<_>>()
    {
        if let (true, Some(text)) = (piped.has(setting.name), reader.stdin_setting(setting.name)) {
            given
                .settings
                .set(setting.name, setting.read(&text).map_err(|fault| fault.from(crate::operand::stdin::LABEL))?);
        }
    }
    given.notes.extend(piped.near_misses(spec, &given));
    if matches.get_one::<String>("dout").is_none() && !matches.get_flag("forward") && piped.has("dout") {
        let operand = reader.standard_input(&Selector::parse("dout"), &[]).map_err(|fault| fault.of(&Name::DOUT))?;
        given.operands.insert(Name::DOUT, operand);
    }
    Ok(given)
}

/// The keys that may stand for an operand in a document of names: its own, and the previous layer's output for x.
fn stand_ins(slot: &Slot) -> Vec<Name> {
    if slot.name == Name::X { vec![Name::X, Name::Y] } else { vec![slot.name.clone()] }
}

/// What standard input offers to the operands that no option gave.
#[derive(Default)]
struct Piped {
    /// Whether standard input was looked at.
    read: bool,
    /// The keys of a document of names.
    names: Option<Vec<String>>,
    /// The one operand that a bare array goes to.
    bare: Option<Name>,
}

impl Piped {
    fn look(spec: &LayerSpec, missing: &[&Slot], reader: &mut Reader<'_>) -> Result<Piped, Fault> {
        if !reader.stdin.speaks() {
            return Err(operand_missing(spec, missing[0]));
        }
        let names = reader.stdin_names().map_err(|fault| fault.of(&missing[0].name))?;
        let bare = match (&names, missing) {
            (None, [only]) => Some(only.name.clone()),
            _ => None,
        };
        Ok(Piped { read: true, names, bare })
    }

    fn has(&self, key: &str) -> bool {
        self.names.as_ref().is_some_and(|names| names.iter().any(|name| name == key))
    }

    /// The key that serves an operand, or all of standard input.
    #[allow(clippy::option_option)] // nothing, everything, or a key
    fn key(&self, slot: &Slot) -> Option<Option<Name>> {
        if self.bare.as_ref() == Some(&slot.name) {
            return Some(None);
        }
        stand_ins(slot).into_iter().find(|name| self.has(name.as_str())).map(Some)
    }

    fn without(&self, slot: &Slot, missing: &[&Slot]) -> Fault {
        let fault =
            Fault::new(Code::OperandMissing, format!("is not given: {}, {}", slot.doc, slot.shape)).of(&slot.name);
        match &self.names {
            Some(names) => fault
                .from(crate::operand::stdin::LABEL)
                .fact(format!("standard input has the keys {}", names.join(", ")))
                .tip(format!("--{0} -#/KEY takes another key of it for {0}", slot.name)),
            None if self.read => {
                let names: Vec<String> = missing.iter().map(|slot| format!("--{}", slot.name)).collect();
                fault
                    .fact(format!("standard input holds one matrix, and {} are open", names.join(" and ")))
                    .tip("give all but one as options, or pipe one object with a key for each")
            }
            None => fault,
        }
    }

    /// Warnings for keys that are nearly an open operand's name.
    fn near_misses(&self, spec: &LayerSpec, given: &Gathered) -> Vec<Note> {
        let open: Vec<&str> = spec
            .slots
            .iter()
            .map(|slot| slot.name.as_str())
            .filter(|name| given.operands.values.get(&Name::new(*name)).is_none())
            .collect();
        let names = self.names.as_deref().unwrap_or_default();
        let near = |key: &&String, name: &str| {
            key.as_str() != name
                && (key.eq_ignore_ascii_case(name) || (name.len() > 2 && strsim::damerau_levenshtein(key, name) <= 2))
        };
        names
            .iter()
            .filter_map(|key| open.iter().find(|name| near(&key, name)).map(|name| (key, name)))
            .map(|(key, name)| {
                Note::warning(
                    Fault::new(Code::UnknownKey, format!("the key {key} is not used: did you mean {name}?"))
                        .from(crate::operand::stdin::LABEL)
                        .tip(format!("--{name} -#/{key} takes it as it is")),
                )
            })
            .collect()
    }
}

fn operand_missing(spec: &LayerSpec, slot: &Slot) -> Fault {
    let required: Vec<String> =
        spec.slots.iter().filter(|slot| !slot.optional).map(|slot| format!("--{} MATRIX", slot.name)).collect();
    Fault::new(Code::OperandMissing, format!("is not given: {}, {}", slot.doc, slot.shape))
        .of(&slot.name)
        .fact(format!("usage: nnlayer {} {}", spec.name, required.join(" ")))
        .fact(format!("example: {}", spec.examples[0].command))
        .tip(format!("nnlayer {} --help explains each; a JSON object with these keys can be piped in", spec.name))
}

fn report(
    spec: &'static LayerSpec,
    request: &Request,
    given: &mut Gathered,
    matches: &ArgMatches,
    reader: &mut Reader<'_>,
) -> Result<(Report, Vec<Note>), Fault> {
    let layer = (spec.build)(&given.settings)?;
    let piped_dout = given.operands.values.take(&Name::DOUT);
    let rounding = |name: &Name| given.operands.rounding(name);
    let admitted = layer::admit(
        layer.as_ref(),
        &Given { at: &given.operands.values, rounding: &rounding, x_was_y: given.x_was_y },
    )?;
    let mut notes = std::mem::take(&mut given.notes);
    notes.extend(admitted);
    let dout = match (request.backward(spec), matches.get_one::<String>("dout")) {
        (false, _) => None,
        (true, Some(text)) if text == "ones" => Some(Dout::ones(layer.as_ref(), given)),
        (true, Some(text)) => {
            let operand = reader.read(&Name::DOUT, text, &[Name::DOUT])?;
            let typed = operand.origin == Origin::Typed;
            given.operands.insert(Name::DOUT, operand);
            let value = given.operands.values.take(&Name::DOUT).unwrap_or_else(|| unreachable!("inserted above"));
            Some(Dout::new(spec, layer.as_ref(), given, value, typed)?)
        }
        (true, None) => match piped_dout {
            Some(value) => Some(Dout::new(spec, layer.as_ref(), given, value, false)?),
            None => Some(Dout { said: false, ..Dout::ones(layer.as_ref(), given) }),
        },
    };
    notes.extend(dout.as_ref().and_then(|dout| dout.local.then(|| local_factors_note(dout.value[[]]))));
    let outcome = layer::compute(
        layer.as_ref(),
        &given.operands.values,
        dout.as_ref().map(|dout| &dout.value),
        request.precision,
    );
    let blocks = blocks(spec, layer.as_ref(), &given.operands.values, dout.as_ref(), outcome);
    let mut report =
        Report { blocks, width: if request.precision == Precision::F32 { Width::Single } else { Width::Double } };
    if let Some(only) = &request.only {
        report.only(only)?;
    }
    Ok((report, notes))
}

/// The upstream gradient.
struct Dout {
    value: ArrayD<f64>,
    /// Whether the user said it.
    said: bool,
    /// Whether it is a number that scales the local factors.
    local: bool,
}

impl Dout {
    fn ones(layer: &dyn AnyLayer, given: &Gathered) -> Dout {
        Dout {
            value: ArrayD::from_elem(IxDyn(&layer.output_shape(&given.operands.values)), 1.0),
            said: true,
            local: false,
        }
    }

    fn new(
        spec: &LayerSpec,
        layer: &dyn AnyLayer,
        given: &Gathered,
        value: ArrayD<f64>,
        typed: bool,
    ) -> Result<Dout, Fault> {
        let wanted = layer.output_shape(&given.operands.values);
        if value.ndim() == 0 {
            let local = typed && matches!(spec.scalar_dout, ScalarDout::LocalFactors(_));
            let value = if local { value } else { ArrayD::from_elem(IxDyn(&wanted), value[[]]) };
            return Ok(Dout { value, said: true, local });
        }
        if value.shape() == wanted {
            return Ok(Dout { value, said: true, local: false });
        }
        Err(Fault::new(
            Code::Shape,
            format!("shape {} does not fit {} {}", shape(value.shape()), spec.output, shape(&wanted)),
        )
        .of(&Name::DOUT)
        .shape(&Name::DOUT, value.shape())
        .shape(&spec.output, &wanted)
        .tip(format!(
            "the upstream gradient has one value for each of {}; --dout ones stands for 1 everywhere",
            spec.output
        )))
    }
}

fn local_factors_note(k: f64) -> Note {
    Note::info(
        Fault::new(
            Code::LocalFactors,
            format!("the number {k} scales the local factors, as np.dot does with a scalar: these are no gradients"),
        )
        .of(&Name::DOUT)
        .tip("--dout ones gives the gradients of L = Σy"),
    )
}

fn blocks(
    spec: &'static LayerSpec,
    layer: &dyn AnyLayer,
    at: &Bundle<f64>,
    dout: Option<&Dout>,
    outcome: Outcome,
) -> Vec<Block> {
    let averaged = outcome.results.get(&Name::DIVISOR).is_some();
    let local = match &spec.scalar_dout {
        ScalarDout::LocalFactors(formulas) if dout.is_some_and(|dout| dout.local) => *formulas,
        _ => &[],
    };
    let formulas = [local, &layer.formulas(at), spec.results, &[(Name::DIVISOR, "what the mean divides by")]].concat();
    let formula = |name: &Name| {
        let formula = formulas.iter().find(|(known, _)| known == name).map_or("", |(_, formula)| *formula);
        if averaged && (*name == Name::LOSS || name.is_gradient()) {
            format!("({formula}) / divisor")
        } else {
            formula.to_owned()
        }
    };
    let mut ones = dout
        .filter(|dout| !dout.said && !spec.is_loss())
        .map(|_| format!("{} = ones: the gradients of L = Σ{}", Name::DOUT, spec.output));
    let mut blocks: Vec<Block> = outcome
        .results
        .into_iter()
        .map(|(name, value)| Block { formula: formula(&name), name, value, before: None })
        .collect();
    blocks.extend(outcome.gradients.into_iter().map(|(name, value)| Block {
        formula: formula(&name),
        name,
        value,
        before: ones.take(),
    }));
    blocks
}
