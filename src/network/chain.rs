//! A chain of layers, with or without records of what they computed.

use super::layer_names::LayerNames;
use crate::core::error::{Code, Error, Fact, Place};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, LayerSpec, Precision, Role, Settings};
use crate::numeric::Scalar;
use ndarray::ArrayD;

/// A chain of layers, each of which reads the output of the one before; the last may be a loss.
#[derive(Default)]
pub struct Tape {
    /// The layers, first to last.
    pub stages: Vec<Stage>,
    /// The arithmetic that the chain is computed in.
    pub precision: Precision,
    /// Progress and options of its training; a chain that was never trained has none.
    pub training: Option<Training>,
}

/// Progress and options of a training run, which a checkpoint needs to resume it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Training {
    /// Number of completed epochs.
    pub epoch: u64,
    /// Seed of the order of rows.
    pub seed: u64,
    /// Number of rows per batch.
    pub batch: u64,
    /// Learning rate.
    pub lr: f64,
    /// True if each epoch visits the rows in an order of its own.
    pub shuffle: bool,
}

/// A layer of a chain.
pub struct Stage {
    /// The registry's row.
    pub spec: &'static LayerSpec,
    /// Name of the layer, unique in the chain.
    pub name: String,
    /// Settings of the layer.
    pub settings: Settings,
    /// Arrays that belong to the layer, learnt or constant: w, b, the weight of each class.
    pub params: Tensors<f64>,
    /// Values of the last run; a network has none.
    pub record: Option<Record>,
    layer: Box<dyn AnyLayer>,
}

/// The values that a layer read and computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The output of the layer before, and the targets.
    pub inputs: Tensors<f64>,
    /// The results of the forward pass.
    pub outputs: Tensors<f64>,
    /// The gradients; empty before a backward pass.
    pub gradients: Tensors<f64>,
}

impl Stage {
    /// Builds a layer without a record; refuses invalid settings and names.
    pub fn new(
        spec: &'static LayerSpec,
        name: String,
        settings: Settings,
        params: Tensors<f64>,
    ) -> Result<Stage, Error> {
        let is_allowed = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || !name.chars().all(is_allowed) {
            return Err(Error::new(Code::Setting, format!("invalid layer name {name:?}"))
                .with_operand(&Name::new("name"))
                .tip("use letters, digits, `_`, `-` and `.`, as in fc1"));
        }
        let layer = (spec.build)(&settings)?;
        Ok(Stage { spec, name, settings, params, record: None, layer })
    }

    /// Returns the layer's mathematics.
    pub fn layer(&self) -> &(dyn AnyLayer + 'static) {
        self.layer.as_ref()
    }

    /// Changes a setting.
    pub fn set(&mut self, name: &'static str, value: layer::Value) -> Result<(), Error> {
        let mut settings = self.settings.clone();
        settings.set(name, value);
        self.layer = (self.spec.build)(&settings)?;
        self.settings = settings;
        Ok(())
    }

    /// Returns the name of the operand that comes from the layer before: x, for `xent` y.
    pub fn input(&self) -> &'static Name {
        input_of(self.spec)
    }

    /// Returns true if the layer reads targets.
    pub fn has_target(&self) -> bool {
        self.spec.slots.iter().any(|slot| slot.role == Role::Target)
    }

    /// Returns the names of the layer's learnt parameters, which have gradients.
    pub fn learnt(&self) -> impl Iterator<Item = &'static Name> {
        self.spec.parameters().map(|slot| &slot.name).filter(|name| self.params.get(name).is_some())
    }

    /// Returns the JSON pointer to an operand or setting in a document whose layer `n` this is.
    fn pointer(&self, n: usize, operand: &Name) -> String {
        match self.spec.slots.iter().find(|slot| slot.name == *operand).map(|slot| slot.role) {
            Some(Role::Parameter | Role::Constant) => format!("/layers/{n}/params/{operand}"),
            Some(Role::Target) => format!("/layers/{n}/inputs/{operand}"),
            Some(Role::Input) if n == 0 => format!("/layers/0/inputs/{operand}"),
            Some(Role::Input) => format!("/layers/{}/outputs/{}", n - 1, Name::Y),
            None => format!("/layers/{n}/settings/{operand}"),
        }
    }

    /// Turns a layer's error into one of the document whose layer `n` this is: it names layer, operand and place.
    pub(super) fn document_error(&self, n: usize, mut error: Error) -> Error {
        let operand = error.operand.take();
        let prefix = operand.as_ref().map_or_else(String::new, |operand| format!(" {operand}:"));
        error.message = format!("layer {}:{prefix} {}", self.name, error.message);
        // The message has the shapes.
        error.facts.retain(|fact| matches!(fact, Fact::Text(_)));
        let Some(operand) = operand else { return error };
        let mut pointer = self.pointer(n, &operand);
        if let Some(Place::Index(index)) = &error.at {
            pointer.extend(index.iter().map(|step| format!("/{step}")));
        }
        error.at(Place::Pointer(pointer))
    }
}

/// Returns the name of the operand that a layer takes from the layer before.
pub fn input_of(spec: &'static LayerSpec) -> &'static Name {
    match spec.slots.iter().find(|slot| slot.role == Role::Input) {
        Some(slot) => &slot.name,
        None => unreachable!("every layer has an input"),
    }
}

impl Tape {
    /// Appends a layer; refuses a duplicate name, and any layer after a loss.
    pub fn push(&mut self, stage: Stage) -> Result<(), Error> {
        self.push_named(&mut self.layer_names(), stage)
    }

    /// Appends a layer like [`push`](Self::push), in constant time for `names`, the names of the chain's layers.
    pub(super) fn push_named(&mut self, names: &mut LayerNames, stage: Stage) -> Result<(), Error> {
        self.ensure_extendable()?;
        names.insert(&stage.name)?;
        self.stages.push(stage);
        Ok(())
    }

    /// Refuses a chain that ends in a loss.
    pub fn ensure_extendable(&self) -> Result<(), Error> {
        match self.stages.last().filter(|last| last.spec.is_loss()) {
            Some(last) => Err(Error::new(
                Code::Tape,
                format!("the chain ends in the loss {}, which no layer can follow", last.name),
            )
            .tip("compute its gradients with nnlayer backward")),
            None => Ok(()),
        }
    }

    /// Removes the loss at the end; a loss that computes probabilities leaves its softmax in its place.
    pub fn without_loss(mut self) -> Result<Tape, Error> {
        let Some(last) = self.stages.pop_if(|last| last.spec.is_loss()) else { return Ok(self) };
        if let Some(softmax) = layer::find("softmax").filter(|softmax| last.spec.formula(&softmax.output).is_some()) {
            self.stages.push(Stage::new(softmax, last.name, Settings::default(), Tensors::new())?);
        }
        Ok(self)
    }

    /// Returns the names of the layers.
    pub fn names(&self) -> Vec<&str> {
        self.stages.iter().map(|stage| stage.name.as_str()).collect()
    }

    fn layer_names(&self) -> LayerNames {
        LayerNames::new(&self.names())
    }

    /// Returns an unused name for a layer of that kind: `affine1`, `affine2`, ….
    pub fn fresh_name(&self, spec: &LayerSpec) -> String {
        self.layer_names().fresh(spec)
    }

    /// Returns the recorded output of the last layer.
    pub fn output(&self) -> Option<&ArrayD<f64>> {
        let last = self.stages.last()?;
        last.record.as_ref()?.outputs.get(&last.spec.output)
    }

    /// Returns the parameters of every layer, rounded to the precision and converted to a scalar type.
    pub fn params<S: Scalar>(&self) -> Vec<Tensors<S>> {
        let float_type = self.precision.float_type();
        Tensors::map_all(self.stages.iter().map(|stage| &stage.params), |&value| S::from_f64(float_type.round(value)))
    }

    /// Removes the records, which leaves a network.
    pub fn clear_records(&mut self) {
        self.stages.iter_mut().for_each(|stage| stage.record = None);
    }
}
