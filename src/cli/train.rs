//! `nnlayer train`: epochs of gradient descent, with a checkpoint after each.

use super::net::{read_count, read_seed, seed};
use super::request::{self, common_without};
use super::step::{lr, read_lr};
use super::{Other, flag, option, tape, text_of};
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::layer::{Kind, Value};
use crate::network::Tape;
use crate::network::learn;
use crate::network::learn::{Samples, Score, Training};
use crate::operand::{OperandReader, Operands};
use crate::parallel::progress::Progress;
use crate::report::format_number;
use crate::run::Status;
use crate::run::messages::Messages;
use clap::{Arg, ArgMatches, Command};
use std::io::Write;

/// The command.
pub(super) const COMMAND: Other = Other { name: "train", command, run };

const HELP: &str = "\
Batches come in the order of the file, with --shuffle in an order of each epoch's own; a last batch may
be smaller. The gradient is that of the mean loss of a batch, unless the network's loss says
\"reduction\":\"sum\". Loss and accuracy of an epoch are those that its batches had on the way; --held-x and
--held-t measure samples that are not learnt from. After each epoch --out is replaced by a checkpoint, a
network like any other; --resume goes on from it, to the bit as if never stopped.

Example:
  $ nnlayer net --init 64,32,10 --seed 1 --out net.json
  $ nnlayer train net.json --x x.npy --t t.npy --epochs 20 --batch 32 --lr 0.1 --seed 1 --out trained.json";

fn command() -> Command {
    Command::new(COMMAND.name)
        .about("a network, trained by gradient descent")
        .arg(Arg::new("document").value_name("NETWORK").required(true).help("the network to begin with"))
        .arg(option("x", "MATRIX", "samples, a row each").required(true))
        .arg(option("t", "MATRIX", "their targets").required(true))
        .arg(option("held-x", "MATRIX", "samples to measure only").requires("held-t"))
        .arg(option("held-t", "MATRIX", "their targets").requires("held-x"))
        .arg(option("epochs", "N", "passes over all samples, 1 by default"))
        .arg(option("batch", "N", "samples a step, 32 by default"))
        .arg(lr())
        .arg(seed())
        .arg(flag("shuffle", "take the samples in another order each epoch, by --seed"))
        .arg(flag("resume", "go on from the checkpoint in --out"))
        .args(common_without(&["forward", "only", "pretty"]))
        .mut_arg("out", |out| out.required(true).help("the trained network, .json, written after each epoch"))
        .mut_arg("json", |json| json.help("one JSON object a line for each epoch"))
        .mut_arg("lr", |lr| lr.help("the learning rate, 0.1 by default"))
        .disable_help_flag(true)
        .after_help(HELP)
}

fn run(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    out: &mut dyn Write,
    messages: &mut Messages,
) -> anyhow::Result<Status> {
    let request = request::parse(matches)?;
    request.admit_document()?;
    let epochs = read_count(matches, "epochs", 1, 1)?;
    let mut tape = begin(matches, reader, messages)?;
    tape::set_precision(&mut tape, &request);
    let source = text_of(matches, "document").unwrap_or_default();
    take_the_mean(&mut tape).map_err(|error| tape::blame(error, source))?;
    let mut training = match tape.training.take() {
        Some(training) => training,
        None => wanted(matches)?,
    };
    let samples = samples(matches, reader, ["x", "t"], &tape, messages)?;
    let held =
        text_of(matches, "held-x").map(|_| self::samples(matches, reader, ["held-x", "held-t"], &tape, messages));
    let held = held.transpose()?;
    while training.epoch < epochs {
        let progress = Progress::new(format!("epoch {}/{epochs}", training.epoch + 1), samples.rows());
        let score = learn::train_epoch(&mut tape, &samples, &training, |rows| progress.advance(rows));
        drop(progress);
        let score = refuse_nonsense(score.map_err(diverged)?, training.epoch + 1)?;
        training.epoch += 1;
        let held = held.as_ref().map(|held| learn::evaluate(&tape, held).map(|(score, _)| score)).transpose()?;
        tape.training = Some(training.clone());
        request.write_document(&tape, out)?;
        out.write_all(line(training.epoch, score, held, request.json).as_bytes())?;
        out.flush()?;
    }
    Ok(Status::Done)
}

/// The network to begin with, or the checkpoint to go on from.
fn begin(matches: &ArgMatches, reader: &mut OperandReader<'_>, messages: &mut Messages) -> Result<Tape, Error> {
    let checkpoint = text_of(matches, "out").unwrap_or_default();
    if !matches.get_flag("resume") {
        let mut tape = tape::read(reader, text_of(matches, "document").unwrap_or("-"), true)?;
        tape.clear_records();
        tape.training = None;
        return Ok(tape);
    }
    if !std::path::Path::new(checkpoint).exists() {
        messages.note(&Note::info(
            Error::new(Code::FileMissing, "there is no checkpoint yet: beginning with the network")
                .with_origin(checkpoint)
                .tip("--out names the checkpoint"),
        ));
        let mut tape = tape::read(reader, text_of(matches, "document").unwrap_or("-"), true)?;
        tape.clear_records();
        tape.training = None;
        return Ok(tape);
    }
    let tape = tape::read(reader, checkpoint, true)?;
    let Some(training) = &tape.training else {
        return Err(Error::new(Code::Tape, "is no checkpoint: it does not say how it was trained")
            .with_origin(checkpoint)
            .tip("nnlayer train writes checkpoints; leave --resume out to begin anew"));
    };
    let wanted = Training { epoch: training.epoch, ..wanted(matches)? };
    if *training != wanted {
        let words = |t: &Training| {
            let shuffle = if t.shuffle { " --shuffle" } else { "" };
            format!("--batch {} --lr {} --seed {}{shuffle}", t.batch, format_number(t.lr), t.seed)
        };
        return Err(Error::new(Code::Setting, "the checkpoint was trained otherwise")
            .with_operand(&Name::new("resume"))
            .with_origin(checkpoint)
            .fact(format!("it has {}", words(training)))
            .tip("give the same, or begin anew with the checkpoint as the network"));
    }
    Ok(tape)
}

fn wanted(matches: &ArgMatches) -> Result<Training, Error> {
    Ok(Training {
        epoch: 0,
        seed: read_seed(matches)?,
        batch: read_count(matches, "batch", 1, 32)?,
        lr: read_lr(matches)?,
        shuffle: matches.get_flag("shuffle"),
    })
}

/// Makes the loss a mean, unless it says what it is; refuses a network without a loss to learn from.
fn take_the_mean(tape: &mut Tape) -> Result<(), Error> {
    let no_loss = |what: &str| {
        Error::new(Code::Tape, format!("the network {what}: there is nothing to learn from"))
            .tip("its last layer is softmax-xent or xent, with the reduction mean (default) or sum")
    };
    let Some(last) = tape.stages.last_mut().filter(|last| last.spec.is_loss()) else {
        return Err(no_loss("ends in no loss"));
    };
    let reduction = last.spec.settings.iter().find(|setting| setting.name == "reduction");
    let said = last.settings.choice("reduction");
    match (said, reduction.map(|setting| &setting.kind)) {
        (Some("none"), _) => Err(no_loss("has a loss for each row")),
        (None, Some(Kind::Choice(_))) => last.set("reduction", Value::Choice("mean")),
        _ => Ok(()),
    }
}

/// Reads samples and runs the network on all of them once: what they and the network have against each other is said
/// before the first epoch, with the places of the files.
fn samples(
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
    [x, t]: [&'static str; 2],
    tape: &Tape,
    messages: &mut Messages,
) -> Result<Samples, Error> {
    let mut given = Operands::default();
    for (option, key) in [(x, Name::X), (t, Name::T)] {
        let text = text_of(matches, option).unwrap_or_default();
        given.insert(key.clone(), reader.read(&Name::new(option), text, &[key])?);
    }
    let place = |error: Error| {
        let error = reader.locate_in_source(error, &given);
        let of = error.operand.as_ref().map(|name| if *name == Name::X { x } else { t });
        let error = error.update(|said| said.operand = of.map(Name::new));
        tape::blame(error, text_of(matches, "document").unwrap_or_default())
    };
    let samples = Samples {
        x: given.values.known(&Name::X).clone(),
        t: given.values.known(&Name::T).clone(),
        rounding: given.rounding(&Name::T),
    };
    samples.admit().map_err(place)?;
    let (_, notes) = learn::evaluate(tape, &samples).map_err(place)?;
    let notes: Vec<Note> = notes.into_iter().map(|note| Note { error: place(note.error), ..note }).collect();
    messages.notes(&notes, matches.get_flag("strict"))?;
    Ok(samples)
}

/// A refusal in the midst of an epoch: the samples were admitted, so the weights have run away.
fn diverged(error: Error) -> Error {
    error.update(|said| said.tip = Some("the weights have run away: a smaller --lr keeps them finite".to_owned()))
}

/// Refuses to go on with a loss that is no number, while the checkpoint is the one before it.
fn refuse_nonsense(score: Score, epoch: u64) -> Result<Score, Error> {
    if score.loss.is_finite() {
        return Ok(score);
    }
    Err(Error::new(Code::Setting, format!("the loss of epoch {epoch} is {}", format_number(score.loss)))
        .with_operand(&Name::new("lr"))
        .tip("a smaller learning rate keeps it finite; look for NaN in the samples"))
}

fn line(epoch: u64, score: Score, held: Option<Score>, json: bool) -> String {
    if json {
        let pairs = |prefix: &str, score: Score| {
            let accuracy = score.accuracy.map(|accuracy| format!(",\"{prefix}accuracy\":{accuracy:?}"));
            format!(",\"{prefix}loss\":{}{}", word(score.loss), accuracy.unwrap_or_default())
        };
        let held = held.map_or_else(String::new, |held| pairs("held-", held));
        return format!("{{\"epoch\":{epoch}{}{held}}}\n", pairs("", score));
    }
    let words = |prefix: &str, score: Score| {
        let accuracy =
            score.accuracy.map_or_else(String::new, |share| format!("  {prefix}accuracy {:.2} %", 100.0 * share));
        format!("  {prefix}loss {:.6}{accuracy}", score.loss)
    };
    let held = held.map_or_else(String::new, |held| words("held-", held));
    format!("epoch {epoch}{}{held}\n", words("", score))
}

/// A number as JSON has it, or the word for one that is not finite.
fn word(value: f64) -> serde_json::Value {
    match value {
        value if value.is_finite() => value.into(),
        value if value.is_nan() => "NaN".into(),
        value => if value > 0.0 { "Infinity" } else { "-Infinity" }.into(),
    }
}
