//! An object of a document, and the errors of its values.

use crate::core::error::{Code, Error, Place, sanitize};
use crate::core::name::{Name, edit_distance, find_key};
use crate::core::tensors::Tensors;
use crate::format::escape;
use crate::format::json::Node;

/// Returns the error of an invalid document: the problem, and the JSON pointer to its place.
pub(super) fn damaged(problem: &str, pointer: &str) -> Error {
    Error::new(Code::Tape, problem).at(Place::Pointer(pointer.to_owned()))
}

/// An object of a document, with its JSON pointer.
pub(super) struct Object<'a> {
    entries: &'a [(String, Node)],
    pub(super) pointer: String,
}

impl<'a> Object<'a> {
    /// Refuses a node that is not an object.
    pub(super) fn new(node: &'a Node, pointer: String) -> Result<Object<'a>, Error> {
        match node {
            Node::Object(entries) => Ok(Object { entries, pointer }),
            _ => Err(damaged("expected an object", &pointer)
                .tip("a tape or network is an object with a list of layers, each of which is an object")),
        }
    }

    /// Returns the value of a key, in whatever case it is written.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.position(key).map(|at| &self.entries[at].1)
    }

    fn position(&self, key: &str) -> Option<usize> {
        find_key(&self.entries.iter().map(|(name, _)| name).collect::<Vec<_>>(), key)
    }

    /// Returns the JSON pointer to a key.
    pub(super) fn pointer_to(&self, key: &str) -> String {
        let written = self.position(key).map_or(key, |at| &self.entries[at].0);
        format!("{}/{}", self.pointer, escape(written))
    }

    /// Returns the error of the value of a key.
    pub(super) fn error(&self, problem: &str, key: &str) -> Error {
        damaged(problem, &self.pointer_to(key))
    }

    /// Returns the object under a key.
    pub(super) fn child(&self, key: &str) -> Result<Option<Object<'a>>, Error> {
        self.get(key).map(|node| Object::new(node, self.pointer_to(key))).transpose()
    }

    /// Refuses unknown keys, so that a misspelt parameter is not silently ignored.
    pub(super) fn allow_only(&self, allowed: &[&str]) -> Result<(), Error> {
        let known: Vec<Option<usize>> = allowed.iter().map(|key| self.position(key)).collect();
        let unknown = self.entries.iter().enumerate().find(|(n, _)| !known.contains(&Some(*n)));
        let Some((_, (unknown, _))) = unknown else { return Ok(()) };
        let error = self.error(&format!("unknown key \"{}\"", sanitize(unknown)), unknown);
        let is_similar = |key: &&&str| key.len() > 2 && edit_distance(key, unknown).is_some_and(|edits| edits <= 2);
        Err(match allowed.iter().find(is_similar) {
            Some(similar) => error.tip(format!("did you mean {similar}?")),
            None if allowed.is_empty() => error.tip("no keys are allowed here"),
            None => error.tip(format!("the keys are {}", allowed.join(", "))),
        })
    }

    /// Reads every value as an array.
    pub(super) fn arrays(&self) -> Result<Tensors<f64>, Error> {
        let array = |(key, node): &(String, Node)| Ok((Name::new(key.as_str()), node.array(&self.pointer_to(key))?));
        self.entries.iter().map(array).collect()
    }
}
