//! Syntax of an operand's text. Its meaning depends on the text alone, never on the files that exist.

use super::{literal, stdin};
use crate::core::error::{Code, Error};
use crate::format::{LoadedArray, Selector, json, printed};

/// An operand's text, parsed.
#[derive(Clone, Debug, PartialEq)]
pub enum OperandSpec {
    /// `-`, `-#SEL`, `@-`: standard input.
    Stdin(Selector),
    /// `@FILE`, `PATH#SEL`: a file.
    File(String, Selector),
    /// `[…]`, `{…}`: JSON, or what is neither JSON nor a printed array.
    Json(String),
    /// `%fc1.y`, `%x`: the output of an earlier layer of a tape, or the input of its network.
    Layer(String),
    /// `1,2;3,4`, `[1 2; 3 4]`, `array([1., 2.])`: numbers.
    Literal(LoadedArray),
}

/// Parses an operand's text.
///
/// ```
/// use nnlayer::operand::grammar::{OperandSpec, parse};
/// use nnlayer::format::Selector;
/// assert_eq!(parse("-#w"), Ok(OperandSpec::Stdin(Selector::Pointer("/w".into()))));
/// assert_eq!(parse("@2"), Ok(OperandSpec::File("2".into(), Selector::Default)));
/// assert_eq!(parse("@a#b.json"), Ok(OperandSpec::File("a#b.json".into(), Selector::Default)));
/// assert_eq!(parse("@a#b.json#/w"), Ok(OperandSpec::File("a#b.json".into(), Selector::Pointer("/w".into()))));
/// assert_eq!(parse("@a#/b.json#"), Ok(OperandSpec::File("a#/b.json".into(), Selector::Default)));
/// assert_eq!(parse("%fc1.y"), Ok(OperandSpec::Layer("fc1.y".into())));
/// assert!(matches!(parse("[[1. 2.]]"), Ok(OperandSpec::Literal(_))));
/// assert!(matches!(parse(r#"{"shape":[0,3],"data":[]}"#), Ok(OperandSpec::Json(_))));
/// assert!(parse("1/3").is_err());
/// ```
pub fn parse(text: &str) -> Result<OperandSpec, Error> {
    // A blank before a negative number keeps clap from reading it as an option.
    let trimmed = text.trim_start_matches([' ', '\t']);
    if let Some(selector) = parse_stdin(trimmed) {
        return Ok(OperandSpec::Stdin(selector));
    }
    if let Some(path) = trimmed.strip_prefix('@') {
        let (path, selector) = split_pointer(path);
        return Ok(match path {
            "-" => OperandSpec::Stdin(selector),
            _ => OperandSpec::File(path_label(path), selector),
        });
    }
    if let Some(reference) = trimmed.strip_prefix('%') {
        return Ok(OperandSpec::Layer(reference.to_owned()));
    }
    if trimmed.starts_with('[')
        || (trimmed.starts_with('{') && trimmed.trim_end().ends_with('}'))
        || (printed::is_call(trimmed) && trimmed.ends_with(')'))
    {
        return Ok(match parse_printed(trimmed)? {
            Some(array) => OperandSpec::Literal(array),
            None => OperandSpec::Json(trimmed.to_owned()),
        });
    }
    if let Some(values) = literal::parse(trimmed)? {
        return Ok(OperandSpec::Literal(values));
    }
    if trimmed.trim().is_empty() {
        return Err(Error::new(Code::EmptyValue, "the value is empty"));
    }
    if let Some(error) = literal::quoted(trimmed).or_else(|| literal::typographic(trimmed)) {
        return Err(error);
    }
    if literal::resembles_number(trimmed) {
        return Err(literal::invalid_literal(trimmed));
    }
    let (path, selector) = split_selector(trimmed);
    Ok(OperandSpec::File(path_label(path), selector))
}

/// Parses the array that a program printed, if the text is not JSON. `None` if it is neither, or JSON.
pub(super) fn parse_printed(text: &str) -> Result<Option<LoadedArray>, Error> {
    match json::parse(text.as_bytes(), "") {
        Err(error) if error.code == Code::JsonSyntax => {}
        _ => return Ok(None),
    }
    let Some(value) = printed::parse(text)? else { return Ok(None) };
    let rounded = printed::parse(text)?.and_then(|numbers| json::first_rounded(&json::Node::Numbers(numbers), ""));
    Ok(Some(LoadedArray { rounded, ..LoadedArray::unnamed(value) }))
}

/// Returns a path that differs from the name of standard input in messages.
pub(super) fn path_label(path: &str) -> String {
    if path == stdin::LABEL { format!("./{path}") } else { path.to_owned() }
}

fn parse_stdin(text: &str) -> Option<Selector> {
    let rest = text.strip_prefix('-')?;
    match rest.strip_prefix('#') {
        Some(selector) => Some(Selector::parse(selector)),
        None if rest.is_empty() => Some(Selector::Default),
        None => None,
    }
}

/// Splits the text after `@`, where a `#` may be a part of the file's name: only `#/` begins a selector, unless a `#` at the end
/// says that there is none.
fn split_pointer(text: &str) -> (&str, Selector) {
    if text.starts_with("-#") {
        return split_selector(text);
    }
    match (text.strip_suffix('#'), text.rfind("#/")) {
        (Some(path), _) => (path, Selector::Default),
        (None, Some(at)) => (&text[..at], Selector::parse(&text[at + 1..])),
        (None, None) => (text, Selector::Default),
    }
}

fn split_selector(text: &str) -> (&str, Selector) {
    match text.rsplit_once('#') {
        Some((path, selector)) => (path, Selector::parse(selector)),
        None => (text, Selector::Default),
    }
}
