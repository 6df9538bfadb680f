//! Tapes on the command line: found on a pipe or named, extended by a layer, read by the commands that come after.

use super::gather::Gathered;
use super::job::Job;
use super::{flag_of, option, text_of};
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::format::DOUBLE_ROUNDING;
use crate::layer;
use crate::layer::{LayerSpec, Precision, Role, ScalarDout};
use crate::network::{Record, Stage, Tape, document, input_of};
use crate::operand::{Operand, OperandReader, Origin, stdin};
use crate::run::request::Request;
pub(super) use crate::run::tape::{blame, local_factors, read, set_precision};
use clap::{Arg, ArgMatches};
use std::io::Write;

/// The options of every layer command.
pub(super) fn options() -> [Arg; 2] {
    [
        option("tape", "TAPE", "start a tape, or extend TAPE (- is standard input), and write it in place of results")
            .num_args(0..=1)
            .default_missing_value(""),
        option("name", "NAME", "what a tape calls this layer; affine1, affine2 by default"),
    ]
}

/// The tape that a layer command extends: found on standard input, named, or started.
pub(super) fn wanted(
    spec: &'static LayerSpec,
    matches: &ArgMatches,
    reader: &mut OperandReader<'_>,
) -> Result<Option<(Tape, Option<Operand>)>, Error> {
    let named = text_of(matches, "tape");
    let missing = spec.slots.iter().any(|slot| !slot.optional && text_of(matches, slot.name.as_str()).is_none());
    let source = match named {
        Some("") | None if missing && on_stdin(reader)? => Some("-"),
        Some("") | None => None,
        Some(source) => Some(source),
    };
    let found = match (source, named) {
        (None, None) => {
            return match text_of(matches, "name") {
                Some(_) => Err(Error::new(Code::Usage, "names a layer of a tape, and there is none")
                    .with_operand(&Name::new("name"))
                    .tip("--tape starts one")),
                None => Ok(None),
            };
        }
        (None, Some(_)) => {
            let precision = text_of(matches, "precision").and_then(Precision::named).unwrap_or_default();
            (Tape { precision, ..Tape::default() }, None)
        }
        (Some(source), _) => {
            let tape = read(reader, source, false)?;
            let input = fed(spec, matches, &tape, source)?;
            (tape, Some(input))
        }
    };
    refuse(spec, matches)?;
    Ok(Some(found))
}

/// Whether standard input may be read and holds a tape.
pub(super) fn on_stdin(reader: &mut OperandReader<'_>) -> Result<bool, Error> {
    // What cannot be read at all is refused by whoever needs it, by the operand's name.
    Ok(reader.stdin.is_piped()
        && reader.stdin_names().ok().flatten().is_some_and(|names| names.iter().any(|name| name == document::KEY)))
}

/// What the tape feeds to the layer's input.
fn fed(spec: &'static LayerSpec, matches: &ArgMatches, tape: &Tape, source: &str) -> Result<Operand, Error> {
    let label = if source == "-" { stdin::LABEL } else { source };
    let input = input_of(spec);
    tape.ensure_extendable().map_err(|error| error.with_origin(label))?;
    let Some(value) = tape.output() else {
        return Err(Error::new(Code::Tape, "is a network without saved values")
            .with_origin(label)
            .tip("nnlayer net FILE --x … --tape runs it and writes a tape"));
    };
    if text_of(matches, input.as_str()).is_some() {
        return Err(Error::new(Code::Usage, format!("is given, and the tape's last layer feeds {input} already"))
            .with_operand(input)
            .with_origin(label)
            .tip(format!("leave --{input} out to extend the tape, or leave the tape out to start anew")));
    }
    if let Some(word) = text_of(matches, "precision").filter(|word| *word != tape.precision.name()) {
        return Err(Error::new(
            Code::Setting,
            format!("is {word}, and the tape is computed in {}", tape.precision.name()),
        )
        .with_operand(&Name::new("precision"))
        .with_origin(label)
        .tip("the layer that starts a tape decides for all"));
    }
    let last = tape.stages.len().saturating_sub(1);
    let pointer = format!("/layers/{last}/outputs/{}", Name::Y);
    let origin = if source == "-" { Origin::Stdin(pointer) } else { Origin::File(source.to_owned(), pointer) };
    Ok(Operand { value: value.clone(), rounding: DOUBLE_ROUNDING, origin })
}

/// Refuses options that choose among results, of which a tape holds all, and those that `backward` has.
fn refuse(spec: &LayerSpec, matches: &ArgMatches) -> Result<(), Error> {
    if let Some(text) = text_of(matches, "dout") {
        let local = text.trim().parse::<f64>().is_ok() && matches!(spec.scalar_dout, ScalarDout::LocalFactors(_));
        return Err(if local {
            local_factors(text)
        } else {
            Error::new(Code::Usage, "a tape takes its upstream gradient at its end")
                .with_operand(&Name::DOUT)
                .tip("nnlayer backward --dout …; without it, ones")
        });
    }
    if matches.get_many::<String>("only").is_some() {
        return Err(Error::new(Code::Usage, "a tape holds every result")
            .with_operand(&Name::new("only"))
            .tip("nnlayer backward --only chooses among the gradients"));
    }
    Ok(())
}

/// Makes the tape's last output the layer's input.
pub(super) fn feed(spec: &'static LayerSpec, given: &mut Gathered, operand: Operand) {
    given.x_was_y = true;
    given.operands.insert(input_of(spec).clone(), operand);
}

/// Computes the layer and writes the tape with it at its end.
pub(super) fn extend(
    job: Job,
    mut tape: Tape,
    matches: &ArgMatches,
    request: &Request,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let outcome = layer::compute(job.layer.as_ref(), &job.operands.values, None, tape.precision);
    let belongs = |name: &Name| {
        let role = job.spec.slots.iter().find(|slot| slot.name == *name).map(|slot| slot.role);
        matches!(role, Some(Role::Parameter | Role::Constant))
    };
    let (params, inputs): (Vec<_>, Vec<_>) =
        job.operands.values.clone().into_iter().partition(|(name, _)| belongs(name));
    let name = text_of(matches, "name").map_or_else(|| tape.fresh_name(job.spec), str::to_owned);
    let mut stage = Stage::new(job.spec, name, job.settings, params.into_iter().collect())?;
    let inputs = inputs.into_iter().collect();
    stage.record = Some(Record { inputs, outputs: outcome.results, gradients: Tensors::new() });
    tape.push(stage)?;
    request.write_document(&tape, out)
}

/// Whether a command is to write a tape in place of results.
pub(super) fn asked_for(matches: &ArgMatches) -> bool {
    flag_of(matches, "tape")
}
