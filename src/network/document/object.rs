//! An object of a document, and the errors of what stands in it.

use crate::core::error::{Code, Error, Place, edit_distance, sanitize};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::escape;
use crate::format::json::Node;

/// A damaged document: what is wrong, and where.
pub(super) fn damaged(what: &str, pointer: &str) -> Error {
    Error::new(Code::Tape, what).at(Place::Pointer(pointer.to_owned()))
}

/// An object of a document, and where it stands.
pub(super) struct Object<'a> {
    pub(super) entries: &'a [(String, Node)],
    pub(super) pointer: String,
}

impl<'a> Object<'a> {
    /// Refuses what is no object.
    pub(super) fn of(node: &'a Node, pointer: String) -> Result<Object<'a>, Error> {
        match node {
            Node::Object(entries) => Ok(Object { entries, pointer }),
            _ => Err(damaged("an object is expected here", &pointer)
                .tip("a tape or network is an object with a list of layers, each an object")),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(known, _)| known == key).map(|(_, node)| node)
    }

    /// The pointer to a key.
    pub(super) fn to(&self, key: &str) -> String {
        format!("{}/{}", self.pointer, escape(key))
    }

    /// The object under a key.
    pub(super) fn child(&self, key: &str) -> Result<Option<Object<'a>>, Error> {
        self.get(key).map(|node| Object::of(node, self.to(key))).transpose()
    }

    /// Refuses keys that mean nothing: a misspelt parameter must not be left out without a word.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Error> {
        let Some((odd, _)) = self.entries.iter().find(|(key, _)| !known.contains(&key.as_str())) else { return Ok(()) };
        let error = damaged(&format!("the key \"{}\" means nothing here", sanitize(odd)), &self.to(odd));
        Err(
            match known
                .iter()
                .find(|known| edit_distance(known, odd).is_some_and(|slips| slips <= 2) && known.len() > 2)
            {
                Some(near) => error.tip(format!("did you mean {near}?")),
                None if known.is_empty() => error.tip("there are no keys here"),
                None => error.tip(format!("the keys are {}", known.join(", "))),
            },
        )
    }

    /// Every value, as an array.
    pub(super) fn matrices(&self) -> Result<Tensors<f64>, Error> {
        self.entries.iter().map(|(key, node)| Ok((Name::new(key.as_str()), node.matrix(&self.to(key))?))).collect()
    }
}
