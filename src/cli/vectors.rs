//! Command line of `nnlayer vectors`.

use super::args::{choice, flag, flag_of, keep_indented_lines, option, text_of};
use super::gradcheck::{TYPES, parse_timeout};
use super::negative::{as_given, file_name};
use super::shell::message_options;
use super::value;
use crate::check::program::ProcessLifetime;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer;
use crate::layer::LAYERS;
use crate::numeric::FloatType;
use crate::run::check::SEED;
use crate::run::vectors::{Arguments, VerifyArguments};
use crate::run::{Command as Run, vectors};
use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::ffi::OsString;

const HELP: &str = "\
A case has inputs, settings, an upstream gradient, and the outputs and gradients, correctly rounded, with the largest error that a \
right program of each type may have. There is a case for every value of every setting, with and without every optional operand, and \
for inputs that programs get wrong: ties, -inf, empty batches, odd sizes, one class, large and tiny numbers, signed zeros. \
The files are JSON, .npz, .safetensors, a C header, and tensors and models of ONNX (docs/vectors.md); their bytes depend on the \
version of nnlayer, --precision and --seed alone.

Examples:
  $ nnlayer vectors gelu                                   # the names of the cases
  $ nnlayer vectors gelu --precision f32 --out gelu-f32
  $ nnlayer vectors --verify gelu-f32 --persistent -- python3 gelu.py

A program speaks the protocol of gradcheck. Exit status: 0 if every case passes, 1 if one fails, 2 for an error.";

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    command
        .about("Write test vectors of a layer, or run a program over them")
        .arg(
            Arg::new("layer")
                .value_name("LAYER")
                .value_parser(PossibleValuesParser::new(LAYERS.iter().map(|spec| spec.name)))
                .hide_possible_values(true)
                .help("name of a layer command"),
        )
        .args([
            option("cases", "NAMES", "all (default), or only these: default,ties")
                .value_delimiter(',')
                .num_args(1..)
                .action(ArgAction::Append),
            choice("precision", "TYPE", TYPES, "type of inputs and results: f64 (default), f32, f16 or bf16").long_help(
                "type of inputs and results: f64 (default), f32, f16 or bf16; with --verify, the type that the program \
                 computes in, that of the vectors by default",
            ),
            option("seed", "N", "random seed (default 1)").conflicts_with("verify"),
            file_name(option("out", "FOLDER", "write the vectors into a directory; without it, the cases are listed"))
                .short('o')
                .conflicts_with("verify"),
            file_name(option("verify", "FOLDER", "run a program over the vectors in a directory"))
                .conflicts_with("layer"),
            flag("persistent", "start the program once; it replies to each line with one line"),
            option("timeout", "SECONDS", "time limit for each case (default 10)"),
            flag("json", "write the report as one JSON object"),
            flag("pretty", "write the report as indented JSON"),
        ])
        .args(message_options())
        .arg(
            Arg::new("program")
                .value_name("PROGRAM")
                .num_args(0..)
                .last(true)
                .value_parser(value_parser!(OsString))
                .help("program and its arguments, for --verify"),
        )
        .after_long_help(keep_indented_lines(HELP))
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    let names = matches.get_many::<String>("cases").into_iter().flatten();
    let names: Vec<String> = names.map(|name| as_given(name).to_owned()).filter(|name| name != "all").collect();
    let float_type = text_of(matches, "precision").and_then(FloatType::named);
    let has_program = matches.get_many::<OsString>("program").is_some_and(|mut words| words.next().is_some());
    if let Some(folder) = text_of(matches, "verify") {
        if !has_program {
            let error = Error::new(Code::Usage, "requires a program").with_operand(&Name::new("verify"));
            return Err(error.tip("name the program after --: nnlayer vectors --verify FOLDER -- PROGRAM ARGS"));
        }
        let is_persistent = flag_of(matches, "persistent");
        let arguments = VerifyArguments {
            folder: folder.to_owned(),
            names,
            float_type,
            program: matches.get_many("program").into_iter().flatten().cloned().collect(),
            lifetime: if is_persistent { ProcessLifetime::Persistent } else { ProcessLifetime::PerRequest },
            timeout: parse_timeout(matches)?,
            json: flag_of(matches, "json"),
            pretty: flag_of(matches, "pretty"),
        };
        return Ok(Box::new(move |streams| vectors::verify(&arguments, streams)));
    }
    if has_program {
        let error = Error::new(Code::Usage, "a program has an effect only with --verify");
        return Err(error.tip("name the folder of the vectors: --verify FOLDER"));
    }
    let of_verify = ["persistent", "timeout", "json", "pretty"];
    if let Some(name) = of_verify.into_iter().find(|name| matches.value_source(name) == Some(ValueSource::CommandLine))
    {
        let error = Error::new(Code::Usage, "has an effect only with --verify").with_operand(&Name::new(name));
        return Err(error.tip("leave it out: vectors are written as files"));
    }
    let Some(spec) = text_of(matches, "layer").and_then(layer::find) else {
        let error = Error::new(Code::Usage, "the name of a layer is required");
        return Err(error.tip("name a layer, as in nnlayer vectors relu, or a folder with --verify"));
    };
    let tip = "use any non-negative integer";
    let seed = value::parse(matches, "seed", "a non-negative integer", tip, |text| text.parse().ok())?;
    let arguments = Arguments {
        spec,
        names,
        float_type: float_type.unwrap_or_default(),
        seed: seed.unwrap_or(SEED),
        folder: text_of(matches, "out").map(str::to_owned),
    };
    Ok(Box::new(move |streams| vectors::write(&arguments, streams)))
}
