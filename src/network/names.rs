//! The names of a chain's layers: each its own, found in one look.

use super::Stage;
use crate::core::error::{Code, Error, join_names};
use crate::core::name::Name;
use crate::layer::LayerSpec;
use std::collections::{HashMap, HashSet};

/// The names that are taken.
#[derive(Default)]
pub struct Names {
    taken: HashSet<String>,
    /// Where the search for a free number begins, by kind.
    next: HashMap<&'static str, usize>,
}

impl Names {
    /// The names of some layers.
    pub fn of(stages: &[Stage]) -> Names {
        Names { taken: stages.iter().map(|stage| stage.name.clone()).collect(), next: HashMap::new() }
    }

    /// The name of the next layer of a kind that was given none: `affine1`, `affine2`, ….
    pub fn fresh(&mut self, spec: &LayerSpec) -> String {
        let next = self.next.entry(spec.name).or_insert(1);
        loop {
            let name = format!("{}{next}", spec.name);
            if !self.taken.contains(&name) {
                return name;
            }
            *next += 1;
        }
    }

    /// Takes a name; refuses one that is taken.
    pub fn take(&mut self, name: &str) -> Result<(), Error> {
        if self.taken.insert(name.to_owned()) {
            return Ok(());
        }
        let mut names: Vec<&str> = self.taken.iter().map(String::as_str).collect();
        names.sort_unstable();
        Err(Error::new(Code::Setting, format!("two layers are called {name}"))
            .with_operand(&Name::new("name"))
            .fact(format!("the chain has {}", join_names(&names)))
            .tip("every layer of a chain needs a name of its own"))
    }
}
