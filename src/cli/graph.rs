//! `--graph` and its options: the computational graph.

use super::args::{choice, flag, flag_of, option, text_of};
use super::negative::file_name;
use super::value;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::graph::{Level, PICTURES, Picture, PictureOptions, Theme};
use crate::report::Digits;
use crate::run::request::GraphRequest;
use clap::{Arg, ArgMatches};

/// Least width of a graph.
const MIN_WIDTH: usize = 20;
/// Greatest width of a graph.
const MAX_WIDTH: usize = 100_000;

/// Returns `--graph` and its options; `others` are options that cannot be combined with it.
pub(super) fn options(others: &'static [&'static str]) -> Vec<Arg> {
    let graph = file_name(option("graph", "FILE", "draw the computational graph"))
        .long_help(format!(
            "draw the computational graph, with values forward and gradients backward, in the terminal or to a {} file",
            extensions()
        ))
        .num_args(0..=1)
        .default_missing_value("")
        .conflicts_with_all(["json", "pretty", "only", "out", "check"])
        .conflicts_with_all(others);
    let of_graph = [
        choice("level", "LEVEL", &["layer", "tensor", "scalar"], "level of detail of the graph: layer, tensor or scalar").long_help(
            "level of detail of the graph: whole layers (layer; the default for large networks), operations on matrices (tensor) or on \
             numbers (scalar; the default for small graphs)",
        ),
        option("title", "TEXT", "title above the graph"),
        flag("no-legend", "leave out the explanations below the graph"),
        flag("hints", "say what each operation of the graph does with the gradient that comes back")
            .long_help(
                "say what each operation of the graph does with the gradient that comes back: + passes it on, × swaps (each \
                 operand gets the gradient times the other one), max routes it to the largest",
            ),
        option("width", "N", "greatest width of the graph")
            .long_help("greatest width of the graph, in pixels (.svg and .html) or columns (terminal); wider graphs are wrapped"),
        option("aspect", "W:H", "shape of the area that the graph is to fill")
            .long_help("shape of the area that the graph is to fill, such as 16:9 (default for wide graphs), 4:3 or 1:1; for .svg and .html"),
        choice("theme", "THEME", &["auto", "light", "dark"], "colours of the graph: auto, light or dark")
            .long_help("colours of the graph, for .svg and .html: light, dark, or those of the reader's system (auto, default)"),
    ];
    let of_graph = of_graph.map(|arg| arg.hide_short_help(true).requires("graph"));
    std::iter::once(graph).chain(of_graph).collect()
}

/// Returns the extensions of the picture formats: `.dot or .mmd`.
fn extensions() -> String {
    let extensions: Vec<String> = PICTURES.iter().map(|picture| format!(".{}", picture.extension)).collect();
    match &extensions[..] {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        all => all.join(""),
    }
}

/// Parses `--graph` and its options; refuses files that are not pictures, and options that would change nothing.
pub(super) fn parse(matches: &ArgMatches, digits: Digits) -> Result<Option<GraphRequest>, Error> {
    let Some(file) = text_of(matches, "graph") else { return Ok(None) };
    let level = text_of(matches, "level").map(|word| match word {
        "layer" => Level::Layer,
        "tensor" => Level::Tensor,
        _ => Level::Scalar,
    });
    let file = match file {
        "" => None,
        path => Some((path.to_owned(), picture(path)?)),
    };
    let is_laid_out = file.as_ref().is_some_and(|(_, picture)| picture.is_laid_out);
    let has_width = is_laid_out || file.is_none();
    let ineffective = [("width", has_width), ("aspect", is_laid_out), ("theme", is_laid_out)];
    if let Some((option, _)) = ineffective.iter().find(|(option, works)| !works && text_of(matches, option).is_some()) {
        return Err(Error::new(Code::Usage, "has an effect only on .svg and .html files")
            .with_operand(&Name::new(*option))
            .tip("draw to such a file, or leave it out"));
    }
    let options = PictureOptions {
        title: text_of(matches, "title").map(str::to_owned),
        has_legend: !flag_of(matches, "no-legend"),
        has_hints: flag_of(matches, "hints"),
        digits: match digits {
            Digits::Significant(digits) => digits,
            Digits::Numpy => PictureOptions::default().digits,
        },
        width: parse_width(matches)?,
        aspect: parse_aspect(matches)?,
        theme: match text_of(matches, "theme") {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::Auto,
        },
        is_ascii: false,
    };
    Ok(Some(GraphRequest { file, level, options, digits, always_color: text_of(matches, "color") == Some("always") }))
}

/// Parses `--width`.
fn parse_width(matches: &ArgMatches) -> Result<Option<usize>, Error> {
    let number = |text: &str| text.parse().ok().filter(|width| (MIN_WIDTH..=MAX_WIDTH).contains(width));
    let expected = format!("a whole number from {MIN_WIDTH} to {MAX_WIDTH}");
    value::parse(matches, "width", &expected, "use --width 960 for a file, or --width 80 in a terminal", number)
}

/// Parses `--aspect`, two positive numbers.
fn parse_aspect(matches: &ArgMatches) -> Result<Option<f64>, Error> {
    let ratio = |text: &str| {
        let (width, height) = text.split_once(':')?;
        let ratio = width.trim().parse::<f64>().ok()? / height.trim().parse::<f64>().ok()?;
        (0.05..=20.0).contains(&ratio).then_some(ratio)
    };
    value::parse(matches, "aspect", "a width and a height such as 16:9", "use --aspect 16:9 for a slide", ratio)
}

fn picture(path: &str) -> Result<&'static Picture, Error> {
    let extension = std::path::Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    PICTURES.iter().find(|picture| picture.extension.eq_ignore_ascii_case(extension)).ok_or_else(|| {
        Error::new(Code::OutFormat, format!("unsupported picture format {extension:?}"))
            .with_operand(&Name::new("graph"))
            .with_origin(path)
            .tip(format!(
                "name a {} file, or use --graph without a file, as the last option, to draw in the terminal",
                extensions()
            ))
    })
}
