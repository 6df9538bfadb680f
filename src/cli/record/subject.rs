//! What records go through: a layer, or a network; and what a thread computes it with.

use super::network::Network;
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, Given, LayerSpec, Precision, Settings};
use crate::network::runner::PreparedParams;
use ndarray::ArrayD;

/// What records go through.
pub(super) enum Subject {
    Layer(Layer),
    Network(Box<Network>),
}

/// A layer, with the settings that options give.
pub(super) struct Layer {
    pub(super) spec: &'static LayerSpec,
    pub(super) settings: Settings,
    pub(super) precision: Precision,
}

impl Subject {
    /// The layer that the upstream gradient comes to.
    pub(super) fn spec(&self) -> &'static LayerSpec {
        match self {
            Subject::Layer(layer) => layer.spec,
            Subject::Network(network) => network.last(),
        }
    }

    /// Whether a key is the name of a result.
    pub(super) fn gives(&self, key: &str) -> bool {
        match self {
            Subject::Layer(Layer { spec, .. }) => {
                key == Name::DIVISOR.as_str() || spec.results().any(|(name, _)| name.as_str() == key)
            }
            Subject::Network(network) => network.gives(key),
        }
    }

    /// Where that stands which no operand is to blame for, and no record.
    pub(super) fn label(&self) -> Option<&str> {
        match self {
            Subject::Layer(_) => None,
            Subject::Network(network) => Some(network.label()),
        }
    }
}

/// What a thread computes with.
pub(super) enum Engine {
    Layer {
        alone: Box<dyn AnyLayer>,
        /// For a row a record; nothing where a record's results are not those of a row.
        rows: Option<Box<dyn AnyLayer>>,
    },
    Network {
        ready: PreparedParams,
        rows: bool,
    },
}

/// What is known of operands.
pub(super) struct About<'a> {
    /// Whether a record gave it.
    pub(super) new: &'a dyn Fn(&Name) -> bool,
    /// The rounding of the type that it was stored in.
    pub(super) rounding: &'a dyn Fn(&Name) -> f64,
    pub(super) x_was_y: bool,
}

/// Results by name, and what there was to say.
pub(super) type Computed = (Vec<(Name, ArrayD<f64>)>, Vec<Note>);

impl Engine {
    /// `given` is what options give, `rows` says whether they let records be rows of one batch, `shows` whether a result is
    /// shown.
    pub(super) fn new(
        subject: &Subject,
        given: &Tensors<f64>,
        rows: bool,
        shows: impl Fn(&Name) -> bool,
    ) -> Result<Engine, Error> {
        Ok(match subject {
            Subject::Layer(layer) => Engine::Layer {
                alone: (layer.spec.build)(&layer.settings)?,
                rows: if rows { layer.by_rows(given.get(&Name::WEIGHT).is_some(), shows)? } else { None },
            },
            Subject::Network(network) => Engine::Network { ready: network.ready(), rows },
        })
    }

    /// Computes a record; `own` is the layer that its settings make. `upstream` gives the upstream gradient for an output
    /// of a shape, where one is wanted.
    pub(super) fn run(
        &mut self,
        subject: &Subject,
        own: Option<&dyn AnyLayer>,
        at: &mut Tensors<f64>,
        about: &About<'_>,
        upstream: impl FnOnce(&[usize]) -> Result<Option<ArrayD<f64>>, Error>,
    ) -> Result<Computed, Error> {
        match (self, subject) {
            (Engine::Layer { alone, .. }, Subject::Layer(layer)) => {
                layer.run(own.unwrap_or(alone.as_ref()), at, about, upstream)
            }
            (Engine::Network { ready, .. }, Subject::Network(network)) => network.run(ready, at, about, upstream),
            _ => unreachable!("an engine runs the subject that it was made for"),
        }
    }

    /// Whether records may be computed as rows.
    pub(super) fn takes_many(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (Engine::Layer { rows, .. }, _) => rows.is_some(),
            (Engine::Network { rows, .. }, Subject::Network(network)) => *rows && network.has_rows(),
            _ => false,
        }
    }

    /// Computes records as rows; nothing where that is not to be had.
    pub(super) fn run_many(
        &mut self,
        subject: &Subject,
        at: &mut Tensors<f64>,
        about: &About<'_>,
        upstream: impl FnOnce(&[usize]) -> Result<Option<ArrayD<f64>>, Error>,
    ) -> Option<Result<Computed, Error>> {
        match (self, subject) {
            (Engine::Layer { rows, .. }, Subject::Layer(layer)) => {
                Some(layer.run_rows(rows.as_deref()?, at, about, upstream))
            }
            (Engine::Network { ready, .. }, Subject::Network(network)) => network.run_rows(ready, at, about, upstream),
            _ => None,
        }
    }
}

impl Layer {
    /// The layer for a row a record; nothing where a record's results are not those of a row.
    fn by_rows(&self, weighted: bool, shows: impl Fn(&Name) -> bool) -> Result<Option<Box<dyn AnyLayer>>, Error> {
        // A gradient of a parameter is a sum over rows.
        if self.precision == Precision::Exact || self.spec.parameters().any(|slot| shows(&slot.name.gradient())) {
            return Ok(None);
        }
        let Some(settings) = by_rows(self.spec, &self.settings, weighted)? else { return Ok(None) };
        let layer = (self.spec.build)(&settings)?;
        Ok(layer.independent_rows().then_some(layer))
    }

    fn run(
        &self,
        layer: &dyn AnyLayer,
        at: &Tensors<f64>,
        about: &About<'_>,
        upstream: impl FnOnce(&[usize]) -> Result<Option<ArrayD<f64>>, Error>,
    ) -> Result<Computed, Error> {
        let given = Given { at, rounding: about.rounding, x_was_y: about.x_was_y };
        let notes = layer::admit_new(layer, &given, about.new)?;
        let dout = upstream(&layer.output_shape(at))?;
        let outcome = layer::compute(layer, at, dout.as_ref(), self.precision);
        Ok((outcome.results.into_iter().chain(outcome.gradients).collect(), notes))
    }

    fn run_rows(
        &self,
        layer: &dyn AnyLayer,
        at: &Tensors<f64>,
        about: &About<'_>,
        upstream: impl FnOnce(&[usize]) -> Result<Option<ArrayD<f64>>, Error>,
    ) -> Result<Computed, Error> {
        let (mut results, notes) = self.run(layer, at, about, upstream)?;
        let loss = results.iter().position(|(name, _)| *name == Name::LOSS);
        if let Some(loss) = loss.filter(|_| is_mean(&self.settings)) {
            let ones = ArrayD::ones(results[loss].1.raw_dim());
            results.insert(loss + 1, (Name::DIVISOR, ones));
        }
        Ok((results, notes))
    }
}

/// The settings with which each row of a batch is a record of its own; nothing where there are none. A mean is over the one
/// row: it divides by 1, unless a class has a weight or may be ignored.
pub(super) fn by_rows(spec: &LayerSpec, settings: &Settings, weighted: bool) -> Result<Option<Settings>, Error> {
    let mut settings = settings.clone();
    if let Some(reduction) = spec.settings.iter().find(|setting| setting.name == "reduction") {
        if is_mean(&settings) && (weighted || settings.get("ignore-index").is_some()) {
            return Ok(None);
        }
        // The loss of a row is the sum of its terms, in all three.
        settings.set(reduction.name, reduction.parse("none")?);
    }
    Ok(Some(settings))
}

fn is_mean(settings: &Settings) -> bool {
    settings.choice("reduction") == Some("mean")
}
