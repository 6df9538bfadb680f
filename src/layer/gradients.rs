//! Gradients as formulas: each is computed when it is asked for, and those that nobody asks for are not.

use super::{Forward, Layer};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::numeric::Scalar;
use ndarray::ArrayD;
use std::cell::OnceCell;
use std::ops::{Deref, Range};

/// A forward pass, which may be run only when a gradient looks at it.
pub type Run<'a, S> = dyn Deref<Target = Forward<S>> + 'a;

/// A forward pass that is run once, when something looks at it.
pub(super) struct Once<'a, S> {
    layer: &'a dyn Layer<S>,
    at: &'a Tensors<S>,
    forward: OnceCell<Forward<S>>,
}

impl<'a, S: Scalar> Once<'a, S> {
    pub(super) fn new(layer: &'a dyn Layer<S>, at: &'a Tensors<S>) -> Self {
        Once { layer, at, forward: OnceCell::new() }
    }

    pub(super) fn run(&self) -> &Forward<S> {
        self.forward.get_or_init(|| self.layer.forward(self.at))
    }

    /// What it gave, where it was run.
    pub(super) fn into_results(self) -> Tensors<S> {
        self.forward.into_inner().map(|forward| forward.results).unwrap_or_default()
    }
}

impl<S: Scalar> Deref for Once<'_, S> {
    type Target = Forward<S>;

    fn deref(&self) -> &Forward<S> {
        self.run()
    }
}

/// How a gradient is computed.
enum Formula<'a, S> {
    /// At once.
    Whole(Box<dyn FnOnce() -> ArrayD<S> + 'a>),
    /// Any of its rows, of so many of that width, which do not depend on each other.
    Rows((usize, usize), Box<dyn Fn(Range<usize>) -> ArrayD<S> + Sync + 'a>),
}

impl<S> Formula<'_, S> {
    fn compute(self) -> ArrayD<S> {
        match self {
            Formula::Whole(formula) => formula(),
            Formula::Rows((rows, _), formula) => formula(0..rows),
        }
    }
}

/// Numbers of a gradient that are handed over together where its rows can be computed alone.
const TOGETHER: usize = 1 << 18;
/// A multiple of these rows is computed together: fewer are no work for a product of matrices.
const ROWS: usize = 64;

/// The gradients of a layer, in the order of output.
pub struct Gradients<'a, S> {
    formulas: Vec<(Name, Formula<'a, S>)>,
}

impl<'a, S> Gradients<'a, S> {
    /// One gradient.
    pub fn of(name: Name, formula: impl FnOnce() -> ArrayD<S> + 'a) -> Self {
        Gradients { formulas: Vec::with_capacity(3) }.with(name, formula)
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: Name, formula: impl FnOnce() -> ArrayD<S> + 'a) -> Self {
        self.formulas.push((name, Formula::Whole(Box::new(formula))));
        self
    }

    /// One more, of `dim` rows and columns, any rows of which `formula` computes.
    #[must_use]
    pub fn with_rows(
        mut self,
        name: Name,
        dim: (usize, usize),
        formula: impl Fn(Range<usize>) -> ArrayD<S> + Sync + 'a,
    ) -> Self {
        self.formulas.push((name, Formula::Rows(dim, Box::new(formula))));
        self
    }

    /// One more, where it is there.
    #[must_use]
    pub fn with_if(self, there: bool, name: Name, formula: impl FnOnce() -> ArrayD<S> + 'a) -> Self {
        if there { self.with(name, formula) } else { self }
    }

    /// Returns the names, in the order of output.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.formulas.iter().map(|(name, _)| name)
    }

    /// Computes them all.
    pub fn all(self) -> Tensors<S> {
        self.only(Wanted::All)
    }

    /// Computes those that are wanted.
    pub fn only(self, wanted: Wanted<'_>) -> Tensors<S> {
        let wanted = self.formulas.into_iter().filter(|(name, _)| wanted.has(name));
        wanted.map(|(name, formula)| (name, formula.compute())).collect()
    }
}

impl<S: Scalar> Gradients<'_, S> {
    /// Computes those that are wanted and hands them over, large ones a part at a time, on all threads, with the row where it
    /// begins.
    pub fn each(self, wanted: Wanted<'_>, take: &(dyn Fn(&Name, usize, ArrayD<S>) + Sync)) {
        for (name, formula) in self.formulas.into_iter().filter(|(name, _)| wanted.has(name)) {
            match formula {
                Formula::Rows((rows, width), formula) if rows * width > TOGETHER => {
                    S::in_parts(rows, (TOGETHER / width, ROWS), |part| take(&name, part.start, formula(part)));
                }
                formula => take(&name, 0, formula.compute()),
            }
        }
    }
}

/// Gradients that were computed all at once.
impl<S> From<Tensors<S>> for Gradients<'_, S>
where
    S: 'static,
{
    fn from(computed: Tensors<S>) -> Self {
        let formula = |value: ArrayD<S>| Formula::Whole(Box::new(move || value));
        Gradients { formulas: computed.into_iter().map(|(name, value)| (name, formula(value))).collect() }
    }
}

/// Which results are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// All that there are.
    All,
    /// Those of these names.
    Only(&'a [Name]),
}

impl Wanted<'_> {
    /// Whether this one is.
    pub fn has(&self, name: &Name) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Only(names) => names.contains(name),
        }
    }

    /// Returns true if a result is wanted that is none of these gradients, so that the forward pass must run.
    pub(super) fn needs_forward<S>(&self, gradients: Option<&Gradients<'_, S>>) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Only(names) => {
                names.iter().any(|name| !gradients.is_some_and(|all| all.names().any(|known| known == name)))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::layer;
    use crate::layer::Settings;
    use ndarray::array;

    #[test]
    fn a_gradient_that_nobody_wants_is_not_computed() {
        let gradients = Gradients::of(Name::DX, || unreachable!()).with(Name::DW, || array![2.0].into_dyn()).with_if(
            false,
            Name::DB,
            || unreachable!(),
        );
        assert_eq!(
            gradients.only(Wanted::Only(&[Name::DW, Name::DB])),
            Tensors::new().with(Name::DW, array![2.0].into_dyn())
        );
    }

    #[test]
    fn a_large_gradient_is_handed_over_in_parts_that_are_all_of_it() {
        use std::sync::Mutex;
        let affine = (layer::find("affine").unwrap().build)(&Settings::default()).unwrap();
        let uneven = |shape: [usize; 2], seed: usize| {
            let number = |n: usize| (((n + seed) * 7919) % 1009) as f64 / 13.0;
            ArrayD::from_shape_vec(&shape[..], (0..shape[0] * shape[1]).map(number).collect()).unwrap()
        };
        let at = Tensors::new().with(Name::X, uneven([3, 700], 1)).with(Name::W, uneven([700, 500], 2));
        let affine: &dyn Layer<f64> = affine.as_ref();
        let (dout, run) = (uneven([3, 500], 3), Once::new(affine, &at));
        let whole = affine.backward(&at, &run, &dout).all();
        {
            let parts = Mutex::new(Vec::new());
            let take =
                |name: &Name, row: usize, part: ArrayD<f64>| parts.lock().unwrap().push((name.clone(), row, part));
            let gradients = affine.backward(&at, &run, &dout);
            gradients.each(Wanted::Only(&[Name::DW]), &take);
            let mut parts = parts.into_inner().unwrap();
            parts.sort_by_key(|(_, row, _)| *row);
            assert!(parts.len() > 1 && parts.iter().all(|(name, ..)| *name == Name::DW));
            let begins =
                parts.iter().scan(0, |next, (.., part)| Some(std::mem::replace(next, *next + part.shape()[0])));
            assert!(begins.eq(parts.iter().map(|(_, row, _)| *row)), "each says where it begins");
            let rows: Vec<f64> = parts.into_iter().flat_map(|(.., part)| part).collect();
            assert_eq!(rows, whole.known(&Name::DW).iter().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn gradients_that_need_no_forward_pass_run_none() {
        struct Never;
        impl Deref for Never {
            type Target = Forward<f64>;
            fn deref(&self) -> &Forward<f64> {
                unreachable!("nobody looks")
            }
        }
        let matrix = array![[0.25, 0.75], [0.5, 0.5]].into_dyn();
        for (name, count) in [("affine", 3), ("relu", 1), ("xent", 2)] {
            let layer = (layer::find(name).unwrap().build)(&Settings::default()).unwrap();
            let operands = [Name::X, Name::Y, Name::W, Name::T].map(|name| (name, matrix.clone()));
            let at = operands.into_iter().collect::<Tensors<f64>>().with(Name::B, array![1.0, 2.0].into_dyn());
            let dout = if name == "xent" { ndarray::arr0(1.0).into_dyn() } else { matrix.clone() };
            assert_eq!(Layer::<f64>::backward(layer.as_ref(), &at, &Never, &dout).all().len(), count, "{name}");
        }
    }
}
