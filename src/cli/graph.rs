//! `--graph` and `--level`: the computational graph.

use super::args::{choice, option, text_of};
use super::negative::file_name;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::graph::{Level, PICTURES, Picture};
use crate::run::request::GraphRequest;
use clap::{Arg, ArgMatches};

/// Returns `--graph` and `--level`; `others` are options that cannot be combined with them.
pub(super) fn options(others: &'static [&'static str]) -> [Arg; 2] {
    [
        file_name(option("graph", "FILE", "draw the computational graph"))
            .long_help(format!(
                "draw the computational graph, with values forward and gradients backward, in the terminal or to a {} file",
                extensions()
            ))
            .num_args(0..=1)
            .default_missing_value("")
            .conflicts_with_all(["json", "pretty", "only", "out", "check"])
            .conflicts_with_all(others),
        choice("level", "LEVEL", &["tensor", "scalar"], "level of detail of the graph: tensor or scalar")
            .long_help(
                "level of detail of the graph: operations on matrices (tensor) or on numbers (scalar; the default for \
                 small graphs)",
            )
            .hide_short_help(true)
            .requires("graph"),
    ]
}

/// Returns the extensions of the picture formats: `.dot or .mmd`.
fn extensions() -> String {
    let extensions: Vec<String> = PICTURES.iter().map(|picture| format!(".{}", picture.extension)).collect();
    match &extensions[..] {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        all => all.join(""),
    }
}

/// Parses `--graph` and `--level`; refuses files that are not pictures.
pub(super) fn parse(matches: &ArgMatches) -> Result<Option<GraphRequest>, Error> {
    let Some(file) = text_of(matches, "graph") else { return Ok(None) };
    let level = text_of(matches, "level").map(|word| if word == "tensor" { Level::Tensor } else { Level::Scalar });
    let file = match file {
        "" => None,
        path => Some((path.to_owned(), picture(path)?)),
    };
    Ok(Some(GraphRequest { file, level, always_color: text_of(matches, "color") == Some("always") }))
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
