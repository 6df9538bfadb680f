//! What a command has to say, as plain data; how it looks is each renderer's own.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::{ArrayStream, InMemoryArrays, OutputDtype};
use ndarray::ArrayD;
use serde_json::Value;
use std::borrow::Cow;
use std::io;

pub mod checked;
pub mod comparison;
pub mod expectation;
mod json;
mod junit;
mod sections;
pub mod steps;
mod tap;
mod text;
pub mod write;

/// The results of a command.
pub struct Report {
    /// In the order of output.
    pub blocks: Vec<ResultBlock>,
    /// Whether results are of single precision.
    pub width: OutputDtype,
}

/// What is said of a result before its value.
pub struct ResultHeader {
    /// Its name.
    pub name: Name,
    /// Its formula, without the name in front.
    pub formula: String,
    /// A line that is said before it.
    pub before: Option<String>,
}

/// One result.
pub struct ResultBlock {
    /// Its name.
    pub name: Name,
    /// Its formula, without the name in front.
    pub formula: String,
    /// Its value.
    pub value: ArrayD<f64>,
    /// A line that is said before it.
    pub before: Option<String>,
}

impl Report {
    /// What is said of the results, and their values, each of which is dropped once it is written.
    pub fn into_stream(self) -> (Vec<ResultHeader>, InMemoryArrays<'static>) {
        let (heads, arrays): (Vec<_>, Vec<_>) = self
            .blocks
            .into_iter()
            .map(|ResultBlock { name, formula, value, before }| {
                (ResultHeader { name: name.clone(), formula, before }, (name, Cow::Owned(value)))
            })
            .unzip();
        (heads, InMemoryArrays::new(arrays.into_iter()))
    }

    /// Keeps the named results, in the order of output.
    pub fn only(&mut self, names: &[String]) -> Result<(), Error> {
        let there: Vec<&str> = self.blocks.iter().map(|block| block.name.as_str()).collect();
        check_result_names(names, &there)?;
        self.blocks.retain(|block| names.iter().any(|name| name == block.name.as_str()));
        Ok(())
    }
}

/// Refuses the name of a result that is not there.
pub fn check_result_names(names: &[String], there: &[&str]) -> Result<(), Error> {
    match names.iter().find(|name| !there.contains(&name.as_str())) {
        Some(unknown) => Err(Error::new(Code::Usage, format!("there is no result {unknown}"))
            .with_operand(&Name::new("only"))
            .tip(format!("the results are {}", there.join(", ")))),
        None => Ok(()),
    }
}

/// A way to put results on a stream.
pub trait Renderer {
    /// Writes the results, each as it comes, under what is said of it.
    fn render(&self, heads: &[ResultHeader], arrays: &mut dyn ArrayStream, out: &mut dyn io::Write) -> io::Result<()>;
}

/// A distance, in three digits.
fn format_short(value: f64) -> String {
    format_number(format!("{value:.2e}").parse().unwrap_or(value))
}

/// A number in JSON, or the word for one that JSON has none for.
fn json_number(value: f64) -> Value {
    match value {
        v if v.is_finite() => Value::from(v),
        v if v.is_nan() => Value::from("NaN"),
        v => Value::from(if v > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// One object, on one line or indented.
fn write_json(object: &Value, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    if pretty {
        serde_json::to_writer_pretty(&mut *out, object)?;
    } else {
        serde_json::to_writer(&mut *out, object)?;
    }
    out.write_all(b"\n")
}

pub use json::Json;
pub use sections::ChainReport;
pub use text::{Text, format_matrix, format_number};
