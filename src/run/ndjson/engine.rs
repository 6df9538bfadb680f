//! Interface of what computes records: a layer or a network.

use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::{AnyLayer, LayerSpec, Settings, Value};
use crate::network::runner::PreparedParams;
use ndarray::ArrayD;

/// Results by name in the order of output, and warnings.
pub(super) type Computed = (Vec<(Name, ArrayD<f64>)>, Vec<Note>);

/// Returns the upstream gradient for an output of that shape, or `None` if no gradient is wanted.
pub(super) type DoutFn<'a> = dyn FnMut(&[usize]) -> Result<Option<ArrayD<f64>>, Error> + 'a;

/// Operands of a record or of a batch of records.
pub(super) struct RecordInputs<'a> {
    pub(super) at: &'a mut Tensors<f64>,
    /// True for an operand that the record gives; the others were checked with an earlier record.
    pub(super) is_new: &'a dyn Fn(&Name) -> bool,
    /// Rounding of the type that an operand was stored in.
    pub(super) rounding: &'a dyn Fn(&Name) -> f64,
    /// True if x is the record's y, the output of a layer before.
    pub(super) x_was_y: bool,
    pub(super) dout: &'a mut DoutFn<'a>,
}

/// Computes records; shared by all threads.
pub(super) trait Engine: Sync {
    /// Returns the layer whose output `dout` belongs to.
    fn last_layer(&self) -> &'static LayerSpec;

    /// Returns true if the key names a result.
    fn has_result(&self, key: &str) -> bool;

    /// Returns the file of a network: errors that concern neither an operand nor a record are reported there.
    fn label(&self) -> Option<&str> {
        None
    }

    /// Returns the parameters of a network, which each thread converts once.
    fn prepare_params(&self) -> Option<PreparedParams> {
        None
    }

    /// Builds the layer with the settings that a record gives; `None` if it gives none.
    fn configure(&self, _settings: Vec<(&'static str, Value)>) -> Result<Option<Box<dyn AnyLayer>>, Error> {
        Ok(None)
    }

    /// Computes a record, with its own layer if it has settings.
    fn compute(
        &self,
        inputs: RecordInputs<'_>,
        configured: Option<&dyn AnyLayer>,
        params: Option<&mut PreparedParams>,
    ) -> Result<Computed, Error>;

    /// Returns true if records can be computed as the rows of a batch.
    fn can_batch(&self) -> bool;

    /// Computes records as the rows of a batch; `None` if they have to be computed one by one.
    fn compute_batch(&self, inputs: RecordInputs<'_>, params: Option<&mut PreparedParams>) -> Option<Computed>;
}

/// Returns the settings with which each row of a batch gives the results of a record of its own, or `None` if there are
/// none. The mean over a single row divides by 1, unless classes are weighted or ignored.
pub(super) fn per_row_settings(spec: &LayerSpec, settings: &Settings, is_weighted: bool) -> Option<Settings> {
    let mut settings = settings.clone();
    if let Some(reduction) = spec.settings.iter().find(|setting| setting.name == "reduction") {
        if is_mean(&settings) && (is_weighted || settings.get("ignore-index").is_some()) {
            return None;
        }
        // The loss of a single row is the sum of its terms in every reduction.
        settings.set(reduction.name, reduction.parse("none").ok()?);
        // A row is never empty, and the setting would be refused without a mean.
        settings.unset("empty");
    }
    Some(settings)
}

/// Returns true if the loss is a mean.
pub(super) fn is_mean(settings: &Settings) -> bool {
    settings.choice("reduction") == Some("mean")
}
