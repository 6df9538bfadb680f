//! What a program answered, read: anything that is numbers passes, whatever its shape.

use crate::check::{Point, Reply};
use crate::core::error::{Code, Error, Place};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::json;
use crate::format::json::Node;
use crate::format::{escape, sanitize};
use ndarray::{ArrayD, Axis, IxDyn};

/// So many characters of an answer are shown that is no JSON.
const SHOWN: usize = 120;

/// Reads the reply to a request with these points.
pub(super) fn read(bytes: &[u8], points: &[Point], label: &str) -> Result<Vec<Reply>, Error> {
    let node = match json::parse(bytes, label) {
        Ok(node) => node,
        Err(error) => return Err(not_json(error, bytes)),
    };
    document(node, points).map_err(|error| {
        let error = error.with_origin(label).fact(format!("it said: {}", beginning(bytes)));
        let Some(Place::Pointer(pointer)) = &error.at else { return error };
        let pointer = pointer.clone();
        match json::locate(bytes, &pointer) {
            Some((line, column)) => error.at(Place::Text { line, column, pointer }),
            None => error,
        }
    })
}

fn document(node: Node, points: &[Point]) -> Result<Vec<Reply>, Error> {
    let said = match key(node, "points", "")? {
        Node::List(said) => said,
        // Only an empty array of points is an array of numbers.
        Node::Numbers(numbers) if numbers.is_empty() => Vec::new(),
        _ => return Err(value("points is no array of objects", "/points")),
    };
    if said.len() != points.len() {
        let message = format!("answered {} of {} points", said.len(), points.len());
        return Err(Error::new(Code::ReplyPoints, message)
            .tip("a request holds several points; the reply has one entry for each, in the same order"));
    }
    said.into_iter().zip(points).enumerate().map(|(n, (said, asked))| point(said, asked, n)).collect()
}

fn point(said: Node, asked: &Point, n: usize) -> Result<Reply, Error> {
    let here = format!("/points/{n}");
    let Node::Object(entries) = said else { return Err(value("a point is an object", &here)) };
    let (mut outputs, mut gradients) = (None, None);
    for (key, node) in entries {
        match key.as_str() {
            "outputs" => outputs = Some(arrays(node, &format!("{here}/outputs"))?),
            "gradients" => gradients = Some(arrays(node, &format!("{here}/gradients"))?),
            _ => {}
        }
    }
    match (&outputs, &gradients) {
        (None, None) => Err(lacks("outputs", &here)),
        (None, Some(_)) if asked.dout.is_none() => Err(lacks("outputs", &here)),
        _ => Ok(Reply { outputs: outputs.unwrap_or_default(), gradients: gradients.unwrap_or_default() }),
    }
}

/// The named arrays of `outputs` or `gradients`; null stands for nothing.
fn arrays(node: Node, here: &str) -> Result<Tensors<f64>, Error> {
    let entries = match node {
        Node::Object(entries) => entries,
        Node::Null => return Ok(Tensors::new()),
        _ => return Err(value("is no object with an array for each name", here)),
    };
    let named = entries.into_iter().filter(|(_, node)| *node != Node::Null);
    named
        .map(|(name, node)| {
            let here = format!("{here}/{}", escape(&name));
            Ok((Name::new(name), numbers(node, &here)?))
        })
        .collect()
}

/// An array of numbers with as many axes as there are.
fn numbers(node: Node, here: &str) -> Result<ArrayD<f64>, Error> {
    let list = match node {
        Node::List(list) if list.iter().all(|node| matches!(node, Node::List(_) | Node::Numbers(_))) => list,
        other => return other.matrix(here).map_err(|error| error.update(|said| said.code = Code::ReplyValue)),
    };
    let parts: Vec<ArrayD<f64>> = list
        .into_iter()
        .enumerate()
        .map(|(n, node)| numbers(node, &format!("{here}/{n}")))
        .collect::<Result<_, _>>()?;
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    ndarray::stack(Axis(0), &views).map_err(|_| value("has rows of different lengths", here)).map(standard)
}

fn standard(values: ArrayD<f64>) -> ArrayD<f64> {
    let shape = IxDyn(values.shape());
    ArrayD::from_shape_vec(shape, values.iter().copied().collect()).unwrap_or(values)
}

fn key(node: Node, wanted: &str, here: &str) -> Result<Node, Error> {
    let Node::Object(entries) = node else { return Err(value("is no JSON object", here)) };
    entries.into_iter().find(|(key, _)| key == wanted).map(|(_, node)| node).ok_or_else(|| lacks(wanted, here))
}

fn lacks(key: &str, here: &str) -> Error {
    let error = Error::new(Code::ReplyKeyMissing, format!("the answer has no key {key}"))
        .tip(r#"an answer is {"points":[{"outputs":{"y":…},"gradients":{"dx":…}}, …]}"#);
    if here.is_empty() { error } else { error.at(Place::Pointer(here.to_owned())) }
}

fn value(what: &str, here: &str) -> Error {
    Error::new(Code::ReplyValue, what)
        .at(Place::Pointer(here.to_owned()))
        .tip(r#"an answer is {"points":[{"outputs":{"y":…},"gradients":{"dx":…}}, …]}"#)
}

fn not_json(error: Error, bytes: &[u8]) -> Error {
    let code = if error.code == Code::DuplicateKey { Code::ReplyValue } else { Code::ReplyNotJson };
    error
        .update(|said| said.code = code)
        .fact(format!("it said: {}", beginning(bytes)))
        .tip("standard output is for the one answer; print other things on standard error")
}

fn beginning(bytes: &[u8]) -> String {
    // Four bytes are enough for any character.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN)]);
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < bytes.trim_ascii_end().len() { "…" } else { "" };
    format!("{}{more}", sanitize(shown.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one() -> Vec<Point> {
        vec![Point { at: Tensors::new(), dout: None }]
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            bytes: Vec<u8>,
            near in r#"\{"points":\[\{"(outputs|gradients)":(\{"y":)?[\[\]{},:"0-9a-z\-]{0,40}"#,
            value in r#"[\[\]1,]{0,30}|"NaN"|null|\{\}|1e999|-Infinity|"[a-z]{0,5}""#,
        ) {
            let _ = read(&bytes, &one(), "program");
            let _ = read(near.as_bytes(), &one(), "program");
            let whole = format!(r#"{{"points":[{{"outputs":{{"y":{value}}},"gradients":{value}}}]}}"#);
            let _ = read(whole.as_bytes(), &one(), "program");
            let alone = format!(r#"{{"points":{value}}}"#);
            let _ = read(alone.as_bytes(), &one(), "program");
        }

        #[test]
        fn arrays_of_any_depth_keep_their_shape(sides in prop::collection::vec(1usize..4, 0..5), bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = sides.iter().rev().fold(format!("{number:e}"), |inner, &side| {
                format!("[{}]", vec![inner; side].join(","))
            });
            let whole = format!(r#"{{"points":[{{"outputs":{{"y":{text}}}}}]}}"#);
            let said = read(whole.as_bytes(), &one(), "program").map_err(|error| TestCaseError::fail(error.to_string()))?;
            let y = said[0].outputs.known(&Name::Y);
            prop_assert_eq!(y.shape(), &sides[..]);
            prop_assert!(y.iter().all(|v| v.to_bits() == number.to_bits()));
            prop_assert!(y.is_standard_layout());
        }
    }
}
