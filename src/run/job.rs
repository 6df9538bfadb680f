//! An admitted layer with its operands, from which results, checks, steps and graphs are computed.

use super::dout::Dout;
use super::operands::{Gathered, gather};
use super::request::{DoutOption, LayerRequest};
use crate::core::error::{Error, Note};
use crate::core::name::Name;
use crate::layer;
use crate::layer::{AnyLayer, Given, LayerSpec, Settings};
use crate::network::{Source, Tape};
use crate::operand::{OperandReader, Operands, Origin};

/// An admitted layer with its operands.
pub(crate) struct Job {
    pub(crate) spec: &'static LayerSpec,
    pub(crate) layer: Box<dyn AnyLayer>,
    pub(crate) settings: Settings,
    pub(crate) operands: Operands,
    /// The tape that the layer extends.
    pub(crate) tape: Option<Tape>,
    /// The operands that the tape provides.
    pub(crate) sources: Vec<(Name, Source)>,
    /// The upstream gradient, if gradients are computed.
    pub(crate) dout: Option<Dout>,
    /// Warnings and notes, to be reported before results.
    pub(crate) notes: Vec<Note>,
}

impl Job {
    /// Reads the operands, builds the layer and admits them.
    pub(crate) fn prepare(request: &LayerRequest, reader: &mut OperandReader<'_>) -> Result<Job, Error> {
        let mut gathered = gather(request, reader)?;
        let admitted = admit(request, &mut gathered, reader);
        let (layer, dout, notes) = admitted.map_err(|error| reader.locate_in_source(error, &gathered.operands))?;
        let place = |note: Note| Note { error: reader.locate_in_source(note.error, &gathered.operands), ..note };
        let replaced = request.common.warn_of_replaced(&gathered.operands);
        let notes = notes.into_iter().map(place).chain(replaced).collect();
        let Gathered { operands, settings, tape, sources, .. } = gathered;
        Ok(Job { spec: request.spec, layer, settings, operands, tape, sources, dout, notes })
    }
}

type Admitted = (Box<dyn AnyLayer>, Option<Dout>, Vec<Note>);

fn admit(request: &LayerRequest, gathered: &mut Gathered, reader: &mut OperandReader<'_>) -> Result<Admitted, Error> {
    let layer = (request.spec.build)(&gathered.settings)?;
    let piped_dout = gathered.operands.values.take(&Name::DOUT);
    let rounding = |name: &Name| gathered.operands.rounding(name);
    let given = Given { at: &gathered.operands.values, rounding: &rounding, x_was_y: gathered.x_was_y };
    let mut notes = std::mem::take(&mut gathered.notes);
    notes.extend(layer::admit(layer.as_ref(), &given)?);
    let shape = layer.output_shape(&gathered.operands.values);
    let needs_dout = request.common.needs_gradients(request.spec) && gathered.tape.is_none();
    let dout = match &request.dout {
        _ if !needs_dout => None,
        DoutOption::Ones => Some(Dout::ones(&shape)),
        DoutOption::Operand(spec) => {
            let operand = reader.read_spec(&Name::DOUT, spec.clone(), &[Name::DOUT])?;
            let is_typed = operand.origin == Origin::Typed;
            let value = gathered.operands.record_origin(&Name::DOUT, operand);
            Some(Dout::new(request.spec, &shape, value, is_typed)?)
        }
        DoutOption::Default => Some(match piped_dout {
            Some(value) => Dout::new(request.spec, &shape, value, false)?,
            None => Dout::default_ones(&shape),
        }),
    };
    notes.extend(dout.as_ref().and_then(Dout::note));
    Ok((layer, dout, notes))
}
