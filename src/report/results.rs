//! The results of a command.

use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::{InMemoryArrays, OutputDtype};
use ndarray::ArrayD;
use std::borrow::Cow;

/// The results of a command.
pub struct Report {
    /// Results in the order of output.
    pub blocks: Vec<ResultBlock>,
    /// Element type in binary files.
    pub width: OutputDtype,
}

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
    /// Name of the result.
    pub name: Name,
    /// Its formula, without the name in front.
    pub formula: String,
    /// Its value.
    pub value: ArrayD<f64>,
    /// A line of text above the result.
    pub before: Option<String>,
}

impl Report {
    /// Returns the headings, and the values as a stream that drops each after it is written.
    pub fn into_stream(self) -> (Vec<ResultHeader>, InMemoryArrays<'static>) {
        let (headers, arrays): (Vec<_>, Vec<_>) = self
            .blocks
            .into_iter()
            .map(|ResultBlock { name, formula, value, before }| {
                (ResultHeader { name: name.clone(), formula, before }, (name, Cow::Owned(value)))
            })
            .unzip();
        (headers, InMemoryArrays::new(arrays.into_iter()))
    }

    /// Retains the named results, in the order of output.
    pub fn only(&mut self, names: &[String]) -> Result<(), Error> {
        let available: Vec<&str> = self.blocks.iter().map(|block| block.name.as_str()).collect();
        check_result_names(names, &available)?;
        self.blocks.retain(|block| names.iter().any(|name| name == block.name.as_str()));
        Ok(())
    }
}

/// Refuses names in `--only` that are not results.
pub fn check_result_names(names: &[String], available: &[&str]) -> Result<(), Error> {
    match names.iter().find(|name| !available.contains(&name.as_str())) {
        Some(unknown) => Err(Error::new(Code::Usage, format!("unknown result `{unknown}`"))
            .with_operand(&Name::new("only"))
            .tip(format!("use one or more of {}", available.join(", ")))),
        None => Ok(()),
    }
}
