//! Trains a network by gradient descent, and writes a checkpoint after each epoch.

use super::graph::is_ascii_terminal;
use super::request::Request;
use super::session::Streams;
use super::status::Status;
use super::tape;
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::format::json::push_number;
use crate::layer::{Kind, Mode, Value};
use crate::network::learn::{Epoch, Rule, Samples, Score, Training};
use crate::network::{Tape, learn};
use crate::operand::{Operands, grammar};
use crate::parallel::progress::Progress;
use crate::report::plot::{self, EpochScores, History, PlotFormat};
use crate::report::{format_number, write_file};
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// The option that names the file of the plot.
const PLOT: Name = Name::fixed("plot");
/// Number of epochs that have been drawn for each that is not drawn at once.
const EPOCHS_PER_PLOT: usize = 100;

/// Arguments of `train`.
pub(crate) struct Arguments {
    /// File of the network.
    pub(crate) source: String,
    pub(crate) samples: SampleOptions,
    /// Samples that are measured and not learnt from.
    pub(crate) held_out: Option<SampleOptions>,
    pub(crate) epochs: u64,
    /// Options of the training, at epoch 0.
    pub(crate) training: Training,
    pub(crate) resume: bool,
    /// File of the checkpoints.
    pub(crate) checkpoint: String,
    /// File and format of the plot.
    pub(crate) plot: Option<(String, PlotFormat)>,
    pub(crate) request: Request,
}

/// Option names and texts of samples and their targets.
pub(crate) struct SampleOptions {
    pub(crate) x: (&'static str, String),
    pub(crate) t: (&'static str, String),
}

impl Arguments {
    /// Returns a warning if the checkpoints replace the file of the network or of samples.
    fn warn_of_replaced(&self) -> Option<Note> {
        // A training that continues replaces its checkpoint.
        let source = (!self.resume).then(|| ("the network", grammar::parse(&self.source)));
        let samples = [&self.samples].into_iter().chain(&self.held_out).flat_map(|options| [&options.x, &options.t]);
        let samples = samples.map(|(option, text)| (*option, grammar::parse(text)));
        self.request.warn_of_replaced_input(source.into_iter().chain(samples))
    }

    /// Writes the plot, if there is one to write.
    fn write_plot(&self, history: &History) -> anyhow::Result<()> {
        let Some((path, format)) = self.plot.as_ref().filter(|_| !history.epochs.is_empty()) else { return Ok(()) };
        write_file(&PLOT, path, |out| out.write_all(format.draw(history).as_bytes()))
    }
}

/// Trains, and writes a line for each epoch.
pub(crate) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let Arguments { source, request, .. } = arguments;
    request.admit_document()?;
    let (mut tape, mut training) = start(arguments, streams)?;
    tape::set_precision(&mut tape, request);
    default_to_mean(&mut tape).map_err(|error| tape::blame(error, source))?;
    tape.set_mode(Mode::Inference).map_err(|error| tape::blame(error, source))?;
    let samples = read_samples(arguments, &arguments.samples, &tape, streams)?;
    let held_out = arguments.held_out.as_ref();
    let held_out = held_out.map(|options| read_samples(arguments, options, &tape, streams)).transpose()?;
    streams.messages.notes(arguments.warn_of_replaced().as_slice(), request.strict)?;
    let mut history = History::default();
    let trained =
        run_epochs(arguments, (&mut tape, &mut training), (&samples, held_out.as_ref()), &mut history, streams);
    // A training that fails leaves the plot of the epochs before.
    arguments.write_plot(&history)?;
    trained?;
    if !request.json && streams.messages.stdout_is_terminal {
        streams.out.write_all(plot::summary_line(&history, is_ascii_terminal()).as_bytes())?;
    }
    Ok(Status::Done)
}

/// Trains until the last epoch, and adds the scores of each to `history`.
fn run_epochs(
    arguments: &Arguments,
    (tape, training): (&mut Tape, &mut Training),
    (samples, held_out): (&Samples, Option<&Samples>),
    history: &mut History,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    let Arguments { epochs, request, .. } = arguments;
    let mut has_stopped = HashSet::new();
    let mut drawn = 0;
    while training.epoch < *epochs {
        let progress = Progress::new(format!("epoch {}/{epochs}", training.epoch + 1), samples.rows());
        let epoch = learn::train_epoch(tape, samples, training, |rows| progress.advance(rows));
        drop(progress);
        let Epoch { score, without_gradient } = epoch.map_err(diverged)?;
        let score = require_finite(score, training.epoch)?;
        for layer in without_gradient.into_iter().filter(|layer| has_stopped.insert(layer.clone())) {
            streams.messages.notes(&[stopped_learning(&layer, training.epoch)], request.strict)?;
        }
        let held_out = held_out.map(|held_out| learn::evaluate(tape, held_out)).transpose()?.map(|(score, _)| score);
        tape.training = Some(training.clone());
        request.write_document(tape, &mut streams.out)?;
        let line = epoch_line(training.epoch, score, held_out, request.json);
        streams.out.write_all(line.as_bytes())?;
        streams.out.flush()?;
        history.epochs.push(EpochScores { epoch: training.epoch, train: score, held_out });
        // Of many epochs, not every one is drawn, so that drawing takes a small part of the time.
        if history.epochs.len() - drawn > drawn / EPOCHS_PER_PLOT {
            arguments.write_plot(history)?;
            drawn = history.epochs.len();
        }
    }
    Ok(())
}

/// Reads the network to start with, or the checkpoint to continue from.
fn start(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(Tape, Training), Error> {
    let Arguments { source, checkpoint, training, resume, .. } = arguments;
    if *resume && Path::new(checkpoint).exists() {
        let mut tape = tape::read(&mut streams.reader, checkpoint, true)?;
        let saved = tape.training.take().ok_or_else(|| {
            Error::new(Code::Tape, "is not a checkpoint: it does not state how it was trained")
                .with_origin(checkpoint)
                .tip("leave out --resume to start a new training")
        })?;
        if saved != (Training { epoch: saved.epoch, step: saved.step, ..training.clone() }) {
            let options = options_of(&saved);
            return Err(Error::new(Code::Setting, "the checkpoint was trained with other options")
                .with_operand(&Name::new("resume"))
                .with_origin(checkpoint)
                .fact(format!("the checkpoint has {options}"))
                .tip("use these options, or start a new training with the checkpoint as the network"));
        }
        return Ok((tape, saved));
    }
    if *resume {
        let error = Error::new(Code::FileMissing, "no checkpoint exists yet: training starts with the network");
        streams.messages.note(&Note::info(error.with_origin(checkpoint).tip("name the checkpoint with --out")));
    }
    let mut tape = tape::read(&mut streams.reader, source, true)?;
    tape.clear_records();
    tape.clear_training();
    Ok((tape, training.clone()))
}

/// Returns the options of a training.
fn options_of(training: &Training) -> String {
    let Training { batch, lr, seed, shuffle, optimizer, .. } = training;
    let mut options = format!("--batch {batch} --lr {} --seed {seed}", format_number(*lr));
    if *shuffle {
        options += " --shuffle";
    }
    if optimizer.rule != Rule::default() {
        options += &format!(" --optimizer {}", optimizer.rule.word());
    }
    if optimizer.momentum != 0.0 {
        options += &format!(" --momentum {}", format_number(optimizer.momentum));
    }
    if optimizer.weight_decay != optimizer.rule.default_decay() {
        options += &format!(" --weight-decay {}", format_number(optimizer.weight_decay));
    }
    options
}

/// Makes the loss a mean unless the network says otherwise. Refuses a network that does not end in a loss of one number.
fn default_to_mean(tape: &mut Tape) -> Result<(), Error> {
    let no_loss = |reason: &str| {
        Error::new(Code::Tape, format!("the network cannot be trained: {reason}"))
            .tip("end it in softmax-xent or xent, with the reduction mean (default) or sum")
    };
    let Some(last) = tape.stages.last_mut().filter(|last| last.spec.is_loss()) else {
        return Err(no_loss("it does not end in a loss"));
    };
    let reduction = last.spec.settings.iter().find(|setting| setting.name == "reduction");
    match (last.settings.choice("reduction"), reduction.map(|setting| &setting.kind)) {
        (Some("none"), _) => Err(no_loss("its loss is one number per row")),
        (None, Some(Kind::Choice(_))) => last.set("reduction", Value::Choice("mean")),
        _ => Ok(()),
    }
}

/// Reads samples and runs the network on all of them once, so that errors of the samples are reported before the first
/// epoch, with their places in the files.
fn read_samples(
    arguments: &Arguments,
    SampleOptions { x, t }: &SampleOptions,
    tape: &Tape,
    streams: &mut Streams<'_>,
) -> Result<Samples, Error> {
    let reader = &mut streams.reader;
    let mut operands = Operands::default();
    for ((option, text), key) in [(x, Name::X), (t, Name::T)] {
        operands.insert(key.clone(), reader.read(&Name::new(*option), text, &[key])?);
    }
    let place = |error: Error| {
        let error = reader.locate_in_source(error, &operands);
        let option = error.operand.as_ref().map(|name| if *name == Name::X { x.0 } else { t.0 });
        tape::blame(error.update(|parts| parts.operand = option.map(Name::new)), &arguments.source)
    };
    let samples = Samples {
        x: operands.values.known(&Name::X).clone(),
        t: operands.values.known(&Name::T).clone(),
        rounding: operands.rounding(&Name::T),
    };
    samples.admit().map_err(place)?;
    let (_, notes) = learn::evaluate(tape, &samples).map_err(place)?;
    let notes: Vec<Note> = notes.into_iter().map(|note| Note { error: place(note.error), ..note }).collect();
    streams.messages.notes(&notes, arguments.request.strict)?;
    Ok(samples)
}

/// Adds a tip to an error inside an epoch: the samples were checked before, so the parameters have diverged.
fn diverged(error: Error) -> Error {
    error.update(|parts| parts.tip = Some("use a smaller --lr: the parameters have diverged".to_owned()))
}

/// Returns the warning for a layer all of whose gradients were 0 in an epoch.
fn stopped_learning(layer: &str, epoch: u64) -> Note {
    let message =
        format!("layer {layer} has stopped learning: all gradients of its parameters were 0 in epoch {epoch}");
    Note::warning(Error::new(Code::StoppedLearning, message).tip(
        "use a smaller --lr, or leaky-relu in place of relu: a relu whose inputs are all negative passes no gradient",
    ))
}

/// Refuses a loss that is not finite, so that the checkpoint remains that of the epoch before.
fn require_finite(score: Score, epoch: u64) -> Result<Score, Error> {
    if score.loss.is_finite() {
        return Ok(score);
    }
    Err(Error::new(Code::Setting, format!("the loss of epoch {epoch} is {}", format_number(score.loss)))
        .with_operand(&Name::new("lr"))
        .tip("use a smaller learning rate, or look for NaN in the samples"))
}

/// Returns the line of an epoch, as JSON or as text.
fn epoch_line(epoch: u64, score: Score, held_out: Option<Score>, json: bool) -> String {
    let scores = [("", Some(score)), ("held-", held_out)];
    let mut line = if json { format!("{{\"epoch\":{epoch}") } else { format!("epoch {epoch}") };
    for (prefix, score) in scores.into_iter().filter_map(|(prefix, score)| Some((prefix, score?))) {
        if json {
            let mut loss = Vec::new();
            push_number(score.loss, &mut loss);
            line += &format!(",\"{prefix}loss\":{}", String::from_utf8_lossy(&loss));
            line += &score.accuracy.map_or_else(String::new, |share| format!(",\"{prefix}accuracy\":{share:?}"));
        } else {
            line += &format!("  {prefix}loss {:.6}", score.loss);
            line +=
                &score.accuracy.map_or_else(String::new, |share| format!("  {prefix}accuracy {:.2} %", 100.0 * share));
        }
    }
    line + if json { "}\n" } else { "\n" }
}
