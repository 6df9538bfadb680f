//! Computes records with a layer.

use super::engine::{Computed, DoutFn, Engine, Model, OperandFacts, is_mean, per_row_settings};
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Given, LayerSpec, Precision, Settings, Value};
use ndarray::ArrayD;

/// A layer with the settings that options give.
pub(super) struct LayerModel {
    pub(super) spec: &'static LayerSpec,
    pub(super) settings: Settings,
    pub(super) precision: Precision,
}

impl LayerModel {
    /// Builds the layer that computes records as rows, or `None` if the results of a record are not those of a row.
    fn per_row(&self, is_weighted: bool, is_shown: &dyn Fn(&Name) -> bool) -> Result<Option<Box<dyn AnyLayer>>, Error> {
        // The gradient of a parameter is a sum over rows.
        if self.precision == Precision::Exact || self.spec.parameters().any(|slot| is_shown(&slot.name.gradient())) {
            return Ok(None);
        }
        let Some(settings) = per_row_settings(self.spec, &self.settings, is_weighted)? else { return Ok(None) };
        let layer = (self.spec.build)(&settings)?;
        Ok(layer.independent_rows().then_some(layer))
    }
}

impl Model for LayerModel {
    fn last_layer(&self) -> &'static LayerSpec {
        self.spec
    }

    fn has_result(&self, key: &str) -> bool {
        key == Name::DIVISOR.as_str() || self.spec.results().any(|(name, _)| name.as_str() == key)
    }

    fn engine(
        &self,
        given: &Tensors<f64>,
        batches: bool,
        is_shown: &dyn Fn(&Name) -> bool,
    ) -> Result<Box<dyn Engine + '_>, Error> {
        let is_weighted = given.get(&Name::WEIGHT).is_some();
        Ok(Box::new(LayerEngine {
            model: self,
            layer: (self.spec.build)(&self.settings)?,
            configured: None,
            per_row: if batches { self.per_row(is_weighted, is_shown)? } else { None },
        }))
    }
}

/// Layers that a thread computes with.
struct LayerEngine<'m> {
    model: &'m LayerModel,
    layer: Box<dyn AnyLayer>,
    /// The layer with the settings of the current record.
    configured: Option<Box<dyn AnyLayer>>,
    /// The layer that computes records as rows.
    per_row: Option<Box<dyn AnyLayer>>,
}

impl Engine for LayerEngine<'_> {
    fn configure(&mut self, settings: Vec<(&'static str, Value)>) -> Result<(), Error> {
        self.configured = None;
        if !settings.is_empty() {
            let mut all = self.model.settings.clone();
            settings.into_iter().for_each(|(name, value)| all.set(name, value));
            self.configured = Some((self.model.spec.build)(&all)?);
        }
        Ok(())
    }

    fn compute(
        &mut self,
        at: &mut Tensors<f64>,
        facts: &OperandFacts<'_>,
        dout: DoutFn<'_>,
    ) -> Result<Computed, Error> {
        let layer = self.configured.as_ref().unwrap_or(&self.layer);
        compute(layer.as_ref(), at, facts, dout, self.model.precision)
    }

    fn can_batch(&self) -> bool {
        self.per_row.is_some()
    }

    fn compute_batch(
        &mut self,
        at: &mut Tensors<f64>,
        facts: &OperandFacts<'_>,
        dout: DoutFn<'_>,
    ) -> Option<Result<Computed, Error>> {
        let computed = compute(self.per_row.as_deref()?, at, facts, dout, self.model.precision);
        Some(computed.map(|(mut results, notes)| {
            let loss = results.iter().position(|(name, _)| *name == Name::LOSS);
            if let Some(loss) = loss.filter(|_| is_mean(&self.model.settings)) {
                let ones = ArrayD::ones(results[loss].1.raw_dim());
                results.insert(loss + 1, (Name::DIVISOR, ones));
            }
            (results, notes)
        }))
    }
}

fn compute(
    layer: &dyn AnyLayer,
    at: &Tensors<f64>,
    facts: &OperandFacts<'_>,
    dout: DoutFn<'_>,
    precision: Precision,
) -> Result<Computed, Error> {
    let given = Given { at, rounding: facts.rounding, x_was_y: facts.x_was_y };
    let notes = layer::admit_new(layer, &given, facts.is_new)?;
    let dout = dout(&layer.output_shape(at))?;
    let outcome = layer::compute(layer, at, dout.as_ref(), precision);
    Ok((outcome.results.into_iter().chain(outcome.gradients).collect(), notes))
}
