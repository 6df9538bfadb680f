//! Named arrays: the operands and results of a layer.

use super::name::Name;
use indexmap::IndexMap;
use ndarray::ArrayD;
use std::collections::HashMap;
use std::sync::Arc;

/// Named arrays in insertion order. Clones share their arrays until one is changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensors<S> {
    entries: IndexMap<Name, Arc<ArrayD<S>>>,
}

impl<S> Default for Tensors<S> {
    fn default() -> Self {
        Tensors { entries: IndexMap::new() }
    }
}

impl<S> Tensors<S> {
    /// Returns an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an array, or replaces the array with that name.
    pub fn insert(&mut self, name: Name, value: ArrayD<S>) {
        self.insert_shared(name, Arc::new(value));
    }

    /// Appends an array that others may share, or replaces the array with that name.
    pub fn insert_shared(&mut self, name: Name, value: Arc<ArrayD<S>>) {
        self.entries.insert(name, value);
    }

    /// Inserts an array and returns the collection.
    #[must_use]
    pub fn with(mut self, name: Name, value: ArrayD<S>) -> Self {
        self.insert(name, value);
        self
    }

    /// Returns the array with that name.
    pub fn get(&self, name: &Name) -> Option<&ArrayD<S>> {
        self.entries.get(name).map(|value| &**value)
    }

    /// Returns the array with that name, to share it with another collection.
    pub fn get_shared(&self, name: &Name) -> Option<Arc<ArrayD<S>>> {
        self.entries.get(name).map(Arc::clone)
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

    /// Returns the names and arrays in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &ArrayD<S>)> {
        self.entries.iter().map(|(name, value)| (name, &**value))
    }

    /// Returns the names in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.entries.keys()
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
        self.iter().map(|(name, value)| (name.clone(), value.map(&mut f))).collect()
    }

    /// Applies `f` to every entry of every array of several collections, once to an array that they share.
    pub fn map_all<'a, R>(all: impl Iterator<Item = &'a Tensors<S>>, f: impl Fn(&S) -> R) -> Vec<Tensors<R>>
    where
        S: 'a,
    {
        let mut mapped: HashMap<*const ArrayD<S>, Arc<ArrayD<R>>> = HashMap::new();
        let mut map = |(name, value): (&Name, &Arc<ArrayD<S>>)| {
            let value = mapped.entry(Arc::as_ptr(value)).or_insert_with(|| Arc::new(value.map(&f)));
            (name.clone(), Arc::clone(value))
        };
        all.map(|tensors| Tensors { entries: tensors.entries.iter().map(&mut map).collect() }).collect()
    }

    /// Appends all arrays of `other`; an array with a name that exists is replaced.
    pub fn extend(&mut self, other: Tensors<S>) {
        for (name, value) in other.entries {
            self.insert_shared(name, value);
        }
    }

    /// Retains the arrays whose name `f` accepts.
    pub fn retain(&mut self, mut f: impl FnMut(&Name) -> bool) {
        self.entries.retain(|name, _| f(name));
    }
}

impl<S: Clone> Tensors<S> {
    /// Returns the array with that name for modification.
    pub fn get_mut(&mut self, name: &Name) -> Option<&mut ArrayD<S>> {
        self.entries.get_mut(name).map(Arc::make_mut)
    }

    /// Removes and returns the array with that name.
    pub fn take(&mut self, name: &Name) -> Option<ArrayD<S>> {
        self.entries.shift_remove(name).map(Arc::unwrap_or_clone)
    }
}

impl<S: Clone> IntoIterator for Tensors<S> {
    type Item = (Name, ArrayD<S>);
    type IntoIter =
        std::iter::Map<indexmap::map::IntoIter<Name, Arc<ArrayD<S>>>, fn((Name, Arc<ArrayD<S>>)) -> Self::Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter().map(|(name, value)| (name, Arc::unwrap_or_clone(value)))
    }
}

impl<S> FromIterator<(Name, ArrayD<S>)> for Tensors<S> {
    fn from_iter<I: IntoIterator<Item = (Name, ArrayD<S>)>>(entries: I) -> Self {
        Tensors { entries: entries.into_iter().map(|(name, value)| (name, Arc::new(value))).collect() }
    }
}
