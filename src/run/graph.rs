//! `--graph`: the computational graph of a layer or of a chain.

use super::dout::{Dout, ones_line};
use super::job::Job;
use super::request::GraphRequest;
use super::session::Streams;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::graph;
use crate::graph::{Arithmetic, ComputedLayer, Graph, Level, PageContent, SlidingWindows, Style};
use crate::layer;
use crate::layer::Precision;
use crate::network::{Run, Source, Tape};
use crate::report::Digits;
use crate::report::steps::{StepsFormat, equality_sign};
use crate::report::write_file;
use crate::steps;
use crate::steps::LayerRun;
use ndarray::ArrayD;
use std::io::Write;

/// Largest graph that a page has besides the one that is asked for, in nodes.
const MAX_OTHER_NODES: usize = 300;

/// Draws an admitted layer.
pub(crate) fn layer(
    job: &Job,
    request: &GraphRequest,
    precision: Precision,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    let at = &job.operands.values;
    let ones = Dout::ones(&job.layer.output_shape(at));
    let dout = job.dout.as_ref().unwrap_or(&ones).to_array();
    let outcome = layer::compute(job.layer.as_ref(), at, Some(&dout), precision);
    let stage = ComputedLayer {
        name: None,
        spec: job.spec,
        layer: job.layer.as_ref(),
        at,
        outcome: &outcome,
        dout: &dout,
        sources: &[],
    };
    let is_explicit = job.dout.as_ref().is_none_or(|dout| dout.is_explicit);
    draw(&[stage], is_explicit, job.dout.is_some(), request, streams)
}

/// Draws a chain that was run; gradients begin at `dout` if there is one.
pub(crate) fn chain(
    tape: &Tape,
    run: Run,
    dout: Option<&ArrayD<f64>>,
    is_explicit: bool,
    request: &GraphRequest,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    let layers = run.layers(tape, dout);
    let shape = |n: usize| layers[n].outcome.results.known(&tape.stages[n].spec.output).raw_dim();
    let douts: Vec<ArrayD<f64>> = layers
        .iter()
        .enumerate()
        .map(|(n, layer)| layer.dout.clone().unwrap_or_else(|| ArrayD::ones(shape(n))))
        .collect();
    let stages: Vec<ComputedLayer<'_>> = tape
        .stages
        .iter()
        .zip(layers.iter().zip(&douts))
        .map(|(stage, (passed, dout))| ComputedLayer {
            name: Some(&stage.name),
            spec: stage.spec,
            layer: stage.layer(),
            at: &passed.at,
            outcome: &passed.outcome,
            dout,
            sources: &stage.sources,
        })
        .collect();
    draw(&stages, is_explicit, dout.is_some(), request, streams)
}

fn draw(
    stages: &[ComputedLayer<'_>],
    is_explicit: bool,
    has_gradients: bool,
    request: &GraphRequest,
    streams: &mut Streams<'_>,
) -> anyhow::Result<()> {
    let mut options = request.options.clone();
    if request.file.is_none() {
        options.width = options.width.or(streams.columns);
    }
    let mut graph = graph::build_graph(stages, request.level, &options)?;
    let last = stages.last().filter(|last| !is_explicit && !last.spec.is_loss());
    let ones = last.map(|last| ones_line(&last.spec.output));
    graph.notes.extend(ones.clone());
    if !has_gradients {
        graph.clear_gradients();
    }
    match &request.file {
        Some((path, picture)) => {
            let mut content = PageContent::default();
            if picture.is_page {
                content = page_content(stages, &graph, is_explicit, request.digits);
            }
            content.others.iter_mut().for_each(|other| other.notes.extend(ones.clone()));
            let text = (picture.draw)(&graph, &content);
            write_file(&Name::new("graph"), path, |out| out.write_all(text.as_bytes()))
        }
        None => {
            let color = request.always_color || streams.messages.stdout_is_terminal;
            let style = Style { ascii: is_ascii_terminal(), color };
            Ok(streams.out.write_all(graph::render_terminal(&graph, style).as_bytes())?)
        }
    }
}

/// Returns the same computation at other levels of detail, its arithmetic, and the windows that slide over inputs.
fn page_content(stages: &[ComputedLayer<'_>], graph: &Graph, is_explicit: bool, digits: Digits) -> PageContent {
    let levels = [Level::Layer, Level::Tensor, Level::Scalar];
    let is_another = |level: &Level| *level != graph.level && (*level != Level::Layer || stages.len() > 1);
    // A graph that is too large is left out.
    let mut others: Vec<Graph> = levels
        .into_iter()
        .filter(is_another)
        .filter_map(|level| graph::build_graph(stages, Some(level), &graph.options).ok())
        .filter(|other| other.nodes.len() <= MAX_OTHER_NODES)
        .collect();
    if !graph.backward {
        others.iter_mut().for_each(Graph::clear_gradients);
    }
    let mut content = PageContent { others, ..PageContent::default() };
    let is_loss = stages.last().is_some_and(|last| last.spec.is_loss());
    for (n, stage) in stages.iter().enumerate() {
        let run = LayerRun {
            layer: stage.layer,
            operands: stage.at,
            outcome: stage.outcome,
            dout: graph.backward.then_some(stage.dout),
            shows_dout: is_explicit || !is_loss || n + 1 < stages.len(),
            only: None,
            notation: StepsFormat::Text.notation(digits),
        };
        for section in steps::trace(&run).into_iter().flatten() {
            let name = stage.qualified_name(&section.name);
            let shown = section.steps[..section.shown].iter();
            let lines = shown.filter_map(|step| {
                Some(format!(
                    "{} = {} {} {}",
                    step.label(),
                    step.arithmetic.as_ref()?,
                    equality_sign(step),
                    step.written
                ))
            });
            content.arithmetic.push(Arithmetic { name, lines: lines.collect() });
        }
        let output = stage.qualified_name(&stage.spec.output);
        if let Some(windows) = stage.layer.sliding_windows(stage.at) {
            // The input is the output of the layer before, unless it is an operand of its own.
            let input = match stage.sources.iter().find(|(operand, _)| *operand == Name::X) {
                Some((_, Source::Layer(earlier))) => stages[*earlier].qualified_name(&stages[*earlier].spec.output),
                _ => stage.qualified_name(&Name::X),
            };
            content.windows.push(SlidingWindows { input, output, windows });
        }
    }
    content
}

/// Returns true if the locale names an encoding other than UTF-8. Without a locale, output is UTF-8 as everywhere else.
pub(super) fn is_ascii_terminal() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    locale.is_some_and(|locale| is_ascii_locale(&locale.to_string_lossy()))
}

fn is_ascii_locale(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    !locale.contains("utf-8") && !locale.contains("utf8")
}

/// Refuses a layer that cannot be drawn: one that extends a tape, and one whose local factors are asked for.
pub(crate) fn admit(job: &Job) -> Result<(), Error> {
    if job.tape.is_some() {
        return Err(Error::new(Code::Usage, "cannot be used with a tape on standard input")
            .with_operand(&Name::new("graph"))
            .tip("use nnlayer backward --graph at the end of the pipe to draw the whole chain"));
    }
    job.dout.as_ref().map_or(Ok(()), |dout| dout.require_gradients("a graph shows gradients"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_between_ascii_and_utf_8() {
        assert!(
            ["C", "POSIX", "en_US", "ja_JP.eucJP", "de_DE.ISO-8859-1"].iter().all(|locale| is_ascii_locale(locale))
        );
        assert!(!["C.UTF-8", "ja_JP.utf8", "en_US.UTF-8@euro"].iter().any(|locale| is_ascii_locale(locale)));
    }
}
