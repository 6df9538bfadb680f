//! `nnlayer net`: a network from a file, forward and backward; and new ones.

use super::backward::dout;
use super::record::Records;
use super::request::{self, common_without};
use super::{Action, Other, choice, flag, graph, option, steps, stream, tape, text_of, value};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::Selector;
use crate::network as chain;
use crate::network::{Inputs, Stage, Tape, learn};
use crate::operand::{Operand, OperandReader, Operands, stdin};
use crate::report::ChainReport;

use crate::run::Status;
use crate::run::chain::{line_before_gradients, read_dout, save, sections};
use crate::run::check;
use crate::run::messages::Messages;
use clap::{Arg, ArgMatches, Command};
use std::io::Write;

/// The command.
pub(super) const COMMAND: Other = Other { name: "net", command, action: Action::Run(run) };

const HELP: &str = "\
A network is a tape without saved values:
  {\"nnlayer-tape\":1,\"layers\":[{\"kind\":\"affine\",\"params\":{\"w\":[[1,2]],\"b\":[0,0]}},{\"kind\":\"relu\"}]}
In its file, a parameter may be a string that names an array in a file beside it: \"params.npz#fc1.w\".

--init writes affine layers of these sizes, an activation between them and softmax-xent at the end. W is
uniform in ±√(6/in) before a relu (He), else in ±√(6/(in+out)) (Xavier); b is 0.

--ndjson reads x and t of each record and gives what one layer would: y, loss, and dx, the gradient at x. A
result inside is given where --only names it: fc1.dw, or dw for all of that name. --only y needs no targets.

Examples:
  $ nnlayer net --init 2,3,2 --seed 1 --out net.json
  $ nnlayer net net.json --x '1,2;3,4' --t 0,1 --only dw,loss";

fn command() -> Command {
    Command::new(COMMAND.name)
        .about("a network from a file, run forward and backward, or a new one")
        .arg(
            Arg::new("document")
                .value_name("NETWORK")
                .required_unless_present("init")
                .conflicts_with("init")
                .help("the network's file; - is standard input"),
        )
        .arg(option("x", "MATRIX", "input of the first layer").conflicts_with("init"))
        .arg(option("t", "MATRIX", "targets, where the last layer is a loss").conflicts_with("init"))
        .arg(dout())
        .args(stream::options().map(|arg| arg.conflicts_with("init")))
        .args(graph::options(&["tape", "init", "ndjson"]))
        .arg(steps::option().conflicts_with("init"))
        .arg(flag("tape", "write a tape with saved values and gradients in place of results").conflicts_with("only"))
        .args(request::chain_check().map(|arg| arg.conflicts_with_all(["init", "forward"])))
        .arg(option("init", "SIZES", "write a new network of these sizes: 64,32,10"))
        .arg(seed().requires("init"))
        .arg(
            choice("activation", &["relu", "sigmoid", "tanh"], "between affine layers: relu (default)")
                .requires("init"),
        )
        .args(common_without(&[]))
        .disable_help_flag(true)
        .after_help(HELP)
}

/// `--seed`.
pub(super) fn seed() -> Arg {
    option("seed", "N", "where random numbers come from, 0 by default")
}

fn run(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<Status> {
    let request = request::parse(matches)?;
    let dout_option = super::args::dout(matches)?;
    let picture = graph::parse(matches)?;
    if let Some(sizes) = text_of(matches, "init") {
        let mut tape = learn::init_network(
            &read_sizes(sizes)?,
            text_of(matches, "activation").unwrap_or("relu"),
            value::count(matches, "seed", 0, 0)?,
        )?;
        tape::set_precision(&mut tape, &request);
        request.write_document(&tape, out)?;
        return Ok(Status::Done);
    }
    let source = text_of(matches, "document").unwrap_or("-");
    if let Some(records) = stream::asked_for(matches) {
        stream::admit(matches)?;
        admit_records(source, records)?;
    }
    let mut tape = tape::read(reader, source, true)?;
    tape::set_precision(&mut tape, &request);
    tape.clear_records();
    if stream::asked_for(matches).is_some() {
        let label = if source == "-" { stdin::LABEL } else { source };
        let records = Records::of_network(tape, label, matches, &request, reader)?;
        return stream::run(&records, matches, reader, out, messages);
    }
    let given = gather(matches, reader, &tape)?;
    let forward = request.forward;
    let mut dout = None;
    let mut upstream = |last: &Stage, shape: &[usize]| {
        dout = if forward { None } else { Some(read_dout(&dout_option, reader, last, shape)?) };
        Ok(dout.clone())
    };
    let (x, t) = (given.values.known(&Name::X).clone(), given.values.get(&Name::T).cloned());
    let ran = chain::run(&tape, Inputs { x, t, rounding: &|name| given.rounding(name) }, &mut upstream);
    let run = ran.map_err(|error| tape::blame(reader.locate_in_source(error, &given), source))?;
    messages.notes(&run.notes, request.strict)?;
    if request.check {
        return check::chain(tape, run, &dout_option, reader, &request, out);
    }
    if let Some(picture) = picture {
        let said = text_of(matches, "dout").is_some() || dout.is_none();
        crate::run::graph::chain(&tape, run, dout.as_ref(), said, &picture, out, messages)?;
    } else if let Some(form) = request.steps {
        let said = text_of(matches, "dout").is_some();
        crate::run::steps::chain(&tape, run, dout.as_ref(), said, form, &request, out)?;
    } else if tape::asked_for(matches) {
        save(&mut tape, run);
        request.write_document(&tape, out)?;
    } else {
        let mut sections = sections(&tape, &run);
        let said = text_of(matches, "dout").is_some() || tape.stages.last().is_some_and(|last| last.spec.is_loss());
        if !said && run.gradients.is_some() {
            say_ones(&tape, &mut sections, line_before_gradients(&tape, &run, said));
        }
        request.write_sections(sections, out)?;
    }
    Ok(Status::Done)
}

/// Refuses a network and records that both come from standard input.
fn admit_records(source: &str, records: &str) -> Result<(), Error> {
    let piped = |text: &str| matches!(text, "-" | "@-");
    if !piped(source) || !piped(records) {
        return Ok(());
    }
    Err(Error::new(Code::StdinTwice, "standard input is the network, and was to give the records too")
        .with_operand(&Name::new("ndjson"))
        .tip("name the network's file, or the records': nnlayer net net.json --ndjson records.ndjson"))
}

fn say_ones(tape: &Tape, sections: &mut ChainReport, text: Option<String>) {
    let layers = tape.stages.iter().zip(&mut sections.sections);
    let mut blocks = layers.flat_map(|(stage, (_, blocks))| blocks.iter_mut().map(|block| (stage.spec, block)));
    if let Some((_, first)) = blocks.find(|(spec, block)| spec.is_gradient(&block.name)) {
        first.before = text;
    }
}

/// x and t, from options or from standard input: an object with these keys, or the one matrix that is open.
fn gather(matches: &ArgMatches, reader: &mut OperandReader<'_>, tape: &Tape) -> Result<Operands, Error> {
    let needed = [(Name::X, true), (Name::T, tape.stages.iter().any(Stage::has_target))];
    let missing: Vec<&Name> = needed
        .iter()
        .filter(|(name, needed)| *needed && text_of(matches, name.as_str()).is_none())
        .map(|(name, _)| name)
        .collect();
    let mut given = Operands::default();
    for (name, _) in &needed {
        if let Some(text) = text_of(matches, name.as_str()) {
            given.insert(name.clone(), reader.read(name, text, &[name.clone(), Name::Y])?);
        } else if missing.contains(&name) {
            given.insert(name.clone(), piped(name, missing.len() == 1, reader)?);
        }
    }
    Ok(given)
}

fn piped(name: &Name, alone: bool, reader: &mut OperandReader<'_>) -> Result<Operand, Error> {
    let absent = || {
        Error::new(Code::OperandMissing, "is not given, and the network needs it")
            .with_operand(name)
            .tip("give --x and, for a loss, --t; or pipe an object with these keys")
    };
    if !reader.stdin.is_piped() || network_was_piped(reader) {
        return Err(absent());
    }
    let names = reader.stdin_names().map_err(|error| error.with_operand(name))?;
    let selector = match names {
        Some(names) => {
            let keys = if *name == Name::X { vec![Name::X, Name::Y] } else { vec![name.clone()] };
            match keys.iter().find(|key| names.iter().any(|known| known == key.as_str())) {
                Some(key) => Selector::parse(key.as_str()),
                None => return Err(absent().fact(format!("standard input has the keys {}", names.join(", ")))),
            }
        }
        None if alone => Selector::Default,
        None => return Err(absent().fact("standard input holds one matrix, and two are open")),
    };
    reader.read_stdin(&selector, &[]).map_err(|error| error.with_operand(name))
}

/// Whether standard input was the network itself, which has no operands.
fn network_was_piped(reader: &mut OperandReader<'_>) -> bool {
    crate::run::layer_tape::is_piped(reader)
}

fn read_sizes(text: &str) -> Result<Vec<usize>, Error> {
    let size = |part: &str| part.trim().parse::<usize>().ok().filter(|size| *size > 0);
    let sizes: Option<Vec<usize>> = text.split(',').map(size).collect();
    let sizes = sizes.filter(|sizes| sizes.len() >= 2).ok_or_else(|| {
        Error::new(Code::Setting, format!("{text:?} is no list of layer sizes"))
            .with_operand(&Name::new("init"))
            .tip("inputs, then units of each layer, whole numbers from 1: 64,32,10")
    })?;
    let weights: u128 = sizes.windows(2).map(|pair| pair[0] as u128 * pair[1] as u128).sum();
    if weights > 100_000_000 {
        return Err(Error::new(
            Code::Setting,
            format!("asks for {weights} weights, more than a JSON file should hold"),
        )
        .with_operand(&Name::new("init"))
        .tip("up to 100000000 weights are written; make larger ones with NumPy and name their .npz in the network"));
    }
    Ok(sizes)
}
