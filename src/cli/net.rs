//! Command line of `nnlayer net`.

use super::args::{self, choice, flag, keep_indented_lines, option, text_of, under};
use super::backward::{dout, parse_chain};
use super::graph;
use super::ndjson;
use super::negative::file_name;
use super::request::{self, io_options, result_options};
use super::steps;
use super::value;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::run::net::{Arguments, InitArguments};
use crate::run::{Command as Run, net};
use clap::{Arg, ArgMatches, Command};

/// Largest number of weights of a new network: a JSON file of more would be impractical.
const MAX_WEIGHTS: u128 = 100_000_000;

const HELP: &str = "\
A network is a tape without saved values:
  {\"nnlayer-tape\":1,\"layers\":[
    {\"kind\":\"affine\",\"params\":{\"w\":[[1,2]],\"b\":[0,0]}},{\"kind\":\"relu\"}]}
A parameter may be a string that names an array in another file of its directory: \"params.npz#fc1.w\".

--init writes affine layers of these sizes, with an activation between them and softmax-xent at the end. W is \
uniform in ±√(6/in) before a relu (He), otherwise in ±√(6/(in+out)) (Xavier); b is 0.

--ndjson reads x and t from each record, and writes what a single layer would: y, loss, and dx, the gradient of x. \
Results of inner layers are written if --only names them: fc1.dw, or dw for the dw of every layer. --only y needs \
no targets.

Examples:
  $ nnlayer net --init 2,3,2 --seed 1 --out net.json
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
    let init = option("init", "SIZES", "write a new network of these sizes: 64,32,10");
    let activations = &["relu", "sigmoid", "tanh"];
    let activation =
        choice("activation", "LAYER", activations, "layer between affine layers: relu (default)").requires("init");
    let tape =
        flag("tape", "write a tape with saved values and gradients in place of the results").conflicts_with("only");
    let modes = [tape, steps::option().conflicts_with("init")].into_iter();
    let modes = modes.chain(graph::options(&["tape", "init", "ndjson"]));
    let modes = modes.chain(ndjson::options().map(|arg| arg.conflicts_with("init")));
    let checks = request::chain_check().map(|arg| arg.conflicts_with_all(["init", "forward"]));
    let command = command
        .about("Run a network forward and backward, or create one")
        .arg(file)
        .after_long_help(keep_indented_lines(HELP));
    let command = under("Operands", [x, t, dout()], command);
    let command = under("New network", [init, seed().requires("init"), activation], command);
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
    if let Some(sizes) = parse_sizes(matches)? {
        let arguments = InitArguments {
            request: request::parse(matches)?,
            sizes,
            activation: text_of(matches, "activation").unwrap_or("relu").to_owned(),
            seed: value::count(matches, "seed", 0, 0)?,
        };
        return Ok(Box::new(move |streams| net::init(&arguments, streams)));
    }
    let arguments = Arguments {
        output: parse_chain(matches)?,
        operands: args::operands(matches, &[Name::X, Name::T])?,
        ndjson: ndjson::parse(matches),
    };
    Ok(Box::new(move |streams| net::run(&arguments, streams)))
}

fn parse_sizes(matches: &ArgMatches) -> Result<Option<Vec<usize>>, Error> {
    let size = |text: &str| text.trim().parse().ok().filter(|size: &usize| *size > 0);
    let list = |text: &str| text.split(',').map(size).collect::<Option<Vec<_>>>().filter(|sizes| sizes.len() >= 2);
    let tip = "give the number of inputs and of the units of each layer: 64,32,10";
    let Some(sizes) = value::parse(matches, "init", "two or more positive layer sizes", tip, list)? else {
        return Ok(None);
    };
    let weights: u128 = sizes.windows(2).map(|pair| pair[0] as u128 * pair[1] as u128).sum();
    if weights > MAX_WEIGHTS {
        let message = format!("the network would have {weights} weights; {MAX_WEIGHTS} is the limit for a JSON file");
        return Err(Error::new(Code::Setting, message)
            .with_operand(&Name::new("init"))
            .tip("create larger parameters with NumPy, and name their .npz file in the network"));
    }
    Ok(Some(sizes))
}
