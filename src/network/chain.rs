//! A network of layers, with or without records of what they computed. Layers are in the order of computation: each reads the
//! network's input and outputs of earlier layers, by default that of the layer before.

use super::layer_names::LayerNames;
use super::optimizer::Optimizer;
use crate::core::error::{Code, Error, Fact, Place};
use crate::core::name::{Name, edit_distance};
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, LayerSpec, Mode, Precision, Role, Settings};
use crate::numeric::Scalar;
use ndarray::ArrayD;

/// Number of layers up to which an error lists all of them.
const MAX_LISTED: usize = 12;

/// Layers that read the network's input and outputs of earlier layers; the last may be a loss.
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
    /// The rule of a step.
    #[serde(flatten)]
    pub optimizer: Optimizer,
    /// Number of completed steps.
    pub step: u64,
}

/// The origin of a value that a layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The input of the network.
    Input,
    /// The output of the layer with this index.
    Layer(usize),
}

/// A layer of a chain.
pub struct Stage {
    /// The registry's row.
    pub spec: &'static LayerSpec,
    /// Name of the layer, unique in the chain.
    pub name: String,
    /// Settings of the layer.
    pub settings: Settings,
    /// Arrays that belong to the layer, learnt or constant: w, b, the weight of each class, a second input that no layer gives.
    pub params: Tensors<f64>,
    /// The operands that the network's input and earlier layers give.
    pub sources: Vec<(Name, Source)>,
    /// Running means of an optimizer, named `w.m`; those that were never trained have none.
    pub moments: Tensors<f64>,
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
        if name == Name::X.as_str() {
            return Err(Error::new(Code::Setting, "invalid layer name \"x\": x is the network's input")
                .with_operand(&Name::new("name"))
                .tip("use another name, as in fc1"));
        }
        let layer = (spec.build)(&settings)?;
        Ok(Stage { spec, name, settings, params, sources: Vec::new(), moments: Tensors::new(), record: None, layer })
    }

    /// Returns the layer's mathematics.
    pub fn layer(&self) -> &(dyn AnyLayer + 'static) {
        self.layer.as_ref()
    }

    /// Makes the layer that of this use.
    fn set_mode(&mut self, mode: Mode) -> Result<(), Error> {
        let layer = (self.spec.build)(&self.settings)?;
        self.layer = layer.for_mode(mode).unwrap_or(layer);
        Ok(())
    }

    /// Replaces statistics that the layer keeps by those of a step of training.
    pub(super) fn keep_statistics(&mut self, outputs: &Tensors<f64>) {
        let kept = self.spec.slots.iter().filter(|slot| slot.role == Role::Constant);
        for slot in kept {
            if let Some(value) = outputs.get(&slot.name).filter(|_| self.params.get(&slot.name).is_some()) {
                self.params.insert(slot.name.clone(), value.clone());
            }
        }
    }

    /// Changes a setting.
    pub fn set(&mut self, name: &'static str, value: layer::Value) -> Result<(), Error> {
        let mut settings = self.settings.clone();
        settings.set(name, value);
        self.layer = (self.spec.build)(&settings)?;
        self.settings = settings;
        Ok(())
    }

    /// Returns the name of the operand that comes from the layer before, unless another source is named: x, for `xent` y.
    pub fn input(&self) -> &'static Name {
        input_of(self.spec)
    }

    /// Returns the source of an operand, if the network's input or an earlier layer gives it.
    pub fn source(&self, operand: &Name) -> Option<Source> {
        self.sources.iter().find(|(name, _)| name == operand).map(|(_, source)| *source)
    }

    /// Returns the operands that are the network's input.
    pub(super) fn network_inputs(&self) -> impl Iterator<Item = &Name> {
        self.sources.iter().filter(|(_, source)| *source == Source::Input).map(|(name, _)| name)
    }

    /// Returns the reference by which other layers name the output: `affine1.y`.
    pub fn output_reference(&self) -> String {
        format!("{}.{}", self.name, self.spec.output)
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
        let role = self.spec.slots.iter().find(|slot| slot.name == *operand).map(|slot| slot.role);
        match (self.source(operand), role) {
            (Some(Source::Layer(earlier)), _) => format!("/layers/{earlier}/outputs/{}", Name::Y),
            (Some(Source::Input), _) | (None, Some(Role::Target)) => format!("/layers/{n}/inputs/{operand}"),
            (None, Some(_)) => format!("/layers/{n}/params/{operand}"),
            (None, None) => format!("/layers/{n}/settings/{operand}"),
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

/// Returns the name of the operand that a layer takes from the layer before: its first input, or integers where it has none.
pub fn input_of(spec: &'static LayerSpec) -> &'static Name {
    let slots = || spec.slots.iter();
    let constant = || slots().find(|slot| slot.role == Role::Constant && !slot.optional);
    match slots().find(|slot| slot.role == Role::Input).or_else(constant) {
        Some(slot) => &slot.name,
        None => unreachable!("every layer has an input"),
    }
}

/// Returns the layers that read the output of each layer, with the operand that it is to them.
pub(super) fn readers(stages: &[Stage]) -> Vec<Vec<(usize, &Name)>> {
    let mut readers = vec![Vec::new(); stages.len()];
    for (n, stage) in stages.iter().enumerate() {
        for (operand, source) in &stage.sources {
            if let Source::Layer(earlier) = source {
                readers[*earlier].push((n, operand));
            }
        }
    }
    readers
}

/// Returns the operands that are the network's input, with the index of their layer.
pub(super) fn input_readers(stages: &[Stage]) -> Vec<(usize, &Name)> {
    let layers = stages.iter().enumerate();
    layers.flat_map(|(n, stage)| stage.network_inputs().map(move |operand| (n, operand))).collect()
}

/// Returns the gradient of a value, the sum of those of its readers; `None` if it has none.
pub(super) fn sum_of_gradients<'a>(
    readers: &[(usize, &Name)],
    gradients: impl Fn(usize) -> Option<&'a Tensors<f64>>,
) -> Option<ArrayD<f64>> {
    let found = readers.iter().filter_map(|(n, operand)| gradients(*n)?.get(&operand.gradient()));
    found.fold(None, |sum: Option<ArrayD<f64>>, gradient| {
        Some(match sum {
            Some(sum) => sum + gradient,
            None => gradient.clone(),
        })
    })
}

impl Tape {
    /// Appends a layer; refuses a duplicate name, and any layer after a loss.
    pub fn push(&mut self, stage: Stage) -> Result<(), Error> {
        self.push_named(&mut self.layer_names(), stage)
    }

    /// Appends a layer like [`push`](Self::push), in constant time for `names`, the names of the chain's layers.
    pub(super) fn push_named(&mut self, names: &mut LayerNames, mut stage: Stage) -> Result<(), Error> {
        self.ensure_extendable()?;
        names.insert(&stage.name)?;
        self.connect(&mut stage);
        self.stages.push(stage);
        Ok(())
    }

    /// Makes the next layer read the default source, unless it has another.
    pub(super) fn connect(&self, next: &mut Stage) {
        if next.source(next.input()).is_none() {
            next.sources.insert(0, (next.input().clone(), self.default_source()));
        }
    }

    /// Returns what the next layer reads unless it says otherwise: the output of the last layer, at first the network's input.
    pub fn default_source(&self) -> Source {
        self.stages.len().checked_sub(1).map_or(Source::Input, Source::Layer)
    }

    /// Returns the source that a reference names: `fc1.y`, or `x` for the network's input.
    pub fn resolve(&self, reference: &str) -> Result<Source, Error> {
        if reference == Name::X.as_str() {
            return Ok(Source::Input);
        }
        let is_named = |stage: &Stage| stage.output_reference() == reference;
        if let Some(n) = self.stages.iter().rposition(is_named) {
            return Ok(Source::Layer(n));
        }
        let known: Vec<String> = self.stages.iter().map(Stage::output_reference).collect();
        let closest = known.iter().filter_map(|name| Some((edit_distance(name, reference)?, name))).min();
        let tip = match closest.filter(|(edits, _)| *edits <= 2) {
            Some((_, name)) => format!("did you mean {name}?"),
            None if known.len() > MAX_LISTED => {
                format!("name an earlier layer, such as {}, or x, the network's input", known[0])
            }
            None => format!(
                "use x, the network's input{}",
                known.iter().map(|name| format!(", or {name}")).collect::<String>()
            ),
        };
        Err(Error::new(Code::Tape, format!("no earlier layer has the output {reference:?}")).tip(tip))
    }

    /// Returns the recorded value of a source.
    pub fn recorded(&self, source: Source) -> Option<&ArrayD<f64>> {
        let inputs = |(n, operand): (usize, &Name)| self.stages[n].record.as_ref()?.inputs.get(operand);
        match source {
            Source::Layer(n) => self.stages[n].record.as_ref()?.outputs.get(&self.stages[n].spec.output),
            Source::Input => input_readers(&self.stages).first().copied().and_then(inputs),
        }
    }

    /// Returns the JSON pointer to the recorded value of a source.
    pub fn pointer(&self, source: Source) -> String {
        match (source, input_readers(&self.stages).first()) {
            (Source::Layer(n), _) => format!("/layers/{n}/outputs/{}", self.stages[n].spec.output),
            (Source::Input, Some((n, operand))) => format!("/layers/{n}/inputs/{operand}"),
            (Source::Input, None) => String::new(),
        }
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
            let softmax = Stage::new(softmax, last.name, Settings::default(), Tensors::new())?;
            self.stages.push(Stage { sources: last.sources, ..softmax });
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

    /// Returns the parameters of every layer, rounded to the precision and converted to a scalar type.
    pub fn params<S: Scalar>(&self) -> Vec<Tensors<S>> {
        let float_type = self.precision.float_type();
        Tensors::map_all(self.stages.iter().map(|stage| &stage.params), |&value| S::from_f64(float_type.round(value)))
    }

    /// Makes the layers those of this use. In a step of training each layer has random numbers of its own.
    pub fn set_mode(&mut self, mode: Mode) -> Result<(), Error> {
        let own = |n: u64| match mode {
            Mode::Inference => Mode::Inference,
            Mode::Training(seed) => Mode::Training(SplitMix64::stream(seed, n).bits()),
        };
        (0..).zip(&mut self.stages).try_for_each(|(n, stage)| stage.set_mode(own(n)))
    }

    /// Removes the records, which leaves a network.
    pub fn clear_records(&mut self) {
        self.stages.iter_mut().for_each(|stage| stage.record = None);
    }

    /// Removes what a training has left besides the parameters.
    pub fn clear_training(&mut self) {
        self.training = None;
        self.stages.iter_mut().for_each(|stage| stage.moments = Tensors::new());
    }
}
