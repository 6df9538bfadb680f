//! Command line of `nnlayer train`.

use super::args::{flag, flag_of, keep_indented_lines, option, text_of};
use super::negative::file_name;
use super::net::seed;
use super::request::{self, common_without};
use super::step::{learning_rate, parse_learning_rate};
use super::value;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::network::learn::{Optimizer, Rule, Training};
use crate::report::plot::PlotFormat;
use crate::run::train::{Arguments, SampleOptions};
use crate::run::{Command as Run, train};
use clap::{Arg, ArgMatches, Command};
use std::path::Path;

const HELP: &str = "\
Batches follow the order of the file or, with --shuffle, a random order for each epoch; the last batch may be \
smaller. The gradient is that of the mean loss of a batch, unless the loss of the network has \"reduction\":\"sum\". \
Loss and accuracy of an epoch are measured on its batches during the epoch. --held-x and --held-t give held-out \
samples, which are evaluated after each epoch and not used for training. After each epoch, --out is replaced by a \
checkpoint, which is a network; --resume continues from it, and gives the same bits as an uninterrupted run. On a terminal, a \
line at the end shows how the loss has fallen, from the first epoch of this run to the last; the bars of a large range are on a \
logarithmic scale.

Example:
  $ nnlayer net --init 64,32,10 --seed 1 --out net.json
  $ nnlayer train net.json --x x.npy --t t.npy --epochs 20 --batch 32 --lr 0.1 --seed 1 --out trained.json";

/// Declares the options.
pub(super) fn command(command: Command) -> Command {
    command
        .about("Train a network by gradient descent")
        .arg(file_name(Arg::new("document")).value_name("NETWORK").required(true).help("network to start with"))
        .arg(option("x", "X", "samples, one per row").required(true))
        .arg(option("t", "T", "targets of the samples").required(true))
        .arg(
            option("held-x", "X", "held-out samples, evaluated after each epoch and not used for training")
                .requires("held-t"),
        )
        .arg(option("held-t", "T", "targets of the held-out samples").requires("held-x"))
        .arg(option("epochs", "N", "number of passes over all samples, 1 by default"))
        .arg(option("batch", "N", "number of samples per step, 32 by default"))
        .arg(learning_rate().help("learning rate, 0.1 by default"))
        .arg(
            option("optimizer", "RULE", "rule of a step: sgd (default), adam, adamw, as PyTorch defines them")
                .value_parser(Rule::WORDS.map(|(word, _)| word)),
        )
        .arg(option("momentum", "NUMBER", "momentum of sgd, 0 by default"))
        .arg(option(
            "weight-decay",
            "NUMBER",
            "weight decay, 0 by default, for adamw 0.01; for sgd and adam it is an L2 penalty",
        ))
        .arg(seed())
        .arg(file_name(option("plot", "FILE", "draw loss and accuracy by epoch to a .svg or .html file")).long_help(
            "draw loss and accuracy by epoch, of the training and of held-out samples, to a .svg or .html file, which is \
             replaced after each epoch; with --resume, the epochs of this run",
        ))
        .arg(flag("shuffle", "take the samples in a random order in each epoch, by --seed"))
        .arg(flag("resume", "continue from the checkpoint in --out"))
        .args(common_without(&["forward", "only", "pretty", "digits"]))
        .mut_arg("out", |out| out.required(true).help("file of the trained network, .json, written after each epoch"))
        .mut_arg("json", |json| json.help("write one JSON object per epoch, each on a line"))
        .after_long_help(keep_indented_lines(HELP))
}

/// Parses the options.
pub(super) fn parse(matches: &ArgMatches) -> Result<Run, Error> {
    let text = |name: &str| text_of(matches, name).unwrap_or_default().to_owned();
    let samples = |x: &'static str, t: &'static str| SampleOptions { x: (x, text(x)), t: (t, text(t)) };
    let arguments = Arguments {
        request: request::parse(matches)?,
        source: text("document"),
        samples: samples("x", "t"),
        held_out: text_of(matches, "held-x").map(|_| samples("held-x", "held-t")),
        epochs: value::count(matches, "epochs", 1, 1)?,
        training: Training {
            epoch: 0,
            seed: value::count(matches, "seed", 0, 0)?,
            batch: value::count(matches, "batch", 1, 32)?,
            lr: parse_learning_rate(matches)?,
            shuffle: flag_of(matches, "shuffle"),
            optimizer: parse_optimizer(matches)?,
            step: 0,
        },
        resume: flag_of(matches, "resume"),
        checkpoint: text("out"),
        plot: parse_plot(matches)?,
    };
    Ok(Box::new(move |streams| train::run(&arguments, streams)))
}

fn parse_plot(matches: &ArgMatches) -> Result<Option<(String, PlotFormat)>, Error> {
    let Some(path) = text_of(matches, "plot") else { return Ok(None) };
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = PlotFormat::named(extension).ok_or_else(|| {
        Error::new(Code::OutFormat, format!("unsupported picture format {extension:?}"))
            .with_operand(&Name::new("plot"))
            .with_origin(path)
            .tip("name a .svg or .html file")
    })?;
    Ok(Some((path.to_owned(), format)))
}

fn parse_optimizer(matches: &ArgMatches) -> Result<Optimizer, Error> {
    let rule = text_of(matches, "optimizer").and_then(Rule::named).unwrap_or_default();
    let non_negative = |option: &'static str, tip: &str| {
        let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        value::parse(matches, option, "a non-negative number", tip, number)
    };
    let momentum = non_negative("momentum", "use a momentum such as 0.9")?;
    if momentum.is_some() && rule != Rule::Sgd {
        return Err(Error::new(Code::Usage, format!("is an option of sgd, and {} has its own", rule.word()))
            .with_operand(&Name::new("momentum"))
            .tip("leave it out, or use --optimizer sgd"));
    }
    let weight_decay = non_negative("weight-decay", "use a weight decay such as 0.01")?;
    Ok(Optimizer {
        rule,
        momentum: momentum.unwrap_or_default(),
        weight_decay: weight_decay.unwrap_or_else(|| rule.default_decay()),
    })
}
