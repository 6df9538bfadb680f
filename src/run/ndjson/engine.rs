//! Interface of what a stream of records runs through, and of what each thread computes records with.

use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{LayerSpec, Settings, Value};
use ndarray::ArrayD;

/// A layer or network that every record runs through.
pub(super) trait Model: Sync {
    /// Returns the layer whose output `dout` belongs to.
    fn last_layer(&self) -> &'static LayerSpec;

    /// Returns true if the key names a result.
    fn has_result(&self, key: &str) -> bool;

    /// Returns the file of a network: errors that concern neither an operand nor a record are reported there.
    fn label(&self) -> Option<&str> {
        None
    }

    /// Creates what a thread computes with. `given` has the operands that options give; `batches` allows records to be rows
    /// of a batch, and `is_shown` selects results.
    fn engine(
        &self,
        given: &Tensors<f64>,
        batches: bool,
        is_shown: &dyn Fn(&Name) -> bool,
    ) -> Result<Box<dyn Engine + '_>, Error>;
}

/// Results by name in the order of output, and warnings.
pub(super) type Computed = (Vec<(Name, ArrayD<f64>)>, Vec<Note>);

/// Returns the upstream gradient for an output of that shape, or `None` if no gradient is wanted.
pub(super) type DoutFn<'a> = &'a mut dyn FnMut(&[usize]) -> Result<Option<ArrayD<f64>>, Error>;

/// Origin of the operands that are computed with.
pub(super) struct OperandFacts<'a> {
    /// True for an operand that the record gives; the others were checked with an earlier record.
    pub(super) is_new: &'a dyn Fn(&Name) -> bool,
    /// Rounding of the type that an operand was stored in.
    pub(super) rounding: &'a dyn Fn(&Name) -> f64,
    /// True if x is the record's y, the output of a layer before.
    pub(super) x_was_y: bool,
}

/// State with which a thread computes records.
pub(super) trait Engine: Send {
    /// Applies the settings that the next record gives, and only to that record.
    fn configure(&mut self, settings: Vec<(&'static str, Value)>) -> Result<(), Error>;

    /// Computes a record.
    fn compute(&mut self, at: &mut Tensors<f64>, facts: &OperandFacts<'_>, dout: DoutFn<'_>)
    -> Result<Computed, Error>;

    /// Returns true if records can be computed as the rows of a batch.
    fn can_batch(&self) -> bool;

    /// Computes records as the rows of a batch; `None` if they have to be computed one by one.
    fn compute_batch(
        &mut self,
        at: &mut Tensors<f64>,
        facts: &OperandFacts<'_>,
        dout: DoutFn<'_>,
    ) -> Option<Result<Computed, Error>>;
}

/// Returns the settings with which each row of a batch gives the results of a record of its own, or `None` if there are
/// none. The mean over a single row divides by 1, unless classes are weighted or ignored.
pub(super) fn per_row_settings(
    spec: &LayerSpec,
    settings: &Settings,
    is_weighted: bool,
) -> Result<Option<Settings>, Error> {
    let mut settings = settings.clone();
    if let Some(reduction) = spec.settings.iter().find(|setting| setting.name == "reduction") {
        if is_mean(&settings) && (is_weighted || settings.get("ignore-index").is_some()) {
            return Ok(None);
        }
        // The loss of a single row is the sum of its terms in every reduction.
        settings.set(reduction.name, reduction.parse("none")?);
    }
    Ok(Some(settings))
}

/// Returns true if the loss is a mean.
pub(super) fn is_mean(settings: &Settings) -> bool {
    settings.choice("reduction") == Some("mean")
}
