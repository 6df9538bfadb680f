//! Writes requests: points as JSON, as many in a request as fit.

use crate::check::implementation::Point;
use crate::format::json;
use crate::layer::{Settings, Value};
use serde_json::json;
use std::io::{self, Write};

const PROTOCOL_VERSION: u32 = 1;

/// Longest request in bytes, unless a single point is longer.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// Text after the points of a request.
const REQUEST_END: &[u8] = b"]}\n";

/// The part of a request that is the same for all points.
pub(super) struct RequestFormat {
    /// The request up to its points.
    head: String,
}

/// A request, and the points that it asks.
pub(super) struct Request<'a> {
    pub(super) text: Vec<u8>,
    pub(super) points: &'a [Point],
}

impl RequestFormat {
    /// Returns the format of requests to a program that computes a layer with settings from the command line.
    pub(super) fn new(layer: &str, settings: &Settings) -> RequestFormat {
        let settings: serde_json::Map<String, serde_json::Value> =
            settings.iter().map(|(name, value)| (name.to_owned(), setting_json(value))).collect();
        let (layer, settings) = (json!(layer), json!(settings));
        RequestFormat {
            head: format!(r#"{{"nnlayer":{PROTOCOL_VERSION},"layer":{layer},"settings":{settings},"points":["#),
        }
    }

    /// Returns the requests for these points, none of them longer than 8 MB unless it has a single point.
    pub(super) fn requests<'a>(&'a self, points: &'a [Point]) -> Requests<'a> {
        Requests { format: self, points, postponed: Vec::new() }
    }
}

/// Iterator over the requests for some points.
pub(super) struct Requests<'a> {
    format: &'a RequestFormat,
    /// The points that are still to be asked.
    points: &'a [Point],
    /// The text of the first of them, if it did not fit into the request before.
    postponed: Vec<u8>,
}

impl<'a> Requests<'a> {
    fn write(&mut self) -> io::Result<Request<'a>> {
        let mut text = self.format.head.clone().into_bytes();
        let mut count = usize::from(!self.postponed.is_empty());
        text.append(&mut self.postponed);
        for point in &self.points[count..] {
            let end = text.len();
            if count > 0 {
                text.push(b',');
            }
            let begin = text.len();
            write_point(point, &mut text)?;
            if count > 0 && text.len() + REQUEST_END.len() > MAX_REQUEST_BYTES {
                self.postponed = text.split_off(begin);
                text.truncate(end);
                break;
            }
            count += 1;
        }
        text.extend_from_slice(REQUEST_END);
        let (points, rest) = self.points.split_at(count);
        self.points = rest;
        Ok(Request { text, points })
    }
}

impl<'a> Iterator for Requests<'a> {
    type Item = io::Result<Request<'a>>;

    fn next(&mut self) -> Option<io::Result<Request<'a>>> {
        (!self.points.is_empty()).then(|| self.write())
    }
}

fn write_point(point: &Point, text: &mut Vec<u8>) -> io::Result<()> {
    text.write_all(b"{\"inputs\":{")?;
    for (n, (name, value)) in point.operands.iter().enumerate() {
        write!(text, "{}{}:", if n == 0 { "" } else { "," }, json!(name.as_str()))?;
        json::write_value(value, text)?;
    }
    text.write_all(b"}")?;
    if let Some(dout) = &point.dout {
        text.write_all(b",\"dout\":")?;
        json::write_value(dout, text)?;
    }
    text.write_all(b"}")
}

fn setting_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Flag(flag) => json!(flag),
        Value::Integer(number) => json!(number),
        Value::Number(number) if number.is_finite() => json!(number),
        Value::Number(number) if number.is_nan() => json!("NaN"),
        Value::Number(number) => json!(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Choice(word) => json!(word),
    }
}
