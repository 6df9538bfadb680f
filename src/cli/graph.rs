//! `--graph` and `--level`: the computational graph in place of results, of a layer or of a chain.

use super::job::{Dout, Job};
use super::text_of;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::graph;
use crate::graph::{Graph, Level, PICTURES, Picture, Staged, Style};
use crate::layer;
use crate::network::{Run, Tape};
use crate::report::write;
use crate::run::messages::Messages;
use crate::run::request::Request;
use clap::{Arg, ArgMatches};
use ndarray::ArrayD;
use std::io::{BufWriter, Write};

/// `--graph` and `--level`; `others` ask for something else in its place.
pub(super) fn options(others: &'static [&'static str]) -> [Arg; 2] {
    [
        super::option("graph", "FILE", "")
            .num_args(0..=1)
            .default_missing_value("")
            .conflicts_with_all(["json", "pretty", "only", "out", "check"])
            .conflicts_with_all(others)
            .help(format!(
                "draw the computational graph, values forward and gradients backward: here, or to a {} file",
                files()
            )),
        super::choice(
            "level",
            &["tensor", "scalar"],
            "how fine the graph is: operations on matrices, or on numbers (the default where it has few nodes)",
        )
        .requires("graph"),
    ]
}

/// `.dot or .mmd`.
fn files() -> String {
    let extensions: Vec<String> = PICTURES.iter().map(|picture| format!(".{}", picture.extension)).collect();
    match &extensions[..] {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        all => all.join(""),
    }
}

/// What `--graph` asks for.
pub(super) struct Wanted {
    /// A file and its renderer; else the terminal.
    file: Option<(String, &'static Picture)>,
    level: Option<Level>,
    color: bool,
}

/// What `--graph` asks for; refuses files that are no picture.
pub(super) fn wanted(matches: &ArgMatches, messages: &Messages) -> Result<Option<Wanted>, Error> {
    let Some(file) = text_of(matches, "graph") else { return Ok(None) };
    let level = text_of(matches, "level").map(|word| if word == "tensor" { Level::Tensor } else { Level::Scalar });
    let file = match file {
        "" => None,
        path => Some((path.to_owned(), picture(path)?)),
    };
    let color = messages.watched || text_of(matches, "color") == Some("always");
    Ok(Some(Wanted { file, level, color }))
}

fn picture(path: &str) -> Result<&'static Picture, Error> {
    let extension = std::path::Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    PICTURES.iter().find(|picture| picture.extension.eq_ignore_ascii_case(extension)).ok_or_else(|| {
        Error::new(Code::OutFormat, format!("the extension {extension:?} names no picture"))
            .with_operand(&Name::new("graph"))
            .with_origin(path)
            .tip(format!("graphs are drawn to {} files; --graph alone, as the last option, draws here", files()))
    })
}

/// Draws an admitted layer.
pub(super) fn layer(job: &Job, wanted: &Wanted, request: &Request, out: &mut dyn Write) -> anyhow::Result<()> {
    let at = &job.operands.values;
    let ones = Dout::ones(&job.layer.output_shape(at));
    let dout = job.dout.as_ref().unwrap_or(&ones).to_whole();
    let outcome = layer::compute(job.layer.as_ref(), at, Some(&dout), request.precision);
    let stage = Staged { name: None, spec: job.spec, layer: job.layer.as_ref(), at, outcome: &outcome, dout: &dout };
    let mut graph = graph::graph(&[stage], wanted.level)?;
    if job.dout.as_ref().is_some_and(|dout| !dout.said) && !job.spec.is_loss() {
        graph.notes.push(ones_of(&job.spec.output));
    }
    draw(graph, job.dout.is_some(), wanted, out)
}

/// Draws a chain that was run, back from `dout` where there is one.
pub(super) fn chain(
    tape: &Tape,
    run: Run,
    dout: Option<&ArrayD<f64>>,
    said: bool,
    wanted: &Wanted,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let layers = run.layers(tape, dout);
    let shape = |n: usize| layers[n].outcome.results.known(&tape.stages[n].spec.output).raw_dim();
    let douts: Vec<ArrayD<f64>> = layers
        .iter()
        .enumerate()
        .map(|(n, layer)| layer.dout.clone().unwrap_or_else(|| ArrayD::ones(shape(n))))
        .collect();
    let stages: Vec<Staged<'_>> = tape
        .stages
        .iter()
        .zip(layers.iter().zip(&douts))
        .map(|(stage, (passed, dout))| Staged {
            name: Some(&stage.name),
            spec: stage.spec,
            layer: stage.layer(),
            at: &passed.at,
            outcome: &passed.outcome,
            dout,
        })
        .collect();
    let mut graph = graph::graph(&stages, wanted.level)?;
    if let Some(last) = tape.stages.last().filter(|last| !said && !last.spec.is_loss()) {
        graph.notes.push(ones_of(&last.spec.output));
    }
    draw(graph, dout.is_some(), wanted, out)
}

fn draw(mut graph: Graph, backward: bool, wanted: &Wanted, out: &mut dyn Write) -> anyhow::Result<()> {
    if !backward {
        graph.forget_gradients();
    }
    match &wanted.file {
        Some((path, picture)) => {
            let text = (picture.draw)(&graph);
            Ok(write::file(path, |out| out.write_all(text.as_bytes()))
                .map_err(|error| error.with_operand(&Name::new("graph")))?)
        }
        None => {
            let mut out = BufWriter::new(out);
            out.write_all(graph::terminal(&graph, Style { ascii: ascii(), color: wanted.color }).as_bytes())?;
            Ok(out.flush()?)
        }
    }
}

/// Whether the locale says that characters are not UTF-8. One that says nothing has what all other output has.
fn ascii() -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    said.is_some_and(|locale| is_plain(&locale.to_string_lossy()))
}

fn is_plain(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    !locale.contains("utf-8") && !locale.contains("utf8")
}

/// What is said where the upstream gradient was chosen for the user.
fn ones_of(output: &Name) -> String {
    format!("{} = ones: the gradients of L = Σ{output}", Name::DOUT)
}

/// Refuses a layer that cannot be drawn: one of a tape that goes on, and local factors.
pub(super) fn admit(job: &Job) -> Result<(), Error> {
    if job.tape.is_some() {
        return Err(Error::new(Code::Usage, "standard input holds a tape, which this layer goes to the end of")
            .with_operand(&Name::new("graph"))
            .tip("a chain is drawn from its end: leave --graph out here and pipe on to nnlayer backward --graph"));
    }
    match job.dout.as_ref().filter(|dout| dout.local) {
        Some(dout) => Err(Error::new(
            Code::LocalFactors,
            format!("the number {} scales local factors, and a graph shows gradients", dout.given[[]]),
        )
        .with_operand(&Name::DOUT)
        .tip("--dout ones draws the gradients of L = Σy")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_says_whether_characters_are_utf_8() {
        assert!(["C", "POSIX", "en_US", "ja_JP.eucJP", "de_DE.ISO-8859-1"].iter().all(|locale| is_plain(locale)));
        assert!(!["C.UTF-8", "ja_JP.utf8", "en_US.UTF-8@euro"].iter().any(|locale| is_plain(locale)));
    }
}
