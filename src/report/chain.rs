//! The results of several layers, grouped by layer.

use super::results::{ResultBlock, ResultHeader};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::format::json::write_nested_object;
use std::io;

/// The results of a chain by layer.
pub struct ChainReport {
    /// Name and results of each layer, in the order of output.
    pub sections: Vec<(String, Vec<ResultBlock>)>,
}

impl ChainReport {
    /// Retains what is named: all results of a layer (`fc1`), one of them (`fc1.dw`), or one of every layer (`dw`).
    pub fn only(&mut self, names: &[String]) -> Result<(), Error> {
        let selects = |name: &str, layer: &str, result: &Name| {
            name == layer || name == result.as_str() || name == format!("{layer}.{result}")
        };
        let is_known = |name: &String| {
            self.sections
                .iter()
                .any(|(layer, blocks)| blocks.iter().any(|block| selects(name, layer, &block.header.name)))
        };
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            let layers: Vec<&str> = self.sections.iter().map(|(layer, _)| layer.as_str()).collect();
            let first = layers.first().unwrap_or(&"fc1");
            return Err(Error::new(Code::UnknownResult, format!("unknown layer or result `{unknown}`"))
                .with_operand(&Name::new("only"))
                .tip(format!("use dw for every layer, or {first}.dw for one; the layers are {}", layers.join(", "))));
        }
        for (layer, blocks) in &mut self.sections {
            blocks.retain(|block| names.iter().any(|name| selects(name, layer, &block.header.name)));
        }
        self.sections.retain(|(_, blocks)| !blocks.is_empty());
        Ok(())
    }

    /// Returns all results in one list, named `fc1.dw`.
    pub fn flatten(self) -> Vec<ResultBlock> {
        let qualified = |(layer, blocks): (String, Vec<ResultBlock>)| {
            blocks.into_iter().map(move |ResultBlock { header, value }| {
                let header = ResultHeader { name: header.name.in_layer(&layer), ..header };
                ResultBlock { header, value }
            })
        };
        self.sections.into_iter().flat_map(qualified).collect()
    }

    /// Writes an object that holds an object for each layer.
    pub fn write_json(&self, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
        let arrays = |blocks: &'_ [ResultBlock]| {
            blocks.iter().map(|block| (block.header.name.clone(), block.value.clone())).collect()
        };
        let layers: Vec<_> = self.sections.iter().map(|(layer, blocks)| (layer.as_str(), arrays(blocks))).collect();
        write_nested_object(&layers, pretty, out)
    }
}
