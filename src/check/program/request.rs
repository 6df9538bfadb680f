//! Writes requests: points as JSON, as many in a request as fit.

use super::array_form::{ArrayForm, write_base64};
use super::hello::Hello;
use crate::check::implementation::Point;
use crate::check::requests::REQUEST_BYTES;
use crate::format::json;
use crate::layer::{Settings, Value};
use crate::numeric::FloatType;
use ndarray::ArrayD;
use serde_json::json;
use std::io::{self, Write};

/// Text after the points of a request.
const REQUEST_END: &[u8] = b"]}\n";

/// The part of a request that is the same for all points.
pub(super) struct RequestFormat {
    /// The layer that the program is asked for.
    pub(super) layer: String,
    settings: serde_json::Value,
    /// The type that the program computes in, if it is declared.
    pub(super) float_type: Option<FloatType>,
    /// The properties that the program states in its hello.
    pub(super) hello: Hello,
}

/// A request, and the points that it asks.
pub(super) struct Request<'a> {
    pub(super) text: Vec<u8>,
    pub(super) points: &'a [Point],
}

impl RequestFormat {
    /// Returns the format of requests to a program that computes a layer with settings from the command line.
    pub(super) fn new(layer: &str, settings: &Settings) -> RequestFormat {
        let settings = settings_json(settings);
        RequestFormat { layer: layer.to_owned(), settings, float_type: None, hello: Hello::VERSION_1 }
    }

    /// Changes the layer's settings.
    pub(super) fn set_settings(&mut self, settings: &Settings) {
        self.settings = settings_json(settings);
    }

    /// Returns the request without points, to which a program of version 2 says hello.
    pub(super) fn request_without_points(&self) -> Vec<u8> {
        [self.head(1).as_bytes(), REQUEST_END].concat()
    }

    /// Returns the requests for these points, none of them longer than 8 MB unless it has a single point.
    pub(super) fn requests<'a>(&'a self, points: &'a [Point]) -> Requests<'a> {
        Requests { format: self, points, postponed: Vec::new() }
    }

    /// Returns a request up to its points.
    fn head(&self, version: u32) -> String {
        let (layer, settings) = (json!(self.layer), &self.settings);
        let precision = self.float_type.map(|float_type| format!(r#""precision":"{}","#, float_type.name()));
        let precision = precision.unwrap_or_default();
        format!(r#"{{"nnlayer":{version},"layer":{layer},"settings":{settings},{precision}"points":["#)
    }

    fn write_point(&self, point: &Point, text: &mut Vec<u8>) -> io::Result<()> {
        text.write_all(b"{\"inputs\":{")?;
        for (n, (name, value)) in point.operands.iter().enumerate() {
            write!(text, "{}{}:", if n == 0 { "" } else { "," }, json!(name.as_str()))?;
            self.write_array(value, text)?;
        }
        text.write_all(b"}")?;
        if let Some(dout) = &point.dout {
            text.write_all(b",\"dout\":")?;
            self.write_array(dout, text)?;
        }
        text.write_all(b"}")
    }

    fn write_array(&self, value: &ArrayD<f64>, text: &mut Vec<u8>) -> io::Result<()> {
        match self.hello.arrays {
            ArrayForm::Lists => json::write_value(value, text),
            ArrayForm::Base64 => write_base64(value, self.float_type.unwrap_or_default(), text),
        }
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
        let mut text = self.format.head(self.format.hello.version).into_bytes();
        let mut count = usize::from(!self.postponed.is_empty());
        text.append(&mut self.postponed);
        for point in &self.points[count..] {
            let end = text.len();
            if count > 0 {
                text.push(b',');
            }
            let begin = text.len();
            self.format.write_point(point, &mut text)?;
            if count > 0 && text.len() + REQUEST_END.len() > REQUEST_BYTES {
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

/// Returns settings as an object, by the names of their options.
pub fn settings_json(settings: &Settings) -> serde_json::Value {
    settings
        .iter()
        .map(|(name, value)| (name.to_owned(), setting_json(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn setting_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Flag(flag) => json!(flag),
        Value::Integer(number) => json!(number),
        Value::Number(number) if number.is_finite() => json!(number),
        Value::Number(number) if number.is_nan() => json!("NaN"),
        Value::Number(number) => json!(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Choice(word) => json!(word),
        Value::Integers(values) => json!(values),
        Value::IntegerRows(rows) => json!(rows),
    }
}
