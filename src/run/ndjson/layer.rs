//! Computes records with a layer.

use super::engine::{Computed, Engine, RecordInputs, is_mean, per_row_settings};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::layer;
use crate::layer::{AnyLayer, Given, LayerSpec, Precision, Settings, Value};
use crate::network::runner::PreparedParams;
use crate::report::results::check_result_names;
use crate::run::request::LayerRequest;
use ndarray::ArrayD;

/// A layer with the settings that options give.
pub(super) struct LayerEngine {
    spec: &'static LayerSpec,
    settings: Settings,
    precision: Precision,
    /// Names of the results that are shown; all if `None`.
    only: Option<Vec<String>>,
    layer: Box<dyn AnyLayer>,
    /// Layer that computes records as rows; `None` if the results of a record are not those of a row.
    per_row: Option<Box<dyn AnyLayer>>,
}

impl LayerEngine {
    pub(super) fn new(request: &LayerRequest, settings: &Settings) -> Result<LayerEngine, Error> {
        let LayerRequest { spec, common, .. } = request;
        let layer = (spec.build)(settings)?;
        // The gradient of a parameter is a sum over rows.
        let sums_rows =
            common.needs_gradients(spec) && spec.parameters().any(|parameter| common.shows(&parameter.name.gradient()));
        let is_weighted = request.operands.contains_key(&Name::WEIGHT);
        let settings_per_row = per_row_settings(spec, settings, is_weighted)
            .filter(|_| common.precision != Precision::Exact && !sums_rows);
        let per_row = settings_per_row.map(|settings| (spec.build)(&settings)).transpose()?;
        let per_row = per_row.filter(|layer| layer.independent_rows(2));
        let (settings, only) = (settings.clone(), common.only.clone());
        Ok(LayerEngine { spec, settings, precision: common.precision, only, layer, per_row })
    }

    fn compute_with(&self, layer: &dyn AnyLayer, inputs: RecordInputs<'_>) -> Result<Computed, Error> {
        let RecordInputs { at, is_new, rounding, x_was_y, dout } = inputs;
        let notes = layer::admit_new(layer, &Given { at, rounding, x_was_y }, is_new)?;
        layer::check_output_memory(layer, at)?;
        let dout = dout(&layer.output_shape(at))?;
        let outcome = layer::compute(layer, at, dout.as_ref(), self.precision);
        Ok((outcome.results.into_iter().chain(outcome.gradients).collect(), notes))
    }

    /// Retains the results that are shown.
    fn select(&self, (mut results, notes): Computed) -> Result<Computed, Error> {
        if let Some(only) = &self.only {
            check_result_names(only, &results.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())?;
            results.retain(|(name, _)| only.iter().any(|only| only == name.as_str()));
        }
        Ok((results, notes))
    }
}

impl Engine for LayerEngine {
    fn last_layer(&self) -> &'static LayerSpec {
        self.spec
    }

    fn has_result(&self, key: &str) -> bool {
        key == Name::DIVISOR.as_str() || self.spec.results().any(|(name, _)| name.as_str() == key)
    }

    fn configure(&self, settings: Vec<(&'static str, Value)>) -> Result<Option<Box<dyn AnyLayer>>, Error> {
        let mut all = self.settings.clone();
        let is_empty = settings.is_empty();
        settings.into_iter().for_each(|(name, value)| all.set(name, value));
        (!is_empty).then(|| (self.spec.build)(&all)).transpose()
    }

    fn compute(
        &self,
        inputs: RecordInputs<'_>,
        configured: Option<&dyn AnyLayer>,
        _params: Option<&mut PreparedParams>,
    ) -> Result<Computed, Error> {
        self.select(self.compute_with(configured.unwrap_or(self.layer.as_ref()), inputs)?)
    }

    fn can_batch(&self) -> bool {
        self.per_row.is_some()
    }

    fn compute_batch(&self, inputs: RecordInputs<'_>, _params: Option<&mut PreparedParams>) -> Option<Computed> {
        let (mut results, notes) = self.compute_with(self.per_row.as_deref()?, inputs).ok()?;
        let loss = results.iter().position(|(name, _)| *name == Name::LOSS);
        if let Some(loss) = loss.filter(|_| is_mean(&self.settings)) {
            let ones = ArrayD::ones(results[loss].1.raw_dim());
            results.insert(loss + 1, (Name::DIVISOR, ones));
        }
        self.select((results, notes)).ok()
    }
}
