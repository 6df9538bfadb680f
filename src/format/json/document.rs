//! Document whose matrices are moved out, not copied.

use super::node::Node;
use crate::core::error::Error;
use crate::core::name::{Name, find_key};
use crate::core::size::MAX_RANK;
use crate::format::arrays::LoadedArray;
use crate::format::errors::missing_array;
use crate::format::selector::{Selector, escape};

/// Document, and the pointers to the matrices that were moved out of it.
#[derive(Debug)]
pub struct Document {
    node: Node,
    moved: Vec<String>,
}

impl Document {
    /// Returns a document with everything in it.
    pub fn new(node: Node) -> Document {
        Document { node, moved: Vec::new() }
    }

    /// Returns the document, unless the selected value or a part of it was moved out; then the file has to be read again.
    pub fn remaining(&self, select: &Selector) -> Option<&Node> {
        let pointer = select.pointer();
        let inside = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // An object keeps its keys when a value is moved out.
        let is_affected = |moved: &String| {
            inside(moved, pointer) || (inside(pointer, moved) && !matches!(self.node, Node::Object(_)))
        };
        (!self.moved.iter().any(is_affected)).then_some(&self.node)
    }

    /// Moves the selected matrix out; returns `None` if it was moved out before. Of an object, the first of `names` is taken. `is_mask`
    /// says that it may have booleans.
    pub fn take(&mut self, select: &Selector, names: &[Name], is_mask: bool) -> Result<Option<LoadedArray>, Error> {
        if self.remaining(select).is_none() {
            return Ok(None);
        }
        let pointer = selected_pointer(&self.node, select.pointer(), names)?;
        if self.remaining(&Selector::Pointer(pointer.clone())).is_none() {
            return Ok(None);
        }
        let (value, is_boolean) = match self.node.get_mut(&pointer) {
            Some(Node::Numbers(numbers)) if numbers.ndim() <= MAX_RANK => (std::mem::take(numbers), false),
            _ if is_mask => self.node.find(&pointer)?.mask(&pointer)?,
            _ => (self.node.find(&pointer)?.array(&pointer)?, false),
        };
        self.moved.push(pointer.clone());
        Ok(Some(LoadedArray { pointer, is_boolean, ..LoadedArray::unnamed(value) }))
    }
}

/// Returns the pointer of the selected value, or in an object that of the first of `names` that is a key.
fn selected_pointer(node: &Node, pointer: &str, names: &[Name]) -> Result<String, Error> {
    let chosen = node.find(pointer)?;
    let Some(entries) = chosen.entries() else { return Ok(pointer.to_owned()) };
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    match names.iter().find_map(|name| find_key(&keys, name.as_str())) {
        Some(at) => Ok(format!("{pointer}/{}", escape(keys[at]))),
        None => {
            let choices: Vec<String> = names.iter().map(|name| format!("{pointer}/{name}")).collect();
            Err(missing_array(&choices.join(" or "), &chosen.child_pointers(pointer)))
        }
    }
}
