//! What the text of an operand means, decided by the text alone and never by which files exist.

use super::literal;
use crate::core::error::{Code, Error};
use crate::format::Selector;
use ndarray::ArrayD;

/// An operand's text, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// `-`, `-#SEL`, `@-`: standard input.
    Stdin(Selector),
    /// `@FILE`, `PATH#SEL`: a file.
    File(String, Selector),
    /// `[…]`: JSON.
    Json(String),
    /// `1,2;3,4`: numbers.
    Literal(ArrayD<f64>),
}

/// Reads an operand's text.
///
/// ```
/// use nnlayer::operand::grammar::{Form, parse};
/// use nnlayer::format::Selector;
/// assert_eq!(parse("-#w"), Ok(Form::Stdin(Selector::At("/w".into()))));
/// assert_eq!(parse("@2"), Ok(Form::File("2".into(), Selector::Whole)));
/// assert!(parse("1/3").is_err());
/// ```
pub fn parse(text: &str) -> Result<Form, Error> {
    // A blank before a negative number keeps it from looking like an option; it means nothing.
    let trimmed = text.trim_start_matches([' ', '\t']);
    if let Some(selector) = stdin(trimmed) {
        return Ok(Form::Stdin(selector));
    }
    if let Some(path) = trimmed.strip_prefix('@') {
        let (path, selector) = split_selector(path);
        return Ok(if path == "-" { Form::Stdin(selector) } else { Form::File(named(path), selector) });
    }
    if trimmed.starts_with('[') {
        return Ok(Form::Json(trimmed.to_owned()));
    }
    if let Some(values) = literal::parse(trimmed)? {
        return Ok(Form::Literal(values));
    }
    if trimmed.trim().is_empty() {
        return Err(Error::new(Code::EmptyValue, "the value is empty")
            .tip("write numbers, '1,2;3,4', a file, or - for standard input"));
    }
    if literal::looks_like_one(trimmed) {
        return Err(literal::mistyped(trimmed));
    }
    let (path, selector) = split_selector(trimmed);
    Ok(Form::File(named(path), selector))
}

/// A path as messages call it: a file that is called like standard input is another.
pub(super) fn named(path: &str) -> String {
    if path == super::stdin::LABEL { format!("./{path}") } else { path.to_owned() }
}

fn stdin(text: &str) -> Option<Selector> {
    let rest = text.strip_prefix('-')?;
    match rest.strip_prefix('#') {
        Some(selector) => Some(Selector::parse(selector)),
        None if rest.is_empty() => Some(Selector::Whole),
        None => None,
    }
}

fn split_selector(text: &str) -> (&str, Selector) {
    match text.rsplit_once('#') {
        Some((path, selector)) => (path, Selector::parse(selector)),
        None => (text, Selector::Whole),
    }
}
