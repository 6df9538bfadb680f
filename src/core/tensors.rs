//! Named arrays: the operands and results of a layer.

use super::name::Name;
use ndarray::ArrayD;

/// Named arrays in insertion order. Lookup is a linear search, since there are only a few.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensors<S> {
    entries: Vec<(Name, ArrayD<S>)>,
}

impl<S> Default for Tensors<S> {
    fn default() -> Self {
        Tensors { entries: Vec::new() }
    }
}

impl<S> Tensors<S> {
    /// Returns an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an array, or replaces the array with that name.
    pub fn insert(&mut self, name: Name, value: ArrayD<S>) {
        match self.entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
    }

    /// Inserts an array and returns the collection.
    #[must_use]
    pub fn with(mut self, name: Name, value: ArrayD<S>) -> Self {
        self.insert(name, value);
        self
    }

    /// Returns the array with that name.
    pub fn get(&self, name: &Name) -> Option<&ArrayD<S>> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns the array with that name for modification.
    pub fn get_mut(&mut self, name: &Name) -> Option<&mut ArrayD<S>> {
        self.entries.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns an array that `admit` has found present.
    ///
    /// # Panics
    /// Panics if no array has that name, which is a bug of the caller and not an error in the input.
    pub fn known(&self, name: &Name) -> &ArrayD<S> {
        match self.get(name) {
            Some(value) => value,
            None => unreachable!("`{name}` was admitted"),
        }
    }

    /// Removes and returns the array with that name.
    pub fn take(&mut self, name: &Name) -> Option<ArrayD<S>> {
        let at = self.entries.iter().position(|(known, _)| known == name)?;
        Some(self.entries.remove(at).1)
    }

    /// Returns the names and arrays in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &ArrayD<S>)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// Returns the names in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.entries.iter().map(|(name, _)| name)
    }

    /// Returns true if there are no arrays.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the number of arrays.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Applies `f` to every entry of every array; names and shapes do not change.
    pub fn map<R>(&self, mut f: impl FnMut(&S) -> R) -> Tensors<R> {
        Tensors { entries: self.entries.iter().map(|(name, value)| (name.clone(), value.map(&mut f))).collect() }
    }

    /// Appends all arrays of `other`; an array with a name that exists is replaced.
    pub fn extend(&mut self, other: Tensors<S>) {
        for (name, value) in other.entries {
            self.insert(name, value);
        }
    }

    /// Retains the arrays whose name `f` accepts.
    pub fn retain(&mut self, mut f: impl FnMut(&Name) -> bool) {
        self.entries.retain(|(name, _)| f(name));
    }
}

impl<S> IntoIterator for Tensors<S> {
    type Item = (Name, ArrayD<S>);
    type IntoIter = std::vec::IntoIter<(Name, ArrayD<S>)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<S> FromIterator<(Name, ArrayD<S>)> for Tensors<S> {
    fn from_iter<I: IntoIterator<Item = (Name, ArrayD<S>)>>(entries: I) -> Self {
        Tensors { entries: entries.into_iter().collect() }
    }
}
