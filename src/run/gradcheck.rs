//! Checks the gradients of nnlayer's layers, or of a user's program.

use super::check::{self, report};
use super::operands::{accepted_keys, adopt_mask_kinds};
use super::request::{DoutOption, OperandSpecs};
use super::session::Streams;
use super::status::Status;
use crate::check::compare::Tolerance;
use crate::check::inputs;
use crate::check::inputs::NamedShape;
use crate::check::program::{ProcessLifetime, Program};
use crate::check::{BuiltinLayer, Case, CheckOptions, CheckReport, Implementation, Point};
use crate::core::error::{Code, Error, format_shape};
use crate::core::name::Name;
use crate::core::rng::SplitMix64;
use crate::layer;
use crate::layer::{Given, LAYERS, LayerSpec, Precision, Settings, Slot};
use crate::numeric::FloatType;
use crate::operand::grammar::OperandSpec;
use crate::operand::{OperandReader, Operands};
use crate::report::check::CheckFormat;
use ndarray::ArrayD;
use std::ffi::OsString;
use std::time::Duration;

/// Name of a layer that only the program knows.
pub(crate) const CUSTOM: &str = "custom";

/// Returns the option that gives an operand by name, for messages.
pub(crate) fn input_option(name: &Name) -> Name {
    Name::new(format!("input {name}"))
}

/// Arguments of `gradcheck`.
pub(crate) struct Arguments {
    /// The layer and its settings; `None` for a custom one.
    pub(crate) layer: Option<(&'static LayerSpec, Settings)>,
    /// Operands that options give.
    pub(crate) operands: OperandSpecs,
    /// Operands that `--input` gives by name.
    pub(crate) inputs: Vec<(Name, OperandSpec)>,
    pub(crate) dout: DoutOption,
    /// Shapes of inputs to draw.
    pub(crate) shapes: Vec<NamedShape>,
    pub(crate) seed: u64,
    /// The type that the program computes in; found from its replies if `None`.
    pub(crate) float_type: Option<FloatType>,
    /// The type that sums are accumulated in.
    pub(crate) accumulator: Option<FloatType>,
    /// The largest accepted difference of a gradient between calls at the same point.
    pub(crate) nondeterminism: f64,
    /// The tolerance in place of the bound of rounding errors.
    pub(crate) tolerance: Option<Tolerance>,
    /// The program and its arguments; empty to check nnlayer's own layer.
    pub(crate) program: Vec<OsString>,
    pub(crate) lifetime: ProcessLifetime,
    pub(crate) timeout: Duration,
    pub(crate) format: CheckFormat,
}

impl Arguments {
    fn program(&self, settings: &Settings) -> Option<Program> {
        let name = self.layer.as_ref().map_or(CUSTOM, |(spec, _)| spec.name);
        let new = || Program::new(&self.program, name, settings, self.lifetime, self.timeout);
        let program = (!self.program.is_empty()).then(new);
        match self.float_type {
            Some(float_type) => program.map(|program| program.with_precision(float_type)),
            None => program,
        }
    }

    fn options(&self, case: &Case) -> CheckOptions<'static> {
        let options = CheckOptions::program(case, self.seed, self.float_type);
        let Arguments { accumulator, nondeterminism, tolerance, .. } = *self;
        CheckOptions { accumulator, nondeterminism, tolerance, ..options }
    }

    fn read_operands(&self, reader: &mut OperandReader<'_>) -> Result<Operands, Error> {
        let slots: Vec<&Slot> = match &self.layer {
            Some((spec, _)) => spec.slots.iter().collect(),
            None => LAYERS.iter().flat_map(|spec| spec.slots).collect(),
        };
        let mut at = Operands::default();
        for slot in slots {
            if let (Some(spec), None) = (self.operands.get(&slot.name), at.values.get(&slot.name)) {
                reader.reads_mask = slot.is_mask();
                let keys = if self.layer.is_some() { accepted_keys(slot) } else { vec![slot.name.clone()] };
                at.insert(slot.name.clone(), reader.read_spec(&slot.name, spec.clone(), &keys)?);
            }
        }
        for (name, spec) in &self.inputs {
            let slot = self.layer.as_ref().and_then(|(layer, _)| layer.slots.iter().find(|slot| slot.name == *name));
            let keys = slot.map_or_else(|| vec![name.clone()], accepted_keys);
            reader.reads_mask = slot.is_some_and(Slot::is_mask);
            let operand = reader.read_spec(name, spec.clone(), &keys);
            let operand = operand.map_err(|error| error.update(|error| error.operand = Some(input_option(name))))?;
            at.insert(name.clone(), operand);
        }
        reader.reads_mask = false;
        match self.shapes.iter().find(|(name, _)| at.values.get(name).is_some()) {
            Some((name, _)) => Err(Error::new(Code::Usage, format!("{name} is given, so that none is drawn"))
                .with_operand(&Name::new("shape"))
                .tip("give an operand or the shape of a random one, not both")),
            None => Ok(at),
        }
    }

    /// Reads or draws the upstream gradient; that of a loss is 1 by default. The flag is true if it was drawn.
    fn dout(
        &self,
        shape: &[usize],
        reader: &mut OperandReader<'_>,
        random: &mut SplitMix64,
    ) -> Result<(ArrayD<f64>, bool), Error> {
        Ok(match &self.dout {
            DoutOption::Operand(spec) => (reader.read_spec(&Name::DOUT, spec.clone(), &[Name::DOUT])?.value, false),
            DoutOption::Default if !shape.is_empty() => (inputs::draw_numbers(shape, random), true),
            DoutOption::Default | DoutOption::Ones => (ArrayD::ones(shape), false),
        })
    }
}

/// Checks the gradients and writes the report.
pub(crate) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let (mut checked, is_random) = match &arguments.layer {
        Some((spec, settings)) => check_layer(spec, settings, arguments, &mut streams.reader)?,
        None => check_custom(arguments, &mut streams.reader)?,
    };
    if is_random {
        checked.seed = Some(arguments.seed);
    }
    report(&checked, arguments.format, streams)
}

/// Report of a check; the flag is true if operands or dout were drawn.
type Outcome = (CheckReport, bool);

/// Checks the program against a layer of nnlayer, or the layer itself.
fn check_layer(
    spec: &'static LayerSpec,
    settings: &Settings,
    arguments: &Arguments,
    reader: &mut OperandReader<'_>,
) -> Result<Outcome, Error> {
    let given = arguments.read_operands(reader)?;
    let mut settings = settings.clone();
    adopt_mask_kinds(spec, &given, &mut settings);
    let (given, settings) = (given.values, &settings);
    let mut random = SplitMix64::new(arguments.seed);
    let float_type = arguments.float_type.unwrap_or_default();
    let at = inputs::draw_operands(spec, settings, &given, &arguments.shapes, float_type, &mut random)?;
    let layer = (spec.build)(settings)?;
    layer::admit(layer.as_ref(), &Given { at: &at, rounding: &|_| f64::EPSILON / 2.0, x_was_y: false })?;
    layer::check_output_memory(layer.as_ref(), &at)?;
    let (dout, is_drawn) = arguments.dout(&layer.output_shape(&at), reader, &mut random)?;
    let case = Case::new(spec, settings, &at, Some(&dout), arguments.float_type.unwrap_or_default())?;
    let mut program = arguments.program(settings);
    let precision = match arguments.float_type.unwrap_or_default() {
        FloatType::F32 => Precision::F32,
        FloatType::F16 if program.is_none() => Precision::F16,
        FloatType::Bf16 if program.is_none() => Precision::Bf16,
        _ => Precision::F64,
    };
    let mut own = BuiltinLayer { layer: layer.as_ref(), precision };
    let odd_shapes = inputs::odd_shapes(spec);
    let stress_shapes = if arguments.shapes.is_empty() { &odd_shapes } else { &arguments.shapes };
    let options = match program {
        Some(_) => CheckOptions {
            stress_shapes: given.is_empty().then_some(stress_shapes.as_slice()),
            ..arguments.options(&case)
        },
        None => CheckOptions::own(&case, arguments.seed, precision.float_type()),
    };
    let implementation: &mut dyn Implementation = program.as_mut().map_or(&mut own, |program| program);
    let checked = check::run(implementation, &case, options)?;
    Ok((checked, is_drawn || given.len() < at.len()))
}

/// Checks the gradients of a program against differences of its own forward pass.
fn check_custom(arguments: &Arguments, reader: &mut OperandReader<'_>) -> Result<Outcome, Error> {
    let Some(mut program) = arguments.program(&Settings::default()) else {
        return Err(Error::new(Code::Usage, "a custom layer requires a program")
            .with_operand(&Name::new("layer"))
            .tip("name the program: nnlayer gradcheck --layer custom --shape x=4x3 -- PROGRAM ARGS"));
    };
    let mut random = SplitMix64::new(arguments.seed);
    let mut at = arguments.read_operands(reader)?.values;
    let given = at.len();
    for (name, shape) in &arguments.shapes {
        at.insert(name.clone(), inputs::draw_numbers(shape, &mut random));
    }
    if at.is_empty() {
        return Err(Error::new(Code::OperandMissing, "is required for a custom layer without inputs")
            .with_operand(&Name::new("shape"))
            .tip("use --shape x=4x3 w=3x2, or --input x=FILE"));
    }
    let at = at.map(|&value| arguments.float_type.unwrap_or_default().round(value));
    let evaluations = program.evaluate(&[Point { operands: at.clone(), dout: None }])?;
    let outputs = evaluations.first().map(|evaluation| &evaluation.outputs);
    let output = outputs.and_then(|outputs| {
        let standard =
            [Name::LOSS, Name::Y].into_iter().find_map(|name| outputs.iter().find(|(known, _)| **known == name));
        standard.or_else(|| outputs.iter().next())
    });
    let Some((output, value)) = output else {
        return Err(Error::new(Code::ReplyKeyMissing, "the reply has no outputs to differentiate")
            .tip("reply with {\"points\":[{\"outputs\":{\"y\":[…]},\"gradients\":{\"dx\":[…]}}]}"));
    };
    let (dout, is_drawn) = arguments.dout(value.shape(), reader, &mut random)?;
    if dout.shape() != value.shape() {
        let message = format!(
            "expected the shape {} of {output}, got {}",
            format_shape(value.shape()),
            format_shape(dout.shape())
        );
        return Err(Error::new(Code::Shape, message)
            .with_operand(&Name::DOUT)
            .tip("give one value for each output, or `ones`"));
    }
    let is_random = is_drawn || at.len() > given;
    let gradients: Vec<Name> = at.names().map(Name::gradient).collect();
    let case = Case::custom(at, dout, output.clone(), &gradients);
    let stress_shapes = (given == 0).then_some(arguments.shapes.as_slice());
    let options = CheckOptions { stress_shapes, ..arguments.options(&case) };
    Ok((check::run(&mut program, &case, options)?, is_random))
}
