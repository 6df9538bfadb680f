//! The tape that a layer command starts or extends.

use super::dout::local_factors_error;
use super::request::{DoutOption, LayerRequest, Mode, Request, TapeOption};
use super::tape;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer::{Role, ScalarDout};
use crate::network::{Source, Tape, document, input_of};
use crate::numeric::FloatType;
use crate::operand::grammar::OperandSpec;
use crate::operand::{Operand, OperandReader, Origin, stdin};
use crate::report::Digits;

/// An operand that a tape provides.
pub(crate) struct Connected {
    pub(crate) name: Name,
    pub(crate) source: Source,
    pub(crate) operand: Operand,
}

/// Returns the tape that a layer command starts or extends, and the operands that it provides.
pub(crate) fn find_tape(
    request: &LayerRequest,
    reader: &mut OperandReader<'_>,
) -> Result<Option<(Tape, Vec<Connected>)>, Error> {
    let is_missing = request.spec.slots.iter().any(|slot| match request.operands.get(&slot.name) {
        Some(given) => matches!(given, OperandSpec::Layer(_)),
        None => !slot.optional,
    });
    let source = match &request.tape {
        TapeOption::Extend(source) => Some(source.as_str()),
        _ if is_missing && is_piped(reader) => Some("-"),
        _ => None,
    };
    let found = match source {
        Some(source) => {
            let found = tape::read(reader, source, false)?;
            let connected = connect(request, &found, source)?;
            (found, connected)
        }
        None if request.tape == TapeOption::Start => {
            (Tape { precision: request.common.precision, ..Tape::default() }, Vec::new())
        }
        None if request.layer_name.is_some() => {
            return Err(Error::new(Code::Usage, "names a layer of a tape, but there is no tape")
                .with_operand(&Name::new("name"))
                .tip("use --tape to start one"));
        }
        None => return Ok(None),
    };
    refuse_selection(request)?;
    refuse_text_options(request)?;
    Ok(Some(found))
}

/// Returns true if standard input may be read and holds a tape.
pub(crate) fn is_piped(reader: &mut OperandReader<'_>) -> bool {
    // Unreadable input is refused later, with the name of the operand that needs it.
    reader.stdin.is_piped()
        && reader.stdin_names().ok().flatten().is_some_and(|names| names.iter().any(|name| name == document::KEY))
}

/// Returns the operands that a tape provides: the last output as the layer's input, and those that name a layer.
fn connect(request: &LayerRequest, tape: &Tape, source: &str) -> Result<Vec<Connected>, Error> {
    let label = if source == "-" { stdin::LABEL } else { source };
    let input = input_of(request.spec);
    tape.ensure_extendable().map_err(|error| error.with_origin(label))?;
    if let Some(precision) = request.explicit_precision.filter(|precision| *precision != tape.precision) {
        let message = format!("is {}, but the tape is computed in {}", precision.name(), tape.precision.name());
        return Err(Error::new(Code::Setting, message)
            .with_operand(&Name::new("precision"))
            .with_origin(label)
            .tip("give --precision to the layer that starts the tape"));
    }
    let mut connected = Vec::new();
    for slot in request.spec.slots {
        let name = &slot.name;
        let source = match request.operands.get(name) {
            Some(OperandSpec::Layer(_)) if slot.role != Role::Input && name != input => {
                return Err(Error::new(Code::Usage, "cannot be the output of a layer; only inputs can")
                    .with_operand(name)
                    .tip(format!("give --{name} a file or numbers; matmul multiplies the outputs of two layers")));
            }
            Some(OperandSpec::Layer(reference)) => tape.resolve(reference).map_err(|error| error.with_operand(name))?,
            Some(_) if name == input => {
                return Err(Error::new(Code::Usage, format!("the tape's last layer already provides {input}"))
                    .with_operand(input)
                    .with_origin(label)
                    .tip(format!("leave out --{input} to extend the tape, or leave out the tape to start a new one")));
            }
            None if name == input => tape.default_source(),
            _ => continue,
        };
        let Some(value) = tape.recorded(source).cloned() else {
            return Err(Error::new(Code::Tape, "is a network without saved values")
                .with_origin(label)
                .tip("use nnlayer net FILE --x … --tape to run it and write a tape"));
        };
        let origin = origin(label, &tape.pointer(source));
        let operand = Operand { value, element: FloatType::F64, is_boolean: false, origin };
        connected.push(Connected { name: name.clone(), source, operand });
    }
    Ok(connected)
}

/// Returns the origin of an array of a tape.
fn origin(label: &str, pointer: &str) -> Origin {
    match label == stdin::LABEL {
        true => Origin::Stdin(pointer.to_owned()),
        false => Origin::File(label.to_owned(), pointer.to_owned()),
    }
}

/// Refuses options about the form of results where a tape is written in their place.
fn refuse_text_options(request: &LayerRequest) -> Result<(), Error> {
    let Request { json, pretty, digits, .. } = request.common;
    let given = [("json", json), ("pretty", pretty), ("digits", digits != Digits::Numpy)];
    match given.iter().find(|(_, is_given)| *is_given && matches!(request.mode, Mode::Results)) {
        Some((option, _)) => Err(Error::new(Code::Usage, "cannot be used with a tape, which is JSON on one line")
            .with_operand(&Name::new(*option))
            .tip("leave it out, and end the pipe in nnlayer backward, which prints results")),
        None => Ok(()),
    }
}

/// Refuses options that select results, since a tape holds all of them, and `--dout`, which belongs to `backward`.
fn refuse_selection(request: &LayerRequest) -> Result<(), Error> {
    let scales_factors = matches!(request.spec.scalar_dout, ScalarDout::LocalFactors(_));
    match &request.dout {
        DoutOption::Default => {}
        DoutOption::Operand(OperandSpec::Literal(number)) if number.value.ndim() == 0 && scales_factors => {
            return Err(local_factors_error(number.value[[]], "a tape needs gradients"));
        }
        _ => {
            return Err(Error::new(Code::Usage, "cannot be used with a tape")
                .with_operand(&Name::DOUT)
                .tip("give --dout to nnlayer backward, at the end of the tape"));
        }
    }
    if request.common.only.is_some() {
        return Err(Error::new(Code::Usage, "cannot be used with a tape, which holds all results")
            .with_operand(&Name::new("only"))
            .tip("use nnlayer backward --only to select gradients"));
    }
    Ok(())
}
