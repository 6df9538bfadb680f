//! Command line of `nnlayer net`.

use super::args::{self, choice, flag, flag_of, keep_indented_lines, option, text_of, under};
use super::backward::{dout, parse_chain};
use super::graph;
use super::ndjson;
use super::negative::file_name;
use super::request::{self, io_options, result_options};
use super::steps;
use super::value;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer::Mode;
use crate::run::net::{Arguments, InitArguments};
use crate::run::{Command as Run, net};
use clap::{Arg, ArgMatches, Command};

const HELP: &str = "\
A network is a tape without saved values:
  {\"nnlayer-tape\":1,\"layers\":[
    {\"kind\":\"affine\",\"params\":{\"w\":[[1,2]],\"b\":[0,0]}},{\"kind\":\"relu\"}]}
A parameter may be a string that names an array in another file of its directory: \"params.npz#fc1.w\".

--init writes the layers of a list, or affine layers of these sizes with an activation between them; softmax-xent \
ends them if no other loss does. W is uniform in ±√(6/in) before a relu or the like (He), otherwise in ±√(6/(in+out)) \
(Xavier); b is 0. In a list, a layer has its sizes (conv2d CHANNELS KERNEL [PADDING], maxpool2d KERNEL [STRIDE], \
affine OUTPUTS, embedding ROWS WIDTH), then settings as NAME=VALUE, its name as name=fc1, and inputs from earlier layers \
as x2=%fc1.y.

--ndjson reads x and t from each record, and writes what a single layer would: y, loss, and dx, the gradient of x. \
Results of inner layers are written if --only names them: fc1.dw, or dw for the dw of every layer. --only y needs \
no targets.

Examples:
  $ nnlayer net --init 2,3,2 --seed 1 --out net.json
  $ nnlayer net --init 'conv2d 8 3x3 same, relu, maxpool2d 2, flatten, affine 10' --input 1x8x8 --out cnn.json
  $ nnlayer net net.json --x '1,2;3,4' --t 0,1 --only dw,loss";

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    let file = file_name(Arg::new("document"))
        .value_name("NETWORK")
        .required_unless_present("init")
        .conflicts_with("init")
        .help("file of the network; - is standard input");
    let x = option("x", "X", "input of the first layer").conflicts_with("init");
    let t = option("t", "T", "targets, if the last layer is a loss").conflicts_with("init");
    let init = option("init", "LAYERS", "write a new network of these sizes, 64,32,10, or of these layers");
    let input = option("input", "SHAPE", "shape of a sample, for a list of layers: 64, 1x8x8")
        .requires("init")
        .hide_short_help(true);
    let activations = &["relu", "sigmoid", "tanh"];
    let activation =
        choice("activation", "LAYER", activations, "layer between affine layers: relu (default)").requires("init");
    let tape =
        flag("tape", "write a tape with saved values and gradients in place of the results").conflicts_with("only");
    let training = flag("training", "run batchnorm and dropout as in training: batch statistics, masks by --seed");
    let training = training.conflicts_with_all(["init", "ndjson"]).hide_short_help(true);
    let modes = [tape, training, steps::option().conflicts_with("init")].into_iter();
    let modes = modes.chain(graph::options(&["tape", "init", "ndjson"]));
    let modes = modes.chain(ndjson::options().map(|arg| arg.conflicts_with("init")));
    let checks = request::chain_checks().map(|arg| arg.conflicts_with_all(["init", "forward"]));
    let command = command
        .about("Run a network forward and backward, or create one")
        .arg(file)
        .after_long_help(keep_indented_lines(HELP));
    let command = under("Operands", [x, t, dout()], command);
    let command = under("New network", [init, input, seed(), activation], command);
    let command = under("Results", result_options(), command);
    let command = under("Checks", checks, command);
    let command = under("Modes", modes, command);
    under("Options", io_options(), command)
}

/// Returns the option `--seed`.
pub(super) fn seed() -> Arg {
    option("seed", "N", "random seed, 0 by default")
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    if let Some((layers, input)) = parse_init(matches)? {
        let (request, seed) = (request::parse(matches)?, value::count(matches, "seed", 0, 0)?);
        let arguments = InitArguments { request, layers, input, seed };
        return Ok(Box::new(move |streams| net::init(&arguments, streams)));
    }
    let arguments = Arguments {
        output: parse_chain(matches)?,
        operands: args::operands(matches, &[Name::X, Name::T])?,
        ndjson: ndjson::parse(matches),
        mode: match flag_of(matches, "training") {
            true => Mode::Training(value::count(matches, "seed", 0, 0)?),
            false => Mode::Inference,
        },
    };
    Ok(Box::new(move |streams| net::run(&arguments, streams)))
}

/// Returns the list of layers of `--init`, and the shape of a sample.
fn parse_init(matches: &ArgMatches) -> Result<Option<(String, Vec<usize>)>, Error> {
    let Some(text) = text_of(matches, "init").map(str::trim) else { return Ok(None) };
    let size = |text: &str| text.trim().parse().ok().filter(|size: &usize| *size > 0);
    let shape = |text: &str| text.split('x').map(size).collect::<Option<Vec<_>>>();
    let tip = "give the shape of a sample, without the batch: 64, 1x8x8";
    let input = value::parse(matches, "input", "positive sizes", tip, shape)?;
    if text.starts_with(|first: char| first.is_alphabetic()) {
        if text_of(matches, "activation").is_some() {
            return Err(Error::new(Code::Usage, "is for a list of sizes; a list of layers has its own")
                .with_operand(&Name::new("activation"))
                .tip("leave it out"));
        }
        let missing = || {
            Error::new(Code::OperandMissing, "is required: the shape of a sample, for a list of layers")
                .with_operand(&Name::new("input"))
                .tip(tip)
        };
        return Ok(Some((text.to_owned(), input.ok_or_else(missing)?)));
    }
    if input.is_some() {
        return Err(Error::new(Code::Usage, "is for a list of layers; the first of a list of sizes is the input")
            .with_operand(&Name::new("input"))
            .tip("leave it out"));
    }
    let list = |text: &str| text.split(',').map(size).collect::<Option<Vec<_>>>().filter(|sizes| sizes.len() >= 2);
    let tip =
        "give the number of inputs and of the units of each layer, 64,32,10, or layers: affine 32, relu, affine 10";
    let sizes = value::parse(matches, "init", "two or more positive layer sizes, or layers", tip, list)?;
    let activation = format!(", {}, ", text_of(matches, "activation").unwrap_or("relu"));
    Ok(sizes.map(|sizes| {
        let layers: Vec<String> = sizes[1..].iter().map(|outputs| format!("affine {outputs}")).collect();
        (layers.join(&activation), vec![sizes[0]])
    }))
}
