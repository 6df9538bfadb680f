//! A layer with its operands, admitted: everything that is computed, checked or drawn starts from here.

use super::gather::{Gathered, gather};
use super::request::Request;
use crate::fault::{Code, Fault, Note, shape};
use crate::layer::{self, AnyLayer, Given, LayerSpec, ScalarDout, Settings};
use crate::name::Name;
use crate::operand::{Operands, Origin, Reader};
use crate::tape::Tape;
use clap::ArgMatches;
use ndarray::{ArrayD, IxDyn};

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
        reader: &mut Reader<'_>,
    ) -> Result<Job, Fault> {
        let mut given = gather(spec, matches, reader)?;
        let job = admit(spec, matches, request, &mut given, reader);
        let (layer, dout, notes) = job.map_err(|fault| reader.place(fault, &given.operands))?;
        let place = |note: Note| Note { severity: note.severity, fault: reader.place(note.fault, &given.operands) };
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
    reader: &mut Reader<'_>,
) -> Result<Admitted, Fault> {
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
            let value = given.operands.come_from(&Name::DOUT, operand);
            Some(Dout::new(spec, &shape, value, typed)?)
        }
        (true, None) => match piped_dout {
            Some(value) => Some(Dout::new(spec, &shape, value, false)?),
            None => Some(Dout { said: false, ..Dout::ones(&shape) }),
        },
    };
    given.operands.values.take(&Name::DOUT);
    notes.extend(dout.as_ref().and_then(|dout| dout.local.then(|| local_factors_note(dout.value[[]]))));
    Ok((layer, dout, notes))
}

/// The upstream gradient.
pub(super) struct Dout {
    pub(super) value: ArrayD<f64>,
    /// Whether the user said it.
    pub(super) said: bool,
    /// Whether it is a number that scales the local factors.
    pub(super) local: bool,
}

impl Dout {
    pub(super) fn ones(shape: &[usize]) -> Dout {
        Dout { value: ArrayD::from_elem(IxDyn(shape), 1.0), said: true, local: false }
    }

    pub(super) fn new(spec: &LayerSpec, wanted: &[usize], value: ArrayD<f64>, typed: bool) -> Result<Dout, Fault> {
        if value.ndim() == 0 {
            let local = typed && matches!(spec.scalar_dout, ScalarDout::LocalFactors(_));
            let value = if local { value } else { ArrayD::from_elem(IxDyn(wanted), value[[]]) };
            return Ok(Dout { value, said: true, local });
        }
        if value.shape() == wanted {
            return Ok(Dout { value, said: true, local: false });
        }
        let output = &spec.output;
        Err(Fault::new(Code::Shape, format!("shape {} does not fit {output} {}", shape(value.shape()), shape(wanted)))
            .of(&Name::DOUT)
            .shape(&Name::DOUT, value.shape())
            .shape(output, wanted)
            .tip(match wanted {
                [] => "one loss has one upstream gradient: a number".to_owned(),
                _ => format!("the upstream gradient has one value for each of {output}; --dout ones is 1 everywhere"),
            }))
    }
}

fn local_factors_note(k: f64) -> Note {
    Note::info(
        Fault::new(
            Code::LocalFactors,
            format!("the number {k} scales the local factors, as np.dot does with a scalar: these are no gradients"),
        )
        .of(&Name::DOUT)
        .tip("--dout ones gives the gradients of L = Σy"),
    )
}
