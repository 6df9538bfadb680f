//! A layer with its operands, admitted: everything that is computed, checked or drawn starts from here.

use super::gather::{Gathered, gather};
use crate::core::error::{Code, Error, Note, format_shape};
use crate::core::name::Name;
use crate::layer;
use crate::layer::{AnyLayer, Given, LayerSpec, ScalarDout, Settings};
use crate::network::Tape;
use crate::operand::{OperandReader, Operands, Origin};
use crate::run::request::Request;
use clap::ArgMatches;
use ndarray::{ArrayD, IxDyn, arr0};
use std::borrow::Cow;

/// A layer with its operands, admitted.
pub(super) struct Job {
    pub(super) spec: &'static LayerSpec,
    pub(super) layer: Box<dyn AnyLayer>,
    pub(super) settings: Settings,
    pub(super) operands: Operands,
    /// The tape that the layer goes to the end of.
    pub(super) tape: Option<Tape>,
    /// The upstream gradient, where gradients are asked for.
    pub(super) dout: Option<Dout>,
    /// What is worth saying before anything is computed.
    pub(super) notes: Vec<Note>,
}

impl Job {
    /// Reads, builds and admits.
    pub(super) fn prepare(
        spec: &'static LayerSpec,
        matches: &ArgMatches,
        request: &Request,
        reader: &mut OperandReader<'_>,
    ) -> Result<Job, Error> {
        let mut given = gather(spec, matches, reader)?;
        let job = admit(spec, matches, request, &mut given, reader);
        let (layer, dout, notes) = job.map_err(|error| reader.locate_in_source(error, &given.operands))?;
        let place =
            |note: Note| Note { severity: note.severity, error: reader.locate_in_source(note.error, &given.operands) };
        let notes = notes.into_iter().map(place).collect();
        Ok(Job { spec, layer, settings: given.settings, operands: given.operands, tape: given.tape, dout, notes })
    }
}

type Admitted = (Box<dyn AnyLayer>, Option<Dout>, Vec<Note>);

fn admit(
    spec: &'static LayerSpec,
    matches: &ArgMatches,
    request: &Request,
    given: &mut Gathered,
    reader: &mut OperandReader<'_>,
) -> Result<Admitted, Error> {
    let layer = (spec.build)(&given.settings)?;
    let piped_dout = given.operands.values.take(&Name::DOUT);
    let rounding = |name: &Name| given.operands.rounding(name);
    let mut notes = std::mem::take(&mut given.notes);
    notes.extend(layer::admit(
        layer.as_ref(),
        &Given { at: &given.operands.values, rounding: &rounding, x_was_y: given.x_was_y },
    )?);
    let shape = layer.output_shape(&given.operands.values);
    let dout = match (request.backward(spec) && given.tape.is_none(), matches.get_one::<String>("dout")) {
        (false, _) => None,
        (true, Some(text)) if text == "ones" => Some(Dout::ones(&shape)),
        (true, Some(text)) => {
            let operand = reader.read(&Name::DOUT, text, &[Name::DOUT])?;
            let typed = operand.origin == Origin::Typed;
            let value = given.operands.record_origin(&Name::DOUT, operand);
            Some(Dout::new(spec, &shape, value, typed)?)
        }
        (true, None) => match piped_dout {
            Some(value) => Some(Dout::new(spec, &shape, value, false)?),
            None => Some(Dout { said: false, ..Dout::ones(&shape) }),
        },
    };
    given.operands.values.take(&Name::DOUT);
    notes.extend(dout.as_ref().and_then(|dout| dout.local.then(|| local_factors_note(dout.given[[]]))));
    Ok((layer, dout, notes))
}

/// The upstream gradient.
pub(super) struct Dout {
    /// What was given: all of it, or the number that it is everywhere.
    pub(super) given: ArrayD<f64>,
    pub(super) shape: Vec<usize>,
    /// Whether the user said it.
    pub(super) said: bool,
    /// Whether it is a number that scales the local factors.
    pub(super) local: bool,
}

impl Dout {
    pub(super) fn ones(shape: &[usize]) -> Dout {
        Dout { given: arr0(1.0).into_dyn(), shape: shape.to_vec(), said: true, local: false }
    }

    /// All of it; a number that scales local factors stays one.
    pub(super) fn whole(self) -> ArrayD<f64> {
        match self.fills() {
            Some(number) => ArrayD::from_elem(self.shape, number),
            None => self.given,
        }
    }

    /// The same of one that others need too.
    pub(super) fn to_whole(&self) -> Cow<'_, ArrayD<f64>> {
        match self.fills() {
            Some(number) => Cow::Owned(ArrayD::from_elem(IxDyn(&self.shape), number)),
            None => Cow::Borrowed(&self.given),
        }
    }

    /// The number that it is everywhere, where it is one.
    pub(super) fn fills(&self) -> Option<f64> {
        self.given.first().copied().filter(|_| self.given.ndim() == 0 && !self.local)
    }

    pub(super) fn new(spec: &LayerSpec, wanted: &[usize], value: ArrayD<f64>, typed: bool) -> Result<Dout, Error> {
        if value.ndim() == 0 || value.shape() == wanted {
            let local = value.ndim() == 0 && typed && matches!(spec.scalar_dout, ScalarDout::LocalFactors(_));
            return Ok(Dout { given: value, shape: wanted.to_vec(), said: true, local });
        }
        let output = &spec.output;
        Err(Error::new(
            Code::Shape,
            format!("shape {} does not fit {output} {}", format_shape(value.shape()), format_shape(wanted)),
        )
        .with_operand(&Name::DOUT)
        .with_shape(&Name::DOUT, value.shape())
        .with_shape(output, wanted)
        .tip(match wanted {
            [] => "one loss has one upstream gradient: a number".to_owned(),
            _ => format!("the upstream gradient has one value for each of {output}; --dout ones is 1 everywhere"),
        }))
    }
}

fn local_factors_note(k: f64) -> Note {
    Note::info(
        Error::new(
            Code::LocalFactors,
            format!("the number {k} scales the local factors, as np.dot does with a scalar: these are no gradients"),
        )
        .with_operand(&Name::DOUT)
        .tip("--dout ones gives the gradients of L = Σy"),
    )
}
