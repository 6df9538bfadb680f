//! The upstream gradient, results and saved values of a chain of layers.

use super::dout::{Dout, ones_line};
use super::request::DoutOption;
use super::results::blocks;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::Outcome;
use crate::network::{Record, Run, Stage, Tape};
use crate::operand::{OperandReader, Operands, Origin};
use crate::report::{ChainReport, ResultBlock, ResultHeader, format_number};
use ndarray::{ArrayD, IxDyn};

/// Returns the upstream gradient of the last output: ones without `--dout`.
pub(crate) fn read_dout(
    option: &DoutOption,
    reader: &mut OperandReader<'_>,
    last: &Stage,
    shape: &[usize],
) -> Result<ArrayD<f64>, Error> {
    let DoutOption::Operand(spec) = option else { return Ok(ArrayD::from_elem(IxDyn(shape), 1.0)) };
    let operand = reader.read_spec(&Name::DOUT, spec.clone(), &[Name::DOUT])?;
    let dout = Dout::new(last.spec, shape, operand.value, operand.origin == Origin::Typed);
    let dout = dout.map_err(|error| reader.locate_in_source(error, &Operands::default()))?;
    dout.require_gradients("a tape needs gradients")?;
    Ok(dout.into_array())
}

/// Returns each layer's results and gradients with their formulas, and the gradient of an input that several operands are.
pub(crate) fn sections(tape: &Tape, run: &Run) -> ChainReport {
    let layers = tape.stages.iter().enumerate().map(|(n, stage)| {
        let mut at = stage.params.clone();
        at.extend(run.inputs[n].clone());
        let gradients = run.gradients.as_ref().and_then(|gradients| gradients.get(n)).cloned().unwrap_or_default();
        let outcome = Outcome { results: run.outputs[n].clone(), gradients };
        (stage.name.clone(), blocks(stage.spec, stage.layer(), &at, None, outcome))
    });
    let input = run.input_gradient.clone().map(|value| {
        let header =
            ResultHeader { name: Name::DX, formula: "Σ of the gradients of all that read x".to_owned(), before: None };
        (Name::X.to_string(), vec![ResultBlock { header, value }])
    });
    ChainReport { sections: layers.chain(input).collect() }
}

/// Returns the line before the gradients: the loss, or that `dout` is ones by default.
pub(crate) fn line_before_gradients(tape: &Tape, run: &Run, is_explicit: bool) -> Option<String> {
    let last = tape.stages.last()?;
    match run.outputs.last()?.get(&Name::LOSS).filter(|loss| loss.ndim() == 0) {
        Some(loss) => Some(format!("{} = {}, of {}", Name::LOSS, format_number(loss[[]]), last.name)),
        None if is_explicit => None,
        None => Some(ones_line(&last.spec.output)),
    }
}

/// Saves the values of a run in the tape.
pub(crate) fn save(tape: &mut Tape, run: Run) {
    let gradients = run.gradients.unwrap_or_default();
    let none = std::iter::repeat_with(Tensors::new);
    let layers = run.inputs.into_iter().zip(run.outputs).zip(gradients.into_iter().chain(none));
    for (stage, ((inputs, outputs), gradients)) in tape.stages.iter_mut().zip(layers) {
        stage.record = Some(Record { inputs, outputs, gradients });
    }
}
