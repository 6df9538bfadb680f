//! Integers of a document that a double cannot represent. They are looked for only where a double is so large that it may
//! be one, in the text of the document again.

use super::node::Node;
use super::number::JsonNumber;
use super::tree;
use crate::core::error::{Error, Place};
use crate::format::elements::{is_rounded_integer, may_be_rounded, rounded_integer};
use crate::format::selector::escape;
use crate::format::source::Source;
use ndarray::Dimension;

/// The double that an integer was rounded to; NaN for a number that is exact or not an integer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundedInteger(f64);

impl JsonNumber for RoundedInteger {
    fn from_token(token: &[u8], value: f64) -> RoundedInteger {
        RoundedInteger(if is_rounded_integer(token, value) { value } else { f64::NAN })
    }

    fn missing() -> Option<RoundedInteger> {
        None
    }
}

/// Returns true if a number of a value may be an integer that was rounded.
pub fn may_have_rounded(node: &Node) -> bool {
    find_number(node, "", &may_be_rounded).is_some()
}

/// Returns the warning of the first integer, in a part of a document, that a double cannot represent.
pub fn find_rounded(source: Source<'_>, pointer: &str) -> Option<Error> {
    first_rounded(&tree::read(source).ok()?, pointer)
}

/// Returns the warning of the first integer, in a part of a document that has been read, that a double cannot represent.
pub fn first_rounded(document: &Node<RoundedInteger>, pointer: &str) -> Option<Error> {
    let part = document.find(pointer).ok()?;
    let (place, RoundedInteger(double)) = find_number(&part, pointer, &|number| !number.0.is_nan())?;
    Some(rounded_integer(double).at(Place::Pointer(place)))
}

/// Returns the first number that is looked for, and the pointer to it.
fn find_number<T: Copy>(node: &Node<T>, pointer: &str, is_found: &impl Fn(T) -> bool) -> Option<(String, T)> {
    match node {
        Node::Number(number) => is_found(*number).then(|| (pointer.to_owned(), *number)),
        Node::Numbers(numbers) => {
            let at = numbers.iter().position(|number| is_found(*number))?;
            let (index, number) = numbers.indexed_iter().nth(at)?;
            let steps = index.slice().iter().map(|step| format!("/{step}")).collect::<String>();
            Some((format!("{pointer}{steps}"), *number))
        }
        Node::List(list) => {
            list.iter().enumerate().find_map(|(n, node)| find_number(node, &format!("{pointer}/{n}"), is_found))
        }
        Node::Object(entries) => {
            entries.iter().find_map(|(key, node)| find_number(node, &format!("{pointer}/{}", escape(key)), is_found))
        }
        Node::Text(_) | Node::Bool(_) | Node::Null => None,
    }
}
