//! A graph as a self-contained page, which steps through the computation, shows all digits and the arithmetic of each step, switches
//! between levels of detail, and has heat maps of matrices.

use super::svg;
use super::svg_text::escape;
use crate::core::language::{Language, phrase};
use crate::graph::label::format_number;
use crate::graph::legend::legend;
use crate::graph::model::{Edge, Graph, Level};
use crate::graph::options::Theme;
use crate::graph::page::{PageContent, SlidingWindows};
use ndarray::ArrayD;

/// Width that a picture should not exceed, in pixels: beside the arithmetic, it is scaled to about two thirds on a small screen.
const WIDTH: usize = 1280;
/// Width divided by height of the area of a picture beside the arithmetic.
const ASPECT: f64 = 1.45;
/// Largest array of a heat map, in entries.
const MAX_ENTRIES: usize = 4096;
/// Largest number of entries of all heat maps of a graph.
const MAX_TOTAL_ENTRIES: usize = 200_000;
/// Significant digits of a number in a heat map.
const DIGITS: usize = 6;

/// Sentences of the page, as its source has them.
const SENTENCES: &[&str] = &[
    ">Start<",
    ">◀ Back<",
    ">Next ▶<",
    ">Play<",
    ">All<",
    r#""Play""#,
    r#""Pause""#,
    "`${step} of ${steps.length - 1}  ${now.sentence}`",
    r#"title="left arrow key""#,
    r#"title="right arrow key""#,
    r#"aria-label="Steps through the graph""#,
    r#"aria-label="Step""#,
    "Point at a line, or move to it with the Tab key, to see all digits and the local derivative.",
    r#""a large matrix""#,
    r#""Nothing is computed yet.""#,
    r#""Forward: the operands are given.""#,
    r#"`Forward: ${node.label} gives ${nameOf(result) || "a value"}.`"#,
    r#""Backward: the upstream gradient is given.""#,
    r#""the gradients of all uses are summed""#,
    "`through ${node.label}`",
    "`Backward: ${sentence}.`",
    r#""Backward: the gradients of all uses of an operand are summed.""#,
    r#""The computation is complete. Start, the arrow keys and the slider step through it.""#,
];

/// Returns the graph as an HTML page.
pub(super) fn render(graph: &Graph, content: &PageContent) -> String {
    let graphs: Vec<&Graph> = std::iter::once(graph).chain(&content.others).collect();
    let figure = |graph: &&Graph| {
        let mut graph = (*graph).clone();
        graph.options.width.get_or_insert(WIDTH);
        graph.options.aspect.get_or_insert(ASPECT);
        graph.options.title = None;
        graph.options.has_legend = false;
        let graph = &graph;
        format!(
            "<figure class=\"picture\" data-level=\"{}\">\n{}</figure>\n",
            level_name(graph.level),
            svg::element(graph)
        )
    };
    let figures: String = graphs.iter().map(figure).collect();
    let theme = match graph.options.theme {
        Theme::Auto => "auto",
        Theme::Light => "light",
        Theme::Dark => "dark",
    };
    let title = graph.options.title.clone().unwrap_or_else(|| graph.text("Computational graph"));
    let legend = |graph: &&Graph| {
        let notes: Vec<String> = legend(graph).iter().map(|note| graph.text(note)).collect();
        format!("<p class=\"legend\">{}</p>\n", escape(&notes.join("\n")))
    };
    let legends: String = graphs.iter().map(legend).collect();
    page()
        .replace("<!--title-->", &escape(&title))
        .replacen("<!--theme-->", theme, 1)
        .replacen("<!--legends-->\n", &legends, 1)
        .replacen("<!--content-->", &json(&graphs, content), 1)
        .replacen("<!--graphs-->\n", &figures, 1)
}

/// Returns the page without its content, in the language of this thread.
fn page() -> String {
    let page =
        include_str!("page.html").replacen("lang=\"en\"", &format!("lang=\"{}\"", Language::current().code()), 1);
    SENTENCES.iter().fold(page, |page, sentence| page.replace(sentence, &phrase(sentence, &[])))
}

/// Returns the name of a level, that of its option.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Layer => "layer",
        Level::Tensor => "tensor",
        Level::Scalar => "scalar",
    }
}

/// Returns arrays, arithmetic and windows as JSON.
fn json(graphs: &[&Graph], content: &PageContent) -> String {
    let lines = content.arithmetic.iter().map(|arithmetic| {
        let lines = arithmetic.lines.iter().map(|line| string(line));
        format!("{}:[{}]", string(&arithmetic.name), join(lines))
    });
    let windows = content.windows.iter().map(window);
    let digits = graphs.first().map_or(DIGITS, |graph| graph.options.digits);
    let graphs = join(graphs.iter().map(|graph| arrays(graph)));
    let (lines, windows) = (join(lines), join(windows));
    format!("{{\"digits\":{digits},\"graphs\":[{graphs}],\"lines\":{{{lines}}},\"windows\":[{windows}]}}")
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<String>>().join(",")
}

/// Returns the arrays on the edges of a graph of matrices, each once for each edge.
fn arrays(graph: &Graph) -> String {
    let mut left = MAX_TOTAL_ENTRIES;
    let edges = graph.edges.iter().enumerate().filter_map(|(n, edge)| {
        let is_small = graph.level != Level::Scalar && edge.forward.ndim() > 0 && edge.forward.len() <= MAX_ENTRIES;
        left = left.checked_sub(2 * edge.forward.len()).filter(|_| is_small)?;
        Some(format!("\"{n}\":{}", arrays_of_edge(edge)))
    });
    format!("{{{}}}", join(edges))
}

fn arrays_of_edge(edge: &Edge) -> String {
    let backward = edge.backward.as_ref().filter(|backward| backward.len() <= MAX_ENTRIES).map(array);
    format!("{{\"forward\":{},\"backward\":{}}}", array(&edge.forward), backward.unwrap_or_else(|| "null".to_owned()))
}

fn array(array: &ArrayD<f64>) -> String {
    let number = |value: &f64| match value.is_finite() {
        true => format_number(*value, DIGITS),
        false => format!("\"{}\"", format_number(*value, DIGITS)),
    };
    let shape = join(array.shape().iter().map(usize::to_string));
    format!("{{\"shape\":[{shape}],\"data\":[{}]}}", join(array.iter().map(number)))
}

fn window(sliding: &SlidingWindows) -> String {
    let axis = |axis: &crate::layer::WindowAxis| {
        format!(
            "{{\"entries\":{},\"taps\":{},\"stride\":{},\"dilation\":{},\"before\":{},\"windows\":{}}}",
            axis.entries, axis.taps, axis.stride, axis.dilation, axis.before, axis.windows
        )
    };
    let axes = join(sliding.windows.0.iter().map(axis));
    format!("{{\"input\":{},\"output\":{},\"axes\":[{axes}]}}", string(&sliding.input), string(&sliding.output))
}

/// Returns a text as a JSON string that may stand in a script element.
fn string(text: &str) -> String {
    let char = |c: char| match c {
        '"' | '\\' | '<' | '>' | '&' => format!("\\u{:04x}", u32::from(c)),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(char).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_stands_in_the_page() {
        for sentence in SENTENCES {
            assert!(include_str!("page.html").contains(sentence), "{sentence}");
        }
    }
}
