//! The upstream gradient of a layer.

use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::layer::{LayerSpec, ScalarDout};
use ndarray::{ArrayD, IxDyn, arr0};
use std::borrow::Cow;

/// The upstream gradient, which has the shape of the layer's output.
pub(crate) struct Dout {
    /// The array itself, or the one number that fills it.
    value: ArrayD<f64>,
    shape: Vec<usize>,
    /// True if the user gave it; false for the default of ones.
    pub(crate) is_explicit: bool,
    /// True if it is a number that scales the local factors.
    pub(crate) is_local: bool,
}

impl Dout {
    /// Returns ones of the shape of the output, as `--dout ones` gives them.
    pub(crate) fn ones(shape: &[usize]) -> Dout {
        Dout { value: arr0(1.0).into_dyn(), shape: shape.to_vec(), is_explicit: true, is_local: false }
    }

    /// Returns the ones that are used without `--dout`.
    pub(crate) fn default_ones(shape: &[usize]) -> Dout {
        Dout { is_explicit: false, ..Dout::ones(shape) }
    }

    /// Checks a value against the shape of the output. `is_typed` is true if it stands on the command line: only there a
    /// number may scale local factors.
    pub(crate) fn new(spec: &LayerSpec, expected: &[usize], value: ArrayD<f64>, is_typed: bool) -> Result<Dout, Error> {
        if value.ndim() == 0 || value.shape() == expected {
            // The gradients of a scalar output are the local factors, scaled.
            let scales_factors = is_typed && matches!(spec.scalar_dout, ScalarDout::LocalFactors(_));
            let is_local = value.ndim() == 0 && scales_factors && !expected.is_empty();
            return Ok(Dout { value, shape: expected.to_vec(), is_explicit: true, is_local });
        }
        let output = &spec.output;
        let message =
            format!("shape {} does not match {output} {}", format_shape(value.shape()), format_shape(expected));
        Err(Error::new(Code::Shape, message)
            .with_operand(&Name::DOUT)
            .with_shape(&Name::DOUT, value.shape())
            .with_shape(output, expected)
            .tip(match expected {
                [] => "give one number, the upstream gradient of the loss".to_owned(),
                _ => format!("give one value for each entry of {output}, or use --dout ones"),
            }))
    }

    /// Takes the array, or the one number that fills it.
    pub(crate) fn take_value(&mut self) -> ArrayD<f64> {
        std::mem::take(&mut self.value)
    }

    /// Returns the array; a number that scales local factors remains a number.
    pub(crate) fn into_array(self) -> ArrayD<f64> {
        match self.fill() {
            Some(number) => ArrayD::from_elem(self.shape, number),
            None => self.value,
        }
    }

    /// Returns the array without consuming the upstream gradient.
    pub(crate) fn to_array(&self) -> Cow<'_, ArrayD<f64>> {
        match self.fill() {
            Some(number) => Cow::Owned(ArrayD::from_elem(IxDyn(&self.shape), number)),
            None => Cow::Borrowed(&self.value),
        }
    }

    /// Returns the number that fills the array, if one number does.
    pub(crate) fn fill(&self) -> Option<f64> {
        self.value.first().copied().filter(|_| self.value.ndim() == 0 && !self.is_local)
    }

    /// Returns the number that scales the local factors.
    pub(crate) fn local_factor(&self) -> Option<f64> {
        self.value.first().copied().filter(|_| self.is_local)
    }

    /// Returns the note that local factors are not gradients.
    pub(crate) fn note(&self) -> Option<Note> {
        let message = format!(
            "the number {} scales the local factors, as in np.dot with a scalar; these are not gradients",
            self.local_factor()?
        );
        Some(Note::info(local_factors(message).tip("use --dout ones for the gradients of L = Σy")))
    }

    /// Refuses a number that scales local factors where `needed` gradients are.
    pub(crate) fn require_gradients(&self, needed: &str) -> Result<(), Error> {
        self.local_factor().map_or(Ok(()), |factor| Err(local_factors_error(factor, needed)))
    }
}

/// Returns the error for a number that scales local factors where gradients are needed: "a graph shows gradients".
pub(crate) fn local_factors_error(factor: f64, needed: &str) -> Error {
    local_factors(format!("the number {factor} scales the local factors, but {needed}"))
        .tip("use --dout ones for the gradients of L = Σy")
}

fn local_factors(message: String) -> Error {
    Error::new(Code::LocalFactors, message).with_operand(&Name::DOUT)
}

/// Returns the line that says that the upstream gradient is ones by default.
pub(crate) fn ones_line(output: &Name) -> String {
    format!("{} = ones: the gradients of L = Σ{output}", Name::DOUT)
}
