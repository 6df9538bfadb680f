//! Parses a program's reply. Arrays of numbers may have any shape and rank; the check reports wrong shapes.

use super::array_form::read_base64;
use crate::check::implementation::{Evaluation, Point};
use crate::core::error::{Code, Error, Place, sanitize};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::escape;
use crate::format::json;
use crate::format::json::Node;
use ndarray::{ArrayD, Axis, IxDyn};

/// Number of characters of an unusable reply that an error shows.
const SHOWN_CHARS: usize = 120;

const REPLY_FORMAT: &str = r#"reply with {"points":[{"outputs":{"y":…},"gradients":{"dx":…}}, …]}"#;

const BASE64_FORMAT: &str =
    r#"write nested lists, or an object such as {"shape":[2],"dtype":"f32","base64":"AACAPwAAAMA="}"#;

/// Parses the reply to a request for these points.
pub(super) fn parse(bytes: &[u8], points: &[Point], label: &str) -> Result<Vec<Evaluation>, Error> {
    let node = json::parse(bytes, label).map_err(|error| json_error(error, bytes))?;
    parse_points(node, points).map_err(|error| {
        let error = error.with_origin(label).fact(format!("reply: {}", beginning(bytes)));
        let Some(Place::Pointer(pointer)) = &error.at else { return error };
        let pointer = pointer.clone();
        match json::locate(bytes, &pointer) {
            Some((line, column)) => error.at(Place::Text { line, column, pointer }),
            None => error,
        }
    })
}

fn parse_points(node: Node, points: &[Point]) -> Result<Vec<Evaluation>, Error> {
    let Node::Object(entries) = node else { return Err(value_error("must be a JSON object", "")) };
    let found = entries.into_iter().find(|(key, _)| key == "points");
    let replies = match found.ok_or_else(|| missing_key("points", ""))?.1 {
        Node::List(replies) => replies,
        // Only an empty array of points is an array of numbers.
        Node::Numbers(numbers) if numbers.is_empty() => Vec::new(),
        _ => return Err(value_error("points must be an array of objects", "/points")),
    };
    if replies.len() != points.len() {
        let message = format!("replied to {} of {} points", replies.len(), points.len());
        return Err(Error::new(Code::ReplyPoints, message)
            .tip("a request contains several points; reply with one object for each, in the same order"));
    }
    replies.into_iter().zip(points).enumerate().map(|(n, (reply, point))| parse_point(reply, point, n)).collect()
}

fn parse_point(node: Node, point: &Point, n: usize) -> Result<Evaluation, Error> {
    let pointer = format!("/points/{n}");
    let Node::Object(entries) = node else { return Err(value_error("a point must be an object", &pointer)) };
    let (mut outputs, mut gradients) = (None, None);
    for (key, node) in entries {
        match key.as_str() {
            "outputs" => outputs = Some(parse_arrays(node, &format!("{pointer}/outputs"))?),
            "gradients" => gradients = Some(parse_arrays(node, &format!("{pointer}/gradients"))?),
            _ => {}
        }
    }
    if outputs.is_none() && (gradients.is_none() || point.dout.is_none()) {
        return Err(missing_key("outputs", &pointer));
    }
    Ok(Evaluation { outputs: outputs.unwrap_or_default(), gradients: gradients.unwrap_or_default() })
}

/// Parses the named arrays of `outputs` or `gradients`. `null` stands for an absent array.
fn parse_arrays(node: Node, pointer: &str) -> Result<Tensors<f64>, Error> {
    let entries = match node {
        Node::Object(entries) => entries,
        Node::Null => return Ok(Tensors::new()),
        _ => return Err(value_error("must be an object with an array for each name", pointer)),
    };
    let named = entries.into_iter().filter(|(_, node)| *node != Node::Null);
    named
        .map(|(name, node)| {
            let pointer = format!("{pointer}/{}", escape(&name));
            let is_shaped = node.is_shaped();
            let value = match node {
                Node::Object(entries) if !is_shaped => read_base64(&entries).map_err(|message| {
                    Error::new(Code::ReplyValue, message).at(Place::Pointer(pointer.clone())).tip(BASE64_FORMAT)
                })?,
                lists => parse_array(lists, &pointer)?,
            };
            Ok((Name::new(name), value))
        })
        .collect()
}

/// Parses an array of numbers of any rank.
fn parse_array(node: Node, pointer: &str) -> Result<ArrayD<f64>, Error> {
    let list = match node {
        Node::List(list) if list.iter().all(|node| matches!(node, Node::List(_) | Node::Numbers(_))) => list,
        other => return other.array(pointer).map_err(|error| error.update(|error| error.code = Code::ReplyValue)),
    };
    let entries = list.into_iter().enumerate().map(|(n, node)| parse_array(node, &format!("{pointer}/{n}")));
    let entries: Vec<ArrayD<f64>> = entries.collect::<Result<_, _>>()?;
    let views: Vec<_> = entries.iter().map(|entry| entry.view()).collect();
    let stacked = ndarray::stack(Axis(0), &views).map_err(|_| value_error("has rows of different lengths", pointer))?;
    let shape = IxDyn(stacked.shape());
    Ok(ArrayD::from_shape_vec(shape, stacked.iter().copied().collect()).unwrap_or(stacked))
}

fn missing_key(key: &str, pointer: &str) -> Error {
    let error = Error::new(Code::ReplyKeyMissing, format!("the reply has no key `{key}`")).tip(REPLY_FORMAT);
    if pointer.is_empty() { error } else { error.at(Place::Pointer(pointer.to_owned())) }
}

fn value_error(message: &str, pointer: &str) -> Error {
    Error::new(Code::ReplyValue, message).at(Place::Pointer(pointer.to_owned())).tip(REPLY_FORMAT)
}

fn json_error(error: Error, bytes: &[u8]) -> Error {
    let code = if error.code == Code::DuplicateKey { Code::ReplyValue } else { Code::ReplyNotJson };
    error
        .update(|error| error.code = code)
        .fact(format!("reply: {}", beginning(bytes)))
        .tip("print only the reply on standard output, and everything else on standard error")
}

fn beginning(bytes: &[u8]) -> String {
    // A character has at most four bytes.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN_CHARS)]);
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < bytes.trim_ascii_end().len() { "…" } else { "" };
    format!("{}{more}", sanitize(shown.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse_one(text: &[u8]) -> Result<Vec<Evaluation>, Error> {
        parse(text, &[Point { operands: Tensors::new(), dout: None }], "program")
    }

    proptest! {
        #[test]
        fn no_reply_causes_a_panic(
            bytes: Vec<u8>,
            prefix in r#"\{"points":\[\{"(outputs|gradients)":(\{"y":)?[\[\]{},:"0-9a-z\-]{0,40}"#,
            value in r#"[\[\]1,]{0,30}|"NaN"|null|\{\}|1e999|-Infinity|"[a-z]{0,5}""#,
        ) {
            let _ = parse_one(&bytes);
            let _ = parse_one(prefix.as_bytes());
            let _ = parse_one(format!(r#"{{"points":[{{"outputs":{{"y":{value}}},"gradients":{value}}}]}}"#).as_bytes());
            let _ = parse_one(format!(r#"{{"points":{value}}}"#).as_bytes());
        }

        #[test]
        fn arrays_of_any_rank_keep_their_shape(sides in prop::collection::vec(1usize..4, 0..5), bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = sides.iter().rev().fold(format!("{number:e}"), |inner, &side| {
                format!("[{}]", vec![inner; side].join(","))
            });
            let reply = format!(r#"{{"points":[{{"outputs":{{"y":{text}}}}}]}}"#);
            let evaluations = parse_one(reply.as_bytes()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let y = evaluations[0].outputs.known(&Name::Y);
            prop_assert_eq!(y.shape(), &sides[..]);
            prop_assert!(y.iter().all(|v| v.to_bits() == number.to_bits()));
            prop_assert!(y.is_standard_layout());
        }
    }
}
