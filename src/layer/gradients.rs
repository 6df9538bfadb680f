//! Gradients as formulas: each is computed when it is asked for, and the others are not computed.

use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::ArrayOps;
use ndarray::ArrayD;
use std::ops::{Deref, Range};

/// The result of a forward pass.
pub struct Forward<S> {
    /// The results that are shown.
    pub results: Tensors<S>,
    /// Values for the backward pass only.
    pub saved: Vec<ArrayD<S>>,
}

/// A forward pass that may be run only when a gradient reads it.
pub type Run<'a, S> = dyn Deref<Target = Forward<S>> + 'a;

/// A formula of several gradients, of which it computes those of some names.
type JointFormula<'a, S> = dyn FnOnce(&[Name]) -> Tensors<S> + 'a;

/// The formula of a gradient.
enum Formula<'a, S> {
    /// Computes the gradient.
    Full(Box<dyn FnOnce() -> ArrayD<S> + 'a>),
    /// Has a number of rows and a width, and computes any range of the rows.
    Rows((usize, usize), Box<dyn Fn(Range<usize>) -> ArrayD<S> + Sync + 'a>),
    /// Computes the gradients of these names, which share most of their work.
    Joint(Box<JointFormula<'a, S>>),
}

impl<S: Clone> Formula<'_, S> {
    /// Computes the gradients of these names, one unless they are computed together.
    fn compute(self, mut names: Vec<Name>) -> Tensors<S> {
        let value = match self {
            Formula::Full(formula) => formula(),
            Formula::Rows((rows, _), formula) => formula(0..rows),
            Formula::Joint(formula) => return formula(&names),
        };
        names.pop().map(|name| Tensors::new().with(name, value)).unwrap_or_default()
    }
}

/// Number of elements of a large gradient that are computed at a time.
const CHUNK_ELEMENTS: usize = 1 << 18;
/// Number of rows of which a chunk has a multiple; a matrix product of fewer rows is not efficient.
const ROW_MULTIPLE: usize = 64;

/// The gradients of a layer, in the order of output.
pub struct Gradients<'a, S> {
    /// Names, one unless they are computed together, and their formula.
    formulas: Vec<(Vec<Name>, Formula<'a, S>)>,
}

impl<'a, S> Gradients<'a, S> {
    /// Returns one gradient.
    pub fn one(name: Name, formula: impl FnOnce() -> ArrayD<S> + 'a) -> Self {
        Gradients { formulas: Vec::with_capacity(3) }.with(name, formula)
    }

    /// Adds a gradient.
    #[must_use]
    pub fn with(mut self, name: Name, formula: impl FnOnce() -> ArrayD<S> + 'a) -> Self {
        self.formulas.push((vec![name], Formula::Full(Box::new(formula))));
        self
    }

    /// Adds a gradient of `dim` rows and columns, of which `formula` computes any range of rows.
    #[must_use]
    pub fn with_rows(
        mut self,
        name: Name,
        dim: (usize, usize),
        formula: impl Fn(Range<usize>) -> ArrayD<S> + Sync + 'a,
    ) -> Self {
        self.formulas.push((vec![name], Formula::Rows(dim, Box::new(formula))));
        self
    }

    /// Adds gradients that are computed together; `formula` gets the names of those that are wanted.
    #[must_use]
    pub fn with_joint(mut self, names: Vec<Name>, formula: impl FnOnce(&[Name]) -> Tensors<S> + 'a) -> Self {
        self.formulas.push((names, Formula::Joint(Box::new(formula))));
        self
    }

    /// Adds a gradient if `condition` holds.
    #[must_use]
    pub fn with_if(self, condition: bool, name: Name, formula: impl FnOnce() -> ArrayD<S> + 'a) -> Self {
        if condition { self.with(name, formula) } else { self }
    }

    /// Returns the names, in the order of output.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.formulas.iter().flat_map(|(names, _)| names)
    }

    /// Returns the formulas of the wanted gradients.
    fn select(self, wanted: Wanted<'_>) -> impl Iterator<Item = (Vec<Name>, Formula<'a, S>)> + use<'_, 'a, S> {
        let select = move |(mut names, formula): (Vec<Name>, Formula<'a, S>)| {
            names.retain(|name| wanted.has(name));
            (!names.is_empty()).then_some((names, formula))
        };
        self.formulas.into_iter().filter_map(select)
    }
}

impl<S: Clone> Gradients<'_, S> {
    /// Computes all gradients.
    pub fn compute(self) -> Tensors<S> {
        self.compute_only(Wanted::All)
    }

    /// Computes the wanted gradients.
    pub fn compute_only(self, wanted: Wanted<'_>) -> Tensors<S> {
        self.select(wanted).flat_map(|(names, formula)| formula.compute(names)).collect()
    }
}

impl<S: ArrayOps> Gradients<'_, S> {
    /// Computes the wanted gradients and passes them to `take`, with 0; large ones in chunks of rows, on all threads, each with the
    /// index of its first row.
    pub fn for_each_chunk(self, wanted: Wanted<'_>, take: &(dyn Fn(&Name, usize, ArrayD<S>) + Sync)) {
        for (names, formula) in self.select(wanted) {
            match formula {
                Formula::Rows((rows, width), formula) if rows * width > CHUNK_ELEMENTS => {
                    S::for_each_row_chunk(rows, (CHUNK_ELEMENTS / width, ROW_MULTIPLE), |chunk| {
                        take(&names[0], chunk.start, formula(chunk));
                    });
                }
                formula => formula.compute(names).into_iter().for_each(|(name, value)| take(&name, 0, value)),
            }
        }
    }
}

impl<S: Clone + 'static> From<Tensors<S>> for Gradients<'_, S> {
    fn from(computed: Tensors<S>) -> Self {
        let formula = |value: ArrayD<S>| Formula::Full(Box::new(move || value));
        Gradients { formulas: computed.into_iter().map(|(name, value)| (vec![name], formula(value))).collect() }
    }
}

/// A selection of results.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// All results.
    All,
    /// The results of these names.
    Only(&'a [Name]),
}

impl Wanted<'_> {
    /// Returns true if the result is selected.
    pub fn has(&self, name: &Name) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Only(names) => names.contains(name),
        }
    }

    /// Returns true if a result is selected that is none of these gradients, so that the forward pass must run.
    pub(super) fn needs_forward<S>(&self, gradients: Option<&Gradients<'_, S>>) -> bool {
        let is_gradient = |name: &Name| gradients.is_some_and(|gradients| gradients.names().any(|known| known == name));
        match self {
            Wanted::All => true,
            Wanted::Only(names) => !names.iter().all(is_gradient),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_gradient_that_is_not_wanted_is_not_computed() {
        let gradients = Gradients::one(Name::DX, || unreachable!()).with(Name::DW, || array![2.0].into_dyn()).with_if(
            false,
            Name::DB,
            || unreachable!(),
        );
        assert_eq!(
            gradients.compute_only(Wanted::Only(&[Name::DW, Name::DB])),
            Tensors::new().with(Name::DW, array![2.0].into_dyn())
        );
    }
}
