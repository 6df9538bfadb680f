//! The results of a command.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::InMemoryArrays;
use ndarray::ArrayD;
use std::borrow::Cow;

/// The heading of a result.
pub struct ResultHeader {
    /// Name of the result.
    pub name: Name,
    /// Its formula, without the name in front.
    pub formula: String,
    /// A line of text above the result.
    pub before: Option<String>,
}

/// One result.
pub struct ResultBlock {
    /// Its heading.
    pub header: ResultHeader,
    /// Its value.
    pub value: ArrayD<f64>,
}

/// Returns the headings, and the values as a stream that drops each after it is written.
pub fn into_stream(blocks: Vec<ResultBlock>) -> (Vec<ResultHeader>, InMemoryArrays<'static>) {
    let (names, (headers, values)): (Vec<_>, (Vec<_>, Vec<_>)) =
        blocks.into_iter().map(|block| (block.header.name.clone(), (block.header, Cow::Owned(block.value)))).unzip();
    (headers, InMemoryArrays::new(names.into_iter().zip(values)))
}

/// Refuses names in `--only` that are not results.
pub fn check_result_names(names: &[String], available: &[&str]) -> Result<(), Error> {
    match names.iter().find(|name| !available.contains(&name.as_str())) {
        Some(unknown) => Err(Error::new(Code::UnknownResult, format!("unknown result `{unknown}`"))
            .with_operand(&Name::new("only"))
            .tip(format!("use one or more of {}", available.join(", ")))),
        None => Ok(()),
    }
}
