//! The results of several layers, each under its layer's name.

use super::{Renderer, Report, ResultBlock, Text};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::OutputDtype;
use crate::format::json::write_nested_object;
use std::io;

/// Results by layer.
pub struct ChainReport {
    /// Each layer's name and results, in the order of output.
    pub sections: Vec<(String, Vec<ResultBlock>)>,
    /// Whether results are of single precision.
    pub width: OutputDtype,
}

impl ChainReport {
    /// Keeps what is named: a layer `fc1`, one of its results `fc1.dw`, or a result of every layer, `dw`.
    pub fn only(&mut self, names: &[String]) -> Result<(), Error> {
        let means = |name: &str, layer: &str, result: &Name| {
            name == layer || name == result.as_str() || name == format!("{layer}.{result}")
        };
        let named = |name: &String| {
            self.sections.iter().any(|(layer, blocks)| blocks.iter().any(|block| means(name, layer, &block.name)))
        };
        if let Some(unknown) = names.iter().find(|name| !named(name)) {
            let layers: Vec<&str> = self.sections.iter().map(|(layer, _)| layer.as_str()).collect();
            return Err(Error::new(Code::Usage, format!("there is no layer and no result {unknown}"))
                .with_operand(&Name::new("only"))
                .tip(format!(
                    "the layers are {}; dw means all of that name, {}.dw one",
                    layers.join(", "),
                    layers.first().unwrap_or(&"fc1")
                )));
        }
        for (layer, blocks) in &mut self.sections {
            blocks.retain(|block| names.iter().any(|name| means(name, layer, &block.name)));
        }
        self.sections.retain(|(_, blocks)| !blocks.is_empty());
        Ok(())
    }

    /// One list, each result named `fc1.dw`.
    pub fn flat(self) -> Report {
        let name = |layer: &str, block: ResultBlock| ResultBlock {
            name: Name::new(format!("{layer}.{}", block.name)),
            ..block
        };
        let blocks = self
            .sections
            .into_iter()
            .flat_map(|(layer, blocks)| blocks.into_iter().map(|block| name(&layer, block)).collect::<Vec<_>>());
        Report { blocks: blocks.collect(), width: self.width }
    }

    /// One block after the other, each named `fc1.dw`.
    pub fn text(self, out: &mut dyn io::Write) -> io::Result<()> {
        let (heads, mut arrays) = self.flat().into_stream();
        Text.render(&heads, &mut arrays, out)
    }

    /// One object with an object for each layer.
    pub fn json(&self, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
        let entries =
            |blocks: &'_ [ResultBlock]| blocks.iter().map(|block| (block.name.clone(), block.value.clone())).collect();
        let layers: Vec<_> = self.sections.iter().map(|(layer, blocks)| (layer.as_str(), entries(blocks))).collect();
        write_nested_object(&layers, pretty, out)
    }
}
