//! Named arrays: what a layer reads, what it gives back, and a vector space for whoever differentiates by all of them.

use super::name::Name;
use ndarray::ArrayD;

/// Named arrays in the order they were put in. A handful of entries: looking one up walks them.
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
    /// Holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array, or replaces the one of that name in its place.
    pub fn insert(&mut self, name: Name, value: ArrayD<S>) {
        match self.entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
    }

    /// The same as [`insert`](Self::insert), for building in one expression.
    #[must_use]
    pub fn with(mut self, name: Name, value: ArrayD<S>) -> Self {
        self.insert(name, value);
        self
    }

    /// The array of that name.
    pub fn get(&self, name: &Name) -> Option<&ArrayD<S>> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The array of that name, to change.
    pub fn get_mut(&mut self, name: &Name) -> Option<&mut ArrayD<S>> {
        self.entries.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// An array that `admit` has seen: its absence is a mistake in this program, not in the input.
    ///
    /// # Panics
    /// Where no array has that name.
    pub fn known(&self, name: &Name) -> &ArrayD<S> {
        match self.get(name) {
            Some(value) => value,
            None => unreachable!("`{name}` was admitted"),
        }
    }

    /// Takes the array of that name out.
    pub fn take(&mut self, name: &Name) -> Option<ArrayD<S>> {
        let at = self.entries.iter().position(|(known, _)| known == name)?;
        Some(self.entries.remove(at).1)
    }

    /// Names and arrays, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &ArrayD<S>)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// Names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.entries.iter().map(|(name, _)| name)
    }

    /// Whether there is no array.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of arrays.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every entry of every array through `f`; names and shapes stay.
    pub fn map<R>(&self, mut f: impl FnMut(&S) -> R) -> Tensors<R> {
        Tensors { entries: self.entries.iter().map(|(name, value)| (name.clone(), value.map(&mut f))).collect() }
    }

    /// All arrays of `other` after these; an array of the same name is replaced.
    pub fn extend(&mut self, other: Tensors<S>) {
        for (name, value) in other.entries {
            self.insert(name, value);
        }
    }

    /// Keeps the arrays whose name `f` accepts.
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
