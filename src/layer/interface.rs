//! The traits of a layer: validation ([`Admit`]) and mathematics ([`Layer`]).

use super::gradients::{Forward, Gradients, Run};
use super::precision::Precision;
use crate::core::error::{Code, Error, Note};
use crate::core::name::Name;
use crate::core::size;
use crate::core::tensors::Tensors;
use crate::numeric::Dynamic;
use crate::ops::{ArrayOps, Windows};
use ndarray::{ArrayD, Dimension};

/// The input of [`Admit::admit`].
pub struct Given<'a> {
    /// The operands.
    pub at: &'a Tensors<f64>,
    /// Returns the rounding of the type that an operand was stored in, 2⁻⁵³ for doubles.
    pub rounding: &'a dyn Fn(&Name) -> f64,
    /// True if x is the y of the layer before, which may be probabilities.
    pub x_was_y: bool,
}

/// The targets of all rows of a batch.
pub struct AllTargets<'a> {
    /// Shape of the layer's input, with all rows.
    pub input: Vec<usize>,
    /// Rank of the targets.
    pub rank: usize,
    /// The targets, one block of rows after the other.
    pub blocks: &'a mut dyn Iterator<Item = ArrayD<f64>>,
}

/// Validation of a layer's operands, and its facts that are not formulas.
pub trait Admit {
    /// Validates operands and returns the warnings; what it admits can be computed without failing.
    fn admit(&self, _given: &Given<'_>) -> Result<Vec<Note>, Error> {
        Ok(Vec::new())
    }

    /// Returns true if a batch of that rank may be computed in blocks of rows, which are the entries along the first axis: each row
    /// of a result depends on that row of the input only, and every other result is a sum over the rows.
    fn independent_rows(&self, _rank: usize) -> bool {
        false
    }

    /// Returns the divisor of a mean over all rows, if it is all that a block of rows needs to know of the others.
    ///
    /// If the divisor is then passed as an operand, the gradients of a block are divided by it, and its loss is a part of the
    /// undivided sum. `at` has the operands that belong to all rows. The targets need not be valid.
    fn divisor(&self, _at: &Tensors<f64>, _all: AllTargets<'_>, _precision: Precision) -> Option<f64> {
        None
    }

    /// Returns the shape of the output for admitted operands, which is the shape of `dout`; by default the shape of x.
    fn output_shape(&self, at: &Tensors<f64>) -> Vec<usize> {
        at.known(&Name::X).shape().to_vec()
    }

    /// Returns the entries, counted row by row, at which a gradient is what the layer defines and not the derivative; numerical
    /// derivatives are not compared there.
    fn defined_entries(&self, _at: &Tensors<f64>, _gradient: &Name) -> Vec<usize> {
        Vec::new()
    }

    /// Returns the operations on whole matrices that the layer consists of, in order; none if it is a single one.
    fn matrix_operations(
        &self,
        _at: &Tensors<f64>,
        _results: &Tensors<f64>,
        _dout: &ArrayD<f64>,
    ) -> Vec<MatrixOperation> {
        Vec::new()
    }

    /// Returns the windows that slide over the last two axes of x, of a layer that consists of them.
    fn sliding_windows(&self, _at: &Tensors<f64>) -> Option<Windows> {
        None
    }

    /// Returns the formulas of the output's Jacobians, each under the name of the gradient: ∂y/∂x under `dx`. The Jacobian of a
    /// loss is its gradient as a row.
    fn jacobians(&self, _at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        Vec::new()
    }

    /// Returns the layer for this use in a network, if it is not the layer itself.
    fn for_mode(&self, _mode: Mode) -> Option<Box<dyn AnyLayer>> {
        None
    }

    /// Returns what a program may return in place of the gradient of the input at [`defined_entries`](Admit::defined_entries): each
    /// with the entry's number, in order.
    fn derivatives_elsewhere(&self, _at: &Tensors<f64>, _dout: &ArrayD<f64>) -> Vec<(usize, f64)> {
        Vec::new()
    }

    /// Returns the formulas of results that differ from the registry's for these settings and operands.
    fn formulas(&self, _at: &Tensors<f64>) -> Vec<(Name, &'static str)> {
        Vec::new()
    }
}

/// Use of a layer in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// After training: statistics are those that training has kept, and nothing is dropped.
    Inference,
    /// A step of training, with random numbers of this seed.
    Training(u64),
}

/// An operation on whole matrices, as a computational graph shows it.
pub struct MatrixOperation {
    /// The sign: `dot`, `+`.
    pub op: &'static str,
    /// An explanation, if the sign alone is not clear.
    pub note: Option<&'static str>,
    /// The operands: those of the layer, and results of earlier operations.
    pub reads: Vec<Name>,
    /// The name of the result.
    pub gives: Name,
    /// Value and gradient of the result, unless it is the output.
    pub inner: Option<(ArrayD<f64>, ArrayD<f64>)>,
}

/// The mathematics of a layer in one scalar: pure functions that cannot fail on admitted operands.
pub trait Layer<S> {
    /// Returns the results, and the values that backward needs.
    fn forward(&self, at: &Tensors<S>) -> Forward<S>;

    /// Returns the gradients in the order of output, each as a formula. `dout` has the output's shape.
    fn backward<'a>(&'a self, at: &'a Tensors<S>, run: &'a Run<'a, S>, dout: &'a ArrayD<S>) -> Gradients<'a, S>;
}

/// A layer in every scalar.
pub trait AnyLayer: Admit + Layer<f64> + Layer<Dynamic> + Send + Sync {}
impl<L: Admit + Layer<f64> + Layer<Dynamic> + Send + Sync> AnyLayer for L {}

/// Validates operands; returns the layer's warnings and those that every layer shares.
pub fn admit(layer: &dyn AnyLayer, given: &Given<'_>) -> Result<Vec<Note>, Error> {
    admit_new(layer, given, |_| true)
}

/// Validates operands; those that are not `is_new` are known to have no NaN.
pub fn admit_new(layer: &dyn AnyLayer, given: &Given<'_>, is_new: impl Fn(&Name) -> bool) -> Result<Vec<Note>, Error> {
    let mut notes = layer.admit(given)?;
    size::array_bytes(OUTPUT, &layer.output_shape(given.at))?;
    let new = given.at.iter().filter(|(name, _)| is_new(name));
    notes.extend(new.filter_map(|(name, value)| nan_warning(name, value)));
    Ok(notes)
}

/// The label in an error about the size of an output.
const OUTPUT: &str = "the output";

/// Refuses admitted operands whose output, computed as a whole, does not fit into memory.
pub fn check_output_memory(layer: &dyn AnyLayer, at: &Tensors<f64>) -> Result<(), Error> {
    size::check_memory(OUTPUT, &layer.output_shape(at))
}

/// Returns a warning with the index of the first NaN of an operand.
fn nan_warning(name: &Name, value: &ArrayD<f64>) -> Option<Note> {
    if value.as_slice_memory_order().is_some_and(f64::are_finite) {
        return None;
    }
    let (at, _) = value.indexed_iter().find(|(_, v)| v.is_nan())?;
    let at = at.slice().to_vec();
    let message = "contains NaN; results that depend on it are NaN";
    Some(Note::warning(Error::new(Code::NanInput, message).with_operand(name).at_index(&at)))
}
