//! The unique names of a chain's layers.

use crate::core::error::{Code, Error, join_names};
use crate::core::name::Name;
use crate::layer::LayerSpec;
use std::collections::{HashMap, HashSet};

/// The names in use, with constant-time lookup.
#[derive(Default)]
pub(super) struct LayerNames {
    used: HashSet<String>,
    /// First number to try in a fresh name, by kind of layer.
    next: HashMap<&'static str, usize>,
}

impl LayerNames {
    pub(super) fn new(used: &[&str]) -> LayerNames {
        LayerNames { used: used.iter().map(|&name| name.to_owned()).collect(), next: HashMap::new() }
    }

    /// Returns an unused name for a layer of that kind: `affine1`, `affine2`, ….
    pub(super) fn fresh(&mut self, spec: &LayerSpec) -> String {
        let next = self.next.entry(spec.name).or_insert(1);
        loop {
            let name = format!("{}{next}", spec.name);
            if !self.used.contains(&name) {
                return name;
            }
            *next += 1;
        }
    }

    /// Adds a name; refuses a duplicate.
    pub(super) fn insert(&mut self, name: &str) -> Result<(), Error> {
        if self.used.insert(name.to_owned()) {
            return Ok(());
        }
        let mut names: Vec<&str> = self.used.iter().map(String::as_str).collect();
        names.sort_unstable();
        Err(Error::new(Code::Setting, format!("two layers are named {name}"))
            .with_operand(&Name::new("name"))
            .fact(format!("the chain has {}", join_names(&names)))
            .tip("give every layer of a chain a different name"))
    }
}
