//! New networks, from a list of layers such as `conv2d 8 3x3 same, relu, maxpool2d 2, flatten, affine 10`.
//!
//! A layer is its name, sizes or settings in a fixed order, and more settings as `name=value`. W is uniform in ±√(6/in) before a
//! relu or a function like it (He et al. 2015), otherwise in ±√(6/(in + out)) (Glorot and Bengio 2010), where in and out count the
//! weights that an output, or an input, has; rows of an embedding are uniform in ±√3, with variance 1; biases are 0, gammas 1. A
//! square root is correctly rounded on every processor, so a seed gives the same network everywhere.

use super::chain::{Source, Stage, Tape};
use super::layer_names::LayerNames;
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::{Name, edit_distance};
use crate::core::rng::SplitMix64;
use crate::core::tensors::Tensors;
use crate::layer;
use crate::layer::{Given, LayerSpec, Mode, Role, Settings};
use ndarray::{ArrayD, IxDyn};

/// Largest number of weights of a new network: a JSON file of more would be impractical.
const MAX_WEIGHTS: usize = 100_000_000;

/// An argument of a layer that has no name.
enum Argument {
    /// A size, or several: `3x3`.
    Sizes(&'static str),
    /// The value of a setting.
    Setting(&'static str),
}

/// Values of a new parameter.
enum Fill {
    Constant(f64),
    /// Uniform, by the number of weights that an output has, and an input.
    Weights(usize, usize),
    /// Uniform with variance 1.
    Rows,
}

/// The parameters of a new layer.
type Parameters = Vec<(&'static str, Vec<usize>, Fill)>;

/// The arguments of a layer, and its parameters for an input of a shape.
struct Recipe {
    layers: &'static [&'static str],
    arguments: &'static [Argument],
    parameters: fn(&NewLayer, &[usize]) -> Parameters,
}

/// The layers that have arguments or parameters; others have neither.
const RECIPES: &[Recipe] = &[
    Recipe {
        layers: &["affine"],
        arguments: &[Argument::Sizes("OUTPUTS")],
        parameters: |layer, input| {
            let (inputs, outputs) = (input.last().copied().unwrap_or(1), layer.sizes[0][0]);
            vec![
                ("w", vec![inputs, outputs], Fill::Weights(inputs, outputs)),
                ("b", vec![outputs], Fill::Constant(0.0)),
            ]
        },
    },
    Recipe {
        layers: &["conv1d", "conv2d"],
        arguments: &[Argument::Sizes("CHANNELS"), Argument::Sizes("KERNEL"), Argument::Setting("padding")],
        parameters: |layer, input| {
            let (outputs, axes) = (layer.sizes[0][0], input.len().saturating_sub(2));
            let kernel: Vec<usize> =
                layer.sizes[1].iter().copied().cycle().take(axes.max(layer.sizes[1].len())).collect();
            let groups = layer.settings.integer("groups").and_then(|groups| usize::try_from(groups).ok()).unwrap_or(1);
            let inputs = input.get(1).copied().unwrap_or(1) / groups.max(1);
            // What overflows is more than a network may have.
            let window = kernel.iter().fold(1_usize, |window, &taps| window.saturating_mul(taps));
            let shape = [outputs, inputs].into_iter().chain(kernel).collect();
            vec![
                ("w", shape, Fill::Weights(inputs.saturating_mul(window), outputs.saturating_mul(window))),
                ("b", vec![outputs], Fill::Constant(0.0)),
            ]
        },
    },
    Recipe {
        layers: &["maxpool1d", "maxpool2d", "avgpool1d", "avgpool2d"],
        arguments: &[Argument::Setting("kernel"), Argument::Setting("stride")],
        parameters: |_, _| Vec::new(),
    },
    Recipe {
        layers: &["embedding"],
        arguments: &[Argument::Sizes("ROWS"), Argument::Sizes("WIDTH")],
        parameters: |layer, _| vec![("w", vec![layer.sizes[0][0], layer.sizes[1][0]], Fill::Rows)],
    },
    Recipe {
        layers: &["layernorm", "rmsnorm"],
        arguments: &[],
        parameters: |layer, input| {
            let axis = layer.settings.integer("axis").unwrap_or(-1);
            let axis = if axis < 0 { input.len().saturating_add_signed(axis as isize) } else { axis as usize };
            scale_and_shift(layer, input.get(axis..).unwrap_or_default().to_vec())
        },
    },
    Recipe {
        layers: &["groupnorm"],
        arguments: &[Argument::Setting("groups")],
        parameters: |layer, input| scale_and_shift(layer, vec![input.get(1).copied().unwrap_or(1)]),
    },
    Recipe {
        layers: &["instancenorm"],
        arguments: &[],
        parameters: |layer, input| scale_and_shift(layer, vec![input.get(1).copied().unwrap_or(1)]),
    },
    Recipe {
        layers: &["batchnorm"],
        arguments: &[],
        parameters: |layer, input| {
            let channels = vec![input.get(1).copied().unwrap_or(1)];
            let mut parameters = scale_and_shift(layer, channels.clone());
            parameters.push(("running-mean", channels.clone(), Fill::Constant(0.0)));
            parameters.push(("running-var", channels, Fill::Constant(1.0)));
            parameters
        },
    },
    Recipe { layers: &["prelu"], arguments: &[], parameters: |_, _| vec![("a", Vec::new(), Fill::Constant(0.25))] },
    Recipe { layers: &["dropout"], arguments: &[Argument::Setting("p")], parameters: |_, _| Vec::new() },
    Recipe { layers: &["reshape"], arguments: &[Argument::Setting("shape")], parameters: |_, _| Vec::new() },
    Recipe { layers: &["transpose"], arguments: &[Argument::Setting("axes")], parameters: |_, _| Vec::new() },
];

/// Functions before which the weights are those of He.
const LIKE_RELU: &[&str] =
    &["relu", "leaky-relu", "prelu", "elu", "celu", "gelu", "silu", "mish", "softplus", "hard-swish", "glu"];

/// Returns gamma, with what a layer adds to it 1, and beta if the layer has it.
fn scale_and_shift(layer: &NewLayer, shape: Vec<usize>) -> Parameters {
    let offset = layer.settings.number("gamma-offset").unwrap_or(0.0);
    let gamma = ("gamma", shape.clone(), Fill::Constant(1.0 - offset));
    let has_beta = layer.spec.slots.iter().any(|slot| slot.name.as_str() == "beta");
    [gamma].into_iter().chain(has_beta.then_some(("beta", shape, Fill::Constant(0.0)))).collect()
}

/// A layer of a list.
struct NewLayer {
    spec: &'static LayerSpec,
    name: Option<String>,
    settings: Settings,
    sizes: Vec<Vec<usize>>,
    /// Operands that are outputs of earlier layers: `x2=%fc1.y`.
    references: Vec<(Name, String)>,
}

impl NewLayer {
    fn recipe(spec: &LayerSpec) -> Option<&'static Recipe> {
        RECIPES.iter().find(|recipe| recipe.layers.contains(&spec.name))
    }

    /// Parses a layer such as `conv2d 8 3x3 stride=2`.
    fn parse(text: &str) -> Result<NewLayer, Error> {
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let spec = layer::find(kind).ok_or_else(|| unknown_layer(kind))?;
        let arguments = NewLayer::recipe(spec).map_or(&[][..], |recipe| recipe.arguments);
        let mut layer =
            NewLayer { spec, name: None, settings: Settings::default(), sizes: Vec::new(), references: Vec::new() };
        let mut unnamed = arguments.iter();
        for word in words {
            if let Some((key, value)) = word.split_once('=') {
                layer.set_named(key, value)?;
                continue;
            }
            match unnamed.next() {
                Some(Argument::Sizes(name)) => layer.sizes.push(parse_sizes(spec, name, word)?),
                Some(Argument::Setting(name)) => layer.set_named(name, word)?,
                None => return Err(unexpected(spec, word)),
            }
        }
        let required = arguments.iter().filter(|argument| matches!(argument, Argument::Sizes(_))).count();
        if layer.sizes.len() < required {
            return Err(Error::new(Code::Setting, format!("layer {} needs its sizes", spec.name)).tip(usage(spec)));
        }
        Ok(layer)
    }

    fn set_named(&mut self, key: &str, value: &str) -> Result<(), Error> {
        if let Some(reference) = value.strip_prefix('%')
            && let Some(slot) =
                self.spec.slots.iter().find(|slot| slot.name.as_str() == key && slot.role == Role::Input)
        {
            self.references.push((slot.name.clone(), reference.to_owned()));
            return Ok(());
        }
        if key == "name" {
            self.name = Some(value.to_owned());
            return Ok(());
        }
        let Some(setting) = self.spec.settings.iter().find(|setting| setting.name == key) else {
            return Err(unexpected(self.spec, key));
        };
        self.settings.set(setting.name, setting.parse(&with_commas(value))?);
        Ok(())
    }
}

/// Returns a list of integers such as `3x3` with commas; any other text as it is.
fn with_commas(text: &str) -> String {
    let is_list = text.split('x').all(|part| part.parse::<i64>().is_ok());
    if is_list { text.replace('x', ",") } else { text.to_owned() }
}

fn parse_sizes(spec: &LayerSpec, name: &str, text: &str) -> Result<Vec<usize>, Error> {
    let size = |text: &str| text.parse().ok().filter(|size: &usize| *size > 0);
    text.split('x').map(size).collect::<Option<_>>().ok_or_else(|| {
        Error::new(Code::Setting, format!("layer {}: expected {name}, a positive integer, got {text:?}", spec.name))
            .tip(usage(spec))
    })
}

/// Returns a tip that shows how a layer is written.
fn usage(spec: &LayerSpec) -> String {
    let arguments = NewLayer::recipe(spec).map_or(&[][..], |recipe| recipe.arguments);
    let word = |argument: &Argument| match argument {
        Argument::Sizes(name) => format!(" {name}"),
        Argument::Setting(name) => format!(" [{}]", name.to_uppercase()),
    };
    format!("write {}{}, and settings as NAME=VALUE", spec.name, arguments.iter().map(word).collect::<String>())
}

fn unexpected(spec: &LayerSpec, word: &str) -> Error {
    Error::new(Code::Setting, format!("layer {}: unexpected {word:?}", spec.name)).tip(usage(spec))
}

fn unknown_layer(kind: &str) -> Error {
    let error = Error::new(Code::Setting, format!("unknown layer {kind:?}"));
    let distance = |spec: &&LayerSpec| edit_distance(spec.name, kind).unwrap_or(usize::MAX);
    let similar = layer::LAYERS.iter().copied().min_by_key(distance).filter(|spec| distance(spec) <= 2);
    // A name of one or two letters is near to every short one.
    let similar = similar.filter(|spec| distance(spec) < kind.chars().count());
    match layer::layer_elsewhere(kind).or(similar.map(|spec| spec.name)) {
        Some(here) => error.tip(format!("did you mean {here}?")),
        None => error.tip("separate layers by commas: affine 32, relu, affine 10"),
    }
}

/// Returns a network of the layers of a list, which ends in softmax-xent unless it ends in another loss. `input` is the shape of a
/// sample.
///
/// # Errors
/// A layer that is unknown, or does not fit its input.
pub fn init_network(list: &str, input: &[usize], seed: u64) -> Result<Tape, Error> {
    let mut layers = list.split(',').map(NewLayer::parse).collect::<Result<Vec<_>, Error>>()?;
    if layers.last().is_none_or(|last| !last.spec.is_loss()) {
        layers.push(NewLayer::parse("softmax-xent")?);
    }
    let mut random = SplitMix64::new(seed);
    let (mut tape, mut names) = (Tape::default(), LayerNames::default());
    let mut shapes: Vec<Vec<usize>> = Vec::new();
    let x: Vec<usize> = [1].into_iter().chain(input.iter().copied()).collect();
    let mut weights = 0_usize;
    for (n, new) in layers.iter().enumerate() {
        let name = new.name.clone().unwrap_or_else(|| names.fresh(new.spec));
        let mut stage = Stage::new(new.spec, name, new.settings.clone(), Tensors::new())?;
        for (operand, reference) in &new.references {
            stage.sources.push((operand.clone(), tape.resolve(reference)?));
        }
        tape.connect(&mut stage);
        let shape_of = |source: Source| match source {
            Source::Input => &x,
            Source::Layer(earlier) => &shapes[earlier],
        };
        let given: Vec<(Name, &Vec<usize>)> =
            stage.sources.iter().map(|(operand, source)| (operand.clone(), shape_of(*source))).collect();
        let own_input = given.iter().find(|(operand, _)| operand == stage.input()).map_or(&x, |(_, shape)| shape);
        let is_he = layers[n + 1..].iter().find(|next| !next.spec.name.ends_with("norm"));
        let is_he = is_he.is_some_and(|next| LIKE_RELU.contains(&next.spec.name));
        let parameters = NewLayer::recipe(new.spec).map_or_else(Vec::new, |recipe| (recipe.parameters)(new, own_input));
        for (parameter, shape, fill) in parameters {
            let size = shape.iter().try_fold(1_usize, |size, &axis| size.checked_mul(axis));
            weights = size
                .and_then(|size| weights.checked_add(size))
                .filter(|&all| all <= MAX_WEIGHTS)
                .ok_or_else(too_large)?;
            stage.params.insert(Name::new(parameter), filled(&shape, &fill, is_he, &mut random));
        }
        if !new.spec.is_loss() {
            let shape = output_shape(&stage, given);
            shapes.push(shape.map_err(|error| {
                let message = format!("layer {}: {error}", stage.name);
                error.update(|parts| (parts.operand, parts.message) = (None, message))
            })?);
        }
        tape.push_named(&mut names, stage)?;
    }
    Ok(tape)
}

fn too_large() -> Error {
    Error::new(
        Code::Setting,
        format!("the network would have more than {MAX_WEIGHTS} weights, the limit for a JSON file"),
    )
    .tip("create larger parameters with NumPy, and name their .npz file in the network")
}

fn filled(shape: &[usize], fill: &Fill, is_he: bool, random: &mut SplitMix64) -> ArrayD<f64> {
    #[allow(clippy::cast_precision_loss)] // fewer than 2⁵³ fit in memory
    let limit = match *fill {
        Fill::Constant(value) => return ArrayD::from_elem(IxDyn(shape), value),
        Fill::Weights(inputs, _) if is_he => (6.0 / inputs as f64).sqrt(),
        Fill::Weights(inputs, outputs) => (6.0 / (inputs + outputs) as f64).sqrt(),
        Fill::Rows => 3.0_f64.sqrt(),
    };
    ArrayD::from_shape_simple_fn(IxDyn(shape), || limit * random.signed_unit())
}

/// Returns the shape of a layer's output for operands of these shapes; refuses those that do not fit.
fn output_shape(stage: &Stage, given: Vec<(Name, &Vec<usize>)>) -> Result<Vec<usize>, Error> {
    let mut at = stage.params.clone();
    for (operand, shape) in given {
        let size = shape.iter().try_fold(1_usize, |size, &axis| size.checked_mul(axis));
        if size.is_none_or(|size| size > MAX_WEIGHTS) {
            return Err(Error::new(Code::Setting, format!("its input of shape {} is too large", format_shape(shape)))
                .tip("use a smaller input, or windows with strides"));
        }
        at.insert(operand, ArrayD::zeros(IxDyn(shape)));
    }
    // A single sample has no variance to train with.
    let inference = stage.layer().for_mode(Mode::Inference);
    let layer = inference.as_deref().unwrap_or(stage.layer());
    layer.admit(&Given { at: &at, rounding: &|_| f64::EPSILON, x_was_y: false })?;
    Ok(layer.output_shape(&at))
}
