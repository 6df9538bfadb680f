//! Chains of layers: what a pipe carries from layer to layer, and what a network file holds.
//!
//! A [`Tape`] is a chain whose layers remember what they computed; without these records it is a network. Its document
//! is read and written by [`document`], and it runs [`forward`](fn@forward) and [`backward`](fn@backward), which are pure.

use crate::core::error::{Code, Error, Fact, Place};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{AnyLayer, LayerSpec, Outcome, Precision, Role, Settings};
use crate::network::names::Names;
use crate::numeric::{Exact, Scalar, exact};
use ndarray::ArrayD;

mod backward;
pub mod check;
pub mod document;
mod forward;
pub mod learn;
pub mod names;
pub mod runner;

pub use backward::backward;
pub use forward::{Feed, Pass, forward, no_target};

/// A chain of layers, each reading the output of the one before; the last may be a loss.
#[derive(Default)]
pub struct Tape {
    /// The layers, first to last.
    pub stages: Vec<Stage>,
    /// The arithmetic it is computed in.
    pub precision: Precision,
    /// How far it was trained, and how.
    pub training: Option<learn::Training>,
}

/// A layer of a chain.
pub struct Stage {
    /// The registry's row.
    pub spec: &'static LayerSpec,
    /// What it is called in this chain.
    pub name: String,
    /// Its settings.
    pub settings: Settings,
    /// What belongs to the layer, learnt or not: w, b, the weight of each class.
    pub params: Tensors<f64>,
    /// What it read and computed; a network has none.
    pub record: Option<Record>,
    layer: Box<dyn AnyLayer>,
}

/// What a layer read and computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The output of the layer before, and the targets.
    pub inputs: Tensors<f64>,
    /// The results of the forward pass.
    pub outputs: Tensors<f64>,
    /// The gradients, once `backward` has added them.
    pub gradients: Tensors<f64>,
}

impl Stage {
    /// A layer without a record; refuses settings that the layer refuses, and names that are no word.
    pub fn new(
        spec: &'static LayerSpec,
        name: String,
        settings: Settings,
        params: Tensors<f64>,
    ) -> Result<Stage, Error> {
        let word = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || !name.chars().all(word) {
            return Err(Error::new(Code::Setting, format!("{name:?} is no name of a layer"))
                .with_operand(&Name::new("name"))
                .tip("letters, digits and _ - . make a name, such as fc1"));
        }
        let layer = (spec.build)(&settings)?;
        Ok(Stage { spec, name, settings, params, record: None, layer })
    }

    /// Its mathematics.
    pub fn layer(&self) -> &(dyn AnyLayer + 'static) {
        self.layer.as_ref()
    }

    /// Sets a setting anew.
    pub fn set(&mut self, name: &'static str, value: layer::Value) -> Result<(), Error> {
        let mut settings = self.settings.clone();
        settings.set(name, value);
        self.layer = (self.spec.build)(&settings)?;
        self.settings = settings;
        Ok(())
    }

    /// The operand that the layer before feeds: x, of `xent` y.
    pub fn input(&self) -> &'static Name {
        input_of(self.spec)
    }

    /// Whether it reads targets.
    pub fn has_target(&self) -> bool {
        self.spec.slots.iter().any(|slot| slot.role == Role::Target)
    }

    /// The parameters that are learnt, which have gradients.
    pub fn learnt(&self) -> impl Iterator<Item = &'static Name> {
        let spec = self.spec;
        let learnt = spec.slots.iter().filter(|slot| slot.role == Role::Parameter).map(|slot| &slot.name);
        learnt.filter(|name| self.params.get(name).is_some())
    }

    /// Where an operand or setting stands in a document whose layer `n` this is.
    fn pointer(&self, n: usize, operand: &Name) -> String {
        match self.spec.slots.iter().find(|slot| slot.name == *operand).map(|slot| slot.role) {
            Some(Role::Parameter | Role::Constant) => format!("/layers/{n}/params/{operand}"),
            Some(Role::Target) => format!("/layers/{n}/inputs/{operand}"),
            Some(Role::Input) if n == 0 => format!("/layers/0/inputs/{operand}"),
            Some(Role::Input) => format!("/layers/{}/outputs/{}", n - 1, Name::Y),
            None => format!("/layers/{n}/settings/{operand}"),
        }
    }

    /// A layer's error as one of the document whose layer `n` this is: it names the layer, the key and the place.
    pub fn blame(&self, n: usize, mut error: Error) -> Error {
        let operand = error.operand.take();
        let subject = operand.as_ref().map_or_else(String::new, |operand| format!(" {operand}:"));
        error.message = format!("layer {}:{subject} {}", self.name, error.message);
        // The message has the shapes.
        error.facts.retain(|fact| matches!(fact, Fact::Text(_)));
        let steps = match &error.at {
            Some(Place::Index(at)) => at.iter().map(|step| format!("/{step}")).collect(),
            _ => String::new(),
        };
        match operand {
            Some(operand) => {
                let pointer = format!("{}{steps}", self.pointer(n, &operand));
                error.at(Place::Pointer(pointer))
            }
            None => error,
        }
    }
}

/// The operand of a layer that the layer before feeds.
pub fn input_of(spec: &'static LayerSpec) -> &'static Name {
    match spec.slots.iter().find(|slot| slot.role == Role::Input) {
        Some(slot) => &slot.name,
        None => unreachable!("every layer has an input"),
    }
}

impl Tape {
    /// Adds a layer behind the last. Refuses a name that is taken, and whatever would follow a loss.
    pub fn push(&mut self, stage: Stage) -> Result<(), Error> {
        self.push_among(&mut Names::of(&self.stages), stage)
    }

    /// [`push`](Self::push), where the names of the layers so far are known.
    pub fn push_among(&mut self, names: &mut Names, stage: Stage) -> Result<(), Error> {
        self.admits_another()?;
        names.take(&stage.name)?;
        self.stages.push(stage);
        Ok(())
    }

    /// Refuses where the chain ends in a loss.
    pub fn admits_another(&self) -> Result<(), Error> {
        match self.stages.last().filter(|last| last.spec.is_loss()) {
            Some(last) => Err(Error::new(
                Code::Tape,
                format!("the chain ends in the loss {}, which no layer can follow", last.name),
            )
            .tip("nnlayer backward gives its gradients")),
            None => Ok(()),
        }
    }

    /// What comes before the loss: of one that makes probabilities its softmax, of one that reads them nothing.
    pub fn without_loss(mut self) -> Result<Tape, Error> {
        let Some(last) = self.stages.pop_if(|last| last.spec.is_loss()) else { return Ok(self) };
        if let Some(softmax) = layer::find("softmax").filter(|softmax| last.spec.formula(&softmax.output).is_some()) {
            self.stages.push(Stage::new(softmax, last.name, Settings::default(), Tensors::new())?);
        }
        Ok(self)
    }

    /// The names of its layers.
    pub fn names(&self) -> Vec<&str> {
        self.stages.iter().map(|stage| stage.name.as_str()).collect()
    }

    /// The name of the next layer of a kind that was given none: `affine1`, `affine2`, ….
    pub fn fresh_name(&self, spec: &LayerSpec) -> String {
        Names::of(&self.stages).fresh(spec)
    }

    /// What the last layer gave, where the tape has its records.
    pub fn output(&self) -> Option<&ArrayD<f64>> {
        let last = self.stages.last()?;
        last.record.as_ref()?.outputs.get(&last.spec.output)
    }

    /// The parameters of every layer, in any scalar.
    pub fn params<S: Scalar>(&self) -> Vec<Tensors<S>> {
        self.stages.iter().map(|stage| stage.params.map(|&value| S::from_f64(value))).collect()
    }

    /// Forgets what was computed: a network remains.
    pub fn forget(&mut self) {
        self.stages.iter_mut().for_each(|stage| stage.record = None);
    }
}

/// What a run of a chain gave: each layer's results and gradients.
pub struct Run {
    /// Each layer's results.
    pub outputs: Vec<Tensors<f64>>,
    /// Each layer's gradients, where they were asked for.
    pub gradients: Option<Vec<Tensors<f64>>>,
    /// What the layers had to say.
    pub notes: Vec<crate::core::error::Note>,
    /// The inputs of each layer, parameters left out.
    pub inputs: Vec<Tensors<f64>>,
}

/// What one layer of a chain read and gave, and what came back to it.
pub struct Passed {
    /// Its operands, parameters included.
    pub at: Tensors<f64>,
    /// Its results and gradients.
    pub outcome: Outcome,
    /// Its upstream gradient; none where the chain was not taken backward.
    pub dout: Option<ArrayD<f64>>,
}

impl Run {
    /// Layer by layer; `dout` is the upstream gradient of the last output.
    pub fn layers(self, tape: &Tape, dout: Option<&ArrayD<f64>>) -> Vec<Passed> {
        let gradients = self.gradients.unwrap_or_else(|| vec![Tensors::new(); tape.stages.len()]);
        // What comes back to a layer is the gradient at the input of the next.
        let fed = |n: usize| match tape.stages.get(n + 1) {
            Some(next) => gradients[n + 1].get(&next.input().gradient()).cloned(),
            None => dout.cloned(),
        };
        let douts: Vec<_> = (0..tape.stages.len()).map(fed).collect();
        let layers = self.inputs.into_iter().zip(self.outputs).zip(gradients).zip(douts).zip(&tape.stages);
        layers
            .map(|((((mut at, results), gradients), dout), stage)| {
                at.extend(stage.params.clone());
                Passed { at, outcome: Outcome { results, gradients }, dout }
            })
            .collect()
    }
}

/// The gradient of the last output, which has that shape; nothing where none is wanted.
pub type Upstream<'a> = &'a mut dyn FnMut(&Stage, &[usize]) -> Result<Option<ArrayD<f64>>, Error>;

/// Runs a chain forward and, where `upstream` gives a gradient for the last output's shape, backward.
pub fn run(tape: &Tape, feed: &Feed<'_, f64>, upstream: Upstream<'_>) -> Result<Run, Error> {
    match tape.precision {
        Precision::F32 => {
            let single = |&value: &f64| f32::from_f64(value);
            let (x, t) = (feed.x.map(single), feed.t.map(|t| t.map(single)));
            run_in::<f32>(tape, &Feed { x: &x, t: t.as_ref(), rounding: feed.rounding }, upstream)
        }
        Precision::Exact => exact::exactly(|| {
            let given = |&value: &f64| Exact::from_f64(value);
            let (x, t) = (feed.x.map(given), feed.t.map(|t| t.map(given)));
            run_in::<Exact>(tape, &Feed { x: &x, t: t.as_ref(), rounding: feed.rounding }, upstream)
        }),
        Precision::F64 => run_in::<f64>(tape, feed, upstream),
    }
}

fn run_in<S: Scalar>(tape: &Tape, feed: &Feed<'_, S>, upstream: Upstream<'_>) -> Result<Run, Error>
where
    dyn AnyLayer: layer::Layer<S>,
{
    let pass = forward(&tape.stages, tape.params(), feed)?;
    let dout = match (tape.stages.last(), pass.output(&tape.stages)) {
        (Some(last), Some(output)) => upstream(last, output.shape())?,
        _ => None,
    };
    let double = |bundle: &Tensors<S>| bundle.map(|value| value.to_f64());
    let gradients = dout.map(|dout| {
        let gradients = backward(&tape.stages, &pass, dout.map(|&value| S::from_f64(value)));
        gradients.iter().map(double).collect()
    });
    let inputs = pass.at.iter().zip(&tape.stages).map(|(at, stage)| {
        let mut inputs = double(at);
        inputs.retain(|name| stage.params.get(name).is_none());
        inputs
    });
    Ok(Run {
        inputs: inputs.collect(),
        outputs: pass.runs.iter().map(|run| double(&run.results)).collect(),
        gradients,
        notes: pass.notes,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::numeric::DoubleDouble;

    const NETWORK: &str = r#"{"nnlayer-tape":1,"layers":[
        {"kind":"affine","params":{"w":[[0.5,-0.2,0.1],[1,0.4,-0.3]],"b":[0.1,0.2,-0.1]}},
        {"kind":"tanh"},
        {"kind":"affine","params":{"w":[[1.5,-1],[0.3,0.7],[-0.6,0.2]],"b":0.25}},
        {"kind":"sigmoid"},
        {"kind":"softmax-xent","settings":{"reduction":"mean","label-smoothing":0.1}}]}"#;

    fn loss(tape: &Tape, params: Vec<Tensors<DoubleDouble>>, x: &ArrayD<f64>, t: &ArrayD<f64>) -> DoubleDouble {
        let (x, t) = (x.map(|&v| DoubleDouble::from_f64(v)), t.map(|&v| DoubleDouble::from_f64(v)));
        let pass = forward(&tape.stages, params, &Feed { x: &x, t: Some(&t), rounding: &|_| 0.0 }).unwrap();
        pass.output(&tape.stages).unwrap()[[]]
    }

    #[test]
    fn gradients_by_every_parameter_equal_differences_in_twice_the_digits() {
        let tape = document::read(NETWORK.as_bytes(), "net.json", None).unwrap();
        let x = ndarray::arr2(&[[0.3, -1.2], [-0.4, 0.9]]).into_dyn();
        let t = ndarray::arr1(&[1.0, 0.0]).into_dyn();
        let feed = Feed { x: &x, t: Some(&t), rounding: &|_| 0.0 };
        let mut one = |_: &Stage, shape: &[usize]| Ok(Some(ArrayD::from_elem(ndarray::IxDyn(shape), 1.0)));
        let gradients = run(&tape, &feed, &mut one).unwrap().gradients.unwrap();
        let step = DoubleDouble::from_f64(2f64.powi(-36));
        for (n, stage) in tape.stages.iter().enumerate() {
            for name in stage.learnt().filter(|name| stage.params.known(name).ndim() > 0) {
                for (k, &analytic) in gradients[n].known(&name.gradient()).iter().enumerate() {
                    let moved = |by: DoubleDouble| {
                        let mut params = tape.params::<DoubleDouble>();
                        let value = params[n].get_mut(name).unwrap().iter_mut().nth(k).unwrap();
                        *value = *value + by;
                        loss(&tape, params, &x, &t)
                    };
                    let numeric = ((moved(step) - moved(-step)) / (step + step)).to_f64();
                    assert!((analytic - numeric).abs() < 1e-15, "{} {name} {k}: {analytic} {numeric}", stage.name);
                }
            }
        }
    }
}
